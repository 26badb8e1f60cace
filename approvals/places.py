"""What a role can be given on: everything, the domains, queues and agents, as pages about permissions name them."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.urls import reverse

from accounts.carried import Carried
from accounts.exceptions import NotFound
from accounts.models import Domain, RoleAssignment
from accounts.roles import Scope
from agents.models import ActionType, Agent
from approvals.models import Policy, Queue

WHOLE = "-"
"""Stands in an address where everything has no key."""


@dataclass(frozen=True, slots=True)
class Place:
    """One thing. `key` is what an assignment's `scope_id` holds; `domain` is where it belongs. An agent has an owner,
    who manages it without any role."""

    scope: Scope
    key: str
    name: str
    domain: str = ""
    page: str = ""
    owner_id: int | None = None

    @property
    def in_address(self) -> str:
        return self.key or WHOLE

    @property
    def is_wide(self) -> bool:
        """Whether what is given here holds for other things as well."""
        return self.scope in (Scope.EVERYTHING, Scope.DOMAIN)

    @property
    def what(self) -> str:
        """Its kind and name, for a sentence."""
        return "everything" if self.scope is Scope.EVERYTHING else f"{self.scope.value} {self.name}"

    def reached_by(self, right: Carried) -> bool:
        return right.holds_for(self.scope, self.key, self.domain)


EVERYTHING = Place(Scope.EVERYTHING, "", "Everything")


def all_of(scope: Scope) -> list[Place]:
    """Every thing of this kind, by name. One query."""
    match scope:
        case Scope.QUEUE:
            return [_queue(row) for row in Queue.objects.order_by("name", "pk")]
        case Scope.AGENT:
            return [_agent(row) for row in Agent.objects.order_by("name", "pk")]
        case Scope.DOMAIN:
            return [_domain(slug) for slug in _domains()]
        case Scope.EVERYTHING:
            return [EVERYTHING]


def find(scope: str, key: str) -> Place:
    """The thing that an address names. Raises `NotFound`."""
    found: Place | None = None
    if scope == Scope.EVERYTHING and key == WHOLE:
        found = EVERYTHING
    elif scope == Scope.DOMAIN and key in _domains():
        found = _domain(key)
    elif scope in (Scope.QUEUE, Scope.AGENT) and key.isascii() and key.isdecimal() and len(key) < 19:
        found = named([(Scope(scope), key)]).get((Scope(scope), key))
    if found is None or (found is not EVERYTHING and not found.page):
        raise NotFound("There is nothing of this kind to give a role on.")
    return found


def named(keys: Iterable[tuple[Scope, str]]) -> dict[tuple[Scope, str], Place]:
    """Things by kind and key, what is gone by its key alone. At most one query for queues and one for agents."""
    wanted: dict[Scope, set[str]] = {scope: set() for scope in Scope}
    for scope, key in keys:
        wanted[scope].add(key)
    found = {(scope, key): _gone(scope, key) for scope, some in wanted.items() for key in some}
    found |= {(Scope.DOMAIN, slug): _domain(slug) for slug in wanted[Scope.DOMAIN]}
    found[Scope.EVERYTHING, ""] = EVERYTHING
    if pks := _numbers(wanted[Scope.QUEUE]):
        found |= {(Scope.QUEUE, str(row.pk)): _queue(row) for row in Queue.objects.filter(pk__in=pks)}
    if pks := _numbers(wanted[Scope.AGENT]):
        found |= {(Scope.AGENT, str(row.pk)): _agent(row) for row in Agent.objects.filter(pk__in=pks)}
    return found


def of_assignment(one: RoleAssignment) -> tuple[Scope, str]:
    return Scope(one.scope), one.scope_id


def _numbers(keys: Iterable[str]) -> list[int]:
    return [int(key) for key in keys if key.isdecimal()]


def _domains() -> list[str]:
    """Every domain that anything names, once each."""
    tables = (Queue.objects, Agent.objects, ActionType.objects, Policy.objects)
    rows = [table.exclude(domain="").order_by().values_list("domain", flat=True) for table in tables]
    own = Domain.objects.order_by().values_list("slug", flat=True)
    return sorted(own.union(*rows))


def _queue(row: Queue) -> Place:
    page = reverse("approvals:queue_settings", args=[row.slug])
    return Place(Scope.QUEUE, str(row.pk), row.name, row.domain, page)


def _agent(row: Agent) -> Place:
    page = reverse("approvals:agent", args=[row.slug])
    return Place(Scope.AGENT, str(row.pk), row.name, row.domain, page, row.owner_id)


def _domain(slug: str) -> Place:
    return Place(Scope.DOMAIN, slug, str(Domain(slug=slug)), slug, reverse("approvals:policy_list"))


def _gone(scope: Scope, key: str) -> Place:
    return Place(scope, key, f"{scope.label} {key} (gone)")
