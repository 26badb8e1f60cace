"""Send what is due: e-mails and chat messages, out of the rows that `approvals.notifications.tell` wrote (I5).

A delivery is leased before it is sent: one more attempt, and not before the pause after that attempt, in a transaction
that commits first. So no lock and no transaction is held while a mail server thinks, nobody else sends it meanwhile,
and a process that dies between sending and noting it down sends again when the pause is over: at least once. After
`MOST_ATTEMPTS` it is dead, stays in sight, and its person is told in the page.

What is due for one person and way goes as one message: a digest, a night of quiet hours, or simply two at once."""

import random
import smtplib
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import structlog
from django.conf import settings
from django.core import mail
from django.db import Error as DatabaseFault
from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone

from accounts.models import User
from approvals import notifications, permissions, wording
from approvals.messages import chat, choices
from approvals.messages.chat import Undelivered
from approvals.models import ChatAddress, Delivery, Notification, Proposal
from audit import recording
from audit.events import Kind, Target

log = structlog.get_logger(__name__)

MOST_ATTEMPTS = 10
FIRST_PAUSE = timedelta(minutes=2)
"""Also the lease: longer than any sending takes (`EMAIL_TIMEOUT` for each step, `egress.LONGEST` for each request)."""
LONGEST_PAUSE = timedelta(hours=4)
JITTER = 0.2
TOGETHER = 200
"""Notifications in one message, at most; wording.py lists the first of them."""
LOOKED_AT = 1000
SENDERS = 2
"""Senders at once in the whole installation: a mail server that hangs must not take every thread of the workers."""
RUN_SECONDS = 20.0
_LOCK = 0x6E6F7469
"""The first half of the advisory locks that count the senders."""
_ERROR = 300


@dataclass(frozen=True, slots=True)
class Parcel:
    """What goes to one person by one way in one message. The deliveries are leased."""

    recipient: User
    way: str
    deliveries: list[Delivery]

    @property
    def notifications(self) -> list[Notification]:
        return [delivery.notification for delivery in self.deliveries]


def send_due(*, now: datetime | None = None, seconds: float = RUN_SECONDS) -> int:
    """Send what is due, for `seconds` at most. Returns how many messages went out. Two at once share the work, more
    find nothing to do. `now` is for tests."""
    end = time.monotonic() + seconds
    count = 0
    with _sender() as may_send:
        outbox = _Outbox()
        while may_send and time.monotonic() < end:
            parcel = _next(now or timezone.now(), without=outbox.closed)
            if parcel is None:
                break
            count += _deliver(parcel, outbox, now or timezone.now())
        outbox.close()
    return count


def retry(*, delivery_ids: list[int], by: User, person: User | None = None) -> int:
    """Try dead deliveries again from the beginning; only those of `person`, if given. Returns how many."""
    with transaction.atomic(durable=True):
        dead = Delivery.objects.filter(pk__in=delivery_ids, state=Delivery.State.DEAD)
        if person is not None:
            dead = dead.filter(notification__recipient=person)
        ids = sorted(dead.values_list("pk", flat=True))
        count = dead.update(state=Delivery.State.QUEUED, attempts=0, not_before=timezone.now(), error="")
        if count:
            recording.record(
                actor=by.actor(),
                kind=Kind.DELIVERIES_RETRIED,
                target=Target("delivery", str(ids[0])),
                before={"state": str(Delivery.State.DEAD)},
                after={"state": str(Delivery.State.QUEUED)},
                detail={"count": count, "first": ids[:100]},
            )
        return count


def pause_after(attempt: int, *, chance: float) -> timedelta:
    """How long to wait after this attempt (from 1): doubled each time, up to four hours, give or take a fifth, so that
    what failed together does not come back together. `chance` is in [0, 1)."""
    doubled = FIRST_PAUSE * (1 << min(attempt - 1, 16))
    return min(doubled, LONGEST_PAUSE) * (1 + JITTER * chance)


def _next(now: datetime, *, without: frozenset[str]) -> Parcel | None:
    """The parcel that has been due longest and nobody else is sending, leased. Ways in `without` rest."""
    due = Delivery.objects.filter(state=Delivery.State.QUEUED, not_before__lte=now)
    rows = list(
        due.exclude(channel__in=without)
        .order_by("not_before", "pk")
        .values_list("pk", "channel", "notification__recipient")[:LOOKED_AT]
    )
    parcels: dict[tuple[str, int], list[int]] = {}
    for pk, way, recipient in rows:
        parcels.setdefault((way, recipient), []).append(pk)
    for (way, recipient), ids in parcels.items():
        with transaction.atomic(durable=True):
            locked = list(
                due.select_for_update(of=("self",), skip_locked=True, no_key=True)
                .filter(pk__in=ids[:TOGETHER])
                .values_list("pk", "attempts")
            )
            given_up = [pk for pk, attempts in locked if attempts >= MOST_ATTEMPTS]
            if given_up:  # every attempt was cut off before it could be noted down
                _bury(given_up, "Every attempt was interrupted.", recipient, way)
            leased = [(pk, attempts + 1) for pk, attempts in locked if attempts < MOST_ATTEMPTS]
            for attempt in {attempt for _, attempt in leased}:
                pause = pause_after(attempt, chance=random.random())  # noqa: S311 - spreads load, guards nothing
                Delivery.objects.filter(pk__in=[pk for pk, tried in leased if tried == attempt]).update(
                    attempts=F("attempts") + 1, not_before=now + pause
                )
        if leased:
            return _parcel(recipient, way, [pk for pk, _ in leased])
    return None


def _parcel(recipient: int, way: str, ids: list[int]) -> Parcel:
    deliveries = Delivery.objects.select_related(
        "notification__proposal__queue",
        "notification__proposal__agent",
        "notification__proposal__action_type",
    ).filter(pk__in=ids)
    found = sorted(deliveries, key=lambda delivery: delivery.notification_id)
    return Parcel(User.objects.get(pk=recipient), way, found)


def _deliver(parcel: Parcel, outbox: "_Outbox", now: datetime) -> bool:
    """Send one parcel and note down what became of it. Whether it went out."""
    parcel = _still_theirs(parcel)
    if not parcel.deliveries:
        return False
    try:
        outbox.send(parcel)
    except Undelivered as error:
        _note_failure(parcel, error)
        return False
    ids = [delivery.pk for delivery in parcel.deliveries]
    with transaction.atomic(durable=True):
        Delivery.objects.filter(pk__in=ids, state=Delivery.State.QUEUED).update(
            state=Delivery.State.SENT, sent_at=now, error=""
        )
    return True


def _still_theirs(parcel: Parcel) -> Parcel:
    """Leave out what this person may no longer see, or everything once he has been deactivated (I10 in spirit: the
    right is read when it is used)."""
    ids = {one.proposal_id for one in parcel.notifications if one.proposal_id is not None}
    visible: set[Any] = set()
    if parcel.recipient.is_active and ids:
        found = Proposal.objects.filter(permissions.visible_to(parcel.recipient), pk__in=ids)
        visible = set(found.values_list("pk", flat=True))
    kept: list[Delivery] = []
    dropped: list[Delivery] = []
    for delivery in parcel.deliveries:
        proposal_id = delivery.notification.proposal_id
        fits = parcel.recipient.is_active and (proposal_id is None or proposal_id in visible)
        (kept if fits else dropped).append(delivery)
    if dropped:
        why = "It is no longer for this person to see."
        with transaction.atomic(durable=True):
            Delivery.objects.filter(pk__in=[delivery.pk for delivery in dropped]).update(
                state=Delivery.State.DEAD, error=why
            )
    return Parcel(parcel.recipient, parcel.way, kept)


def _note_failure(parcel: Parcel, error: Undelivered) -> None:
    """The pause was set when the delivery was leased; here only the reason, or the end."""
    over = [
        delivery.pk for delivery in parcel.deliveries if error.for_good or delivery.attempts >= MOST_ATTEMPTS
    ]
    log.warning(
        "undelivered", way=parcel.way, person=parcel.recipient.pk, why=str(error)[:_ERROR], dead=len(over)
    )
    with transaction.atomic(durable=True):
        Delivery.objects.filter(pk__in=[delivery.pk for delivery in parcel.deliveries]).update(
            error=str(error)[:_ERROR]
        )
        if over:
            _bury(over, str(error), parcel.recipient.pk, parcel.way)


def _bury(ids: list[int], why: str, recipient: int, way: str) -> None:
    """Dead, and said so to the person in the page, once a day and way."""
    Delivery.objects.filter(pk__in=ids).update(state=Delivery.State.DEAD, error=why[:_ERROR])
    what = "E-mails to you" if way == choices.EMAIL else "Messages to one of your chat addresses"
    notifications.tell_in_page(
        [recipient],
        kind=choices.UNDELIVERED,
        text=f"{what} do not arrive. {why}",
        key=f"undelivered:{way}:{timezone.now():%Y-%m-%d}",
        link="/notifications/settings/",
    )


class _Outbox:
    """The ways out during one run: one connection to the mail server, and which ways rest because they are down."""

    def __init__(self) -> None:
        self.closed: frozenset[str] = frozenset()
        self._mail: Any = None

    def send(self, parcel: Parcel) -> None:
        """Raises `Undelivered`."""
        if parcel.way == choices.EMAIL:
            self._send_mail(_letter(parcel))
        else:
            _send_chat(parcel)

    def close(self) -> None:
        if self._mail is not None:
            with suppress(smtplib.SMTPException, OSError):
                self._mail.close()
            self._mail = None

    def _send_mail(self, letter: mail.EmailMessage) -> None:
        if self._mail is None:
            self._mail = mail.get_connection()
            try:
                self._mail.open()
            except (smtplib.SMTPException, OSError) as error:
                self.close()
                self.closed |= {choices.EMAIL}  # whatever else is due keeps its attempts for a better moment
                raise Undelivered(f"The mail server cannot be used: {_words(error)}") from error
        try:
            self._mail.send_messages([letter])
        except smtplib.SMTPRecipientsRefused as error:
            self.close()
            codes = [code for code, _ in error.recipients.values()]
            raise Undelivered(
                f"The mail server refused the address: {_words(error)}",
                for_good=all(code >= 500 for code in codes),
            ) from error
        except (smtplib.SMTPException, OSError) as error:
            self.close()
            raise Undelivered(f"The mail server did not take it: {_words(error)}") from error


def _letter(parcel: Parcel) -> mail.EmailMessage:
    """The e-mail. Its Message-ID is the same when it has to be sent again, so mail programs show it once."""
    zone = choices.zone_of(parcel.recipient.time_zone)
    message = wording.for_email(parcel.notifications, site=settings.PUBLIC_URL, zone=zone)
    host = urlsplit(settings.PUBLIC_URL).hostname or "countersign"
    first, count = parcel.deliveries[0].pk, len(parcel.deliveries)
    headers = {
        "Message-ID": f"<delivery-{first}-{count}@{host}>",
        "Auto-Submitted": "auto-generated",
        "X-Auto-Response-Suppress": "All",
    }
    about = {one.proposal_id for one in parcel.notifications}
    if len(about) == 1 and None not in about:
        headers["References"] = f"<proposal-{about.pop()}@{host}>"
    return mail.EmailMessage(
        subject=message.subject,
        body=message.body,
        from_email=settings.DEFAULT_FROM_EMAIL,
        to=[parcel.recipient.email],
        headers=headers,
    )


def _send_chat(parcel: Parcel) -> None:
    address = ChatAddress.objects.filter(
        pk=choices.chat_address_id(parcel.way) or 0, person=parcel.recipient
    ).first()
    if address is None:
        raise Undelivered("The chat address was removed.", for_good=True)
    destination = chat.opened(bytes(address.sealed))
    if destination is None:
        raise Undelivered("The address cannot be opened any more; remove it and add it again.", for_good=True)
    message = wording.for_chat_message(parcel.notifications, site=settings.PUBLIC_URL)
    chat.send(destination, title=message.subject, body=message.body)


def _words(error: Exception) -> str:
    """What a mail server said, in one readable line."""
    code: int
    said: bytes | str
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code, said = next(iter(error.recipients.values()), (0, b""))
    elif isinstance(error, smtplib.SMTPResponseException):
        code, said = error.smtp_code, error.smtp_error
    else:
        code, said = 0, str(error) or type(error).__name__
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    return wording.cut(" ".join(f"{code or ''} {text}".split()), 160)


@contextmanager
def _sender() -> Iterator[bool]:
    """One of `SENDERS` places, held by a session's advisory lock, which also a killed process gives back; False where
    all are taken."""
    place = next((number for number in range(SENDERS) if _try_lock(number)), None)
    try:
        yield place is not None
    finally:
        if place is not None:
            with suppress(DatabaseFault), connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [_LOCK, place])


def _try_lock(number: int) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [_LOCK, number])
        row = cursor.fetchone()
    return bool(row and row[0])
