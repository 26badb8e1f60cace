"""What an agent of another product is told about its proposal: wait, run it, or leave it, and why in words. Pure.

Those products know one yes, on which their clients act at once. So a yes is said only while there is something to
redeem: an approval that was used, ran out, was taken back, or that Countersign carries out itself is a no to whoever
asks then, whatever its client would make of a yes; the words say what is the case."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from approvals.states import OPEN, RAN, State


class May(Enum):
    WAIT = "wait"
    RUN = "run"
    LEAVE = "leave"


@dataclass(frozen=True, slots=True)
class Verdict:
    """`is_changed`: the arguments that were decided on are not those that were sent."""

    may: May
    is_changed: bool
    words: str


_ENDED: dict[str, str] = {
    State.EXPIRED: "Nobody decided in time, so it counts as refused; nothing was done.",
    State.WITHDRAWN: "It was withdrawn before it was decided; nothing was done.",
    State.LAPSED: "It was approved, and the approval was not used in time. Propose it again if it is still needed.",
    State.REVOKED: "The approval was taken back before it was used; nothing was done.",
    State.EXECUTING: "It was approved, and the approval is used up: it is being carried out. Do not run it again.",
    State.SUCCEEDED: "It was approved and has been carried out already. Do not run it again.",
    State.FAILED: "It was approved, and carrying it out failed. Do not run it again on this approval.",
    State.UNKNOWN: "It was approved; a person is finding out whether it was carried out. Do not run it again.",
    State.ROLLED_BACK: "It was carried out and has been undone since.",
}
_UNDECIDED = OPEN - {State.RETURNED}
_EXECUTED_HERE = "Approved. Countersign carries it out itself; do not run it."
_ADVICE = "Approved as advice: a person carries it out, not you."
_RAN_OUT = _ENDED[State.LAPSED]


def of(shown: Mapping[str, Any], *, sent: bytes, is_executed_here: bool, now: datetime) -> Verdict:
    """The verdict on a proposal as `approvals.representation` shows it; `sent` are the arguments as they came in."""
    state = State(shown["status"])
    is_changed = bytes(shown["arguments"]) != sent
    if state in _UNDECIDED:
        return Verdict(May.WAIT, is_changed, "")
    if state == State.APPROVED and may_redeem(shown, now):
        return Verdict(May.RUN, is_changed, _comment(shown))
    return Verdict(May.LEAVE, is_changed, _why(state, shown, is_executed_here))


def may_redeem(shown: Mapping[str, Any], now: datetime) -> bool:
    """Whether there is a grant that its agent can still use."""
    grant = shown["grant"]
    return grant is not None and datetime.fromisoformat(grant["expires_at"]) > now


def _why(state: State, shown: Mapping[str, Any], is_executed_here: bool) -> str:
    if state == State.DENIED:
        reasons = "; ".join(one["detail"] or one["code"] for one in shown["route"]["reasons"])
        return "Denied by policy; nothing was done." + (f" Why: {reasons}" if reasons else "")
    if state == State.REJECTED:
        verb = "Vetoed" if (shown["decision"] or {}).get("verdict") == "veto" else "Rejected"
        return f"{verb}{_by(shown)}; nothing was done.{_reasons(shown)}"
    if state == State.RETURNED:
        return f"Returned{_by(shown)} with a question; nothing was done.{_reasons(shown)}"
    if state == State.APPROVED:
        return _unusable(shown, is_executed_here)
    if is_executed_here and state in RAN:
        return f"{_EXECUTED_HERE} It is {state.label.lower()}."
    return _ENDED[state]


def _unusable(shown: Mapping[str, Any], is_executed_here: bool) -> str:
    """Approved, and nothing to redeem."""
    if shown["grant"] is not None:
        return _RAN_OUT
    return _EXECUTED_HERE if is_executed_here else _ADVICE + _reasons(shown)


def _by(shown: Mapping[str, Any]) -> str:
    by = (shown["decision"] or {}).get("decided_by")
    return f" by {by['label']}" if by and by["kind"] == "human" and by["label"] else ""


def _reasons(shown: Mapping[str, Any]) -> str:
    decision = shown["decision"] or {}
    reason, comment = decision.get("reason"), _comment(shown)
    return (f" Reason: {reason}." if reason else "") + (f" Comment: {comment}" if comment else "")


def _comment(shown: Mapping[str, Any]) -> str:
    return str((shown["decision"] or {}).get("comment", ""))
