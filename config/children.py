"""The processes under the supervisor: started, watched, started again after a crash, stopped."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from config import processes

_LONGEST_PAUSE = 5.0
_HEALTHY_AFTER = 10.0  # seconds without a crash, after which the next one counts as the first again
_LARGEST_LOG = 20_000_000  # bytes


@dataclass
class Child:
    """One supervised process. `launch` starts it; a service that runs already can be adopted instead."""

    name: str
    launch: Callable[[], subprocess.Popen[bytes]]
    log: Path
    pid: int | None = None
    process: subprocess.Popen[bytes] | None = None
    due: float | None = None
    crashes: int = 0
    started: float = field(default=0.0)

    def start(self) -> None:
        self.due = None
        self.process = self.launch()
        self.adopt(self.process.pid)

    def adopt(self, pid: int) -> None:
        self.pid, self.started = pid, time.monotonic()

    def end(self) -> str | None:
        """How it ended, in words; None while it runs or waits for its next start."""
        if self.pid is None:
            return None
        if self.process is None or self.process.pid != self.pid:
            return None if processes.alive(self.pid) else "is gone"
        code = self.process.poll()
        if code is None:
            return None
        return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"

    def plan_restart(self) -> float:
        """Seconds until the next start: none at first, then longer with every crash that follows soon."""
        if time.monotonic() - self.started > _HEALTHY_AFTER:
            self.crashes = 0
        pause = 0.0 if self.crashes == 0 else min(0.25 * 2**self.crashes, _LONGEST_PAUSE)
        self.crashes += 1
        self.pid = self.process = None
        self.due = time.monotonic() + pause
        return pause

    def is_due(self) -> bool:
        return self.due is not None and time.monotonic() >= self.due


def program(
    name: str,
    arguments: list[str],
    *,
    environment: dict[str, str],
    root: Path,
    logs: Path,
    keep: tuple[int, ...] = (),
) -> Child:
    """One of our Python programs: its output goes to a log of its name, and it ends when the supervisor does."""
    log = logs / f"{name}.log"
    rotate(log)

    def launch() -> subprocess.Popen[bytes]:
        with log.open("ab") as output:
            return subprocess.Popen(
                [sys.executable, "-m", *arguments],
                cwd=root,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=keep,
                start_new_session=True,  # Ctrl-C reaches the supervisor alone, which stops them in order
                preexec_fn=processes.die_with_parent(signal.SIGTERM),
            )

    return Child(name, launch, log)


def rotate(log: Path) -> None:
    """Keep one earlier log, so that a year of work does not fill the disk.

    The file is emptied in place, since its writer goes on appending to it.
    """
    with suppress(FileNotFoundError):
        if log.stat().st_size > _LARGEST_LOG:
            shutil.copyfile(log, log.with_suffix(".log.1"))
            os.truncate(log, 0)


def stop_all(children: Iterable[Child], seconds: float) -> None:
    """Ask all of them to finish, wait together, and end with force those that did not."""
    running = [child for child in children if child.pid is not None]
    for child in running:
        _signal_group(child, signal.SIGTERM)
    deadline = time.monotonic() + seconds
    while any(child.end() is None for child in running) and time.monotonic() < deadline:
        time.sleep(0.02)
    kill_all(running)


def kill_all(children: Iterable[Child]) -> None:
    for child in children:
        if child.end() is None:
            _signal_group(child, signal.SIGKILL)
        if child.process is not None:
            child.process.wait()
        child.pid = child.process = child.due = None


def _signal_group(child: Child, number: signal.Signals) -> None:
    if child.pid is not None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, number)


def record(children: Iterable[Child], path: Path) -> None:
    """Who runs now, for people, for tests that kill one of them, and for the start after a killed supervisor."""
    rows = [
        {"name": child.name, "pid": child.pid, "created": processes.created_at(child.pid)}
        for child in children
        if child.pid is not None
    ]
    new = path.with_suffix(".new")
    new.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    new.replace(path)


def end_leftovers(path: Path, keep: frozenset[str]) -> list[str]:
    """End what an earlier supervisor started and could not stop; returns their names. Services are kept."""
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        left = [row for row in rows if row["created"] and processes.alive(row["pid"], created=row["created"])]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    names = []
    for row in left:
        if row["name"] not in keep:
            processes.stop(row["pid"], [(signal.SIGTERM, 8.0), (signal.SIGKILL, 5.0)])
            names.append(row["name"])
    return names


class ErrorWatch:
    """New error lines in the children's logs, so that an error is seen without reading files."""

    def __init__(self, children: Iterable[Child]) -> None:
        self._places = {child.name: (child.log, _size(child.log)) for child in children}

    def new_errors(self) -> list[tuple[str, str]]:
        """(name of the child, what it says), at most one per child and call."""
        found = []
        for name, (log, position) in self._places.items():
            size = _size(log)
            if size == position:
                continue
            with log.open("rb") as file:
                file.seek(position if position < size else 0)
                text = file.read(1_000_000).decode(errors="replace")
            self._places[name] = (log, size)
            if error := next((_error(line) for line in text.splitlines() if _error(line)), None):
                found.append((name, error))
        return found


def _size(log: Path) -> int:
    try:
        return log.stat().st_size
    except OSError:
        return 0


def _error(line: str) -> str | None:
    """What a line at level error or worse says: ours are structured, uvicorn's own are not."""
    if line.startswith("ERROR:"):
        return line.removeprefix("ERROR:").strip()[:200]
    if '"level": "error"' not in line and '"level": "critical"' not in line:
        return None
    try:
        return " ".join(str(json.loads(line).get("event", "an error")).split())[:200]
    except ValueError:
        return None
