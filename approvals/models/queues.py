"""Queues, and the policies that lead to them."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q

from accounts.models import Calendar


class Queue(models.Model):
    """Where proposals wait. Its reviewers hold the object permission `review_queue`.

    `reason_codes` is a list of {"code", "label", "not_agents_fault"} offered when rejecting or returning.
    `due_by_priority` maps urgent, high, low to minutes, `due_minutes` is for normal; both run on `calendar`.
    `escalation` is a list of {"after": minutes in the queue, "queue": slug} or {"after", "team"}, in order.
    `view_seconds` maps a risk to the least time of looking before approving; `reading_rate` adds to it by length
    (characters a second, 0 for none). `bulk_amount` is the most that may be decided several at once (None: never).
    `needs_second_factor` marks a queue of high risk: its reviewers sign in with two factors. `allows_self_approval`
    lets an agent's owner approve its actions of low risk alone; each such decision says so."""

    slug = models.SlugField(max_length=60, unique=True)
    name = models.CharField(max_length=120)
    domain = models.SlugField(max_length=60)
    lease_minutes = models.PositiveIntegerField(default=10)
    due_minutes = models.PositiveIntegerField(default=240)
    expires_minutes = models.PositiveIntegerField(default=2880)
    quorum = models.PositiveIntegerField(default=1)
    reason_codes = models.JSONField(default=list, blank=True)
    calendar = models.ForeignKey(Calendar, models.PROTECT, null=True, related_name="queues")
    due_by_priority = models.JSONField(default=dict, blank=True)
    remind_minutes = models.PositiveIntegerField(default=30)
    escalation = models.JSONField(default=list, blank=True)
    undo_seconds = models.PositiveIntegerField(default=0)
    bulk_amount = models.DecimalField(max_digits=18, decimal_places=2, null=True)
    view_seconds = models.JSONField(default=dict, blank=True)
    reading_rate = models.PositiveIntegerField(default=0)
    approvals_per_minute = models.PositiveIntegerField(default=0)
    needs_second_factor = models.BooleanField(default=False)
    allows_self_approval = models.BooleanField(default=False)

    class Meta:
        permissions: ClassVar = [
            ("review_queue", "Can decide proposals in this queue"),
            ("lead_queue", "Can hand out others' work and answer appeals in this queue"),
            ("read_record", "Can read everything in this queue"),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(quorum__gte=1), name="queue_quorum_positive"),
            models.CheckConstraint(condition=Q(lease_minutes__gte=1), name="queue_lease_positive"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def reasons(self) -> list[tuple[str, str]]:
        return [(item["code"], item["label"]) for item in self.reason_codes]


class Policy(models.Model):
    """The rules of one domain; each publication makes a version, and proposals name the one that routed them."""

    domain = models.SlugField(max_length=60, unique=True)
    name = models.CharField(max_length=120)
    current = models.OneToOneField("PolicyVersion", models.PROTECT, null=True, related_name="+")

    class Meta:
        verbose_name_plural = "policies"

    def __str__(self) -> str:
        return self.name


class PolicyVersion(models.Model):
    """One immutable, ordered list of rules (approvals/policy.py says what a rule looks like)."""

    policy = models.ForeignKey(Policy, models.CASCADE, related_name="versions")
    number = models.IntegerField()
    rules = models.JSONField()
    default_queue = models.ForeignKey(Queue, models.PROTECT, related_name="+")
    note = models.CharField(max_length=300, blank=True)
    published_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    published_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["policy", "number"], name="one_policy_version_number")]

    def __str__(self) -> str:
        return f"{self.policy} v{self.number}"
