"""The rights that are carried now, with the way each came: for pages that say who may do what, and why."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.contrib.auth.models import Group
from django.db.models import Q
from django.utils import timezone

from accounts.models import (
    SCOPES,
    PersonPermission,
    RoleAssignment,
    TeamPermission,
    User,
    live_at,
)
from accounts.roles import Duty, Scope


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


def carried(*, duties: Iterable[Duty] | None = None, person: User | None = None) -> list[Carried]:
    """Every live right, or those of one person (his own and his teams'). Two queries, whatever there is."""
    chosen = live_at(timezone.now(), through="assignment__") | Q(assignment=None)
    if duties is not None:
        chosen &= Q(permission__codename__in=[duty.value for duty in duties])
    with_all = ("permission__content_type", "assignment__given_by", "assignment__request")
    own = PersonPermission.objects.filter(chosen).select_related("user", *with_all)
    teams = TeamPermission.objects.filter(chosen).select_related("group", *with_all)
    if person is not None:
        own, teams = own.filter(user=person), teams.filter(group__user=person)
    found = [_read(row, person=row.user) for row in own.order_by("user__name", "pk")]
    found += [_read(row, team=row.group) for row in teams.order_by("group__name", "pk")]
    return [one for one in found if one is not None]


def _read(
    row: PersonPermission | TeamPermission, *, person: User | None = None, team: Group | None = None
) -> Carried | None:
    kind = row.permission.content_type
    scope = SCOPES.get((kind.app_label, kind.model))
    if scope is None or row.permission.codename not in Duty.__members__.values():
        return None
    scope_id = "" if scope is Scope.EVERYTHING else row.object_pk
    return Carried(Duty(row.permission.codename), scope, scope_id, person, team, row.assignment)
