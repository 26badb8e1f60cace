"""What was judged of a proposal and what is in dispute; which incidents a person may see. Read only."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q, QuerySet

from accounts.exceptions import NotFound
from accounts.models import User
from agents.models import Agent, Evidence
from approvals import permissions
from approvals.models import BlindReview, Dispute, Incident, Judgement, Proposal


@dataclass(frozen=True, slots=True)
class Judged:
    """A judgement with what corrected it later, oldest first, and the dispute about it."""

    row: Evidence
    corrections: list[Evidence]
    dispute: Dispute | None

    @property
    def stands(self) -> Evidence:
        """What counts now."""
        return self.corrections[-1] if self.corrections else self.row

    def may_be_disputed(self, at: datetime, within: timedelta) -> bool:
        return self.dispute is None and at <= self.row.judged_at + within


def judged(proposal: Proposal) -> list[Judged]:
    """Every judgement of this proposal. Two queries, one where nothing was judged."""
    rows = Evidence.objects.filter(proposal_id=proposal.pk).exclude(basis__in=["probe", "turn"])
    found = list(rows.select_related("judged_by").order_by("pk"))
    if not found:
        return []
    disputes = {
        one.evidence_id: one
        for one in Dispute.objects.filter(proposal=proposal).select_related("raised_by", "review")
    }
    corrections: dict[int, list[Evidence]] = {}
    for row in found:
        if row.corrects_id is not None:
            corrections.setdefault(row.corrects_id, []).append(row)
    first = [row for row in found if row.corrects_id is None and row.basis in ("decision", "veto", "audit")]
    return [Judged(row, corrections.get(row.pk, []), disputes.get(row.pk)) for row in first]


def said_afterwards(proposal: Proposal) -> list[BlindReview]:
    """What people wrote who judged it after the fact, for the agent's people to learn from."""
    done = BlindReview.objects.filter(proposal=proposal, state=BlindReview.State.DONE)
    return list(done.exclude(comment="").select_related("reviewer").order_by("reviewed_at"))


def disputes_for(user: User, *, limit: int) -> list[Dispute]:
    """Disputes of his agents' judgements, and those he raised: open ones first, newest first. Reviewers of the queue
    do not see them in a list: one of them is to settle it without knowing that it is one."""
    found = Dispute.objects.select_related("proposal__agent", "proposal__action_type", "raised_by", "review")
    if not (user.reads_everything):
        agents = Agent.objects.filter(Q(owner=user) | Q(pk__in=permissions.managed_agent_ids(user)))
        found = found.filter(Q(raised_by=user) | Q(proposal__agent__in=agents))
    return sorted(found.order_by("-pk")[:limit], key=lambda one: one.settled_at is not None)


def answer_of(code: str) -> str:
    """A verdict as people read it, whichever list it is of."""
    return Judgement(code).label if code in Judgement.values else code.replace("_", " ").capitalize()


def incidents_for(user: User) -> QuerySet[Incident]:
    """Those with a proposal this person may see, and those he reported or answers for."""
    if user.reads_everything:
        return Incident.objects.all()
    visible = Proposal.objects.filter(permissions.visible_to(user))
    seen = Incident.objects.filter(proposals__in=visible)
    return Incident.objects.filter(Q(pk__in=seen.values("pk")) | Q(reported_by=user) | Q(answers=user))


def incident_for(user: User, incident_id: int) -> Incident:
    """One of them. Raises `NotFound`."""
    found = incidents_for(user).select_related("reported_by", "answers").filter(pk=incident_id).first()
    if found is None:
        raise NotFound("There is no such incident, or it is not for you to see.")
    return found
