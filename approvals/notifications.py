"""Tell people something: a row per person in the transaction that causes it, deliveries by their choice."""

from collections.abc import Iterable
from enum import StrEnum

from django.utils import timezone

from approvals.models import Notification, Proposal


class Topic(StrEnum):
    """What a notification is about; each person chooses a way for each."""

    ASSIGNED = "assigned"
    MENTIONED = "mentioned"
    COMMENTED = "commented"
    DUE_SOON = "due_soon"
    OVERDUE = "overdue"
    ESCALATED = "escalated"
    TAKEN_OVER = "taken_over"
    ANSWERED = "answered"
    DROPPED = "dropped"
    PACING = "pacing"


def tell(
    people: Iterable[int],
    *,
    topic: Topic,
    text: str,
    key: str,
    proposal: Proposal | None = None,
    link: str = "",
) -> int:
    """Write one notification per person (primary keys), in the caller's transaction. The same `key` counts once.

    Returns how many were new."""
    now = timezone.now()
    rows = [
        Notification(
            recipient_id=person,
            kind=topic,
            proposal=proposal,
            text=text[:300],
            link=link,
            key=key,
            created_at=now,
        )
        for person in dict.fromkeys(people)
    ]
    before = Notification.objects.filter(recipient__in=[row.recipient_id for row in rows], key=key).count()
    Notification.objects.bulk_create(rows, ignore_conflicts=True)
    return len(rows) - before
