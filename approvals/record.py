"""What is known of an agent when one of its proposals is judged: its accuracy and its earlier proposals. Read only.

All of it comes from judgements by people (evidence), read backwards by index and never more than a few hundred: an
agent that floods its queue cannot push the judged ones out of sight, and the cost does not grow with the log."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db.models import Count, F, Q
from django.db.models.functions import Length
from django.utils import timezone

from accounts.models import Absence, User
from agents import accuracy
from agents.accuracy import Accuracy
from agents.models import Evidence
from approvals import permissions, quorum
from approvals.models import APPROVED, Decision, ProbeServing, Proposal, Revision, Verdict, Vote
from approvals.reading.comparison import Earlier, Leaf, Present, leaves
from approvals.states import State

JUDGED = 1000
"""So many latest judgements are counted for the accuracy."""
REMEMBERED = 200
"""So many latest judged proposals are compared with."""
OF_SUBJECT = 40
"""So many latest approved ones about the same subject are compared with as well, however old they are."""
SIMILAR = 4
LARGEST = 16 * 1024
"""Arguments of more bytes are not compared: nobody reads two of them side by side either."""

_UNDONE = frozenset({State.FAILED, State.ROLLED_BACK, State.LAPSED, State.REVOKED})


@dataclass(frozen=True, slots=True)
class Judged:
    """An earlier proposal a person decided, with its final arguments."""

    proposal: Proposal
    arguments: Any
    verdict: str
    found: list[Leaf]

    @property
    def is_approved(self) -> bool:
        return self.verdict in (Verdict.APPROVE, Verdict.EDIT)


@dataclass(frozen=True, slots=True)
class Precedent:
    """One of the most similar earlier proposals; `shared` says in words what it has in common."""

    proposal: Proposal
    decision: Decision | None
    shared: str
    visible: bool


@dataclass(frozen=True, slots=True)
class Seat:
    """A team that has to vote, and how many of its votes are still missing."""

    team: str
    votes: int
    missing: int


@dataclass(frozen=True, slots=True)
class Decider:
    """Somebody who may decide; away until a moment, with who gets his work meanwhile."""

    person: User
    teams: tuple[str, ...]
    absence: Absence | None


def accuracy_of(proposal: Proposal, *, before: datetime | None = None) -> tuple[Accuracy, int]:
    """How right this version of the agent was on this action type, and how many earlier versions' results there are.

    Vetoes count as wrong ones; what nobody vetoed is not judged and counts for nothing, so the figure is if anything
    too low. `before` is the moment up to which it was known, now if None."""
    key = Evidence.judgements().filter(agent_id=proposal.agent_id, action_type_id=proposal.action_type_id)
    if before is not None:
        key = key.filter(judged_at__lt=before).exclude(proposal_id=proposal.pk)
    latest = key.filter(agent_version=proposal.agent_version).order_by("-id").values("pk")[:JUDGED]
    counts = (
        Evidence.objects.filter(pk__in=latest).values("loss").annotate(count=Count("pk")).order_by("loss")
    )
    losses = {float(row["loss"]): row["count"] for row in counts}
    others = key.exclude(agent_version=proposal.agent_version).values("pk")[:JUDGED]
    return accuracy.accuracy(losses), Evidence.objects.filter(pk__in=others).count()


def judged_before(proposal: Proposal, *, before: datetime | None = None) -> list[Judged]:
    """The latest judged proposals of the agent and action type, and approved ones about the same subject. 4 queries.

    With `before`, those that were judged by then, as they stand today."""
    until = Q() if before is None else Q(judged_at__lt=before)
    decided = Q() if before is None else Q(decisions__decided_at__lt=before)
    latest = (
        Evidence.judgements()
        .filter(until, agent_id=proposal.agent_id, action_type_id=proposal.action_type_id)
        .exclude(proposal_id=proposal.pk)
        .order_by("-id")
        .values_list("proposal_id", "verdict")[:REMEMBERED]
    )
    verdicts = {pk: str(verdict) for pk, verdict in latest if pk is not None}
    if proposal.subject_id:
        about = (
            Proposal.objects.filter(
                decided,
                agent_id=proposal.agent_id,
                action_type_id=proposal.action_type_id,
                subject_type=proposal.subject_type,
                subject_id=proposal.subject_id,
                state__in=APPROVED,
                planted=False,
                decisions__decider__isnull=False,
                decisions__verdict__in=[Verdict.APPROVE, Verdict.EDIT],
            )
            .exclude(pk=proposal.pk)
            .order_by("-created_at")
            .values_list("pk", flat=True)[:OF_SUBJECT]
        )
        for pk in about:
            verdicts.setdefault(pk, str(Verdict.APPROVE))
    source = _source_of(proposal)  # asked of all alike, so that the time a page takes tells nothing
    if source is not None:
        verdicts.pop(source, None)
    revisions = (
        Revision.objects.filter(proposal_id__in=verdicts, number=F("proposal__revision"))
        .annotate(size=Length("canonical"))
        .filter(size__lte=LARGEST)
        .select_related("proposal")
        .only(
            "number",
            "canonical",
            "proposal__state",
            "proposal__title",
            "proposal__amount",
            "proposal__currency",
            "proposal__subject_type",
            "proposal__subject_id",
            "proposal__created_at",
            "proposal__changed_at",
            "proposal__agent_id",
            "proposal__queue_id",
        )
        .order_by("-proposal_id")
    )
    found = []
    for revision in revisions:
        arguments = revision.arguments
        found.append(
            Judged(revision.proposal, arguments, verdicts[revision.proposal_id], list(leaves(arguments)))
        )
    return found


def _source_of(proposal: Proposal) -> UUID | None:
    """What a probe was made of: beside it, its verdict would give the answer away."""
    return ProbeServing.objects.filter(proposal=proposal).values_list("probe__source", flat=True).first()


def approved(judged: Sequence[Judged]) -> list[Earlier]:
    """The approved ones, as the comparison takes them."""
    return [
        Earlier(
            id=one.proposal.pk,
            arguments=one.arguments,
            subject=(one.proposal.subject_type, one.proposal.subject_id),
            amount=one.proposal.amount,
            currency=one.proposal.currency,
            changed_at=one.proposal.changed_at,
            stands=one.proposal.state not in _UNDONE,
        )
        for one in judged
        if one.is_approved
    ]


def precedents(viewer: User, present: Present, judged: Sequence[Judged]) -> list[Precedent]:
    """The most similar judged ones with their decisions, the most similar first; links only where one may look."""
    mine = {(leaf.general, leaf.text) for leaf in leaves(present.arguments)}
    scored = [(likeness(present, mine, one), one) for one in judged]
    best = sorted(
        ((score, one) for score, one in scored if score > 0),
        key=lambda pair: (-pair[0], -pair[1].proposal.pk.int),
    )[:SIMILAR]
    ids = [one.proposal.pk for _, one in best]
    if not ids:
        return []
    decisions = {
        decision.proposal_id: decision
        for decision in Decision.objects.filter(proposal_id__in=ids).order_by("decided_at")
    }
    visible = _visible(viewer, [one for _, one in best])
    return [
        Precedent(
            one.proposal,
            decisions.get(one.proposal.pk),
            _shared(present, mine, one),
            one.proposal.pk in visible,
        )
        for _, one in best
    ]


def _visible(viewer: User, found: Sequence[Judged]) -> set[UUID]:
    """Those of them this person may open. Most stand in a queue of his; only for others the whole rule is asked."""
    queues = permissions.reviewable_queue_ids(viewer)
    ids = {one.proposal.pk for one in found}
    near = {one.proposal.pk for one in found if one.proposal.queue_id in queues}
    if near == ids:
        return ids
    allowed = Proposal.objects.filter(permissions.visible_to(viewer), pk__in=ids)
    return set(allowed.values_list("pk", flat=True))


def likeness(present: Present, mine: set[tuple[str, str]], one: Judged) -> float:
    """From 0 to 3: the share of argument values in common (Jaccard), the same subject, and how near the amounts are."""
    theirs = {(leaf.general, leaf.text) for leaf in one.found}
    union = len(mine | theirs)
    score = len(mine & theirs) / union if union else 0.0
    if _same_subject(present, one):
        score += 1
    other = one.proposal
    if present.amount is not None and other.amount is not None and present.currency == other.currency:
        score += _near(present.amount, other.amount)
    return score


def _near(amount: Decimal, other: Decimal) -> float:
    """1 for the same amount, half at a factor of about 2, nothing to speak of beyond 20."""
    if not amount or not other or (amount < 0) != (other < 0):
        return float(amount == other)
    return math.exp(-abs(math.log(amount / other)))


def _same_subject(present: Present, one: Judged) -> bool:
    return bool(present.subject[1]) and present.subject == (
        one.proposal.subject_type,
        one.proposal.subject_id,
    )


def _shared(present: Present, mine: set[tuple[str, str]], one: Judged) -> str:
    parts = []
    if _same_subject(present, one):
        parts.append("same subject")
    if present.amount is not None and present.amount == one.proposal.amount:
        parts.append("same amount")
    common = len(mine & {(leaf.general, leaf.text) for leaf in one.found})
    if common:
        parts.append(f"{common} of {len(mine)} values the same")
    return ", ".join(parts)


def seats(proposal: Proposal, votes: Sequence[Vote]) -> list[Seat]:
    """The teams whose votes are asked for, with what each still owes."""
    approvals = [vote.teams for vote in votes if vote.verdict in (Verdict.APPROVE, Verdict.EDIT)]
    missing: Mapping[str, int] = quorum.missing(approvals, proposal.required)
    return [Seat(seat["team"], seat["votes"], missing.get(seat["team"], 0)) for seat in proposal.required]


def deciders(proposal: Proposal) -> list[Decider]:
    """Everybody who may decide, with his teams, those who are there first; a constant number of queries."""
    people = permissions.deciders(proposal)
    ids: list[int] = [one.pk for one in people]
    teams: dict[int, list[str]] = {}
    for pk, team in User.groups.through.objects.filter(user_id__in=ids).values_list("user_id", "group__name"):
        teams.setdefault(pk, []).append(team)
    away = {one.person_id: one for one in _absences(ids)}
    found = [Decider(one, tuple(sorted(teams.get(one.pk, []))), away.get(one.pk)) for one in people]
    return sorted(found, key=lambda one: one.absence is not None)


def _absences(ids: Sequence[int]) -> Sequence[Absence]:
    now = timezone.now()
    current = Q(person__in=ids, starts_at__lte=now, ends_at__gt=now)
    return list(Absence.objects.filter(current).select_related("delegate"))
