"""What sealing costs the writers, how soon an event is sealed, how fast a backlog goes, and verifying a million events.

    make bench ARGS=audit        (BENCH_SECONDS=6 BENCH_ROUNDS=3 BENCH_EVENTS=1000000 by default)

Writers are eight connections that propose over HTTP to two web processes, one event each. Rounds with and without
the sealer alternate in the same minutes; the ratio of their medians is what sealing costs. Goals: at most 20 % of the
writers' rate, 99 of 100 events sealed within 5 s of their recording, at least 500 events/s from a backlog beside
the writers, and an export of a million events verified offline within 15 s. What it would miss: a disk slower than
this machine's, whose flushes the sealer waits for; an anchor's network, which a thread of its own waits for."""

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import propose, stage

SECONDS = float(os.environ.get("BENCH_SECONDS", "6"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
EVENTS = int(os.environ.get("BENCH_EVENTS", "1000000"))
BACKLOG = 50_000
BEHIND_SECONDS = 600.0
_PROOFS = 2_000

_FILL = """
INSERT INTO audit_auditevent (kind, actor_kind, actor_id, object_type, object_id, content, salt, commitment)
SELECT kind, actor_kind, actor_id, object_type, object_id, content, salt, sha256(salt || convert_to(content, 'UTF8'))
FROM (
    SELECT e.kind, e.actor_kind, e.actor_id, e.object_type, new.id AS object_id,
        replace(replace(e.content, e.object_id, new.id), ',"version":1', '') AS content,
        sha256(convert_to(n || random()::text, 'UTF8')) AS salt
    FROM (SELECT * FROM audit_auditevent WHERE kind = 'proposal.pending' ORDER BY id LIMIT 1) AS e,
        generate_series(1, %s) AS n, LATERAL (SELECT gen_random_uuid()::text AS id WHERE n > 0) AS new
) AS made
"""
"""Copies of a real event, each about another proposal and under a salt of its own."""


def main() -> None:
    var = stage.prepare("audit")
    try:
        token, body = propose.set_up()
        with stage.web(2) as address:

            def load(seconds: float) -> float:
                requests = propose.requests(address, token, body)
                run = stage.load(address, requests, connections=8, seconds=seconds)
                if run.unexpected:
                    raise SystemExit(f"{run.unexpected} answers were not 201")
                return run.per_second

            load(3)
            _beside_writers(load)
            _backlog(load)
        _million(var)
    finally:
        stage.clean_up(var)


@contextmanager
def sealer() -> Iterator[None]:
    """The process as `make run` starts it."""
    child = subprocess.Popen([sys.executable, "manage.py", "seal"], cwd=stage.ROOT)
    try:
        yield
    finally:
        child.terminate()
        child.wait(30)


def _beside_writers(load: Callable[[float], float]) -> None:
    without, beside = [], []
    for _ in range(ROUNDS):
        without.append(load(SECONDS))
        with sealer():
            _await_sealed()
            beside.append(load(SECONDS))
            _await_sealed()
    cost = 1 - stage.median(beside) / stage.median(without)
    print(
        f"writers: {stage.median(without):.0f} events/s without, {stage.median(beside):.0f} beside the sealer"
    )
    _verdict("what sealing costs the writers", cost * 100, 20, "%")
    p50, p99 = _waits(int(stage.median(beside) * SECONDS))
    print(f"recorded → sealed: p50 {p50:.2f} s")
    _verdict("recorded → sealed, p99", p99, 5, "s")


def _backlog(load: Callable[[float], float]) -> None:
    _fill(BACKLOG)
    before, begun = _leaves(), time.perf_counter()
    with sealer():
        while _leaves() == before:
            time.sleep(0.02)
        started = time.perf_counter()
        first = _leaves()
        while (waiting := _unsealed()) > 2_000:
            load(1)
            if time.perf_counter() - begun > BEHIND_SECONDS:
                raise SystemExit(f"{waiting:,} events are still unsealed after {BEHIND_SECONDS:.0f} s")
        rate = (_leaves() - first) / (time.perf_counter() - started)
        _await_sealed()
    print(f"a backlog of {BACKLOG:,} beside the writers: {rate:,.0f} events/s", flush=True)
    print(f"{'✓' if rate >= 500 else '✗'} goal ≥ 500 events/s")


def _million(var: Path) -> None:
    """Fill up to EVENTS, seal, measure proofs, export, verify."""
    from django.conf import settings
    from django.db import connection

    from audit.tlog import merkle, notes
    from audit.tlog.folder import Folder

    missing = EVENTS - _leaves()
    begun = time.perf_counter()
    while missing > 0:
        _fill(min(missing, 100_000))
        missing -= 100_000
    print(f"{EVENTS:,} events written in {time.perf_counter() - begun:.0f} s")
    begun = time.perf_counter()
    sealed = _leaves()
    with sealer():
        _await_sealed()
    took = time.perf_counter() - begun
    print(f"{EVENTS - sealed:,} of them sealed in {took:.0f} s: {(EVENTS - sealed) / took:,.0f} events/s")
    key = notes.verifier((settings.LOG_DIR / "key").read_text())
    checkpoint = notes.opened((settings.LOG_DIR / "checkpoint").read_text(), key)
    folder, some = Folder(settings.LOG_DIR, checkpoint.size), random.Random(1)
    entries = [some.randrange(checkpoint.size) for _ in range(_PROOFS)]
    begun = time.perf_counter()
    proofs = [(index, folder.inclusion_proof(index)) for index in entries]
    made = (time.perf_counter() - begun) / _PROOFS
    leaves = [folder.node(0, index) for index in entries]
    begun = time.perf_counter()
    for (index, proof), leaf in zip(proofs, leaves, strict=True):
        assert merkle.is_included(leaf, index, checkpoint.size, proof, checkpoint.root)
    checked = (time.perf_counter() - begun) / _PROOFS
    size = max(len(proof) for _, proof in proofs) * 32
    print(f"a proof in a tree of {checkpoint.size:,}: {size} bytes, made in {made * 1e6:.0f} µs, ", end="")
    print(f"checked in {checked * 1e6:.0f} µs")
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_total_relation_size('audit_auditevent'), pg_total_relation_size('audit_auditleaf'), "
            "(SELECT count(*) FROM audit_auditevent)"
        )
        rows, leaf_rows, count = cursor.fetchone()
    files = sum(path.stat().st_size for path in settings.LOG_DIR.rglob("*") if path.is_file())
    print(
        f"bytes per event: {rows / count:.0f} as a row with its indexes, {leaf_rows / count:.0f} for its place, "
        f"{files / count:.0f} in the log's files"
    )
    directory = var / "export"
    begun = time.perf_counter()
    subprocess.run([sys.executable, "manage.py", "audit_export", str(directory)], cwd=stage.ROOT, check=True)
    print(f"exported in {time.perf_counter() - begun:.0f} s")
    begun = time.perf_counter()
    command = [
        sys.executable,
        "manage.py",
        "audit_verify",
        str(directory),
        "--key",
        str(settings.LOG_DIR / "key"),
    ]
    result = subprocess.run(command, cwd=stage.ROOT, capture_output=True, text=True)
    took = time.perf_counter() - begun
    print(result.stdout.strip().splitlines()[-1] if result.stdout.strip() else result.stderr)
    _verdict(f"{checkpoint.size:,} events verified offline", took, 15, "s")
    if result.returncode:
        raise SystemExit(f"the export did not verify: exit code {result.returncode}\n{result.stdout[:2000]}")


def _fill(count: int) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(_FILL, [count])


def _count(statement: str) -> int:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(statement)
        return int(cursor.fetchone()[0])


def _leaves() -> int:
    return _count("SELECT coalesce(max(number) + 1, 0) FROM audit_auditleaf")


def _unsealed() -> int:
    return _count("SELECT (SELECT count(*) FROM audit_auditevent) - (SELECT count(*) FROM audit_auditleaf)")


def _await_sealed() -> None:
    deadline = time.monotonic() + BEHIND_SECONDS
    while _unsealed():
        if time.monotonic() > deadline:
            raise SystemExit(f"events are still unsealed after {BEHIND_SECONDS:.0f} s")
        time.sleep(0.1)


def _waits(latest: int) -> tuple[float, float]:
    """(p50, p99) seconds between recording and sealing of the latest events."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT extract(epoch FROM percentile_cont(0.5) WITHIN GROUP (ORDER BY wait)), "
            "extract(epoch FROM percentile_cont(0.99) WITHIN GROUP (ORDER BY wait)) FROM ("
            "SELECT l.sealed_at - e.recorded_at AS wait FROM audit_auditleaf l "
            "JOIN audit_auditevent e ON e.id = l.event ORDER BY l.number DESC LIMIT %s) AS latest",
            [latest],
        )
        p50, p99 = cursor.fetchone()
    return float(p50), float(p99)


def _verdict(what: str, found: float, goal: float, unit: str) -> None:
    print(f"{'✓' if found <= goal else '✗'} {what}: {found:.2f} {unit} (goal ≤ {goal:g})", flush=True)


if __name__ == "__main__":
    main()
