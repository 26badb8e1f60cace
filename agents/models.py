"""Agents, their credentials, what they may do, and the evidence of how well they do it."""

from datetime import timedelta
from decimal import Decimal
from typing import ClassVar

from django.conf import settings
from django.contrib.auth.models import Group
from django.db import models
from django.utils import timezone

from agents.autonomy import Tier
from audit.events import Actor


class AuthorityVersion(models.Model):
    """One row whose number rises with every change of who may do what.

    Processes cache credentials, mandates, schemas and policies; the statement that accepts a proposal carries the
    number its cache was built at and is refused when it is stale, so a revocation bites at once."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    number = models.BigIntegerField(default=1)

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="one_authority_version")]

    def __str__(self) -> str:
        return str(self.number)


class AgentState(models.TextChoices):
    LIVE = "live", "Live"
    SUSPENDED = "suspended", "Suspended"
    RETIRED = "retired", "Retired"


class Agent(models.Model):
    """An AI system with its own identity and one named owner, who may never decide its proposals (I8)."""

    State = AgentState

    slug = models.SlugField(max_length=80, unique=True)
    name = models.CharField(max_length=120)
    purpose = models.TextField(blank=True)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="owned_agents")
    team = models.ForeignKey(Group, models.SET_NULL, null=True, blank=True, related_name="agents")
    version = models.CharField(max_length=80, default="1")
    state = models.CharField(max_length=12, choices=AgentState, default=AgentState.LIVE)
    state_reason = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        permissions: ClassVar = [("manage_agent", "Can manage this agent")]

    def __str__(self) -> str:
        return self.name

    def actor(self) -> Actor:
        return Actor("agent", str(self.pk), self.slug)


class Credential(models.Model):
    """A secret that authenticates one agent. Only SHA-256 of the token is kept; it lives at most 90 days."""

    agent = models.ForeignKey(Agent, models.CASCADE, related_name="credentials")
    key_id = models.CharField(max_length=16, unique=True)
    token_hash = models.BinaryField(max_length=32, unique=True)
    label = models.CharField(max_length=80, blank=True)
    registered_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    replaced_by = models.OneToOneField(
        "self", models.SET_NULL, null=True, blank=True, related_name="replaces"
    )
    last_used_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.agent} {self.key_id}"

    @property
    def is_usable(self) -> bool:
        return self.revoked_at is None and self.expires_at > timezone.now()

    @property
    def expires_soon(self) -> bool:
        """Within two weeks: time to rotate."""
        return self.is_usable and self.expires_at < timezone.now() + timedelta(days=14)


class Risk(models.TextChoices):
    LOW = "low", "Low"
    MEDIUM = "medium", "Medium"
    HIGH = "high", "High"
    CRITICAL = "critical", "Critical"


class ActionType(models.Model):
    """A kind of action: what its arguments look like, how it reads, where its amount stands, how it is undone.

    `material` lists JSON Pointers of the fields whose change makes an edit a full error (TIERS.md)."""

    Risk = Risk

    name = models.CharField(max_length=80, unique=True)
    domain = models.SlugField(max_length=60)
    label = models.CharField(max_length=120)
    description = models.TextField(blank=True)
    version = models.IntegerField(default=1)
    schema = models.JSONField()
    title_template = models.CharField(max_length=300)
    amount_pointer = models.CharField(max_length=200, blank=True)
    currency = models.CharField(max_length=3, blank=True)
    currency_pointer = models.CharField(max_length=200, blank=True)
    material = models.JSONField(default=list, blank=True)
    risk = models.CharField(max_length=8, choices=Risk, default=Risk.MEDIUM)
    reversible_by = models.ForeignKey("self", models.SET_NULL, null=True, blank=True, related_name="reverses")
    systems = models.JSONField(default=list, blank=True)
    success_criteria = models.TextField(blank=True)
    executor = models.CharField(max_length=200, blank=True)
    grant_seconds = models.PositiveIntegerField(default=300)
    outcome_minutes = models.PositiveIntegerField(default=60)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(grant_seconds__gte=5, grant_seconds__lte=86400),
                name="grant_seconds_in_range",
            )
        ]

    def __str__(self) -> str:
        return self.label

    @property
    def audience(self) -> str:
        """Who executes: the `aud` of its grants."""
        return self.executor or f"executor:{self.name}"


class Mandate(models.Model):
    """What one agent may do for one action type: tier, the highest tier it may earn, limits. None: denied.

    Amounts are in the action type's currency; `window_hours` is the rolling window of count and amount limits."""

    agent = models.ForeignKey(Agent, models.CASCADE, related_name="mandates")
    action_type = models.ForeignKey(ActionType, models.CASCADE, related_name="mandates")
    tier = models.CharField(max_length=16, choices=Tier, default=Tier.IN_THE_LOOP)
    ceiling = models.CharField(max_length=16, choices=Tier, default=Tier.IN_THE_LOOP)
    max_amount = models.DecimalField(max_digits=18, decimal_places=2, null=True, blank=True)
    window_hours = models.PositiveIntegerField(default=24)
    window_count = models.PositiveIntegerField(null=True, blank=True)
    window_amount = models.DecimalField(max_digits=18, decimal_places=2, null=True, blank=True)
    veto_seconds = models.PositiveIntegerField(default=300)
    active = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["agent", "action_type"], name="one_mandate_per_agent_and_action"),
            models.CheckConstraint(condition=models.Q(window_hours__gte=1), name="mandate_window_positive"),
        ]

    def __str__(self) -> str:
        return f"{self.agent}: {self.action_type}"

    @property
    def has_window(self) -> bool:
        return self.window_count is not None or self.window_amount is not None


class TierChange(models.Model):
    """The history of a mandate's tier, with who or what decided it and why."""

    mandate = models.ForeignKey(Mandate, models.CASCADE, related_name="tier_changes")
    before = models.CharField(max_length=16, choices=Tier)
    after = models.CharField(max_length=16, choices=Tier)
    reason = models.TextField()
    changed_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    changed_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"{self.mandate}: {self.before} → {self.after}"


class Evidence(models.Model):
    """One judged result about (agent version, action type, risk): the raw material of the tier model.

    `loss` in [0, 1]; `probability` is the chance with which this proposal came to be judged, fixed before its
    outcome was known (1 for what is reviewed beforehand). Append-only; written through `agents.evidence`."""

    class Basis(models.TextChoices):
        DECISION = "decision", "Decision"
        VETO = "veto", "Veto"

    agent = models.ForeignKey(Agent, models.CASCADE, related_name="evidence")
    action_type = models.ForeignKey(ActionType, models.CASCADE, related_name="evidence")
    agent_version = models.CharField(max_length=80)
    risk = models.CharField(max_length=8, choices=Risk)
    tier = models.CharField(max_length=16, choices=Tier)
    basis = models.CharField(max_length=12, choices=Basis)
    verdict = models.CharField(max_length=8)
    loss = models.DecimalField(max_digits=3, decimal_places=2)
    probability = models.FloatField(default=1.0)
    proposal_id = models.UUIDField()
    revision = models.IntegerField()
    judged_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    judged_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["proposal_id", "revision", "basis"], name="one_evidence_per_judgement"
            ),
            models.CheckConstraint(
                condition=models.Q(loss__gte=Decimal(0), loss__lte=Decimal(1)), name="loss_between_0_and_1"
            ),
            models.CheckConstraint(
                condition=models.Q(probability__gt=0, probability__lte=1), name="probability_above_0"
            ),
        ]
        indexes = [
            models.Index(fields=["agent", "action_type", "agent_version", "id"], name="evidence_by_key"),
            models.Index(fields=["agent", "action_type", "id"], name="evidence_latest"),
        ]

    def __str__(self) -> str:
        return f"{self.agent} {self.action_type} {self.verdict}"
