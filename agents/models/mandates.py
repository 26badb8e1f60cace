"""Action types, mandates and how their tiers change."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from agents.autonomy import Tier
from agents.models.agents import Agent, AgentVersion


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
    executor_url = models.CharField(max_length=2000, blank=True, db_default="")
    """Where Countersign itself has it carried out (approvals/services/execute.py); empty: the agent does."""
    executor_repeats = models.BooleanField(default=False, db_default=False)
    """Whether the same call twice does no more than once, by its idempotency key."""
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

    Amounts are in the action type's currency; `window_hours` is the rolling window of count and amount limits, also of
    those per subject. `thresholds` overrides the tier model's defaults (`agents.tier_model.Thresholds`); `automatic`
    promotes without asking the owner; `may_earn` is set when owner and admin both signed that an irreversible or
    critical action may leave T1. `audit_rate` and `escalated` repeat what the standing of the current version says."""

    agent = models.ForeignKey(Agent, models.CASCADE, related_name="mandates")
    action_type = models.ForeignKey(ActionType, models.CASCADE, related_name="mandates")
    tier = models.CharField(max_length=16, choices=Tier, default=Tier.IN_THE_LOOP)
    ceiling = models.CharField(max_length=16, choices=Tier, default=Tier.IN_THE_LOOP)
    max_amount = models.DecimalField(max_digits=18, decimal_places=2, null=True, blank=True)
    window_hours = models.PositiveIntegerField(default=24)
    window_count = models.PositiveIntegerField(null=True, blank=True)
    window_amount = models.DecimalField(max_digits=18, decimal_places=2, null=True, blank=True)
    veto_seconds = models.PositiveIntegerField(default=300)
    subject_count = models.PositiveIntegerField(null=True, blank=True)
    subject_amount = models.DecimalField(max_digits=18, decimal_places=2, null=True, blank=True)
    automatic = models.BooleanField(default=False)
    may_earn = models.BooleanField(default=False)
    thresholds = models.JSONField(default=dict, blank=True)
    audit_rate = models.FloatField(null=True)
    escalated = models.BooleanField(default=False)
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
    """The history of a mandate's tier, with who or what decided it and why.

    `cause` is "hand", "evidence", "version" or "equivalence"; `numbers` are those that decided it."""

    mandate = models.ForeignKey(Mandate, models.CASCADE, related_name="tier_changes")
    before = models.CharField(max_length=16, choices=Tier)
    after = models.CharField(max_length=16, choices=Tier)
    reason = models.TextField()
    cause = models.CharField(max_length=12, default="hand")
    agent_version = models.CharField(max_length=80, blank=True)
    numbers = models.JSONField(default=dict)
    changed_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    changed_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"{self.mandate}: {self.before} → {self.after}"


class Promotion(models.Model):
    """A higher tier that the evidence has earned, with the numbers that justify it, until somebody answers."""

    class State(models.TextChoices):
        OPEN = "open", "Waits for the owner"
        CONFIRMED = "confirmed", "Confirmed"
        DECLINED = "declined", "Declined"
        WITHDRAWN = "withdrawn", "No longer earned"

    mandate = models.ForeignKey(Mandate, models.CASCADE, related_name="promotions")
    agent_version = models.CharField(max_length=80)
    before = models.CharField(max_length=16, choices=Tier)
    after = models.CharField(max_length=16, choices=Tier)
    numbers = models.JSONField(default=dict)
    state = models.CharField(max_length=10, choices=State, default=State.OPEN)
    automatic = models.BooleanField(default=False)
    proposed_at = models.DateTimeField()
    decided_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    decided_at = models.DateTimeField(null=True)
    reason = models.CharField(max_length=300, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["mandate"], condition=Q(state="open"), name="one_open_promotion_per_mandate"
            )
        ]

    def __str__(self) -> str:
        return f"{self.mandate}: {self.before} → {self.after} ({self.state})"


class SecondSignature(models.Model):
    """What takes two people: the owner asks, an admin who is somebody else signs (or declines).

    EQUIVALENCE: `version` makes no difference to the evidence of `continues`. EARNING: an irreversible or critical
    mandate may leave T1 at all (TIERS.md, Promotion 5)."""

    class Kind(models.TextChoices):
        EQUIVALENCE = "equivalence", "The version makes no difference"
        EARNING = "earning", "May earn more than T1"

    kind = models.CharField(max_length=12, choices=Kind)
    agent = models.ForeignKey(Agent, models.CASCADE, related_name="second_signatures")
    mandate = models.ForeignKey(Mandate, models.CASCADE, null=True, related_name="second_signatures")
    version = models.ForeignKey(AgentVersion, models.CASCADE, null=True, related_name="+")
    continues = models.ForeignKey(AgentVersion, models.CASCADE, null=True, related_name="+")
    reason = models.CharField(max_length=300)
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    asked_at = models.DateTimeField()
    signed_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    signed_at = models.DateTimeField(null=True)
    declined_at = models.DateTimeField(null=True)
    answer = models.CharField(max_length=300, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(signed_by=None) | ~Q(signed_by=models.F("asked_by")), name="two_people_sign"
            )
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.agent}"


class Stop(models.Model):
    """A stop switch that is pulled, or was: nothing it covers starts, and what was granted is taken back.

    ALL covers everything; the other scopes what they name."""

    class Scope(models.TextChoices):
        ALL = "all", "Everything"
        AGENT = "agent", "One agent"
        ACTION_TYPE = "action_type", "One action type"
        MANDATE = "mandate", "One mandate"

    scope = models.CharField(max_length=12, choices=Scope)
    agent = models.ForeignKey(Agent, models.CASCADE, null=True, related_name="stops")
    action_type = models.ForeignKey(ActionType, models.CASCADE, null=True, related_name="stops")
    mandate = models.ForeignKey(Mandate, models.CASCADE, null=True, related_name="stops")
    reason = models.CharField(max_length=300)
    stopped_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    stopped_at = models.DateTimeField()
    lifted_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    lifted_at = models.DateTimeField(null=True)
    lift_reason = models.CharField(max_length=300, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["scope", "agent", "action_type", "mandate"],
                condition=Q(lifted_at=None),
                nulls_distinct=False,
                name="one_live_stop_per_target",
            ),
            models.CheckConstraint(
                condition=Q(scope="all", agent=None, action_type=None, mandate=None)
                | Q(scope="agent", agent__isnull=False, action_type=None, mandate=None)
                | Q(scope="action_type", agent=None, action_type__isnull=False, mandate=None)
                | Q(scope="mandate", agent=None, action_type=None, mandate__isnull=False),
                name="stop_names_its_target",
            ),
        ]
        indexes = [models.Index(fields=["scope"], condition=Q(lifted_at=None), name="stop_live")]

    def __str__(self) -> str:
        return f"{self.get_scope_display()}: {self.reason}"
