"""One agent floods: what another agent's p99 becomes, as a ratio to its own p99 in the quiet minutes between.

    make bench ARGS=flood          (BENCH_SECONDS=10 BENCH_ROUNDS=3 by default)

Two web processes, the limits that every installation starts with. The other agent proposes 16 times a second at fixed
moments, whether or not the answer before has come; it is timed from those moments, so that waiting in a queue counts.
The flooding agent sends 1,000 proposals within 10 s over 16 connections, as fast as they are answered (and sends the
next thousand no sooner). Rounds alternate, quiet and flooded; goal: median of the ratios at most 1.5."""

import os
import selectors
import statistics
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Iterator

from bench import stage

SECONDS = float(os.environ.get("BENCH_SECONDS", "10"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
GOAL = 1.5
FLOOD = 1000
FLOOD_CONNECTIONS = 16
EVERY = 0.06
"""Seconds between two proposals of the agent that is measured."""
BODY = (
    b'{"action_type":"%s","arguments":{"order_id":"A-1001","amount":42.5,"reason":"damaged"},"summary":"%s"}'
)


def set_up() -> list[tuple[str, bytes]]:
    """(token, body) of two agents, each with a queue of its own."""
    from tests.factories import desk

    both = [desk(), desk()]
    os.environ["COUNTERSIGN_AGENT_LIMITS"] = f"{both[1].agent.slug}:open=1000000"  # nobody decides meanwhile
    return [(one.token, BODY % (one.action_type.name.encode(), b"s" * 900)) for one in both]


def requests(address: tuple[str, int], token: str, body: bytes) -> Iterator[bytes]:
    while True:
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": uuid.uuid4().hex}
        yield stage.post(address, "/api/v1/proposals", headers, body)


def measured(address: tuple[str, int], token: str, body: bytes) -> list[float]:
    """Latencies in seconds, each from the moment it was due. Raises SystemExit where one was not accepted."""
    following = requests(address, token, body)
    free = [stage.Connection(address) for _ in range(4)]
    busy: dict[stage.Connection, float] = {}
    selector = selectors.DefaultSelector()
    for one in free:
        selector.register(one.socket, selectors.EVENT_READ, one)
    begun = time.perf_counter()
    due = [begun + number * EVERY for number in range(int(SECONDS / EVERY))]
    found: list[float] = []
    while due or busy:
        now = time.perf_counter()
        while due and free and due[0] <= now:
            one = free.pop(0)  # in turn: the server hangs up on one that is idle for 5 s
            busy[one] = due.pop(0)
            one.send(next(following))
        pause = max(0.0, due[0] - time.perf_counter()) if due and free else 1.0
        for key, _ in selector.select(timeout=pause):
            one = key.data
            status = one.status()
            if status is None:
                continue
            if status != b"201":
                raise SystemExit(f"the agent that is measured was refused: {one.received[:300]!r}")
            found.append(time.perf_counter() - busy.pop(one))
            free.append(one)
    for one in free:
        one.socket.close()
    return found


def flood(address: tuple[str, int], token: str, body: bytes) -> None:
    """A process of its own, so that the measuring clock does not wait for it; prints the counts of answers."""
    counts: Counter[str] = Counter()
    following = requests(address, token, body)
    selector = selectors.DefaultSelector()
    sent = 0
    begun = time.perf_counter()
    for _ in range(FLOOD_CONNECTIONS):
        one = stage.Connection(address)
        selector.register(one.socket, selectors.EVENT_READ, one)
        one.send(next(following))
        sent += 1
    while sum(counts.values()) < FLOOD and time.perf_counter() - begun < SECONDS:
        for key, _ in selector.select(timeout=1.0):
            status = key.data.status()
            if status is None:
                continue
            counts[status.decode()] += 1
            if sent < FLOOD:
                pause = begun + sent * SECONDS / FLOOD - time.perf_counter()
                if pause > 0 and sent > FLOOD // 4:  # a quarter at once, the rest spread over the time
                    time.sleep(min(pause, 0.2))
                key.data.send(next(following))
                sent += 1
    print(" ".join(f"{status}:{number}" for status, number in sorted(counts.items())))


def flooding(address: tuple[str, int], token: str, body: bytes) -> "subprocess.Popen[str]":
    words = [sys.executable, "-m", "bench.flood", "--flood", address[0], str(address[1]), token]
    process = subprocess.Popen(
        words, cwd=stage.ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    process.stdin.write(body.decode())
    process.stdin.close()
    return process


def p99(latencies: list[float]) -> float:
    ordered = sorted(latencies)
    return ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))]


def main() -> None:
    var = stage.prepare("flood", limits=True)
    try:
        (flooder, flood_body), (token, body) = set_up()
        with stage.web(2) as address:
            for _ in range(2):
                measured(address, token, body)  # both processes know the agent, and PostgreSQL its plans
            print(
                f"{'round':>5} {'quiet p50':>10} {'quiet p99':>10} {'flood p50':>10} {'flood p99':>10} ratio  the flood"
            )
            ratios = []
            for number in range(1, ROUNDS + 1):
                quiet = measured(address, token, body)
                process = flooding(address, flooder, flood_body)
                under = measured(address, token, body)
                assert process.stdout is not None
                told = process.stdout.read()
                process.wait(60)
                ratios.append(p99(under) / p99(quiet))
                print(
                    f"{number:>5} "
                    + " ".join(
                        f"{stage.milliseconds(value):>10}"
                        for value in (
                            statistics.median(quiet),
                            p99(quiet),
                            statistics.median(under),
                            p99(under),
                        )
                    )
                    + f" {ratios[-1]:>5.2f}  {told.strip()}",
                    flush=True,
                )
        ratio = stage.median(ratios)
        print(
            f"p99 beside a flood ÷ quiet p99: {ratio:.2f} (≤ {GOAL} {'met' if ratio <= GOAL else 'MISSED'})"
        )
    finally:
        stage.clean_up(var)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--flood"]:
        flood((sys.argv[2], int(sys.argv[3])), sys.argv[4], sys.stdin.read().encode())
    else:
        main()
