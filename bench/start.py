"""How long the second `make run` takes to its first page, and what every process holds in memory at rest.

    .venv/bin/python -m bench.start [--seconds-at-rest 10]

The reference run in the same minutes is the fastest that Python can be here: importing Django and answering one
request from a bare WSGI function, so that a slow machine shows in both.
"""

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
GOAL_SECONDS = 8.0
_BARE = """
import time, wsgiref.simple_server, django.core.handlers.wsgi, django.db.models, django.forms, sys
server = wsgiref.simple_server.make_server("127.0.0.1", int(sys.argv[1]),
    lambda environ, start: (start("200 OK", []), [b"<html>"])[1])
server.handle_request()
"""


@dataclass(frozen=True)
class Started:
    seconds: float
    make: subprocess.Popen[bytes]


@contextmanager
def _running(port: int, var: Path) -> Iterator[Started]:
    """`make run` until its first page is there; stopped, and waited for, at the end."""
    environment = {
        **{
            name: value
            for name, value in os.environ.items()
            if name != "REDIS_URL" and not name.startswith("DATABASE_")
        },
        "PORT": str(port),
        "COUNTERSIGN_VAR": str(var),
    }
    started = time.monotonic()
    make = subprocess.Popen(
        ["make", "run"], cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    try:
        _first_page(port, make)
        yield Started(time.monotonic() - started, make)
    finally:
        make.send_signal(signal.SIGTERM)
        make.wait(60)


def _first_page(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        if process.poll() is not None:
            sys.exit(
                f"the server ended with {process.returncode} before its first page; run `make run` to see why"
            )
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=60) as answer:
                if b"<html" in answer.read():
                    return
        except urllib.error.HTTPError as error:
            sys.exit(f"the first page answered {error.code}")
        except OSError:
            time.sleep(0.02)
    sys.exit("no first page within three minutes")


def _bare_seconds(port: int) -> float:
    started = time.monotonic()
    process = subprocess.Popen([sys.executable, "-c", _BARE, str(port)], stderr=subprocess.DEVNULL)
    _first_page(port, process)
    process.wait(10)
    return time.monotonic() - started


def _proportional_kilobytes(process: psutil.Process) -> int:
    """PSS, which shares out common pages; resident size where the system does not tell it."""
    try:
        return int(process.memory_full_info().pss) // 1024
    except (AttributeError, psutil.AccessDenied):
        return int(process.memory_info().rss) // 1024


def _memory(var: Path, make: subprocess.Popen[bytes]) -> list[tuple[str, int, int]]:
    """(name, number of processes, kB) of each member with its children, the supervisor first."""
    supervisors = psutil.Process(make.pid).children()
    members = [("supervisor", process) for process in supervisors]
    for row in json.loads((var / "run" / "processes.json").read_text(encoding="utf-8")):
        members.append((row["name"], psutil.Process(row["pid"])))
    rows = []
    for name, process in members:
        family = [process] if name == "supervisor" else [process, *process.children(recursive=True)]
        rows.append((name, len(family), sum(_proportional_kilobytes(one) for one in family)))
    return rows


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds-at-rest", type=float, default=10.0, help="before memory is read")
    parser.add_argument("--rounds", type=int, default=3, help="second starts to take the median of")
    options = parser.parse_args()
    port = _free_port()
    with tempfile.TemporaryDirectory(prefix="countersign-bench-") as directory:
        Path(directory).chmod(0o755)
        var = Path(directory) / "var"
        with _running(port, var) as first:
            first_seconds = first.seconds
        later: list[float] = []
        bare: list[float] = []
        memory: list[tuple[str, int, int]] = []
        for _ in range(options.rounds):
            bare.append(_bare_seconds(_free_port()))
            with _running(port, var) as again:
                later.append(again.seconds)
                if not memory:
                    time.sleep(options.seconds_at_rest)
                    memory = _memory(var, again.make)
    second, reference = sorted(later)[len(later) // 2], sorted(bare)[len(bare) // 2]

    console = Console()
    times = Table(title="Start to first page (median)", title_justify="left")
    for heading in ("what", "seconds", "÷ bare Django", "goal"):
        times.add_column(heading, justify="left" if heading == "what" else "right")
    times.add_row(
        "make run, empty data directory", f"{first_seconds:.1f}", f"{first_seconds / reference:.1f}", ""
    )
    verdict = f"≤ {GOAL_SECONDS:.0f} s {'✓' if second <= GOAL_SECONDS else '✗'}"
    times.add_row("make run, second time", f"{second:.1f}", f"{second / reference:.1f}", verdict)
    times.add_row("bare Django import and one page", f"{reference:.1f}", "1.0", "")
    console.print(times)
    table = Table(title=f"Memory at rest, {options.seconds_at_rest:.0f} s later (PSS)", title_justify="left")
    for heading in ("process", "count", "MB"):
        table.add_column(heading, justify="left" if heading == "process" else "right")
    for name, count, kilobytes in memory:
        table.add_row(name, str(count), f"{kilobytes / 1024:.0f}")
    table.add_row("all", str(sum(row[1] for row in memory)), f"{sum(row[2] for row in memory) / 1024:.0f}")
    console.print(table)


if __name__ == "__main__":
    main()
