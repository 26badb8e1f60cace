"""POST /api/v1/proposals/batch: many proposals in one request, each accepted or refused by itself, order kept.

A body may have 2 MiB, which is all that config/bridge.py reads of any agent; one item as much as a body of one
proposal, 256 KiB. A batch costs the agent's allowance of proposals as many as it has items."""

import hashlib
from collections.abc import Callable
from typing import Any

import rfc8785
from django.conf import settings
from django.http import HttpRequest, HttpResponse

from accounts.exceptions import DomainError
from agents import authority
from agents.http import (
    FieldsInvalid,
    TooLarge,
    agent_endpoint,
    as_json,
    authenticate,
    bearer_hash,
    body,
    parse,
    problem_document,
    typed,
)
from approvals import representation
from approvals.exceptions import IdempotencyConflict
from approvals.requests import BatchItem, BatchRequest
from approvals.services.submit import Submitted
from approvals.services.submit_several import Item, submit_several
from approvals.states import State

MOST_BYTES = 2 * 1024 * 1024
_TAG = b"countersign/v1/batch item\n"


@agent_endpoint("POST")
def batch(request: HttpRequest) -> HttpResponse:
    """A result per item. What is refused stops no other."""
    authorization = request.headers.get("Authorization", "")
    bearer = authenticate(authorization)
    asked = parse(body(request, most=MOST_BYTES), BatchRequest)
    spend: Callable[[int], None] | None = getattr(request, "spend_proposals", None)
    if spend is not None:
        spend(len(asked.items))
    read = [_read(value) for value in asked.items]
    items = [one for one in read if isinstance(one, Item)]
    submitted = iter(submit_several(token_hash=bearer_hash(authorization), items=items))
    answered = [_answer(next(submitted) if isinstance(one, Item) else one) for one in read]
    authority.note_use(bearer.credential_id)
    return as_json({"results": answered})


def _read(value: Any) -> Item | DomainError:
    """The item, or what is wrong with it; fields are named from the item on, as if it had been sent alone.

    What makes a repeat is its value, not its spelling: the rest of the batch may be another one."""
    try:
        content = rfc8785.dumps(value)
        if len(content) > settings.MAX_BODY_BYTES:
            raise TooLarge(f"The item has {len(content)} bytes; at most {settings.MAX_BODY_BYTES} are taken.")
        item = typed(value, BatchItem)
        if not item.key.isprintable():
            raise FieldsInvalid(
                "A field was refused.", errors=[{"field": "/key", "message": "must be printable characters"}]
            )
        return Item(item.key, hashlib.sha256(_TAG + content).digest(), item)
    except DomainError as error:
        return error


def _answer(result: Submitted | DomainError) -> dict[str, Any]:
    if isinstance(result, IdempotencyConflict):
        result.extra["errors"] = [{"field": "/key", "message": "was used for another body"}]
    if isinstance(result, DomainError):
        return {"status": result.status, "problem": problem_document(result)}
    proposal = result.proposal
    if result.created and proposal.state != State.APPROVED:
        shown = representation.build(proposal, canonical=result.canonical)
    else:
        shown = representation.as_dict(proposal)
    return {"status": 201 if result.created else 200, "proposal": shown}
