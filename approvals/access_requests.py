"""What roles are given on, by name; and the requests for access that a person may see or answer."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from accounts.exceptions import NotAllowed
from accounts.models import AccessRequest, PendingChange, RoleAssignment, User
from accounts.roles import Duty, Role, Scope
from accounts.second_person import What
from agents.models import ActionType, Agent, AgentState, Mandate
from approvals import separation
from approvals.models import Queue

SHOWN = 50
Named = Mapping[tuple[str, str], str]
"""Names of things by scope and what an assignment holds of them."""


@dataclass(frozen=True, slots=True)
class Place:
    """What a role may be asked for on. `value` is its name in a form and an address: `queue:refunds`."""

    scope: Scope
    scope_id: str
    name: str
    value: str


EVERYTHING = Place(Scope.EVERYTHING, "", "Everything", "everything")


def places(user: User) -> dict[str, list[Place]]:
    """Everything this person can ask for a role on, by kind. Names of queues and domains are no secret among people who
    can sign in: policies name them, and everybody reads policies. Agents are named to who meets them."""
    domains = sorted(_domains())
    queues = Queue.objects.order_by("name").values_list("pk", "slug", "name")
    agents = _agents_met_by(user).order_by("name")
    return {
        "Queues": [Place(Scope.QUEUE, str(pk), name, f"queue:{slug}") for pk, slug, name in queues],
        "Agents": [
            Place(Scope.AGENT, str(pk), name, f"agent:{slug}")
            for pk, slug, name in agents.values_list("pk", "slug", "name")
        ],
        "Domains": [Place(Scope.DOMAIN, slug, domain_name(slug), f"domain:{slug}") for slug in domains],
        "Everything": [EVERYTHING],
    }


def _agents_met_by(user: User) -> QuerySet[Agent]:
    """Agents that he manages or reads, and those that work in a domain where he holds anything."""
    agents = Agent.objects.exclude(state=AgentState.RETIRED)
    if user.reads_everything:
        return agents
    met, domains, queues = Q(owner=user), set[str](), set[int]()
    for duty in Duty:
        reach = user.held.reach(duty)
        if reach.everywhere:
            return agents
        domains |= reach.domains
        queues |= reach.queues
        met |= Q(pk__in=reach.agents)
    domains |= set(Queue.objects.filter(pk__in=queues).values_list("domain", flat=True))
    named = domains - {""}
    works = Mandate.objects.filter(agent=OuterRef("pk"), action_type__domain__in=named)
    return agents.filter(met | Q(domain__in=named) | Exists(works))


def domain_name(slug: str) -> str:
    return slug.replace("_", " ").capitalize()


def _domains() -> set[str]:
    found = {
        *Queue.objects.values_list("domain", flat=True),
        *ActionType.objects.values_list("domain", flat=True),
    }
    return {slug for slug in found if slug}


def exists(scope: Scope, scope_id: str) -> bool:
    """Whether it is still there (and an agent not retired) when the role is given."""
    match scope:
        case Scope.QUEUE:
            return Queue.objects.filter(pk=scope_id).exists()
        case Scope.AGENT:
            return Agent.objects.filter(pk=scope_id).exclude(state=AgentState.RETIRED).exists()
        case _:
            return True


def names(pairs: Iterable[tuple[str, str]]) -> Named:
    """The names of these things, in two queries at most."""
    wanted = set(pairs)
    queues = [pk for scope, pk in wanted if scope == Scope.QUEUE]
    agents = [pk for scope, pk in wanted if scope == Scope.AGENT]
    found: dict[tuple[str, str], str] = {}
    if queues:
        rows = Queue.objects.filter(pk__in=queues).values_list("pk", "name")
        found |= {(str(Scope.QUEUE), str(pk)): name for pk, name in rows}
    if agents:
        owned = Agent.objects.filter(pk__in=agents).values_list("pk", "name")
        found |= {(str(Scope.AGENT), str(pk)): name for pk, name in owned}
    for scope, pk in wanted:
        if scope == Scope.DOMAIN:
            found[scope, pk] = domain_name(pk)
        elif scope == Scope.EVERYTHING:
            found[scope, pk] = "everything"
    return found


def where(scope: str, scope_id: str, named: Named) -> str:
    """A place after a role: “on the queue Refunds”, “for everything”."""
    if scope == Scope.EVERYTHING:
        return "for everything"
    name = named.get((str(scope), scope_id))
    kind = Scope(scope).label.lower()
    return f"on the {kind} {name}" if name is not None else f"on the {kind} {scope_id}, which is gone"


def where_is(scope: str, scope_id: str) -> str:
    return where(scope, scope_id, names([(scope, scope_id)]))


# ── Requests ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def still_open() -> QuerySet[AccessRequest]:
    return AccessRequest.objects.filter(
        answered_at=None, withdrawn_at=None, expires_at__gt=timezone.now()
    ).select_related("person")


def own(user: User) -> QuerySet[AccessRequest]:
    """His own, the latest first."""
    found = AccessRequest.objects.filter(person=user).select_related("answered_by", "assignment")
    return found.order_by("-asked_at")[:SHOWN]


def to_answer(user: User) -> QuerySet[AccessRequest]:
    """Open ones that this person may answer, the oldest first: who may and who may not, in one place."""
    theirs = Q(pk__in=[])
    if user.is_active and user.is_admin:
        theirs = Q()
    elif user.is_active:
        owned = [str(pk) for pk in Agent.objects.filter(owner=user).values_list("pk", flat=True)]
        if owned:
            theirs = Q(role=Role.AGENT_OWNER, scope=Scope.AGENT, scope_id__in=owned)
    return still_open().filter(theirs).exclude(person__in=separation.principals(user)).order_by("asked_at")


def answered(user: User) -> QuerySet[AccessRequest]:
    """The latest that are settled, for who reads everything."""
    if not user.reads_everything:
        return AccessRequest.objects.none()
    settled = AccessRequest.objects.exclude(answered_at=None, withdrawn_at=None)
    return settled.select_related("person", "answered_by").order_by("-asked_at")[:SHOWN]


def seconds_waiting(requests: Iterable[AccessRequest]) -> dict[int, PendingChange]:
    """For requests that one admin has approved and a second one has to: the change that waits. One query."""
    changes = PendingChange.objects.filter(
        what=What.ROLE, answered_at=None, expires_at__gt=timezone.now(), payload__request__isnull=False
    ).select_related("asked_by")
    wanted = {asked.pk for asked in requests}
    return {change.payload["request"]: change for change in changes if change.payload["request"] in wanted}


def answerers(asked: AccessRequest) -> set[int]:
    """Who may answer it, to be told: admins, and for managing an agent its owner; without whoever is on his side."""
    people = set(User.objects.admins().values_list("pk", flat=True))
    if asked.role == Role.AGENT_OWNER and asked.scope == Scope.AGENT:
        people |= set(
            Agent.objects.filter(pk=asked.scope_id, owner__is_active=True).values_list("owner_id", flat=True)
        )
    return people - separation.speaking_for([asked.person_id], at=timezone.now())


def check_can_answer(user: User, asked: AccessRequest) -> None:
    """Admins, and for managing an agent its owner; never the asker, another account of his, or his delegate."""
    owns = (
        asked.role == Role.AGENT_OWNER
        and asked.scope == Scope.AGENT
        and Agent.objects.filter(pk=asked.scope_id, owner=user).exists()
    )
    if not (user.is_active and (user.is_admin or owns)):
        raise NotAllowed("Admins answer requests for access; for managing an agent, its owner, too.")
    check_somebody_else(user, asked.person)


def check_somebody_else(user: User, asker: User) -> None:
    """Two people are two people: no second account of one, and nobody's delegate."""
    if user.pk == asker.pk:
        raise NotAllowed("You asked for it yourself: somebody else answers.")
    behind = separation.behind(user.pk, at=timezone.now())
    if asker.pk in separation.linked([user.pk]):
        raise NotAllowed(f"{asker} is another account of yours: somebody else answers.")
    if asker.pk in behind:
        raise NotAllowed(f"You stand in for {asker}: somebody else answers.")


def holds(person: User, role: Role, scope: Scope, scope_id: str) -> bool:
    """Whether he holds this very role there by himself, now or from a later moment on."""
    live = Q(ends_at=None) | Q(ends_at__gt=timezone.now())
    return RoleAssignment.objects.filter(
        live, person=person, role=role, scope=scope, scope_id=scope_id, ended_at=None
    ).exists()


def has_open(person: User) -> QuerySet[AccessRequest]:
    return still_open().filter(person=person)
