"""Webhooks as a way into the network behind us, and as recordings that somebody plays back."""

import gzip
import socket
import ssl
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from django.test import Client

from agents import fetching, networks
from approvals.models import OpenNetwork, WebhookEndpoint
from tests.factories import admin, desk
from tests.receiver import Heard, Receiver, receiving, says
from tests.webhooks.conftest import Hook, hook, server
from tests.webhooks.verifying import sample, verified

pytestmark = pytest.mark.django_db(transaction=True)
__all__ = ["hook", "server"]

INSIDE = [
    "http://169.254.169.254/latest/meta-data/",
    "https://169.254.169.254/latest/meta-data/",
    "https://[::ffff:169.254.169.254]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:7f00:1]/",
    "https://0x7f.1/",
    "https://0x7f000001/",
    "https://2130706433/",
    "https://0177.0.0.1/",
    "https://127.1/",
    "https://127.0.0.1/",
    "https://127.0.0.1./",
    "https://0/",
    "https://0.0.0.0/",
    "https://[::]/",
    "https://[::1]/",
    "https://[::1%25lo]/",
    "https://[fe80::1]/",
    "https://[fc00::1]/",
    "https://[64:ff9b::a9fe:a9fe]/",
    "https://[2002:7f00:1::]/",
    "https://[::127.0.0.1]/",
    "https://[fec0::1]/",
    "https://[64:ff9b:1::a00:1]/",
    "https://10.0.0.1/",
    "https://172.16.0.1/",
    "https://192.168.1.1/",
    "https://100.64.0.1/",
    "https://198.18.0.1/",
    "https://192.0.0.192/",
    "https://168.63.129.16/",
    "https://[::ffff:168.63.129.16]/",
    "https://255.255.255.255/",
    "https://224.0.0.1/",
    "https://localhost/",
    "https://LOCALHOST./",
]
FORMS = [
    "file:///etc/passwd",
    "gopher://1.1.1.1/_x",
    "ftp://1.1.1.1/",
    "//1.1.1.1/",
    "1.1.1.1",
    "https://",
    "https://user:pass@1.1.1.1/",
    "https://@1.1.1.1/",
    "https://1.1.1.1/#x",
    "https://1.1.1.1\\@127.0.0.1/",
    "https://1.1.1.1:99999/",
    "https://1.1.1.1/ x",
    "https://1.1.1.1/\r\nHost: other",
    "https://①27.0.0.1/",
    "https://127。0。0。1/",
    "http://1.1.1.1/",
    "https://1.1.1.1/" + "x" * 2000,
]


def test_a41_nobody_can_enter_an_address_inside() -> None:
    the = desk()
    owner = Client()
    owner.force_login(the.agent.owner)
    took = {}
    for url in INSIDE[:6] + FORMS[:4]:
        answer = owner.post(f"/agents/{the.agent.slug}/webhooks/add/", {"url": url})
        if answer.status_code != 422:
            took[url] = answer.status_code
    assert took == {}
    assert WebhookEndpoint.objects.count() == 0


def test_a41_nothing_is_sent_inside_however_the_address_is_written() -> None:
    """Whatever a row says: the address is checked when it is called."""
    sent = {}
    for url in INSIDE + FORMS:
        try:
            sent[url] = fetching.post(url, body=b"{}", headers={}, longest=2).status
        except fetching.NotReached:
            continue
        except fetching.NotFetched as error:
            sent[url] = str(error)  # type: ignore[assignment]
    assert sent == {}


def test_a41_an_allowed_network_opens_itself_and_no_other(hook: Hook) -> None:
    OpenNetwork.objects.all().delete()
    OpenNetwork.objects.create(network="10.0.0.0/8", reason="x", allowed_by=admin())
    hook.the.propose()
    assert hook.send() == 0
    assert hook.server.heard == []


@pytest.mark.parametrize(
    "host",
    ["169.254.169.254", "[::ffff:169.254.169.254]", "[64:ff9b::a9fe:a9fe]", "[fd00:ec2::254]"],
)
def test_a41_metadata_of_a_cloud_is_refused_whatever_is_allowed(host: str) -> None:
    allowed = networks.parsed(["0.0.0.0/1", "128.0.0.0/1", "::/1", "8000::/1"])
    with pytest.raises(fetching.NotReached, match="metadata"):
        fetching.check_reachable(f"https://{host}/latest", allowed=allowed)
    fetching.check_reachable("https://169.254.169.253/", allowed=allowed)


def answering(addresses: list[list[str]]) -> Any:
    """A name that is somewhere else each time it is looked up."""
    asked = iter(addresses)
    real = socket.getaddrinfo

    def looked_up(host: Any, port: Any, *args: Any, **more: Any) -> Any:
        if host != "rebinding.example":
            return real(host, port, *args, **more)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in next(asked)]

    return looked_up


def test_a42_a_name_is_looked_up_once_and_the_checked_address_is_called(
    hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second answer, which nobody asks for, would lead elsewhere."""
    url = f"http://rebinding.example:{hook.server.port}/hook"
    WebhookEndpoint.objects.filter(pk=hook.endpoint.pk).update(url=url)
    monkeypatch.setattr(socket, "getaddrinfo", answering([["127.0.0.1"]]))
    hook.the.propose()
    assert hook.send() == 1
    assert hook.server.heard[0].headers["host"] == f"rebinding.example:{hook.server.port}"


@pytest.mark.parametrize(
    ("addresses", "why"),
    [
        (["10.0.0.5"], "private network"),
        (["1.1.1.1", "169.254.7.7"], "private network"),
        (["1.1.1.1", "169.254.169.254"], "where a cloud keeps its metadata"),
        (["127.0.0.1", "10.0.0.5"], "private network"),
    ],
)
def test_a42_a_name_that_moved_inside_after_it_was_saved_is_refused(
    hook: Hook, monkeypatch: pytest.MonkeyPatch, addresses: list[str], why: str
) -> None:
    url = f"https://rebinding.example:{hook.server.port}/hook"
    WebhookEndpoint.objects.filter(pk=hook.endpoint.pk).update(url=url)
    monkeypatch.setattr(socket, "getaddrinfo", answering([addresses]))
    hook.the.propose()
    assert hook.send() == 0
    assert why in hook.rows()[0].error
    assert hook.server.heard == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a42_a_redirect_is_not_followed(hook: Hook, status: int) -> None:
    with receiving() as inside:
        hook.server.answer = says(status, Location=inside.url)
        hook.the.propose()
        assert hook.send() == 0
        assert inside.heard == []
    assert hook.rows()[0].error == f"It answers {status}: redirects are not followed."


def test_a42_an_answer_that_drips_is_cut_off(monkeypatch: pytest.MonkeyPatch, server: Receiver) -> None:
    def drip(handler: Any, heard: Heard) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        for number in range(600):
            handler.wfile.write(b"X-%d: y\r\n" % number)
            handler.wfile.flush()
            time.sleep(0.05)

    server.answer = drip
    began = time.monotonic()
    with pytest.raises(fetching.NotFetched, match="did not answer within"):
        fetching.post(server.url, body=b"{}", headers={}, allowed=_loopback(), longest=0.5)
    assert time.monotonic() - began < 10


def test_a42_a_huge_answer_is_read_to_its_cap(server: Receiver) -> None:
    def flood(handler: Any, heard: Heard) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9000000000\r\n\r\n")
        while True:
            handler.wfile.write(b"x" * 65536)

    server.answer = flood
    answer = fetching.post(server.url, body=b"{}", headers={}, allowed=_loopback(), most=2000)
    assert (answer.status, len(answer.body), answer.is_cut) == (200, 2000, True)


def test_a42_headers_without_end_and_packed_answers_do_no_harm(server: Receiver) -> None:
    def headers(handler: Any, heard: Heard) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        for number in range(100_000):
            handler.wfile.write(b"X-%d: %s\r\n" % (number, b"y" * 500))

    server.answer = headers
    with pytest.raises(fetching.NotFetched, match="broke off"):
        fetching.post(server.url, body=b"{}", headers={}, allowed=_loopback())
    packed = gzip.compress(b"0" * 5_000_000)
    server.answer = says(200, packed, **{"Content-Encoding": "gzip"})
    answer = fetching.post(server.url, body=b"{}", headers={}, allowed=_loopback(), most=2000)
    assert answer.body == packed[:2000]


def test_a42_a_proxy_in_the_environment_is_not_asked(
    server: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    with receiving() as proxy:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        assert fetching.post(server.url, body=b"{}", headers={}, allowed=_loopback()).status == 204
        assert (len(server.heard), proxy.heard) == (1, [])


def test_a42_the_certificate_has_to_be_the_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though the connection goes to an address, the server is asked for the name and has to prove it."""
    trust = ssl.create_default_context()
    asked: list[str] = []
    with receiving(_certificate(tmp_path, "hooks.example"), asked) as server:
        trust.load_verify_locations(tmp_path / "hooks.example.pem")
        monkeypatch.setattr(fetching, "_trust", lambda: trust)
        real = socket.getaddrinfo
        monkeypatch.setattr(
            socket, "getaddrinfo", lambda host, *more, **named: real("127.0.0.1", *more, **named)
        )
        good, other = (f"https://{name}:{server.port}/" for name in ("hooks.example", "other.example"))
        assert fetching.post(good, body=b"{}", headers={}, allowed=_loopback()).status == 204
        with pytest.raises(fetching.NotReached, match=r"not valid for 'other\.example'"):
            fetching.post(other, body=b"{}", headers={}, allowed=_loopback())
    assert asked == ["hooks.example", "other.example"]
    assert len(server.heard) == 1


def _certificate(folder: Path, name: str) -> ssl.SSLContext:
    """A server's own, for one name, valid for an hour."""
    key = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(who)
        .issuer_name(who)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    path = folder / f"{name}.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
        + made.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


def _loopback() -> Any:
    from agents import networks

    return networks.parsed(["127.0.0.0/8"])


def test_a43_a_recorded_message_is_refused_by_the_sample_after_six_minutes(hook: Hook) -> None:
    hook.the.propose()
    hook.send()
    [heard] = hook.server.heard
    sent = int(heard.headers["webhook-timestamp"])
    assert verified(heard, hook.secret, now=sent + 240)["type"] == "proposal.pending"
    with pytest.raises(Exception, match="older than five minutes"):
        verified(heard, hook.secret, now=sent + 360)


def test_a43_a_fresh_stamp_on_an_old_message_and_a_second_copy_are_refused(hook: Hook) -> None:
    hook.the.propose()
    hook.send()
    [heard] = hook.server.heard
    later = str(int(heard.headers["webhook-timestamp"]) + 360)
    forged = Heard(heard.path, {**heard.headers, "webhook-timestamp": later}, heard.body)
    with pytest.raises(Exception, match="not ours"):
        verified(forged, hook.secret, now=int(later))
    changed = Heard(heard.path, heard.headers, heard.body.replace(b"42.5", b"4250"))
    with pytest.raises(Exception, match="not ours"):
        verified(changed, hook.secret)

    seen: set[str] = set()
    names = sample()
    assert names["verified"](heard.headers, heard.body, hook.secret, seen=seen)
    with pytest.raises(names["Refused"], match="handled already"):
        names["verified"](heard.headers, heard.body, hook.secret, seen=seen)
