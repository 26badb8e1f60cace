"""How soon open pages hear of a change, what a stream costs, and what telling costs an agent that proposes.

    make bench ARGS=stream           (BENCH_STREAMS=200 by default)

Streams of forty reviewers on one web process. First each watches a proposal of its own while decisions are made at a
steady pace: the clock runs from the return of the commit to the event at the socket. Then all watch one queue and one
proposal comes in: a process invites only so many pages a second to look again (config/streaming.py), so the last hears
of it later, on purpose. Then the same proposals are submitted with and without marking, in turns."""

import os
import selectors
import socket
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from unittest import mock

import psutil

from bench import decide, stage

STREAMS = int(os.environ.get("BENCH_STREAMS", "200"))
PACE = float(os.environ.get("BENCH_PACE", "20"))
PER_PERSON = 5
TURNS = 40
IN_A_TURN = 40
MARKS = 20_000


@dataclass
class Ear:
    """One open stream and when each of its news arrived."""

    socket: socket.socket
    heard: list[float] = field(default_factory=list)
    rest: bytes = b""

    def read(self) -> None:
        data = self.socket.recv(65536)
        if not data:
            raise SystemExit("a stream was closed")
        self.rest += data
        *lines, self.rest = self.rest.split(b"\n")
        self.heard += [time.perf_counter() for line in lines if line.startswith(b"data: ")]


def main() -> None:
    var = stage.prepare("stream")
    try:
        from tests.factories import desk, reviewer

        the = desk()
        people = [reviewer(the.queue) for _ in range(-(-STREAMS // PER_PERSON))]
        cookies = [_cookie(person) for person in people for _ in range(PER_PERSON)][:STREAMS]
        with stage.web(1) as address:
            one_each(address, the, cookies)
            all_at_once(address, the, cookies)
        marking(the)
    finally:
        stage.clean_up(var)


def _cookie(person: object) -> str:
    from django.test import Client

    from accounts.models import User

    assert isinstance(person, User)
    client = Client()
    client.force_login(person)
    return str(client.cookies["sessionid"].value)


def _open(address: tuple[str, int], cookie: str, topic: str) -> Ear:
    one = socket.create_connection(address)
    one.sendall(
        f"GET /stream/?watch={topic} HTTP/1.1\r\nHost: {address[0]}\r\nCookie: sessionid={cookie}\r\n\r\n".encode()
    )
    return Ear(one)


@contextmanager
def listening(ears: list[Ear]) -> Iterator[None]:
    """Read all streams in a thread until the block ends."""
    selector = selectors.DefaultSelector()
    for ear in ears:
        selector.register(ear.socket, selectors.EVENT_READ, ear)
    is_over = threading.Event()

    def listen() -> None:
        while not is_over.is_set():
            for key, _ in selector.select(timeout=0.1):
                key.data.read()

    thread = threading.Thread(target=listen)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
        for ear in ears:
            ear.socket.close()


def _settled(ears: list[Ear]) -> None:
    """Every stream has had its first word about everything; what follows is measured."""
    time.sleep(STREAMS / 40 + 5)
    for ear in ears:
        ear.heard.clear()


def one_each(address: tuple[str, int], the: object, cookies: list[str]) -> None:
    """Print the latency from commit to event, and the memory of a stream."""
    from django.db import connection

    from approvals.models import Verdict
    from tests.factories import Desk

    assert isinstance(the, Desk)
    proposals = [the.propose() for _ in cookies]
    web = decide._listening_process(address[1])
    before = web.memory_info().rss
    ears = [
        _open(address, cookie, f"proposal:{proposal.pk}")
        for cookie, proposal in zip(cookies, proposals, strict=True)
    ]
    decided = []
    with listening(ears):
        _settled(ears)
        grown = web.memory_info().rss - before
        busy = web.cpu_percent(interval=10)
        begun = time.perf_counter()
        for number, proposal in enumerate(proposals):
            time.sleep(max(0.0, begun + number / PACE - time.perf_counter()))
            the.decide(proposal, Verdict.APPROVE)
            decided.append(time.perf_counter())
        time.sleep(3)
    connection.close()
    late = sorted(ear.heard[0] - at for ear, at in zip(ears, decided, strict=True) if ear.heard)
    if len(late) < len(ears):
        raise SystemExit(f"{len(ears) - len(late)} pages never heard of their decision")
    print(
        f"{len(ears)} streams, a proposal each, {PACE:g} decisions/s: commit → event p50 "
        f"{stage.milliseconds(late[len(late) // 2])} ms, p99 {stage.milliseconds(late[int(len(late) * 0.99)])} ms; "
        f"{grown / len(ears) / 1000:.1f} kB a stream; the process at rest uses {busy:.1f} % of a core",
        flush=True,
    )


def all_at_once(address: tuple[str, int], the: object, cookies: list[str]) -> None:
    """Print when the first, the middle and the last page hear of what came into the queue they all show."""
    from tests.factories import Desk

    assert isinstance(the, Desk)
    ears = [_open(address, cookie, f"queue:{the.queue.slug}") for cookie in cookies]
    with listening(ears):
        _settled(ears)
        the.propose()
        came = time.perf_counter()
        time.sleep(STREAMS / 40 + 3)
    late = sorted(ear.heard[0] - came for ear in ears if ear.heard)
    print(
        f"{len(late)} of {len(ears)} streams of one queue hear of one arrival: first "
        f"{stage.milliseconds(late[0])} ms, middle {late[len(late) // 2]:.1f} s, last {late[-1]:.1f} s",
        flush=True,
    )


def marking(the: object) -> None:
    """Print what the mark costs a proposal: submitted in this process with and without it, in turns."""
    from approvals import news
    from tests.factories import Desk

    assert isinstance(the, Desk)
    times: dict[bool, list[float]] = {True: [], False: []}
    for turn in range(2 * TURNS):
        with_news = turn % 2 == 0
        without = mock.patch.object(news, "proposal_came", lambda proposal: None)
        with nullcontext() if with_news else without:
            begun = time.perf_counter()
            for _ in range(IN_A_TURN):
                the.propose()
            times[with_news].append((time.perf_counter() - begun) / IN_A_TURN)
    told, silent = statistics.median(times[True]), statistics.median(times[False])
    begun = time.perf_counter()
    for _ in range(MARKS):
        news.queue_changed(the.queue.slug)
    alone = (time.perf_counter() - begun) / MARKS
    print(
        f"a proposal takes {stage.milliseconds(told)} ms with the mark and {stage.milliseconds(silent)} ms without it "
        f"(medians of {TURNS} turns of {IN_A_TURN}): ratio {told / silent:.3f}; the mark by itself takes "
        f"{alone * 1e6:.1f} µs",
        flush=True,
    )


if __name__ == "__main__":
    psutil.cpu_percent()
    main()
