"""Reading the log is itself logged, and so is taking something out of it.

A reading is one event per page that was shown: which page, what was asked, how many events it showed. The same person
asking the same again within a minute adds nothing. The log can always be read: where the event cannot be written (a
database that takes no writes), the page is shown and says so, since an investigation must not end there."""

from datetime import timedelta
from typing import Any

import structlog
from django.db import DatabaseError, transaction
from django.utils import timezone

from audit import recording
from audit.events import Actor, Kind, Target
from audit.models import AuditEvent

log = structlog.get_logger(__name__)
AGAIN = timedelta(minutes=1)
_LOOK_BACK = 20
LOG = Target("log", "events")


def note(*, reader: Actor, page: str, shown: int, asked: dict[str, Any] | None = None) -> bool:
    """Record that `reader` was shown `shown` events; False where that could not be written."""
    detail = {"page": page, "asked": asked or {}, "shown": shown}
    try:
        with transaction.atomic(durable=True):
            if not _said_just_now(reader, detail):
                recording.record(actor=reader, kind=Kind.LOG_READ, target=LOG, detail=detail)
    except DatabaseError as error:
        log.error("reading_not_logged", page=page, reader=reader.id, error=str(error)[:300])
        return False
    return True


def _said_just_now(reader: Actor, detail: dict[str, Any]) -> bool:
    latest = AuditEvent.objects.filter(actor_kind=reader.kind, actor_id=reader.id).order_by("-id")
    return any(
        event.kind == Kind.LOG_READ
        and event.recorded_at > timezone.now() - AGAIN
        and _without_count(event.data["detail"]) == _without_count(detail)
        for event in latest[:_LOOK_BACK]
    )


def _without_count(detail: dict[str, Any]) -> dict[str, Any]:
    """Another reading shows more by the event of the first one; it is the same question all the same."""
    return {name: value for name, value in detail.items() if name != "shown"}


def note_export(*, reader: Actor, form: str, count: int, asked: dict[str, Any], below: int) -> AuditEvent:
    """Record an export before its first byte leaves. Raises DatabaseError: what cannot be logged is not exported."""
    detail = {"form": form, "asked": asked, "count": count, "transactions_below": str(below)}
    with transaction.atomic(durable=True):
        return recording.record(actor=reader, kind=Kind.LOG_EXPORTED, target=LOG, detail=detail)
