"""Reading the audit log: timelines of one object or one actor."""

from django.db.models import QuerySet

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
