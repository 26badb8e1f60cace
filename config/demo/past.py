"""Three weeks of the made-up company, told proposal by proposal and inserted in bulk in one transaction."""

import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, models, transaction
from psycopg.types.json import Jsonb

from agents.models import Evidence
from approvals.states import State
from audit.models import AuditEvent
from config.demo import afterwards, clock, telling
from config.demo.afterwards import Afterwards
from config.demo.cast import Cast
from config.demo.company import next_case
from config.demo.life import Life, Rows

DAYS = 21
SEED = "Lindgren & Hale"


def write(*, now: datetime, decided: int, waiting: int) -> dict[str, int]:
    """Tell and insert; counts by what a person would ask for. The same seed tells the same stories."""
    rng = random.Random(SEED)  # noqa: S311 the same past every time, not a secret
    cast = Cast.read()
    life = Life(cast, Rows(), rng)
    rows = tell(life, now=now, decided=decided, waiting=waiting)
    after = afterwards.tell(rows, cast, life.truths, rng, now=now)
    with transaction.atomic(durable=True):
        _insert(rows, after)
    afterwards.add_up()
    afterwards.fill_shelves(cast, rng)
    steps = telling.of_the_past(cast, rows.proposals)
    return {
        "proposals": len(rows.proposals),
        "steps of agents": steps,
        "waiting": sum(item.state == State.PENDING for item in rows.proposals),
        "decisions": len(rows.decisions),
        "audit events": len(rows.events),
    }


def tell(life: Life, *, now: datetime, decided: int, waiting: int) -> Rows:
    """The rows, unsaved: `decided` proposals that have run their course and `waiting` ones that wait now."""
    rng, cast, rows = life.rng, life.cast, life.rows
    since = now - timedelta(days=DAYS)
    for at in clock.moments(rng, since=since, until=now - timedelta(minutes=20), count=decided):
        worker, name, case = next_case(rng, at)
        mark = _mark(rows)
        proposal = life.submit(worker.slug, name, case, at)
        if not life.live(proposal, case, now):
            _forget(rows, mark)
            cast.told[worker.slug, name].pop()
    recent = sorted(now - timedelta(minutes=rng.expovariate(1 / 55)) for _ in range(waiting * 4))
    for at in [moment for moment in recent if moment > now - timedelta(hours=6)]:
        if waiting == 0:
            break
        worker, name, case = next_case(rng, at)
        mark = _mark(rows)
        if life.submit(worker.slug, name, case, at).state == State.PENDING:
            waiting -= 1
        else:
            _forget(rows, mark)
            cast.told[worker.slug, name].pop()
    return rows


def _mark(rows: Rows) -> dict[str, int]:
    return {name: len(getattr(rows, name)) for name in Rows.__dataclass_fields__}


def _forget(rows: Rows, mark: dict[str, int]) -> None:
    for name, length in mark.items():
        del getattr(rows, name)[length:]


def _insert(rows: Rows, after: Afterwards) -> None:
    """COPY, in the order of references. Times are ours, which `auto_now_add` and bulk_create would overwrite."""
    with connection.cursor() as cursor:
        cursor.execute("LOCK TABLE approvals_revision IN EXCLUSIVE MODE")
        cursor.execute(
            "SELECT nextval(pg_get_serial_sequence('approvals_revision', 'id')) FROM generate_series(1, %s)",
            [len(rows.revisions)],
        )
        for revision, (pk,) in zip(rows.revisions, cursor.fetchall(), strict=True):
            revision.pk = pk
    for vote in rows.votes:
        vote.revision_id = vote.revision.pk
    for decision in rows.decisions:
        decision.revision_id = decision.revision.pk
    for review in after.reviews:
        review.revision_id = review.revision.pk
    for grant in rows.grants:
        grant.revision_id = grant.revision.pk
    _copy(rows.proposals)
    _copy(rows.revisions, keep_id=True)
    for part in (rows.claims, rows.votes, rows.decisions, rows.grants, rows.outcomes, after.reviews):
        _copy(part)
    evidence: list[Evidence] = sorted([*rows.evidence, *after.evidence], key=lambda one: one.judged_at)
    _copy(evidence)
    for at, event in rows.events:
        event.recorded_at = at
    _copy([event for _, event in sorted(rows.events, key=lambda pair: pair[0])])


def _copy(instances: Sequence[models.Model], *, keep_id: bool = False) -> None:
    """Insert all with one COPY; columns that the database fills in are left to it."""
    if not instances:
        return
    model = type(instances[0])
    fields = [field for field in model._meta.concrete_fields if keep_id or not _filled_by_database(field)]
    columns = ", ".join(f'"{field.column}"' for field in fields)
    with (
        connection.cursor() as cursor,
        cursor.copy(f"COPY {model._meta.db_table} ({columns}) FROM STDIN") as copy,
    ):
        for instance in instances:
            copy.write_row([_value(field, instance) for field in fields])


def _filled_by_database(field: models.Field[Any, Any]) -> bool:
    return isinstance(field, models.BigAutoField) or (
        field.model is AuditEvent and field.name == "transaction"
    )


def _value(field: models.Field[Any, Any], instance: models.Model) -> Any:
    value = getattr(instance, field.attname)
    if isinstance(field, models.JSONField):
        return None if value is None else Jsonb(value)
    return value
