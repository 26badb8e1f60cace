"""What one judgement costs at 1,000 and at 1,000,000 stored pieces of evidence, rebuilding them, and assessing 10,000
mandates.

    make bench ARGS=evidence           (BENCH_SIZES=1000,1000000, BENCH_MANDATES=10000 by default)

Database time is what PostgreSQL itself says it spent on statements (pg_stat_database.active_time), the mean of 200
updates, twenty to a commit. Goals: at most 1 ms, and the largest ÷ the smallest ≤ 1.3; 10,000 mandates, of which one
in a hundred has just earned another tier, in at most 60 s. What it would miss: contention of many reviewers on one
mandate (tests/races), and disks slower than this machine's."""

import os
import statistics
import time
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

from bench import stage

SIZES = [int(size) for size in os.environ.get("BENCH_SIZES", "1000,1000000").split(",")]
MANDATES = int(os.environ.get("BENCH_MANDATES", "10000"))
UPDATES = 200
TOGETHER = 20
"""Updates per commit: evidence is part of a judgement's transaction and has no commit of its own."""
GOAL_MS = 1.0
GOAL_RATIO = 1.3
GOAL_SECONDS = 60.0

_COPY = """
INSERT INTO agents_evidence (standing_id, agent_id, action_type_id, agent_version, risk, tier, basis, verdict, loss,
    critical, probability, counts, counts_at, period, loss_before, critical_before, proposal_id, revision, judged_by_id,
    judged_at, key, detail)
SELECT e.standing_id, e.agent_id, e.action_type_id, e.agent_version, e.risk, e.tier, e.basis,
    CASE WHEN n %% 200 = 0 THEN 'reject' ELSE 'approve' END, CASE WHEN n %% 200 = 0 THEN 1 ELSE 0 END,
    false, 1, true, e.counts_at + n * interval '1 microsecond', e.period, NULL, false, gen_random_uuid(), 1,
    e.judged_by_id, e.judged_at + n * interval '1 microsecond', 'copy:' || n, '{}'
FROM agents_evidence e, generate_series(%(first)s::bigint, %(last)s::bigint) AS n
WHERE e.id = %(template)s
"""


def main() -> None:
    var = stage.prepare("evidence")
    try:
        measure()
    finally:
        stage.clean_up(var)


def measure() -> None:
    from django.db import connection

    from agents import evidence, standings
    from agents.evidence import Judgement
    from agents.models import Evidence, Standing
    from agents.turning import Subject
    from audit.ids import uuid7
    from tests.factories import desk

    the = desk()
    the.mandate.thresholds = {"maturity_hours": 0}
    the.mandate.save()

    def judge() -> None:
        evidence.record(
            Subject(
                agent=the.agent,
                agent_version=the.agent.version,
                action_type=the.action_type,
                tier=the.mandate.tier,
                proposal_id=uuid7(),
                revision=1,
            ),
            Judgement(basis=Evidence.Basis.DECISION, verdict="approve", loss=Decimal(0)),
            judged_by=the.reviewer,
        )

    _in_transaction(judge)
    template = Evidence.objects.get()
    assert template.counts_at is not None
    stored, figures = 0, []
    print(f"{'stored':>10}  {'database ms':>12}  {'in all':>8}  {'queries':>8}  {'rebuild s':>10}")
    for size in SIZES:
        with connection.cursor() as cursor:
            cursor.execute(_COPY, {"first": stored + 1, "last": size, "template": template.pk})
            cursor.execute("VACUUM ANALYZE agents_evidence")
        stored = size
        assert template.standing_id is not None
        row = Standing.objects.get(pk=template.standing_id)
        row.folded_until = template.counts_at + timedelta(microseconds=size)
        begun = time.perf_counter()
        row.state = standings.rebuilt(row).as_json()
        rebuilt = time.perf_counter() - begun
        row.save()
        spent, whole, queries = _database_time(judge)
        figures.append(spent)
        print(
            f"{size:>10,}  {spent * 1000:>12.2f}  {whole * 1000:>8.2f}  {queries:>8}  {rebuilt:>10.1f}",
            flush=True,
        )
    ratio = figures[-1] / figures[0]
    _verdict("one update", figures[-1] * 1000, GOAL_MS, "ms")
    _verdict("largest ÷ smallest", ratio, GOAL_RATIO, "")
    _assess(the)


def _in_transaction(call: Callable[[], None], times: int = 1) -> None:
    from django.db import transaction

    with transaction.atomic():
        for _ in range(times):
            call()


def _database_time(call: Callable[[], None]) -> tuple[float, float, int]:
    """(mean seconds in the database, median seconds in all, queries) of one call."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    for _ in range(UPDATES // 4):
        _in_transaction(call)
    with CaptureQueriesContext(connection) as asked:
        _in_transaction(call)
    before, times = _active(), []
    for _ in range(UPDATES // TOGETHER):
        begun = time.perf_counter()
        _in_transaction(call, TOGETHER)
        times.append((time.perf_counter() - begun) / TOGETHER)
    return (_active() - before) / UPDATES, statistics.median(times), len(asked) - 2


def _active() -> float:
    """Seconds that this database has spent on statements so far."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute("SELECT pg_stat_clear_snapshot()")
        cursor.execute("SELECT active_time FROM pg_stat_database WHERE datname = current_database()")
        return float(cursor.fetchone()[0]) / 1000


def _assess(the: Any) -> None:
    """Mandates of as many agents, each with evidence in its standing; one in a hundred has earned a promotion."""
    from django.db import connection
    from django.utils import timezone

    from agents.models import Agent, Mandate, Standing
    from approvals.services import promote

    template = Standing.objects.get()
    agents = Agent.objects.bulk_create(
        [
            Agent(slug=f"many-{number}", name=f"Agent {number}", owner=the.agent.owner)
            for number in range(MANDATES)
        ],
        batch_size=2000,
    )
    Mandate.objects.bulk_create(
        [
            Mandate(agent=agent, action_type=the.action_type, ceiling="on_the_loop", may_earn=True)
            for agent in agents
        ],
        batch_size=2000,
    )
    since = (timezone.now() - timedelta(days=30)).isoformat()
    judged = {**template.state, "since": since, "first_at": since, "reviewers": [1, 2], "detector": [1.0] * 6}
    states = [
        {
            **judged,
            "counts": [400 if number % 100 == 0 else number % 90, 0, 0, 0, number % 3],
            "probes": [40 if number % 100 == 0 else number % 5, 0],
        }
        for number in range(MANDATES)
    ]
    Standing.objects.bulk_create(
        [
            Standing(
                agent=agent,
                action_type=the.action_type,
                agent_version=agent.version,
                risk=the.action_type.risk,
                state=state,
                initial=template.initial,
                folded_until=timezone.now(),
            )
            for agent, state in zip(agents, states, strict=True)
        ],
        batch_size=2000,
    )
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    begun = time.perf_counter()
    done = 0
    now = timezone.now()
    while some := promote.assess_due(now=now):
        done += some
    took = time.perf_counter() - begun
    from agents.models import Promotion

    print(f"{done:,} standings assessed in {took:.1f} s; {Promotion.objects.count():,} promotions proposed")
    _verdict(f"{MANDATES:,} mandates assessed", took, GOAL_SECONDS, "s")


def _verdict(what: str, found: float, goal: float, unit: str) -> None:
    print(f"{'✓' if found <= goal else '✗'} {what}: {found:.2f} {unit}".rstrip() + f" (goal ≤ {goal:g})")


if __name__ == "__main__":
    main()
