"""Queues, policies, and the life of a proposal: revisions, claim, votes, decision, grant, outcome."""

from typing import Any, ClassVar

import msgspec
from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from agents.autonomy import Tier
from agents.models import ActionType, Agent, Credential
from approvals.states import State


class Queue(models.Model):
    """Where proposals wait. Its reviewers hold the object permission `review_queue`.

    `reason_codes` is a list of {"code", "label", "not_agents_fault"} offered when rejecting or returning."""

    slug = models.SlugField(max_length=60, unique=True)
    name = models.CharField(max_length=120)
    domain = models.SlugField(max_length=60)
    lease_minutes = models.PositiveIntegerField(default=10)
    due_minutes = models.PositiveIntegerField(default=240)
    expires_minutes = models.PositiveIntegerField(default=2880)
    quorum = models.PositiveIntegerField(default=1)
    reason_codes = models.JSONField(default=list, blank=True)

    class Meta:
        permissions: ClassVar = [("review_queue", "Can decide proposals in this queue")]
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


class Proposal(models.Model):
    """One intended action. Its arguments live in its revisions; everything from the agent is untrusted.

    `state` and `version` are written by approvals/transitions.py alone; `version` rises with every change that
    the agent or a reviewer's page must notice. `amount` and `currency` are those of the current revision."""

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
    context = models.JSONField(default=list)
    subject_type = models.CharField(max_length=60, blank=True)
    subject_id = models.CharField(max_length=200, blank=True)
    trace_id = models.CharField(max_length=200, blank=True)
    parent = models.ForeignKey("self", models.SET_NULL, null=True, related_name="children", db_index=False)
    current_state = models.JSONField(null=True)
    metadata = models.JSONField(null=True)

    queue = models.ForeignKey(Queue, models.PROTECT, null=True, related_name="proposals", db_index=False)
    quorum = models.IntegerField(default=1)
    roles = models.JSONField(default=list)
    reasons = models.JSONField(default=list)
    policy_version = models.ForeignKey(
        PolicyVersion, models.PROTECT, null=True, related_name="+", db_index=False
    )
    sample_probability = models.FloatField(null=True)
    sampled = models.BooleanField(default=False)

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
                fields=["changed_at"],
                condition=Q(state__in=["approved", "executing"]),
                name="proposal_running",
            ),
            models.Index(fields=["agent", "action_type", "created_at"], name="proposal_by_mandate"),
            models.Index(fields=["agent", "id"], name="proposal_by_agent"),
            models.Index(fields=["parent"], condition=Q(parent__isnull=False), name="proposal_children"),
            models.Index(fields=["agent"], condition=Q(state="unknown"), name="proposal_unknown"),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def is_claimed(self) -> bool:
        """Held by somebody whose lease has not run out."""
        return self.claimed_by_id is not None and bool(
            self.claimed_until and self.claimed_until > timezone.now()
        )

    @property
    def current_revision(self) -> "Revision":
        return self.revisions.get(number=self.revision)


class Revision(models.Model):
    """The arguments at one point: the exact canonical bytes that are shown, signed and compared.

    Number 1 is the agent's; a reviewer's edit or the agent's revise makes the next. Never changed."""

    proposal = models.ForeignKey(Proposal, models.CASCADE, related_name="revisions")
    number = models.IntegerField()
    canonical = models.BinaryField()
    digest = models.CharField(max_length=71)
    editor = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    reply = models.TextField(blank=True)
    created_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["proposal", "number"], name="one_revision_per_number")]

    def __str__(self) -> str:
        return f"{self.proposal_id} r{self.number}"

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments, parsed from the canonical bytes."""
        arguments: dict[str, Any] = msgspec.json.decode(bytes(self.canonical))
        return arguments


class Claim(models.Model):
    """A reviewer's lease on a proposal, kept as history; the live one is repeated on the proposal."""

    proposal = models.ForeignKey(Proposal, models.CASCADE, related_name="claims")
    reviewer = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="claims")
    claimed_at = models.DateTimeField(auto_now_add=True)
    ended_at = models.DateTimeField(null=True)
    ended_by = models.CharField(max_length=12, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["proposal"], condition=Q(ended_at=None), name="one_live_claim")
        ]

    def __str__(self) -> str:
        return f"{self.reviewer} on {self.proposal_id}"


class Verdict(models.TextChoices):
    APPROVE = "approve", "Approve"
    EDIT = "edit", "Edit"
    REJECT = "reject", "Reject"
    RETURN = "return", "Return"
    VETO = "veto", "Veto"


class Vote(models.Model):
    """One reviewer's verdict on one revision."""

    proposal = models.ForeignKey(Proposal, models.CASCADE, related_name="votes")
    revision = models.ForeignKey(Revision, models.CASCADE, related_name="votes")
    reviewer = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="votes")
    verdict = models.CharField(max_length=8, choices=Verdict)
    reason = models.CharField(max_length=60, blank=True)
    comment = models.TextField(blank=True)
    voted_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["revision", "reviewer"], name="one_vote_per_reviewer")]

    def __str__(self) -> str:
        return f"{self.reviewer}: {self.verdict}"


class Decision(models.Model):
    """The final verdict on one revision (I2: at most one), by people or by the policy."""

    proposal = models.ForeignKey(Proposal, models.CASCADE, related_name="decisions")
    revision = models.OneToOneField(Revision, models.CASCADE, related_name="decision")
    verdict = models.CharField(max_length=8, choices=Verdict)
    reason = models.CharField(max_length=60, blank=True)
    comment = models.TextField(blank=True)
    decider = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="decisions")
    label = models.CharField(max_length=120)
    decided_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.verdict} by {self.label}"

    @property
    def kind(self) -> str:
        return "human" if self.decider_id else "policy"


class Grant(models.Model):
    """The signed, single-use, expiring permission for one digest (one per proposal)."""

    id = models.UUIDField(primary_key=True)
    proposal = models.OneToOneField(Proposal, models.CASCADE, related_name="grant")
    revision = models.ForeignKey(Revision, models.PROTECT, related_name="+")
    digest = models.CharField(max_length=71)
    token = models.TextField()
    issued_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    redeemed_at = models.DateTimeField(null=True)
    redeemed_by = models.ForeignKey(Credential, models.PROTECT, null=True, related_name="+")
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(redeemed_at=None) | Q(revoked_at=None), name="grant_not_redeemed_and_revoked"
            )
        ]

    def __str__(self) -> str:
        return str(self.id)


class Outcome(models.Model):
    """What happened after acting: reported by the agent, or settled by a person where it stayed unknown."""

    class Status(models.TextChoices):
        SUCCEEDED = "succeeded", "Succeeded"
        FAILED = "failed", "Failed"
        UNKNOWN = "unknown", "Unknown"

    proposal = models.OneToOneField(Proposal, models.CASCADE, related_name="outcome")
    status = models.CharField(max_length=10, choices=Status)
    result = models.JSONField(null=True)
    external_id = models.CharField(max_length=200, blank=True)
    cost = models.DecimalField(max_digits=18, decimal_places=6, null=True)
    occurred_at = models.DateTimeField(null=True)
    settled_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    reported_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.status


class SigningKey(models.Model):
    """A key that signs grants. The private half is sealed with a key derived from SECRET_KEY.

    The newest signs; the older ones stay published until the last grant they signed has expired."""

    kid = models.CharField(max_length=64, unique=True)
    public_jwk = models.JSONField()
    sealed_private = models.BinaryField()
    created_at = models.DateTimeField(auto_now_add=True)
    retired_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["retired_at"],
                condition=Q(retired_at=None),
                nulls_distinct=False,
                name="one_signing_key_in_use",
            )
        ]

    def __str__(self) -> str:
        return self.kid
