"""What the people who watch see: what is about to run, and what has run of late. Read only.

Reviewers see what may be vetoed in their queues, owners and managers all of their agents, admins and auditors
everything. Each list walks an index in its own order, over what is scheduled or what the last hour brought and never
over the rest, and says where more follow. Advisory proposals are not here: of those nothing is run by an agent."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Q, QuerySet

from accounts.models import User
from agents.autonomy import Tier
from agents.models import AgentState
from approvals import permissions, separation
from approvals.models import APPROVED, Decision, Proposal, RollbackRequest
from approvals.states import State

SCHEDULED = 60
RAN = 40
"""Rows that are shown of each list."""
COUNTED = 1000
"""So many scheduled ones are counted at most."""
SINCE = timedelta(hours=1)
_CALM = frozenset({State.REJECTED, State.WITHDRAWN, State.REVOKED, State.LAPSED, State.ROLLED_BACK})


@dataclass(frozen=True, slots=True)
class Row:
    """One action, and what this person can still do about it.

    `asked` is the request to undo it, with the compensation that answers it."""

    proposal: Proposal
    decision: Decision | None
    asked: RollbackRequest | None
    may_veto: bool = False
    may_recall: bool = False
    may_ask: bool = False
    may_pause: bool = False

    @property
    def is_over(self) -> bool:
        """Nothing runs of it any more, or it has been undone."""
        return self.proposal.state in _CALM

    @property
    def mark(self) -> str:
        """What its page remembers of it, to be told when it is another one."""
        return f"{self.proposal.pk}~{self.proposal.version}{'' if self.may_pause else 's'}"

    @property
    def has_ways(self) -> bool:
        return self.may_veto or self.may_recall or self.may_ask or self.may_pause


@dataclass(frozen=True, slots=True)
class Watched:
    """Both lists: what will run, the soonest first; what has run, the latest first. `later` counts what is scheduled
    after the rows shown, `has_more` that more has run than is shown."""

    scheduled: list[Row]
    ran: list[Row]
    later: int
    has_more: bool

    @property
    def is_more_than_counted(self) -> bool:
        return self.later >= COUNTED - SCHEDULED


@dataclass(frozen=True, slots=True)
class _Rights:
    """What decides about a person's ways, asked once for all rows."""

    person: User
    queues: frozenset[int]
    conflicted: frozenset[int]
    managed: frozenset[int]
    teams: frozenset[str]

    def answers_for(self, proposal: Proposal) -> bool:
        return proposal.queue_id in self.queues or self.manages(proposal)

    def manages(self, proposal: Proposal) -> bool:
        """As agents.permissions.can_manage says, without a query for each row."""
        me, agent = self.person, proposal.agent
        return me.is_active and (me.is_admin or agent.owner_id == me.pk or agent.pk in self.managed)

    def vetoes(self, proposal: Proposal) -> bool:
        """As permissions.check_can_decide says; the use case asks it again."""
        if proposal.queue_id not in self.queues or proposal.agent_id in self.conflicted:
            return False
        return not proposal.roles or bool(self.teams & set(proposal.roles))


def watched(user: User, *, now: datetime) -> Watched:
    """Both lists of this person. The number of queries does not depend on the number of rows."""
    scheduled, ran = _scheduled(user), _ran(user, now)
    soon, late = list(scheduled[: SCHEDULED + 1]), list(ran[: RAN + 1])
    shown = [*soon[:SCHEDULED], *late[:RAN]]
    all_of = {one.pk: one for one in _with_all().filter(pk__in=shown)}
    found = _rows(user, [all_of[pk] for pk in shown if pk in all_of])
    before = {row.proposal.pk for row in found} & set(soon)
    return Watched(
        scheduled=[row for row in found if row.proposal.pk in before],
        ran=[row for row in found if row.proposal.pk not in before],
        later=scheduled[:COUNTED].count() - SCHEDULED if len(soon) > SCHEDULED else 0,
        has_more=len(late) > RAN,
    )


def rows(user: User, ids: Iterable[UUID]) -> dict[UUID, Row]:
    """These proposals as they are now, as far as this person may see them."""
    visible = _with_all().filter(permissions.visible_to(user), planted=False, pk__in=list(ids))
    return {row.proposal.pk: row for row in _rows(user, list(visible))}


def row(user: User, proposal_id: UUID) -> Row | None:
    """One of them."""
    return rows(user, [proposal_id]).get(proposal_id)


def _scheduled(user: User) -> QuerySet[Proposal, UUID]:
    walked = Proposal.objects.filter(_visible(user), state=State.SCHEDULED)
    return walked.order_by("effective_at").values_list("pk", flat=True)


def _ran(user: User, now: datetime) -> QuerySet[Proposal, UUID]:
    walked = Proposal.objects.filter(
        _visible(user), state__in=APPROVED, changed_at__gt=now - SINCE, planted=False
    )
    return walked.exclude(tier=Tier.ADVISORY).order_by("-changed_at").values_list("pk", flat=True)


def _visible(user: User) -> Q:
    """As permissions.visible_to, without a join: an index is walked in its order and left at the last row wanted."""
    if user.reads_everything:
        return Q()
    agents = permissions.watched_agent_ids(user)
    return Q(queue_id__in=permissions.readable_queue_ids(user)) | Q(agent_id__in=agents)


def _with_all() -> QuerySet[Proposal]:
    """Proposals with what a row shows, without the long texts."""
    return (
        Proposal.objects.select_related("agent", "action_type", "queue", "grant")
        .select_related("rollback_request__asked_by", "rollback_request__compensation")
        .defer("plain_context", "reasoning", "summary", "current_state", "metadata")
        .defer("rollback_request__compensation__plain_context", "rollback_request__compensation__reasoning")
        .defer("grant__token")
    )


def _rows(user: User, proposals: Sequence[Proposal]) -> list[Row]:
    rights = _Rights(
        person=user,
        queues=frozenset(permissions.reviewable_queue_ids(user)),
        conflicted=frozenset(separation.conflicted_agent_ids(user)),
        managed=frozenset(permissions.managed_agent_ids(user)),
        teams=frozenset(user.groups.values_list("name", flat=True)),
    )
    decisions = Decision.objects.filter(proposal__in=[one.pk for one in proposals]).order_by("decided_at")
    latest = {decision.proposal_id: decision for decision in decisions}
    return [_row(rights, one, latest.get(one.pk)) for one in proposals]


def _row(rights: _Rights, proposal: Proposal, decision: Decision | None) -> Row:
    asked = getattr(proposal, "rollback_request", None)
    answers, state = rights.answers_for(proposal), proposal.state
    return Row(
        proposal=proposal,
        decision=decision,
        asked=asked,
        may_veto=state == State.SCHEDULED and rights.vetoes(proposal),
        may_recall=answers and state == State.APPROVED and getattr(proposal, "grant", None) is not None,
        may_ask=(
            answers
            and state == State.SUCCEEDED
            and proposal.action_type.reversible_by_id is not None
            and asked is None
        ),
        may_pause=proposal.agent.state == AgentState.LIVE and rights.manages(proposal),
    )
