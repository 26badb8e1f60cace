"""A person's own choice of notifications, and where chat messages for him go."""

from collections.abc import Collection

from django.db import transaction
from django.utils import timezone

from accounts.exceptions import Conflict, Invalid, NotFound
from accounts.models import User
from approvals.messages import chat, choices
from approvals.messages.chat import BadAddress
from approvals.messages.choices import Choice
from approvals.models import ChatAddress, Delivery, Notification
from audit import recording
from audit.events import Kind, Target

MOST_ADDRESSES = 6


def save_choice(*, person: User, choice: Choice) -> User:
    """Keep the choice; other preferences are left alone. Whom a message could reach belongs to how a decision came
    about, so it is an event. Raises `Invalid` for a way that is none of his, and for quiet hours without length."""
    with transaction.atomic(durable=True):
        person = _locked(person.pk)
        chosen = {way for ways in choice.ways.values() for way in ways}
        unknown = chosen - {choices.EMAIL, *_chat_ways(person)}
        faults = [{"field": "ways", "message": "names a way that is not yours"}] if unknown else []
        if choice.quiet and choice.quiet[0] == choice.quiet[1]:
            faults.append({"field": "quiet_to", "message": "must differ from the beginning"})
        if not 0 <= choice.digest_hour <= 23:
            faults.append({"field": "digest_hour", "message": "must be an hour of the day"})
        if faults:
            raise Invalid("These choices cannot be kept.", errors=faults)
        before = person.preferences.get("notify")
        _keep(person, choice)
        if before != choice.stored():
            recording.record(
                actor=person.actor(),
                kind=Kind.PREFERENCES_SAVED,
                target=Target("person", str(person.pk)),
                before={"notify": before},
                after={"notify": choice.stored()},
            )
    return person


def add_chat_address(*, person: User, label: str, address: str) -> ChatAddress:
    """Seal an address and let it have what is usual for chat. It is looked up before (a name may take a while), and
    never shown again. Raises `Invalid` with the reason, `Conflict` when there are too many."""
    try:
        destination = chat.understand(address)
        chat.check_reachable(destination)
    except BadAddress as error:
        raise Invalid(str(error), errors=[{"field": "address", "message": str(error)}]) from error
    with transaction.atomic(durable=True):
        person = _locked(person.pk)
        if ChatAddress.objects.filter(person=person).count() >= MOST_ADDRESSES:
            raise Conflict(f"There are {MOST_ADDRESSES} addresses already. Remove one first.")
        added = ChatAddress.objects.create(person=person, label=label, sealed=chat.seal(address, destination))
        way = choices.chat_way(added.pk)
        _keep(person, choices.read(person.preferences).with_way(way, choices.USUAL_CHAT))
        recording.record(
            actor=person.actor(),
            kind=Kind.CHAT_ADDRESS_CHANGED,
            target=Target("person", str(person.pk)),
            after={"chat_address": added.pk, "label": label, "service": destination.where},
        )
    return added


def remove_chat_address(*, person: User, address_id: int) -> str:
    """Forget an address. What was on its way there is dead, and says why. Returns its label. Raises `NotFound`."""
    with transaction.atomic(durable=True):
        person = _locked(person.pk)
        found = _own(person, address_id)
        way = choices.chat_way(found.pk)
        Delivery.objects.filter(
            notification__recipient=person, channel=way, state=Delivery.State.QUEUED
        ).update(state=Delivery.State.DEAD, error="You removed this chat address.")
        _keep(person, choices.read(person.preferences).with_way(way, ()))
        recording.record(
            actor=person.actor(),
            kind=Kind.CHAT_ADDRESS_CHANGED,
            target=Target("person", str(person.pk)),
            before={"chat_address": found.pk, "label": found.label},
        )
        found.delete()
    return found.label


def send_test(*, person: User, way: str) -> bool:
    """Send a message that says nothing, now, whatever he chose, by the same way as all others. At most one a minute and
    way: False when there was one just now. Raises `NotFound`."""
    now = timezone.now()
    with transaction.atomic(durable=True):
        person = _locked(person.pk)
        if way != choices.EMAIL:
            _own(person, choices.chat_address_id(way) or 0)
        sent, is_new = Notification.objects.get_or_create(
            recipient=person,
            key=f"test:{way}:{now:%Y-%m-%d %H:%M}",
            defaults={
                "kind": choices.TEST,
                "text": "This is a test: messages from Countersign reach you here.",
                "link": "/notifications/settings/",
                "created_at": now,
                "read_at": now,
            },
        )
        if is_new:
            Delivery.objects.create(notification=sent, channel=way, not_before=now)
    return is_new


def mark_read(*, person: User, notification_id: int) -> Notification:
    """Note that he has seen it; the first time counts. Raises `NotFound` for another's."""
    with transaction.atomic(durable=True):
        found = Notification.objects.filter(recipient=person, pk=notification_id).first()
        if found is None:
            raise NotFound("There is no such notification.")
        Notification.objects.filter(pk=found.pk, read_at=None).update(read_at=timezone.now())
    return found


def mark_all_read(*, person: User, up_to: int) -> int:
    """Everything up to the newest one that was on his screen; what has come since stays unread."""
    with transaction.atomic(durable=True):
        unread = Notification.objects.filter(recipient=person, read_at=None, pk__lte=up_to)
        return unread.update(read_at=timezone.now())


def _keep(person: User, choice: Choice) -> None:
    person.preferences = {**person.preferences, "notify": choice.stored()}
    person.save(update_fields=["preferences"])


def _locked(person_id: int) -> User:
    return User.objects.select_for_update(of=("self",), no_key=True).get(pk=person_id)


def _own(person: User, address_id: int) -> ChatAddress:
    found = ChatAddress.objects.filter(person=person, pk=address_id).first()
    if found is None:
        raise NotFound("There is no such chat address of yours.")
    return found


def _chat_ways(person: User) -> Collection[str]:
    return {
        choices.chat_way(pk) for pk in ChatAddress.objects.filter(person=person).values_list("pk", flat=True)
    }
