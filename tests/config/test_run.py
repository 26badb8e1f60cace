"""`manage.py run` from outside: a real start, real kills, a real stop."""

import json
import os
import queue
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from config import embedded

ROOT = Path(__file__).resolve().parent.parent.parent
MEMBERS = {"postgres", "valkey", "web", "sealer", "worker", "beat"}
pytestmark = pytest.mark.timeout(400)


def outer_environment(**changes: str) -> dict[str, str]:
    """As a person's shell has it: without the addresses and shortcuts of this test run."""
    ours = (
        "DATABASE_",
        "REDIS_URL",
        "COUNTERSIGN_",
        "SECRET_KEY",
        "DJANGO_SETTINGS_MODULE",
        "PORT",
        "HOST",
    )
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)} | changes


class Run:
    """One `manage.py run`, and what it says."""

    ready: str

    def __init__(self, var: Path, port: int) -> None:
        self.var, self.port = var, port
        self.address = f"http://127.0.0.1:{port}"
        self.environment = outer_environment(COUNTERSIGN_VAR=str(var), PORT=str(port))
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", "run"],
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line.rstrip("\n"))

    def says(self, pattern: str, seconds: float = 150) -> str:
        """The first line from here on that matches."""
        heard = []
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                break
            heard.append(line)
            if re.search(pattern, line):
                return line
        raise AssertionError(f"nothing matched {pattern!r} in:\n" + "\n".join(heard))

    def pids(self) -> dict[str, int]:
        found = self.var / "run" / "processes.json"
        deadline = time.monotonic() + 30
        while not found.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        rows = json.loads(found.read_text(encoding="utf-8"))
        return {row["name"]: row["pid"] for row in rows}

    def get(self, path: str) -> int:
        with urllib.request.urlopen(self.address + path, timeout=60) as answer:
            return int(answer.status)

    def another(self, *arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env={**self.environment, **changes},
            capture_output=True,
            text=True,
            timeout=150,
        )


def free_port() -> int:
    """One that the system gives nobody who asks for any port: other tests do, before ours is used."""
    for port in random.sample(range(15_000, 30_000), 50):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("fifty ports in use")


def remaining(pids: dict[str, int], seconds: float = 60) -> list[str]:
    """Who is still there after at most so long; a zombie that nobody collects is not."""
    deadline = time.monotonic() + seconds
    left = list(pids)
    while left and time.monotonic() < deadline:
        left = [name for name in left if _runs(pids[name])]
        time.sleep(0.05)
    return left


def _runs(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


@pytest.fixture(scope="module")
def var(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    directory = tmp_path_factory.mktemp("run") / "var"
    yield directory
    embedded.remove(directory)


@pytest.fixture(scope="module")
def run(var: Path) -> Iterator[Run]:
    started = Run(var, free_port())
    started.ready = started.says("^Countersign is at")
    yield started
    if started.process.poll() is None:
        pids = started.pids()
        started.process.kill()
        started.process.wait()
        assert remaining(pids) == []


def test_the_first_start_says_the_address_and_a_link_for_the_first_admin_in_one_line(run: Run) -> None:
    found = re.fullmatch(rf"Countersign is at {run.address} · .*: ({run.address}/\S+)", run.ready)
    assert found
    assert run.get(found.group(1).removeprefix(run.address)) == 200
    assert run.get("/") == 200
    assert set(run.pids()) == MEMBERS


@pytest.mark.parametrize("name", sorted(MEMBERS))
def test_a_killed_process_is_started_again_and_no_request_is_refused(run: Run, name: str) -> None:
    before = run.pids()
    os.kill(before[name], signal.SIGKILL)
    run.says(rf"^! {name} was ended by SIGKILL; starting it again")
    deadline = time.monotonic() + 90
    while run.pids().get(name) in (None, before[name]) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert run.get("/healthz") == 200
    after = run.pids()
    assert after[name] != before[name]
    assert {other: pid for other, pid in after.items() if other != name} == {
        other: pid for other, pid in before.items() if other != name
    }


def test_another_run_on_the_same_directory_is_refused_with_the_remedy(run: Run) -> None:
    second = run.another("run", PORT=str(free_port()))
    assert (second.returncode, second.stdout) == (1, "")
    assert f"Another `make run` (process {run.process.pid})" in second.stderr


def test_another_run_on_the_same_port_is_refused_with_the_remedy(run: Run, tmp_path: Path) -> None:
    second = run.another("run", COUNTERSIGN_VAR=str(tmp_path))
    assert (second.returncode, second.stdout) == (1, "")
    assert re.search(rf"Port {run.port} is in use.* make run PORT=\d+", second.stderr)


def test_a_command_beside_it_uses_its_services_and_leaves_them(run: Run) -> None:
    before = run.pids()
    assert "[X]" in run.another("showmigrations").stdout
    assert run.get("/readyz") == 200
    assert run.pids() == before


def test_a_killed_supervisor_takes_everything_with_it_and_the_next_start_works(run: Run) -> None:
    pids = run.pids()
    run.process.kill()
    run.process.wait()
    assert remaining(pids) == []

    again = Run(run.var, run.port)
    again.says("^Countersign is at")
    assert again.get("/readyz") == 200
    pids = again.pids()
    again.process.send_signal(signal.SIGINT)
    assert again.process.wait(90) == 0
    assert remaining(pids, seconds=5) == []
    assert not (run.var / "run" / "processes.json").exists()


def test_stopping_in_the_middle_of_a_start_leaves_nothing(var: Path) -> None:
    started = Run(var, free_port())
    started.says("PostgreSQL")
    pids = started.pids()
    started.process.send_signal(signal.SIGTERM)
    assert started.process.wait(90) == 0
    assert remaining(pids, seconds=5) == []
