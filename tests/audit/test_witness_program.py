"""The witness as a customer has it: one file, another Python process, a server that he does not trust."""

import json
import os
import re
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from audit.tlog import notes, sources, witness_program
from audit.tlog.sources import Missing, Unreachable, Web
from tests.audit.growing_log import GrowingLog

Answer = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def serving(answer: Answer) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        do_POST = do_GET

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/tlog/"
    finally:
        server.shutdown()
        server.server_close()


def give(status: int, body: bytes = b"", **headers: str) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def folder_of(log: GrowingLog, taken: list[bytes], status: int = 201) -> Answer:
    """The log's folder over HTTP, and its letter box."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        if handler.command == "POST":
            taken.append(handler.rfile.read(int(handler.headers["Content-Length"])))
            return give(status, b"no thanks")(handler)
        file = log.path / handler.path.removeprefix("/tlog/")
        return give(200, file.read_bytes())(handler) if file.is_file() else give(404)(handler)

    return answer


@pytest.fixture
def log(tmp_path: Path) -> GrowingLog:
    found = GrowingLog(tmp_path / "log")
    found.grow(300)
    return found


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("program") / "witness.pyz"
    call_command("audit_witness", str(file), stdout=open(os.devnull, "w"))  # noqa: PTH123, SIM115 - nobody reads it
    return file


def run(program: Path, log: GrowingLog, place: str, *more: str) -> subprocess.CompletedProcess[str]:
    """Isolated: neither our source nor our settings are in reach."""
    arguments = ["--log", place, "--key", str(log.path / "key"), "--name", "witness.example"]
    state = ["--state", str(log.path.parent / "state")]
    return subprocess.run(
        [sys.executable, "-I", str(program), *arguments, *state, *more],
        cwd=program.parent,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_program_is_one_file_and_always_the_same(program: Path, tmp_path: Path, capsys: Any) -> None:
    again = tmp_path / "again.pyz"
    call_command("audit_witness", str(again))

    assert again.read_bytes() == program.read_bytes()
    assert re.search(r"SHA-256 [0-9a-f]{64}", capsys.readouterr().out)
    source = b"".join(zipfile.ZipFile(program).read(name) for name in zipfile.ZipFile(program).namelist())
    found = set(re.findall(rb"^(?:from|import) ([a-z0-9_]+)", source, re.MULTILINE))
    assert found - {name.encode() for name in sys.stdlib_module_names} == {b"audit", b"cryptography"}


def test_program_watches_a_server_until_it_lies(program: Path, log: GrowingLog, tmp_path: Path) -> None:
    taken: list[bytes] = []
    with serving(folder_of(log, taken)) as place:
        first = run(program, log, place)
        log.grow(500)
        second = run(program, log, place)
        other = GrowingLog(tmp_path / "other", key=log.signer.private, mark="changed")
        other.grow(900)
        log.path = other.path
        third = run(program, log, place)

    assert (first.returncode, second.returncode, third.returncode) == (0, 0, 2), third.stderr
    assert "Seen for the first time, with size 300. Cosigned." in first.stdout
    assert "Of size 800, continuing size 300. Cosigned." in second.stdout
    assert "first 800 leaves are not the ones that it has signed before" in third.stderr
    key = notes.verifier(re.findall(r"public key: (\S+)", first.stdout)[0])
    assert [notes.checkpoint(notes.check(note.decode(), key)[0]).size for note in taken] == [300, 800]
    evidence = tmp_path / "state/evidence.json"
    judged = run(program, log, "unused", "--evidence", str(evidence))
    assert (judged.returncode, judged.stdout) == (
        2,
        "log.example/log has signed 900 leaves of which the first 800 are not those it signed.\n",
    )


def test_program_reads_a_folder_and_writes_to_one(log: GrowingLog, tmp_path: Path, capsys: Any) -> None:
    arguments = ["--log", str(log.path), "--key", str(log.signer.verifier), "--name", "w"]
    arguments += ["--state", str(tmp_path / "state")]

    assert witness_program.main(arguments) == 0
    assert (tmp_path / "state/cosignatures/300").read_text().startswith(log.text)
    assert witness_program.main([*arguments, "--out", str(tmp_path / "out")]) == 0
    log.grow(1)
    assert witness_program.main([*arguments, "--out", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out/301").read_text().startswith(log.text)
    (log.path / "checkpoint").unlink()
    assert witness_program.main(arguments) == 1
    assert "Not now: checkpoint is missing" in capsys.readouterr().err


@pytest.mark.parametrize(
    "changes",
    [
        {"--key": "nonsense+1+2"},
        {"--key": "/nowhere"},
        {"--log": "http://log.example/tlog/"},
        {"--log": None},
        {"--name": "two words"},
        {"--state": None},
        {"--every": "often"},
    ],
)
def test_senseless_arguments_end_with_64(
    log: GrowingLog, tmp_path: Path, changes: dict[str, str | None]
) -> None:
    given = {
        "--log": str(log.path),
        "--key": str(log.path / "key"),
        "--name": "w",
        "--state": str(tmp_path / "s"),
    }
    arguments = [
        part for name, value in {**given, **changes}.items() if value is not None for part in (name, value)
    ]
    with pytest.raises(SystemExit) as ended:
        witness_program.main(arguments)
    assert ended.value.code == 64


def test_program_that_goes_on_stops_at_a_contradiction(
    log: GrowingLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    other = GrowingLog(tmp_path / "other", key=log.signer.private, mark="changed")
    other.grow(301)

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 1:
            (log.path / "checkpoint").rename(log.path / "away")
        elif len(waits) == 2:
            (log.path / "away").rename(log.path / "checkpoint")
        else:
            log.path.rename(tmp_path / "honest")
            other.path.rename(log.path)

    monkeypatch.setattr("audit.tlog.witness_program.time.sleep", wait)
    arguments = ["--log", str(log.path), "--key", str(log.signer.verifier), "--name", "w"]

    assert witness_program.main([*arguments, "--state", str(tmp_path / "state"), "--every", "3600"]) == 2
    assert waits == [3600, 3600, 3600]


def test_cosignature_that_is_not_taken_is_told_with_the_servers_words(log: GrowingLog) -> None:
    taken: list[bytes] = []
    with (
        serving(folder_of(log, taken, status=403)) as place,
        pytest.raises(Unreachable, match="403: no thanks"),
    ):
        Web(place).publish("note")
    assert taken == [b"note"]


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (give(404), Missing, "404"),
        (give(500, b"\x1b[2Jbusy"), Unreachable, r"500:  \[2Jbusy"),
        (give(302, Location="https://elsewhere.example/tlog/checkpoint"), Unreachable, "302"),
        (give(307, Location="/other"), Unreachable, "307"),
        (give(200, bytes(101)), Unreachable, "longer than 100 bytes"),
        (give(200, b"", **{"Content-Length": "-1"}), None, ""),
    ],
)
def test_server_that_answers_otherwise_is_not_followed(
    answer: Answer, kind: type[Exception] | None, words: str
) -> None:
    with serving(answer) as place:
        if kind is None:
            assert Web(place).read("checkpoint", 100) == b""
        else:
            with pytest.raises(kind, match=words):
                Web(place).read("checkpoint", 100)


def drip(handler: BaseHTTPRequestHandler, start: bytes) -> None:
    pause = threading.Event()
    try:
        handler.wfile.write(start)
        while not pause.wait(0.02):
            handler.wfile.write(b"0")
    except OSError:
        handler.close_connection = True


@pytest.mark.parametrize(
    "start",
    [
        b"HTTP/1.1 200 OK\r\nX: ",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n",
        b"HTTP/1.1 500 No\r\nContent-Length: 99999\r\n\r\n",
    ],
)
def test_server_that_never_ends_is_left(start: bytes) -> None:
    with (
        serving(lambda handler: drip(handler, start)) as place,
        pytest.raises(Unreachable, match=r"no whole answer within 0\.5 seconds"),
    ):
        Web(place, seconds=0.5).read("checkpoint", 100_000)


def test_partial_tile_that_became_full_is_read_from_the_full_one(log: GrowingLog) -> None:
    """A slow witness reads at 300 leaves while the log, grown past 512, has dropped that partial tile."""
    root = notes.checkpoint(log.text).root
    log.grow(400)
    assert not (log.path / "tile/0/001.p").exists()

    with serving(folder_of(log, [])) as place:
        assert sources.Fetched(Web(place), 300).root() == root


def test_evidence_that_proves_nothing_is_said_to(log: GrowingLog, tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "evidence").write_text(
        json.dumps({"before": log.note, "now": log.note, "root": "", "proof": []})
    )

    assert (
        witness_program.main(["--key", str(log.path / "key"), "--evidence", str(tmp_path / "evidence")]) == 0
    )
    assert capsys.readouterr().out == "This proves nothing against the log.\n"
