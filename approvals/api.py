"""The JSON API for agents (DESIGN.md §4). Each view authenticates, parses, calls one use case, represents.

Waiting (`?wait=`) is answered by config/waiting.py, outside Django's handler; here it is ignored."""

import hashlib
import re
from decimal import Decimal
from typing import TypeVar
from urllib.parse import parse_qs
from uuid import UUID

import msgspec
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from accounts.exceptions import DomainError
from agents import authority, stops
from agents.http import (
    BadRequest,
    FieldsInvalid,
    agent_endpoint,
    as_json,
    as_known,
    authenticate,
    bearer_hash,
    body,
    checked,
    parse,
)
from agents.models import Agent, Mandate
from approvals import facts, keys, representation, rollbacks, selectors, usage
from approvals.requests import OutcomeRequest, ProposeRequest, RedeemRequest, ReviseRequest, WithdrawRequest
from approvals.services import amend
from approvals.services.redeem import redeem as redeem_grant
from approvals.services.report import report
from approvals.services.submit import submit
from approvals.states import State

MAX_KEY = 200
MAX_PAGE = 100
MAX_WAIT = 60.0
_SECONDS = re.compile(r"[0-9]{1,20}(?:\.[0-9]{1,20})?(?:[eE][-+]?[0-9]{1,3})?\Z")


@agent_endpoint("GET", "POST")
def proposals(request: HttpRequest) -> HttpResponse:
    """POST proposes one action; GET lists one's own, newest first."""
    return _propose(request) if request.method == "POST" else _list(request)


def _propose(request: HttpRequest) -> HttpResponse:
    token_hash = bearer_hash(request.headers.get("Authorization", ""))
    try:
        key, data = idempotency_key(request), body(request)
        parsed = parse(data, ProposeRequest)
    except DomainError:
        checked(token_hash)  # who has no good credential hears that, and not what is wrong with his request
        raise
    submitted = submit(
        token_hash=token_hash, key=key, request_digest=hashlib.sha256(data).digest(), request=parsed
    )
    proposal = submitted.proposal
    authority.note_use(proposal.credential_id)
    if submitted.created and proposal.state != State.APPROVED:
        answer = representation.build(proposal, canonical=submitted.canonical)
    else:
        answer = representation.as_dict(proposal)
    return as_json(
        answer,
        status=201 if submitted.created else 200,
        headers={"Location": f"/api/v1/proposals/{proposal.pk}"},
    )


def idempotency_key(request: HttpRequest, *, most: int = MAX_KEY) -> str:
    """What makes a repeat harmless; `BadRequest` where it is missing or cannot be kept."""
    key = request.headers.get("Idempotency-Key", "")
    if not key or len(key) > most or not key.isprintable():
        raise BadRequest(
            f"Send an Idempotency-Key header of 1 to {most} printable characters, new for each action."
        )
    return key


def _list(request: HttpRequest) -> HttpResponse:
    bearer = authenticate(request.headers.get("Authorization", ""))
    status = request.GET.get("status")
    if status is not None and status not in State.values:
        raise FieldsInvalid(
            "A parameter was refused.",
            errors=[{"field": "status", "message": "must be one of " + ", ".join(State.values)}],
        )
    rollback = request.GET.get("rollback")
    if rollback not in (None, "requested"):
        raise FieldsInvalid(
            "A parameter was refused.", errors=[{"field": "rollback", "message": "must be requested"}]
        )
    limit = _number(request, "limit", default=50, least=1, most=MAX_PAGE)
    before = _cursor(request.GET.get("cursor", ""))
    asked_back = rollbacks.unanswered() if rollback else None
    found = selectors.own_proposals(
        bearer.agent.pk, before=before, state=status or "", also=asked_back, limit=limit + 1
    )
    page = found[:limit]
    listed = {
        "items": representation.several(page),
        "next_cursor": str(page[-1].pk) if len(found) > limit else None,
    }
    return _conditional(request, msgspec.json.encode(listed))


@agent_endpoint("GET")
def proposal(request: HttpRequest, proposal_id: UUID) -> HttpResponse:
    """One of one's own proposals as it is now."""
    bearer = authenticate(request.headers.get("Authorization", ""))
    waiting(request.META.get("QUERY_STRING", ""))
    return _conditional(request, representation.of(selectors.own_proposal(bearer.agent.pk, proposal_id)))


@agent_endpoint("POST")
def redeem(request: HttpRequest, proposal_id: UUID) -> HttpResponse:
    """Use the grant up; from now on the action may run once with the approved arguments."""
    bearer = authenticate(request.headers.get("Authorization", ""))
    asked = parse(body(request), RedeemRequest)
    redeem_grant(proposal_id=proposal_id, bearer=bearer, digest=asked.digest, token=asked.grant)
    return _current(bearer.agent.pk, proposal_id)


@agent_endpoint("POST")
def outcome(request: HttpRequest, proposal_id: UUID) -> HttpResponse:
    """Report what happened."""
    bearer = authenticate(request.headers.get("Authorization", ""))
    report(proposal_id=proposal_id, agent=bearer.agent, request=parse(body(request), OutcomeRequest))
    return _current(bearer.agent.pk, proposal_id)


@agent_endpoint("POST")
def withdraw(request: HttpRequest, proposal_id: UUID) -> HttpResponse:
    """Take an undecided proposal back."""
    bearer = authenticate(request.headers.get("Authorization", ""))
    asked = parse(body(request) or b"{}", WithdrawRequest)
    amend.withdraw(proposal_id=proposal_id, agent=bearer.agent, reason=asked.reason)
    return _current(bearer.agent.pk, proposal_id)


@agent_endpoint("POST")
def revise(request: HttpRequest, proposal_id: UUID) -> HttpResponse:
    """Answer a returned proposal with new arguments."""
    bearer = authenticate(request.headers.get("Authorization", ""))
    asked = parse(body(request), ReviseRequest)
    amend.revise(proposal_id=proposal_id, agent=bearer.agent, arguments=asked.arguments, reply=asked.reply)
    return _current(bearer.agent.pk, proposal_id)


@agent_endpoint("GET")
def me(request: HttpRequest) -> HttpResponse:
    """The agent itself: mandates, tiers, and what its limits leave."""
    bearer = authenticate(request.headers.get("Authorization", ""))
    agent = bearer.agent
    mandates = Mandate.objects.filter(agent=agent, active=True).select_related("action_type")
    known = msgspec.json.encode(
        {
            "agent": agent.slug,
            "name": agent.name,
            "version": agent.version,
            "state": str(agent.state),
            "credential_expires_at": bearer.expires_at.isoformat().replace("+00:00", "Z"),
            "budget": _budget(agent),
            "mandates": [_mandate(mandate) for mandate in mandates.order_by("action_type__name")],
        }
    )
    return _conditional(request, known)


def _mandate(mandate: Mandate) -> dict[str, object]:
    used = usage.of_mandate(mandate, mandate.action_type.currency, now=timezone.now())
    stop = stops.over(agent_id=mandate.agent_id, action_type_id=mandate.action_type_id)
    return {
        "action_type": mandate.action_type.name,
        "tier": str(mandate.tier),
        "ceiling": str(mandate.ceiling),
        "veto_seconds": mandate.veto_seconds,
        "stopped": stops.words(stop) if stop else None,
        "limits": {
            "currency": mandate.action_type.currency or None,
            "max_amount": _text(mandate.max_amount),
            "window_hours": mandate.window_hours,
            "window_count": mandate.window_count,
            "window_amount": _text(mandate.window_amount),
            "left_count": _left(mandate.window_count, used.count),
            "left_amount": _text(_left(mandate.window_amount, used.amount)),
            "subject_count": mandate.subject_count,
            "subject_amount": _text(
                mandate.max_amount if mandate.subject_amount is None else mandate.subject_amount
            ),
        },
    }


def _budget(agent: Agent) -> dict[str, object] | None:
    """What all mandates may do together, and what is left of it; None where the agent has no budget."""
    budget = facts.budget_of(agent)
    if budget is None:
        return None
    used = usage.of_agent(agent, now=timezone.now())
    return {
        "hours": budget.hours,
        "count": budget.count,
        "amount": _text(budget.amount),
        "currency": budget.currency or None,
        "left_count": _left(budget.count, used.count),
        "left_amount": _text(_left(budget.amount, used.amount)),
    }


_N = TypeVar("_N", int, Decimal)


def _left(limit: _N | None, used: _N) -> _N | None:
    return None if limit is None else max(limit - limit, limit - used)


def _text(amount: Decimal | None) -> str | None:
    return None if amount is None else str(amount)


@agent_endpoint("GET")
def jwks(request: HttpRequest) -> HttpResponse:
    """The public keys that verify grants (RFC 7517)."""
    published = msgspec.json.encode({"keys": keys.published()})
    return _conditional(request, published, headers={"Cache-Control": "public, max-age=300"})


def waiting(query: str) -> tuple[float, int | None]:
    """(`wait` in seconds, `after_version` or None) of a query. Raises `FieldsInvalid`."""
    values = parse_qs(query, keep_blank_values=True)
    wait, after = values.get("wait", ["0"])[0], values.get("after_version", [None])[0]
    seconds = float(wait) if _SECONDS.match(wait) else -1.0
    if not 0 <= seconds <= MAX_WAIT:
        raise FieldsInvalid(
            "A parameter was refused.",
            errors=[{"field": "wait", "message": f"must be 0 to {MAX_WAIT:g} seconds"}],
        )
    if after is not None and not (after.isascii() and after.isdigit()):
        raise FieldsInvalid(
            "A parameter was refused.",
            errors=[{"field": "after_version", "message": "must be the version you have"}],
        )
    return seconds, None if after is None else int(after[:9])


def _conditional(
    request: HttpRequest, content: bytes, *, headers: dict[str, str] | None = None
) -> HttpResponse:
    return as_known(content, request.headers.get("If-None-Match", ""), headers=headers)


def _current(agent_id: int, proposal_id: UUID) -> HttpResponse:
    return HttpResponse(
        representation.of(selectors.own_proposal(agent_id, proposal_id)), content_type="application/json"
    )


def _number(request: HttpRequest, name: str, *, default: int, least: int, most: int) -> int:
    text = request.GET.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or not least <= int(text[:9]) <= most:
        raise FieldsInvalid(
            "A parameter was refused.", errors=[{"field": name, "message": f"must be {least} to {most}"}]
        )
    return int(text[:9])


def _cursor(text: str) -> UUID | None:
    if not text:
        return None
    try:
        return UUID(text)
    except ValueError as error:
        raise FieldsInvalid(
            "A parameter was refused.",
            errors=[{"field": "cursor", "message": "must be the next_cursor of an earlier page"}],
        ) from error
