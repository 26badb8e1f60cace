"""A proposal's state in words for a model: what was decided, why, and the reviewer's own words. Pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from countersign.proposals import Decision, Proposal

_PLAIN = {
    "pending": "Still waiting for a person to decide; nothing was done.",
    "scheduled": "It will be approved unless a person objects in time; nothing was done yet.",
    "expired": "Nobody decided in time, so it counts as refused; nothing was done.",
    "withdrawn": "Withdrawn before it was decided; nothing was done.",
    "lapsed": "It was approved, but the approval was not used in time; nothing was done. Propose it again if needed.",
    "revoked": "The approval was taken back before it was used; nothing was done.",
    "executing": "It was approved and is being carried out.",
    "succeeded": "It was approved and carried out.",
    "failed": "It was approved, and carrying it out failed.",
    "unknown": "It was approved; whether it was carried out is unknown and a person is finding out. Do not repeat it.",
    "rolled_back": "It was carried out and has been undone since.",
}


def words(proposal: Proposal) -> str:
    """One or two sentences. A state of a newer server is told by its name."""
    decision = proposal.decision
    if proposal.status == "denied":
        why = "; ".join(reason.detail or reason.code for reason in proposal.route.reasons)
        return f"Denied by policy; nothing was done.{_clause(' Why: ', why)}"
    if proposal.status == "rejected" and decision is not None:
        verdict = "Vetoed" if decision.verdict == "veto" else "Rejected"
        return f"{verdict}{_by(decision)}; nothing was done.{_why(decision)}"
    if proposal.status == "returned" and decision is not None:
        return f"Returned{_by(decision)} with a question; nothing was done. Answer it.{_why(decision)}"
    if proposal.status == "approved":
        return _approved(proposal)
    plain = _PLAIN.get(proposal.status, f"Its state is {proposal.status}.")
    return plain + (_edited(proposal) if proposal.was_redeemed else "")


def _approved(proposal: Proposal) -> str:
    decision = proposal.decision
    by, why = ("", "") if decision is None else (_by(decision), _why(decision))
    if proposal.carried_out_by == "person":
        return f"Approved{by} as advice: a person carries it out, you must not.{why}"
    if proposal.carried_out_by == "countersign":
        return f"Approved{by}. Countersign carries it out itself, you must not.{_edited(proposal)}{why}"
    if proposal.grant is None:
        return f"Approved{by}, but there is no grant to use: do not act.{why}"
    return f"Approved{by}.{_edited(proposal)}{why}"


def _edited(proposal: Proposal) -> str:
    if not proposal.was_edited:
        return ""
    return f" The reviewer changed the arguments to {json.dumps(proposal.arguments, ensure_ascii=False)}."


def _by(decision: Decision) -> str:
    return f" by {decision.decided_by}" if decision.kind == "human" and decision.decided_by else ""


def _why(decision: Decision) -> str:
    reason = decision.reason if decision.kind == "human" else ""
    return _clause(" Reason: ", reason) + (f" Comment: “{decision.comment}”" if decision.comment else "")


def _clause(lead: str, text: str) -> str:
    return f"{lead}{text.rstrip('.')}." if text else ""
