"""Examples for the OpenAPI document: one refund, from its proposal to its rollback. Tests hold each against its schema,
and each request against the server's own parser."""

from typing import Any

from approvals import canonical
from approvals.problems import PROBLEMS

_AGENT, _KIND = "refund-bot", "refund_order"
_ID = "019ab0c2-7e11-7c3a-9d53-0a8e5f1f7d10"
_UNDO = "019ab0c9-1a40-7f0e-8a55-6f2c1b9d4e21"
ARGUMENTS: dict[str, Any] = {"order_id": "A-1001", "amount": 42.5, "reason": "damaged"}
_EDITED: dict[str, Any] = ARGUMENTS | {"amount": 40}


def _digest(arguments: dict[str, Any], revision: int) -> str:
    """As the server computes it, so that a reader can recompute it."""
    return canonical.digest(
        agent=_AGENT,
        action_type=_KIND,
        revision=revision,
        canonical=canonical.arguments_bytes(arguments),
    )


PROPOSE: dict[str, Any] = {
    "action_type": _KIND,
    "arguments": ARGUMENTS,
    "summary": "Refund a broken lamp",
    "reasoning": "The photo shows a broken foot; the order is four days old.",
    "confidence": 0.93,
    "context": [{"role": "user", "content": "My lamp arrived broken."}],
    "subject": {"type": "customer", "id": "c-17"},
    "current_state": {"order_total": 42.5, "refunded": 0},
    "expires_in": 86400,
}
LEAST: dict[str, Any] = {"action_type": _KIND, "arguments": ARGUMENTS}
BATCH: dict[str, Any] = {
    "items": [
        {"key": "order-A-1001", **LEAST},
        {"key": "order-A-1002", "action_type": _KIND, "arguments": {"order_id": "A-1002", "amount": -3}},
    ]
}
PENDING: dict[str, Any] = {
    "id": _ID,
    "status": "pending",
    "version": 1,
    "revision": 1,
    "action_type": _KIND,
    "arguments": ARGUMENTS,
    "digest": _digest(ARGUMENTS, 1),
    "tier": "in_the_loop",
    "carried_out_by": "agent",
    "route": {
        "queue": "refunds",
        "quorum": 1,
        "reasons": [{"code": "tier", "rule": "", "detail": "A person decides each of these."}],
    },
    "decision": None,
    "grant": None,
    "outcome": None,
    "rollback": None,
    "created_at": "2026-11-22T10:15:00Z",
    "due_at": "2026-11-22T14:15:00Z",
    "expires_at": "2026-11-23T10:15:00Z",
    "effective_at": None,
}
_REVIEWER = {"kind": "human", "label": "Rita Reviewer"}
APPROVED: dict[str, Any] = PENDING | {
    "status": "approved",
    "version": 3,
    "revision": 2,
    "arguments": _EDITED,
    "digest": _digest(_EDITED, 2),
    "decision": {
        "verdict": "edit",
        "reason": "",
        "comment": "The shipping is not refunded.",
        "decided_by": _REVIEWER,
        "decided_at": "2026-11-22T10:21:07Z",
    },
    "grant": {"token": "eyJhbGciOiJFZERTQSJ9.eyJqdGkiOiI…", "expires_at": "2026-11-22T10:26:07Z"},
}
RETURNED: dict[str, Any] = PENDING | {
    "status": "returned",
    "version": 2,
    "decision": {
        "verdict": "return",
        "reason": "",
        "comment": "Was the shipping paid as well?",
        "decided_by": _REVIEWER,
        "decided_at": "2026-11-22T10:20:00Z",
    },
}
EXECUTING: dict[str, Any] = APPROVED | {"status": "executing", "version": 4, "grant": None}
SUCCEEDED: dict[str, Any] = EXECUTING | {
    "status": "succeeded",
    "version": 5,
    "outcome": {
        "status": "succeeded",
        "result": {"refund": "re_81"},
        "external_id": "re_81",
        "cost": 0.004,
        "occurred_at": "2026-11-22T10:21:12Z",
        "reported_at": "2026-11-22T10:21:13Z",
    },
}
ASKED_BACK: dict[str, Any] = SUCCEEDED | {
    "version": 6,
    "rollback": {
        "requested_at": "2026-11-22T11:02:00Z",
        "reason": "The customer keeps the lamp.",
        "by": "Olga Owner",
        "action_type": "cancel_refund",
        "proposal": None,
    },
}
WITHDRAWN: dict[str, Any] = PENDING | {"status": "withdrawn", "version": 2}
REVISED: dict[str, Any] = PENDING | {
    "version": 3,
    "revision": 2,
    "arguments": _EDITED,
    "digest": _digest(_EDITED, 2),
}
REDEEM: dict[str, Any] = {"digest": APPROVED["digest"]}
OUTCOME: dict[str, Any] = {
    "status": "succeeded",
    "result": {"refund": "re_81"},
    "external_id": "re_81",
    "cost": 0.004,
    "occurred_at": "2026-11-22T10:21:12Z",
}
WITHDRAW: dict[str, Any] = {"reason": "The customer found the missing part."}
REVISE: dict[str, Any] = {"arguments": _EDITED, "reply": "No: 40 without the shipping."}
UNDO: dict[str, Any] = {
    "action_type": "cancel_refund",
    "arguments": {"refund_id": "re_81"},
    "parent_id": _ID,
    "summary": "Take the refund back, as asked",
}
PAGE: dict[str, Any] = {"items": [APPROVED], "next_cursor": _ID}
ME: dict[str, Any] = {
    "agent": _AGENT,
    "name": "Refund bot",
    "version": "2026-11",
    "state": "live",
    "credential_expires_at": "2027-02-01T00:00:00Z",
    "budget": {
        "hours": 24,
        "count": None,
        "amount": "5000.00",
        "currency": "EUR",
        "left_count": None,
        "left_amount": "4312.50",
    },
    "mandates": [
        {
            "action_type": _KIND,
            "tier": "in_the_loop",
            "ceiling": "on_the_loop",
            "veto_seconds": 600,
            "stopped": None,
            "limits": {
                "currency": "EUR",
                "max_amount": "500.00",
                "window_hours": 24,
                "window_count": 100,
                "window_amount": None,
                "left_count": 83,
                "left_amount": None,
                "subject_count": None,
                "subject_amount": "500.00",
            },
        }
    ],
}
JWKS: dict[str, Any] = {
    "keys": [
        {
            "kty": "OKP",
            "crv": "Ed25519",
            "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
            "kid": "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
            "use": "sig",
            "alg": "EdDSA",
        }
    ]
}
_FIELDS: dict[str, list[dict[str, str]]] = {
    "arguments_invalid": [{"field": "/arguments/amount", "message": "-3 is less than the minimum of 0"}],
    "fields_invalid": [{"field": "/confidence", "message": "Expected `float` <= 1.0"}],
    "idempotency_key_reused": [{"field": "Idempotency-Key", "message": "was used for another body"}],
    "invalid": [{"field": "/occurred_at", "message": "must be in the years 1 to 9999 in UTC"}],
}


def problem(code: str) -> dict[str, Any]:
    """A problem document as it is sent; what it says in words may be put in other words at any time."""
    known = PROBLEMS[code]
    document: dict[str, Any] = {
        "type": f"/api/docs#{code}",
        "title": known.title,
        "status": known.status,
        "code": code,
        "detail": f"{known.meaning} {known.remedy}",
    }
    if code in _FIELDS:
        document["errors"] = _FIELDS[code]
    if known.waits:
        document["retry_after"] = 2
    return document


BATCH_ANSWER: dict[str, Any] = {
    "results": [
        {"status": 201, "proposal": PENDING},
        {"status": 422, "problem": problem("arguments_invalid")},
    ]
}
EVENT: dict[str, Any] = {"type": "proposal.approved", "proposal": APPROVED}
STREAM = (
    "retry: 1000\nid: NzQyOjc0Mjo\n\n"
    'event: proposal\nid: NzQyOjc1MDo3NDg\ndata: {"type":"proposal.approved","proposal":{…}}\n\n'
    ": still\n\n"
)
