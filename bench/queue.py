"""Queue page and "next" at 1,000, 100,000 and 1,000,000 stored proposals, and 16 claimers at once.

    make bench ARGS=queue            (BENCH_SIZES=1000,100000,1000000 by default)

Half of the smallest installation waits, at most 50,000 in the larger ones, in 10 queues. Each figure is the median of
several requests through the whole stack of Django (session, permissions, template), with its number of queries.
Goal: largest ÷ smallest ≤ 1.5, a constant number of queries, no proposal claimed twice."""

import os
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from bench import stage

SIZES = [int(size) for size in os.environ.get("BENCH_SIZES", "1000,100000,1000000").split(",")]
QUEUES = 10
PENDING = 50_000
REPEATS = 15
CLAIMERS = 16

_COPY = """
INSERT INTO approvals_proposal ({columns})
SELECT {values}
FROM approvals_proposal p, generate_series(%(first)s::bigint, %(last)s::bigint) AS n
WHERE p.id = %(template)s
"""


def main() -> None:
    var = stage.prepare("queue")
    try:
        measure()
    finally:
        stage.clean_up(var)


def measure() -> None:
    from django.db import connection
    from django.test import Client

    from approvals.services.claim import claim_next
    from tests.factories import desk, queue, reviewer

    the = desk()
    queues = [the.queue, *(queue(f"more-{number}") for number in range(QUEUES - 1))]
    person = reviewer(*queues)
    client = Client(headers={"Host": "127.0.0.1"})
    client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    template = the.propose()
    pages: list[tuple[float, int]] = []
    nexts: list[tuple[float, int]] = []
    stored = 1
    print(f"{'stored':>9} {'waiting':>8} {'queue page':>12} {'queries':>8} {'next':>10} {'queries':>8}")
    for size in SIZES:
        waiting = min(size // 2, PENDING)
        fill(template.pk, [one.pk for one in queues], stored, size, waiting)
        stored = size
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE approvals_proposal")
        pages.append(_timed(lambda: _get(client, f"/queues/{the.queue.slug}/")))
        nexts.append(_timed(lambda: claim_next(reviewer=person)))
        print(
            f"{size:>9,} {waiting:>8,} {stage.milliseconds(pages[-1][0]):>9} ms {pages[-1][1]:>8} "
            f"{stage.milliseconds(nexts[-1][0]):>7} ms {nexts[-1][1]:>8}",
            flush=True,
        )
    for name, figures in (("queue page", pages), ("next", nexts)):
        ratio = figures[-1][0] / figures[0][0]
        constant = len({queries for _, queries in figures}) == 1
        verdict = "met" if ratio <= 1.5 and constant else "MISSED"
        print(
            f"{name}: largest ÷ smallest {ratio:.2f}, queries {'constant' if constant else 'NOT constant'}: {verdict}"
        )
    claimers(queues)


def fill(template: object, queues: list[int], stored: int, size: int, waiting: int) -> None:
    """Copy one proposal until `size` are stored and `waiting` of them wait in the queues."""
    from django.db import connection

    from approvals.models import Proposal

    replaced = {
        "id": "(lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint - %(last)s + n), 12, '0') || "
        "'7000800' || lpad(to_hex(n), 13, '0'))::uuid",
        "idempotency_key": "'copy-' || n",
        "state": "CASE WHEN n <= %(pending_until)s THEN 'pending' ELSE 'succeeded' END",
        "queue_id": "(%(queues)s::bigint[])[1 + n %% array_length(%(queues)s::bigint[], 1)]",
        "priority": "n %% 4",
        "due_at": "p.due_at - interval '1 minute' * (n %% 500)",
        "claimed_by_id": "NULL",
        "claimed_until": "NULL",
        "title": "p.title || ' ' || n",
    }
    columns = [str(field.column) for field in Proposal._meta.concrete_fields]
    statement = _COPY.format(
        columns=", ".join(columns),
        values=", ".join(replaced.get(column, f"p.{column}") for column in columns),
    )
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM approvals_proposal WHERE state = 'pending'")
        pending = cursor.fetchone()[0]
        values: dict[str, Any] = {"first": stored + 1, "last": size, "template": template, "queues": queues}
        cursor.execute(statement, values | {"pending_until": stored + max(0, waiting - pending)})


def _get(client: object, path: str) -> None:
    from django.test import Client

    assert isinstance(client, Client)
    answer = client.get(path)
    if answer.status_code != 200:
        raise SystemExit(f"{path} answered {answer.status_code}")


def _timed(call: Callable[[], object]) -> tuple[float, int]:
    """(median seconds, number of queries) of the call; the first two are warm-up."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    call()
    with CaptureQueriesContext(connection) as captured:
        call()
    queries = len(captured)
    times = []
    for _ in range(REPEATS):
        begun = time.perf_counter()
        call()
        times.append(time.perf_counter() - begun)
    return statistics.median(times), queries


def claimers(queues: Sequence[object]) -> None:
    """Many people press "next" at once, again and again."""
    from django.db import connection

    from approvals.services.claim import claim_next
    from tests.factories import reviewer

    people = [reviewer(*queues) for _ in range(CLAIMERS)]  # type: ignore[arg-type]
    taken: list[str] = []
    each = 25

    def work(person: object) -> None:
        try:
            for _ in range(each):
                taken.append(str(claim_next(reviewer=person).pk))  # type: ignore[arg-type]
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(person,)) for person in people]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - begun
    twice = len(taken) - len(set(taken))
    print(
        f"{CLAIMERS} claimers: {len(taken)} claims in {took:.1f} s ({len(taken) / took:.0f}/s), {twice} taken twice"
    )
    if twice or len(taken) != CLAIMERS * each:
        raise SystemExit("a proposal was claimed twice, or a claim failed")


if __name__ == "__main__":
    main()
