"""What goes over the wire, typed. Fields that a newer server adds are in `raw`; states it adds count as decided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from countersign import canonical
from countersign.words import words

UNDECIDED = frozenset({"submitted", "pending", "scheduled"})
RAN = frozenset({"executing", "succeeded", "failed", "unknown", "rolled_back"})
"""Redeemed: it has run, or may have."""


@dataclass(frozen=True)
class Draft:
    """One intended action, before it is proposed. `key` makes a repeat the same proposal; None is a new one."""

    action_type: str
    arguments: Mapping[str, Any]
    key: str | None = None
    summary: str = ""
    reasoning: str = ""
    confidence: float | None = None
    context: Sequence[Mapping[str, Any]] = ()
    subject: Mapping[str, str] | None = None
    trace_id: str = ""
    parent_id: str | None = None
    priority: str = "normal"
    expires_in: int | None = None
    current_state: Mapping[str, Any] | None = None
    metadata: Mapping[str, Any] | None = None
    agent_version: Mapping[str, str] | None = None

    def body(self) -> dict[str, Any]:
        """What is sent; whatever was left at its default is left out."""
        said: dict[str, Any] = {"action_type": self.action_type, "arguments": dict(self.arguments)}
        for name in ("summary", "reasoning", "trace_id"):
            if getattr(self, name):
                said[name] = getattr(self, name)
        if self.context:
            said["context"] = [dict(turn) for turn in self.context]
        if self.priority != "normal":
            said["priority"] = self.priority
        for name in (
            "confidence",
            "subject",
            "parent_id",
            "expires_in",
            "current_state",
            "metadata",
            "agent_version",
        ):
            if getattr(self, name) is not None:
                said[name] = getattr(self, name)
        return said


@dataclass(frozen=True)
class Reason:
    """Why a proposal took its way."""

    code: str
    rule: str
    detail: str


@dataclass(frozen=True)
class Route:
    """Where a proposal waits, how many have to agree, and why."""

    queue: str | None
    quorum: int
    reasons: tuple[Reason, ...]


@dataclass(frozen=True)
class Decision:
    """The final verdict: approve, edit, reject, return or veto; by a person (`human`) or a rule (`policy`)."""

    verdict: str
    reason: str
    comment: str
    decided_by: str
    kind: str
    decided_at: datetime | None


@dataclass(frozen=True)
class Grant:
    """The signed, single-use permission. Who holds the token may act: it is not in `repr` and belongs in no log."""

    token: str = field(repr=False)
    expires_at: datetime | None


@dataclass(frozen=True)
class Outcome:
    """What was reported after acting."""

    status: str
    result: Any
    external_id: str
    cost: float | None
    occurred_at: datetime | None
    reported_at: datetime | None


@dataclass(frozen=True)
class Rollback:
    """A person asks for this to be undone: propose `action_type` with `parent_id`; `proposal` is what answers it."""

    requested_at: datetime | None
    reason: str
    by: str
    action_type: str | None
    proposal: str | None


@dataclass(frozen=True)
class Proposal:
    """One proposed action as the server knew it when it answered. `version` rises with every change."""

    id: str
    status: str
    version: int
    revision: int
    action_type: str
    arguments: dict[str, Any]
    digest: str
    tier: str
    carried_out_by: str
    """Who acts once it is approved: `agent`, `countersign` (it calls the action type's address) or `person`."""
    route: Route
    decision: Decision | None
    grant: Grant | None
    outcome: Outcome | None
    rollback: Rollback | None
    created_at: datetime | None
    due_at: datetime | None
    expires_at: datetime | None
    effective_at: datetime | None
    raw: dict[str, Any] = field(repr=False, compare=False)
    sent: Mapping[str, Any] | None = field(default=None, repr=False, compare=False)
    """What this process proposed or revised it with, where it did; not on the wire."""

    @property
    def is_decided(self) -> bool:
        """Nobody has to decide any more, or it was returned and waits for the agent's answer."""
        return self.status not in UNDECIDED

    @property
    def is_settled(self) -> bool:
        """Nothing more comes by itself: decided, and where Countersign carries it out, the outcome is known too."""
        return self.is_decided and not (
            self.carried_out_by == "countersign" and self.status in ("approved", "executing")
        )

    @property
    def is_approved(self) -> bool:
        """It may be redeemed now. Where a person or Countersign itself acts, there is no grant for the agent."""
        return self.status == "approved" and self.grant is not None

    @property
    def was_redeemed(self) -> bool:
        """It has run, or may have."""
        return self.status in RAN

    @property
    def was_edited(self) -> bool:
        """The arguments are not those that the agent sent (where they are not at hand: the verdict says so)."""
        if self.sent is None:
            return self.decision is not None and self.decision.verdict == "edit"
        return canonical.dumps(self.sent) != canonical.dumps(self.arguments)

    @property
    def words(self) -> str:
        """What to tell the model: verdict, reason, and the reviewer's own words."""
        return words(self)

    def sent_as(self, arguments: Mapping[str, Any] | None) -> Proposal:
        """The same, knowing what the agent sent."""
        return self if arguments is None else replace(self, sent=arguments)


@dataclass(frozen=True)
class Event:
    """One change of an own proposal: `type` is `proposal.<status>` or `rollback.requested`; `id` is where to resume."""

    id: str
    type: str
    proposal: Proposal


def proposal_from(raw: Mapping[str, Any]) -> Proposal:
    """Raises `KeyError`, `TypeError` or `ValueError` where it is not the representation of a proposal."""
    route = raw.get("route") or {}
    return Proposal(
        id=str(raw["id"]),
        status=str(raw["status"]),
        version=int(raw["version"]),
        revision=int(raw["revision"]),
        action_type=str(raw["action_type"]),
        arguments=dict(raw["arguments"]),
        digest=str(raw["digest"]),
        tier=str(raw.get("tier", "")),
        carried_out_by=str(
            raw.get("carried_out_by") or ("person" if raw.get("tier") == "advisory" else "agent")
        ),
        route=Route(
            route.get("queue"),
            int(route.get("quorum") or 0),
            tuple(
                Reason(str(one.get("code", "")), str(one.get("rule", "")), str(one.get("detail", "")))
                for one in route.get("reasons") or ()
            ),
        ),
        decision=_decision(raw.get("decision")),
        grant=_grant(raw.get("grant")),
        outcome=_outcome(raw.get("outcome")),
        rollback=_rollback(raw.get("rollback")),
        created_at=_time(raw.get("created_at")),
        due_at=_time(raw.get("due_at")),
        expires_at=_time(raw.get("expires_at")),
        effective_at=_time(raw.get("effective_at")),
        raw=dict(raw),
    )


def _decision(raw: Mapping[str, Any] | None) -> Decision | None:
    if raw is None:
        return None
    by = raw.get("decided_by") or {}
    return Decision(
        verdict=str(raw["verdict"]),
        reason=str(raw.get("reason") or ""),
        comment=str(raw.get("comment") or ""),
        decided_by=str(by.get("label") or ""),
        kind=str(by.get("kind") or ""),
        decided_at=_time(raw.get("decided_at")),
    )


def _grant(raw: Mapping[str, Any] | None) -> Grant | None:
    return None if raw is None else Grant(str(raw["token"]), _time(raw.get("expires_at")))


def _outcome(raw: Mapping[str, Any] | None) -> Outcome | None:
    if raw is None:
        return None
    return Outcome(
        status=str(raw["status"]),
        result=raw.get("result"),
        external_id=str(raw.get("external_id") or ""),
        cost=raw.get("cost"),
        occurred_at=_time(raw.get("occurred_at")),
        reported_at=_time(raw.get("reported_at")),
    )


def _rollback(raw: Mapping[str, Any] | None) -> Rollback | None:
    if raw is None:
        return None
    return Rollback(
        requested_at=_time(raw.get("requested_at")),
        reason=str(raw.get("reason") or ""),
        by=str(raw.get("by") or ""),
        action_type=raw.get("action_type"),
        proposal=raw.get("proposal"),
    )


def _time(text: str | None) -> datetime | None:
    """Python 3.10 reads no `Z`."""
    return None if text is None else datetime.fromisoformat(text.replace("Z", "+00:00"))
