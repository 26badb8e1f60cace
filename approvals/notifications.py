"""Tell people something: a row per person in the transaction that causes it, deliveries by their choice.

The rows are the outbox: they are written or rolled back with what they speak of, and approvals/services/deliver.py
sends what is due. Nothing is sent from here, so no mail server can hold up a decision."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from django.db import connection
from django.utils import timezone

from accounts.models import User
from approvals import news
from approvals.messages import choices
from approvals.messages.choices import Topic
from approvals.models import ChatAddress, Delivery, Proposal

__all__ = ["Topic", "tell"]

TEXT = 300

_INSERT = """
INSERT INTO approvals_notification (recipient_id, kind, proposal_id, text, link, key, created_at)
SELECT u.id, %(kind)s, %(proposal)s, %(text)s, %(link)s, %(key)s, %(now)s
FROM accounts_user u WHERE u.id = ANY (%(people)s) AND u.is_active
ORDER BY u.id
ON CONFLICT (recipient_id, key) DO NOTHING
RETURNING id, recipient_id
"""


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

    `link` is a path of this site; without one, the proposal's page. Returns how many were new. One statement where
    nobody is new, four otherwise, however many people."""
    new = _write(people, kind=topic, text=text, key=key, proposal=proposal, link=link)
    if new:
        _arrange(new, topic=topic, now=timezone.now())
    return len(new)


def tell_in_page(people: Iterable[int], *, kind: str, text: str, key: str, link: str) -> int:
    """The same for what is told in the page alone: a kind of message that nobody chooses a way for."""
    return len(_write(people, kind=kind, text=text, key=key, proposal=None, link=link))


def _write(
    people: Iterable[int], *, kind: str, text: str, key: str, proposal: Proposal | None, link: str
) -> list[tuple[int, int]]:
    """The new rows as (primary key, person)."""
    assert link == "" or (link.startswith("/") and not link.startswith("//")), "a path of this site"
    values = {
        "kind": str(kind),
        "proposal": proposal.pk if proposal else None,
        "text": _fitted(text),
        "link": link,
        "key": key,
        "now": timezone.now(),
        "people": sorted(set(people)),
    }
    with connection.cursor() as cursor:
        cursor.execute(_INSERT, values)
        new = [(int(pk), int(person)) for pk, person in cursor.fetchall()]
    if new:
        news.people_told(person for _, person in new)
    return new


def _fitted(text: str) -> str:
    text = text.replace("\x00", "\N{REPLACEMENT CHARACTER}")
    return text if len(text) <= TEXT else f"{text[: TEXT - 1]}…"


def _arrange(new: Sequence[tuple[int, int]], *, topic: str, now: datetime) -> None:
    """Deliveries of new notifications, (primary key, person), by each person's choice, quiet hours and digest."""
    people = User.objects.only("preferences", "time_zone").in_bulk([person for _, person in new])
    addresses: dict[int, set[str]] = {}
    for pk, owner in ChatAddress.objects.filter(person__in=people).values_list("pk", "person_id"):
        addresses.setdefault(owner, set()).add(choices.chat_way(pk))
    deliveries = []
    for notification_id, person_id in new:
        person = people[person_id]
        choice = choices.read(person.preferences)
        open_ways = {choices.EMAIL} | addresses.get(person_id, set())
        deliveries += [
            Delivery(
                notification_id=notification_id,
                channel=way,
                not_before=choices.not_before(
                    choice, topic=topic, way=way, now=now, zone=choices.zone_of(person.time_zone)
                ),
            )
            for way in sorted(choice.ways.get(Topic(topic), frozenset()) & open_ways)
        ]
    Delivery.objects.bulk_create(deliveries)
