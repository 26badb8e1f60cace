"""Short words for tests about notifications: being told, having chosen, what became of the deliveries."""

from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts.models import User
from approvals.messages.choices import Choice, Topic
from approvals.models import Delivery
from approvals.notifications import tell
from approvals.services import choose_notifications


def told(user: User, topic: Topic = Topic.ASSIGNED, *, key: str = "k", **extra: Any) -> int:
    with transaction.atomic():
        return tell([user.pk], topic=topic, text=extra.pop("text", "Something for you"), key=key, **extra)


def chose(user: User, **values: Any) -> User:
    """A choice through the use case; `ways` as topic → ways."""
    return choose_notifications.save_choice(person=user, choice=Choice(**values))


def states(user: User) -> list[tuple[str, str]]:
    found = Delivery.objects.filter(notification__recipient=user).order_by("pk")
    return [(delivery.channel, delivery.state) for delivery in found]


def later(minutes: float) -> datetime:
    return timezone.now() + timedelta(minutes=minutes)
