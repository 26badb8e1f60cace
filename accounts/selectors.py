"""People and teams for lists and choices."""

from dataclasses import dataclass

from django.contrib.auth.models import Group
from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from accounts.models import Absence, RoleAssignment, User, live_at
from accounts.roles import Role, Scope


def people(*, query: str = "", state: str = "active") -> QuerySet[User]:
    """People by name, with their teams, and `audits`, `administers` on each (by a role of their own). `state` is
    active, inactive or all."""
    now = timezone.now()
    own = RoleAssignment.objects.filter(live_at(now), person=OuterRef("pk"), scope=Scope.EVERYTHING)
    found = User.objects.annotate(
        audits=Exists(own.filter(role=Role.AUDITOR)), administers=Exists(own.filter(role=Role.ADMIN))
    ).prefetch_related("groups")
    if state in ("active", "inactive"):
        found = found.filter(is_active=state == "active")
    if query:
        found = found.filter(Q(name__icontains=query) | Q(email__icontains=query))
    return found.order_by("name", "email")


def active_people() -> QuerySet[User]:
    """Whom one may choose: everybody who can sign in."""
    return User.objects.filter(is_active=True).order_by("name", "email")


def teams(*, query: str = "") -> QuerySet[Group]:
    """Teams by name, with `members` counting active people."""
    found = Group.objects.annotate(members=Count("user", filter=Q(user__is_active=True)))
    return (found.filter(name__icontains=query) if query else found).order_by("name")


def members(team: Group) -> QuerySet[User]:
    return User.objects.filter(groups=team).order_by("name", "email")


def people_with(role: Role) -> Q:
    """People to whom a role was given on anything, themselves or by a team, as a filter on people."""
    live = RoleAssignment.objects.filter(live_at(timezone.now()), role=role)
    teams = live.exclude(team=None).values("team")
    return Q(pk__in=live.exclude(person=None).values("person")) | Q(
        pk__in=User.objects.filter(groups__in=teams).values("pk")
    )


def teams_with(role: Role) -> Q:
    """Teams to which a role was given on anything, as a filter on teams."""
    live = RoleAssignment.objects.filter(live_at(timezone.now()), role=role)
    return Q(pk__in=live.exclude(team=None).values("team"))


@dataclass(frozen=True, slots=True)
class Past:
    """What of the history of roles somebody asks for; None or empty: all of it."""

    person: User | None = None
    team: Group | None = None
    scope: Scope | None = None
    scope_id: str = ""
    role: str = ""
    state: str = ""


def assignments(past: Past) -> QuerySet[RoleAssignment]:
    """Roles given and ended, the latest first. A person's are his own and those of teams he is in."""
    now = timezone.now()
    found = RoleAssignment.objects.select_related(
        "person", "team", "given_by", "ended_by", "confirmed_by", "request__answered_by"
    )
    if past.person is not None:
        found = found.filter(Q(person=past.person) | Q(team__in=past.person.groups.all()))
    if past.team is not None:
        found = found.filter(team=past.team)
    if past.scope is not None:
        found = found.filter(scope=past.scope)
    if past.scope_id:
        found = found.filter(scope_id=past.scope_id)
    if past.role:
        found = found.filter(role=past.role)
    if past.state:
        live = live_at(now)
        found = found.filter(live) if past.state == "live" else found.exclude(live)
    return found.order_by("-given_at", "-pk")


def absences_of(user: User) -> QuerySet[Absence]:
    """His own, the latest first."""
    return Absence.objects.filter(person=user).select_related("delegate").order_by("-starts_at")


def stood_in_for(user: User) -> QuerySet[Absence]:
    """Absences, present and coming, for which this person is the delegate."""
    found = Absence.objects.filter(delegate=user, ends_at__gt=timezone.now(), person__is_active=True)
    return found.select_related("person").order_by("starts_at")


def coming_absences() -> QuerySet[Absence]:
    """Everybody who is away now or will be."""
    found = Absence.objects.filter(ends_at__gt=timezone.now(), person__is_active=True)
    return found.select_related("person", "delegate").order_by("starts_at", "person__name")
