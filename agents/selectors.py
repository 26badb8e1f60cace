"""What a person may see of agents, and what their pages show: one place that selects and authorises together."""

from dataclasses import dataclass

from django.contrib.auth.models import Group
from django.contrib.contenttypes.models import ContentType
from django.db.models import Count, Q, QuerySet
from guardian.models import GroupObjectPermission, UserObjectPermission

from accounts.exceptions import NotFound
from accounts.models import User
from agents import permissions
from agents.models import ActionType, Agent, Credential, Mandate, TierChange

MANAGE = "manage_agent"


def visible_agents(user: User) -> QuerySet[Agent]:
    """Agents this person owns or manages; all of them for admins and auditors. The rule of `permissions.can_see`."""
    agents = Agent.objects.select_related("owner", "team").order_by("name")
    if user.is_superuser or user.has_perm("audit.view_auditevent"):
        return agents
    return agents.filter(Q(owner=user) | Q(pk__in=_managed_ids(user)))


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
    on_agent = {
        "permission__codename": MANAGE,
        "permission__content_type": ContentType.objects.get_for_model(Agent),
        "object_pk": str(agent.pk),
    }
    people = UserObjectPermission.objects.filter(**on_agent).select_related("user")
    teams = GroupObjectPermission.objects.filter(**on_agent).select_related("group")
    return Managers([one.user for one in people], [one.group for one in teams])


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


def _managed_ids(user: User) -> set[int]:
    on_agents = {
        "permission__codename": MANAGE,
        "permission__content_type": ContentType.objects.get_for_model(Agent),
    }
    own = UserObjectPermission.objects.filter(user=user, **on_agents).values_list("object_pk", flat=True)
    team = GroupObjectPermission.objects.filter(group__user=user, **on_agents).values_list(
        "object_pk", flat=True
    )
    return {int(pk) for pk in [*own, *team]}
