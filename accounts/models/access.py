"""Who may do what: role assignments, carried by django-guardian's object permissions, and memberships of teams."""

from datetime import datetime
from typing import Any, ClassVar

from django.conf import settings
from django.contrib.auth.models import Group
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from guardian.models import GroupObjectPermissionAbstract, UserObjectPermissionAbstract

from accounts.roles import DUTIES_ON, Role, Scope


def _permissions(scope: Scope) -> list[tuple[str, Any]]:
    return [(duty.value, duty.name.replace("_", " ").capitalize()) for duty in sorted(DUTIES_ON[scope])]


class Domain(models.Model):
    """A part of the business (`customer_operations`): what a role given on it is attached to.

    Queues, policies, action types and agents name their domain by this slug."""

    slug = models.SlugField(max_length=60, primary_key=True)

    class Meta:
        permissions = _permissions(Scope.DOMAIN)

    def __str__(self) -> str:
        return self.slug.replace("_", " ").capitalize()


class Installation(models.Model):
    """One row: what a role for everything is attached to."""

    id = models.SmallIntegerField(primary_key=True, default=1)

    class Meta:
        permissions = _permissions(Scope.EVERYTHING)
        constraints = [models.CheckConstraint(condition=Q(id=1), name="one_installation")]

    def __str__(self) -> str:
        return "Everything"


def live_at(moment: datetime, *, through: str = "") -> Q:
    """Assignments that hold at this moment; `through` leads to them (`"assignment__"`)."""
    return (
        Q(**{f"{through}ended_at": None, f"{through}starts_at__lte": moment})
        & (Q(**{f"{through}ends_at": None}) | Q(**{f"{through}ends_at__gt": moment}))
    )  # fmt: skip


class RoleAssignment(models.Model):
    """A role given to a person or a team on something, from `starts_at` until `ends_at` (None: open).

    It is never deleted: `ended_at` says that it was taken back or ran out, and the history stays. `scope_id` is the
    slug of a domain, the primary key of a queue or an agent, and empty for everything."""

    class Source(models.TextChoices):
        PAGE = "page", "given by an admin"
        REQUEST = "request", "asked for and approved"
        ELEVATION = "elevation", "for a limited time"
        DIRECTORY = "directory", "from the company's directory"
        SETUP = "setup", "set up by a file or command"
        EARLIER = "earlier", "from an earlier release"

    role = models.CharField(max_length=20, choices=[(role.value, role.label) for role in Role])
    person = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, null=True, related_name="assignments"
    )
    team = models.ForeignKey(Group, models.CASCADE, null=True, related_name="assignments")
    scope = models.CharField(max_length=12, choices=[(scope.value, scope.label) for scope in Scope])
    scope_id = models.CharField(max_length=60, blank=True)
    reason = models.CharField(max_length=300, blank=True)
    source = models.CharField(max_length=12, choices=Source, default=Source.PAGE)
    starts_at = models.DateTimeField(default=timezone.now)
    ends_at = models.DateTimeField(null=True)
    given_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    given_at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True)
    ended_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    ended_why = models.CharField(max_length=300, blank=True)
    last_used_at = models.DateTimeField(null=True)
    confirmed_at = models.DateTimeField(null=True)
    confirmed_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(person__isnull=True) ^ Q(team__isnull=True), name="assignment_has_one_holder"
            ),
            models.CheckConstraint(
                condition=Q(ends_at=None) | Q(ends_at__gt=F("starts_at")), name="assignment_ends_after_start"
            ),
            models.CheckConstraint(
                condition=Q(scope="everything", scope_id="") | (~Q(scope="everything") & ~Q(scope_id="")),
                name="assignment_names_its_scope",
            ),
            models.UniqueConstraint(
                fields=["role", "person", "team", "scope", "scope_id"],
                condition=Q(ended_at=None),
                nulls_distinct=False,
                name="one_assignment_at_a_time",
            ),
        ]
        indexes = [
            models.Index(fields=["ends_at"], condition=Q(ended_at=None), name="assignment_runs_out"),
            models.Index(fields=["scope", "scope_id"], condition=Q(ended_at=None), name="assignment_on"),
        ]

    def __str__(self) -> str:
        return f"{self.holder}: {Role(self.role).label}"

    @property
    def holder(self) -> Any:
        """The person or the team."""
        return self.person if self.person_id is not None else self.team

    @property
    def is_live(self) -> bool:
        now = timezone.now()
        return (
            self.ended_at is None and self.starts_at <= now and (self.ends_at is None or self.ends_at > now)
        )


class PersonPermission(UserObjectPermissionAbstract):
    """guardian's object permission of a person. Without an assignment it was set by hand, and pages say so."""

    assignment = models.ForeignKey(RoleAssignment, models.CASCADE, null=True, related_name="+")

    class Meta:
        unique_together: ClassVar = []
        indexes = [
            models.Index(fields=["user", "permission"], name="person_permission"),
            models.Index(fields=["content_type", "object_pk"], name="person_permission_on"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["user", "permission", "object_pk", "assignment"],
                nulls_distinct=False,
                name="one_person_permission",
            )
        ]


class TeamPermission(GroupObjectPermissionAbstract):
    """guardian's object permission of a team, likewise."""

    assignment = models.ForeignKey(RoleAssignment, models.CASCADE, null=True, related_name="+")

    class Meta:
        unique_together: ClassVar = []
        indexes = [
            models.Index(fields=["group", "permission"], name="team_permission"),
            models.Index(fields=["content_type", "object_pk"], name="team_permission_on"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["group", "permission", "object_pk", "assignment"],
                nulls_distinct=False,
                name="one_team_permission",
            )
        ]


class TeamJoin(models.Model):
    """Since when, and by whom, a person is in a team; a membership without one is older than these rows.

    `directory` memberships come from an identity provider and are ended by it alone. What an admin gave stays the
    admin's; `in_directory_too` says that the provider names this person as well (accounts/joining.py)."""

    class Source(models.TextChoices):
        PAGE = "page", "by an admin"
        DIRECTORY = "directory", "from the company's directory"

    team = models.ForeignKey(Group, models.CASCADE, related_name="joins")
    person = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="joins")
    source = models.CharField(max_length=12, choices=Source, default=Source.PAGE)
    joined_at = models.DateTimeField(default=timezone.now)
    joined_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    in_directory_too = models.BooleanField(default=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["team", "person"], name="one_join_per_member")]

    def __str__(self) -> str:
        return f"{self.person} in {self.team}"


class LinkedAccount(models.Model):
    """Two accounts of one human being. What one of them may not judge, the other may not either (I8, A27)."""

    first = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="linked_to")
    second = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="linked_from")
    why = models.CharField(max_length=300, blank=True)
    linked_at = models.DateTimeField(default=timezone.now)
    linked_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["first", "second"], name="one_link_per_pair"),
            models.CheckConstraint(condition=Q(first__lt=F("second")), name="link_in_one_order"),
        ]

    def __str__(self) -> str:
        return f"{self.first} is {self.second}"
