"""What followed the told past: blind reviews of what ran and of what was approved, probes, and the standings they add
up to. As `approvals.judging` would have recorded it, at times of our choosing."""

import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import connection, transaction
from django.utils import timezone

from agents import pointers, turning
from agents.models import ActionType, Evidence, Standing
from approvals import blind, deadlines, disguise, probe_records
from approvals.models import BlindReview, Decision, Judgement, Proposal, Revision
from approvals.services import probe_library
from config.demo import clock
from config.demo.cast import Cast
from config.demo.life import Rows

EVERY_PROBE = 20
"""Reviewers are served a probe for every so many decisions, as the tier model has it (5 %)."""
CAUGHT = 0.94
WEEK = 7
SHELF = 6
"""Probes that each action type's library is given, made of what was rejected."""
_ADOPT = (
    """
    INSERT INTO agents_standing (agent_id, action_type_id, agent_version, risk, state, initial, mismatch)
    SELECT DISTINCT agent_id, action_type_id, agent_version, risk, '{}'::jsonb, '{}'::jsonb, '' FROM agents_evidence
    ON CONFLICT DO NOTHING
    """,
    """
    UPDATE agents_evidence AS e SET standing_id = s.id
    FROM agents_standing AS s
    WHERE e.standing_id IS NULL AND s.agent_id = e.agent_id AND s.action_type_id = e.action_type_id
      AND s.agent_version = e.agent_version AND s.risk = e.risk
    """,
)


@dataclass(slots=True)
class Afterwards:
    """Rows to insert after the past's own."""

    reviews: list[BlindReview] = field(default_factory=list)
    evidence: list[Evidence] = field(default_factory=list)


def tell(rows: Rows, cast: Cast, truths: dict[str, str], rng: random.Random, *, now: datetime) -> Afterwards:
    """Reviews drawn when the proposals came in, done in working hours or still open; probes among the decisions."""
    told = Afterwards()
    of_revision = {(one.proposal_id, one.number): one for one in rows.revisions}
    decided = 0
    for decision in rows.decisions:
        proposal = decision.proposal
        by_policy = decision.decider_id is None
        if proposal.sampled and decision.verdict == "approve" and (by_policy or proposal.revision == 1):
            kind = BlindReview.Kind.AUDIT if by_policy else BlindReview.Kind.SECOND
            revision = of_revision[proposal.pk, proposal.revision]
            _review(told, cast, rng, decision, revision, kind, truths[str(proposal.pk)], now)
        decided += not by_policy
        if not by_policy and decided % EVERY_PROBE == 0:
            _probe(told, rng, decision)
    return told


def _review(
    told: Afterwards,
    cast: Cast,
    rng: random.Random,
    decision: Decision,
    revision: Revision,
    kind: BlindReview.Kind,
    truth: str,
    now: datetime,
) -> None:
    proposal, at = decision.proposal, decision.decided_at
    assert proposal.queue is not None
    review = BlindReview(
        proposal=proposal,
        revision=revision,
        kind=kind,
        queue=proposal.queue,
        probability=proposal.sample_probability or 1.0,
        created_at=at,
        due_at=deadlines.working_days_after(proposal.queue, at, blind.WORKING_DAYS),
    )
    told.reviews.append(review)
    reviewed_at = clock.answered(rng, at, median_minutes=400)
    if reviewed_at >= min(now, review.due_at):
        if review.due_at > now:
            return
        reviewed_at = clock.at_work(rng, review.due_at - timedelta(hours=2))
        if reviewed_at >= now:
            return
    without = {decision.decider_id} if decision.decider_id else set()
    review.reviewer = cast.reviewer(
        rng, queue=proposal.queue.slug, roles=[], agent=proposal.agent, without=without
    )
    wrong = truth != "approve"
    review.state, review.reviewed_at = BlindReview.State.DONE, reviewed_at
    review.judgement = Judgement.WRONG if wrong else Judgement.RIGHT
    review.comment = "It should not have run as it stood." if wrong else ""
    loss = Decimal(1) if wrong else Decimal(0)
    if kind == BlindReview.Kind.AUDIT:
        told.evidence.append(
            _row(
                proposal, "audit", review.judgement, reviewed_at, loss=loss, by=review.reviewer_id, audit=True
            )
        )
    else:
        verdict = "differed" if wrong else "agreed"
        told.evidence.append(_row(proposal, "second", verdict, reviewed_at, by=review.reviewer_id))


def _probe(told: Afterwards, rng: random.Random, decision: Decision) -> None:
    at = decision.decided_at + timedelta(seconds=rng.uniform(40, 400))
    verdict = "caught" if rng.random() < CAUGHT else "passed"
    told.evidence.append(_row(decision.proposal, "probe", verdict, at, by=decision.decider_id, about=False))


def _row(
    proposal: Proposal,
    basis: str,
    verdict: str,
    at: datetime,
    *,
    loss: Decimal = Decimal(0),
    by: int | None = None,
    audit: bool = False,
    about: bool = True,
) -> Evidence:
    return Evidence(
        agent=proposal.agent,
        agent_version=proposal.agent_version,
        action_type=proposal.action_type,
        risk=proposal.action_type.risk,
        tier=proposal.tier,
        basis=basis,
        verdict=verdict,
        loss=loss,
        probability=(proposal.sample_probability or 1.0) if audit else 1.0,
        proposal_id=proposal.pk if about else None,
        revision=proposal.revision if about else None,
        judged_by_id=by,
        judged_at=at,
        counts_at=at,
        detail={"audit": True} if audit else {},
    )


def add_up() -> None:
    """Standings of all the evidence there is, folded as at their first use."""
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        for sql in _ADOPT:
            cursor.execute(sql)
    for standing in Standing.objects.filter(initial={}).select_related("agent", "action_type"):
        with transaction.atomic(durable=True):
            turning.mature(standing)


def fill_shelves(cast: Cast, rng: random.Random) -> None:
    """A library of probes for every action type of which something was rejected or mended."""
    admin = next(user for user in cast.users.values() if user.is_admin)
    for kind in cast.types.values():
        if kind.probes.exists():
            continue
        for suggestion in probe_records.suggestions(kind)[:SHELF]:
            source, served, final = probe_records.source_for(kind, suggestion.proposal.pk)
            disguised = disguise.disguise(
                probe_records.content_of(source, served),
                schema=kind.schema,
                amount_pointer=kind.amount_pointer,
                days=disguise.whole_weeks(source.created_at, timezone.now()) or WEEK,
                chance=rng,
            )
            if probe_library.argument_faults(kind, disguised.content.arguments):
                continue
            probe_library.add(
                action_type=kind.name,
                draft=probe_library.Draft(
                    content=disguised.content,
                    fault=suggestion.words or "It was rejected when it came first.",
                    faulty=_faulty(served, final, kind),
                    confidence=source.confidence,
                    source_id=source.pk,
                ),
                actor=admin,
            )


def _faulty(served: Revision, final: Revision, kind: ActionType) -> list[str]:
    """What an edit mended, or else the first material field that is there: any change of it will be a catch."""
    there = [
        place for place in kind.material if pointers.resolve(served.arguments, place) is not pointers.MISSING
    ]
    return probe_records.mended_places(served, final, kind) or there[:1]
