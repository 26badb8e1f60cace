"""The log's files over HTTP, for anybody; and the letter box of the witnesses."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import connections
from django.test import Client

from audit import anchoring
from audit.models import AuditEvent, Cosignature
from audit.tlog import folder, notes
from audit.tlog.sources import Web
from audit.tlog.witness import prepared
from config.wsgi import application
from tests.audit.growing_log import GrowingLog

NOW = int(datetime.now(UTC).timestamp())


@pytest.fixture
def log(tmp_path: Path, settings: Any) -> GrowingLog:
    settings.LOG_DIR = tmp_path / "log"
    return GrowingLog(settings.LOG_DIR)


@pytest.fixture
def witness(settings: Any) -> notes.Signer:
    signer = notes.Signer("witness.example", Ed25519PrivateKey.generate(), notes.COSIGNATURE)
    settings.WITNESSES = ["nonsense", str(signer.verifier)]
    return signer


def cosigned(log: GrowingLog, *signers: notes.Signer, time: int = NOW) -> str:
    return f"{log.text}\n{''.join(signer.line(log.text, time=time) for signer in signers)}"


def post(client: Client, body: str | bytes) -> tuple[int, dict[str, Any]]:
    response = client.post("/tlog/cosignatures", body, content_type="text/plain; charset=utf-8")
    return response.status_code, response.json()


FILES = [
    ("checkpoint", "text/plain; charset=utf-8", "public, max-age=2"),
    ("key", "text/plain; charset=utf-8", "public, max-age=300"),
    ("tile/0/000", "application/octet-stream", "public, max-age=31536000, immutable"),
    ("tile/0/001.p/44", "application/octet-stream", "public, max-age=300"),
    ("tile/1/000.p/1", "application/octet-stream", "public, max-age=300"),
    ("tile/entries/000", "application/octet-stream", "public, max-age=31536000, immutable"),
    ("tile/entries/001.p/44", "application/octet-stream", "public, max-age=300"),
    ("checkpoints/2026-01-02", "text/plain; charset=utf-8", "public, max-age=300"),
    ("timestamps/300.tsr", "application/timestamp-reply", "public, max-age=300"),
    ("timestamps/300.txt", "text/plain; charset=utf-8", "public, max-age=300"),
    ("cosignatures/300", "text/plain; charset=utf-8", "public, max-age=300"),
]


@pytest.fixture
def filled(log: GrowingLog) -> GrowingLog:
    log.grow(300)
    folder.write(log.path / "timestamps/300.tsr", b"\x30\x00")
    folder.write(log.path / "timestamps/300.txt", b"text\n")
    folder.write(log.path / "timestamps/state.json", b"{}")
    folder.write(log.path / "cosignatures/300", b"text\n")
    folder.write(log.path.parent / "secret", b"secret")
    return log


@pytest.mark.parametrize(("name", "kind", "caching"), FILES)
def test_every_file_is_given_to_anybody(
    client: Client, filled: GrowingLog, name: str, kind: str, caching: str
) -> None:
    response = client.get(f"/tlog/{name}")

    assert b"".join(response) == (filled.path / name).read_bytes()
    assert (response["Content-Type"], response["Cache-Control"]) == (kind, caching)
    assert client.get(f"/tlog/{name}", headers={"If-None-Match": response["ETag"]}).status_code == 304
    assert client.get(f"/tlog/{name}", headers={"If-None-Match": '"other"'}).status_code == 200
    assert client.head(f"/tlog/{name}").status_code == 200
    assert client.post(f"/tlog/{name}").status_code == 405


@pytest.mark.parametrize(
    "name",
    [
        "",
        "secret",
        "../secret",
        "tile/../../secret",
        "tile/0/%2e%2e/%2e%2e/%2e%2e/secret",
        "tile/0/000%00",
        "tile/0/000%0a",
        "tile/00/000",
        "tile/64/000",
        "tile/0/0",
        "tile/0/0000",
        "tile/0/x001",
        "tile/0/٠٠٠",
        "tile/0/001.p/0",
        "tile/0/001.p/044",
        "tile/0/001.p/256",
        "tile/0/001.p",
        "tile/0/",
        "tile/0/999",
        "tile/data/000",
        "checkpoints/",
        "checkpoints/2026-1-1",
        "timestamps/state.json",
        "timestamps/0300.tsr",
        "timestamps/300",
        "cosignatures/-1",
        "cosignatures/1234567890123456789",
        "checkpoint/",
        "key/../../secret",
    ],
)
def test_nothing_else_is_given(client: Client, filled: GrowingLog, name: str) -> None:
    response = client.get(f"/tlog/{name}")

    assert response.status_code == 404
    assert response.json()["code"] == "not_found"


def test_link_that_leads_out_of_the_folder_is_not_followed(client: Client, filled: GrowingLog) -> None:
    (filled.path / "checkpoints/2020-01-01").symlink_to(filled.path.parent / "secret")

    assert client.get("/tlog/checkpoints/2020-01-01").status_code == 404


def test_host_without_the_log_says_so(client: Client, settings: Any, tmp_path: Path) -> None:
    settings.LOG_DIR = tmp_path / "nowhere"

    assert client.get("/tlog/checkpoint").status_code == 404


def test_large_file_is_streamed_under_a_mark_that_changes_with_it(client: Client, log: GrowingLog) -> None:
    day = log.path / "checkpoints/2020-01-01"
    folder.write(day, b"x" * 200_000)

    first = client.get("/tlog/checkpoints/2020-01-01")
    assert first.streaming and len(b"".join(first)) == 200_000
    assert (
        client.get("/tlog/checkpoints/2020-01-01", headers={"If-None-Match": first["ETag"]}).status_code
        == 304
    )
    folder.write(day, b"x" * 200_001)
    assert (
        client.get("/tlog/checkpoints/2020-01-01", headers={"If-None-Match": first["ETag"]}).status_code
        == 200
    )


def through_the_door(method: str, path: str, **extra: Any) -> tuple[str, dict[str, str], bytes]:
    """As the server calls it, with the middlewares that stand before this address."""
    said: list[Any] = []
    environ = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
        "HTTP_HOST": "127.0.0.1",
        "HTTP_COOKIE": "sessionid=abc",
        "wsgi.input": BytesIO(),
        "wsgi.url_scheme": "http",
        **extra,
    }
    body: Iterator[bytes] = iter(
        application(environ, lambda status, headers, *_: said.extend((status, headers)))
    )
    return said[0], dict(said[1]), b"".join(body)


def test_log_knows_no_session_and_sets_no_cookie(filled: GrowingLog) -> None:
    """No database is used either: this test may not touch one."""
    status, headers, body = through_the_door("GET", "/tlog/checkpoint")

    assert (status, body.decode()) == ("200 OK", filled.note)
    assert {name.lower() for name in headers} & {"set-cookie", "vary"} == set()
    assert through_the_door("GET", "/tlog/nothing")[0] == "404 Not Found"


@pytest.mark.django_db
def test_cosignature_is_taken_recorded_and_put_into_the_folder(
    client: Client, log: GrowingLog, witness: notes.Signer
) -> None:
    log.grow(5)

    assert post(client, cosigned(log, witness)) == (201, {"size": 5, "new": 1})
    assert anchoring.collect_cosignatures() == 1

    row = Cosignature.objects.get()
    assert (row.size, row.witness, int(row.signed_at.timestamp())) == (5, "witness.example", NOW)
    event = AuditEvent.objects.get(kind="log.cosigned")
    assert (event.actor_kind, event.object_type, event.object_id) == ("system", "checkpoint", "5")
    assert event.data["actor"]["label"] == "witness.example"
    found, signatures = notes.check(client.get("/tlog/cosignatures/5").content.decode(), witness.verifier)
    assert (found, signatures) == (log.text, [notes.Signature("witness.example", NOW)])


@pytest.mark.django_db
def test_same_cosignature_again_is_harmless(client: Client, log: GrowingLog, witness: notes.Signer) -> None:
    log.grow(5)
    post(client, cosigned(log, witness))

    assert post(client, cosigned(log, witness)) == (200, {"size": 5, "new": 0})
    assert post(client, cosigned(log, witness, time=NOW + 60)) == (200, {"size": 5, "new": 0})
    assert (Cosignature.objects.count(), AuditEvent.objects.filter(kind="log.cosigned").count()) == (1, 1)
    assert (anchoring.collect_cosignatures(), anchoring.collect_cosignatures()) == (1, 0)


@pytest.mark.django_db
def test_older_checkpoint_and_a_second_witness_are_taken(
    client: Client, log: GrowingLog, witness: notes.Signer, settings: Any
) -> None:
    second = notes.Signer("second.example", Ed25519PrivateKey.generate(), notes.COSIGNATURE)
    settings.WITNESSES = [*settings.WITNESSES, str(second.verifier)]
    log.grow(5)
    note = cosigned(log, witness)
    later = cosigned(log, second)
    log.grow(5)

    assert post(client, note) == (201, {"size": 5, "new": 1})
    assert anchoring.collect_cosignatures() == 1
    assert post(client, later) == (201, {"size": 5, "new": 1})
    assert anchoring.collect_cosignatures() == 1
    _text, found = notes.check((log.path / "cosignatures/5").read_text(), witness.verifier, second.verifier)
    assert [signature.name for signature in found] == ["witness.example", "second.example"]


@pytest.mark.django_db
def test_what_is_not_cosigned_by_a_known_witness_is_refused(
    client: Client, log: GrowingLog, witness: notes.Signer, settings: Any
) -> None:
    note = log.grow(5)
    stranger = notes.Signer("stranger", Ed25519PrivateKey.generate(), notes.COSIGNATURE)
    namesake = notes.Signer("witness.example", Ed25519PrivateKey.generate(), notes.COSIGNATURE)
    as_note = notes.Signer("witness.example", witness.private)
    settings.WITNESSES = [*settings.WITNESSES, str(log.signer.verifier), str(as_note.verifier)]
    good = cosigned(log, witness)
    cases: list[tuple[str | bytes, int, str]] = [
        (cosigned(log, stranger), 403, "unknown_witness"),
        (cosigned(log, namesake), 403, "unknown_witness"),
        (cosigned(log, as_note), 403, "unknown_witness"),
        (note, 403, "unknown_witness"),
        (good.replace("\n5\n", "\n6\n", 1), 403, "bad_signature"),
        (good[:-8] + "AAAA==\n", 403, "bad_signature"),
        (log.text, 422, "invalid"),
        ("", 422, "invalid"),
        (b"\xff\xfe\n\n", 422, "invalid"),
        ("a\nb\nc\n\n— d e\n", 422, "invalid"),
        (good * 200, 413, "too_large"),
        (cosigned(log, witness, time=NOW + 86_400), 422, "invalid"),
        (cosigned(log, witness, time=0), 422, "invalid"),
        (cosigned(log, witness, time=2**64 - 1), 422, "invalid"),
    ]
    for body, status, code in cases:
        found = post(client, body)
        assert (found[0], found[1]["code"]) == (status, code), body[:80]
    assert not Cosignature.objects.exists()


@pytest.mark.django_db
def test_checkpoint_that_the_log_never_signed_is_refused(
    client: Client, log: GrowingLog, witness: notes.Signer, tmp_path: Path
) -> None:
    log.grow(5)
    other = GrowingLog(tmp_path / "other", key=log.signer.private, mark="other")
    other.grow(5)
    extended = log.text + "extension\n"
    tail = log.text.removeprefix("log.")

    assert post(client, cosigned(other, witness))[1]["code"] == "unknown_checkpoint"
    assert post(client, f"{extended}\n{witness.line(extended, time=NOW)}")[0] == 422
    assert post(client, f"{tail}\n{witness.line(tail, time=NOW)}")[1]["code"] == "unknown_checkpoint"
    assert not Cosignature.objects.exists()


@pytest.mark.django_db
def test_row_that_somebody_made_up_stays_out_of_the_folder(
    client: Client, log: GrowingLog, witness: notes.Signer
) -> None:
    log.grow(5)
    post(client, cosigned(log, witness))
    genuine = Cosignature.objects.get()
    for size, witness_, line in [(5, "made up", genuine.line.replace("A", "B")), (4, "else", genuine.line)]:
        Cosignature.objects.create(
            size=size, root=genuine.root, witness=witness_, line=line, signed_at=genuine.signed_at
        )

    assert anchoring.collect_cosignatures() == 1
    assert (log.path / "cosignatures/5").read_text() == cosigned(log, witness)
    assert not (log.path / "cosignatures/4").exists()


@contextmanager
def served() -> Iterator[str]:
    """The server's own handler on a port, one request at a time."""

    class Quiet(WSGIRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    def door(environ: dict[str, Any], start: Any) -> list[bytes]:
        try:
            return list(application(environ, start))
        finally:
            connections.close_all()

    server = make_server("127.0.0.1", 0, door, handler_class=Quiet)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/tlog/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.django_db(transaction=True)
def test_witness_watches_this_server_and_hands_its_cosignatures_in(
    log: GrowingLog, tmp_path: Path, settings: Any
) -> None:
    """Everything together: the witness's own code, the server's own door, the sealer's collecting."""
    watcher = prepared(tmp_path / "witness", log.signer.verifier, "witness.example")
    settings.WITNESSES = [str(watcher.signer.verifier)]
    settings.ALLOWED_HOSTS = ["127.0.0.1"]
    with served() as address:
        source = Web(address)
        for count in (5, 300, 70):
            log.grow(count)
            watcher.look(source, lambda _, note: source.publish(note), time=NOW)

    assert anchoring.collect_cosignatures() == 3
    assert [row.size for row in Cosignature.objects.order_by("size")] == [5, 305, 375]
    cosigned_note = (log.path / "cosignatures/375").read_text()
    assert notes.check(cosigned_note, watcher.signer.verifier)[0] == log.text
