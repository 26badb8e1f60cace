"""What a person may do, read in one query from guardian's object permissions, his own and those of his teams.

This is the one place that reads and writes them. What has run out counts for nothing from that very moment, whether
or not anybody has swept it up (I10)."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.contrib.auth.models import Group, Permission
from django.contrib.contenttypes.models import ContentType
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from accounts.models.access import (
    Domain,
    Installation,
    PersonPermission,
    RoleAssignment,
    TeamPermission,
    live_at,
)
from accounts.once import once
from accounts.roles import ROLES, Duty, Role, Scope

if TYPE_CHECKING:
    from accounts.models.people import User

SCOPES = {
    ("accounts", "installation"): Scope.EVERYTHING,
    ("accounts", "domain"): Scope.DOMAIN,
    ("approvals", "queue"): Scope.QUEUE,
    ("agents", "agent"): Scope.AGENT,
}
"""What a permission is attached to, by the content type of the thing."""


@dataclass(frozen=True, slots=True)
class Reach:
    """Where one duty holds: for everything, for domains (slugs), for queues and agents (primary keys)."""

    everywhere: bool = False
    domains: frozenset[str] = frozenset()
    queues: frozenset[int] = frozenset()
    agents: frozenset[int] = frozenset()

    def __bool__(self) -> bool:
        return self.everywhere or bool(self.domains or self.queues or self.agents)

    def on_queues(self, *, through: str = "") -> Q:
        """Queues it holds for, as a filter; `through` leads to them (`"queue__"`)."""
        return self._filter(self.queues, through)

    def on_agents(self, *, through: str = "") -> Q:
        """Agents it holds for, likewise."""
        return self._filter(self.agents, through)

    def has_domain(self, domain: str) -> bool:
        return self.everywhere or domain in self.domains

    def covers_agent(self, pk: int, domain: str) -> bool:
        return self.everywhere or pk in self.agents or (bool(domain) and domain in self.domains)

    def _filter(self, ids: frozenset[int], through: str) -> Q:
        if self.everywhere:
            return Q(**{f"{through}pk__isnull": False})  # an empty Q would vanish from an "or"
        if not ids and not self.domains:
            return Q(pk__in=[])
        found = Q(**{f"{through}pk__in": sorted(ids)})
        if self.domains:
            found |= Q(**{f"{through}domain__in": sorted(self.domains)})
        return found


NOWHERE = Reach()


@dataclass(frozen=True, slots=True, order=True)
class Elevation:
    """A role that was asked for by the hour, while it lasts."""

    ends_at: datetime
    role: Role
    scope: Scope
    scope_id: str


@dataclass(frozen=True, slots=True)
class Held:
    """Everything a person may do, by duty; and which of it is his for some hours only, the first to end first."""

    reaches: Mapping[Duty, Reach]
    elevations: tuple[Elevation, ...] = ()

    def reach(self, duty: Duty) -> Reach:
        return self.reaches.get(duty, NOWHERE)

    @property
    def is_admin(self) -> bool:
        return self.reach(Duty.ADMINISTER).everywhere

    @property
    def reads_everything(self) -> bool:
        """Admins, and auditors of everything."""
        return self.is_admin or self.reach(Duty.READ).everywhere

    @property
    def keeps_probes(self) -> bool:
        """Admins, and probe authors of any domain."""
        return self.is_admin or bool(self.reach(Duty.WRITE_PROBES))

    @property
    def answers_appeals(self) -> bool:
        """Admins, and senior reviewers of any queue."""
        return self.is_admin or bool(self.reach(Duty.LEAD))


NOTHING = Held({})
_CODENAMES = frozenset(duty.value for duty in Duty)


def held_by(user: "User") -> Held:
    """One query. Who is deactivated holds nothing."""
    if user.pk is None or not user.is_active:
        return NOTHING
    return once("held", user.pk, lambda: _held_by(user))


def reach_of(people: Collection[int], duty: Duty) -> Reach:
    """Where any of these people has a duty. One query."""
    return _read(people, [duty]).reach(duty) if people else NOWHERE


def _held_by(user: "User") -> Held:
    return _read([user.pk], list(Duty))


def _read(people: Collection[int], duties: Collection[Duty]) -> Held:
    live = Q(assignment=None) | live_at(timezone.now(), through="assignment__")
    columns = (
        "permission__codename",
        "permission__content_type__app_label",
        "permission__content_type__model",
        "object_pk",
        "assignment__source",
        "assignment__role",
        "assignment__ends_at",
    )
    live &= Q(permission__codename__in=[duty.value for duty in duties])
    own = PersonPermission.objects.filter(live, user__in=people).values_list(*columns)
    teams = TeamPermission.objects.filter(live, group__user__in=people).values_list(*columns)
    found: dict[Duty, dict[Scope, set[str]]] = {}
    elevations: set[Elevation] = set()
    for codename, app, model, pk, source, role, ends_at in own.union(teams):
        scope = SCOPES.get((app, model))
        if scope is None or codename not in _CODENAMES:
            continue
        found.setdefault(Duty(codename), {}).setdefault(scope, set()).add(pk)
        if source == RoleAssignment.Source.ELEVATION and ends_at is not None:
            elevations.add(Elevation(ends_at, Role(role), scope, pk))
    return Held({duty: _reach(scopes) for duty, scopes in found.items()}, tuple(sorted(elevations)))


def _reach(scopes: Mapping[Scope, set[str]]) -> Reach:
    return Reach(
        everywhere=Scope.EVERYTHING in scopes,
        domains=frozenset(scopes.get(Scope.DOMAIN, ())),
        queues=frozenset(int(pk) for pk in scopes.get(Scope.QUEUE, ())),
        agents=frozenset(int(pk) for pk in scopes.get(Scope.AGENT, ())),
    )


def assign_role(
    role: Role,
    *,
    to: "User | Group",
    scope: Scope = Scope.EVERYTHING,
    scope_id: str = "",
    source: str = RoleAssignment.Source.PAGE,
    given_by: "User | None" = None,
    reason: str = "",
    ends_at: datetime | None = None,
) -> tuple[RoleAssignment, bool]:
    """A step of giving a role: the assignment and the object permissions that carry it. Returns it, and whether it is
    new. One that has run out makes room; the same one again changes nothing. Its event is the caller's business."""
    with transaction.atomic():
        holder = {"team": to, "person": None} if isinstance(to, Group) else {"person": to, "team": None}
        where = {"scope": scope, "scope_id": scope_id}
        now = timezone.now()
        for present in RoleAssignment.objects.select_for_update(no_key=True).filter(
            role=role, ended_at=None, **holder, **where
        ):
            if present.ends_at is None or present.ends_at > now:
                return present, False
            end_role(present, why="ran out", at=now)
        assignment = RoleAssignment.objects.create(
            role=role, source=source, given_by=given_by, reason=reason, ends_at=ends_at, starts_at=now, given_at=now,
            **holder, **where,
        )  # fmt: skip
        _carry(assignment)
        return assignment, True


def end_role(assignment: RoleAssignment, *, why: str, at: datetime, by: "User | None" = None) -> None:
    """A step of taking a role back, on a locked assignment: its object permissions go, the row stays as history."""
    table = PersonPermission if assignment.team_id is None else TeamPermission
    table.objects.filter(assignment=assignment).delete()
    assignment.ended_at, assignment.ended_by, assignment.ended_why = at, by, why[:300]
    assignment.save(update_fields=["ended_at", "ended_by", "ended_why"])


def _carry(assignment: RoleAssignment) -> None:
    scope = Scope(assignment.scope)
    if scope is Scope.EVERYTHING:
        Installation.objects.get_or_create(pk=1)
    elif scope is Scope.DOMAIN:
        Domain.objects.get_or_create(slug=assignment.scope_id)
    content_type = content_type_of(scope)
    codenames = [duty.value for duty in ROLES[Role(assignment.role)].duties]
    carried = {
        "content_type": content_type,
        "object_pk": assignment.scope_id or "1",
        "assignment": assignment,
    }
    for permission in Permission.objects.filter(content_type=content_type, codename__in=codenames):
        if assignment.team_id is None:
            PersonPermission.objects.create(user_id=assignment.person_id, permission=permission, **carried)
        else:
            TeamPermission.objects.create(group_id=assignment.team_id, permission=permission, **carried)


def content_type_of(scope: Scope) -> ContentType:
    """The content type of the things a scope names."""
    app, model = next(names for names, one in SCOPES.items() if one is scope)
    return ContentType.objects.get_by_natural_key(app, model)


def holders(duty: Duty, *, scope: Scope, scope_id: object = "", domain: str = "") -> Q:
    """People who have the duty on one thing now, as a filter on people: given on itself, on its `domain`, or on
    everything; by a right of their own or a team's."""
    carried = permissions_on(duty, scope=scope, scope_id=scope_id, domain=domain)
    own = PersonPermission.objects.filter(carried).values("user")
    teams = Group.user_set.through.objects.filter(
        group__in=TeamPermission.objects.filter(carried).values("group")
    )
    return Q(pk__in=own) | Q(pk__in=teams.values("user"))


def permissions_on(duty: Duty, *, scope: Scope, scope_id: object = "", domain: str = "") -> Q:
    """The live object permissions by which somebody has the duty on one thing, as a filter on either table."""
    places = Q(permission__content_type=content_type_of(Scope.EVERYTHING))
    if domain:
        places |= Q(permission__content_type=content_type_of(Scope.DOMAIN), object_pk=domain)
    if scope is not Scope.EVERYTHING:
        places |= Q(permission__content_type=content_type_of(scope), object_pk=str(scope_id))
    live = Q(assignment=None) | live_at(timezone.now(), through="assignment__")
    return Q(permission__codename=duty.value) & places & live


def mark_used(user: "User", duty: Duty, *, scope: Scope, scope_id: object = "", domain: str = "") -> None:
    """Note that the person has just used a right, at most once an hour for each assignment it came by.

    Reviews of access tell by it what nobody uses. It waits for nobody: an assignment that another transaction marks
    is marked already. Needs the caller's transaction."""
    carried = permissions_on(duty, scope=scope, scope_id=scope_id, domain=domain)
    own = PersonPermission.objects.filter(carried, user_id=user.pk).values("assignment")
    teams = TeamPermission.objects.filter(carried, group__user=user.pk).values("assignment")
    now = timezone.now()
    stale = RoleAssignment.objects.filter(
        Q(last_used_at=None) | Q(last_used_at__lt=now - timedelta(hours=1)),
        Q(pk__in=own) | Q(pk__in=teams),
    )
    found = list(
        stale.select_for_update(skip_locked=True, of=("self",), no_key=True).values_list("pk", flat=True)
    )
    if found:
        RoleAssignment.objects.filter(pk__in=found).update(last_used_at=now)
