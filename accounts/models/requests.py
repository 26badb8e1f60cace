"""What waits for somebody else's word: requests for access, reviews of access, changes that two people make."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from accounts.models.access import RoleAssignment
from accounts.roles import Role, Scope


class AccessRequest(models.Model):
    """Somebody asks for a role on something; somebody else answers.

    `hours` makes it an elevation: the role ends by itself so many hours after it was given."""

    person = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="access_requests")
    role = models.CharField(max_length=20, choices=[(role.value, role.label) for role in Role])
    scope = models.CharField(max_length=12, choices=[(scope.value, scope.label) for scope in Scope])
    scope_id = models.CharField(max_length=60, blank=True)
    reason = models.CharField(max_length=500)
    hours = models.PositiveIntegerField(null=True)
    until = models.DateTimeField(null=True)
    asked_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    answered_at = models.DateTimeField(null=True)
    answered_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    approved = models.BooleanField(null=True)
    answer = models.CharField(max_length=500, blank=True)
    withdrawn_at = models.DateTimeField(null=True)
    assignment = models.OneToOneField(RoleAssignment, models.SET_NULL, null=True, related_name="request")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["person", "role", "scope", "scope_id"],
                condition=Q(answered_at=None, withdrawn_at=None),
                name="one_open_access_request",
            )
        ]
        indexes = [
            models.Index(
                fields=["asked_at"],
                condition=Q(answered_at=None, withdrawn_at=None),
                name="access_requests_open",
            )
        ]

    def __str__(self) -> str:
        return f"{self.person} asks to be {Role(self.role).label}"


class AccessReview(models.Model):
    """A campaign: every assignment it covers is confirmed or dropped by who answers for it, until a day."""

    name = models.CharField(max_length=120)
    scope = models.CharField(max_length=12, choices=[(scope.value, scope.label) for scope in Scope])
    scope_id = models.CharField(max_length=60, blank=True)
    drops_unanswered = models.BooleanField(default=False)
    begun_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    begun_at = models.DateTimeField(default=timezone.now)
    due_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.name


class AccessReviewItem(models.Model):
    """One assignment, or one mandate of an agent, to be confirmed or dropped by one person."""

    class Verdict(models.TextChoices):
        KEEP = "keep", "Keep"
        DROP = "drop", "Drop"

    review = models.ForeignKey(AccessReview, models.CASCADE, related_name="items")
    assignment = models.ForeignKey(RoleAssignment, models.CASCADE, null=True, related_name="review_items")
    mandate_id = models.BigIntegerField(null=True)
    """A mandate's primary key: mandates live in an app above this one."""
    asked = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    unused_days = models.PositiveIntegerField(null=True)
    verdict = models.CharField(max_length=8, choices=Verdict, blank=True)
    note = models.CharField(max_length=300, blank=True)
    answered_at = models.DateTimeField(null=True)
    answered_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(assignment__isnull=True) ^ Q(mandate_id__isnull=True), name="reviews_one_thing"
            ),
            models.UniqueConstraint(
                fields=["review", "assignment"],
                condition=Q(assignment__isnull=False),
                name="one_item_per_assignment",
            ),
            models.UniqueConstraint(
                fields=["review", "mandate_id"],
                condition=Q(mandate_id__isnull=False),
                name="one_item_per_mandate",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.review}: {self.assignment_id or self.mandate_id}"


class PendingChange(models.Model):
    """A change that one person asks for and a second one makes: nothing of it holds before.

    `what` names the kind (`policy`, `role`, `stop` …), `payload` holds what the use case is called with, and
    `shown` what both people read. `base` is a mark of what it was made from: a change of something that has moved on
    meanwhile is not carried out."""

    what = models.CharField(max_length=24)
    about = models.CharField(max_length=120)
    payload = models.JSONField()
    shown = models.JSONField(default=dict)
    base = models.CharField(max_length=80, blank=True)
    reason = models.CharField(max_length=500)
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    asked_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    answered_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    answered_at = models.DateTimeField(null=True)
    approved = models.BooleanField(null=True)
    answer = models.CharField(max_length=500, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["what", "about"], condition=Q(answered_at=None), name="one_pending_change"
            )
        ]
        indexes: ClassVar = [
            models.Index(fields=["asked_at"], condition=Q(answered_at=None), name="pending_changes_open")
        ]

    def __str__(self) -> str:
        return f"{self.what} {self.about}"
