"""Send what agents' endpoints are to hear of, out of the rows that the change wrote (approvals/outbox.py, I5).

A sender takes an endpoint by a lease, so that whatever hangs there holds up one sender and nobody else's messages. A
message is begun in a transaction that commits first: one more attempt, and not before the pause after that attempt. So
no lock is held while the other side thinks, and a process that dies in between sends again when lease and pause are
over: at least once. Of one proposal, nothing leaves for an endpoint while an earlier version is still on its way to it.
After three days a message is dead and stays in sight; an endpoint that has not taken anything for as long is paused and
the agent's people are told."""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.db import Error as DatabaseFault
from django.db import connection, transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone

from accounts.models import User
from agents import fetching, permissions
from approvals import notifications, outbox, webhooks
from approvals.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint
from approvals.notifications import Topic
from approvals.webhooks import Message
from audit import recording
from audit.events import Kind, Target, system

log = structlog.get_logger(__name__)

LONGEST = 10.0
"""Seconds that one endpoint has for one answer."""
EXCERPT = 2000
LEASE = timedelta(seconds=45)
"""Longer than one attempt takes, name look-up included; each attempt renews it."""
TOGETHER = 50
"""Messages to one endpoint before the others have their turn."""
LOOKED_AT = 200
"""Messages that may turn out to be behind an earlier version before the lock is given back."""
SENDERS = 2
TURN = 5.0
"""Seconds after which an endpoint that answers slowly lets the others go first."""
RUN_SECONDS = 20.0
LOOK_EVERY = 1.0
GONE_AFTER = timedelta(hours=6)
"""From so long without a success on, the agent's people are told that it fails."""
LOCK = 0x77686F6B
"""The first half of the advisory locks that count the senders."""
_ERROR = 300
State = WebhookDelivery.State


@dataclass(frozen=True, slots=True)
class _Parcel:
    """One attempt under way."""

    delivery: WebhookDelivery
    endpoint: WebhookEndpoint
    message: Message
    keys: list[str]


@dataclass(frozen=True, slots=True)
class _Result:
    """How an attempt ended: `error` is empty where the endpoint took it."""

    status: int | None
    error: str
    excerpt: str
    milliseconds: int


Clock = Callable[[], datetime]


def _never() -> bool:
    return False


def send_due(
    *,
    seconds: float = RUN_SECONDS,
    waits: bool = False,
    clock: Clock = timezone.now,
    is_over: Callable[[], bool] = _never,
) -> int:
    """Send what is due, for `seconds` at most or until `is_over`; how many messages were taken. Two at once share the
    work, more find nothing to do. With `waits`, one of them listens for what comes meanwhile. `clock` is for tests."""
    end = time.monotonic() + seconds
    count = 0
    with _place() as place:
        if place is None:
            return 0
        with _listening(waits and place == 0) as wait:
            while time.monotonic() < end and not is_over():
                taken = _take(clock())
                if taken is not None:
                    turn = _until(min(time.monotonic() + TURN, end), is_over)
                    count += _serve(*taken, clock=clock, is_over=turn)
                elif wait is None:
                    break
                else:
                    wait(min(LOOK_EVERY, max(end - time.monotonic(), 0)))
    return count


def _until(end: float, is_over: Callable[[], bool]) -> Callable[[], bool]:
    return lambda: is_over() or time.monotonic() > end


def _due(now: datetime) -> QuerySet[WebhookDelivery]:
    return WebhookDelivery.objects.filter(state=State.QUEUED, not_before__lte=now)


def _next(endpoint: WebhookEndpoint, now: datetime) -> WebhookDelivery | None:
    """The message whose turn it is: the one that is due longest, or an earlier version of the same proposal. What is
    behind an earlier one that is put off is put off as long. Each step is one look into an index: a query that holds
    all messages against each other takes minutes once a hundred thousand wait. Needs the endpoint's lock."""
    for _ in range(LOOKED_AT):
        # By the index's own order: after a resumption all have one time, and sorting them again costs each look all.
        found = _due(now).filter(endpoint=endpoint).order_by("not_before").first()
        if found is None or found.proposal_id is None:
            return found
        waiting = WebhookDelivery.objects.filter(
            endpoint=endpoint, proposal=found.proposal_id, state=State.QUEUED
        )
        first = waiting.order_by("version")[0]
        if first.not_before <= now:
            return first
        waiting.filter(not_before__lt=first.not_before).update(not_before=first.not_before)
    return None


def _take(now: datetime) -> tuple[int, int] | None:
    """An endpoint that something is due for and nobody else serves, leased: its key and the lease's number."""
    ready = WebhookEndpoint.objects.filter(
        Q(leased_until=None) | Q(leased_until__lte=now),
        Q(rests_until=None) | Q(rests_until__lte=now),
        Exists(_due(now).filter(endpoint=OuterRef("pk"))),
        paused_at=None,
        removed_at=None,
    )
    with transaction.atomic(durable=True):
        found = (
            ready.select_for_update(of=("self",), no_key=True, skip_locked=True)
            .order_by(F("leased_until").asc(nulls_first=True), "pk")
            .first()
        )
        if found is None:
            return None
        found.lease += 1
        found.leased_until = now + LEASE
        found.save(update_fields=["lease", "leased_until"])
        return found.pk, found.lease


def _serve(endpoint_id: int, lease: int, *, clock: Clock, is_over: Callable[[], bool]) -> int:
    """Send what is due for one endpoint, one after the other, until it needs a rest or its turn is over."""
    count = 0
    for _ in range(TOGETHER):
        parcel = _begin(endpoint_id, lease, now=clock())
        if parcel is None:
            break
        result = _send(parcel, at=clock())
        count += not result.error
        _note(parcel, result, now=clock())
        if is_over():
            break
    with transaction.atomic(durable=True):  # its turn comes after the others'
        WebhookEndpoint.objects.filter(pk=endpoint_id, lease=lease).update(leased_until=clock())
    return count


def _begin(endpoint_id: int, lease: int, *, now: datetime) -> _Parcel | None:
    with transaction.atomic(durable=True):
        endpoint = _locked(endpoint_id)
        rests = endpoint.rests_until is not None and endpoint.rests_until > now
        if endpoint.lease != lease or not endpoint.is_open or rests:
            return None
        delivery = _next(endpoint, now)
        if delivery is None:
            return None
        if delivery.attempts >= webhooks.MOST_ATTEMPTS:  # each was cut off before it could be noted down
            WebhookDelivery.objects.filter(pk=delivery.pk).update(
                state=State.DEAD, error="Every attempt was interrupted."
            )
            _tell(endpoint, "has a message whose every attempt was interrupted", f"cut:{now:%Y-%m-%d}")
            return None
        endpoint.leased_until = now + LEASE
        endpoint.save(update_fields=["leased_until"])
        delivery.attempts += 1
        delivery.begun_at = delivery.begun_at or now
        delivery.not_before = now + webhooks.pause_after(delivery.attempts, chance=_chance())
        delivery.save(update_fields=["attempts", "begun_at", "not_before"])
    delivery.endpoint = endpoint
    keys = webhooks.live_secrets(endpoint, now=now)
    return _Parcel(delivery, endpoint, webhooks.message(delivery, now=now), keys)


def _send(parcel: _Parcel, *, at: datetime) -> _Result:
    began = time.monotonic()
    status, excerpt = None, ""
    if not parcel.keys:
        error = "Its secret cannot be opened any more; rotate it."
    else:
        try:
            answer = fetching.post(
                parcel.endpoint.url,
                body=parcel.message.body,
                headers=webhooks.headers(parcel.message.id, parcel.message.body, parcel.keys, at=at),
                allowed=webhooks.open_networks(),
                longest=LONGEST,
                most=EXCERPT,
            )
        except fetching.NotFetched as fault:
            error = str(fault)[:_ERROR]
        else:
            status, error = answer.status, _fault(answer.status)
            excerpt = _readable(answer.body)
    return _Result(status, error, excerpt, int((time.monotonic() - began) * 1000))


def _fault(status: int) -> str:
    """Why an answer does not count as taken; empty where it does."""
    if 200 <= status < 300:
        return ""
    if 300 <= status < 400:
        return f"It answers {status}: redirects are not followed."
    return f"It answers {status}."


def _readable(body: bytes) -> str:
    """As PostgreSQL stores text; it stays the other side's words."""
    return body.decode("utf-8", "replace").replace("\x00", "\N{REPLACEMENT CHARACTER}")


def _note(parcel: _Parcel, result: _Result, *, now: datetime) -> None:
    """What became of an attempt: delivered, later again, or dead; and what it says of the endpoint."""
    with transaction.atomic(durable=True):
        endpoint = _locked(parcel.endpoint.pk)
        delivery = WebhookDelivery.objects.select_for_update(of=("self",), no_key=True).get(
            pk=parcel.delivery.pk
        )
        WebhookAttempt.objects.create(
            delivery=delivery,
            at=now,
            milliseconds=result.milliseconds,
            status=result.status,
            error=result.error,
            excerpt=result.excerpt,
            digest=parcel.message.digest,
        )
        if not result.error:
            WebhookDelivery.objects.filter(pk=delivery.pk).update(state=State.SENT, sent_at=now, error="")
            endpoint.failures, endpoint.failing_since, endpoint.rests_until = 0, None, None
            endpoint.succeeded_at = now
            endpoint.save(update_fields=["failures", "failing_since", "rests_until", "succeeded_at"])
        elif delivery.state == State.QUEUED:
            _put_off(delivery, endpoint, result, now)
    if result.error:
        log.warning("webhook_failed", endpoint=endpoint.pk, delivery=delivery.pk, why=result.error)


def _put_off(delivery: WebhookDelivery, endpoint: WebhookEndpoint, result: _Result, now: datetime) -> None:
    delivery.error = result.error
    again = webhooks.next_attempt(delivery.begun_at or now, now, delivery.attempts, chance=_chance())
    if again is None:
        delivery.state = State.DEAD
    else:
        delivery.not_before = again
    delivery.save(update_fields=["error", "state", "not_before"])
    endpoint.failures += 1
    endpoint.failing_since = endpoint.failing_since or now
    endpoint.rests_until = now + webhooks.rest_after(endpoint.failures)
    endpoint.save(update_fields=["failures", "failing_since", "rests_until"])
    if result.status == 410:
        _pause(endpoint, "It answers 410: it is gone.", now)
    elif now - endpoint.failing_since >= webhooks.TRIED_FOR:
        _pause(endpoint, f"It has failed for three days. Last: {result.error}", now)
    elif now - endpoint.failing_since >= GONE_AFTER:
        _tell(endpoint, f"has taken nothing for {GONE_AFTER // timedelta(hours=1)} hours", "failing")
    elif delivery.state == State.DEAD:
        _tell(endpoint, "did not take a message in three days", f"dead:{now:%Y-%m-%d}")


def _pause(endpoint: WebhookEndpoint, why: str, now: datetime) -> None:
    """Nothing more leaves for it until somebody resumes it; what comes meanwhile waits."""
    if not endpoint.is_open:
        return
    endpoint.paused_at, endpoint.paused_why = now, why[:_ERROR]
    endpoint.save(update_fields=["paused_at", "paused_why"])
    recording.record(
        actor=system("webhooks"),
        kind=Kind.WEBHOOK_PAUSED,
        target=Target("agent", str(endpoint.agent_id)),
        before={"webhook": endpoint.pk, "state": "open"},
        after={"webhook": endpoint.pk, "state": "paused", "reason": why[:_ERROR]},
    )
    _tell(endpoint, "fails and is paused", f"paused:{now.isoformat()}")


def _tell(endpoint: WebhookEndpoint, what: str, key: str) -> None:
    agent = endpoint.agent
    managers = User.objects.filter(permissions.managers_of(agent)).values_list("pk", flat=True)
    since = endpoint.failing_since.isoformat() if endpoint.failing_since else ""
    notifications.tell(
        {agent.owner_id, *managers},
        topic=Topic.AGENT,
        text=f"A webhook of {agent.name} {what}: {endpoint!s}",
        key=f"webhook:{endpoint.pk}:{key}:{since}"[:160],
        link=f"/agents/{agent.slug}/webhooks/{endpoint.pk}/",
    )


def _locked(endpoint_id: int) -> WebhookEndpoint:
    locked = WebhookEndpoint.objects.select_for_update(of=("self",), no_key=True)
    return locked.select_related("agent").get(pk=endpoint_id)


def _chance() -> float:
    return random.random()  # noqa: S311 - spreads load, guards nothing


@contextmanager
def _listening(wanted: bool) -> Iterator[Callable[[float], None] | None]:
    """A way to wait for what comes, so many seconds at most; None where nobody waits."""
    if not wanted:
        yield None
        return
    with connection.cursor() as cursor:
        cursor.execute(f"LISTEN {outbox.CHANNEL}")

    def wait(seconds: float) -> None:
        heard = connection.connection.notifies(timeout=seconds, stop_after=1)
        for _ in heard:
            break

    try:
        yield wait
    finally:
        with suppress(DatabaseFault), connection.cursor() as cursor:
            cursor.execute(f"UNLISTEN {outbox.CHANNEL}")


@contextmanager
def _place() -> Iterator[int | None]:
    """One of `SENDERS` places, held by a session's advisory lock, which also a killed process gives back; None where
    all are taken."""
    place = next((number for number in range(SENDERS) if _try_lock(number)), None)
    try:
        yield place
    finally:
        if place is not None:
            with suppress(DatabaseFault), connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [LOCK, place])


def _try_lock(number: int) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [LOCK, number])
        row = cursor.fetchone()
    return bool(row and row[0])
