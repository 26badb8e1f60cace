"""What a person finds about his notifications: how many are new, the list, and what did not reach him outside."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import QuerySet

from accounts.models import User
from approvals import permissions
from approvals.messages import chat, choices
from approvals.messages.choices import Words
from approvals.models import ChatAddress, Delivery, Notification, Proposal
from approvals.states import State

COUNTED = 100
"""The bell counts up to here and then says so; one look-up in a partial index."""
RECENT = 300


@dataclass(frozen=True, slots=True)
class Line:
    """One notification as the list shows it. `is_hidden`: its proposal is no longer his to see, nor is the text.
    `settled` is the proposal's state once it waits for nobody any more."""

    notification: Notification
    words: Words
    is_hidden: bool
    settled: str


@dataclass(frozen=True, slots=True)
class Way:
    """A way out of the page: its name in choices, what it is called, where it leads, and how the last message fared."""

    name: str
    label: str
    where: str
    address_id: int | None
    last: Delivery | None


def unread_count(user: User) -> int:
    """At most `COUNTED`."""
    return Notification.objects.filter(recipient=user, read_at=None).order_by()[:COUNTED].count()


def page(user: User, *, only_unread: bool, before: int | None, limit: int) -> list[Line]:
    """Newest first, by keyset."""
    found = Notification.objects.filter(recipient=user).order_by("-id")
    if only_unread:
        found = found.filter(read_at=None)
    if before is not None:
        found = found.filter(pk__lt=before)
    return _lines(user, list(found[:limit]))


def arrived_since(user: User, newest: int) -> int:
    """How many unread ones came after the one that was on top."""
    return (
        Notification.objects.filter(recipient=user, pk__gt=newest, read_at=None).order_by()[:COUNTED].count()
    )


def ways(user: User) -> list[Way]:
    """E-mail and the chat addresses. Their secrets stay where they are; an address that cannot be opened says so."""
    recent = Notification.objects.filter(recipient=user).order_by("-id").values("pk")[:RECENT]
    last = {
        delivery.channel: delivery
        for delivery in Delivery.objects.filter(notification__in=recent)
        .order_by("channel", "-pk")
        .distinct("channel")
    }
    found = [Way(choices.EMAIL, "E-mail", user.email, None, last.get(choices.EMAIL))]
    for address in ChatAddress.objects.filter(person=user).order_by("pk"):
        name = choices.chat_way(address.pk)
        where = chat.where(bytes(address.sealed)) or "cannot be opened any more; remove it and add it again"
        found.append(Way(name, address.label, where, address.pk, last.get(name)))
    return found


def undelivered(user: User, *, limit: int = 25) -> list[tuple[Delivery, Line, str]]:
    """His own dead deliveries, newest first, with the name of their way."""
    dead = list(
        Delivery.objects.filter(notification__recipient=user, state=Delivery.State.DEAD)
        .select_related("notification")
        .order_by("-pk")[:limit]
    )
    names = way_names([delivery.channel for delivery in dead])
    lines = _lines(user, [delivery.notification for delivery in dead])
    return [(delivery, line, names[delivery.channel]) for delivery, line in zip(dead, lines, strict=True)]


def all_undelivered() -> QuerySet[Delivery]:
    """Everybody's dead deliveries, newest first, for admins. What they say is between Countersign and their person."""
    return (
        Delivery.objects.filter(state=Delivery.State.DEAD)
        .select_related("notification__recipient")
        .order_by("-pk")
    )


def way_names(channels: Sequence[str]) -> dict[str, str]:
    """What ways are called, for people."""
    ids = {pk for channel in channels if (pk := choices.chat_address_id(channel)) is not None}
    labels = dict(ChatAddress.objects.filter(pk__in=ids).values_list("pk", "label"))
    found = {}
    for channel in channels:
        pk = choices.chat_address_id(channel)
        found[channel] = "E-mail" if pk is None else labels.get(pk, "a chat address that was removed")
    return found


def _lines(user: User, rows: Sequence[Notification]) -> list[Line]:
    ids = {row.proposal_id for row in rows if row.proposal_id is not None}
    state_of: dict[object, str] = {}
    if ids:
        visible = Proposal.objects.filter(permissions.visible_to(user), pk__in=ids)
        state_of = dict(visible.values_list("pk", "state"))
    found = []
    for row in rows:
        state = state_of.get(row.proposal_id, "")
        is_hidden = row.proposal_id is not None and not state
        found.append(Line(row, choices.words(row.kind), is_hidden, "" if state == State.PENDING else state))
    return found
