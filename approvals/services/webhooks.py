"""An agent's webhook endpoints: added, changed, paused, resumed, removed; secrets rotated; dead messages sent again."""

import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from django.db import connection, transaction
from django.utils import timezone

from accounts.exceptions import Conflict, Invalid, NotFound
from accounts.models import User
from agents import fetching, permissions
from agents.models import Agent
from approvals import outbox, webhooks
from approvals.models import WebhookDelivery, WebhookEndpoint, WebhookSecret
from audit import recording
from audit.events import Kind, Target

MOST = 10
"""Endpoints of one agent."""
MAX_OVERLAP = timedelta(days=7)
_QUEUED, _DEAD = WebhookDelivery.State.QUEUED, WebhookDelivery.State.DEAD


def add(
    *, agent_id: int, url: str, events: Sequence[str], label: str, actor: User
) -> tuple[WebhookEndpoint, str]:
    """A new endpoint and its secret, which is shown now and never again. It hears of `events`, or of everything."""
    _check(url, events)
    with transaction.atomic(durable=True):
        agent = _managed(agent_id, actor)
        if WebhookEndpoint.objects.filter(agent=agent, removed_at=None).count() >= MOST:
            raise Conflict(f"An agent has at most {MOST} endpoints; remove one first.")
        endpoint = WebhookEndpoint.objects.create(
            agent=agent, url=url, label=label, events=list(events), added_by=actor
        )
        text, sealed = webhooks.new_secret()
        WebhookSecret.objects.create(endpoint=endpoint, sealed=sealed)
        _record(endpoint, actor, Kind.WEBHOOK_ADDED, after=_facts(endpoint))
    return endpoint, text


def change(*, endpoint_id: int, url: str, events: Sequence[str], label: str, actor: User) -> WebhookEndpoint:
    """What is on its way goes to the new address too; what was filtered out before does not come again."""
    _check(url, events)
    with transaction.atomic(durable=True):
        endpoint = _own(endpoint_id, actor)
        before = _facts(endpoint)
        moved = endpoint.url != url
        endpoint.url, endpoint.events, endpoint.label = url, list(events), label
        endpoint.save(update_fields=["url", "events", "label"])
        if moved:
            _begin_anew(endpoint)
        if _facts(endpoint) != before or moved:
            _record(endpoint, actor, Kind.WEBHOOK_CHANGED, before=before, after=_facts(endpoint))
    return endpoint


def rotate(*, endpoint_id: int, actor: User, overlap: timedelta = timedelta(hours=24)) -> str:
    """A new secret, shown now and never again. The old one signs too for `overlap`, at most 7 days; one that was on its
    way out already ends now, so that never more than two sign."""
    if not timedelta(0) <= overlap <= MAX_OVERLAP:
        raise Invalid("Not rotated.", errors=[{"field": "overlap", "message": "must be 0 to 7 days"}])
    with transaction.atomic(durable=True):
        endpoint = _own(endpoint_id, actor)
        now = timezone.now()
        endpoint.secrets.filter(ends_at__gt=now).update(ends_at=now)
        endpoint.secrets.filter(ends_at=None).update(ends_at=now + overlap)
        text, sealed = webhooks.new_secret()
        new = WebhookSecret.objects.create(endpoint=endpoint, sealed=sealed)
        _record(
            endpoint,
            actor,
            Kind.WEBHOOK_SECRET_ROTATED,
            after={"webhook": endpoint.pk, "secret": new.pk, "old_until": (now + overlap).isoformat()},
        )
    return text


def pause(*, endpoint_id: int, actor: User) -> None:
    """Nothing leaves for it until it is resumed; what comes meanwhile waits. Twice changes nothing."""
    with transaction.atomic(durable=True):
        endpoint = _own(endpoint_id, actor)
        if endpoint.paused_at is None:
            endpoint.paused_at, endpoint.paused_why = timezone.now(), f"{actor} paused it."[:300]
            endpoint.save(update_fields=["paused_at", "paused_why"])
            _record(
                endpoint, actor, Kind.WEBHOOK_PAUSED, before=_state("open", endpoint), after=_facts(endpoint)
            )


def resume(*, endpoint_id: int, actor: User) -> None:
    """What has waited leaves at once, with three days from now on."""
    with transaction.atomic(durable=True):
        endpoint = _own(endpoint_id, actor)
        if endpoint.paused_at is not None:
            before = _facts(endpoint)
            endpoint.paused_at, endpoint.paused_why = None, ""
            endpoint.save(update_fields=["paused_at", "paused_why"])
            _begin_anew(endpoint)
            _record(endpoint, actor, Kind.WEBHOOK_RESUMED, before=before, after=_facts(endpoint))


def remove(*, endpoint_id: int, actor: User) -> None:
    """Its secrets are destroyed; what was on its way is dead and stays in sight for as long as any."""
    with transaction.atomic(durable=True):
        endpoint = _own(endpoint_id, actor)
        endpoint.removed_at = timezone.now()
        endpoint.save(update_fields=["removed_at"])
        endpoint.secrets.all().delete()
        dropped = endpoint.deliveries.filter(state=_QUEUED).update(
            state=_DEAD, error="The endpoint was removed."
        )
        _record(endpoint, actor, Kind.WEBHOOK_REMOVED, before=_facts(endpoint), detail={"dropped": dropped})


def redrive(*, endpoint_id: int, actor: User, delivery_id: int | None = None) -> int:
    """Send again what is dead, or one message whatever became of it, as if for the first time. Returns how many."""
    with transaction.atomic(durable=True):
        endpoint = _own(endpoint_id, actor)
        found = endpoint.deliveries.exclude(state=_QUEUED)
        found = found.filter(state=_DEAD) if delivery_id is None else found.filter(pk=delivery_id)
        first = list(found.order_by("pk").values_list("pk", flat=True)[:100])
        count = found.update(
            state=_QUEUED, attempts=0, begun_at=None, not_before=timezone.now(), error="", sent_at=None
        )
        if count:
            _wake(endpoint)
            _record(endpoint, actor, Kind.WEBHOOK_REDRIVEN, detail={"count": count, "first": first})
        return count


def test(*, endpoint_id: int, actor: User) -> WebhookDelivery:
    """Queue an event that says nothing, to this endpoint whatever it listens for."""
    with transaction.atomic(durable=True):
        endpoint = _own(endpoint_id, actor)
        delivery = WebhookDelivery.objects.create(endpoint=endpoint, event=outbox.TEST)
        _wake(endpoint)
        _record(endpoint, actor, Kind.WEBHOOK_TESTED, detail={"webhook": endpoint.pk})
    return delivery


def url_fault(url: str) -> str:
    """Why an endpoint cannot be there, in a sentence; empty where it can. Looks the name up, so no transaction is
    open meanwhile."""
    try:
        fetching.check_reachable(url, allowed=webhooks.open_networks())
    except fetching.NotReached as fault:
        return str(fault)
    return ""


def _check(url: str, events: Sequence[str]) -> None:
    if fault := url_fault(url):
        raise Invalid("Not saved.", errors=[{"field": "url", "message": fault}])
    if unknown := sorted(set(events) - set(outbox.TYPES)):
        message = f"there is no event {unknown[0][:60]!r}"
        raise Invalid("Not saved.", errors=[{"field": "events", "message": message}])


def _managed(agent_id: int, actor: User) -> Agent:
    agent = Agent.objects.select_for_update(of=("self",), no_key=True).filter(pk=agent_id).first()
    if agent is None:
        raise NotFound("There is no such agent.")
    permissions.manages_now(actor, agent)
    return agent


def _own(endpoint_id: int, actor: User) -> WebhookEndpoint:
    """The endpoint under its row's lock, which senders take only while they note something down."""
    found = (
        WebhookEndpoint.objects.select_for_update(of=("self",), no_key=True)
        .select_related("agent")
        .filter(pk=endpoint_id, removed_at=None)
        .first()
    )
    if found is None:
        raise NotFound("There is no such endpoint.")
    permissions.manages_now(actor, found.agent)
    return found


def _begin_anew(endpoint: WebhookEndpoint) -> None:
    """Forget past failures: what waits is due now."""
    now = timezone.now()
    WebhookEndpoint.objects.filter(pk=endpoint.pk).update(failures=0, failing_since=None, rests_until=None)
    endpoint.deliveries.filter(state=_QUEUED).update(begun_at=None, attempts=0, not_before=now)
    _wake(endpoint)


def _wake(endpoint: WebhookEndpoint) -> None:
    WebhookEndpoint.objects.filter(pk=endpoint.pk).update(rests_until=None)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, '')", [outbox.CHANNEL])


def _record(endpoint: WebhookEndpoint, actor: User, kind: Kind, **facts: Any) -> None:
    recording.record(actor=actor.actor(), kind=kind, target=Target("agent", str(endpoint.agent_id)), **facts)


def _facts(endpoint: WebhookEndpoint) -> dict[str, Any]:
    """What the log keeps for good: the address without its query, where people put secrets."""
    return {
        "webhook": endpoint.pk,
        "url": urlunsplit((*urlsplit(endpoint.url)[:3], "", "")),
        "events": list(endpoint.events),
        "label": endpoint.label,
        "state": "open" if endpoint.paused_at is None else "paused",
    }


def _state(state: str, endpoint: WebhookEndpoint) -> dict[str, Any]:
    return {**_facts(endpoint), "state": state}


def clear(
    *, now: datetime, kept: timedelta = timedelta(days=30), batch: int = 2000, seconds: float = 60.0
) -> int:
    """A step of its own task, batch by batch until nothing is left or time is over: what arrived or died a month ago
    goes; what has waited as long for an endpoint that is paused is dead, in sight for another month. How many rows."""
    until = time.monotonic() + seconds
    count = 0
    for step in (_give_up, _drop):
        while done := step(now, now - kept, batch):
            count += done
            if time.monotonic() > until:
                return count
    return count


def _give_up(now: datetime, since: datetime, batch: int) -> int:
    """`not_before` is when it died: `created_at` is part of the message. Under the endpoints' locks, so that nothing
    dies that somebody who resumes one lets go at this moment."""
    waiting = WebhookDelivery.objects.filter(
        state=_QUEUED, created_at__lte=since, endpoint__paused_at__isnull=False
    )
    with transaction.atomic(durable=True):
        found = list(waiting.order_by("created_at").values_list("pk", "endpoint_id")[:batch])
        locked = WebhookEndpoint.objects.select_for_update(of=("self",), no_key=True).order_by("pk")
        paused = list(locked.filter(pk__in={endpoint for _, endpoint in found}).exclude(paused_at=None))
        return WebhookDelivery.objects.filter(
            pk__in=[pk for pk, _ in found], state=_QUEUED, endpoint__in=paused
        ).update(state=_DEAD, error="The endpoint has been paused for a month.", not_before=now)


def _drop(now: datetime, since: datetime, batch: int) -> int:
    over = WebhookDelivery.objects.exclude(state=_QUEUED).filter(created_at__lte=since, not_before__lte=since)
    with transaction.atomic(durable=True):
        found = list(over.order_by("created_at").values_list("pk", flat=True)[:batch])
        WebhookDelivery.objects.filter(pk__in=found).exclude(state=_QUEUED).delete()
    return len(found)
