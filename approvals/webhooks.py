"""What leaves for an agent's endpoint: its body, its signature (Standard Webhooks), and how long to wait after failing.

The body is built from the stored rows when it is sent, as the proposal was by that event. So erasing somebody reaches
what is still on its way, and a grant that was revoked or used up meanwhile is not handed out any more."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec
from cryptography.fernet import InvalidToken
from django.db.models import Min, Q

from agents import networks
from approvals import outbox, representation
from approvals.messages import sealing
from approvals.models import (
    OpenNetwork,
    Outcome,
    Proposal,
    Revision,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookSecret,
)
from approvals.states import RAN, State

PREFIX = "whsec_"
_BYTES = 32
_PURPOSE = "webhook-secret"
Purpose = OpenNetwork.Purpose
_UNDECIDED = frozenset({State.PENDING, State.SCHEDULED})
_REPORTED = RAN - {State.EXECUTING}

FIRST_PAUSE = timedelta(seconds=5)
LONGEST_PAUSE = timedelta(hours=4)
TRIED_FOR = timedelta(days=3)
JITTER = 0.2
MOST_ATTEMPTS = 60
"""More than three days of pauses hold: only attempts that were cut off come this far."""
SHORTEST_REST = timedelta(seconds=5)
LONGEST_REST = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Message:
    """One request as it leaves, but for the time, which each attempt signs anew."""

    id: str
    body: bytes

    @property
    def digest(self) -> str:
        return f"sha256:{hashlib.sha256(self.body).hexdigest()}"


def new_secret() -> tuple[str, bytes]:
    """A secret as it is shown once, and sealed as it is kept."""
    text = PREFIX + base64.b64encode(secrets.token_bytes(_BYTES)).decode()
    return text, sealing.box(_PURPOSE).encrypt(text.encode())


def live_secrets(endpoint: WebhookEndpoint, *, now: datetime) -> list[str]:
    """Those that sign, newest first. One that another SECRET_KEY sealed cannot be opened and is left out."""
    found = WebhookSecret.objects.filter(Q(ends_at=None) | Q(ends_at__gt=now), endpoint=endpoint)
    return [text for one in found.order_by("-pk") if (text := _opened(one))]


def _opened(secret: WebhookSecret) -> str:
    try:
        return sealing.box(_PURPOSE).decrypt(bytes(secret.sealed)).decode()
    except InvalidToken:
        return ""


def headers(message_id: str, body: bytes, keys: Sequence[str], *, at: datetime) -> dict[str, str]:
    """What says that it is from us, and when: one signature for each secret, any of which is enough."""
    stamp = str(int(at.timestamp()))
    signed = f"{message_id}.{stamp}.".encode() + body
    signatures = [
        "v1,"
        + base64.b64encode(hmac.digest(base64.b64decode(key.removeprefix(PREFIX)), signed, "sha256")).decode()
        for key in keys
    ]
    return {
        "Content-Type": "application/json",
        "User-Agent": "Countersign-Webhooks/1",
        "webhook-id": message_id,
        "webhook-timestamp": stamp,
        "webhook-signature": " ".join(signatures),
    }


def message(delivery: WebhookDelivery, *, now: datetime) -> Message:
    """The request for one delivery. Needs its endpoint and agent at hand; reads the proposal."""
    data: Any
    if delivery.proposal_id is None:
        data = {
            "agent": delivery.endpoint.agent.slug,
            "text": "A test from Countersign. Nothing has happened.",
        }
    else:
        data = as_of(delivery, now=now)
    body = msgspec.json.encode(
        {"type": delivery.event, "timestamp": _time(delivery.created_at), "data": data}
    )
    return Message(f"msg_{delivery.message.hex}", body)


def as_of(delivery: WebhookDelivery, *, now: datetime) -> dict[str, Any]:
    """The proposal as it was by this event, in the representation that the API gives (docs/api.md)."""
    assert delivery.proposal_id is not None
    proposal = Proposal.objects.select_related(
        "action_type__reversible_by", "queue", "grant", "outcome", "rollback_request__asked_by"
    ).get(pk=delivery.proposal_id)
    revision = Revision.objects.select_related("decision__decider").get(
        proposal=proposal, number=delivery.revision
    )
    then, is_still = State(delivery.status), proposal.state == delivery.status
    proposal.state, proposal.version = then, delivery.version
    proposal.revision, proposal.digest = delivery.revision, revision.digest
    grant = getattr(proposal, "grant", None)
    usable = is_still and grant is not None and grant.revoked_at is None and grant.expires_at > now
    undoing = then in (State.SUCCEEDED, State.ROLLED_BACK)
    outcome = getattr(proposal, "outcome", None) if then in _REPORTED else None
    if outcome is not None and then == State.UNKNOWN:  # what a person found out came with a later version
        outcome.status = Outcome.Status.UNKNOWN
    return representation.build(
        proposal,
        canonical=bytes(revision.canonical),
        decision=None if then in _UNDECIDED else getattr(revision, "decision", None),
        grant=grant if usable else None,
        outcome=outcome,
        rollback=getattr(proposal, "rollback_request", None) if undoing else None,
    )


def shown(delivery: WebhookDelivery, *, now: datetime) -> str:
    """The body for people, as it would leave now. A usable grant is the agent's alone and left out."""
    data = msgspec.json.decode(message(delivery, now=now).body)
    if isinstance(data["data"].get("grant"), dict):
        data["data"]["grant"]["token"] = "…"  # noqa: S105 - what stands in place of one
    return msgspec.json.format(msgspec.json.encode(data), indent=2).decode()


def open_networks(purpose: OpenNetwork.Purpose = Purpose.WEBHOOKS) -> tuple[networks.Network, ...]:
    """Private networks whose servers may be called for this."""
    found = OpenNetwork.objects.filter(purpose__in=[purpose, Purpose.BOTH])
    return networks.parsed(found.values_list("network", flat=True))


def pause_after(attempt: int, *, chance: float) -> timedelta:
    """How long to wait after this attempt (from 1): doubled each time, up to four hours, and up to a fifth longer, so
    that what failed together does not come back together. `chance` is in [0, 1)."""
    doubled = FIRST_PAUSE * (1 << min(max(attempt, 1) - 1, 20))
    return min(doubled, LONGEST_PAUSE) * (1 + JITTER * chance)


def next_attempt(begun: datetime, now: datetime, attempt: int, *, chance: float) -> datetime | None:
    """When to try again after this failed attempt; the last time is three days after the first, None after that."""
    end = begun + TRIED_FOR
    if now >= end or attempt >= MOST_ATTEMPTS:
        return None
    return min(now + pause_after(attempt, chance=chance), end)


def rest_after(failures: int) -> timedelta:
    """How long an endpoint is left alone that has failed so often in a row, whatever it was sent: one that is down
    costs an attempt every ten minutes, not one for every message."""
    if failures < 3:
        return timedelta(0)
    return min(SHORTEST_REST * (1 << min(failures - 3, 10)), LONGEST_REST)


@dataclass(frozen=True, slots=True)
class Ahead:
    """What is going to happen to a message that waits: tried `at` (None: within seconds), after failures again `then`,
    given up after `ends`. `behind` is the version of the same proposal that has to arrive or be given up before."""

    at: datetime | None
    then: tuple[datetime, ...]
    ends: datetime
    behind: int = 0


SHOWN_AHEAD = 2


def ahead_of(
    deliveries: Sequence[WebhookDelivery], endpoint: WebhookEndpoint, *, now: datetime
) -> list[Ahead | None]:
    """For each message to this endpoint, with one query for all of them. None for what waits no more, or for as long as
    the endpoint is paused."""
    waiting = WebhookDelivery.objects.filter(
        endpoint=endpoint,
        proposal__in={one.proposal_id for one in deliveries if one.proposal_id},
        state=WebhookDelivery.State.QUEUED,
    )
    first = dict(waiting.values_list("proposal").annotate(Min("version")))
    return [_ahead(one, endpoint, first.get(one.proposal_id, 0), now) for one in deliveries]


def _ahead(delivery: WebhookDelivery, endpoint: WebhookEndpoint, first: int, now: datetime) -> Ahead | None:
    """Pauses without what chance adds to them."""
    if delivery.state != WebhookDelivery.State.QUEUED or not endpoint.is_open:
        return None
    at = max(delivery.not_before, endpoint.rests_until or now, now)
    ends = (delivery.begun_at or at) + TRIED_FOR
    then: list[datetime] = []
    last = at
    for attempt in range(delivery.attempts + 1, delivery.attempts + 1 + SHOWN_AHEAD):
        again = next_attempt(ends - TRIED_FOR, last, attempt, chance=0)
        if again is None:
            break
        then.append(again)
        last = again
    behind = first if first < delivery.version else 0
    return Ahead(at if at > now else None, tuple(then), ends, behind)


_MEANINGS = {
    400: "it does not take this message as it is; its signature may be checked with another secret",
    401: "it wants a sign-in, or checks the signature with another secret",
    403: "it refuses us: a firewall, or the signature is checked with another secret",
    404: "nothing is at this address",
    405: "nothing takes a POST at this address",
    408: "it waited too long for us",
    410: "it is gone for good",
    413: "the message is too large for it",
    415: "it does not take JSON",
    422: "it does not take this message as it is",
    429: "it is too busy",
    500: "an error of its own: look into its log",
    502: "what stands before your server does not reach it",
    503: "it is down, or starting",
    504: "your server was too slow for what stands before it",
}


def meaning_of(status: int) -> str:
    """What a status says, for somebody who does not know the numbers."""
    if 200 <= status < 300:
        return "taken"
    if 300 <= status < 400:
        return "it sends us elsewhere, which is not followed: enter the address that it names"
    usual = "it refuses the message" if status < 500 else "an error of its own"
    return _MEANINGS.get(status, usual)


def types_of(endpoint: WebhookEndpoint) -> list[str]:
    """What it hears of, in the order of the choice."""
    return [one for one in outbox.TYPES if not endpoint.events or one in endpoint.events]


def _time(value: datetime) -> str:
    return value.isoformat().replace("+00:00", "Z")
