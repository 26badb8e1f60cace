"""Submit: an agent's intended action becomes a proposal and is routed.

The hot path. A proposal that needs a person is accepted by one SQL statement, which is its own transaction: it
checks that this process's cached authority is still current, claims the idempotency key, and inserts proposal,
revision and audit event. A proposal that may pass without a person takes the agent's and the mandate's lock first, so
that two at once cannot both be the last within a limit (I10)."""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec
import structlog
from django.db import transaction
from django.utils import timezone

from agents import authority, pointers, schemas, standings, versions
from agents.authority import Bearer, Cache
from agents.autonomy import Tier
from agents.exceptions import ArgumentsInvalid, KeysAway
from agents.models import ActionType, Agent, Mandate
from agents.services import versions as announcing
from agents.versions import Announced
from approvals import (
    acceptance,
    blind,
    canonical,
    deadlines,
    facts,
    grants,
    news,
    open_items,
    redaction,
    rollbacks,
    routing,
    usage,
)
from approvals.acceptance import Draft
from approvals.exceptions import IdempotencyConflict, InFlight, TooManyOpen
from approvals.models import BlindReview, Decision, Priority, Proposal, Revision, Verdict
from approvals.requests import ProposeRequest
from approvals.states import State
from audit import content, keys, recording
from audit.events import Target
from audit.ids import uuid7
from audit.models import Content, ContentKind

log = structlog.get_logger(__name__)
_random = secrets.SystemRandom()
_ATTEMPTS = 5
_DEFAULT_EXPIRY = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Submitted:
    """The proposal as stored; `created` is False for a repeat of an earlier request."""

    proposal: Proposal
    created: bool
    canonical: bytes


@dataclass(frozen=True, slots=True)
class _Request:
    """One request as sent, under one idempotency key."""

    key: str
    digest: bytes
    body: ProposeRequest


@dataclass(frozen=True, slots=True)
class _Standing:
    """Who asks for what, by what this process knows at one authority number."""

    cache: Cache
    bearer: Bearer
    action_type: ActionType
    mandate: Mandate | None


def submit(*, token_hash: bytes, key: str, request_digest: bytes, request: ProposeRequest) -> Submitted:
    """Accept one proposal, or answer a repeat with what was accepted before.

    `request_digest` is SHA-256 of the body. Raises `BadCredential`, `ArgumentsInvalid` (also for an unknown action
    type), `IdempotencyConflict`, `InFlight`, `KeysAway`, `TooManyOpen`."""
    asked = _Request(key, request_digest, request)
    cache = authority.cache()
    for _ in range(_ATTEMPTS):
        bearer = cache.bearer(token_hash)
        if bearer is None or bearer.expires_at <= timezone.now():
            cache = _refreshed_or_refuse(cache, token_hash)
            continue
        if not authority.may_come_from_here(bearer):
            cache = _refreshed_or_refuse(cache, token_hash, bearer)
            continue
        recording.by_credential(bearer.credential_id)
        if _announces(cache, bearer, request):
            repeat = _earlier(bearer.agent, asked)
            if repeat is not None:
                return repeat
            _announce(bearer, request)
            cache = authority.fresh()
            continue
        action_type = cache.action_type(request.action_type)
        faults = _faults(action_type, request)
        if faults or action_type is None:
            if cache.number != authority.current():
                cache = authority.fresh()
                continue
            repeat = _earlier(bearer.agent, asked)
            if repeat is not None:
                return repeat
            raise ArgumentsInvalid("The arguments were refused; nothing was stored.", errors=faults)
        mandate = cache.mandate(bearer.agent, action_type)
        submitted = _attempt(_Standing(cache, bearer, action_type, mandate), asked)
        if submitted is not None:
            return submitted
        cache = authority.fresh()
    raise InFlight("Permissions are being changed right now; send the same request again.", retry_after=1)


def _said(request: ProposeRequest) -> Announced | None:
    said = request.agent_version
    return None if said is None else Announced(said.model, said.prompt_digest, said.tools_digest)


def _announces(cache: Cache, bearer: Bearer, request: ProposeRequest) -> bool:
    """Whether the request names another version than the one this process knows the agent to be."""
    said = _said(request)
    known = cache.version(bearer.agent) if said is not None else None
    return said is not None and (known is None or versions.said_by(known) != said)


def _announce(bearer: Bearer, request: ProposeRequest) -> None:
    said = _said(request)
    assert said is not None
    announcing.announce(agent_id=bearer.agent.pk, said=said, credential_id=bearer.credential_id)


def _refreshed_or_refuse(cache: Cache, token_hash: bytes, bearer: Bearer | None = None) -> Cache:
    fresh = authority.fresh()
    if fresh is cache:
        if bearer is not None:
            authority.check_network(bearer)
        raise authority.refusal(token_hash)
    return fresh


def _faults(action_type: ActionType | None, request: ProposeRequest) -> list[dict[str, str]]:
    if action_type is None:
        return [{"field": "/action_type", "message": f"there is no action type {request.action_type!r}"}]
    found = schemas.errors(action_type.schema, request.arguments)
    return [{"field": "/arguments" + fault.field, "message": fault.message} for fault in found]


def _attempt(standing: _Standing, asked: _Request) -> Submitted | None:
    """One try with this cache; None when authority has changed meanwhile."""
    draft = _draft(standing, asked)
    if draft.route.state in open_items.COUNTED:
        try:
            open_items.check(standing.bearer.agent)
        except TooManyOpen:
            repeat = _earlier(standing.bearer.agent, asked)
            if repeat is None:
                raise
            return repeat
    if draft.route.state not in (State.SCHEDULED, State.APPROVED):
        if draft.proposal.parent_id is None:
            return _accept(draft, standing, asked)
        with transaction.atomic(durable=True):
            return _linked(_accept(draft, standing, asked))
    with transaction.atomic(durable=True):
        assert standing.mandate is not None
        usage.lock(standing.bearer.agent.pk, standing.mandate.pk)
        draft = _draft(standing, asked)
        submitted = _accept(draft, standing, asked)
        if submitted is not None and submitted.created and draft.route.state == State.APPROVED:
            approve_by_policy(submitted.proposal, at=submitted.proposal.created_at)
        return _linked(submitted)


def _linked(submitted: Submitted | None) -> Submitted | None:
    """Where it undoes what a person asked to be undone, it is named there in the same transaction."""
    if submitted is not None and submitted.created and submitted.proposal.parent_id is not None:
        rollbacks.link(submitted.proposal, at=timezone.now())
    return submitted


def _draw_probability(state: State, mandate: Mandate | None, action_type: ActionType) -> float | None:
    """The chance of a blind review after the fact: an audit of what runs by itself, a second review of what a person
    approves (TIERS.md, Sampling). It depends on the mandate's standing alone, never on the action's features."""
    limits = standings.thresholds_of(mandate, action_type)
    if state == State.PENDING:
        return limits.second or None
    if mandate is None or state not in (State.SCHEDULED, State.APPROVED):
        return None
    if mandate.audit_rate is not None:
        return mandate.audit_rate
    return limits.early_out if mandate.tier == Tier.OUT_OF_THE_LOOP else limits.early_on


def approve_by_policy(proposal: Proposal, *, at: datetime) -> None:
    """A step: the decision and grant of a proposal that an earned tier lets through, and its audit if it was drawn."""
    revision = proposal.revisions.get(number=proposal.revision)
    Decision.objects.create(
        proposal=proposal,
        revision=revision,
        verdict=Verdict.APPROVE,
        reason="tier",
        label="policy",
        decided_at=at,
    )
    grants.issue(proposal, revision, at=at)
    if proposal.sampled and proposal.sample_probability:
        blind.arise(
            proposal, revision, kind=BlindReview.Kind.AUDIT, probability=proposal.sample_probability, at=at
        )


def _draft(standing: _Standing, asked: _Request) -> Draft:
    """Route the request and prepare its rows."""
    bearer, action_type, mandate = standing.bearer, standing.action_type, standing.mandate
    request = asked.body
    now = timezone.now()
    agent = bearer.agent
    rules = facts.domain_policy(action_type.domain, standing.cache.number)
    amount, currency = facts.money(action_type, request.arguments)
    subject = request.subject
    subjects = facts.Subjects(
        amount, currency, subject.type if subject else "", subject.id if subject else ""
    )
    route = routing.route(
        facts.collect(
            agent=agent,
            action_type=action_type,
            mandate=mandate,
            arguments=request.arguments,
            subjects=subjects,
            rules=rules,
            now=now,
        )
    )
    arguments = canonical.arguments_bytes(request.arguments)
    told = _conversation(request, now)
    queue = rules.queues[route.queue] if route.queue else None
    probability = _draw_probability(route.state, mandate, action_type)
    proposal = Proposal(
        id=uuid7(),
        agent=agent,
        agent_version=agent.version,
        credential_id=bearer.credential_id,
        action_type=action_type,
        idempotency_key=asked.key,
        request_digest=asked.digest,
        state=route.state,
        version=1,
        tier=route.tier,
        revision=1,
        digest=canonical.digest(
            agent=agent.slug, action_type=action_type.name, revision=1, canonical=arguments
        ),
        title=pointers.title(action_type.title_template, request.arguments),
        amount=amount,
        currency=currency,
        summary=request.summary,
        reasoning=request.reasoning,
        confidence=request.confidence,
        kept_context=told,
        subject_type=subjects.subject_type,
        subject_id=subjects.subject_id,
        subject_key=subjects.key,
        trace_id=request.trace_id,
        parent_id=_own_parent(agent, request),
        current_state=request.current_state,
        metadata=request.metadata,
        queue=queue,
        quorum=route.quorum,
        roles=route.roles,
        required=route.required,
        reasons=routing.as_json(route.reasons),
        policy_version_id=rules.version_id,
        sample_probability=probability,
        sampled=probability is not None and _random.random() < probability,
        priority=Priority[request.priority.upper()],
        created_at=now,
        expires_at=now + _DEFAULT_EXPIRY,
        effective_at=(
            now + timedelta(seconds=mandate.veto_seconds)
            if mandate and route.state == State.SCHEDULED
            else None
        ),
        changed_at=now,
    )
    _set_times(proposal, request, now)
    event = recording.prepare(
        actor=agent.actor(),
        kind=f"proposal.{route.state}",
        target=Target("proposal", str(proposal.id), 1),
        after={
            "state": str(route.state),
            "action_type": action_type.name,
            "digest": proposal.digest,
            "revision": 1,
            "tier": str(route.tier),
            "queue": route.queue,
            "reasons": redaction.nameless(proposal.reasons),
        },
        detail=naming(told),
        policy_version=rules.version_id,
    )
    return Draft(proposal, arguments, event, route, told)


def _conversation(request: ProposeRequest, now: datetime) -> Content | None:
    """What the agent sent along, encrypted under the key of whom it is about. Raises `KeysAway`."""
    if not request.context:
        return None
    subject = (request.subject.type, request.subject.id) if request.subject else None
    body = msgspec.json.encode(request.context)
    try:
        return content.prepare(content.New(ContentKind.CONTEXT, subject, body), at=now)
    except (keys.Unreadable, OSError) as error:
        log.error("content_keys_unusable", error=repr(error)[:300])
        raise KeysAway(
            "Conversations cannot be stored at the moment; nothing was accepted. Send the same request again.",
            retry_after=30,
        ) from error


def naming(told: Content | None) -> dict[str, Any] | None:
    """What the event of acceptance says of the conversation, so that sealing the one seals the other."""
    return None if told is None else {"context": content.named(told)}


def _set_times(proposal: Proposal, request: ProposeRequest, now: datetime) -> None:
    """When it is due and expires; what the agent asks for in seconds is by the clock, whoever is at work.

    Only what waits for a person calls for attention."""
    if proposal.queue is not None:
        deadlines.enter(proposal, proposal.queue, at=now)
    if proposal.state != State.PENDING:
        proposal.queued_at = proposal.attention_at = None
    if request.expires_in:
        proposal.expires_at = now + timedelta(seconds=request.expires_in)


def draft_of(
    token_hash: bytes, key: str, request_digest: bytes, request: ProposeRequest, cache: Cache
) -> tuple[Draft, int]:
    """The insert that a request would lead to, and the authority number it depends on; measurements run it."""
    bearer = cache.bearer(token_hash)
    assert bearer is not None
    return draft_as(
        bearer, key=key, request_digest=request_digest, request=request, cache=cache
    ), cache.number


def draft_as(
    bearer: Bearer, *, key: str, request_digest: bytes, request: ProposeRequest, cache: Cache
) -> Draft:
    """What a request by this agent would be stored as; probes are made of it, so that they are like real ones."""
    action_type = cache.action_type(request.action_type)
    assert action_type is not None
    standing = _Standing(cache, bearer, action_type, cache.mandate(bearer.agent, action_type))
    return _draft(standing, _Request(key, request_digest, request))


def _own_parent(agent: Agent, request: ProposeRequest) -> Any:
    """The parent must be a proposal of the same agent (I9)."""
    if request.parent_id is None:
        return None
    if not Proposal.objects.filter(pk=request.parent_id, agent=agent, planted=False).exists():
        raise ArgumentsInvalid(
            "The parent was not found.",
            errors=[
                {"field": "/parent_id", "message": "must be the id of an earlier proposal of this agent"}
            ],
        )
    return request.parent_id


def _accept(draft: Draft, standing: _Standing, asked: _Request) -> Submitted | None:
    """Store it. None: authority has changed. A taken key is a repeat or a conflict."""
    answer = acceptance.accept(draft, standing.cache.number)
    if answer.is_inserted:
        if draft.route.state in open_items.COUNTED:
            open_items.accepted(standing.bearer.agent)
        news.proposal_came(draft.proposal)
        return Submitted(draft.proposal, True, draft.canonical)
    if not answer.is_current:
        return None
    repeat = _earlier(standing.bearer.agent, asked) if answer.is_free else None
    if repeat is None:
        raise InFlight("A request with this idempotency key is being answered right now.", retry_after=1)
    return repeat


def _earlier(agent: Agent, asked: _Request) -> Submitted | None:
    """The proposal accepted under this key; raises `IdempotencyConflict` when the body was another."""
    found = (
        Proposal.objects.filter(agent=agent, idempotency_key=asked.key, planted=False)
        .select_related("action_type", "queue", "agent", "grant", "outcome")
        .first()
    )
    if found is None:
        return None
    if bytes(found.request_digest) != asked.digest:
        raise IdempotencyConflict(
            "This Idempotency-Key came earlier with another body. Use a new key for another proposal.",
            errors=[{"field": "Idempotency-Key", "message": "was used for another body"}],
            # whoever repeats a call that it can no longer tell word for word finds it again
            proposal=str(found.pk),
        )
    revision = Revision.objects.get(proposal=found, number=found.revision)
    return Submitted(found, False, bytes(revision.canonical))
