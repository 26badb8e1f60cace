"""The states of a proposal and the one table of transitions (DESIGN.md §2). Pure.

The drawing in docs/architecture.md is generated from `TRANSITIONS`; `approvals.transitions` is the only writer."""

from django.db.models import TextChoices


class State(TextChoices):
    DENIED = "denied", "Denied"
    PENDING = "pending", "Pending"
    SCHEDULED = "scheduled", "Scheduled"
    RETURNED = "returned", "Returned"
    APPROVED = "approved", "Approved"
    REJECTED = "rejected", "Rejected"
    EXPIRED = "expired", "Expired"
    WITHDRAWN = "withdrawn", "Withdrawn"
    EXECUTING = "executing", "Executing"
    LAPSED = "lapsed", "Lapsed"
    REVOKED = "revoked", "Revoked"
    SUCCEEDED = "succeeded", "Succeeded"
    FAILED = "failed", "Failed"
    UNKNOWN = "unknown", "Unknown"
    ROLLED_BACK = "rolled_back", "Rolled back"


INITIAL = (State.DENIED, State.PENDING, State.SCHEDULED, State.APPROVED)
"""Where a submitted proposal can begin."""

TRANSITIONS: dict[tuple[State, State], str] = {
    (State.PENDING, State.APPROVED): "quorum met",
    (State.PENDING, State.REJECTED): "rejected",
    (State.PENDING, State.RETURNED): "returned with a question",
    (State.PENDING, State.EXPIRED): "nobody decided in time",
    (State.PENDING, State.WITHDRAWN): "withdrawn by the agent",
    (State.RETURNED, State.PENDING): "revised by the agent",
    (State.RETURNED, State.EXPIRED): "no answer in time",
    (State.RETURNED, State.WITHDRAWN): "withdrawn by the agent",
    (State.SCHEDULED, State.APPROVED): "veto window passed",
    (State.SCHEDULED, State.REJECTED): "vetoed",
    (State.SCHEDULED, State.WITHDRAWN): "withdrawn by the agent",
    (State.SCHEDULED, State.PENDING): "its agent has no live owner",
    (State.APPROVED, State.EXECUTING): "grant redeemed",
    (State.APPROVED, State.LAPSED): "grant not redeemed in time",
    (State.APPROVED, State.REVOKED): "stopped, suspended or recalled",
    (State.EXECUTING, State.SUCCEEDED): "outcome reported",
    (State.EXECUTING, State.FAILED): "outcome reported",
    (State.EXECUTING, State.UNKNOWN): "no outcome in time",
    (State.UNKNOWN, State.SUCCEEDED): "settled by a person",
    (State.UNKNOWN, State.FAILED): "settled by a person",
    (State.SUCCEEDED, State.ROLLED_BACK): "undone",
}

OPEN = frozenset({State.PENDING, State.RETURNED, State.SCHEDULED})
"""Not yet decided: can still be withdrawn."""

FINAL = frozenset(set(State) - {source for source, _ in TRANSITIONS})
"""States that nothing leaves."""

RAN = frozenset({State.EXECUTING, State.SUCCEEDED, State.FAILED, State.UNKNOWN, State.ROLLED_BACK})
"""Redeemed: it has run, or may have. The agent reports how it went, so "failed" counts like the others."""

LIVE = OPEN | RAN | {State.APPROVED}
"""What counts against a mandate's window: everything that has run or still may."""


def may(before: str, after: str) -> bool:
    """Whether the table has this transition."""
    return (before, after) in TRANSITIONS


def mermaid() -> str:
    """The drawing of the table, in Mermaid's state diagram language."""
    lines = ["stateDiagram-v2"]
    lines += [f"    [*] --> {state}" for state in INITIAL]
    lines += [f"    {before} --> {after}: {why}" for (before, after), why in TRANSITIONS.items()]
    lines += [f"    {state} --> [*]" for state in State if state in FINAL]
    return "\n".join(lines) + "\n"
