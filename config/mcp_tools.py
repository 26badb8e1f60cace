"""The tools an agent is offered over MCP: one to propose per action type it has a mandate for, and those that follow a
proposal through its life. None decides, claims or votes, and none sets anything up (I9)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from agents import http
from agents.models import ActionType, Mandate

PROPOSE = "propose_"
MAX_SECONDS = 55
USUAL_SECONDS = 50
"""Of waiting: most clients give a call up after a minute."""
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,120}\Z")
_ID = {"type": "string", "format": "uuid", "description": "The proposal's id."}


@dataclass(frozen=True, slots=True)
class Offer:
    """One tool as MCP describes it. `reads` says that it changes nothing."""

    name: str
    title: str
    description: str
    properties: dict[str, Any]
    required: tuple[str, ...] = ()
    reads: bool = False
    ends: bool = False
    repeats: bool = field(default=True)
    """Whether the same call twice is as good as once."""

    @property
    def schema(self) -> dict[str, Any]:
        return {
            "type": "object",
            "properties": self.properties,
            "required": list(self.required),
            "additionalProperties": False,
        }


def offered_to(authorization: str, *, address: str) -> list[Offer]:
    """All tools of the agent behind the credential, by its mandates as they are now. Raises `DomainError`."""
    bearer = http.authenticate(authorization, address=address)
    mandates = (
        Mandate.objects.filter(agent=bearer.agent, active=True)
        .select_related("action_type")
        .order_by("action_type__name")
    )
    kinds = [mandate.action_type for mandate in mandates]
    return [*(_to_propose(kind) for kind in kinds if _NAME.match(kind.name)), *ALWAYS]


def _to_propose(kind: ActionType) -> Offer:
    about = f"{kind.label}. {kind.description}".strip()
    return Offer(
        name=PROPOSE + kind.name,
        title=f"Propose: {kind.label}",
        description=(
            f"{about}\nProposes this action; nothing has happened when this returns, not even if it says approved. "
            "Act only on the approved arguments, after redeem_grant; then report_outcome."
        ),
        properties={"arguments": moved(kind.schema, under="/properties/arguments"), **_ABOUT},
        required=("arguments",),
        repeats=False,
    )


def moved(schema: dict[str, Any], *, under: str) -> dict[str, Any]:
    """A schema as a part of another one: references to its own root are led to where it stands now.

    `$schema` belongs to a root; a value that happens to be called `$ref` in `const`, `enum`, `default` or `examples`
    is data and stays."""
    found = _led(schema, under)
    assert isinstance(found, dict)
    found.pop("$schema", None)
    return found


_DATA = frozenset({"const", "enum", "default", "examples"})
_NAMED = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})


def _led(schema: Any, under: str) -> Any:
    if isinstance(schema, list):
        return [_led(part, under) for part in schema]
    if not isinstance(schema, dict):
        return schema
    return dict(_parts(schema, under))


def _parts(schema: dict[str, Any], under: str) -> Iterator[tuple[str, Any]]:
    for name, value in schema.items():
        if name in ("$ref", "$dynamicRef") and isinstance(value, str) and value.startswith(("#/", "#")):
            local = value == "#" or value.startswith("#/")
            yield name, (f"#{under}{value[1:]}" if local else value)
        elif name in _DATA:
            yield name, value
        elif name in _NAMED and isinstance(value, dict):
            yield name, {called: _led(part, under) for called, part in value.items()}
        else:
            yield name, _led(value, under)


_ABOUT: dict[str, Any] = {
    "summary": {"type": "string", "description": "In one sentence for the reviewer: what, and for whom."},
    "reasoning": {"type": "string", "description": "Why this is right: the facts and where they come from."},
    "confidence": {"type": "number", "minimum": 0, "maximum": 1, "description": "How sure you are."},
    "subject": {
        "type": "object",
        "description": "Whom or what the action concerns.",
        "properties": {
            "type": {"type": "string", "description": "Such as customer."},
            "id": {"type": "string"},
        },
        "required": ["type", "id"],
        "additionalProperties": False,
    },
    "priority": {"enum": ["low", "normal", "high", "urgent"], "default": "normal"},
    "expires_in": {
        "type": "integer",
        "minimum": 10,
        "description": "Seconds after which the action is no longer wanted.",
    },
    "trace_id": {"type": "string", "description": "The id of the trace this belongs to."},
    "parent_id": {"type": "string", "format": "uuid", "description": "The proposal that this one follows."},
    "idempotency_key": {
        "type": "string",
        "minLength": 1,
        "maxLength": 200,
        "description": "A name of your own for this one action. Repeat a call whose answer was lost with the same "
        "key and the same arguments: it counts once.",
    },
}
_RESULT: dict[str, Any] = {"description": "What came of it, as any JSON value."}

ALWAYS: tuple[Offer, ...] = (
    Offer(
        name="wait_for_decision",
        title="Wait for a decision",
        description="Returns when the proposal is decided, or after `seconds` with its present state: "
        "then call again. With `after_version` it returns at any change beyond that version.",
        properties={
            "proposal_id": _ID,
            "seconds": {
                "type": "integer",
                "minimum": 0,
                "maximum": MAX_SECONDS,
                "default": USUAL_SECONDS,
            },
            "after_version": {"type": "integer", "minimum": 0},
        },
        required=("proposal_id",),
        reads=True,
    ),
    Offer(
        name="get_proposal",
        title="Read a proposal",
        description="One of your own proposals as it is now.",
        properties={"proposal_id": _ID},
        required=("proposal_id",),
        reads=True,
    ),
    Offer(
        name="list_proposals",
        title="List proposals",
        description="Your own proposals, newest first, a page at a time.",
        properties={
            "status": {
                "type": "string",
                "description": "Only those in this state, such as pending or approved.",
            },
            "limit": {"type": "integer", "minimum": 1, "maximum": 100, "default": 20},
            "cursor": {"type": "string", "description": "The next_cursor of the page before."},
        },
        reads=True,
    ),
    Offer(
        name="get_mandates",
        title="Read your mandates",
        description="What you may propose, at which tier, and what your limits leave.",
        properties={},
        reads=True,
    ),
    Offer(
        name="withdraw_proposal",
        title="Withdraw a proposal",
        description="Take back a proposal that is not decided, because the action is no longer wanted.",
        properties={"proposal_id": _ID, "reason": {"type": "string"}},
        required=("proposal_id",),
        ends=True,
    ),
    Offer(
        name="revise_proposal",
        title="Revise a returned proposal",
        description="Answer a reviewer who returned the proposal with a question: the whole arguments anew, and a "
        "reply in words.",
        properties={
            "proposal_id": _ID,
            "arguments": {"type": "object", "description": "All arguments, not only the changed ones."},
            "reply": {"type": "string"},
        },
        required=("proposal_id", "arguments"),
        repeats=False,
    ),
    Offer(
        name="redeem_grant",
        title="Redeem the grant",
        description="Use the permission of an approved proposal up, right before acting. Give the digest that the "
        "approved proposal shows. Act only if this succeeds, once, with exactly its arguments: a reviewer may have "
        "changed them.",
        properties={
            "proposal_id": _ID,
            "digest": {"type": "string", "pattern": "^sha256:[0-9a-f]{64}$"},
        },
        required=("proposal_id", "digest"),
        ends=True,
        repeats=False,
    ),
    Offer(
        name="report_outcome",
        title="Report the outcome",
        description="Say what came of an action whose grant you redeemed. `unknown` if you cannot tell: a person "
        "will settle it; never act again by yourself.",
        properties={
            "proposal_id": _ID,
            "status": {"enum": ["succeeded", "failed", "unknown"]},
            "result": _RESULT,
            "external_id": {"type": "string", "description": "Its number in the system that acted."},
            "cost": {"type": "number", "minimum": 0},
            "occurred_at": {"type": "string", "format": "date-time"},
        },
        required=("proposal_id", "status"),
    ),
)
