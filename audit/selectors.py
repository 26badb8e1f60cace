"""Reading the audit log: timelines of one object and of several. `audit.search` has the explorer's questions."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import QuerySet

from audit.models import AuditEvent
from audit.search import Page


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


def since(object_type: str, object_id: str | None, kind: str, at: datetime) -> QuerySet[AuditEvent]:
    """Events of one kind after a moment, newest first: of one object, or of all objects of the type."""
    found = AuditEvent.objects.filter(object_type=object_type, kind=kind, recorded_at__gt=at)
    if object_id is not None:
        found = found.filter(object_id=object_id)
    return found.order_by("-id")


@dataclass(frozen=True, slots=True)
class Group:
    """Objects of one type whose events belong together; where `needle` is given, only events whose text has it."""

    object_type: str
    ids: tuple[str, ...]
    needle: str = ""


def about(groups: Iterable[Group], *, before: str = "", limit: int = 50) -> Page:
    """One page of the events about several objects, newest first; one query per group that has members."""
    found: list[AuditEvent] = []
    for group in groups:
        if group.ids:
            events = AuditEvent.objects.filter(object_type=group.object_type, object_id__in=group.ids)
            if before.isdecimal():
                events = events.filter(id__lt=min(int(before), 2**62))
            if group.needle:
                events = events.filter(content__contains=group.needle)
            found += list(events.order_by("-id")[: limit + 1])
    shown = sorted(found, key=lambda event: -event.pk)
    older = str(shown[limit - 1].pk) if len(shown) > limit else ""
    return Page(shown[:limit], older)
