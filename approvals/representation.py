"""What an agent is told of its proposal (DESIGN.md §4). Probability and draw of audits are never in it (I11)."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from django.db.models import F

from agents.autonomy import Tier
from approvals.models import Decision, Grant, Outcome, Proposal, Revision, RollbackRequest
from approvals.states import State

_WITH_GRANT = frozenset({State.APPROVED})
_WITH_ROLLBACK = frozenset({State.SUCCEEDED, State.ROLLED_BACK})


def of(proposal: Proposal) -> bytes:
    """The JSON of one proposal, reading its revision, decision, grant and outcome."""
    return msgspec.json.encode(as_dict(proposal))


def as_dict(proposal: Proposal) -> dict[str, Any]:
    """As `of`, before encoding, with one query for revision and decision together."""
    revision = Revision.objects.select_related("decision__decider").get(
        proposal=proposal, number=proposal.revision
    )
    return _with(proposal, revision)


def encoded(proposals: Sequence[Proposal]) -> dict[UUID, bytes]:
    """As `of` for each, by its key, with one query for all their revisions and decisions."""
    shown = several(proposals) if proposals else []
    return {one.pk: msgspec.json.encode(body) for one, body in zip(proposals, shown, strict=True)}


def several(proposals: Sequence[Proposal]) -> list[dict[str, Any]]:
    """As `as_dict` for each, in their order, with one query for all their revisions and decisions."""
    current = Revision.objects.select_related("decision__decider").filter(
        proposal__in=proposals, number=F("proposal__revision")
    )
    revisions = {revision.proposal_id: revision for revision in current}
    return [_with(proposal, revisions.get(proposal.pk)) for proposal in proposals]


def _with(proposal: Proposal, revision: Revision | None) -> dict[str, Any]:
    """A proposal that was edited between the reading of it and of its revision is read again alone."""
    if revision is None or revision.number != proposal.revision:
        return as_dict(proposal)
    decision = getattr(revision, "decision", None)
    return build(
        proposal,
        canonical=bytes(revision.canonical),
        decision=None if proposal.state == State.PENDING else decision,
        grant=getattr(proposal, "grant", None),
        outcome=getattr(proposal, "outcome", None),
        rollback=getattr(proposal, "rollback_request", None) if proposal.state in _WITH_ROLLBACK else None,
    )


def build(
    proposal: Proposal,
    *,
    canonical: bytes,
    decision: Decision | None = None,
    grant: Grant | None = None,
    outcome: Outcome | None = None,
    rollback: RollbackRequest | None = None,
) -> dict[str, Any]:
    """The representation from what is at hand; the arguments are the stored canonical bytes, never re-serialised."""
    return {
        "id": str(proposal.pk),
        "status": str(proposal.state),
        "version": proposal.version,
        "revision": proposal.revision,
        "action_type": proposal.action_type.name,
        "arguments": msgspec.Raw(canonical),
        "digest": proposal.digest,
        "tier": str(proposal.tier),
        "carried_out_by": _carried_out_by(proposal),
        "route": {
            "queue": proposal.queue.slug if proposal.queue else None,
            "quorum": proposal.quorum,
            "reasons": proposal.reasons,
        },
        "decision": decision and _decision(decision),
        "grant": _grant(grant) if grant is not None and _is_handed_out(proposal) else None,
        "outcome": outcome and _outcome(outcome),
        "rollback": rollback and _rollback(rollback, proposal),
        "created_at": _time(proposal.created_at),
        "due_at": _time(proposal.due_at),
        "expires_at": _time(proposal.expires_at),
        "effective_at": _time(proposal.effective_at),
    }


def _carried_out_by(proposal: Proposal) -> str:
    """Who acts once it is approved: without this, no grant would look the same for two who must behave differently."""
    if proposal.tier == Tier.ADVISORY:
        return "person"
    return "countersign" if proposal.action_type.executor_url else "agent"


def _is_handed_out(proposal: Proposal) -> bool:
    """A grant is its agent's unless Countersign itself has the action carried out (docs/executors.md)."""
    return proposal.state in _WITH_GRANT and not proposal.action_type.executor_url


def _decision(decision: Decision) -> dict[str, Any]:
    return {
        "verdict": str(decision.verdict),
        "reason": decision.reason,
        "comment": decision.comment,
        "decided_by": {"kind": decision.kind, "label": decision.label},
        "decided_at": _time(decision.decided_at),
    }


def _grant(grant: Grant) -> dict[str, Any]:
    return {"token": grant.token, "expires_at": _time(grant.expires_at)}


def _outcome(outcome: Outcome) -> dict[str, Any]:
    return {
        "status": str(outcome.status),
        "result": outcome.result,
        "external_id": outcome.external_id,
        "cost": None if outcome.cost is None else float(outcome.cost),
        "occurred_at": _time(outcome.occurred_at),
        "reported_at": _time(outcome.reported_at),
    }


def _rollback(request: RollbackRequest, proposal: Proposal) -> dict[str, Any]:
    """What a person asks to be undone, and by which action type; `proposal` is what answers it so far."""
    undoing = proposal.action_type.reversible_by
    return {
        "requested_at": _time(request.asked_at),
        "reason": request.reason,
        "by": str(request.asked_by)[:120],
        "action_type": undoing.name if undoing else None,
        "proposal": None if request.compensation_id is None else str(request.compensation_id),
    }


def _time(value: datetime | None) -> str | None:
    return value.isoformat().replace("+00:00", "Z") if value else None
