"""Backoff, logs and errors of supervised processes, without starting any that matter."""

import subprocess
import sys
from pathlib import Path

import pytest

from config import children
from config.children import Child, ErrorWatch


def child(log: Path, code: str = "pass") -> Child:
    return Child("web", lambda: subprocess.Popen([sys.executable, "-c", code]), log)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import sys; sys.exit(3)", "ended with code 3"),
        ("import os; os.kill(os.getpid(), 9)", "was ended by SIGKILL"),
    ],
)
def test_an_end_is_told_in_words(tmp_path: Path, code: str, said: str) -> None:
    one = child(tmp_path / "web.log", code)
    one.start()
    assert one.process is not None
    one.process.wait()
    assert one.end() == said


def test_restarts_wait_longer_with_every_crash_and_start_over_after_a_calm_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    one = child(tmp_path / "web.log")
    one.started = 1000.0
    assert [one.plan_restart() for _ in range(7)] == [0.0, 0.5, 1.0, 2.0, 4.0, 5.0, 5.0]
    one.started = clock[0]
    clock[0] += 60
    assert one.plan_restart() == 0.0


def test_errors_in_logs_are_seen_once_and_nothing_else_is(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    log.write_text('{"event": "from an earlier start", "level": "error"}\n')
    watch = ErrorWatch([child(log)])
    with log.open("a") as file:
        file.write(
            'plain text\n{"event": "fine", "level": "info"}\n{"event": "outbox\\nis stuck", "level": "error"}\n'
        )
    assert watch.new_errors() == [("web", "outbox is stuck")]
    assert watch.new_errors() == []
    with log.open("a") as file:
        file.write("INFO:     Started\nERROR:    Exception in ASGI application\nTraceback\n")
    assert watch.new_errors() == [("web", "Exception in ASGI application")]


def test_a_long_log_is_kept_once_and_emptied_for_its_writer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(children, "_LARGEST_LOG", 10)
    log = tmp_path / "web.log"
    with log.open("a") as writer:
        writer.write("a long line of text\n")
        writer.flush()
        children.rotate(log)
        writer.write("next\n")
    assert ((tmp_path / "web.log.1").read_text(), log.read_text()) == ("a long line of text\n", "next\n")


def test_leftovers_of_a_killed_supervisor_are_ended_but_not_a_stranger_with_the_same_pid(
    tmp_path: Path,
) -> None:
    state = tmp_path / "processes.json"
    left = child(tmp_path / "web.log", "import time; time.sleep(60)")
    left.start()
    children.record([left], state)
    stranger = state.read_text().replace('"created": ', '"created": 1')
    (tmp_path / "stranger.json").write_text(stranger)
    assert children.end_leftovers(tmp_path / "stranger.json", keep=frozenset()) == []
    assert children.end_leftovers(state, keep=frozenset({"web"})) == []
    assert left.end() is None
    assert children.end_leftovers(state, keep=frozenset()) == ["web"]
    assert left.end() == "was ended by SIGTERM"
