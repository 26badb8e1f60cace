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
INTEGER: dict[str, Any] = {"type": "integer"}


def said(description: str, schema: dict[str, Any] = TEXT) -> dict[str, Any]:
    """A field with what it means, in words for the engineer who meets it."""
    return schema | {"description": description}


def ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def nullable(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}


def an_object(**properties: dict[str, Any]) -> dict[str, Any]:
    """All of them always there. More may be added within the version, so clients let unknown ones pass."""
    return {"type": "object", "properties": properties, "required": list(properties)}


PROPOSAL = an_object(
    id=said("name it when you ask for it; it sorts by time", UUID),
    status=said("where it stands", {"type": "string", "enum": State.values}),
    version=said("rises with every change; give it to `after_version`", INTEGER),
    revision=said("1 is the agent's; an edit or a revise makes the next", INTEGER),
    action_type=said("the kind of action, by name"),
    arguments=said("of the current revision, in RFC 8785 form: act on these", {"type": "object"}),
    digest=said("of the arguments; redeem it", {"type": "string", "pattern": "^sha256:[0-9a-f]{64}$"}),
    tier=said(
        "how far the agent was trusted with it when it came in",
        {"type": "string", "enum": Tier.values},
    ),
    carried_out_by=said(
        "who acts once it is approved: you with the grant, Countersign itself (wait for the outcome), or a person",
        {"type": "string", "enum": ["agent", "countersign", "person"]},
    ),
    route=said(
        "where it went, and why",
        an_object(
            queue=said("whose people decide it; null where nobody has to", nullable(TEXT)),
            quorum=said("votes that an approval takes", INTEGER),
            reasons=said(
                "each rule that had a say",
                {
                    "type": "array",
                    "items": an_object(
                        code=said("stable; for programs"),
                        rule=said("the policy's rule, where it was one"),
                        detail=said("the same in words"),
                    ),
                },
            ),
        ),
    ),
    decision=nullable(
        an_object(
            verdict=said("what was decided", {"type": "string", "enum": Verdict.values}),
            reason=said("one of the codes that reviewers choose from"),
            comment=said("the reviewer's words: give them to the model"),
            decided_by=an_object(
                kind=said(
                    "a person, or the policy by itself", {"type": "string", "enum": ["human", "policy"]}
                ),
                label=said("who, as reviewers are called towards agents"),
            ),
            decided_at=said("when", TIME),
        )
        | {"description": "null until it is decided"}
    ),
    grant=nullable(
        an_object(
            token=said("a JWS; verify it with the JWKS"),
            expires_at=said("redeem it before", TIME),
        )
        | {
            "description": "there while the proposal is approved, the grant was not used, and you are who acts"
        }
    ),
    outcome=nullable(
        an_object(
            status=said("what was reported", {"type": "string", "enum": ["succeeded", "failed", "unknown"]}),
            result=said("as it was reported; any JSON", {}),
            external_id=said("its id where it was done"),
            cost=said("as it was reported", nullable({"type": "number"})),
            occurred_at=said("as it was reported", nullable(TIME)),
            reported_at=said("when the report came in", TIME),
        )
        | {"description": "null until it is reported"}
    ),
    rollback=nullable(
        an_object(
            requested_at=said("when", TIME),
            reason=said("the person's words"),
            by=said("who asks"),
            action_type=said("propose this; null where people undo it themselves", nullable(TEXT)),
            proposal=said("the proposal that undoes it, once there is one", nullable(UUID)),
        )
        | {"description": "a person asks to undo it: propose this action type with `parent_id`"}
    ),
    created_at=said("when it came in", TIME),
    due_at=said("when people should have decided it", nullable(TIME)),
    expires_at=said("when it expires if nobody has decided", nullable(TIME)),
    effective_at=said("when it is approved by itself unless somebody objects", nullable(TIME)),
)
_COUNT = nullable(INTEGER)
_AMOUNT = nullable({"type": "string", "description": "a decimal number"})
ME = an_object(
    agent=said("its short name, as in addresses"),
    name=said("its name for people"),
    version=said("the version that it runs as"),
    state=said("`live`, or why nothing can be proposed"),
    credential_expires_at=said("fetch a new credential before", TIME),
    budget=nullable(
        an_object(
            hours=said("rolling window of what all mandates do together", INTEGER),
            count=said("most actions in it", _COUNT),
            amount=said("most money in it, a decimal number", _AMOUNT),
            currency=said("of the amounts, ISO 4217", nullable(TEXT)),
            left_count=said("what is left now", _COUNT),
            left_amount=said("what is left now, a decimal number", _AMOUNT),
        )
        | {"description": "of all mandates together; null where there is none"}
    ),
    mandates={
        "type": "array",
        "description": "what it may propose",
        "items": an_object(
            action_type=said("the kind of action, by name"),
            tier=said("how far it is trusted with it at present", {"type": "string", "enum": Tier.values}),
            ceiling=said("how far it can be at most", {"type": "string", "enum": Tier.values}),
            veto_seconds=said("how long people may object before it runs, on the loop", INTEGER),
            stopped=nullable(said("which stop switch is pulled, and why")),
            limits=said(
                "null is no limit",
                an_object(
                    currency=said("of the amounts, ISO 4217", nullable(TEXT)),
                    max_amount=said("most in one action, a decimal number", _AMOUNT),
                    window_hours=said("length of the rolling window", INTEGER),
                    window_count=said("most actions in it", _COUNT),
                    window_amount=said("most money in it, a decimal number", _AMOUNT),
                    left_count=said("what is left now", _COUNT),
                    left_amount=said("what is left now, a decimal number", _AMOUNT),
                    subject_count=said("most about one subject in it, all action types together", _COUNT),
                    subject_amount=said("most about one subject in it, all action types together", _AMOUNT),
                ),
            ),
        ),
    },
)
PROBLEM = an_object(
    type=said("an address that stands for the code"),
    title=said("the code in words"),
    status=said("the same as the answer's", INTEGER),
    code=said("stable; act on this, not on the words", {"type": "string", "enum": list(PROBLEMS)}),
    detail=said("what is wrong and the remedy"),
)
PROBLEM["properties"] |= {
    "errors": {
        "type": "array",
        "description": "one for each field that was refused",
        "items": an_object(
            field=said("a JSON Pointer into the body, or a parameter's name"),
            message=said("what is wrong with it"),
        ),
    },
    "retry_after": said("seconds; the same as the header", INTEGER),
}
PAGE = an_object(
    items=said("newest first", {"type": "array", "items": ref("Proposal")}),
    next_cursor=said("for the next page; null on the last", nullable(TEXT)),
)
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
    type=said(
        "what happened", {"type": "string", "enum": [*(f"proposal.{state}" for state in State), ROLLBACK]}
    ),
    proposal=ref("Proposal"),
) | {"description": "the data of one event of the stream"}
JWKS = an_object(
    keys={
        "type": "array",
        "description": "an old key stays as long as a grant of its may be checked",
        "items": an_object(
            kty=said("`OKP`"),
            crv=said("`Ed25519`"),
            x=said("the public key, base64url"),
            kid=said("the one that a grant's header names"),
            alg=said("`EdDSA`"),
            use=said("`sig`"),
        ),
    }
)
