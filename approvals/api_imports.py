"""Import addresses: other products' documented requests, taken as proposals, and answered in their own form.

What comes in goes through the same use cases as every proposal: schema, mandate, limits, policy, tier, rate. What is
answered is built by approvals/imports. Waiting (`?wait=`) is answered by config/waiting.py, as for proposals."""

import hashlib
from collections.abc import Callable
from typing import Any
from uuid import UUID

import msgspec
import rfc8785
from django.conf import settings
from django.http import HttpRequest, HttpResponse

from accounts.exceptions import DomainError, NotFound
from agents import authority
from agents.exceptions import ArgumentsInvalid
from agents.http import (
    FieldsInvalid,
    agent_endpoint,
    as_json,
    as_known,
    authenticate,
    bearer_hash,
    body,
    parsed,
    problem_document,
    typed,
)
from agents.models import Agent
from approvals import selectors
from approvals.api import idempotency_key, waiting
from approvals.exceptions import IdempotencyConflict, ImportUnsupported
from approvals.imports import agent_inbox, authzen, human_layer
from approvals.imports.requests import MOST, MOST_KEY, FunctionCall, HumanInterrupt
from approvals.imports.seen import Seen, see
from approvals.models import Grant, Proposal
from approvals.requests import ProposeRequest
from approvals.services.submit import Submitted, submit
from approvals.services.submit_several import Item, submit_several

_TAG = b"countersign/v1/import\n"


@agent_endpoint("POST")
def agent_inbox_interrupts(request: HttpRequest) -> HttpResponse:
    """One HumanInterrupt, or the list that a graph interrupts with. In a list each is accepted or refused by itself,
    once all of them have the right form."""
    authorization = request.headers.get("Authorization", "")
    bearer = authenticate(authorization)
    key = idempotency_key(request, most=MOST_KEY)
    value = parsed(body(request))
    if not isinstance(value, list):
        asked = agent_inbox.asked(typed(value, HumanInterrupt))
        return _one(request, key, value, asked, agent_inbox.POINTERS, _inbox_answer)
    if not 1 <= len(value) <= MOST:
        raise FieldsInvalid(
            "A field was refused.", errors=[{"field": "/", "message": f"must hold 1 to {MOST} interrupts"}]
        )
    each = [
        agent_inbox.asked(typed(one, HumanInterrupt, at=f"/{number}"), at=f"/{number}")
        for number, one in enumerate(value)
    ]
    _spend(request, len(value))
    items = [Item(f"{key}/{number + 1}", _digest(value[number]), asked) for number, asked in enumerate(each)]
    results = submit_several(token_hash=bearer_hash(authorization), items=items)
    answered = [_result(bearer.agent, result) for result in results]
    authority.note_use(bearer.credential_id)
    return as_json({"results": answered})


def _result(agent: Agent, result: Submitted | DomainError) -> dict[str, Any]:
    if isinstance(result, DomainError):
        return {
            "status": result.status,
            "problem": problem_document(_in_their_words(result, agent_inbox.POINTERS)),
        }
    found = see(selectors.own_proposal(agent.pk, result.proposal.pk))
    return {"status": 201 if result.created else 200, **_inbox_answer(found)}


@agent_endpoint("GET")
def agent_inbox_answer(request: HttpRequest, proposal_id: UUID) -> HttpResponse:
    """The HumanResponse once there is one."""
    bearer = authenticate(request.headers.get("Authorization", ""))
    waiting(request.META.get("QUERY_STRING", ""))
    proposal = selectors.own_proposal(bearer.agent.pk, proposal_id)
    return as_known(inbox_answer(proposal), request.headers.get("If-None-Match", ""))


def inbox_answer(proposal: Proposal) -> bytes:
    """The same as JSON. Raises `NotFound` for a proposal that came in another way."""
    return msgspec.json.encode(_inbox_answer(see(proposal)))


def _inbox_answer(seen: Seen) -> dict[str, Any]:
    config = agent_inbox.config_of(seen.told)
    if config is None:
        raise NotFound("That proposal did not come in as an interrupt of Agent Inbox.")
    response = agent_inbox.response(seen.verdict, config, seen.shown)
    is_yes = response is not None and response["type"] in ("accept", "edit")
    return {
        "response": response,
        "redeem": seen.redeem if is_yes else None,
        "proposal": seen.shown,
    }


@agent_endpoint("POST")
def function_calls(request: HttpRequest) -> HttpResponse:
    """One HumanLayer FunctionCall. Its `call_id` takes the place of an idempotency key, which the client has not."""
    authenticate(request.headers.get("Authorization", ""))
    value = parsed(body(request))
    call = typed(value, FunctionCall)
    asked = human_layer.asked(call)
    key = human_layer.key(call.call_id)
    assert key is not None
    return _one(request, key, value, asked, human_layer.POINTERS, _call_answer)


@agent_endpoint("GET")
def function_call(request: HttpRequest, call_id: str) -> HttpResponse:
    """The FunctionCall with its status, as the client polls it."""
    bearer = authenticate(request.headers.get("Authorization", ""))
    key = human_layer.key(call_id)
    proposal = None if key is None else selectors.own_by_key(bearer.agent.pk, key)
    if proposal is None:
        raise NotFound("There is no such function call of this agent.")
    answer = msgspec.json.encode(_call_answer(see(proposal)))
    return as_known(answer, request.headers.get("If-None-Match", ""))


def _call_answer(seen: Seen) -> dict[str, Any]:
    if not human_layer.is_imported(seen.told):
        raise NotFound("That proposal did not come in as a function call of HumanLayer.")
    call = human_layer.call(
        seen.told,
        seen.shown,
        sent=seen.sent,
        verdict=seen.verdict,
        ended_at=seen.proposal.changed_at.isoformat().replace("+00:00", "Z"),
    )
    redeem = seen.redeem if call["status"]["approved"] else None
    return call | {"countersign": {"redeem": redeem, "proposal": seen.shown}}


@agent_endpoint("POST")
def human_contacts(request: HttpRequest) -> HttpResponse:
    """A question without an action is no proposal."""
    authenticate(request.headers.get("Authorization", ""))
    raise ImportUnsupported(
        "A question without an action is nothing to approve: no grant could be bound to it. Propose the action that "
        "depends on the answer; a reviewer can return it with words, reject it, or change its arguments."
    )


@agent_endpoint("POST")
def agents_own_response(request: HttpRequest, call_id: str) -> HttpResponse:
    """HumanLayer let whoever holds the API key answer a call. Here an agent never decides (I9)."""
    authenticate(request.headers.get("Authorization", ""))
    raise ImportUnsupported(
        "An agent cannot answer its own call. Reviewers decide in the queue; withdraw the proposal if it is not wanted."
    )


@agent_endpoint("GET")
def authzen_task(request: HttpRequest, proposal_id: UUID) -> HttpResponse:
    """A proposal, however it came in, as a task of the AuthZEN draft."""
    bearer = authenticate(request.headers.get("Authorization", ""))
    waiting(request.META.get("QUERY_STRING", ""))
    proposal = selectors.own_proposal(bearer.agent.pk, proposal_id)
    return as_known(task(proposal), request.headers.get("If-None-Match", ""))


def task(proposal: Proposal) -> bytes:
    """The same as JSON."""
    seen = see(proposal)
    grant: Grant | None = getattr(proposal, "grant", None)
    found = authzen.task(
        seen.shown,
        base=settings.PUBLIC_URL,
        approval=None if grant is None else _approval(grant),
        redeem=seen.redeem,
        is_executed_here=bool(proposal.action_type.executor_url),
    )
    return msgspec.json.encode(found)


def _approval(grant: Grant) -> authzen.Approval:
    ends = (grant.expires_at, grant.redeemed_at, grant.revoked_at)
    return authzen.Approval(
        id=str(grant.pk), at=grant.issued_at, until=min(end for end in ends if end is not None)
    )


def _one(
    request: HttpRequest,
    key: str,
    value: object,
    asked: ProposeRequest,
    pointers: dict[str, str],
    answer: Callable[[Seen], dict[str, Any]],
) -> HttpResponse:
    _spend(request, 1)
    token_hash = bearer_hash(request.headers.get("Authorization", ""))
    try:
        submitted = submit(token_hash=token_hash, key=key, request_digest=_digest(value), request=asked)
    except (ArgumentsInvalid, IdempotencyConflict) as error:
        raise _in_their_words(error, pointers) from error
    proposal = submitted.proposal
    authority.note_use(proposal.credential_id)
    found = see(selectors.own_proposal(proposal.agent_id, proposal.pk))
    return as_json(
        answer(found),
        status=201 if submitted.created else 200,
        headers={"Location": f"/api/v1/proposals/{proposal.pk}"},
    )


def _digest(value: object) -> bytes:
    """What makes a repeat is the value, not its spelling."""
    return hashlib.sha256(_TAG + rfc8785.dumps(value)).digest()  # type: ignore[arg-type]  # what JSON was parsed to


def _spend(request: HttpRequest, count: int) -> None:
    """Imports take from the agent's allowance of proposals, over and above the request itself."""
    spend: Callable[[int], None] | None = getattr(request, "spend_proposals", None)
    if spend is not None:
        spend(count)


def _in_their_words(error: DomainError, pointers: dict[str, str]) -> DomainError:
    """A proposal's fields named as they stand in the other product's request."""
    faults = error.extra.get("errors")
    for fault in faults if isinstance(faults, list) else ():
        for ours, theirs in pointers.items():
            if fault["field"] == ours or fault["field"].startswith(f"{ours}/"):
                fault["field"] = theirs + fault["field"].removeprefix(ours)
    return error
