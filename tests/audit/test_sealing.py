"""Sealing on a server of its own: order, crashes at every point, and two sealers."""

import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import StringIO
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import override_settings

from audit import log_files, roles
from audit.sealer_database import Database
from audit.sealer_files import Refused
from audit.sealer_process import Process
from audit.sealing import Sealer
from audit.tlog import folder
from config.embedded.postgres import Postgres
from tests import sealing
from tests.sealing import ORIGIN, Log


@pytest.fixture
def log(server: Postgres, tmp_path: Path) -> Log:
    return sealing.fresh_log(server, tmp_path)


def test_events_become_leaves_of_a_signed_checkpoint_in_their_order(log: Log) -> None:
    log.write(times=3)
    assert log.seal() == 3
    log.write(times=600)
    assert log.seal() == 603
    assert log.check() == log.events()
    assert [one.size for one in log.checkpoints()] == [3, 603]
    assert log.published().origin == ORIGIN


def test_the_key_is_for_the_sealer_alone_and_its_public_half_for_all(log: Log) -> None:
    log.write()
    log.seal()
    key = log.files.path / "key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert stat.S_IMODE(log.files.path.stat().st_mode) == 0o700
    assert b"PRIVATE KEY" in key.read_bytes()
    assert (log.path / "key").read_text().startswith(f"{ORIGIN}+")
    with pytest.raises(Refused, match="key is not"):
        key.unlink()
        log.seal()


def test_leaves_say_nothing_of_the_content(log: Log) -> None:
    (event,) = log.write()
    log.seal()
    (leaf,) = log.leaves()
    with log.connected() as connection:
        row = connection.execute("SELECT transaction, commitment FROM audit_auditevent").fetchone()
    assert row is not None
    assert (leaf.event, leaf.kind, leaf.transaction) == (event, "person.signed_in", row[0])
    assert leaf.commitment == bytes(row[1]).hex()
    assert set(json.loads(leaf.data)) == {"commitment", "event", "kind", "time", "transaction", "v"}


def test_what_a_long_transaction_holds_back_is_sealed_later_and_never_skipped(log: Log) -> None:
    """Its number is lower than that of events that were committed long before it."""
    with log.connected() as slow, log.connected() as quick:
        slow.autocommit = False
        late = log.write(slow)
        early = log.write(quick, times=5)
        with log.sealer() as one:
            assert one.step() == 0
            slow.commit()
            assert one.step() == 6
        assert log.check() == late + early


def test_aborted_transactions_and_savepoints_leave_no_gap(log: Log) -> None:
    with log.connected() as connection:
        log.write(connection)
        with pytest.raises(ZeroDivisionError), connection.transaction():
            log.write(connection, times=3)
            raise ZeroDivisionError
        with connection.transaction():
            kept = log.write(connection)
            with pytest.raises(ZeroDivisionError), connection.transaction():
                log.write(connection)
                raise ZeroDivisionError
            kept += log.write(connection)
    assert log.seal() == 3
    assert log.check() == log.events()
    assert log.check()[1:] == kept


def test_a_row_that_was_changed_before_it_was_sealed_is_named_and_stops_there(log: Log) -> None:
    log.write(times=2)
    (changed,) = log.write()
    log.write()
    with log.as_intruder() as connection:
        connection.execute("UPDATE audit_auditevent SET content = content || ' ' WHERE id = %s", [changed])
    with log.sealer() as one:
        assert one.step() == 2
        with pytest.raises(Refused, match=rf"Event {changed} \(person.signed_in\) was changed"):
            one.step()
    with log.as_intruder() as connection:
        connection.execute("UPDATE audit_auditevent SET content = trim(content) WHERE id = %s", [changed])
    assert log.seal() == 4
    assert log.check() == log.events()


# ── crashes ──────────────────────────────────────────────────────────────────────────────────────────────────────────


class Killed(BaseException):
    """The process ends here."""


PARTS = ["_append", "_check_consistent", "_remember", "_keep", "_publish", "_index"]


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("part", PARTS)
def test_a_crash_at_any_point_is_repaired_by_the_next_start(
    log: Log, monkeypatch: pytest.MonkeyPatch, part: str, moment: str
) -> None:
    """Also where the next start finds more events than the one that crashed: 250 then 600, across tiles."""
    log.write(times=250)
    log.seal()
    log.write(times=20)
    real: Callable[..., Any] = getattr(Sealer, part)

    def crash(self: Sealer, *values: Any) -> None:
        if moment == "after":
            real(self, *values)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Sealer, part, crash)
        with pytest.raises(Killed):
            log.seal()
    log.write(times=330)
    assert log.seal() == 600
    assert log.check() == log.events()


def test_a_crash_inside_the_writing_of_tiles_is_repaired(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """After each single file of a batch that fills tiles of three rows of files, one after the other."""
    log.write(times=200)
    log.seal()
    real = folder.write
    for files in range(1, 30):
        log.write(times=60)
        left = count(files)

        def write(path: Path, data: bytes, left: Iterator[int] = left, files: int = files) -> None:
            if next(left) == 2 * files - 1:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.with_name(f".{path.name}.1").write_bytes(data[:7])
                raise Killed
            real(path, data)

        with monkeypatch.context() as patch:
            patch.setattr(folder, "write", write)
            try:
                log.seal()
            except Killed:
                continue
            break
    else:
        pytest.fail("no batch was ever written to its end")
    log.seal()
    assert files > 4
    assert log.check() == log.events()
    assert not [file for file in log.path.rglob(".*") if file.is_file()]


@pytest.mark.parametrize(
    "torn", ["", "test.example/log\n10\nabc", "test.example/log\n10\nabc=\n\n— test.example/lo"]
)
def test_a_torn_note_of_the_day_is_cut_away(log: Log, torn: str) -> None:
    log.write(times=2)
    log.seal()
    (day,) = (log.path / "checkpoints").iterdir()
    with day.open("a") as file:
        file.write(torn)
    log.write()
    log.seal()
    assert [one.size for one in log.checkpoints()] == [2, 3]
    log.check()


def test_a_lost_row_of_the_index_comes_back_from_the_files(log: Log) -> None:
    log.write(times=700)
    log.seal()
    with log.as_intruder() as connection:
        connection.execute("DELETE FROM audit_auditleaf WHERE number >= 30")
    log.seal()
    assert log.check() == log.events()


def test_a_wrong_row_of_the_index_is_named(log: Log) -> None:
    log.write(times=2)
    log.seal()
    log.write()
    with log.as_intruder() as connection:
        connection.execute("INSERT INTO audit_auditleaf (number, event, hash) VALUES (1000, 3, 'x')")
    with pytest.raises(Refused, match="knows leaf 1000"):
        log.seal()
    with log.as_intruder() as connection:
        connection.execute("DELETE FROM audit_auditleaf WHERE number = 1000")
        connection.execute("UPDATE audit_auditleaf SET event = 3 WHERE number = 1")
    with pytest.raises(Refused, match="audit_auditleaf contradicts"):
        log.seal()


# ── the process ──────────────────────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def running(log: Log, **more: Any) -> Iterator[Process]:
    stop = threading.Event()
    process = Process(
        connect=log.as_sealer, files=log.files, log=log.path, origin=ORIGIN, stop=stop, pauses=0.02, **more
    )
    thread = threading.Thread(target=process.run)
    thread.start()
    try:
        yield process
    finally:
        stop.set()
        thread.join(30)
        assert not thread.is_alive()


def until(asked: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 100
    while time.monotonic() < deadline:
        if found := asked():
            return found
        time.sleep(0.01)
    return pytest.fail("it did not come about")


def said(log: Log) -> tuple[int, str] | None:
    with log.connected() as connection:
        row = connection.execute("SELECT size, problem FROM audit_sealerstate").fetchone()
    return row and (int(row[0]), str(row[1]))


def test_two_sealers_take_turns_and_one_alone_writes(log: Log, server: Postgres) -> None:
    """The first one, another process, is killed; the second takes over at once."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            with log.files.locked() as is_mine:
                os.write(writer, b"1" if is_mine else b"0")
                signal.pause()
        finally:
            os._exit(1)
    assert os.read(reader, 1) == b"1"
    with running(log) as second:
        log.write(times=2)
        with log.files.locked() as is_mine:
            assert not is_mine
        assert said(log) is None and not second._leads.is_set()
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        until(lambda: said(log) == (2, ""))
    log.check()
    os.close(reader)
    os.close(writer)


def test_a_sealer_with_another_directory_waits_for_the_sessions_lock(log: Log) -> None:
    """On another host: no shared lock file, the same database."""
    with log.as_sealer() as first:
        assert Database(first).lead()
        with running(log) as second:
            log.write()
            with log.as_sealer() as third:
                assert not Database(third).lead()
            assert not second._leads.is_set()
            first.close()
            until(lambda: said(log) == (1, ""))
    log.check()


def test_a47_a_full_disk_is_said_nothing_is_half_sealed_and_it_goes_on_by_itself(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A47. The disk fills while tiles are written, and while a note is."""
    log.write(times=3)
    with running(log):
        until(lambda: said(log) == (3, ""))
        for module, name in ((folder, "write"), (log_files, "keep"), (log_files, "publish")):
            before = log.published()

            def full(*values: Any, **named: Any) -> None:
                raise OSError(28, "No space left on device", "the log")

            with monkeypatch.context() as patch:
                patch.setattr(module, name, full)
                log.write(times=300)
                until(lambda: "No space left on device" in (said(log) or (0, ""))[1])
                assert log.published() == before
            until(lambda: said(log) == (len(log.events()), ""))
            log.check()


def test_a_database_that_comes_back_finds_the_sealer_waiting(log: Log) -> None:
    with running(log):
        log.write()
        until(lambda: said(log) == (1, ""))
        with log.as_intruder() as administrator:
            administrator.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        log.write()
        until(lambda: said(log) == (2, ""))
    log.check()


def test_what_nobody_has_foreseen_is_said_as_well(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault of ours must not pass for a sealer that merely does not run."""
    no_such_tile: dict[str, bytes] = {}
    log.write()
    with running(log):
        until(lambda: said(log) == (1, ""))
        with monkeypatch.context() as patch:
            patch.setattr(Sealer, "_append", lambda *_: no_such_tile["no such tile"])
            log.write()
            until(
                lambda: (said(log) or (0, ""))[1].startswith("The sealer failed (KeyError: 'no such tile')")
            )
        until(lambda: said(log) == (2, ""))
    log.check()


def test_the_command_seals_as_its_own_role_and_ends_when_asked(log: Log, server: Postgres) -> None:
    environment = {
        **sealing.environment(server),
        **{roles.VARIABLES[role]: url for role, url in log.urls.items()},
        "COUNTERSIGN_SEALER_DIR": str(log.files.path),
        "COUNTERSIGN_LOG_DIR": str(log.path),
    }

    log.write(times=2)
    with pytest.raises(CommandError, match="its key is made when the sealer first starts"):
        public_key(log)
    command = [sys.executable, "manage.py", "seal", "--skip-checks"]
    with subprocess.Popen(command, cwd=sealing.ROOT, env=environment) as process:
        try:
            until(lambda: said(log) == (2, ""))
            process.terminate()
            assert process.wait(60) == 0
        finally:
            process.kill()
    log.check()
    assert public_key(log) == (log.path / "key").read_text()


def public_key(log: Log) -> str:
    output = StringIO()
    with override_settings(LOG_DIR=log.path):
        call_command("seal", key=True, stdout=output)
    return output.getvalue()


def test_anchors_run_beside_and_their_faults_stop_nothing(log: Log) -> None:
    called = threading.Event()

    def beside() -> None:
        called.set()
        raise RuntimeError("the authority is away")

    with running(log, beside=beside):
        log.write()
        until(lambda: said(log) == (1, ""))
        assert called.wait(30)
        log.write()
        until(lambda: said(log) == (2, ""))
