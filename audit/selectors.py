"""Reading the audit log: timelines of one object, the explorer's pages, one event."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q, QuerySet

from audit.models import AuditEvent


def timeline(object_type: str, object_id: str) -> QuerySet[AuditEvent]:
    """Everything that happened to one object, oldest first."""
    return AuditEvent.objects.filter(object_type=object_type, object_id=object_id).order_by("id")


def recent(*, before_id: int | None = None, object_type: str = "", limit: int = 50) -> list[AuditEvent]:
    """The latest events, newest first; `before_id` continues after the last row shown."""
    events = AuditEvent.objects.order_by("-id")
    if before_id is not None:
        events = events.filter(id__lt=before_id)
    if object_type:
        events = events.filter(object_type=object_type)
    return list(events[:limit])


def latest_about(objects: list[tuple[str, list[str]]], *, limit: int = 20) -> list[AuditEvent]:
    """The latest events about several objects together, newest first: an agent and its mandates, say.

    One query per object type, each by the index on (type, id)."""
    found: list[AuditEvent] = []
    for object_type, ids in objects:
        if ids:
            about = AuditEvent.objects.filter(object_type=object_type, object_id__in=ids)
            found += list(about.order_by("-id")[:limit])
    return sorted(found, key=lambda event: -event.pk)[:limit]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the explorer looks for; an empty value does not narrow. `kind` may be a family such as `agent.`."""

    kind: str = ""
    actor_kind: str = ""
    actor_id: str = ""
    object_type: str = ""
    object_id: str = ""
    since: datetime | None = None
    until: datetime | None = None


def page(wanted: Wanted, *, before_id: int | None = None, limit: int = 50) -> tuple[list[AuditEvent], bool]:
    """One page, newest first by keyset, and whether older events follow."""
    where = Q()
    for name in ("actor_kind", "actor_id", "object_type", "object_id"):
        if value := getattr(wanted, name):
            where &= Q(**{name: value})
    if wanted.kind:
        where &= Q(kind__startswith=wanted.kind) if wanted.kind.endswith(".") else Q(kind=wanted.kind)
    if wanted.since:
        where &= Q(recorded_at__gte=wanted.since)
    if wanted.until:
        where &= Q(recorded_at__lte=wanted.until)
    if before_id is not None:
        where &= Q(id__lt=before_id)
    events = list(AuditEvent.objects.filter(where).order_by("-id")[: limit + 1])
    return events[:limit], len(events) > limit
