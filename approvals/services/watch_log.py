"""The alarm of the log: events that are not sealed in time, and sealed events whose rows are gone."""

from typing import Any

import structlog
from django.db import connection, transaction

from accounts.models import User
from approvals.notifications import Topic, tell
from audit import recording, watch
from audit.events import Kind, Target, system

log = structlog.get_logger(__name__)
_ONE_AT_A_TIME = 0x5EA1_A1A
PAGE = "/audit/log/"


def watch_log(*, thoroughly: bool = False) -> int:
    """How many alarms there were. Repeating tells nobody twice of one stall.

    Every minute what comes after the last leaf; every night, `thoroughly`, each event against each leaf."""
    with transaction.atomic(durable=True):
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_ONE_AT_A_TIME])
        found = _stalled(watch.anywhere() if thoroughly else watch.behind())
        return found + (_gone(watch.gone()) if thoroughly else 0)


def _stalled(stall: watch.Stall | None) -> int:
    if stall is None:
        return 0
    log.error("log_stalled", unsealed=stall.event, since=stall.since.isoformat(), why=stall.why)
    if watch.is_told():
        return 1
    _alarm(
        Kind.LOG_STALLED,
        {"event": stall.event, "recorded_at": stall.since.isoformat(), "why": stall.why},
        f"Events are not sealed: event {stall.event} has waited since {stall.since:%Y-%m-%d %H:%M} UTC. {stall.why}",
        key=f"log_stalled:{stall.event}",
    )
    return 1


def _gone(missing: list[tuple[int, int]]) -> int:
    if not missing:
        return 0
    leaf, event = missing[0]
    log.error("log_events_gone", count=len(missing), leaf=leaf, gone=event)
    _alarm(
        Kind.LOG_EVENTS_GONE,
        {"count": len(missing), "leaf": leaf, "event": event},
        f"{len(missing)} sealed events are gone from the database; the first is event {event}, leaf {leaf} of the log. "
        "Somebody with the rights of the database's owner removed them, or a backup was restored.",
        key=f"log_gone:{leaf}:{len(missing)}",
    )
    return 1


def _alarm(kind: Kind, detail: dict[str, Any], text: str, *, key: str) -> None:
    told = tell(
        User.objects.admins().values_list("pk", flat=True),
        topic=Topic.LOG,
        text=text,
        key=key,
        link=PAGE,
    )
    recording.record(
        actor=system("log_watch"), kind=kind, target=Target("log", "log"), detail={**detail, "told": told}
    )
