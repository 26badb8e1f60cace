"""Decide: one reviewer's verdict on one revision; the final decision once the quorum is met.

Where the queue has an undo window the verdict is first held (`HeldBallot`): everything is checked when it is given, and
again when it settles (services/settle.py), which is when the agent learns of it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from accounts.models import User
from agents import evidence
from agents.autonomy import Tier
from agents.evidence import LOSS_APPROVED, LOSS_WRONG
from agents.models import Mandate
from approvals import (
    ballots,
    blind,
    differences,
    grants,
    judging,
    log_guard,
    news,
    pace,
    permissions,
    probing,
    quorum,
    revising,
    separation,
    sheets,
    signing,
    transitions,
)
from approvals.ballots import Ballot
from approvals.exceptions import NotSeen, SignatureStale, TooFast, WrongState
from approvals.models import (
    BlindReview,
    Claim,
    Decision,
    HeldBallot,
    Proposal,
    Revision,
    Signature,
    Verdict,
    Vote,
)
from approvals.reading.sheet import Change
from approvals.record import Judged
from approvals.sheet_shape import Shown
from approvals.states import State
from audit import recording
from audit.events import Kind, Target

_FINAL_STATE = {
    Verdict.APPROVE: State.APPROVED,
    Verdict.EDIT: State.APPROVED,
    Verdict.REJECT: State.REJECTED,
    Verdict.RETURN: State.RETURNED,
    Verdict.VETO: State.REJECTED,
}


@dataclass(frozen=True, slots=True)
class Decided:
    """The proposal afterwards. `final` is False while further votes are needed, `repeated` for a double click.

    `held_until` is set while the queue's undo window is open: nothing has been sent to the agent before then."""

    proposal: Proposal
    final: bool
    repeated: bool = False
    held_until: datetime | None = None


def decide(
    *, proposal_id: UUID, reviewer: User, ballot: Ballot, judged: list[Judged] | None = None
) -> Decided:
    """Record the vote and, if it settles the matter, the decision, evidence and grant in one transaction.

    What the reviewer was shown is kept with it (`approvals.sheets`); all of that which no lock guards is read before
    one is taken, so that others do not wait for it. `judged` are the earlier proposals, where the caller has them.
    Sending the same vote again answers as the first time did (A24). Raises `MayNotDecide`, `ProposalChanged`,
    `WrongState`, `AlreadyClaimed`, `NotSeen`, `TooFast`, `Invalid`, `ArgumentsInvalid`, `PolicyRefused`,
    `AgentNotLive`, `LogUnavailable`, and of signatures what `signing.take` does."""
    shown = sheets.seen_by(reviewer, proposal_id, version=ballot.version, page=ballot.page, judged=judged)
    try:
        with transaction.atomic(durable=True):
            mandate = judging.lock(proposal_id)
            return _decide(transitions.locked(proposal_id), reviewer, ballot, shown, mandate)
    except TooFast as stop:
        pace.record_stop(proposal_id, reviewer, stop)
        raise


def _decide(
    proposal: Proposal,
    reviewer: User,
    ballot: Ballot,
    shown: Shown | None,
    mandate: Mandate | None,
) -> Decided:
    if ballot.verdict == Verdict.EDIT and _is_own_edit(proposal, reviewer, ballot):
        return Decided(proposal, final=proposal.state != State.PENDING, repeated=True)
    permissions.check_can_decide(reviewer, proposal)
    repeated = _repeat(proposal, reviewer, ballot)
    if repeated is not None:
        return repeated
    log_guard.check()
    now = timezone.now()
    ballots.check(proposal, reviewer, ballot, at=now)
    if ballot.verdict == Verdict.APPROVE and pace.must_be_seen(proposal) and not ballot.seen:
        raise NotSeen(
            "Nothing was decided. This action cannot be taken back or is critical: look at all of it first.",
            errors=[{"field": "seen", "message": "must be ticked"}],
        )
    if ballot.verdict in pace.APPROVING:
        pace.check(proposal, reviewer, opened_at=ballot.opened_at, now=now)
    signature = _signature(proposal, reviewer, ballot, now)
    sheet = _keep_sheet(proposal, reviewer, ballot, shown, mandate, now)
    assert proposal.queue is not None
    if proposal.queue.undo_seconds and ballot.verdict != Verdict.VETO:
        return _hold(proposal, reviewer, ballot, now, sheet, signature)
    return cast(proposal, reviewer, ballot, at=now, sheet=sheet, signature=signature)


def _signature(proposal: Proposal, reviewer: User, ballot: Ballot, now: datetime) -> Signature | None:
    """The passkey's signature under an approval of high risk, last of all that is asked: it is used up by this."""
    if not signing.is_asked(proposal, ballot.verdict):
        return None
    digest = ballots.digest_of(proposal, ballot)
    return signing.take(proposal, reviewer, ballot.answer, digest=digest, at=now, host=ballot.host)


def _keep_sheet(
    proposal: Proposal,
    reviewer: User,
    ballot: Ballot,
    shown: Shown | None,
    mandate: Mandate | None,
    now: datetime,
) -> dict[str, Any]:
    """What the page showed, with what only this lock makes certain. It is of the ballot's version; `ballots.check` let
    no other pass; what could not be read before the lock, because the version was made just then, is read now."""
    shown = shown or sheets.shown_to(reviewer, proposal.pk, version=proposal.version)
    assert shown is not None
    changes: list[Change] = []
    if ballot.verdict == Verdict.EDIT:
        made = Revision(canonical=ballots.canonical_of(ballot.arguments))
        changes = differences.between(proposal, proposal.current_revision, made)
    return sheets.keep(
        shown,
        proposal,
        voter=reviewer,
        verdict=ballot.verdict,
        page=ballot.page,
        opened_at=ballot.opened or ballot.opened_at,
        at=now,
        mandate=mandate,
        changes=changes,
    )


def cast(
    proposal: Proposal,
    reviewer: User,
    ballot: Ballot,
    *,
    at: datetime,
    sheet: dict[str, Any] | None,
    signature: Signature | None,
) -> Decided:
    """A step: count a checked vote on a locked proposal, and finish the matter where it does. `sheet` names what the
    reviewer was shown; None for a verdict that was held back by a version that kept none. `signature` was taken for
    this ballot when it was given."""
    if ballot.verdict == Verdict.EDIT:
        return _edit(proposal, reviewer, ballot, at, sheet, signature)
    revision = proposal.current_revision
    _vote(proposal, revision, reviewer, ballot, sheet, signature)
    if ballot.verdict == Verdict.APPROVE and not _is_met(proposal, revision):
        _hand_on(proposal, revision, at=at, by="voted")
        proposal.save(update_fields=["claimed_by", "claimed_until", "assigned_to", "roles"])
        news.proposal_changed(proposal)
        return Decided(proposal, final=False)
    _finish(proposal, revision, reviewer, ballot, at)
    return Decided(proposal, final=True)


def _hold(
    proposal: Proposal,
    reviewer: User,
    ballot: Ballot,
    now: datetime,
    sheet: dict[str, Any],
    signature: Signature | None,
) -> Decided:
    """Keep the verdict back for the queue's undo window. A lease that is about to end lasts as long."""
    assert proposal.queue is not None
    until = now + timedelta(seconds=proposal.queue.undo_seconds)
    HeldBallot.objects.create(
        proposal=proposal,
        reviewer=reviewer,
        verdict=ballot.verdict,
        revision=ballot.revision,
        version=ballot.version,
        reason=ballot.reason,
        comment=ballot.comment,
        arguments=None if ballot.arguments is None else ballots.canonical_of(ballot.arguments),
        signature=signature,
        held_at=now,
        settles_at=until,
    )
    recording.record(
        actor=reviewer.actor(),
        kind=Kind.PROPOSAL_HELD,
        target=Target("proposal", str(proposal.pk)),
        after={"revision": ballot.revision, "verdict": str(ballot.verdict)},
        detail={"seconds": proposal.queue.undo_seconds, "sheet": sheet},
        policy_version=proposal.policy_version_id,
    )
    news.proposal_changed(proposal)
    return Decided(proposal, final=False, held_until=until)


def _is_own_edit(proposal: Proposal, reviewer: User, ballot: Ballot) -> bool:
    """The same edit once more. It may have moved the proposal to where its editor has no right, so ask this first."""
    made = proposal.revisions.filter(number=ballot.revision + 1, editor=reviewer).first()
    return (
        reviewer.is_active
        and made is not None
        and bytes(made.canonical) == ballots.canonical_of(ballot.arguments)
    )


def _repeat(proposal: Proposal, reviewer: User, ballot: Ballot) -> Decided | None:
    """The same vote once more (double click, replayed request) is answered, not counted; another one while a verdict is
    held back is refused."""
    earlier = Vote.objects.filter(
        proposal=proposal, revision__number=ballot.revision, reviewer=reviewer, verdict=ballot.verdict
    )
    if ballot.verdict != Verdict.EDIT and earlier.exists():
        return Decided(proposal, final=proposal.state != State.PENDING, repeated=True)
    held = HeldBallot.objects.filter(proposal=proposal).select_related("reviewer").first()
    if held is None:
        return None
    if held.reviewer_id == reviewer.pk and (held.verdict, held.revision) == (ballot.verdict, ballot.revision):
        return Decided(proposal, final=False, repeated=True, held_until=held.settles_at)
    who = "You have" if held.reviewer_id == reviewer.pk else f"{held.reviewer} has"
    raise WrongState(f"Your decision was not recorded: {who} just decided it. Undo that first.")


def _vote(
    proposal: Proposal,
    revision: Revision,
    reviewer: User,
    ballot: Ballot,
    sheet: dict[str, Any] | None,
    signature: Signature | None,
) -> None:
    vote = Vote.objects.create(
        proposal=proposal,
        revision=revision,
        reviewer=reviewer,
        verdict=ballot.verdict,
        reason=ballot.reason,
        comment=ballot.comment,
        teams=sorted(reviewer.groups.values_list("name", flat=True)) if proposal.required else [],
    )
    if signature is not None:
        _count_signature(signature, vote, revision)
    permissions.reviews_now(reviewer, proposal.queue)
    recording.record(
        actor=reviewer.actor(),
        kind=Kind.PROPOSAL_VOTED,
        target=Target("proposal", str(proposal.pk)),
        after={"revision": revision.number, "digest": revision.digest, "verdict": str(ballot.verdict)},
        detail={"reason": ballot.reason, "comment": proposal.said(ballot.comment)}
        | _named(sheet)
        | signing.named(proposal, ballot.verdict, signature)
        | ({"self_approval": True} if separation.is_own(reviewer, proposal) else {}),
        policy_version=proposal.policy_version_id,
    )


def _count_signature(signature: Signature, vote: Vote, revision: Revision) -> None:
    """It counts for this vote, and for nothing but what was signed: a held one was given before its revision was
    made."""
    if signature.digest != revision.digest:
        raise SignatureStale("Your decision was not recorded: what you signed is not what would be approved.")
    signature.vote = vote
    signature.save(update_fields=["vote"])


def _named(sheet: dict[str, Any] | None) -> dict[str, Any]:
    return {} if sheet is None else {"sheet": sheet}


def _teams_of_approvals(revision: Revision) -> list[list[str]]:
    return list(revision.votes.filter(verdict__in=pace.APPROVING).values_list("teams", flat=True))


def _is_met(proposal: Proposal, revision: Revision) -> bool:
    return quorum.is_met(_teams_of_approvals(revision), proposal.quorum, proposal.required)


def _edit(
    proposal: Proposal,
    reviewer: User,
    ballot: Ballot,
    now: datetime,
    sheet: dict[str, Any] | None,
    signature: Signature | None,
) -> Decided:
    """A new revision, checked against schema and policy again; it voids earlier votes and counts as one itself.

    When the policy sends the edited arguments to another queue, the vote counts only if the editor may decide
    there."""
    before = proposal.current_revision
    route = revising.route_again(proposal, ballot.arguments or {}, now)
    revision = revising.add_revision(
        proposal, ballots.canonical_of(ballot.arguments), editor=reviewer, reply=ballot.comment, at=now
    )
    moved = revising.apply_route(proposal, route, at=now)
    counts = not moved or permissions.can_decide(reviewer, proposal)
    if counts:
        _vote(proposal, revision, reviewer, ballot, sheet, signature)
    if counts and _is_met(proposal, revision):
        _finish(proposal, revision, reviewer, ballot, now, fields=revising.REVISED_FIELDS)
        return Decided(proposal, final=True)
    _hand_on(proposal, revision, at=now, by="edited")
    transitions.new_revision(
        proposal,
        actor=reviewer.actor(),
        at=now,
        before={"revision": before.number, "digest": before.digest},
        detail={
            "comment": proposal.said(ballot.comment),
            "queue": proposal.queue and proposal.queue.slug,
        }
        | _named(sheet)
        | ({} if counts else signing.named(proposal, ballot.verdict, signature)),
        fields=revising.REVISED_FIELDS,
    )
    return Decided(proposal, final=False)


def _hand_on(proposal: Proposal, revision: Revision, *, at: datetime, by: str) -> None:
    """Who has voted cannot vote again: his lease would only keep the others off. Where votes are required by team,
    only those still missing may follow. The caller saves the proposal."""
    Claim.objects.filter(proposal=proposal, ended_at=None).update(ended_at=at, ended_by=by)
    proposal.claimed_by = None
    proposal.claimed_until = None
    proposal.assigned_to = None
    if proposal.required:
        proposal.roles = quorum.wanted(_teams_of_approvals(revision), proposal.required)


def _finish(
    proposal: Proposal,
    revision: Revision,
    reviewer: User,
    ballot: Ballot,
    now: datetime,
    fields: tuple[str, ...] = (),
) -> None:
    """The quorum is met: decision, evidence, state, and the grant where something may be executed."""
    edited = ballot.verdict == Verdict.APPROVE and revision.editor_id is not None
    Decision.objects.create(
        proposal=proposal,
        revision=revision,
        verdict=Verdict.EDIT if edited else ballot.verdict,
        reason=ballot.reason,
        comment=ballot.comment,
        decider=reviewer,
        label=str(reviewer)[:120],
        decided_at=now,
    )
    if (
        ballot.verdict != Verdict.RETURN
        and not proposal.planted
        and not separation.is_own(reviewer, proposal)
    ):
        _record_evidence(proposal, revision, reviewer, ballot)
    state = _FINAL_STATE[ballot.verdict]
    transitions.apply(
        proposal,
        state,
        actor=reviewer.actor(),
        at=now,
        detail={
            "verdict": str(ballot.verdict),
            "reason": ballot.reason,
            "comment": proposal.said(ballot.comment),
        },
        fields=fields,
    )
    if proposal.planted:
        probing.settle(proposal, at=now)
    elif state == State.APPROVED and proposal.tier != Tier.ADVISORY:
        grants.issue(proposal, revision, at=now)


def _record_evidence(proposal: Proposal, revision: Revision, reviewer: User, ballot: Ballot) -> None:
    """Judge the agent's own latest revision: the decision may stand on one that a person edited."""
    proposed = proposal.revisions.filter(editor=None).latest("number")
    if ballot.verdict in (Verdict.REJECT, Verdict.VETO):
        loss, verdict = LOSS_WRONG, str(ballot.verdict)
    elif proposed.pk == revision.pk:
        loss, verdict = LOSS_APPROVED, str(Verdict.APPROVE)
    else:
        loss = evidence.loss_of_edit(
            before=proposed.arguments, after=revision.arguments, material=proposal.action_type.material
        )
        verdict = str(Verdict.EDIT)
    judging.decided(
        proposal,
        revision=proposed.number,
        verdict=verdict,
        loss=loss,
        veto=ballot.verdict == Verdict.VETO,
        by=reviewer,
    )
    _ask_others(
        proposal, proposed, reason=ballot.reason, loss=loss, was_pending=ballot.verdict != Verdict.VETO
    )


def _ask_others(
    proposal: Proposal, proposed: Revision, *, reason: str, loss: Decimal, was_pending: bool
) -> None:
    """Blind reviews of what was decided: of an approval by the draw made when it was submitted, of a rejection where
    the reviewer says that it was not the agent's fault."""
    if not was_pending or proposal.queue is None:
        return
    now = timezone.now()
    excused = {item["code"] for item in proposal.queue.reason_codes if item.get("not_agents_fault")}
    if loss == LOSS_APPROVED and proposal.sampled and proposal.sample_probability:
        blind.arise(
            proposal,
            proposed,
            kind=BlindReview.Kind.SECOND,
            probability=proposal.sample_probability,
            at=now,
        )
    elif loss == LOSS_WRONG and reason in excused:
        blind.arise(proposal, proposed, kind=BlindReview.Kind.FAULT, probability=1.0, at=now)
