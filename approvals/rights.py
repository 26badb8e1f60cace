"""Why somebody may do something: the role, through which team, given where, by whom, until when. And the other way
round, who may do one thing. Every right comes from `accounts.carried`; these only say it in words."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

from django.contrib.auth.models import Group
from django.utils import timezone

from accounts.carried import Carried, Joins, carried, joins_of
from accounts.models import RoleAssignment, TeamJoin, User
from accounts.roles import DUTIES_ON, Duty, Role, Scope
from agents.models import Agent, Credential
from approvals import places, separation
from approvals.places import Place

DOES = {
    Duty.REVIEW: "Decide proposals",
    Duty.LEAD: "Hand out work, settle disputes and appeals",
    Duty.MANAGE: "Manage agents",
    Duty.EDIT_POLICY: "Write and publish policy",
    Duty.WRITE_PROBES: "Keep the probe library",
    Duty.READ: "Read the record",
    Duty.ADMINISTER: "Look after people, permissions and settings",
}
THINGS = {
    Duty.REVIEW: Scope.QUEUE,
    Duty.LEAD: Scope.QUEUE,
    Duty.MANAGE: Scope.AGENT,
    Duty.EDIT_POLICY: Scope.DOMAIN,
    Duty.WRITE_PROBES: Scope.DOMAIN,
}
"""What a duty is about in the end; the other duties are about wherever they were given."""
MOST = 60
"""Things named under one way; the rest is counted."""


@dataclass(frozen=True, slots=True)
class Ground:
    """One reason why a holder has something: a role given to him or to one of his teams, a right that was set by hand,
    or that he is the agent's named owner. `place` is where it was given."""

    place: Place
    duties: tuple[Duty, ...]
    assignment: RoleAssignment | None = None
    team: Group | None = None
    join: TeamJoin | None = None
    is_owner: bool = False

    @property
    def role(self) -> Role | None:
        return Role(self.assignment.role) if self.assignment else None

    @property
    def label(self) -> str:
        if self.role is not None:
            return self.role.label
        return "Named owner" if self.is_owner else ", ".join(DOES[duty].lower() for duty in self.duties)

    @property
    def by_hand(self) -> bool:
        return self.assignment is None and not self.is_owner

    @property
    def source(self) -> str:
        return str(RoleAssignment.Source(self.assignment.source).label) if self.assignment else ""

    @property
    def approved_by(self) -> User | None:
        """Who answered the request it came from."""
        request: Any = getattr(self.assignment, "request", None) if self.assignment else None
        return request.answered_by if request is not None else None


def bears(duty: Duty, scope: Scope) -> bool:
    """Whether the duty means anything for a thing of this kind. Admins manage every agent."""
    return duty in DUTIES_ON[scope] or (duty is Duty.ADMINISTER and scope is Scope.AGENT)


def reaching(rights: Iterable[Carried], place: Place) -> list[Carried]:
    """Those of the rights that hold for the thing."""
    return [one for one in rights if bears(one.duty, place.scope) and place.reached_by(one)]


def grounds(
    rights: Iterable[Carried],
    *,
    of: User | Group,
    joins: Joins | None = None,
    known: dict[tuple[Scope, str], Place] | None = None,
) -> list[Ground]:
    """The rights of one holder, one ground for each role or hand-set thing; what was given nearest comes first.
    `known` are the places where they were given, when they have been looked up."""
    rights = list(rights)
    if known is None:
        known = places.named((one.scope, one.scope_id) for one in rights)
    grouped: dict[tuple[object, ...], list[Carried]] = {}
    for one in rights:
        what = one.assignment.pk if one.assignment else None
        grouped.setdefault((what, one.team.pk if one.team else None, one.scope, one.scope_id), []).append(one)
    found = []
    for some in grouped.values():
        one = some[0]
        team = one.team if isinstance(of, User) else None
        join = (joins or {}).get(team.pk, {}).get(of.pk) if team else None
        duties = tuple(duty for duty in Duty if duty in {each.duty for each in some})
        found.append(Ground(known[one.scope, one.scope_id], duties, one.assignment, team, join))
    return sorted(found, key=_nearness)


_NEAR = (Scope.AGENT, Scope.QUEUE, Scope.DOMAIN, Scope.EVERYTHING)


def _nearness(ground: Ground) -> tuple[int, bool, str, str]:
    role = ground.role or ""
    return (_NEAR.index(ground.place.scope), ground.team is not None, ground.place.name.casefold(), role)


@dataclass(frozen=True, slots=True)
class Holding:
    """A person's or a team's rights, read once: for the page about the holder and for one cell of the matrix."""

    holder: User | Group
    rights: list[Carried]
    joins: Joins
    known: dict[tuple[Scope, str], Place] | None = None

    def on(self, place: Place) -> list[Ground]:
        """Why the holder may do anything with the thing."""
        rights = reaching(self.rights, place)
        found = grounds(rights, of=self.holder, joins=self.joins, known=self.known)
        if isinstance(self.holder, User) and place.owner_id == self.holder.pk:
            found.insert(0, Ground(place, (Duty.MANAGE,), is_owner=True))
        return found

    def everywhere(self) -> list[Ground]:
        """All that was given, wherever."""
        return grounds(self.rights, of=self.holder, joins=self.joins, known=self.known)


def holding(holder: User | Group) -> Holding:
    if isinstance(holder, User):
        rights, joins = carried(person=holder), joins_of(people=[holder.pk])
    else:
        rights, joins = carried(teams=[holder.pk]), {}
    return Holding(holder, rights, joins, places.named((one.scope, one.scope_id) for one in rights))


# — What can this person do?


@dataclass(frozen=True, slots=True)
class Way:
    """One ground with the things it reaches; `more` of them are not named."""

    ground: Ground
    reaches: list[Place]
    more: int = 0


@dataclass(frozen=True, slots=True)
class Ability:
    duty: Duty
    ways: list[Way]

    @property
    def does(self) -> str:
        return DOES[self.duty]


def abilities(person: User) -> list[Ability]:
    """Everything a person may do, by duty, each with its ways. Who is deactivated may do nothing."""
    if not person.is_active:
        return []
    held = holding(person)
    things = {scope: places.all_of(scope) for scope in (Scope.QUEUE, Scope.AGENT, Scope.DOMAIN)}
    return [Ability(duty, ways) for duty in Duty if (ways := _ways(held, duty, things))]


def _ways(held: Holding, duty: Duty, things: dict[Scope, list[Place]]) -> list[Way]:
    asked = {duty, Duty.ADMINISTER} if duty is Duty.MANAGE else {duty}
    own = [one for one in held.rights if one.duty in asked]
    about = THINGS.get(duty)
    ways = []
    for ground in grounds(own, of=held.holder, joins=held.joins, known=held.known):
        reached = [] if about is None else [one for one in things[about] if _covers(ground.place, one)]
        ways.append(_cut(ground, reached))
    owned = [one for one in things[Scope.AGENT] if one.owner_id == held.holder.pk]
    if duty is Duty.MANAGE and owned:
        ways.insert(0, _cut(Ground(owned[0], (duty,), is_owner=True), owned))
    return ways


def _cut(ground: Ground, reached: list[Place]) -> Way:
    return Way(ground, reached[:MOST], max(0, len(reached) - MOST))


def _covers(given: Place, thing: Place) -> bool:
    if given.scope is Scope.EVERYTHING:
        return True
    if given.scope is Scope.DOMAIN:
        return bool(thing.domain) and thing.domain == given.key
    return (given.scope, given.key) == (thing.scope, thing.key)


@dataclass(frozen=True, slots=True)
class Barred:
    """An agent whose proposals somebody must not judge, though he may decide in queues (I8)."""

    agent: Agent
    why: str


def barred(person: User) -> list[Barred]:
    """What separation of duties shuts a person out from, as `separation` says; only the words are found here. A
    constant number of queries."""
    agents = list(Agent.objects.filter(pk__in=separation.conflicted_agent_ids(person)).order_by("name", "pk"))
    behind = separation.principals(person)
    registered = set(
        Credential.objects.filter(agent__in=agents, registered_by__in=behind).values_list(
            "agent", "registered_by"
        )
    )
    manages = person.held.reach(Duty.MANAGE)
    found = []
    for agent in agents:
        registrars = {who for about, who in registered if about == agent.pk}
        if agent.owner_id == person.pk:
            why = "owns it"
        elif person.pk in registrars:
            why = "registered a credential of it"
        elif manages.everywhere or agent.pk in manages.agents or agent.domain in manages.domains:
            why = "manages it, by a role or a team"
        elif agent.owner_id in behind:
            why = "speaks for its owner: stands in for him, or is another account of his"
        elif registrars:
            why = "speaks for somebody who registered a credential of it"
        else:
            why = "speaks for somebody who manages it"
        found.append(Barred(agent, why))
    return found


# — Who can do this?


@dataclass(frozen=True, slots=True)
class Able:
    """A person who may do one thing, with every reason for it."""

    person: User
    grounds: list[Ground]


@dataclass(slots=True)
class Who:
    """Active people who have a duty on a thing, by name; the rights and the teams that give it to them."""

    place: Place
    people: list[int] = field(default_factory=list)
    rights: dict[int, list[Carried]] = field(default_factory=dict)
    joins: Joins = field(default_factory=dict)

    def of(self, shown: Collection[int]) -> list[Able]:
        """One page of them, each with the grounds. The same number of queries for any number of people."""
        people = User.objects.in_bulk(list(shown))
        rights = [one for pk in shown for one in self.rights[pk]]
        known = places.named((one.scope, one.scope_id) for one in rights)
        return [
            Able(people[pk], Holding(people[pk], self.rights[pk], self.joins, known).on(self.place))
            for pk in shown
        ]


def duties_on(scope: Scope) -> list[Duty]:
    return [duty for duty in Duty if duty in DUTIES_ON[scope]]


def who_can(duty: Duty, place: Place) -> Who:
    """Who may do it there, through whatever team or role. The same number of queries for any number of people."""
    manages = duty is Duty.MANAGE and place.scope is Scope.AGENT
    asked = [duty, Duty.ADMINISTER] if manages else [duty]
    found = Who(place)
    reached = reaching(carried(duties=asked), place)
    found.joins = joins_of(teams={one.team.pk for one in reached if one.team})
    for one in reached:
        if one.person is not None:
            found.rights.setdefault(one.person.pk, []).append(one)
        elif one.team is not None:
            for person in found.joins.get(one.team.pk, {}):
                found.rights.setdefault(person, []).append(one)
    if manages and place.owner_id is not None:
        found.rights.setdefault(place.owner_id, [])
    active = User.objects.filter(pk__in=found.rights, is_active=True).order_by("name", "email")
    found.people = list(active.values_list("pk", flat=True))
    return found


@dataclass(frozen=True, slots=True)
class Shut:
    person: User
    why: str


def must_not_judge(place: Place) -> list[Shut]:
    """People who must not decide about an agent, whatever their roles (I8)."""
    agent = Agent.objects.filter(pk=place.key).first()
    if agent is None:
        return []
    registrars = set(Credential.objects.filter(agent=agent).values_list("registered_by", flat=True))
    answerable = separation.answerable(agent)
    shut = separation.who_must_not(agent, at=timezone.now())
    found = []
    for person in User.objects.filter(pk__in=shut, is_active=True).order_by("name", "email"):
        if person.pk == agent.owner_id:
            why = "owns it"
        elif person.pk in registrars:
            why = "registered a credential of it"
        elif person.pk in answerable:
            why = "manages it, by a role or a team"
        else:
            why = "speaks for somebody who answers for it: stands in for him, or is another account of his"
        found.append(Shut(person, why))
    return found
