"""A proposal as a task of the AuthZEN Access Request and Approval Profile, Draft 1 (OpenID AuthZEN working group,
October 2026; openid/authzen, profiles/authzen-access-request-approval, commit 00db206). Pure.

There a task leaves `pending` once and then stays as it is; what becomes of an approval later is said by
`approved_until` and at enforcement. So everything that follows an approval is `approved` here too."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from agents.autonomy import Tier
from approvals.states import State

ADVISED = "urn:countersign:task-status:advised"
"""Approved as advice: a person acts. The draft has a client treat a status it does not know as not approved."""
REDEEM = "urn:countersign:result-mode:redeem"
EXECUTED_HERE = "urn:countersign:result-mode:executed-here"
"""Ways of completion besides the draft's own, `reevaluate`, which needs a policy decision point: a client that does not
know them treats the task as not approved."""
REDEMPTION = "urn:countersign:member:redemption"
_STATUSES: dict[State, str] = {
    State.PENDING: "pending",
    State.RETURNED: "pending",
    State.SCHEDULED: "pending",
    State.DENIED: "denied",
    State.REJECTED: "denied",
    State.EXPIRED: "expired",
    State.WITHDRAWN: "cancelled",
    State.APPROVED: "approved",
    State.EXECUTING: "approved",
    State.SUCCEEDED: "approved",
    State.FAILED: "approved",
    State.UNKNOWN: "approved",
    State.ROLLED_BACK: "approved",
    State.LAPSED: "approved",
    State.REVOKED: "approved",
}
STATUSES = (*dict.fromkeys(_STATUSES.values()), ADVISED)


@dataclass(frozen=True, slots=True)
class Approval:
    """The grant as the draft speaks of it: `until` is the last moment it is, or was, good for."""

    id: str
    at: datetime
    until: datetime


def status(state: State, tier: Tier) -> str:
    """The draft's task status. `failed` and `partial` do not occur: a task is one item and cannot end by a fault."""
    if state == State.APPROVED and tier == Tier.ADVISORY:
        return ADVISED
    return _STATUSES[state]


def task(
    shown: Mapping[str, Any],
    *,
    base: str,
    approval: Approval | None,
    redeem: Mapping[str, str] | None,
    is_executed_here: bool,
) -> dict[str, Any]:
    """The status document of a proposal; `base` is the installation's own address."""
    name = status(State(shown["status"]), Tier(shown["tier"]))
    found: dict[str, Any] = {
        "id": shown["id"],
        "status": name,
        "status_endpoint": f"{base}/api/v1/import/authzen/tasks/{shown['id']}",
        "links": {"review": f"{base}/proposals/{shown['id']}/"},
    }
    if name == "pending" and shown["expires_at"] is not None:
        found["expires_at"] = shown["expires_at"]
    if name != "approved" or approval is None:
        return {"task": found}
    result: dict[str, Any] = {
        "mode": EXECUTED_HERE if is_executed_here else REDEEM,
        "approval": {
            "id": approval.id,
            "approved_at": _time(approval.at),
            "approved_until": _time(approval.until),
        },
    }
    if redeem is not None:
        result[REDEMPTION] = {"address": base + redeem["address"], "digest": redeem["digest"]}
    return {"task": found, "result": result}


def _time(value: datetime) -> str:
    return value.isoformat().replace("+00:00", "Z")
