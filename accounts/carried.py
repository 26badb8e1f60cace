"""The rights that are carried now, with the way each came: for pages that say who may do what, and why."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from django.contrib.auth.models import Group
from django.db.models import Q
from django.utils import timezone

from accounts.models import (
    SCOPES,
    Domain,
    PersonPermission,
    RoleAssignment,
    TeamJoin,
    TeamPermission,
    User,
    content_type_of,
    live_at,
)
from accounts.roles import Duty, Role, Scope


@dataclass(frozen=True, slots=True)
class Carried:
    """One duty of one holder on one thing. `assignment` is None for a right that was set by hand, past the pages."""

    duty: Duty
    scope: Scope
    scope_id: str
    person: User | None
    team: Group | None
    assignment: RoleAssignment | None

    @property
    def holder(self) -> User | Group:
        held = self.person or self.team
        assert held is not None
        return held

    def holds_for(self, scope: Scope, pk: object, domain: str) -> bool:
        """Whether it reaches one thing: itself, its domain, or everything."""
        if self.scope is Scope.EVERYTHING:
            return True
        if self.scope is Scope.DOMAIN:
            return bool(domain) and self.scope_id == domain
        return self.scope is scope and self.scope_id == str(pk)

    @property
    def role(self) -> Role | None:
        """The role it belongs to, or None for a right that was set by hand."""
        return Role(self.assignment.role) if self.assignment else None


Joins = dict[int, dict[int, TeamJoin | None]]


def carried(
    *,
    duties: Iterable[Duty] | None = None,
    person: User | None = None,
    people: Collection[int] | None = None,
    teams: Collection[int] | None = None,
) -> list[Carried]:
    """Every live right, or those of one person (his own and his teams'), or, for a page of many, the own ones of these
    `people` and `teams` (primary keys). Two queries, whatever there is."""
    chosen = live_at(timezone.now(), through="assignment__") | Q(assignment=None)
    if duties is not None:
        chosen &= Q(permission__codename__in=[duty.value for duty in duties])
    with_all = ("permission__content_type", "assignment__given_by", "assignment__request__answered_by")
    own = PersonPermission.objects.filter(chosen).select_related("user", *with_all)
    of_teams = TeamPermission.objects.filter(chosen).select_related("group", *with_all)
    if person is not None:
        own, of_teams = own.filter(user=person), of_teams.filter(group__user=person)
    if people is not None or teams is not None:
        own, of_teams = own.filter(user__in=people or []), of_teams.filter(group__in=teams or [])
    found = [_read(row, person=row.user) for row in own.order_by("user__name", "pk")]
    found += [_read(row, team=row.group) for row in of_teams.order_by("group__name", "pk")]
    return [one for one in found if one is not None]


def joins_of(*, people: Collection[int] | None = None, teams: Collection[int] | None = None) -> Joins:
    """Who is in which team, since when and by whom: team → person → its row, None for a membership older than those
    rows. Two queries."""
    rows, members = TeamJoin.objects.select_related("joined_by"), Group.user_set.through.objects.all()
    if people is not None:
        rows, members = rows.filter(person__in=people), members.filter(user__in=people)
    if teams is not None:
        rows, members = rows.filter(team__in=teams), members.filter(group__in=teams)
    known = {(row.team_id, row.person_id): row for row in rows}
    found: Joins = {}
    for team, person in members.values_list("group", "user"):
        found.setdefault(team, {})[person] = known.get((team, person))
    return found


def names(places: Iterable[tuple[Scope, str]]) -> dict[tuple[Scope, str], str]:
    """What queues, agents and domains are called, for apps below those that know them. A query for each kind of
    thing; what is gone keeps its key for a name."""
    wanted: dict[Scope, set[str]] = {}
    for scope, pk in places:
        wanted.setdefault(scope, set()).add(pk)
    found: dict[tuple[Scope, str], str] = {}
    for scope, pks in wanted.items():
        found |= {
            (scope, pk): scope.label if scope is Scope.EVERYTHING else str(Domain(slug=pk)) for pk in pks
        }
        model = content_type_of(scope).model_class() if scope in (Scope.QUEUE, Scope.AGENT) else None
        if model is not None:
            rows = model._default_manager.filter(pk__in=[pk for pk in pks if pk.isdecimal()])
            found |= {(scope, str(row.pk)): str(row) for row in rows}
    return found


def given_to_team(team: Group) -> list[tuple[Carried, str]]:
    """The team's roles, and rights set by hand, each once with the name of what it was given on."""
    once: dict[tuple[object, ...], Carried] = {}
    for one in carried(teams=[team.pk]):
        what = one.assignment.pk if one.assignment else one.duty
        once.setdefault((what, one.scope, one.scope_id), one)
    known = names((one.scope, one.scope_id) for one in once.values())
    found = [(one, known[one.scope, one.scope_id]) for one in once.values()]
    return sorted(found, key=lambda each: (list(Scope).index(each[0].scope), each[1].casefold()))


def roles_of_teams(teams: Collection[int]) -> dict[int, list[tuple[str, int]]]:
    """For a list of teams: the labels of their roles, and on how many things each was given."""
    given: dict[int, dict[str, set[object]]] = {}
    for one in carried(teams=teams):
        assert one.team is not None
        label = one.role.label if one.role else "Set by hand"
        given.setdefault(one.team.pk, {}).setdefault(label, set()).add((one.scope, one.scope_id))
    return {
        team: [(label, len(where)) for label, where in sorted(labels.items())]
        for team, labels in given.items()
    }


def _read(
    row: PersonPermission | TeamPermission, *, person: User | None = None, team: Group | None = None
) -> Carried | None:
    kind = row.permission.content_type
    scope = SCOPES.get((kind.app_label, kind.model))
    if scope is None or row.permission.codename not in Duty.__members__.values():
        return None
    scope_id = "" if scope is Scope.EVERYTHING else row.object_pk
    return Carried(Duty(row.permission.codename), scope, scope_id, person, team, row.assignment)
