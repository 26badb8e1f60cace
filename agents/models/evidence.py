"""Evidence and the standing it adds up to."""

from decimal import Decimal

from django.conf import settings
from django.db import models
from django.db.models import Q

from agents.autonomy import Tier
from agents.models.agents import Agent
from agents.models.mandates import ActionType, Risk


class Standing(models.Model):
    """What the evidence about one key (agent version, action type, risk) adds up to (TIERS.md, State).

    `state` is `agents.tier_model.State` as JSON, the fold of the key's evidence up to `folded_until` beginning at
    `initial`; both are empty until the first use. `matures_at` is when the next small loss counts; `assessed_at`
    when it was last asked whether another tier is due, None when something has changed since. `mismatch` is what the
    last rebuild found different."""

    agent = models.ForeignKey(Agent, models.CASCADE, related_name="standings")
    action_type = models.ForeignKey(ActionType, models.CASCADE, related_name="standings")
    agent_version = models.CharField(max_length=80)
    risk = models.CharField(max_length=8, choices=Risk)
    state = models.JSONField(default=dict)
    initial = models.JSONField(default=dict)
    folded_until = models.DateTimeField(null=True)
    matures_at = models.DateTimeField(null=True)
    assessed_at = models.DateTimeField(null=True)
    mismatch = models.TextField(blank=True)
    checked_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["agent", "action_type", "agent_version", "risk"], name="one_standing_per_key"
            )
        ]
        indexes = [
            models.Index(
                fields=["matures_at"], condition=Q(matures_at__isnull=False), name="standing_matures"
            ),
            models.Index(fields=["id"], condition=Q(assessed_at=None), name="standing_unassessed"),
        ]

    def __str__(self) -> str:
        return f"{self.agent} {self.agent_version}: {self.action_type} ({self.risk})"


class Evidence(models.Model):
    """One thing learnt about a key, append-only, written through `agents.evidence` alone.

    `loss` in [0, 1]; `probability` is the chance with which this proposal came to be judged, fixed before its
    outcome was known (1 for what is reviewed beforehand). It counts from `counts_at` on, in the `period` (attempt) it
    was made in. A correction names what it `corrects` and the loss that stood before. `key` makes recording it twice
    harmless. Turns (a new tier, a reset, new thresholds) are rows too, so that a standing is a fold of one table."""

    class Basis(models.TextChoices):
        DECISION = "decision", "Decision"
        VETO = "veto", "Veto"
        AUDIT = "audit", "Audit"
        SECOND = "second", "Second review"
        OUTCOME = "outcome", "Outcome"
        INCIDENT = "incident", "Incident"
        DISPUTE = "dispute", "Dispute"
        PROBE = "probe", "Probe"
        TURN = "turn", "Turn"

    standing = models.ForeignKey(Standing, models.CASCADE, null=True, related_name="evidence", db_index=False)
    agent = models.ForeignKey(Agent, models.CASCADE, related_name="evidence")
    action_type = models.ForeignKey(ActionType, models.CASCADE, related_name="evidence")
    agent_version = models.CharField(max_length=80)
    risk = models.CharField(max_length=8, choices=Risk)
    tier = models.CharField(max_length=16, choices=Tier)
    basis = models.CharField(max_length=12, choices=Basis)
    verdict = models.CharField(max_length=16)
    loss = models.DecimalField(max_digits=3, decimal_places=2)
    critical = models.BooleanField(default=False)
    probability = models.FloatField(default=1.0)
    counts = models.BooleanField(default=True)
    counts_at = models.DateTimeField(null=True)
    period = models.IntegerField(default=0)
    corrects = models.ForeignKey("self", models.PROTECT, null=True, related_name="corrections")
    loss_before = models.DecimalField(max_digits=3, decimal_places=2, null=True)
    critical_before = models.BooleanField(default=False)
    proposal_id = models.UUIDField(null=True)
    revision = models.IntegerField(null=True)
    judged_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    judged_at = models.DateTimeField()
    key = models.CharField(max_length=120, blank=True)
    detail = models.JSONField(default=dict)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(loss__gte=Decimal(0), loss__lte=Decimal(1)), name="loss_between_0_and_1"
            ),
            models.CheckConstraint(
                condition=Q(probability__gt=0, probability__lte=1), name="probability_above_0"
            ),
            models.UniqueConstraint(fields=["key"], condition=~Q(key=""), name="one_evidence_per_key"),
        ]
        indexes = [
            models.Index(fields=["agent", "action_type", "agent_version", "id"], name="evidence_by_key"),
            models.Index(fields=["agent", "action_type", "id"], name="evidence_latest"),
            models.Index(fields=["standing", "counts_at", "id"], name="evidence_fold"),
            models.Index(fields=["proposal_id"], name="evidence_of_proposal"),
        ]

    def __str__(self) -> str:
        return f"{self.agent} {self.action_type} {self.verdict}"

    @classmethod
    def judgements(cls) -> "models.QuerySet[Evidence]":
        """First judgements of proposals, one for each: without corrections, incidents, probes and turns."""
        return cls.objects.filter(basis__in=["decision", "veto", "audit"], corrects=None)
