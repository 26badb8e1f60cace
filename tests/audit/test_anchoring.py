"""Timestamps of an authority, made by OpenSSL behind a small server of our own that can misbehave."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from audit import anchoring, log_state, stamping
from audit.stamping import NoTimestamp
from audit.tlog import folder, timestamps
from tests.audit.authority import (
    CA,
    FOR_TIME,
    NOW,
    YEAR,
    Authority,
    authority,
    issue,
    number,
    openssl_accepts,
    sequence,
)
from tests.audit.growing_log import GrowingLog

Answer = Callable[[BaseHTTPRequestHandler, bytes], None]


@contextmanager
def answering(answer: Answer) -> Iterator[str]:
    """The address of a server that gives every POST to `answer`."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            answer(self, self.rfile.read(int(self.headers["Content-Length"])))

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


def give(
    body: bytes,
    *,
    kind: str = "application/timestamp-reply",
    status: int = 200,
    length: int = -1,
    to: str = "",
) -> Answer:
    def answer(handler: BaseHTTPRequestHandler, _: bytes) -> None:
        handler.send_response(status)
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(body) if length < 0 else length))
        if to:
            handler.send_header("Location", to)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def honest(ours: Authority) -> Answer:
    def answer(handler: BaseHTTPRequestHandler, query: bytes) -> None:
        assert handler.headers["Content-Type"] == "application/timestamp-query"
        give(ours.reply(query))(handler, query)

    return answer


@pytest.fixture
def ours(tmp_path: Path, settings: Any) -> Authority:
    (tmp_path / "authority").mkdir()
    found = authority(tmp_path / "authority")
    (tmp_path / "roots.pem").write_bytes(found.root.pem)
    settings.TIMESTAMP_ROOTS = str(tmp_path / "roots.pem")
    settings.LOG_DIR = tmp_path / "log"
    return found


@pytest.fixture
def log(ours: Authority, tmp_path: Path) -> GrowingLog:
    found = GrowingLog(tmp_path / "log")
    found.grow(5)
    return found


def refusal(ours: Authority, answer: Answer, *, seconds: float = 10) -> str:
    with answering(answer) as url, pytest.raises(NoTimestamp) as caught:
        stamping.stamp(b"text", url=url, roots=[ours.root.certificate], seconds=seconds)
    return str(caught.value)


def test_checkpoint_is_stamped_and_an_auditor_and_openssl_take_it(
    ours: Authority, log: GrowingLog, settings: Any, tmp_path: Path
) -> None:
    now = datetime.now(UTC)
    with answering(honest(ours)) as settings.TIMESTAMP_URL:
        assert anchoring.due(log.path, now)
        anchoring.stamp(log.path, now)

    text, response = (
        (log.path / "timestamps/5.txt").read_bytes(),
        (log.path / "timestamps/5.tsr").read_bytes(),
    )
    assert text.decode() == log.text
    assert timestamps.check(response, text, [ours.root.certificate]).is_trusted
    assert openssl_accepts(tmp_path, response, text, [ours.root])


def test_stamp_is_due_once_an_hour_and_only_while_the_log_grows(
    ours: Authority, log: GrowingLog, settings: Any
) -> None:
    now = datetime.now(UTC)
    assert not anchoring.due(log.path, now)  # nobody is configured
    with answering(honest(ours)) as settings.TIMESTAMP_URL:
        anchoring.stamp(log.path, now)
    assert not anchoring.due(log.path, now + timedelta(days=2))  # it has not grown: the older stamp says more

    log.grow(1)
    assert not anchoring.due(log.path, now + timedelta(minutes=40))
    assert anchoring.due(log.path, now + timedelta(minutes=90))
    assert not anchoring.due(log.path.parent / "nowhere", now)


def test_authority_that_fails_is_asked_again_ever_less_often(
    ours: Authority, log: GrowingLog, settings: Any
) -> None:
    begun = now = datetime.now(UTC)
    pauses = []
    with answering(give(b"", status=503)) as settings.TIMESTAMP_URL:
        for _ in range(7):
            with pytest.raises(NoTimestamp, match="answers 503"):
                anchoring.stamp(log.path, now)
            tried = now
            while not anchoring.due(log.path, now):
                now += timedelta(seconds=30)
            pauses.append((now - tried).total_seconds())

    assert pauses == [30, 60, 120, 240, 480, 900, 900]
    assert anchoring.overdue(log.path, begun + timedelta(hours=1, minutes=59)) is None
    alarm = anchoring.overdue(log.path, begun + timedelta(hours=2))
    assert alarm == anchoring.Overdue(begun, "The authority answers 503.")

    with answering(honest(ours)) as settings.TIMESTAMP_URL:
        anchoring.stamp(log.path, now)
    assert anchoring.overdue(log.path, begun + timedelta(days=9)) is None


@pytest.mark.django_db
def test_page_about_the_log_says_when_a_stamp_is_late_and_why(
    ours: Authority, log: GrowingLog, settings: Any
) -> None:
    settings.TIMESTAMP_URL = "http://127.0.0.1:9/"
    long_ago = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
    with pytest.raises(NoTimestamp):
        anchoring.stamp(log.path, long_ago)

    [told] = [problem.what for problem in log_state.whole().problems if "timestamp" in problem.what]
    assert told.startswith(
        "A timestamp has been due since 2026-01-02 03:04 UTC: The authority cannot be reached"
    )

    with answering(honest(ours)) as settings.TIMESTAMP_URL:
        anchoring.stamp(log.path, datetime.now(UTC))
    assert not [problem for problem in log_state.whole().problems if "timestamp" in problem.what]


def test_state_that_cannot_be_read_does_not_hold_stamping_up(
    ours: Authority, log: GrowingLog, settings: Any
) -> None:
    settings.TIMESTAMP_URL = "http://127.0.0.1:9/"
    for text in ("", "[]", '{"due_since": "yesterday"}', '{"x": 1}', '{"due_since": 5}', '{"failures": "x"}'):
        folder.write(log.path / "timestamps/state.json", text.encode())
        assert anchoring.due(log.path, datetime.now(UTC)), text
        assert anchoring.overdue(log.path, datetime.now(UTC)) is None


def test_text_that_a_crash_left_alone_goes_away(ours: Authority, log: GrowingLog, settings: Any) -> None:
    folder.write(log.path / "timestamps/3.txt", b"lonely")
    with answering(honest(ours)) as settings.TIMESTAMP_URL:
        anchoring.stamp(log.path, datetime.now(UTC))

    assert {file.name for file in (log.path / "timestamps").iterdir()} == {"5.txt", "5.tsr", "state.json"}


def test_missing_roots_are_a_problem_that_is_told(ours: Authority, log: GrowingLog, settings: Any) -> None:
    settings.TIMESTAMP_URL, settings.TIMESTAMP_ROOTS = "http://127.0.0.1:9/", "/nowhere/roots.pem"
    now = datetime.now(UTC)
    with pytest.raises(NoTimestamp, match="root certificates cannot be read"):
        anchoring.stamp(log.path, now)

    told = json.loads((log.path / "timestamps/state.json").read_text())
    assert (told["failures"], told["due_since"]) == (1, now.isoformat())


def test_answer_to_an_earlier_question_is_refused(ours: Authority) -> None:
    """The same text, another nonce: somebody plays an old answer back."""
    earlier = ours.reply(stamping_query(b"text"))
    assert "Nonce mismatch" in refusal(ours, give(earlier))
    assert "Nonce mismatch" in refusal(ours, give(ours.stamp(b"text")))


def stamping_query(text: bytes) -> bytes:
    from rfc3161_client import HashAlgorithm, TimestampRequestBuilder

    return TimestampRequestBuilder().data(text).hash_algorithm(HashAlgorithm.SHA256).build().as_bytes()


def test_stamp_for_another_text_is_refused(ours: Authority) -> None:
    assert refusal(ours, give(ours.stamp(b"another"))) == "The timestamp is for another text."


def test_stamp_of_another_authority_is_refused(ours: Authority, tmp_path: Path) -> None:
    (tmp_path / "stranger").mkdir()
    assert "not to be believed" in refusal(ours, honest(authority(tmp_path / "stranger")))


def test_stamp_of_an_expired_authority_is_refused(ours: Authority) -> None:
    expired = issue("Clock", ours.root, extensions=FOR_TIME, valid=(NOW - 2 * YEAR, NOW - YEAR))
    assert "was valid from" in refusal(ours, honest(replace(ours, tsa=expired)))
    root = issue("Root", extensions=CA, valid=(NOW - 2 * YEAR, NOW - YEAR))
    below = replace(ours, root=root, tsa=issue("Clock", root, extensions=FOR_TIME))
    assert "was valid from" in refusal(below, honest(below))


REFUSED = sequence(sequence(number(2)))


def drip(handler: BaseHTTPRequestHandler, _: bytes) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", "application/timestamp-reply")
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    _until_gone(handler, b"0")


def drip_headers(handler: BaseHTTPRequestHandler, _: bytes) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    _until_gone(handler, b"0")


def _until_gone(handler: BaseHTTPRequestHandler, data: bytes) -> None:
    """A byte now and then, until the other side has hung up."""
    pause = threading.Event()
    try:
        while not pause.wait(0.02):
            handler.wfile.write(data)
    except OSError:
        handler.close_connection = True


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (give(REFUSED), "gave no timestamp: it refused"),
        (give(b"<html>busy</html>"), "cannot be read"),
        (give(b""), "cannot be read"),
        (give(b"<html>", kind="text/html"), "answers with 'text/html'"),
        (give(b"", status=500), "answers 500"),
        (give(b"", status=302, to="http://127.0.0.1:9/other"), "answers 302"),
        (give(bytes(timestamps.LONGEST + 1)), "longer than 65536 bytes"),
        (give(b"x", length=5), "cannot be reached"),
    ],
)
def test_answer_that_is_no_timestamp_is_refused(ours: Authority, answer: Answer, words: str) -> None:
    assert words in refusal(ours, answer)


@pytest.mark.parametrize("answer", [drip, drip_headers])
def test_authority_that_never_ends_is_left(ours: Authority, answer: Answer) -> None:
    """The limit is for the whole answer; every single byte comes in time."""
    assert refusal(ours, answer, seconds=0.5) == "The authority did not answer within 0.5 seconds."


def test_authority_that_is_not_there_is_told(ours: Authority) -> None:
    for url in ("http://127.0.0.1:9/", "nonsense", "http://", "ftp://127.0.0.1/"):
        with pytest.raises(NoTimestamp, match="cannot be reached"):
            stamping.stamp(b"text", url=url, roots=[ours.root.certificate])


@pytest.mark.django_db(transaction=True)
def test_sealer_is_told_of_no_failure_that_is_foreseen(
    ours: Authority, log: GrowingLog, settings: Any
) -> None:
    settings.TIMESTAMP_URL = "http://127.0.0.1:9/"
    anchoring.attend()
    assert json.loads((log.path / "timestamps/state.json").read_text())["failures"] == 1
    anchoring.attend()  # in the pause: nobody is asked
    assert json.loads((log.path / "timestamps/state.json").read_text())["failures"] == 1

    (log.path / "timestamps/state.json").unlink()
    with answering(honest(ours)) as settings.TIMESTAMP_URL:
        anchoring.attend()
    assert (log.path / "timestamps/5.tsr").exists()
