"""Judge after the fact: who takes which review, what he says of it, what that leads to, and what nobody did in time.

One use case for every kind. What an answer leads to is written in the transaction of the answer: it is never kept
without its evidence, whatever is killed in between."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.core.cache import cache
from django.db import InterfaceError, OperationalError, transaction
from django.db.models import F, Q
from django.utils import timezone

from accounts.exceptions import Invalid, NotFound
from accounts.models import User
from approvals import blind, deadlines, judging, notifications, permissions, probing, sheets, transitions
from approvals.exceptions import AlreadyClaimed, NothingToClaim, WrongState
from approvals.models import BlindReview, Dispute, Judgement, Queue
from approvals.notifications import Topic
from audit import recording
from audit.events import Kind, Target, system

log = structlog.get_logger(__name__)
MAX_COMMENT = 4000
BATCH = 50
LAST_MINUTES = timedelta(minutes=30)
"""So long after its due time a review that somebody holds is not counted as missed."""
REMIND_MINUTES = 480
"""Working minutes before it is due at which reviewers are reminded: about a day."""
_REMINDED = 600
FAULTS = (Judgement.MINOR, Judgement.SUBSTANTIAL, Judgement.WRONG)
"""The answers with which "could have done serious harm" can go: they find something that was the agent's."""
SPOKEN = (Judgement.WRONG, Judgement.NOT_AT_FAULT)
"""The answers that need words."""
HARMFUL = ("high", "critical")
"""The risks for which serious harm is asked about."""


@dataclass(frozen=True, slots=True)
class Judged:
    """The review afterwards; `repeated` for a double click."""

    review: BlindReview
    repeated: bool = False


def take_next(*, reviewer: User, after: int | None = None) -> BlindReview:
    """Take the next review that this person may do and nobody holds; `after` is one he passes over, and gives back.

    Nobody waits for a colleague's lock, and two never get the same one. Raises `NothingToClaim`."""
    now = timezone.now()
    with transaction.atomic(durable=True):
        passed = _give_back(after, reviewer) if after is not None else None
        free = blind.open_to(reviewer).filter(blind.free_for(reviewer, now))
        free = free.select_for_update(of=("self",), no_key=True, skip_locked=True)
        found = None
        if passed is not None:
            later = Q(state=passed.state, due_at__gt=passed.due_at) | Q(state__gt=passed.state)
            later |= Q(state=passed.state, due_at=passed.due_at, pk__gt=passed.pk)
            found = free.filter(later).order_by(*blind.ORDER).first()
        if found is None:
            others = free if passed is None else free.exclude(pk=passed.pk)
            found = others.order_by(F("claimed_by").asc(nulls_last=True), *blind.ORDER).first()
        if found is not None:
            _take(found, reviewer, now)
    blind.recount(reviewer)
    if found is None:
        raise NothingToClaim("Nothing else waits for your judgement.")
    return found


def take(*, review_id: int, reviewer: User) -> BlindReview:
    """Take this one, or renew one's own lease. Raises `NotFound`, `AlreadyClaimed`."""
    with transaction.atomic(durable=True):
        review = blind.open_to(reviewer).select_for_update(of=("self",), no_key=True).filter(pk=review_id)
        found = review.first()
        if found is None:
            raise NotFound(blind.NOT_YOURS)
        now = timezone.now()
        _check_free(found, reviewer, now)
        _take(found, reviewer, now)
    return found


def release(*, review_id: int, reviewer: User) -> None:
    """Give it back. Giving back what one does not hold changes nothing."""
    with transaction.atomic(durable=True):
        _give_back(review_id, reviewer)


def _give_back(review_id: int, reviewer: User) -> BlindReview | None:
    review = (
        BlindReview.objects.select_for_update(no_key=True).filter(pk=review_id, claimed_by=reviewer).first()
    )
    if review is None or review.state not in blind.UNDONE:
        return None
    review.claimed_by = review.claimed_until = None
    review.save(update_fields=["claimed_by", "claimed_until"])
    recording.record(
        actor=reviewer.actor(), kind=Kind.REVIEW_RELEASED, target=Target("review", str(review.pk))
    )
    return review


def _check_free(review: BlindReview, reviewer: User, now: datetime) -> None:
    held = review.claimed_until is not None and review.claimed_until > now
    if held and review.claimed_by_id != reviewer.pk:
        raise AlreadyClaimed("A colleague is on this one. Take the next.")


def _take(review: BlindReview, reviewer: User, now: datetime) -> None:
    is_renewal = review.claimed_by_id == reviewer.pk
    review.claimed_by = reviewer
    review.claimed_until = now + timedelta(minutes=review.queue.lease_minutes)
    review.save(update_fields=["claimed_by", "claimed_until"])
    if not is_renewal:
        recording.record(
            actor=reviewer.actor(), kind=Kind.REVIEW_CLAIMED, target=Target("review", str(review.pk))
        )


def judge(
    *, review_id: int, reviewer: User, judgement: str, critical: bool = False, comment: str = ""
) -> Judged:
    """Record the answer and its evidence. Late answers count, and correct what was counted for the missing one.

    The same answer once more is answered as the first time. Raises `NotFound`, `AlreadyClaimed`, `WrongState`,
    `Invalid`."""
    _check_answer(judgement, critical, comment)
    shown = sheets.shown_blind(reviewer, review_id)
    with transaction.atomic(durable=True):
        proposal_id = BlindReview.objects.filter(pk=review_id).values_list("proposal_id", flat=True).first()
        if proposal_id is None:
            raise NotFound(blind.NOT_YOURS)
        judging.lock(proposal_id)
        proposal = transitions.locked(proposal_id)
        review = (
            BlindReview.objects.select_for_update(of=("self",), no_key=True)
            .select_related("revision", "queue")
            .get(pk=review_id)
        )
        if review.reviewer_id == reviewer.pk and review.state == BlindReview.State.DONE:
            return _repeated(review, judgement)
        if not blind.open_to(reviewer).filter(pk=review_id).exists():
            raise NotFound(blind.NOT_YOURS)
        now = timezone.now()
        _check_free(review, reviewer, now)
        if critical and proposal.action_type.risk not in HARMFUL:
            raise Invalid(
                "Serious harm is asked about only where the risk is high.", errors=[_FIELD_CRITICAL]
            )
        review.proposal = proposal
        assert shown is not None
        sheet = sheets.keep_blind(shown, voter=reviewer, verdict=judgement, at=now)
        _write(review, reviewer, judgement, critical, comment, now, sheet)
        _follow(review, now)
    blind.recount(reviewer)
    return Judged(review)


_FIELD_CRITICAL = {"field": "critical", "message": "must not be ticked here"}


def _check_answer(judgement: str, critical: bool, comment: str) -> None:
    if judgement not in Judgement.values:
        raise Invalid(
            "Choose an answer.", errors=[{"field": "judgement", "message": "must be one of the six"}]
        )
    if len(comment) > MAX_COMMENT or "\x00" in comment:
        message = f"must have at most {MAX_COMMENT} characters, and no NUL"
        raise Invalid("Write it shorter.", errors=[{"field": "comment", "message": message}])
    if judgement in SPOKEN and not comment.strip():
        raise Invalid("Say what is wrong.", errors=[{"field": "comment", "message": "must not be empty"}])
    if critical and judgement not in FAULTS:
        raise Invalid("Serious harm goes with a fault of the agent's.", errors=[_FIELD_CRITICAL])


def _repeated(review: BlindReview, judgement: str) -> Judged:
    if review.judgement != judgement:
        raise WrongState("You have judged this one already; the first answer stands.")
    return Judged(review, repeated=True)


def _write(
    review: BlindReview,
    reviewer: User,
    judgement: str,
    critical: bool,
    comment: str,
    now: datetime,
    sheet: dict[str, Any],
) -> None:
    before = str(review.state)
    review.state = BlindReview.State.DONE
    review.reviewer = reviewer
    review.judgement = judgement
    review.critical = critical
    review.comment = comment.strip()
    review.reviewed_at = now
    review.claimed_by = review.claimed_until = None
    review.save()
    permissions.reviews_now(reviewer, review.queue)
    recording.record(
        actor=reviewer.actor(),
        kind=Kind.REVIEW_JUDGED,
        target=Target("review", str(review.pk)),
        before={"state": before},
        after={
            "state": str(review.state),
            "proposal": str(review.proposal_id),
            "revision": review.revision.number,
            "digest": review.revision.digest,
            "judgement": judgement,
            "critical": critical,
        },
        detail={"comment": review.proposal.said(review.comment), "sheet": sheet},
        policy_version=review.proposal.policy_version_id,
    )


def _follow(review: BlindReview, now: datetime) -> None:
    match review.kind:
        case BlindReview.Kind.AUDIT:
            judging.reviewed(review, at=now)
        case BlindReview.Kind.SECOND:
            judging.second(review, at=now)
        case BlindReview.Kind.FAULT:
            judging.fault(review, at=now)
        case BlindReview.Kind.DISPUTE:
            _settle(review, now)
        case BlindReview.Kind.PROBE:
            probing.judged(review, at=now)


def _settle(review: BlindReview, now: datetime) -> None:
    """The third person has spoken: it stands, and both sides hear of it."""
    dispute = (
        Dispute.objects.select_for_update(of=("self",), no_key=True)
        .select_related("evidence", "raised_by")
        .get(review=review)
    )
    dispute.settled_at = now
    dispute.save(update_fields=["settled_at"])
    dispute.proposal, dispute.review = review.proposal, review
    answer = Judgement(review.judgement).label.lower()
    recording.record(
        actor=system("dispute"),
        kind=Kind.DISPUTE_SETTLED,
        target=Target("dispute", str(dispute.pk)),
        after={"judgement": review.judgement, "critical": review.critical, "review": review.pk},
        detail={"claim": dispute.claim, "evidence": dispute.evidence_id},
    )
    judging.dispute_settled(dispute, at=now)
    both = {dispute.raised_by_id, dispute.evidence.judged_by_id, review.proposal.agent.owner_id}
    notifications.tell(
        [pk for pk in both if pk is not None],
        topic=Topic.DISPUTE,
        text=f"Settled by a third person, “{answer}”: {review.proposal.title}",
        key=f"dispute_settled:{dispute.pk}",
        proposal=review.proposal,
    )


def miss_overdue(*, now: datetime) -> int:
    """Mark what nobody did in time; an audit counts as a full loss from then on. How many there were.

    Row by row in transactions of its own: two workers, a late run or one after a crash count each once. One that
    fails does not keep the others waiting; its error is raised at the end."""
    held = Q(claimed_until__gt=now, due_at__gt=now - LAST_MINUTES)
    due = BlindReview.objects.filter(state=BlindReview.State.OPEN, due_at__lte=now).exclude(held)
    count = 0
    failed: Exception | None = None
    for pk, proposal_id in list(due.order_by("due_at").values_list("pk", "proposal_id")[:BATCH]):
        try:
            with transaction.atomic(durable=True):
                judging.lock(proposal_id)
                proposal = transitions.locked(proposal_id)
                review = (
                    due.select_for_update(of=("self",), no_key=True, skip_locked=True)
                    .select_related("revision", "queue")
                    .filter(pk=pk)
                    .first()
                )
                if review is not None:
                    review.proposal = proposal
                    _miss(review, now)
                    count += 1
        except (OperationalError, InterfaceError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one row, the rest is counted
            log.error("missing_failed", review=pk, error=repr(error)[:300])
            failed = failed or error
    if failed is not None:
        raise failed
    return count


def _miss(review: BlindReview, now: datetime) -> None:
    """It stays open to be done late. Only an audit counts: a second review, a doubtful fault, a dispute or a probe that
    nobody judged says nothing of the agent."""
    review.state = BlindReview.State.OVERDUE
    review.save(update_fields=["state"])
    recording.record(
        actor=system("blind_reviews"),
        kind=Kind.REVIEW_OVERDUE,
        target=Target("review", str(review.pk)),
        before={"state": str(BlindReview.State.OPEN)},
        after={"state": str(review.state), "proposal": str(review.proposal_id)},
        detail={"due_at": review.due_at.isoformat()},
    )
    if review.kind == BlindReview.Kind.AUDIT:
        judging.missed(review, at=now)
    may = [person.pk for person in blind.who_may(review, at=now)]
    words = f"Reviews after the fact are overdue in {review.queue}"
    if not may:
        may = list(User.objects.admins().values_list("pk", flat=True))
        words = f"A review after the fact is overdue, and nobody in {review.queue} may do it"
    notifications.tell(
        may,
        topic=Topic.OVERDUE,
        text=words,
        key=f"reviews_overdue:{review.queue_id}:{now:%Y-%m-%d}",
        link="/reviews/",
    )


def remind(*, now: datetime) -> int:
    """Tell the reviewers of each queue how many reviews are due within a working day: each once a day and queue.

    How many people were told. The look happens every ten minutes at most; without a cache more often, which costs a
    few look-ups and tells nobody twice."""
    if not cache.add("blind_reviews_reminded", 1, _REMINDED):
        return 0
    open_ones = BlindReview.objects.filter(state=BlindReview.State.OPEN, due_at__gt=now)
    queues = Queue.objects.filter(pk__in=open_ones.values("queue")).select_related("calendar")
    return sum(_remind(queue, now) for queue in queues)


def _remind(queue: Queue, now: datetime) -> int:
    soon = Q(queue=queue, state=BlindReview.State.OPEN, due_at__gt=now)
    soon &= Q(due_at__lte=deadlines.working_minutes_after(queue, now, REMIND_MINUTES))
    if not BlindReview.objects.filter(soon).exists():
        return 0
    told = 0
    for person in blind.reviewers_of(queue):
        waiting = blind.open_to(person).filter(soon)
        count = waiting.count()
        if not count:
            continue
        with transaction.atomic(durable=True):
            told += notifications.tell(
                [person.pk],
                topic=Topic.DUE_SOON,
                text=f"{count} review{'s' if count > 1 else ''} after the fact due soon in {queue}",
                key=f"reviews_due:{queue.pk}:{now:%Y-%m-%d}",
                link="/reviews/",
            )
    return told
