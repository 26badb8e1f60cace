"""Chat messages over a socket, and the narrow door through which they leave."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from django.conf import settings

from accounts.exceptions import Conflict, Invalid, NotFound
from accounts.models import User
from agents import networks
from approvals import inbox
from approvals.messages import chat, choices, egress
from approvals.messages.choices import Topic
from approvals.models import ChatAddress, Delivery
from approvals.services import choose_notifications, deliver
from audit.models import AuditEvent
from tests.factories import desk, person
from tests.notifying import chose, later, states, told

pytestmark = pytest.mark.django_db(transaction=True)


class Receiver:
    """A chat server on loopback that keeps what is posted."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.status = 200
        self.headers: dict[str, str] = {}
        self.port = 0
        self.answer = b"ok"
        self.sent = 0
        self.trickles = False

    @property
    def address(self) -> str:
        return f"mmost://127.0.0.1:{self.port}/abcdefghijklmnopqrstuvwxyz"


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    settings.CHAT_HOSTS = frozenset({"127.0.0.1"})
    with listening() as found:
        yield found


@contextmanager
def listening() -> Iterator[Receiver]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            receiver.paths.append(self.path)
            receiver.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            if receiver.trickles:
                with suppress(OSError):
                    self.trickle()
                return
            self.send_response(receiver.status)
            for name, value in receiver.headers.items():
                self.send_header(name, value)
            self.end_headers()
            with suppress(OSError):
                for start in range(0, len(receiver.answer), 65536):
                    receiver.sent += self.wfile.write(receiver.answer[start : start + 65536])

        def trickle(self) -> None:
            for letter in b"HTTP/1.1 200 OK\r\n" + b"X-Slow: and slower\r\n" * 50:
                self.wfile.write(bytes([letter]))
                time.sleep(0.3)

        def do_GET(self) -> None:
            receiver.paths.append(f"GET {self.path}")
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()


def add(user: User, receiver: Receiver, label: str = "Team chat") -> ChatAddress:
    return choose_notifications.add_chat_address(person=user, label=label, address=receiver.address)


def test_a_chat_message_arrives_inert_and_once(receiver: Receiver) -> None:
    the = desk()
    add(the.reviewer, receiver)
    chose(the.reviewer, ways={Topic.ASSIGNED: frozenset({choices.chat_way(ChatAddress.objects.get().pk)})})
    proposal = the.propose({"order_id": "[x](http://e.io) @all <!here>", "amount": 3})
    told(the.reviewer, proposal=proposal, text=f"For you: {proposal.title}")
    assert deliver.send_due() == 1
    text = receiver.bodies[0]["text"]
    assert receiver.paths == ["/hooks/abcdefghijklmnopqrstuvwxyz"]
    assert f"{settings.PUBLIC_URL}/proposals/{proposal.pk}/" in text.replace("\\", "")
    assert "@all" not in text and "<!here>" not in text and "](" not in text and "http://e.io" not in text
    assert "icon_url" not in receiver.bodies[0]
    assert deliver.send_due() == 0


def test_a_refusing_chat_server_is_named_with_its_status(receiver: Receiver) -> None:
    user = person()
    address = add(user, receiver)
    receiver.status = 403
    assert choose_notifications.send_test(person=user, way=choices.chat_way(address.pk))
    assert deliver.send_due() == 0
    assert Delivery.objects.get().error == "Mattermost answered 403."
    receiver.status = 200
    assert deliver.send_due(now=later(10)) == 1


def test_a_redirect_is_not_followed(receiver: Receiver, settings: Any) -> None:
    user = person()
    address = add(user, receiver)
    with listening() as inner:
        receiver.status, receiver.headers = (
            302,
            {"Location": f"http://127.0.0.1:{inner.port}/latest/meta-data"},
        )
        choose_notifications.send_test(person=user, way=choices.chat_way(address.pk))
        assert deliver.send_due() == 0
        assert inner.paths == []


def test_the_door_is_closed_when_the_name_points_inside_by_then(receiver: Receiver, settings: Any) -> None:
    """Allowed when it was added, private by the time of sending: the connection itself is refused."""
    user = person()
    address = add(user, receiver)
    secure = f"mmosts://localhost:{receiver.port}/abcdefghijklmnopqrstuvwxyz"
    ChatAddress.objects.filter(pk=address.pk).update(sealed=chat.seal(secure, chat.understand(secure)))
    settings.CHAT_HOSTS = frozenset()
    choose_notifications.send_test(person=user, way=choices.chat_way(address.pk))
    assert deliver.send_due() == 0
    assert receiver.paths == []
    assert Delivery.objects.get().error == "Mattermost could not be reached."


@pytest.mark.parametrize(
    "address",
    [
        "json://127.0.0.1/x",
        "jsons://example.com/x",
        "xml://example.com/xx",
        "form://example.com/x",
        "http://127.0.0.1:8000/",
        "https://example.com/hook",
        "file:///etc/passwd",
        "syslog://localhost",
        "dbus://session",
        "macosx://xxxx",
        "exec://rm -rf",
        "python://x/yyyy",
        "apprise://example.com/token",
        "mmosts://127.0.0.1/abcdefghijklmnopqrstuvwxyz",
        "mmosts://[::1]/abcdefghijklmnopqrstuvwxyz",
        "mmosts://2130706433/abcdefghijklmnopqrstuvwxyz",
        "mmosts://169.254.169.254/abcdefghijklmnopqrstuvwxyz",
        "mmosts://localhost/abcdefghijklmnopqrstuvwxyz",
        "mmosts://no-such-host.invalid/abcdefghijklmnopqrstuvwxyz",
        "mmost://8.8.8.8/abcdefghijklmnopqrstuvwxyz",
        "mmosts://8.8.8.8/abcdefghijklmnopqrstuvwxyz?verify=no",
        "mmosts://8.8.8.8/abcdefghijklmnopqrstuvwxyz?redirect=yes",
        "mmosts://8.8.8.8/abcdefghijklmnopqrstuvwxyz?icon_url=http://127.0.0.1/",
        "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ?template=/etc/passwd",
        "slack://short",
        "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ\nBcc: x",
        "",
    ],
)
def test_addresses_that_are_not_taken(address: str) -> None:
    user = person()
    with pytest.raises(Invalid) as refused:
        choose_notifications.add_chat_address(person=user, label="x", address=address)
    assert "abcdefghijkl" not in str(refused.value) and "TIiajk" not in str(refused.value)
    assert ChatAddress.objects.count() == 0


def test_an_address_is_sealed_and_audited_without_its_secret(receiver: Receiver) -> None:
    user = person()
    address = add(user, receiver)
    secret = "abcdefghijklmnopqrstuvwxyz"
    assert secret.encode() not in bytes(ChatAddress.objects.get().sealed)
    event = AuditEvent.objects.get(kind="person.chat_address_changed")
    assert secret not in event.content and "Mattermost" in event.content
    told(user)
    assert choose_notifications.remove_chat_address(person=user, address_id=address.pk) == "Team chat"
    assert (f"c{address.pk}", "dead") in states(user)
    assert AuditEvent.objects.filter(kind="person.chat_address_changed").count() == 2
    assert all(
        f"c{address.pk}" not in ways
        for ways in choices.read(User.objects.get(pk=user.pk).preferences).ways.values()
    )


def test_under_another_secret_key_an_address_is_dead_and_says_why(receiver: Receiver, settings: Any) -> None:
    user = person()
    address = add(user, receiver)
    way = choices.chat_way(address.pk)
    choose_notifications.send_test(person=user, way=way)
    settings.SECRET_KEY = "another one, since the old one was lost with its machine"
    assert "cannot be opened" in inbox.ways(user)[1].where
    assert deliver.send_due() == 0
    assert states(user) == [(way, "dead")]
    assert "remove it and add it again" in Delivery.objects.get().error


def test_a_server_that_never_ends_is_cut_off(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """One byte every now and then resets every timeout of a socket; the whole request has one of its own."""
    monkeypatch.setattr(egress, "LONGEST", 1.5)
    user = person()
    address = add(user, receiver)
    receiver.trickles = True
    choose_notifications.send_test(person=user, way=choices.chat_way(address.pk))
    began = time.monotonic()
    assert deliver.send_due() == 0
    assert time.monotonic() - began < 60, "to its end it would take five minutes"
    assert Delivery.objects.get().error == "Mattermost could not be reached."


def test_an_endless_answer_is_not_read_to_its_end(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(egress, "MOST", 4096)
    user = person()
    address = add(user, receiver)
    receiver.answer = b"x" * 50_000_000
    choose_notifications.send_test(person=user, way=choices.chat_way(address.pk))
    assert deliver.send_due() == 1
    assert receiver.sent < 20_000_000, "the rest was never asked for"


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2001:4860:4860::8888", True),
        ("64:ff9b::808:808", True),
        ("127.0.0.1", False),
        ("127.9.9.9", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::", False),
        ("::1", False),
        ("::ffff:127.0.0.1", False),
        ("64:ff9b::7f00:1", False),
        ("2002:7f00:1::", False),
        ("fe80::1%eth0", False),
        ("fc00::1", False),
    ],
)
def test_which_addresses_are_public(address: str, public: bool) -> None:
    assert networks.is_public(address) is public


def test_nobody_uses_anothers_address(receiver: Receiver) -> None:
    mine, other = person(), person()
    address = add(mine, receiver)
    way = choices.chat_way(address.pk)
    with pytest.raises(NotFound):
        choose_notifications.send_test(person=other, way=way)
    with pytest.raises(NotFound):
        choose_notifications.remove_chat_address(person=other, address_id=address.pk)
    with pytest.raises(Invalid):
        chose(other, ways={Topic.ASSIGNED: frozenset({way})})
    User.objects.filter(pk=other.pk).update(preferences={"notify": {"ways": {"assigned": [way]}}})
    told(User.objects.get(pk=other.pk))
    assert states(other) == [], "not even with another's way in his preferences"


def test_addresses_are_few(receiver: Receiver) -> None:
    user = person()
    for number in range(choose_notifications.MOST_ADDRESSES):
        add(user, receiver, f"Chat {number}")
    with pytest.raises(Conflict):
        add(user, receiver, "One more")
