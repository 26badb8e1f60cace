"""Decide several look-alikes: each by its own vote, with its own decision and audit event, each refusable by itself."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from uuid import UUID

from django.db import transaction

from accounts.exceptions import DomainError, Invalid, NotAllowed, NotFound
from accounts.models import User
from approvals import pace, pacing, record, several
from approvals.ballots import Ballot
from approvals.exceptions import NotTogether
from approvals.models import HeldBallot, Proposal, Revision, Verdict
from approvals.reading.comparison import Earlier
from approvals.record import Judged
from approvals.services import decide
from approvals.services.decide import Decided
from approvals.states import State
from audit import recording
from audit.events import Kind, Target

VERDICTS = (Verdict.APPROVE, Verdict.REJECT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What the reviewer chose for one row. `alone` says why the page offered no approval there, empty where it did."""

    proposal_id: UUID
    ballot: Ballot
    alone: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one choice: `decided`, or the reason why nothing was."""

    proposal_id: UUID
    ballot: Ballot
    decided: Decided | None
    refusal: str = ""


@dataclass(slots=True)
class _Sitting:
    """What the rows of one request share: how long those approved so far take to read (the first in full, the others by
    what differs from it), and the earlier proposals that each is compared with, as they were at its beginning."""

    first: Revision | None = None
    seconds: int = 0
    judged: dict[tuple[int, int], list[Judged]] = field(default_factory=dict)

    def judged_for(self, proposal: Proposal) -> list[Judged]:
        key = (proposal.agent_id, proposal.action_type_id)
        if key not in self.judged:
            self.judged[key] = record.judged_before(proposal)
        return self.judged[key]

    def earlier_for(self, proposal: Proposal) -> list[Earlier]:
        return record.approved(self.judged_for(proposal))


def decide_several(*, queue_id: int, reviewer: User, choices: Sequence[Choice]) -> list[Result]:
    """One transaction per choice, in their order; what is refused leaves the others as they are.

    Sending the same once more is answered as the first time (A24). Raises `Invalid` for more than fit a page or one
    proposal named twice."""
    ids = [choice.proposal_id for choice in choices]
    if len(ids) > several.MOST or len(set(ids)) < len(ids):
        raise Invalid(f"At most {several.MOST} different ones can be decided at once.")
    sitting = _Sitting()
    return [_one(queue_id, reviewer, choice, sitting) for choice in choices]


def _one(queue_id: int, reviewer: User, choice: Choice, sitting: _Sitting) -> Result:
    try:
        proposal, ballot = _checked(queue_id, choice, sitting)
        decided = decide.decide(
            proposal_id=choice.proposal_id,
            reviewer=reviewer,
            ballot=replace(ballot, page="alike", opened=choice.ballot.opened_at),
            judged=sitting.judged_for(proposal),
        )
    except DomainError as error:
        if isinstance(error, NotAllowed):
            _record_refusal(reviewer, choice, error)
        return Result(choice.proposal_id, choice.ballot, None, error.detail)
    return Result(choice.proposal_id, choice.ballot, decided)


def _checked(queue_id: int, choice: Choice, sitting: _Sitting) -> tuple[Proposal, Ballot]:
    """The proposal and the ballot, if this may be decided with others. The vote checks that nothing has changed."""
    if choice.ballot.verdict not in VERDICTS:
        raise Invalid("Several at once can be approved or rejected.")
    proposal = (
        Proposal.objects.select_related("agent", "action_type", "queue", "kept_context")
        .filter(pk=choice.proposal_id, queue=queue_id)
        .first()
    )
    if proposal is None:
        raise NotFound("It is not, or no longer, in this queue.")
    assert proposal.queue is not None
    if proposal.queue.bulk_amount is None:
        raise NotTogether("Nothing was decided. This queue lets nobody decide several at once.")
    if choice.ballot.verdict != Verdict.APPROVE:
        return proposal, choice.ballot
    revision = proposal.current_revision
    if proposal.state != State.PENDING or HeldBallot.objects.filter(proposal=proposal).exists():
        return proposal, choice.ballot  # decided already: the vote answers for itself, also to a repeat
    earlier = sitting.earlier_for(proposal)
    if why := choice.alone or several.why_alone(proposal, revision, earlier=earlier):
        raise NotTogether(f"Not approved: it is looked at by itself. {why}")
    return proposal, _paced(proposal, revision, choice.ballot, sitting)


def _paced(proposal: Proposal, revision: Revision, ballot: Ballot, sitting: _Sitting) -> Ballot:
    """The ballot as if its page had been opened so much later as the rows before it take to read (A40).

    The first is read in full; of the others only what differs has to be, which is why they stand together."""
    full = pace.least_seconds(proposal)
    if not full or ballot.opened_at is None or proposal.queue is None:
        return ballot
    needed = full
    if sitting.first is None:
        sitting.first = revision
    else:
        needed = pacing.least_seconds(
            risk=proposal.action_type.risk,
            length=several.differing_length(sitting.first, revision) + len(proposal.summary),
            view_seconds={},
            reading_rate=proposal.queue.reading_rate,
        )
    sitting.seconds += needed
    return replace(ballot, opened_at=ballot.opened_at + timedelta(seconds=sitting.seconds - full))


def _record_refusal(reviewer: User, choice: Choice, error: NotAllowed) -> None:
    """A refused attempt is an event of its own (A26), as where a single decision is refused."""
    with transaction.atomic(durable=True):
        recording.record(
            actor=reviewer.actor(),
            kind=Kind.ACCESS_REFUSED,
            target=Target("proposal", str(choice.proposal_id)),
            detail={"verdict": str(choice.ballot.verdict), "why": error.detail, "code": error.code},
        )
