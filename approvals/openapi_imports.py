"""What the OpenAPI document says of the import addresses: schemas of their answers, and examples of both directions."""

from typing import Any

from approvals import openapi_examples as examples
from approvals import problems
from approvals.imports.authzen import EXECUTED_HERE, REDEEM, REDEMPTION, STATUSES
from approvals.imports.requests import MOST, MOST_KEY
from approvals.openapi_parts import AFTER, ID, KEY, SUBMITTED, WAIT, Answer, Operation, named, parameter
from approvals.openapi_schemas import TEXT, TIME, UUID, an_object, nullable, ref, said

CALL_ID: dict[str, Any] = {"type": "string", "minLength": 1, "maxLength": 180}
REQUEST: dict[str, Any] = {
    "oneOf": [
        ref("HumanInterrupt"),
        {"type": "array", "items": ref("HumanInterrupt"), "minItems": 1, "maxItems": MOST},
    ]
}
_REDEMPTION = nullable(
    an_object(address=said("POST there"), digest=said("with this"))
    | {"description": "use the permission up here, before acting; there while there is one"}
)
_ACTION = an_object(
    action=said("the action type's name"), args=said("the approved arguments", {"type": "object"})
)
ANSWER = an_object(
    response=nullable(
        an_object(
            type=said("what was decided", {"enum": ["accept", "edit", "response", "ignore"]}),
            args=said(
                "of accept and edit the action, of response the words",
                {"anyOf": [_ACTION, TEXT, {"type": "null"}]},
            ),
        )
        | {"description": "a HumanResponse, of a type that the config allows; null until it is decided"}
    ),
    redeem=_REDEMPTION,
    proposal=ref("Proposal"),
)
ANSWERS = an_object(
    results={
        "type": "array",
        "description": "one for each interrupt, in their order",
        "items": {
            "oneOf": [
                {
                    "allOf": [
                        ref("AgentInboxAnswer"),
                        {"properties": {"status": {"enum": [200, 201]}}, "required": ["status"]},
                    ]
                },
                an_object(status={"type": "integer", "minimum": 400}, problem=ref("Problem")),
            ]
        },
    }
)
CALL = an_object(
    run_id=said("as it was sent"),
    call_id=said("as it was sent"),
    spec=an_object(
        fn=said("as it was sent"),
        kwargs={"type": "object", "description": "as they were sent, whatever was approved"},
        channel=nullable({"type": "object", "description": "as sent, without bot_token"}),
        reject_options=said("as sent", nullable({"type": "array", "items": ref("ResponseOption")})),
        state=said("as sent", nullable({"type": "object"})),
    ),
    status=an_object(
        requested_at=said("when it came in", TIME),
        responded_at=said("null until it is decided", nullable(TIME)),
        approved=nullable(
            {"type": "boolean", "description": "true only for exactly these kwargs, while redeemable"}
        ),
        comment=said("the reviewer's words, or why there is no yes", nullable(TEXT)),
        reject_option_name=said("the way of saying no that the reviewer's reason names", nullable(TEXT)),
        slack_message_ts=said("nothing is sent there by this", {"type": "null"}),
    ),
    countersign=an_object(redeem=_REDEMPTION, proposal=ref("Proposal")),
)
TASK: dict[str, Any] = {
    "type": "object",
    "properties": {
        "task": {
            "type": "object",
            "properties": {
                "id": said("the proposal's", UUID),
                "status": said("as the draft has it", {"type": "string", "enum": list(STATUSES)}),
                "status_endpoint": said("ask here again"),
                "expires_at": said("when it expires if nobody has decided", TIME),
                "links": an_object(review=said("the page on which people decide")),
            },
            "required": ["id", "status", "status_endpoint", "links"],
        },
        "result": {
            "type": "object",
            "properties": {
                "mode": said("who acts", {"type": "string", "enum": [REDEEM, EXECUTED_HERE]}),
                "approval": an_object(
                    id=said("the grant's", UUID),
                    approved_at=said("when", TIME),
                    approved_until=said("when the permission ends", TIME),
                ),
                REDEMPTION: an_object(address=said("POST there, before acting"), digest=said("with this")),
            },
            "required": ["mode", "approval"],
        },
    },
    "required": ["task"],
}
SCHEMAS: dict[str, Any] = {
    "AgentInboxRequest": REQUEST,
    "AgentInboxAnswer": ANSWER,
    "AgentInboxAnswers": ANSWERS,
    "FunctionCallAnswer": CALL,
    "AuthzenTask": TASK,
}

_HELD = examples.PENDING
_DECIDED = examples.APPROVED
_ARGUMENTS: dict[str, Any] = examples.ARGUMENTS
INTERRUPT: dict[str, Any] = {
    "action_request": {"action": _HELD["action_type"], "args": _ARGUMENTS},
    "config": {"allow_ignore": False, "allow_respond": True, "allow_edit": True, "allow_accept": True},
    "description": "Refund a broken lamp",
}
INBOX_HELD: dict[str, Any] = {"response": None, "redeem": None, "proposal": _HELD}
_REDEEM: dict[str, Any] = {
    "address": f"/api/v1/proposals/{_DECIDED['id']}/redeem",
    "digest": _DECIDED["digest"],
}
INBOX_DECIDED: dict[str, Any] = {
    "response": {
        "type": "edit",
        "args": {"action": _DECIDED["action_type"], "args": _DECIDED["arguments"]},
    },
    "redeem": _REDEEM,
    "proposal": _DECIDED,
}
INBOX_LIST: dict[str, Any] = {
    "results": [
        {"status": 201, **INBOX_HELD},
        {"status": 422, "problem": examples.problem("arguments_invalid")},
    ]
}
CALL_SENT: dict[str, Any] = {
    "run_id": "refund-desk-1",
    "call_id": "call-A-1001",
    "spec": {
        "fn": _HELD["action_type"],
        "kwargs": _ARGUMENTS,
        "channel": {"slack": {"channel_or_user_id": "C123456"}},
        "reject_options": [{"name": "wrong_amount", "title": "Wrong amount"}],
    },
}
_SPEC: dict[str, Any] = CALL_SENT["spec"] | {"state": None}
CALL_HELD: dict[str, Any] = CALL_SENT | {
    "spec": _SPEC,
    "status": {
        "requested_at": _HELD["created_at"],
        "responded_at": None,
        "approved": None,
        "comment": None,
        "reject_option_name": None,
        "slack_message_ts": None,
    },
    "countersign": {"redeem": None, "proposal": _HELD},
}
CALL_EDITED: dict[str, Any] = CALL_HELD | {
    "status": CALL_HELD["status"]
    | {
        "responded_at": _DECIDED["decision"]["decided_at"],
        "approved": False,
        "comment": "Not with these arguments; nothing was done. A reviewer approved these in their place: …",
    },
    "countersign": {"redeem": None, "proposal": _DECIDED},
}
CONTACT: dict[str, Any] = {
    "run_id": "refund-desk-1",
    "call_id": "call-2",
    "spec": {"msg": "Which order is meant?"},
}
RESPONSE: dict[str, Any] = {"approved": True, "comment": "Fine"}
TASK_APPROVED: dict[str, Any] = {
    "task": {
        "id": _DECIDED["id"],
        "status": "approved",
        "status_endpoint": f"http://127.0.0.1:8000/api/v1/import/authzen/tasks/{_DECIDED['id']}",
        "links": {"review": f"http://127.0.0.1:8000/proposals/{_DECIDED['id']}/"},
    },
    "result": {
        "mode": REDEEM,
        "approval": {
            "id": "019ab0c4-52c3-7d0e-9c1f-5b7a3a1f0b11",
            "approved_at": _DECIDED["decision"]["decided_at"],
            "approved_until": _DECIDED["grant"]["expires_at"],
        },
        REDEMPTION: {
            "address": f"http://127.0.0.1:8000{_REDEEM['address']}",
            "digest": _DECIDED["digest"],
        },
    },
}

_AGENT_INBOX = "/api/v1/import/agent-inbox"
_CALLS = "/api/v1/import/humanlayer/function_calls"
_CONTACTS = "A question without an action is no proposal: always 422 import_unsupported"
_CALL = parameter("call_id", "path", "as it was sent", CALL_ID, required=True)

OPERATIONS: dict[tuple[str, str], Operation] = {
    ("post", _AGENT_INBOX): Operation(
        "import_agent_inbox",
        "Propose what a graph interrupts with for Agent Inbox: one HumanInterrupt, or a list of them",
        {
            201: Answer(
                "One interrupt, accepted", ref("AgentInboxAnswer"), named(held=INBOX_HELD), ("Location",)
            ),
            200: Answer(
                "A repeat of one interrupt; or for a list, a result for each, in order",
                {"oneOf": [ref("AgentInboxAnswer"), ref("AgentInboxAnswers")]},
                named(decided=INBOX_DECIDED, list=INBOX_LIST),
            ),
        },
        description=(
            f"A list has at most {MOST} interrupts. Where one has a wrong form the list is refused; after that each is "
            "accepted or refused by itself. A response is always of a type that the config allows, so a config has to "
            "allow a yes and a no. docs/connect/agent-inbox.md has the mapping."
        ),
        body="AgentInboxRequest",
        examples=named(one=INTERRUPT, list=[INTERRUPT]),
        parameters=(KEY | {"schema": {"type": "string", "maxLength": MOST_KEY}},),
        codes=problems.BODY | SUBMITTED | {"import_unsupported"},
    ),
    ("get", f"{_AGENT_INBOX}/{{proposal_id}}"): Operation(
        "read_agent_inbox",
        "Read the HumanResponse, or wait for it",
        {200: Answer("The answer as it is now", ref("AgentInboxAnswer"), named(decided=INBOX_DECIDED))},
        parameters=(ID, WAIT, AFTER),
        codes=frozenset({"not_found", "fields_invalid"}),
        conditional=True,
    ),
    ("post", _CALLS): Operation(
        "import_function_call",
        "Propose a HumanLayer function call",
        {
            201: Answer("Accepted", ref("FunctionCallAnswer"), named(held=CALL_HELD), ("Location",)),
            200: Answer("A repeat", ref("FunctionCallAnswer"), named(edited=CALL_EDITED), ("Location",)),
        },
        description=(
            "HumanLayer's clients reach it with the base address `/api/v1/import/humanlayer`. `call_id` takes the "
            "place of an idempotency key. docs/connect/humanlayer.md has the mapping."
        ),
        body="FunctionCall",
        examples=named(call=CALL_SENT),
        codes=problems.BODY | SUBMITTED | {"import_unsupported"},
    ),
    ("get", f"{_CALLS}/{{call_id}}"): Operation(
        "read_function_call",
        "Read a HumanLayer function call and its status",
        {200: Answer("The call as it is now", ref("FunctionCallAnswer"), named(edited=CALL_EDITED))},
        parameters=(_CALL,),
        codes=frozenset({"not_found"}),
        conditional=True,
    ),
    ("post", "/api/v1/import/humanlayer/agent/function_calls/{call_id}/respond"): Operation(
        "respond_to_function_call",
        "An agent answers its own call: always 422 import_unsupported",
        {},
        parameters=(_CALL,),
        codes=frozenset({"not_found", "import_unsupported"}),
    ),
    ("post", "/api/v1/import/humanlayer/contact_requests"): Operation(
        "contact_human",
        f"Ask a person something, as the client does. {_CONTACTS}",
        {},
        codes=frozenset({"import_unsupported"}),
    ),
    ("post", "/api/v1/import/humanlayer/human_contacts"): Operation(
        "contact_human_as_documented",
        f"Ask a person something, as documented. {_CONTACTS}",
        {},
        codes=frozenset({"import_unsupported"}),
    ),
    ("get", "/api/v1/import/authzen/tasks/{proposal_id}"): Operation(
        "read_authzen_task",
        "Read a proposal as a task of the AuthZEN Access Request and Approval Profile (Draft 1), or wait for it",
        {200: Answer("The task as it is now", ref("AuthzenTask"), named(approved=TASK_APPROVED))},
        parameters=(ID, WAIT, AFTER),
        codes=frozenset({"not_found", "fields_invalid"}),
        conditional=True,
    ),
}
