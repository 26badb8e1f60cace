"""People and teams for lists and choices."""

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


def teams() -> QuerySet[Group]:
    """Teams by name, with `members` counting active people."""
    return Group.objects.annotate(members=Count("user", filter=Q(user__is_active=True))).order_by("name")


def members(team: Group) -> QuerySet[User]:
    return User.objects.filter(groups=team).order_by("name", "email")


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
