"""Thousands of agents wait on one web process: what one costs, and how soon it has its decision.

    make bench ARGS=waiting          (BENCH_AGENTS=100,1000,10000 BENCH_DECISIONS=300 BENCH_PACE=10 by default)

Every agent has a credential and a proposal of its own and the limits that every installation starts with. They wait by
long-poll, by stream of events, and behind webhook endpoints. Decisions are made by the use case in this process at a
steady pace; the clock runs from the return of the commit to the last byte of the answer at the agent, or to the whole
request at its endpoint. References, beside it: a bare ASGI application under the same uvicorn that holds as many
requests, for memory; and a plain LISTEN on the same commits in the process of the agents, for latency. Goals, at
10,000: 30 kB a waiter, p99 50 ms."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import psutil

from bench import stage, waiting_clients

if TYPE_CHECKING:  # models can be imported only once an installation has been prepared
    from bench.waiting_crowd import Waiter
    from tests.factories import Desk

AGENTS = [int(size) for size in os.environ.get("BENCH_AGENTS", "100,1000,10000").split(",")]
DECISIONS = int(os.environ.get("BENCH_DECISIONS", "300"))
PACE = float(os.environ.get("BENCH_PACE", "10"))
ARRIVE = float(os.environ.get("BENCH_ARRIVE", "500"))
"""Agents that come in a second."""
REST = float(os.environ.get("BENCH_REST", "20"))
"""Seconds for which all wait and nothing is decided."""
KINDS = os.environ.get("BENCH_KINDS", "long-poll,sse,webhook").split(",")
PATIENCE = 120.0
LARGEST, MOST_LATE = 30_000, 0.05
BARE = ("-c", "from bench import waiting_bare; waiting_bare.main()")
CLIENTS = ("-c", "from bench import waiting_clients; waiting_clients.main()")
WORKER = ("-m", "celery", "-A", "config", "worker", "--pool=threads", "--concurrency=10", "--loglevel=WARNING",
          "--without-gossip", "--without-mingle", "--without-heartbeat")  # fmt: skip
"""The worker of config/supervisor.py."""


@dataclass
class Row:
    """One kind of waiting at one size. Bytes and seconds; None where there is nothing to measure."""

    agents: int
    kind: str
    each: float | None
    """Memory of a waiter."""
    bare: float | None
    after: float | None
    """Memory of a waiter once the decisions are made: what grew meanwhile, grew for nothing."""
    settled: float
    rest: float | None
    """Share of a core that the web process uses while all wait and nothing happens."""
    late: list[float]
    least: list[float]
    """From the commit to the reference's notification."""


def main() -> None:
    waiting_clients.check_files(max(AGENTS))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("told to stop"))  # what was started is stopped
    var = stage.prepare("waiting", limits=True)
    try:
        from bench import waiting_crowd
        from tests.factories import desk

        load = os.getloadavg()[0]
        begun = time.perf_counter()
        the = desk()
        crowd = waiting_crowd.gather(the, max(AGENTS))
        print(
            f"{len(crowd):,} agents made in {time.perf_counter() - begun:.0f} s; load before: {load:.1f}",
            flush=True,
        )
        rows = [row for size in AGENTS for row in measured(the, crowd[:size], var)]
        print(table(rows))
        print(f"{time.perf_counter() - begun:.0f} s in all")
        if missed := verdicts(rows):
            print("missed: " + "; ".join(missed))
    finally:
        stage.clean_up(var)


def measured(the: "Desk", crowd: "list[Waiter]", var: Path) -> Iterator[Row]:
    """Every kind of waiting, with this many agents."""
    from bench import waiting_crowd

    bare = held(crowd, var) if {"long-poll", "sse"} & set(KINDS) else None
    for kind in KINDS:
        template = the.propose()
        proposals = [str(pk) for pk in waiting_crowd.propose(template.pk, crowd, key=f"crowd-{template.pk}")]
        yield (hooked if kind == "webhook" else connected)(the, crowd, proposals, var, kind=kind, bare=bare)


def held(crowd: "list[Waiter]", var: Path) -> float:
    """Bytes that a request costs which is only held."""
    with (
        stage.web(1, program=BARE) as address,
        clients(var, "long-poll", address, crowd, ["-"] * len(crowd)) as they,
    ):
        process = _child("waiting_bare")
        before = process.memory_info().rss
        they.open()
        time.sleep(1)
        return float(process.memory_info().rss - before) / len(crowd)


def connected(
    the: "Desk", crowd: "list[Waiter]", proposals: list[str], var: Path, *, kind: str, bare: float | None
) -> Row:
    """Agents that keep a connection open to one web process."""
    with stage.web(1) as address, clients(var, kind, address, crowd, proposals) as they:
        _warm(address, the.token)
        web = _child("config.web")
        before = web.memory_info().rss
        begun = time.perf_counter()
        _forget_use()
        they.open()
        _until_all_read(len(crowd))
        settled = time.perf_counter() - begun
        time.sleep(2)
        each = (web.memory_info().rss - before) / len(crowd)
        busy = _seconds(web)
        time.sleep(REST)
        rest = (_seconds(web) - busy) / REST
        decided = decide(the, proposals)
        heard = they.end(decided)
        after = (web.memory_info().rss - before) / len(crowd)
    late, least = _latencies(decided, heard)
    row = Row(len(crowd), kind, each, bare, after, settled, rest, late, least)
    print(table([row]).splitlines()[-1], f" ({heard['renewed']} asked again)", flush=True)
    return row


def hooked(
    the: "Desk", crowd: "list[Waiter]", proposals: list[str], var: Path, *, kind: str, bare: float | None
) -> Row:
    """Agents that are called: the worker sends, as many endpoints as agents."""
    from bench import waiting_crowd

    begun = time.perf_counter()
    with clients(var, kind, ("127.0.0.1", 0), crowd, proposals) as they, worker(var):
        waiting_crowd.endpoints(the, crowd, f"http://127.0.0.1:{they.port}")
        settled = time.perf_counter() - begun
        _until_it_listens()
        decided = decide(the, proposals)
        heard = they.end(decided)
    waiting_crowd.forget_endpoints()
    late, least = _latencies(decided, heard)
    row = Row(len(crowd), kind, None, None, None, settled, None, late, least)
    print(table([row]).splitlines()[-1], flush=True)
    return row


def decide(the: "Desk", proposals: list[str]) -> dict[str, float]:
    """Approve some of them, spread over all; when each commit had returned."""
    from approvals.models import Proposal, Verdict

    decided: dict[str, float] = {}
    begun = time.perf_counter()
    for number, pk in enumerate(spread(proposals, DECISIONS)):
        time.sleep(max(0.0, begun + number / PACE - time.perf_counter()))
        the.decide(Proposal.objects.get(pk=pk), Verdict.APPROVE)
        decided[pk] = time.perf_counter()
    return decided


def spread(proposals: list[str], count: int) -> list[str]:
    """So many of them, evenly apart."""
    return proposals[:: max(1, len(proposals) // count)][:count]


def _latencies(decided: dict[str, float], heard: dict[str, Any]) -> tuple[list[float], list[float]]:
    """Of the agents, and of the reference. Raises SystemExit where anybody was refused, cut off or not told."""
    if heard["refused"]:
        raise SystemExit(f"refused: {heard['refused'][0]}")
    if heard["lost"]:
        raise SystemExit(f"{heard['lost']} connections were cut off")
    if untold := decided.keys() - heard["told"].keys():
        raise SystemExit(f"{len(untold)} agents never heard of their decision")
    return tuple(  # type: ignore[return-value]
        sorted(heard[of][pk] - at for pk, at in decided.items()) for of in ("told", "noticed")
    )


class Crowd:
    """The process of the agents, and what it says."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.port = int(self._line("ready").partition(" ")[2] or 0)

    def open(self) -> None:
        """All have connected and asked."""
        self._say("open")
        self._line("opened")

    def end(self, decided: dict[str, float]) -> dict[str, Any]:
        """What was heard, once all that was decided has been, or two minutes have passed."""
        time.sleep(2)
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            self._say("told")
            if int(self._line("told").partition(" ")[2]) >= len(decided):
                break
            time.sleep(0.5)
        self._say("end")
        found: dict[str, Any] = json.loads(self._line("{"))
        return found

    def _say(self, word: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()

    def _line(self, beginning: str) -> str:
        assert self.process.stdout is not None
        while line := self.process.stdout.readline():
            if line.startswith(beginning):
                return line
        raise SystemExit("the process of the agents has ended")


@contextmanager
def clients(
    var: Path, kind: str, address: tuple[str, int], crowd: "list[Waiter]", proposals: list[str]
) -> Iterator[Crowd]:
    """The agents, in a process of their own, which ends with the block."""
    from approvals.transitions import CHANNEL
    from config.waiting import _conninfo

    plan = var / "agents.json"
    plan.write_text(
        json.dumps(
            {
                "kind": kind,
                "host": address[0],
                "port": address[1],
                "agents": [[one.token, pk] for one, pk in zip(crowd, proposals, strict=True)],
                "per_second": ARRIVE,
                "database": _conninfo(),
                "channel": CHANNEL,
            }
        )
    )
    command = [sys.executable, *CLIENTS, str(plan)]
    process = subprocess.Popen(
        command, cwd=stage.ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield Crowd(process)
    finally:
        _stop(process)


@contextmanager
def worker(var: Path) -> Iterator[None]:
    """The worker and its beat, as `make run` has them."""
    schedule = f"--schedule={var / 'beat'}"
    beat = ("-m", "celery", "-A", "config", "beat", "--pidfile=", schedule, "--loglevel=WARNING")
    with ExitStack() as stack:
        for program in (WORKER, beat):
            process = subprocess.Popen([sys.executable, *program], cwd=stage.ROOT)
            stack.callback(_stop, process)
        yield


def _stop(process: "subprocess.Popen[Any]") -> None:
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _child(word: str) -> psutil.Process:
    for child in psutil.Process().children():
        if any(word in part for part in child.cmdline()):
            return child
    raise SystemExit(f"{word} does not run")


def _seconds(process: psutil.Process) -> float:
    used = process.cpu_times()
    return float(used.user + used.system)


def _warm(address: tuple[str, int], token: str) -> None:
    """One of each kind, so that what the process loads once is no waiter's. By an agent that is none of the crowd."""
    for path in (f"/api/v1/proposals/{uuid4()}?wait=1", "/api/v1/events"):
        with socket.create_connection(address, timeout=30) as one:
            words = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n"
            one.sendall(words.encode())
            one.recv(65536)


def _forget_use() -> None:
    from agents.models import Credential

    Credential.objects.update(last_used_at=None)


def _until_all_read(count: int) -> None:
    """Every agent has been recognised, which is when its proposal is read."""
    from agents.models import Credential

    deadline = time.monotonic() + PATIENCE
    while (known := Credential.objects.exclude(last_used_at=None).count()) < count:
        if time.monotonic() > deadline:
            raise SystemExit(f"only {known} of {count} agents were heard within {PATIENCE:g} s")
        time.sleep(0.2)


def _until_it_listens() -> None:
    """A sender has the place of the one that listens (approvals/services/send_webhooks.py)."""
    from django.db import connection

    from approvals.services.send_webhooks import LOCK

    held = (
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = %s AND objid = 0 AND granted"
    )
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with connection.cursor() as cursor:
            cursor.execute(held, [LOCK])
            if cursor.fetchone()[0]:
                return
        time.sleep(0.2)
    raise SystemExit("no sender listens")


def table(rows: list[Row]) -> str:
    """As docs/benchmarks.md shows it."""
    lines = [
        "| agents | by | a waiter, kB | ÷ bare | after, kB | all read after | at rest, of a core "
        "| commit → agent p50 | p99 | commit → LISTEN p50 | p99 | p99 ÷ p99 |",
        "|---:|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        cells = [f"{row.agents:,}", row.kind]
        if row.each is None or row.bare is None or row.after is None or row.rest is None:
            cells += [""] * 5
        else:
            cells += [f"{row.each / 1000:.1f}", f"{row.each / row.bare:.2f}", f"{row.after / 1000:.1f}"]
            cells += [f"{row.settled:.1f} s", f"{row.rest:.0%}"]
        cells += [f"{stage.milliseconds(at(of, q))} ms" for of in (row.late, row.least) for q in (0.5, 0.99)]
        cells.append(f"{at(row.late, 0.99) / at(row.least, 0.99):.1f}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def at(ordered: list[float], quantile: float) -> float:
    return ordered[min(len(ordered) - 1, int(quantile * len(ordered)))]


def verdicts(rows: list[Row]) -> list[str]:
    """Which goals were missed; those of memory want enough waiters to be told from noise."""
    return [
        f"{row.agents:,} by {row.kind}: {what}"
        for row in rows
        for what, is_missed in (
            ("memory", row.each is not None and row.agents >= 1000 and row.each > LARGEST),
            ("p99", at(row.late, 0.99) > MOST_LATE),
        )
        if is_missed
    ]


if __name__ == "__main__":
    main()
