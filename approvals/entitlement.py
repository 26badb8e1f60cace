"""Who was entitled to decide, and through what; who held the right and was shut out all the same, and why.

As of now from the tables that authority is read from, for the sheet of a vote; as of an earlier moment by undoing, from
the newest, what the audit log says has changed since (`as_of`)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.contrib.auth.models import Group
from django.db.models import Q

from accounts.models import (
    Absence,
    LinkedAccount,
    PersonPermission,
    RoleAssignment,
    TeamPermission,
    User,
    permissions_on,
)
from accounts.roles import Duty, Role, Scope
from agents.models import Agent, Credential
from approvals import permissions, separation
from approvals.models import Proposal, Vote
from audit import selectors as trail
from audit.events import Kind
from audit.models import AuditEvent

MOST = 100
"""So many names are kept of each list; the counts are complete."""
OWN = "a right of their own"
"""How somebody is entitled without a team."""


@dataclass(frozen=True, slots=True)
class Entitled:
    """One person who could decide: through his own grant, or a team's."""

    id: int
    name: str
    through: list[str]
    away_until: datetime | None = None
    stands_in: str = ""


@dataclass(frozen=True, slots=True)
class Excluded:
    """One person with the right who could not use it here."""

    id: int
    name: str
    why: str


@dataclass(frozen=True, slots=True)
class Entitlement:
    """`count` and `shut_out` count everybody; the lists hold the first `MOST` by name."""

    may: list[Entitled]
    count: int
    excluded: list[Excluded]
    shut_out: int


@dataclass(slots=True)
class _Rights:
    """Who holds the right on a queue, and what bears on whether he may use it, at one moment."""

    own: set[int]
    teams: dict[str, set[int]]
    members: dict[str, set[int]]
    inactive: set[int] | None
    owner: int
    registrars: set[int]
    voters: set[int]
    absences: list[tuple[int, int | None, datetime]] = field(default_factory=list)
    roles: Sequence[str] = ()
    managers: set[int] = field(default_factory=set)
    links: dict[int, set[int]] = field(default_factory=dict)
    owners_may: bool = False


def now(proposal: Proposal, *, at: datetime) -> Entitlement:
    """As of now, of a proposal in a queue; the votes are those on its current revision. Six queries."""
    return _weighed(_rights(proposal, at=at), proposal)


def as_of(proposal: Proposal, *, revision: int, at: datetime, voter: int = 0) -> Entitlement:
    """As of `at`, rebuilt: today's rights with every change that was recorded since taken back, the newest first.

    `voter` is who voted at that moment: his vote is a moment older than its event and shuts him out of nothing.

    What was changed past the audit log (by hand in the database) cannot be taken back and stays as it is today."""
    rights = _rights(proposal, at=at, revision=revision)
    rights.voters.discard(voter)
    _take_back(rights, proposal, at)
    return _weighed(rights, proposal)


def _rights(proposal: Proposal, *, at: datetime, revision: int | None = None) -> _Rights:
    queue = proposal.queue
    assert queue is not None
    on = permissions_on(Duty.REVIEW, scope=Scope.QUEUE, scope_id=queue.pk, domain=queue.domain)
    own = set(PersonPermission.objects.filter(on).values_list("user", flat=True))
    groups = TeamPermission.objects.filter(on).values("group")
    teams: dict[str, set[int]] = {}
    rows = Group.objects.filter(pk__in=groups).values_list("name", "user")
    for name, person in rows:
        teams.setdefault(name, set()).update([person] if person is not None else [])
    registrars = Credential.objects.filter(agent_id=proposal.agent_id, created_at__lte=at)
    votes = Vote.objects.filter(
        proposal=proposal, revision__number=revision or proposal.revision, voted_at__lt=at
    )
    absent = Absence.objects.at(at).values_list("person", "delegate", "ends_at")
    return _Rights(
        own=own,
        teams=teams,
        members={} if not proposal.roles else _members(proposal.roles),
        inactive=None,
        owner=proposal.agent.owner_id,
        registrars=set(registrars.values_list("registered_by", flat=True)),
        voters=set(votes.values_list("reviewer", flat=True)),
        absences=list(absent),
        roles=list(proposal.roles),
        managers=_managers(proposal.agent, at),
        links=_links(at),
        owners_may=separation.owners_may(proposal),
    )


def _managers(agent: Agent, at: datetime) -> set[int]:
    """Who managed the agent by a role at a moment, himself or by a team that he is in today."""
    held = RoleAssignment.objects.filter(
        Q(ended_at=None) | Q(ended_at__gt=at),
        Q(ends_at=None) | Q(ends_at__gt=at),
        Q(scope=Scope.EVERYTHING)
        | Q(scope=Scope.AGENT, scope_id=str(agent.pk))
        | Q(scope=Scope.DOMAIN, scope_id=agent.domain or "-"),
        role=Role.AGENT_OWNER,
        starts_at__lte=at,
    )
    members = User.groups.through.objects.filter(group__in=held.exclude(team=None).values("team"))
    own = held.exclude(person=None).values_list("person", flat=True)
    return {pk for pk in own if pk is not None} | set(members.values_list("user_id", flat=True))


def _links(at: datetime) -> dict[int, set[int]]:
    """Each account with the other accounts of the same human being, as far as they were linked at a moment."""
    found: dict[int, set[int]] = {}
    for first, second in LinkedAccount.objects.filter(linked_at__lte=at).values_list("first", "second"):
        found.setdefault(first, set()).add(second)
        found.setdefault(second, set()).add(first)
    return found


def _members(roles: Iterable[str]) -> dict[str, set[int]]:
    found: dict[str, set[int]] = {name: set() for name in roles}
    rows = User.groups.through.objects.filter(group__name__in=list(roles))
    for name, person in rows.values_list("group__name", "user_id"):
        found.setdefault(name, set()).add(person)
    return found


def _take_back(rights: _Rights, proposal: Proposal, at: datetime) -> None:
    """Undo, newest first, what was given, taken, joined and left since `at`."""
    for event in _given_and_taken(proposal, at):
        said = event.data.get("detail") or {}
        before = event.data.get("before") or {}
        had = before.get("reviews", before.get("holds", not said.get("allowed")))
        if said.get("kind") == "person" and str(said.get("to_id", "")).isdigit():
            _toggle(rights.own, int(said["to_id"]), was=had)
        elif said.get("kind") == "team" and had:
            team = User.groups.through.objects.filter(group__name=said["to"])
            rights.teams[said["to"]] = set(team.values_list("user_id", flat=True))
        elif said.get("kind") == "team":
            rights.teams.pop(said["to"], None)
    for event in trail.since("team", None, Kind.TEAM_CHANGED, at):
        said = event.data.get("detail") or {}
        if "member" not in said or not str(said.get("person_id", "")).isdigit():
            continue
        for where in (rights.teams, rights.members):
            if said["team"] in where:
                _toggle(where[said["team"]], int(said["person_id"]), was=not said["member"])
    for event in trail.since("agent", str(proposal.agent_id), Kind.AGENT_CHANGED, at):
        owner = (event.data.get("before") or {}).get("owner")
        if owner and str(owner).isdigit():
            rights.owner = int(owner)
    holders = rights.own.union(*rights.teams.values())
    inactive = set(User.objects.filter(pk__in=holders, is_active=False).values_list("pk", flat=True))
    for kind, was_active in ((Kind.PERSON_DEACTIVATED, True), (Kind.PERSON_REACTIVATED, False)):
        for event in trail.since("person", None, kind, at):
            if event.object_id.isdigit():
                _toggle(inactive, int(event.object_id), was=not was_active)
    rights.inactive = inactive


def _given_and_taken(proposal: Proposal, at: datetime) -> list[AuditEvent]:
    """Events about the right to review the queue: given on itself, on its domain or on everything. Newest first."""
    assert proposal.queue is not None
    found = list(trail.since("queue", proposal.queue.slug, Kind.REVIEWERS_ASSIGNED, at))
    places = [
        ("queue", proposal.queue.slug),
        ("domain", proposal.queue.domain),
        ("installation", "everything"),
    ]
    for kind in (Kind.ROLE_GIVEN, Kind.ROLE_ENDED):
        for type_, id_ in places:
            found += [
                event
                for event in trail.since(type_, id_, kind, at)
                if "review_queue" in (event.data.get("detail") or {}).get("duties", [])
            ]
    return sorted(found, key=lambda event: event.pk, reverse=True)


def _toggle(people: set[int], person: int, *, was: bool) -> None:
    (people.add if was else people.discard)(person)


def _weighed(rights: _Rights, proposal: Proposal) -> Entitlement:
    """Who is left of those who hold the right, in the order of the rules of `permissions.check_can_decide`."""
    through: dict[int, list[str]] = {pk: [OWN] for pk in sorted(rights.own)}
    for team in sorted(rights.teams):
        for pk in rights.teams[team]:
            through.setdefault(pk, []).append(team)
    known = set(through)
    if proposal.planted:
        known = permissions.without_who_know(known, proposal)
    people = User.objects.filter(pk__in=known).only("id", "name", "email", "is_active").order_by("name", "pk")
    stands_for: dict[int, set[int]] = {}
    away: dict[int, tuple[datetime | None, int | None]] = {}
    for person, delegate, ends_at in rights.absences:
        away[person] = (ends_at, delegate)
        if delegate is not None:
            stands_for.setdefault(delegate, set()).add(person)
    may: list[Entitled] = []
    excluded: list[Excluded] = []
    found = list(people)
    names = {one.pk: str(one) for one in found}
    for one in found:
        own = rights.links.get(one.pk, set())
        absent = set().union(*(stands_for.get(pk, set()) for pk in {one.pk, *own}))
        behind = absent.union(*(rights.links.get(pk, set()) for pk in absent))
        why = _why_not(one, rights, own, behind)
        if why:
            excluded.append(Excluded(one.pk, str(one), why))
            continue
        until, delegate = away.get(one.pk, (None, None))
        may.append(Entitled(one.pk, str(one), through[one.pk], until, names.get(delegate or 0, "")))
    return Entitlement(may[:MOST], len(may), excluded[:MOST], len(excluded))


def _why_not(person: User, rights: _Rights, own: set[int], behind: set[int]) -> str:
    """`own` are his other accounts, `behind` whom he or one of them stands in for."""
    pk = person.pk
    if (not person.is_active) if rights.inactive is None else (pk in rights.inactive):
        return "is deactivated"
    if not rights.owners_may and (conflict := _conflict(pk, rights, own, behind)):
        return conflict
    if rights.roles and not any(pk in rights.members.get(name, set()) for name in rights.roles):
        return f"is not a member of {' or '.join(rights.roles)}"
    if pk in rights.voters:
        return "had voted on this revision"
    if own & rights.voters:
        return "has another account that had voted"
    if behind & rights.voters:
        return "stands in for somebody who had voted"
    return ""


def _conflict(pk: int, rights: _Rights, own: set[int], behind: set[int]) -> str:
    """In the order of `separation.conflict`."""
    if pk == rights.owner:
        return "owns the agent"
    if pk in rights.registrars:
        return "registered a credential of the agent"
    if pk in rights.managers:
        return "manages the agent"
    answerable = {rights.owner, *rights.registrars, *rights.managers}
    if own & answerable:
        return "has another account that answers for the agent"
    if rights.owner in behind:
        return "stands in for the agent’s owner"
    if behind & rights.registrars:
        return "stands in for somebody who registered a credential"
    if behind & answerable:
        return "stands in for somebody who manages the agent"
    return ""
