"""What is known of probes: the library with its figures, what suits for one, a reviewer's own record. Read only."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import rfc8785
from django.db.models import Count, Exists, OuterRef, Q, QuerySet

from accounts.exceptions import NotFound
from accounts.models import User
from accounts.roles import Duty
from agents import pointers
from agents.models import ActionType, Evidence
from approvals import disguise, permissions
from approvals.disguise import Content
from approvals.models import Probe, ProbeServing, Proposal, Revision, Verdict, Vote

PLANTER = "probing"
"""What the log calls the system where it plants or ends a probe."""
SUGGESTED = 30
OWN = 500
"""So many of his latest servings make up a person's record."""
_LOOKED_AT = 200
_REFUSING = (Verdict.REJECT, Verdict.RETURN, Verdict.VETO)


def content_of(proposal: Proposal, revision: Revision, *, note: str = "") -> Content:
    """What a reviewer read of a proposal, and what he said of it."""
    return Content(
        arguments=revision.arguments,
        summary=proposal.summary,
        reasoning=proposal.reasoning,
        context=list(proposal.context),
        subject_type=proposal.subject_type,
        subject_id=proposal.subject_id,
        current_state=proposal.current_state,
        note=note,
    )


def probe_content(probe: Probe, *, at: datetime) -> Content:
    """What a probe says when it is served at a moment: its dates are as far away as they were when it was made."""
    content = Content(
        arguments=Revision(canonical=probe.arguments).arguments,
        summary=probe.summary,
        reasoning=probe.reasoning,
        context=probe.context,
        subject_type=probe.subject_type,
        subject_id=probe.subject_id,
        current_state=probe.current_state,
        note=probe.fault,
    )
    days = disguise.whole_weeks(probe.created_at, at)
    return disguise.moved(content, days=days) if days else content


def fault_of(serving: ProbeServing) -> str:
    """What was wrong, in the words of who made the probe, with dates as the reviewer saw them."""
    return probe_content(serving.probe, at=serving.served_at or serving.probe.created_at).note


def is_caught(verdict: str, *, served: Revision, judged: Revision, probe: Probe) -> bool | None:
    """Whether a verdict on a revision caught the probe: refused, returned, or the fault edited away.

    None where a person agreed to what somebody else had mended: that says nothing of him."""
    if verdict in _REFUSING:
        return True
    if not is_mended(served, judged, probe):
        return False
    return True if verdict == Verdict.EDIT else None


def is_mended(served: Revision, judged: Revision, probe: Probe) -> bool:
    """Whether anything has changed where it was wrong."""
    if bytes(served.canonical) == bytes(judged.canonical):
        return False
    places = probe.faulty or probe.action_type.material
    if not places:
        return True
    before, after = served.arguments, judged.arguments
    return any(_at(before, place) != _at(after, place) for place in places)


def _at(arguments: Any, place: str) -> bytes | None:
    value = pointers.resolve(arguments, place)
    return None if value is pointers.MISSING else rfc8785.dumps(value)


def own_result(serving: ProbeServing, votes: Sequence[Vote]) -> bool | None:
    """How one person did, by the first of his votes on it."""
    if not votes:
        return None
    first = min(votes, key=lambda vote: (vote.voted_at, vote.pk))
    assert serving.proposal is not None
    served = next(one for one in serving.proposal.revisions.all() if one.number == 1)
    return is_caught(str(first.verdict), served=served, judged=first.revision, probe=serving.probe)


@dataclass(frozen=True, slots=True)
class Own:
    """One serving as the person who judged it may know it. `caught` is None where it does not count for him."""

    serving: ProbeServing
    caught: bool | None
    fault: str

    @property
    def is_open_to_appeal(self) -> bool:
        return self.caught is False and self.serving.appealed_at is None

    @property
    def is_upheld(self) -> bool:
        return self.serving.upheld is True


@dataclass(slots=True)
class Record:
    """A person's own record, the latest first."""

    served: int = 0
    caught: int = 0
    missed: int = 0
    servings: list[Own] = field(default_factory=list)


def own_record(user: User) -> Record:
    """Of nobody else's can this be asked. A constant number of queries."""
    record = Record(servings=[_own(serving, user) for serving in _of(user)[:OWN]])
    counted = [one for one in record.servings if one.caught is not None and not one.is_upheld]
    record.served = len(counted)
    record.caught = sum(one.caught is True for one in counted)
    record.missed = record.served - record.caught
    return record


def _of(user: User) -> QuerySet[ProbeServing]:
    """Everything he judged that turned out to be a probe, once that was told."""
    his_vote = Vote.objects.filter(proposal=OuterRef("proposal"), reviewer=user)
    return (
        ProbeServing.objects.filter(Exists(his_vote) | Q(reviewer=user), caught__isnull=False)
        .select_related("probe__action_type", "proposal__agent", "review", "appealed_by", "answered_by")
        .prefetch_related("proposal__votes__revision", "proposal__revisions")
        .order_by("-decided_at", "-pk")
    )


def _own(serving: ProbeServing, user: User) -> Own:
    if serving.review_id is not None:
        return Own(serving, serving.caught, fault_of(serving))
    assert serving.proposal is not None
    votes = [vote for vote in serving.proposal.votes.all() if vote.reviewer_id == user.pk]
    return Own(serving, own_result(serving, votes), fault_of(serving))


def own_serving(user: User, serving_id: int) -> Own:
    """Raises `NotFound` for everything that this person has not judged himself."""
    found = _of(user).filter(pk=serving_id).first()
    if found is None:
        raise NotFound("There is no such probe in your record.")
    return _own(found, user)


def is_told(proposal: Proposal) -> bool:
    """Whether a planted proposal was decided, so that its page may say what it is."""
    return ProbeServing.objects.filter(proposal=proposal, caught__isnull=False).exists()


def told(user: User, proposal: Proposal) -> Own | None:
    """For a planted proposal that is over: what this person is told of it. None for who has not voted on it."""
    found = _of(user).filter(proposal=proposal).first()
    return None if found is None else _own(found, user)


def told_to_staff(proposal: Proposal) -> Own | None:
    """The same for admins and auditors, who see what became of it as a whole."""
    found = (
        ProbeServing.objects.filter(proposal=proposal, caught__isnull=False)
        .select_related("probe__action_type", "reviewer")
        .first()
    )
    return None if found is None else Own(found, found.caught, fault_of(found))


@dataclass(frozen=True, slots=True)
class Shelf:
    """One action type with how many probes it has in use, and how its servings went."""

    action_type: ActionType
    active: int
    served: int
    caught: int
    missed: int


_COUNTED = Q(servings__caught__isnull=False) & ~Q(servings__upheld=True)


def shelves() -> list[Shelf]:
    """Every action type that some agent may do or that has probes; two queries."""
    kinds = ActionType.objects.filter(Q(mandates__active=True) | Q(probes__isnull=False)).distinct()
    rows = (
        Probe.objects.values("action_type_id")
        .annotate(
            active=Count("pk", filter=Q(active=True), distinct=True),
            served=Count("servings", filter=_COUNTED),
            caught=Count("servings", filter=_COUNTED & Q(servings__caught=True)),
        )
        .order_by()
    )
    counts = {row["action_type_id"]: row for row in rows}
    found = []
    for kind in kinds.order_by("domain", "label"):
        row = counts.get(kind.pk, {"active": 0, "served": 0, "caught": 0})
        found.append(Shelf(kind, row["active"], row["served"], row["caught"], row["served"] - row["caught"]))
    return found


def probes_of(action_type: ActionType) -> QuerySet[Probe]:
    """Those in use first, with `served`, `caught`, `missed`."""
    return (
        Probe.objects.filter(action_type=action_type)
        .select_related("agent", "author", "source")
        .annotate(
            served=Count("servings", filter=_COUNTED),
            caught=Count("servings", filter=_COUNTED & Q(servings__caught=True)),
            missed=Count("servings", filter=_COUNTED & Q(servings__caught=False)),
        )
        .order_by("-active", "-pk")
    )


@dataclass(frozen=True, slots=True)
class Suggestion:
    """An earlier proposal that a person found fully wrong, with what he said."""

    proposal: Proposal
    verdict: str
    words: str
    judged_at: datetime


def suggestions(action_type: ActionType) -> list[Suggestion]:
    """Rejected or materially edited ones that no probe was made of yet, the latest first; three queries."""
    judged = (
        Evidence.judgements()
        .filter(action_type=action_type, loss=1, proposal_id__isnull=False)
        .exclude(verdict="missed")
        .exclude(proposal_id__in=Probe.objects.filter(source__isnull=False).values("source"))
        .order_by("-id")[:_LOOKED_AT]
    )
    verdicts = {row.proposal_id: row for row in judged if row.proposal_id is not None}
    proposals = Proposal.objects.filter(pk__in=verdicts, planted=False).select_related("agent")
    found = proposals.prefetch_related("decisions").order_by("-id")[:SUGGESTED]
    return [_suggestion(one, verdicts[one.pk]) for one in found]


def _suggestion(proposal: Proposal, row: Evidence) -> Suggestion:
    return Suggestion(proposal, row.verdict, said_of(proposal), row.judged_at)


def said_of(proposal: Proposal) -> str:
    """What the person who decided it said was wrong."""
    said = [one for one in proposal.decisions.all() if one.decider_id is not None]
    last = max(said, key=lambda one: one.decided_at, default=None)
    return "" if last is None else last.comment or last.reason.replace("_", " ").capitalize()


def mended_places(agents_own: Revision, final: Revision, action_type: ActionType) -> list[str]:
    """The material fields that a person's edit changed: what was wrong, as far as an edit can say."""
    before, after = agents_own.arguments, final.arguments
    return [place for place in action_type.material if _at(before, place) != _at(after, place)]


def source_for(action_type: ActionType, proposal_id: UUID) -> tuple[Proposal, Revision, Revision]:
    """A proposal to make a probe of, with the agent's own latest revision and the final one. Raises `NotFound`."""
    found = (
        Proposal.objects.select_related("agent", "action_type", "kept_context")
        .filter(pk=proposal_id, action_type=action_type, planted=False)
        .first()
    )
    if found is None:
        raise NotFound("There is no such proposal of this action type.")
    return found, found.revisions.filter(editor=None).latest("number"), found.current_revision


def open_appeals(user: User) -> QuerySet[ProbeServing]:
    """Appeals that wait for an answer of this person, the oldest first: for admins all, for senior reviewers those of
    their queues."""
    his = Q() if user.is_admin else Q(proposal__queue__in=permissions.queue_ids(user, Duty.LEAD))
    return (
        ProbeServing.objects.filter(his, appealed_at__isnull=False, answered_at=None)
        .select_related("probe__action_type", "probe__author", "proposal__agent", "appealed_by", "review")
        .order_by("appealed_at")
    )
