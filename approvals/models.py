"""Queues, policies, and the life of a proposal: revisions, claim, votes, decision, grant, outcome."""

from typing import Any, ClassVar

import msgspec
from django.conf import settings
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVectorField
from django.db import models
from django.db.models import Q
from django.utils import timezone

from accounts.models import Calendar
from agents.autonomy import Tier
from agents.models import ActionType, Agent, Credential
from approvals.states import State


class Queue(models.Model):
    """Where proposals wait. Its reviewers hold the object permission `review_queue`.

    `reason_codes` is a list of {"code", "label", "not_agents_fault"} offered when rejecting or returning.
    `due_by_priority` maps urgent, high, low to minutes, `due_minutes` is for normal; both run on `calendar`.
    `escalation` is a list of {"after": minutes in the queue, "queue": slug} or {"after", "team"}, in order.
    `view_seconds` maps a risk to the least time of looking before approving; `reading_rate` adds to it by length
    (characters a second, 0 for none). `bulk_amount` is the most that may be decided several at once (None: never)."""

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
    escalation is next due, everything up to `attended_at` has been done."""

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
    required = models.JSONField(default=list)
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
    assigned_to = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+", db_index=False
    )
    queued_at = models.DateTimeField(null=True)
    attention_at = models.DateTimeField(null=True)
    attended_at = models.DateTimeField(null=True)

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
            models.Index(fields=["agent", "action_type", "created_at"], name="proposal_by_mandate"),
            models.Index(fields=["agent", "id"], name="proposal_by_agent"),
            models.Index(
                fields=["agent", "action_type", "subject_id", "created_at"],
                condition=Q(state__in=APPROVED) & ~Q(subject_id=""),
                name="proposal_approved_subject",
            ),
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
    """One reviewer's verdict on one revision; `teams` are those he was in when he voted."""

    proposal = models.ForeignKey(Proposal, models.CASCADE, related_name="votes")
    revision = models.ForeignKey(Revision, models.CASCADE, related_name="votes")
    reviewer = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="votes")
    verdict = models.CharField(max_length=8, choices=Verdict)
    reason = models.CharField(max_length=60, blank=True)
    comment = models.TextField(blank=True)
    teams = models.JSONField(default=list)
    voted_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["revision", "reviewer"], name="one_vote_per_reviewer")]
        indexes = [models.Index(fields=["reviewer", "voted_at"], name="vote_pace")]

    def __str__(self) -> str:
        return f"{self.reviewer}: {self.verdict}"


class HeldBallot(models.Model):
    """A verdict given and not yet sent: the undo window of its queue is open. It settles at `settles_at` unless
    its reviewer takes it back; until then the agent sees a pending proposal. `arguments` are an edit's canonical
    bytes."""

    proposal = models.OneToOneField(Proposal, models.CASCADE, related_name="held_ballot")
    reviewer = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="held_ballots")
    verdict = models.CharField(max_length=8, choices=Verdict)
    revision = models.IntegerField()
    version = models.IntegerField()
    reason = models.CharField(max_length=60, blank=True)
    comment = models.TextField(blank=True)
    arguments = models.BinaryField(null=True)
    held_at = models.DateTimeField()
    settles_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.verdict} by {self.reviewer}, until {self.settles_at:%H:%M:%S}"


class Skip(models.Model):
    """Somebody passed over a proposal: "next" offers it to others, and to him again only after a while."""

    proposal = models.ForeignKey(Proposal, models.CASCADE, related_name="skips")
    reviewer = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="skips")
    skipped_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["proposal", "reviewer"], name="one_skip_per_reviewer")]

    def __str__(self) -> str:
        return f"{self.reviewer} passed over {self.proposal_id}"


class Comment(models.Model):
    """What people say to each other about a proposal. The agent never sees it."""

    proposal = models.ForeignKey(Proposal, models.CASCADE, related_name="comments")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="comments")
    text = models.TextField()
    mentions = models.ManyToManyField(settings.AUTH_USER_MODEL, related_name="+")
    written_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.author} on {self.proposal_id}"


class SavedView(models.Model):
    """A person's own filters over his queues, as the query string of the list's address."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="saved_views")
    name = models.CharField(max_length=80)
    query = models.CharField(max_length=2000, blank=True)
    is_default = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["owner", "name"], name="one_view_per_name"),
            models.UniqueConstraint(fields=["owner"], condition=Q(is_default=True), name="one_default_view"),
        ]

    def __str__(self) -> str:
        return self.name


class Notification(models.Model):
    """Something one person should know. `key` makes repeating a notification harmless."""

    recipient = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="notifications", db_index=False
    )
    kind = models.CharField(max_length=30)
    proposal = models.ForeignKey(Proposal, models.CASCADE, null=True, related_name="+")
    text = models.CharField(max_length=300)
    link = models.CharField(max_length=300, blank=True)
    key = models.CharField(max_length=160)
    created_at = models.DateTimeField()
    read_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["recipient", "key"], name="one_notification_per_key")]
        indexes = [
            models.Index(fields=["recipient", "-id"], name="notification_list"),
            models.Index(fields=["recipient"], condition=Q(read_at=None), name="notification_unread"),
        ]

    def __str__(self) -> str:
        return self.text


class Delivery(models.Model):
    """One notification's way to one channel outside the page: it arrives at least once or is visibly dead (I5)."""

    class State(models.TextChoices):
        QUEUED = "queued", "Queued"
        SENT = "sent", "Sent"
        DEAD = "dead", "Dead"

    notification = models.ForeignKey(Notification, models.CASCADE, related_name="deliveries")
    channel = models.CharField(max_length=10)
    state = models.CharField(max_length=8, choices=State, default=State.QUEUED)
    not_before = models.DateTimeField()
    attempts = models.IntegerField(default=0)
    error = models.CharField(max_length=300, blank=True)
    sent_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name_plural = "deliveries"
        constraints = [
            models.UniqueConstraint(fields=["notification", "channel"], name="one_delivery_per_channel")
        ]
        indexes = [
            models.Index(fields=["not_before"], condition=Q(state="queued"), name="delivery_due"),
            models.Index(fields=["-id"], condition=Q(state="dead"), name="delivery_dead"),
        ]

    def __str__(self) -> str:
        return f"{self.channel}: {self.state}"


class ChatAddress(models.Model):
    """Where a person gets chat or pager messages: an apprise address, sealed, for it holds a secret."""

    person = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="chat_addresses")
    label = models.CharField(max_length=80)
    sealed = models.BinaryField()
    added_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.label


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
