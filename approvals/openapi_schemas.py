"""JSON Schemas of what the agents' API answers with; those of what it takes come from approvals/requests.py."""

from typing import Any

from agents.autonomy import Tier
from approvals.feed import ROLLBACK
from approvals.models import Verdict
from approvals.problems import PROBLEMS
from approvals.states import State

UUID: dict[str, Any] = {"type": "string", "format": "uuid"}
TIME: dict[str, Any] = {"type": "string", "format": "date-time"}
TEXT: dict[str, Any] = {"type": "string"}


def ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def nullable(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}


def an_object(**properties: dict[str, Any]) -> dict[str, Any]:
    """All of them always there. More may be added within the version, so clients let unknown ones pass."""
    return {"type": "object", "properties": properties, "required": list(properties)}


PROPOSAL = an_object(
    id=UUID,
    status={"type": "string", "enum": State.values},
    version={"type": "integer", "description": "rises with every change; give it to after_version"},
    revision={"type": "integer", "description": "1 is the agent's; an edit or a revise makes the next"},
    action_type=TEXT,
    arguments={"type": "object", "description": "of the current revision, in RFC 8785 form: act on these"},
    digest={
        "type": "string",
        "pattern": "^sha256:[0-9a-f]{64}$",
        "description": "of the arguments; redeem it",
    },
    tier={"type": "string", "enum": Tier.values},
    route=an_object(
        queue=nullable(TEXT),
        quorum={"type": "integer", "description": "votes that an approval takes"},
        reasons={"type": "array", "items": an_object(code=TEXT, rule=TEXT, detail=TEXT)},
    ),
    decision=nullable(
        an_object(
            verdict={"type": "string", "enum": Verdict.values},
            reason=TEXT,
            comment={"type": "string", "description": "the reviewer's words: give them to the model"},
            decided_by=an_object(kind={"type": "string", "enum": ["human", "policy"]}, label=TEXT),
            decided_at=TIME,
        )
    ),
    grant=nullable(
        an_object(
            token={"type": "string", "description": "a JWS; verify it with the JWKS"},
            expires_at=TIME,
        )
        | {"description": "there while the proposal is approved and the grant was not used"}
    ),
    outcome=nullable(
        an_object(
            status={"type": "string", "enum": ["succeeded", "failed", "unknown"]},
            result={},
            external_id=TEXT,
            cost=nullable({"type": "number"}),
            occurred_at=nullable(TIME),
            reported_at=TIME,
        )
    ),
    rollback=nullable(
        an_object(
            requested_at=TIME, reason=TEXT, by=TEXT, action_type=nullable(TEXT), proposal=nullable(UUID)
        )
        | {"description": "a person asks to undo it: propose this action type with parent_id"}
    ),
    created_at=TIME,
    due_at=nullable(TIME),
    expires_at=nullable(TIME),
    effective_at=nullable(TIME),
)
_COUNT = nullable({"type": "integer"})
_AMOUNT = nullable({"type": "string", "description": "a decimal number"})
ME = an_object(
    agent=TEXT,
    name=TEXT,
    version=TEXT,
    state=TEXT,
    credential_expires_at=TIME,
    budget=nullable(
        an_object(
            hours={"type": "integer", "description": "rolling window of what all mandates do together"},
            count=_COUNT,
            amount=_AMOUNT,
            currency=nullable(TEXT),
            left_count=_COUNT,
            left_amount=_AMOUNT,
        )
    ),
    mandates={
        "type": "array",
        "items": an_object(
            action_type=TEXT,
            tier={"type": "string", "enum": Tier.values},
            ceiling={"type": "string", "enum": Tier.values},
            veto_seconds={"type": "integer"},
            stopped=nullable({"type": "string", "description": "which stop switch is pulled, and why"}),
            limits=an_object(
                currency=nullable(TEXT),
                max_amount=_AMOUNT,
                window_hours={"type": "integer"},
                window_count=_COUNT,
                window_amount=_AMOUNT,
                left_count=_COUNT,
                left_amount=_AMOUNT,
                subject_count=_COUNT,
                subject_amount=_AMOUNT
                | {"description": "most about one subject in the window, all action types together"},
            ),
        ),
    },
)
PROBLEM = an_object(
    type=TEXT,
    title=TEXT,
    status={"type": "integer"},
    code={"type": "string", "enum": list(PROBLEMS), "description": "stable; act on this, not on the words"},
    detail={"type": "string", "description": "what is wrong and the remedy"},
)
PROBLEM["properties"] |= {
    "errors": {
        "type": "array",
        "description": "one for each field that was refused",
        "items": an_object(field=TEXT, message=TEXT),
    },
    "retry_after": {"type": "integer", "description": "seconds; the same as the header"},
}
PAGE = an_object(items={"type": "array", "items": ref("Proposal")}, next_cursor=nullable(TEXT))
BATCH_ANSWER = an_object(
    results={
        "type": "array",
        "description": "one for each item, in their order",
        "items": {
            "oneOf": [
                an_object(status={"enum": [200, 201]}, proposal=ref("Proposal"))
                | {"description": "201: accepted; 200: a repeat of what was accepted earlier"},
                an_object(status={"type": "integer", "minimum": 400}, problem=ref("Problem"))
                | {"description": "what the item would have been answered alone; fields are its own"},
            ]
        },
    }
)
EVENT = an_object(
    type={"type": "string", "enum": [*(f"proposal.{state}" for state in State), ROLLBACK]},
    proposal=ref("Proposal"),
) | {"description": "the data of one event of the stream"}
JWKS = an_object(
    keys={
        "type": "array",
        "items": an_object(kty=TEXT, crv=TEXT, x=TEXT, kid=TEXT, alg=TEXT, use=TEXT),
    }
)
