"""What a person may see of agents, and what their pages show: one place that selects and authorises together."""

from dataclasses import dataclass

from django.contrib.auth.models import Group
from django.db.models import Count, Q, QuerySet

from accounts.exceptions import NotFound
from accounts.models import PersonPermission, TeamPermission, User, permissions_on
from accounts.roles import Duty, Scope
from agents import permissions
from agents.models import ActionType, Agent, Credential, Mandate, TierChange


def visible_agents(user: User) -> QuerySet[Agent]:
    """Agents this person owns or manages; all of them for admins and auditors. The rule of `permissions.can_see`."""
    agents = Agent.objects.select_related("owner", "team").order_by("name")
    if user.reads_everything:
        return agents
    return agents.filter(
        Q(owner=user) | Q(pk__in=[*permissions.managed_ids(user), *permissions.ids(user, Duty.READ)])
    )


def agent_for(user: User, slug: str) -> Agent:
    """The agent, if this person may see it. Raises `NotFound`."""
    found = Agent.objects.select_related("owner", "team").filter(slug=slug).first()
    if found is None or not permissions.can_see(user, found):
        raise NotFound("There is no such agent, or it is not for you to see.")
    return found


def managed_agent(user: User, slug: str) -> Agent:
    """The agent, if this person may change it. Raises `NotFound`, or `NotAllowed` where he may only look."""
    found = agent_for(user, slug)
    permissions.check_can_manage(user, found)
    return found


def mandate_of(agent: Agent, action_type: str) -> Mandate:
    """Raises `NotFound`."""
    found = (
        agent.mandates.select_related("action_type", "agent").filter(action_type__name=action_type).first()
    )
    if found is None:
        raise NotFound("The agent has no mandate for this action type.")
    return found


def credential_of(agent: Agent, credential_id: int) -> Credential:
    """Raises `NotFound` for another agent's credential."""
    found = agent.credentials.filter(pk=credential_id).first()
    if found is None:
        raise NotFound("There is no such credential of this agent.")
    return found


def without_mandate(agent: Agent) -> QuerySet[ActionType]:
    """Action types a mandate could still be given for."""
    return ActionType.objects.exclude(mandates__agent=agent).order_by("domain", "label")


def tier_changes(agent: Agent, limit: int = 20) -> list[TierChange]:
    """Latest first."""
    changes = TierChange.objects.filter(mandate__agent=agent).select_related(
        "mandate__action_type", "changed_by"
    )
    return list(changes.order_by("-id")[:limit])


@dataclass(frozen=True, slots=True)
class Managers:
    """Who manages an agent besides its owner and the admins."""

    people: list[User]
    teams: list[Group]


def managers(agent: Agent) -> Managers:
    """By a role on the agent, its domain or everything."""
    on_agent = permissions_on(Duty.MANAGE, scope=Scope.AGENT, scope_id=agent.pk, domain=agent.domain)
    people = User.objects.filter(pk__in=PersonPermission.objects.filter(on_agent).values("user"))
    teams = Group.objects.filter(pk__in=TeamPermission.objects.filter(on_agent).values("group"))
    return Managers(list(people.order_by("name", "pk")), list(teams.order_by("name")))


def action_types(domain: str = "") -> QuerySet[ActionType]:
    """Action types with `agents`: how many live mandates name them."""
    found = ActionType.objects.select_related("reversible_by").annotate(
        agents=Count("mandates", filter=Q(mandates__active=True))
    )
    return (found.filter(domain=domain) if domain else found).order_by("domain", "label")


def action_type_named(name: str) -> ActionType:
    """Raises `NotFound`."""
    found = ActionType.objects.select_related("reversible_by").filter(name=name).first()
    if found is None:
        raise NotFound(f"There is no action type {name!r}.")
    return found


def domains() -> list[str]:
    return list(ActionType.objects.order_by("domain").values_list("domain", flat=True).distinct())
