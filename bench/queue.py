"""A reviewer's pages at 1,000, 100,000 and 1,000,000 stored proposals, and 16 claimers at once.

    make bench ARGS=queue            (BENCH_SIZES=1000,100000,1000000 by default)

Half of the smallest installation waits, at most 50,000 in the larger ones, in 10 queues, of 5 agents; every revision
has its words. Each figure is the median of several requests through the whole stack of Django (session, permissions,
template), with the number of queries of a request that finds nothing cached. Goal for the queue page, "next" and a
decision: largest ÷ smallest ≤ 1.3. The other pages look through as many rows as there are up to a bound; the largest
may cost three queue pages. Everywhere: a constant number of queries, no proposal claimed twice."""

import itertools
import os
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from bench import stage

SIZES = [int(size) for size in os.environ.get("BENCH_SIZES", "1000,100000,1000000").split(",")]
QUEUES = 10
DESKS = 5
PENDING = 50_000
REPEATS = 15
CLAIMERS = 16
GOAL = 1.3
MOST = 3.0
"""Times the queue page that a page which looks through many rows may take, at the same size."""

_COPY = """
INSERT INTO approvals_proposal ({columns})
SELECT {values}
FROM approvals_proposal p, generate_series(%(first)s::bigint, %(last)s::bigint) AS n
WHERE p.id = %(template)s
"""
_WORDS = """
INSERT INTO approvals_revision (proposal_id, number, canonical, digest, reply, created_at, document)
SELECT p.id, 1, r.canonical, p.digest, '', p.created_at, countersign_words(concat_ws(' ',
    p.title, 'customer', (array['lamp','table','chair','shelf','mirror','carpet'])[1 + n %% 6],
    'order ' || n, md5(n::text), md5('x' || n), convert_from(r.canonical, 'UTF8')))
FROM approvals_proposal p
CROSS JOIN LATERAL (SELECT substr(p.idempotency_key, 6)::bigint AS n) AS number
JOIN approvals_revision r ON r.proposal_id = %(template)s AND r.number = 1
WHERE p.idempotency_key LIKE 'copy-%%' AND NOT EXISTS (SELECT FROM approvals_revision o WHERE o.proposal_id = p.id)
"""


@dataclass
class Measured:
    """One thing measured at every size: (median seconds, queries). A search goes one of two ways, by how many rows
    have its words, each with a number of queries of its own."""

    name: str
    call: Callable[[], object]
    has_ratio: bool = False
    ways: int = 1
    figures: list[tuple[float, int]] = field(default_factory=list)


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

    desks = [desk() for _ in range(DESKS)]
    queues = [each.queue for each in desks]
    queues += [queue(f"more-{number}") for number in range(QUEUES - len(queues))]
    person = reviewer(*queues)
    client = Client(headers={"Host": "127.0.0.1"})
    client.force_login(person, backend="accounts.backends.Roles")
    template = desks[-1].propose()
    deciding = _decisions(person)
    slug, rare_agent = queues[1].slug, desks[0].agent.slug
    measured = [
        Measured("queue page", lambda: _get(client, f"/queues/{slug}/"), True),
        Measured("next", lambda: claim_next(reviewer=person), True),
        Measured("decision", lambda: next(deciding), True),
        Measured("all queues", lambda: _get(client, "/proposals/")),
        Measured("overview", lambda: _get(client, "/queues/")),
        Measured("filter, 1 in 100", lambda: _get(client, "/proposals/?min=9900")),
        Measured("filter, 1 in 1,000", lambda: _get(client, f"/proposals/?agent={rare_agent}")),
        Measured("filter, nothing", lambda: _get(client, "/proposals/?why=sample&state=open")),
        Measured("search, one row", lambda: _get(client, "/proposals/?q=" + _rare_word())),
        Measured("search, every row", lambda: _get(client, "/proposals/?q=refund+lam"), ways=2),
        Measured("assigned to me", lambda: _get(client, "/proposals/?assigned=me")),
        Measured("own decisions", lambda: _get(client, "/history/")),
    ]
    stored = 1
    for size in SIZES:
        begun = time.perf_counter()
        waiting = min(size // 2, PENDING)
        fill(template.pk, [one.pk for one in queues], [one.agent.pk for one in desks], stored, size, waiting)
        stored = size
        with connection.cursor() as cursor:
            for table in ("approvals_proposal", "approvals_revision"):
                cursor.execute(f"VACUUM ANALYZE {table}")
        took = time.perf_counter() - begun
        print(f"\n{size:,} stored, {waiting:,} waiting (filled in {took:.0f} s)", flush=True)
        for one in measured:
            one.figures.append(_timed(one.call))
            seconds, queries = one.figures[-1]
            print(f"  {one.name:<20} {stage.milliseconds(seconds):>8} ms {queries:>4} queries", flush=True)
    print()
    page = measured[0].figures[-1][0]
    missed = [one.name for one in measured if not _verdict(one, page)]
    claimers(queues)
    if missed:
        raise SystemExit("missed: " + ", ".join(missed))


def _verdict(one: Measured, page: float) -> bool:
    ratio, pages = one.figures[-1][0] / one.figures[0][0], one.figures[-1][0] / page
    constant = len({queries for _, queries in one.figures}) <= one.ways
    word = "constant" if constant else "NOT constant"
    met = constant and (ratio <= GOAL if one.has_ratio else pages <= MOST)
    goal = f"goal {GOAL}" if one.has_ratio else f"{pages:.1f} queue pages"
    verdict = "met" if met else "MISSED"
    print(f"{one.name:<20} largest ÷ smallest {ratio:5.2f} ({goal}), queries {word}: {verdict}")
    return met


def fill(template: UUID, queues: list[int], agents: list[int], stored: int, size: int, waiting: int) -> None:
    """Copy one proposal until `size` are stored and `waiting` of them wait in the queues. The first agent has one in
    a thousand of them."""
    from django.db import connection

    from approvals.models import Proposal

    replaced = {
        "id": "(lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint - %(last)s + n), 12, '0') || "
        "'7000800' || lpad(to_hex(n), 13, '0'))::uuid",
        "idempotency_key": "'copy-' || n",
        "state": "CASE WHEN n <= %(pending_until)s THEN 'pending' ELSE 'succeeded' END",
        "queue_id": "(%(queues)s::bigint[])[1 + n %% array_length(%(queues)s::bigint[], 1)]",
        "agent_id": "(%(agents)s::bigint[])[CASE WHEN n %% 1000 = 7 THEN 1 ELSE 2 + n %% 4 END]",
        "priority": "n %% 4",
        "due_at": "p.due_at - interval '1 minute' * (n %% 500)",
        "amount": "n * 7919 %% 10000",
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
        values: dict[str, Any] = {
            "first": stored + 1,
            "last": size,
            "template": template,
            "queues": queues,
            "agents": agents,
            "pending_until": stored + max(0, waiting - pending),
        }
        cursor.execute(statement, values)
        cursor.execute(_WORDS, {"template": template})


def _rare_word() -> str:
    """A word of one pending proposal alone."""
    import hashlib

    return hashlib.md5(b"77", usedforsecurity=False).hexdigest()


def _decisions(person: object) -> Iterator[None]:
    """Approve one pending proposal after the other, as its page does."""
    from approvals.ballots import Ballot
    from approvals.models import Proposal, Verdict
    from approvals.services.decide import decide

    for place in itertools.count():
        waiting = Proposal.objects.filter(state="pending", claimed_by=None, agent__gt=0)
        found = waiting.only("pk", "revision", "version")[place % 7 : place % 7 + 1].get()
        ballot = Ballot(verdict=Verdict.APPROVE, revision=found.revision, version=found.version, seen=True)
        decide(proposal_id=found.pk, reviewer=person, ballot=ballot)  # type: ignore[arg-type]
        yield


def _get(client: object, path: str) -> None:
    from django.test import Client

    assert isinstance(client, Client)
    answer = client.get(path)
    if answer.status_code != 200:
        raise SystemExit(f"{path} answered {answer.status_code}")


def _timed(call: Callable[[], object]) -> tuple[float, int]:
    """(median seconds, number of queries with nothing cached) of the call; the first two are warm-up."""
    from django.core.cache import cache
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    call()
    cache.clear()
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
