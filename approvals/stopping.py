"""Who may pull and lift which stop switch, and whom a pulled one concerns.

A stop is safe, so everybody who can see an agent working wrongly may pull it: who manages it, and who reviews a queue
that its proposals come to. Lifting one lets actions run again, so it takes the right over what was stopped; to have
pulled it gives none."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from accounts.exceptions import NotAllowed
from accounts.models import User
from agents import permissions as agent_permissions
from agents import stops
from agents.models import ActionType, Agent, Mandate, Stop
from approvals import permissions
from approvals.models import Proposal, Vote
from approvals.states import State
from audit.events import Target

_LATEST = 500
"""So many of an agent's latest proposals say which queues they come to."""
_LATELY = timedelta(days=30)
_BREADTH = ["all", "action_type", "agent", "mandate"]
SHOWN = 300
"""So many agents, mandates or action types are offered in one list; more are reached from their own pages."""


@dataclass(frozen=True, slots=True)
class Switch:
    """One stop switch: everything, where nothing is named, or exactly what is."""

    agent: Agent | None = None
    action_type: ActionType | None = None
    mandate: Mandate | None = None

    @classmethod
    def of(cls, stop: Stop) -> "Switch":
        return cls(stop.agent, stop.action_type, stop.mandate)

    @property
    def scope(self) -> Stop.Scope:
        if self.mandate is not None:
            return Stop.Scope.MANDATE
        if self.agent is not None:
            return Stop.Scope.AGENT
        return Stop.Scope.ALL if self.action_type is None else Stop.Scope.ACTION_TYPE

    @property
    def whose(self) -> Agent | None:
        """The one agent it stops, where it is one."""
        return self.mandate.agent if self.mandate is not None else self.agent

    @property
    def target(self) -> Target:
        """What the audit log names: the thing that is stopped."""
        if self.mandate is not None:
            return Target("mandate", str(self.mandate.pk))
        if self.agent is not None:
            return Target("agent", str(self.agent.pk))
        if self.action_type is not None:
            return Target("action_type", self.action_type.name)
        return Target("installation", "all")

    @property
    def value(self) -> str:
        """Its name in a form: `all`, `agent:refund-helper`, `action_type:refund_order`, `mandate:17`."""
        if self.mandate is not None:
            return f"mandate:{self.mandate.pk}"
        if self.agent is not None:
            return f"agent:{self.agent.slug}"
        return f"action_type:{self.action_type.name}" if self.action_type is not None else "all"


def switch_named(value: str) -> Switch | None:
    """The switch a form names; None where there is no such thing."""
    kind, _, name = value.partition(":")
    if value == "all":
        return Switch()
    if kind == "agent":
        agent = Agent.objects.filter(slug=name).first()
        return Switch(agent=agent) if agent else None
    if kind == "action_type":
        found = ActionType.objects.filter(name=name).first()
        return Switch(action_type=found) if found else None
    if kind == "mandate" and name.isascii() and name.isdigit():
        mandate = Mandate.objects.select_related("agent", "action_type").filter(pk=int(name[:18])).first()
        return Switch(mandate=mandate) if mandate else None
    return None


def can_pull(user: User, switch: Switch) -> bool:
    agent = switch.whose
    if not user.is_active:
        return False
    if agent is None or user.is_admin:
        return user.is_admin
    only = switch.mandate.action_type_id if switch.mandate is not None else None
    return agent_permissions.can_manage(user, agent) or _sees(user, agent.pk, only)


def check_can_pull(user: User, switch: Switch) -> None:
    if can_pull(user, switch):
        return
    if switch.whose is None:
        raise NotAllowed("Only admins stop an action type or everything.")
    raise NotAllowed("Who manages the agent, reviewers who see its proposals, and admins may stop it.")


def can_lift(user: User, switch: Switch) -> bool:
    if switch.whose is None:
        return user.is_active and user.is_admin
    return agent_permissions.can_manage(user, switch.whose)


def check_can_lift(user: User, switch: Switch) -> None:
    if can_lift(user, switch):
        return
    if switch.whose is None:
        raise NotAllowed("Only admins lift a stop of an action type or of everything.")
    raise NotAllowed("Only who manages the agent and admins lift its stop, whoever pulled it.")


def _sees(user: User, agent_id: int, action_type_id: int | None) -> bool:
    """Whether proposals of this agent come to a queue that he reviews."""
    queues = permissions.reviewable_queue_ids(user)
    if not queues:
        return False
    latest = Proposal.objects.filter(agent_id=agent_id).order_by("-id").values("pk")[:_LATEST]
    seen = Proposal.objects.filter(pk__in=latest, queue_id__in=queues)
    return (seen if action_type_id is None else seen.filter(action_type_id=action_type_id)).exists()


def concerning(user: User) -> list[Stop]:
    """The pulled stops this person has to know of, the broadest first; one query while none is pulled.

    Everybody is concerned by what stops several agents, admins and auditors by all, others by the agents that they
    manage or whose proposals they review."""
    pulled = sorted(stops.live(), key=lambda stop: _BREADTH.index(stop.scope))
    if not pulled or user.reads_everything:
        return pulled
    managed = permissions.managed_agent_ids(user)
    return [stop for stop in pulled if _concerns(user, stop, managed)]


def _concerns(user: User, stop: Stop, managed: set[int]) -> bool:
    agent = Switch.of(stop).whose
    if agent is None or agent.owner_id == user.pk or agent.pk in managed:
        return True
    return _sees(user, agent.pk, stop.mandate.action_type_id if stop.mandate is not None else None)


def may_see(user: User, stop: Stop) -> bool:
    """As `concerning`, for one stop, pulled or lifted."""
    if user.reads_everything:
        return True
    return _concerns(user, stop, permissions.managed_agent_ids(user))


def lifted(user: User, limit: int = 20) -> list[Stop]:
    """The latest stops that were lifted, of those this person may know of."""
    named = ("agent", "action_type", "mandate__agent", "mandate__action_type", "stopped_by", "lifted_by")
    latest = Stop.objects.exclude(lifted_at=None).select_related(*named).order_by("-lifted_at", "-id")
    return [stop for stop in latest[: 5 * limit] if may_see(user, stop)][:limit]


@dataclass(frozen=True, slots=True)
class Offer:
    """What this person may stop, for one list."""

    everything: bool
    agents: list[Agent]
    mandates: list[Mandate]
    action_types: list[ActionType]


def offer(user: User) -> Offer:
    """Agents and mandates he manages or sees in his queues; for admins everything. At most `SHOWN` of each."""
    agents = Agent.objects.exclude(state=Agent.State.RETIRED).order_by("name")
    mandates = Mandate.objects.filter(active=True).exclude(agent__state=Agent.State.RETIRED)
    types = ActionType.objects.none()
    if user.is_admin:
        types = ActionType.objects.order_by("label")
    else:
        pairs = _seen_pairs(user)
        managed = Q(owner=user) | Q(pk__in=permissions.managed_agent_ids(user))
        mine = set(agents.filter(managed).values_list("pk", flat=True))
        agents = agents.filter(pk__in=mine | {agent for agent, _ in pairs})
        seen = Q(pk__in=[])
        for agent, action_type in pairs:
            seen |= Q(agent_id=agent, action_type_id=action_type)
        mandates = mandates.filter(Q(agent__in=mine) | seen)
    chosen = mandates.select_related("agent", "action_type").order_by("agent__name", "action_type__label")
    return Offer(user.is_admin, list(agents[:SHOWN]), list(chosen[:SHOWN]), list(types[:SHOWN]))


def _seen_pairs(user: User) -> set[tuple[int, int]]:
    """Agent and action type of what is open or running in his queues, and of what he judged lately."""
    queues = permissions.reviewable_queue_ids(user)
    if not queues:
        return set()
    found: set[tuple[int, int]] = set()
    for state in (State.PENDING, State.SCHEDULED, State.RETURNED, State.APPROVED, State.EXECUTING):
        there = Proposal.objects.filter(queue_id__in=queues, state=state).order_by()
        found |= set(there.values_list("agent_id", "action_type_id").distinct()[:SHOWN])
    judged = Vote.objects.filter(reviewer=user, voted_at__gt=timezone.now() - _LATELY).order_by()
    found |= set(judged.values_list("proposal__agent_id", "proposal__action_type_id").distinct()[:SHOWN])
    return found


def told_of(switch: Switch) -> set[int]:
    """Whom a stop or its end is news to: owners of the agents it covers, and the admins."""
    people = set(User.objects.admins().values_list("pk", flat=True))
    if switch.whose is not None:
        return people | {switch.whose.owner_id}
    agents = Agent.objects.filter(state=Agent.State.LIVE)
    if switch.action_type is not None:
        agents = agents.filter(
            Exists(Mandate.objects.filter(agent=OuterRef("pk"), action_type=switch.action_type, active=True))
        )
    return people | set(agents.values_list("owner_id", flat=True))


def doomed(switch: Switch) -> Iterable[Q]:
    """What a switch takes back, as two filters on proposals: what is scheduled, and what holds an unused grant.

    Two, so that each goes by its own partial index."""
    where = Q()
    if switch.mandate is not None:
        where = Q(agent_id=switch.mandate.agent_id, action_type_id=switch.mandate.action_type_id)
    elif switch.agent is not None:
        where = Q(agent=switch.agent)
    elif switch.action_type is not None:
        where = Q(action_type=switch.action_type)
    yield where & Q(state=State.SCHEDULED)
    yield where & UNUSED


UNUSED = Q(state=State.APPROVED, grant__isnull=False, grant__redeemed_at=None, grant__revoked_at=None)
"""Proposals whose grant may still be redeemed."""
