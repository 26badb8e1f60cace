"""Whether what happens is sealed in time: what waits too long, why as far as it can be seen, and what is gone.

Reading only; approvals/services/watch_log.py records the alarm and tells the admins."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection
from django.utils import timezone

from audit.events import Kind
from audit.models import AuditEvent, AuditLeaf, SealerState

LATE = "5 minutes"
"""An event without a leaf for longer than this is an alarm."""
SILENT = timedelta(seconds=60)
"""A sealer says something every few seconds."""

_CURSOR = """
SELECT e.transaction, e.id FROM audit_auditleaf l JOIN audit_auditevent e ON e.id = l.event
ORDER BY l.number DESC LIMIT 1
"""
_BEHIND = """
SELECT e.id, e.recorded_at, e.transaction FROM audit_auditevent e
WHERE (e.transaction, e.id) > (%s, %s) AND e.recorded_at < clock_timestamp() - %s::interval
  AND NOT EXISTS (SELECT FROM audit_auditleaf l WHERE l.event = e.id)
ORDER BY e.transaction, e.id LIMIT 1
"""
_ANYWHERE = """
SELECT e.id, e.recorded_at, e.transaction FROM audit_auditevent e
LEFT JOIN audit_auditleaf l ON l.event = e.id
WHERE l.event IS NULL AND e.recorded_at < clock_timestamp() - %s::interval
ORDER BY e.id LIMIT 1
"""
_GONE = """
SELECT l.number, l.event FROM audit_auditleaf l LEFT JOIN audit_auditevent e ON e.id = l.event
WHERE e.id IS NULL AND NOT EXISTS (
  SELECT FROM unnest(%s::bigint[], %s::bigint[]) AS r(low, high) WHERE l.number BETWEEN r.low AND r.high
) ORDER BY l.number
"""
_OLDEST = """
SELECT pid, xact_start, state, application_name FROM pg_stat_activity
WHERE backend_xid IS NOT NULL AND xact_start IS NOT NULL ORDER BY age(backend_xid) DESC LIMIT 1
"""
_PREPARED = "SELECT gid, prepared FROM pg_prepared_xacts ORDER BY prepared LIMIT 1"


@dataclass(frozen=True, slots=True)
class Stall:
    """The first event that should have had a leaf for some time, and what can be seen of the cause."""

    event: int
    since: datetime
    why: str


def problem() -> str:
    """What the sealer says keeps it from writing the log; empty while it can, or has said nothing yet (A47)."""
    return SealerState.objects.filter(pk=1).values_list("problem", flat=True).first() or ""


def behind() -> Stall | None:
    """Cheap: looks only at what comes after the last leaf. Where no leaf is known, or its event is gone, at all."""
    with connection.cursor() as cursor:
        cursor.execute(_CURSOR)
        after = cursor.fetchone() or (0, 0)
        cursor.execute(_BEHIND, [*after, LATE])
        return _stall(cursor.fetchone())


def anywhere() -> Stall | None:
    """Every event against every leaf: also finds a row that was put in later, under an old transaction's number."""
    with connection.cursor() as cursor:
        cursor.execute(_ANYWHERE, [LATE])
        return _stall(cursor.fetchone())


def is_told() -> bool:
    """Whether this stall was recorded before: the event that says so waits for its leaf, too."""
    last = AuditEvent.objects.filter(kind=Kind.LOG_STALLED).order_by("-id").first()
    return last is not None and not AuditLeaf.objects.filter(event=last.pk).exists()


def gone() -> list[tuple[int, int]]:
    """(leaf, event) whose row is no more, although no restore explains it."""
    told = AuditEvent.objects.filter(kind=Kind.LOG_RESTORED)
    lost = [pair for event in told for pair in event.data["detail"]["lost"]]
    with connection.cursor() as cursor:
        cursor.execute(_GONE, [[low for low, _ in lost], [high for _, high in lost]])
        return [(int(number), int(event)) for number, event in cursor.fetchall()]


def _stall(row: tuple[int, datetime, int] | None) -> Stall | None:
    if row is None:
        return None
    event, since, transaction = row
    return Stall(event, since, _why(transaction))


def _why(transaction: int) -> str:
    state = SealerState.objects.filter(pk=1).first()
    if state is None:
        return "No sealer has ever worked on this database. Start one: manage.py seal"
    if timezone.now() - state.beat_at > SILENT:
        return f"The sealer was last heard of at {_clock(state.beat_at)}. Look whether its process runs."
    if state.problem:
        return f"The sealer says: {state.problem}"
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
        if cursor.fetchone()[0] <= transaction:
            return f"A transaction that has not ended holds it back: {_who_holds_back()}"
    return "The sealer works, but has passed it by: the row was put in later, under the number of an old transaction."


def _who_holds_back() -> str:
    with connection.cursor() as cursor:
        cursor.execute(_PREPARED)
        if prepared := cursor.fetchone():
            return f"the prepared transaction {prepared[0]!r} of {_clock(prepared[1])}."
        cursor.execute(_OLDEST)
        if row := cursor.fetchone():
            pid, begun, state, name = row
            return f"open since {_clock(begun)}, PostgreSQL's process {pid} ({state}, {name or 'without a name'})."
    return "of a role whose sessions this one may not see; ask pg_stat_activity as a superuser."


def _clock(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
