"""What a judgement does to an agent's standing, in the transaction of the judgement. Steps.

Whoever judges calls `lock` before he locks the proposal (lock order: agent, mandate, proposal, review, standing).
Evidence
is recorded, the tier taken back at once where the model says so, and the agent's owner told."""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from accounts.models import User
from agents import evidence
from agents.evidence import LOSS_APPROVED, LOSS_WRONG, Judgement, Recorded
from agents.models import Evidence, Mandate, Standing, TierChange
from agents.standings import of as standing_of
from agents.turning import Subject
from approvals.models import BlindReview, Dispute, Incident, ProbeServing, Proposal
from approvals.models import Judgement as Answer
from approvals.notifications import Topic, tell

__all__ = [
    "LOSS",
    "decided",
    "disputed",
    "failed",
    "fault",
    "incident",
    "lock",
    "missed",
    "probed",
    "reviewed",
    "second",
    "standing_of",
    "unprobed",
]

Basis = Evidence.Basis

FAILED = "failed"
"""Why an outcome is evidence: the agent reported a failure."""

LOSS: dict[str, Decimal] = {
    Answer.RIGHT: Decimal("0"),
    Answer.COSMETIC: Decimal("0.1"),
    Answer.MINOR: Decimal("0.25"),
    Answer.SUBSTANTIAL: Decimal("0.5"),
    Answer.WRONG: Decimal("1"),
    Answer.NOT_AT_FAULT: Decimal("0"),
}
"""The loss of each answer (TIERS.md, Loss levels)."""


def lock(proposal_id: UUID) -> Mandate | None:
    """The mandate of a proposal under its row lock; None where it has none any more."""
    key = Proposal.objects.filter(pk=proposal_id).values_list("agent_id", "action_type_id").first()
    if key is None:
        return None
    return (
        Mandate.objects.select_for_update(of=("self",), no_key=True)
        .select_related("agent", "action_type")
        .filter(agent_id=key[0], action_type_id=key[1])
        .first()
    )


def subject_of(proposal: Proposal, *, revision: int | None = None) -> Subject:
    return Subject(
        agent=proposal.agent,
        agent_version=proposal.agent_version,
        action_type=proposal.action_type,
        tier=proposal.tier,
        proposal_id=proposal.pk,
        revision=revision or proposal.revision,
    )


def decided(proposal: Proposal, *, revision: int, verdict: str, loss: Decimal, veto: bool, by: User) -> None:
    """A person's decision before the action runs. A full error on an action of critical risk is a critical one."""
    sampled = veto and proposal.sampled
    _follow(
        proposal,
        evidence.record(
            subject_of(proposal, revision=revision),
            Judgement(
                basis=Basis.VETO if veto else Basis.DECISION,
                verdict=verdict,
                loss=loss,
                critical=loss >= LOSS_WRONG and proposal.action_type.risk == "critical",
                probability=(proposal.sample_probability or 1.0) if sampled else 1.0,
                audit=sampled,
            ),
            judged_by=by,
        ),
    )


def reviewed(review: BlindReview, *, at: datetime) -> None:
    """An audit's answer: the first judgement of what ran unreviewed, or a late one that replaces the missed one."""
    proposal = review.proposal
    first = evidence.first_of(proposal.pk)
    if first is not None:
        _correct(proposal, first, Basis.AUDIT, review.judgement, review, key=f"late:{review.pk}")
        return
    _follow(
        proposal,
        evidence.record(
            subject_of(proposal, revision=review.revision.number),
            Judgement(
                basis=Basis.AUDIT,
                verdict=review.judgement,
                loss=LOSS_WRONG if _has_failed(proposal) else LOSS[review.judgement],
                critical=review.critical,
                probability=review.probability,
                audit=True,
            ),
            judged_by=review.reviewer,
        ),
    )


def missed(review: BlindReview, *, at: datetime) -> None:
    """An audit that nobody did in time counts as a full loss (TIERS.md), for else silence would approve."""
    proposal = review.proposal
    if evidence.first_of(proposal.pk) is not None:
        return
    _follow(
        proposal,
        evidence.record(
            subject_of(proposal, revision=review.revision.number),
            Judgement(
                basis=Basis.AUDIT,
                verdict="missed",
                loss=LOSS_WRONG,
                probability=review.probability,
                audit=True,
            ),
            judged_by=None,
        ),
    )


def second(review: BlindReview, *, at: datetime) -> None:
    """A blind second review of an approval: agreement feeds its own detector, a fault found raises the loss."""
    proposal = review.proposal
    agreed = LOSS[review.judgement] <= LOSS[Answer.MINOR] and review.judgement != Answer.NOT_AT_FAULT
    _follow(
        proposal,
        evidence.second(
            subject_of(proposal), agreed=agreed, key=f"second:{review.pk}", judged_by=review.reviewer
        ),
    )
    first = evidence.first_of(proposal.pk)
    if first is not None and LOSS[review.judgement] > evidence.loss_of(first)[0]:
        _correct(proposal, first, Basis.SECOND, review.judgement, review, key=f"second-loss:{review.pk}")


def fault(review: BlindReview, *, at: datetime) -> None:
    """Whether a rejection was the agent's fault: only an independent reviewer who agrees takes the loss away."""
    first = evidence.first_of(review.proposal_id)
    if first is not None and review.judgement == Answer.NOT_AT_FAULT:
        _correct(review.proposal, first, Basis.SECOND, review.judgement, review, key=f"fault:{review.pk}")


def disputed(dispute: Dispute, *, at: datetime) -> None:
    """While a judgement is in dispute the higher of the two losses counts."""
    first = _first(dispute.evidence)
    loss, critical = evidence.loss_of(first)
    if LOSS[dispute.claim] > loss:
        _follow(
            dispute.proposal,
            evidence.correct(
                first,
                basis=Basis.DISPUTE,
                verdict=dispute.claim,
                loss=LOSS[dispute.claim],
                critical=critical,
                key=f"dispute:{dispute.pk}",
                judged_by=dispute.raised_by,
            ),
        )


def dispute_settled(dispute: Dispute, *, at: datetime) -> None:
    """The third person's answer stands."""
    review = dispute.review
    assert review is not None
    first = _first(dispute.evidence)
    _correct(dispute.proposal, first, Basis.DISPUTE, review.judgement, review, key=f"settled:{dispute.pk}")


def failed(proposal: Proposal, *, at: datetime, why: str) -> None:
    """An outcome that failed, or had to be rolled back: a full loss for what was judged right. Where nothing had been
    sampled, a rollback that somebody asked for is an incident; a mere failure is kept and does not count: every action
    reports, few are audited, and rates of the two cannot be compared. An audit that follows finds it (`reviewed`)."""
    first = evidence.first_of(proposal.pk)
    key = f"{why}:{proposal.pk}"[:120]
    if first is None:
        found = evidence.incident(
            subject_of(proposal),
            basis=Basis.OUTCOME,
            verdict=why[:16],
            loss=LOSS_WRONG,
            critical=False,
            key=key,
            judged_by=None,
            counts=why != FAILED,
        )
    else:
        found = evidence.correct(
            first,
            basis=Basis.OUTCOME,
            verdict=why[:16],
            loss=LOSS_WRONG,
            critical=evidence.loss_of(first)[1],
            key=key,
            judged_by=None,
        )
    _follow(proposal, found)


def _has_failed(proposal: Proposal) -> bool:
    return Evidence.objects.filter(proposal_id=proposal.pk, basis=Basis.OUTCOME).exists()


def incident(incident: Incident, proposal: Proposal, *, loss: Decimal, critical: bool, at: datetime) -> None:
    """One proposal of an incident: raises what was judged of it, else it may demote and never promote."""
    first = evidence.first_of(proposal.pk)
    key = f"incident:{incident.pk}:{proposal.pk}"
    if first is None:
        found = evidence.incident(
            subject_of(proposal),
            basis=Basis.INCIDENT,
            verdict=incident.severity,
            loss=loss,
            critical=critical,
            key=key,
            judged_by=incident.reported_by,
        )
    else:
        stands, was_critical = evidence.loss_of(first)
        found = evidence.correct(
            first,
            basis=Basis.INCIDENT,
            verdict=incident.severity,
            loss=max(loss, stands),
            critical=critical or was_critical,
            key=key,
            judged_by=incident.reported_by,
        )
    _follow(proposal, found)


def probed(serving: ProbeServing, *, at: datetime) -> None:
    """A planted proposal was decided: what it says of the reviewers counts in the attempt it was served in."""
    assert serving.caught is not None and serving.served_at is not None and serving.proposal is not None
    _follow(
        serving.proposal,
        evidence.probe(
            subject_of(serving.proposal),
            caught=serving.caught,
            served_at=serving.served_at,
            key=f"probe:{serving.pk}",
            judged_by=serving.reviewer,
        ),
    )


def unprobed(serving: ProbeServing) -> None:
    """An appeal was upheld: the serving measures nobody."""
    evidence.withdraw(f"probe:{serving.pk}")


def _first(row: Evidence) -> Evidence:
    return row.corrects or row


def _correct(
    proposal: Proposal, first: Evidence, basis: Evidence.Basis, answer: str, review: BlindReview, *, key: str
) -> None:
    _follow(
        proposal,
        evidence.correct(
            first,
            basis=basis,
            verdict=answer,
            loss=LOSS[answer],
            critical=review.critical,
            key=key,
            judged_by=review.reviewer,
        ),
    )


def _follow(proposal: Proposal, recorded: Recorded) -> None:
    if recorded.change is not None:
        tell_of(recorded.change)


def tell_of(change: TierChange) -> None:
    """The owner, and who manages the agent, hear of a change that evidence made."""
    mandate = change.mandate
    tell(
        concerned(mandate),
        topic=Topic.TIER,
        text=f"{mandate.agent.name}, {mandate.action_type.label}: {change.get_before_display()} → "
        f"{change.get_after_display()}. {change.reason}",
        key=f"tier:{change.pk}",
        link=f"/agents/{mandate.agent.slug}/mandates/{mandate.action_type.name}/",
    )


def concerned(mandate: Mandate) -> Iterable[int]:
    """Primary keys of the people who answer for the agent."""
    return [mandate.agent.owner_id]


def of_proposal(proposal: Proposal) -> Standing:
    """The standing that judgements of this proposal belong to."""
    return standing_of(proposal.agent, proposal.action_type, proposal.agent_version)


assert LOSS[Answer.RIGHT] == LOSS_APPROVED
