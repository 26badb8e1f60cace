"""Audit events in templates. Everything returned is plain text, escaped where it is printed."""

from typing import Any

from django import template

from audit import content, words
from audit.models import AuditEvent
from audit.words import Difference

register = template.Library()


@register.filter
def phrase(event: AuditEvent) -> str:
    return words.phrase(event.kind, event.data)


@register.filter
def actor_label(event: AuditEvent) -> str:
    """Who did it, as the event itself recorded the name."""
    return str(event.data.get("actor", {}).get("label", event.actor_id))


@register.filter
def for_whom(event: AuditEvent) -> str:
    """On whose behalf, by the name the event recorded; empty for most events."""
    return str((event.data.get("on_behalf_of") or {}).get("label", ""))


@register.filter
def differences(event: AuditEvent) -> list[Difference]:
    return words.differences(event.data)


@register.filter
def values(event: AuditEvent) -> list[Difference]:
    return words.values(event.data)


@register.filter
def details(event: AuditEvent) -> list[tuple[str, str]]:
    content.reveal([event])
    return words.details(event.told)


@register.filter
def told(event: AuditEvent) -> dict[str, Any]:
    """What else the event says of itself, its words opened."""
    content.reveal([event])
    return event.told.get("detail") or {}


@register.filter
def has_timeline(event: AuditEvent) -> bool:
    """Whether its object can stand in an address; of a refusal it is a path."""
    return bool(event.object_id) and "/" not in event.object_id
