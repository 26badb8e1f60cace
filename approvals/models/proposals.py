"""Proposals and their revisions."""

from functools import cached_property
from typing import Any, ClassVar

import msgspec
from django.conf import settings
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVectorField
from django.db import models
from django.db.models import Q
from django.utils import timezone

from agents.autonomy import Tier
from agents.models import ActionType, Agent, Credential
from approvals.models.queues import PolicyVersion, Queue
from approvals.states import State
from audit.content import Gone, Said, open_all


class Priority(models.IntegerChoices):
    URGENT = 0, "Urgent"
    HIGH = 1, "High"
    NORMAL = 2, "Normal"
    LOW = 3, "Low"


class ProposalQuerySet(models.QuerySet["Proposal"]):
    def pending(self) -> "ProposalQuerySet":
        return self.filter(state=State.PENDING)

    def claimable(self) -> "ProposalQuerySet":
        """Waiting and held by nobody: exactly the rows of the partial index that queues are read by."""
        return self.filter(state=State.PENDING, claimed_by=None)

    def by_urgency(self) -> "ProposalQuerySet":
        return self.order_by("priority", "due_at", "id")


APPROVED = [
    State.APPROVED,
    State.EXECUTING,
    State.SUCCEEDED,
    State.FAILED,
    State.UNKNOWN,
    State.ROLLED_BACK,
    State.LAPSED,
    State.REVOKED,
]
"""Every state that follows an approval: of what failed or ran out, somebody had approved the arguments too."""


class Proposal(models.Model):
    """One intended action. Its arguments live in its revisions; everything from the agent is untrusted.

    `state` and `version` are written by approvals/transitions.py alone; `version` rises with every change that
    the agent or a reviewer's page must notice. `amount` and `currency` are those of the current revision.
    `required` is a list of {"team", "votes"}; `roles` are then the teams whose votes are still missing.
    `queued_at` is when it came into its queue (None: when it was made); `attention_at` when a reminder or an
    escalation is next due, everything up to `attended_at` has been done. `planted` marks a probe: it belongs to no
    agent's record, to no figure of the business, and is never granted. `subject_key` is the subject as limits compare
    it (`approvals.subjects.key`), empty where the agent names none.

    The conversation is encrypted under its subject's key (`kept_context`) and read by `context` alone; `plain_context`
    has what came before that and has not been moved yet (approvals/services/encrypt.py). `erased_at`: its subject was
    erased, and with him everything here that told of him."""

    State = State

    id = models.UUIDField(primary_key=True)
    agent = models.ForeignKey(Agent, models.PROTECT, related_name="proposals", db_index=False)
    agent_version = models.CharField(max_length=80)
    credential = models.ForeignKey(Credential, models.PROTECT, related_name="+", db_index=False)
    action_type = models.ForeignKey(ActionType, models.PROTECT, related_name="proposals", db_index=False)
    idempotency_key = models.CharField(max_length=200)
    request_digest = models.BinaryField(max_length=32)

    state = models.CharField(max_length=12, choices=State)
    version = models.IntegerField(default=1)
    tier = models.CharField(max_length=16, choices=Tier)
    revision = models.IntegerField(default=1)
    digest = models.CharField(max_length=71)
    title = models.CharField(max_length=300)
    amount = models.DecimalField(max_digits=18, decimal_places=2, null=True)
    currency = models.CharField(max_length=3, blank=True)

    summary = models.TextField(blank=True)
    reasoning = models.TextField(blank=True)
    confidence = models.FloatField(null=True)
    plain_context = models.JSONField(default=list, db_column="context")
    kept_context = models.ForeignKey(
        "audit.Content", models.PROTECT, null=True, related_name="+", db_index=False
    )
    subject_type = models.CharField(max_length=60, blank=True)
    subject_id = models.CharField(max_length=200, blank=True)
    subject_key = models.CharField(max_length=200, default="", db_default="")
    trace_id = models.CharField(max_length=200, blank=True)
    parent = models.ForeignKey("self", models.SET_NULL, null=True, related_name="children", db_index=False)
    current_state = models.JSONField(null=True)
    metadata = models.JSONField(null=True)

    queue = models.ForeignKey(Queue, models.PROTECT, null=True, related_name="proposals", db_index=False)
    quorum = models.IntegerField(default=1)
    roles = models.JSONField(default=list)
    required = models.JSONField(default=list)
    reasons = models.JSONField(default=list)
    policy_version = models.ForeignKey(
        PolicyVersion, models.PROTECT, null=True, related_name="+", db_index=False
    )
    sample_probability = models.FloatField(null=True)
    sampled = models.BooleanField(default=False)
    planted = models.BooleanField(default=False)

    priority = models.SmallIntegerField(choices=Priority, default=Priority.NORMAL)
    created_at = models.DateTimeField()
    due_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)
    effective_at = models.DateTimeField(null=True)
    changed_at = models.DateTimeField()

    claimed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+", db_index=False
    )
    claimed_until = models.DateTimeField(null=True)
    assigned_to = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+", db_index=False
    )
    queued_at = models.DateTimeField(null=True)
    attention_at = models.DateTimeField(null=True)
    attended_at = models.DateTimeField(null=True)
    erased_at = models.DateTimeField(null=True)

    objects: ClassVar[models.Manager["Proposal"]] = ProposalQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["agent", "idempotency_key"], name="one_proposal_per_idempotency_key"
            ),
            models.CheckConstraint(condition=Q(revision__gte=1), name="revision_positive"),
        ]
        indexes = [
            models.Index(
                fields=["queue", "priority", "due_at", "id"],
                condition=Q(state="pending", claimed_by__isnull=True),
                name="proposal_waiting",
            ),
            models.Index(
                fields=["claimed_by", "claimed_until"],
                condition=Q(claimed_by__isnull=False),
                name="proposal_claimed",
            ),
            models.Index(
                fields=["expires_at"], condition=Q(state__in=["pending", "returned"]), name="proposal_expiry"
            ),
            models.Index(fields=["effective_at"], condition=Q(state="scheduled"), name="proposal_windows"),
            models.Index(
                fields=["queue", "priority", "effective_at", "id"],
                condition=Q(state="scheduled"),
                name="proposal_vetoable",
            ),
            models.Index(
                fields=["queue", "priority", "due_at", "id"],
                condition=Q(state="returned"),
                name="proposal_returned",
            ),
            models.Index(
                fields=["attention_at"],
                condition=Q(state="pending", attention_at__isnull=False),
                name="proposal_attention",
            ),
            models.Index(
                fields=["assigned_to"],
                condition=Q(state="pending", assigned_to__isnull=False),
                name="proposal_assigned",
            ),
            models.Index(
                fields=["changed_at"],
                condition=Q(state__in=["approved", "executing"]),
                name="proposal_running",
            ),
            models.Index(fields=["changed_at"], condition=Q(state__in=APPROVED), name="proposal_recent"),
            models.Index(fields=["agent", "action_type", "created_at"], name="proposal_by_mandate"),
            models.Index(fields=["agent", "id"], name="proposal_by_agent"),
            models.Index(
                fields=["agent"],
                condition=Q(state__in=["pending", "returned", "scheduled"]),
                name="proposal_open_of_agent",
            ),
            models.Index(
                fields=["agent", "action_type", "subject_id", "created_at"],
                condition=Q(state__in=APPROVED) & ~Q(subject_id=""),
                name="proposal_approved_subject",
            ),
            models.Index(fields=["agent", "subject_key", "created_at"], name="proposal_by_subject"),
            models.Index(fields=["parent"], condition=Q(parent__isnull=False), name="proposal_children"),
            models.Index(fields=["agent"], condition=Q(state="unknown"), name="proposal_unknown"),
            models.Index(fields=["id"], condition=~Q(plain_context=[]), name="proposal_context_in_plain"),
            models.Index(fields=["agent", "trace_id"], condition=~Q(trace_id=""), name="proposal_by_trace"),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def is_claimed(self) -> bool:
        """Held by somebody whose lease has not run out."""
        return self.claimed_by_id is not None and bool(
            self.claimed_until and self.claimed_until > timezone.now()
        )

    def said(self, text: str) -> Said:
        """Words about this proposal, for the detail of an event: kept under its subject's key."""
        return Said(text, (self.subject_type, self.subject_id) if self.subject_id else None)

    @property
    def context(self) -> list[dict[str, Any]]:
        """The conversation that the agent sent along; empty where there was none or it is gone."""
        return self._opened if isinstance(self._opened, list) else []

    @property
    def context_gone(self) -> Gone | None:
        """Why the conversation cannot be shown any more."""
        return self._opened if isinstance(self._opened, Gone) else None

    @cached_property
    def _opened(self) -> list[dict[str, Any]] | Gone:
        if self.kept_context_id is None:
            return list(self.plain_context or [])
        assert self.kept_context is not None
        found = open_all([self.kept_context])[self.kept_context_id]
        if isinstance(found, Gone):
            return found
        turns: list[dict[str, Any]] = msgspec.json.decode(found)
        return turns

    @property
    def current_revision(self) -> "Revision":
        return self.revisions.get(number=self.revision)


class Revision(models.Model):
    """The arguments at one point: the exact canonical bytes that are shown, signed and compared.

    Number 1 is the agent's; a reviewer's edit or the agent's revise makes the next. Never changed.
    `document` is what full-text search looks into: title, summary, subject and arguments as words."""

    proposal = models.ForeignKey(Proposal, models.CASCADE, related_name="revisions")
    number = models.IntegerField()
    canonical = models.BinaryField()
    digest = models.CharField(max_length=71)
    editor = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    reply = models.TextField(blank=True)
    created_at = models.DateTimeField()
    document = SearchVectorField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["proposal", "number"], name="one_revision_per_number")]
        indexes = [GinIndex(fields=["document"], name="revision_words")]

    def __str__(self) -> str:
        return f"{self.proposal_id} r{self.number}"

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments, parsed from the canonical bytes."""
        arguments: dict[str, Any] = msgspec.json.decode(bytes(self.canonical))
        return arguments
