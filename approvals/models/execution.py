"""What follows an approval: the grant, the keys that sign it, the outcome."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from agents.models import Credential
from approvals.models.proposals import Proposal, Revision


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


class ExecutorCall(models.Model):
    """An approved action that Countersign itself has carried out, written in the transaction that uses its grant up.

    Address and whether it may be repeated are as they were then. `leased_until` stands while a call is under way; one
    whose lease has run out was cut off, and nobody knows what the other side did."""

    proposal = models.OneToOneField(Proposal, models.CASCADE, related_name="executor_call")
    url = models.CharField(max_length=2000)
    repeats = models.BooleanField()
    attempts = models.IntegerField(default=0)
    not_before = models.DateTimeField()
    leased_until = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    sent = models.BooleanField(default=False)
    """Whether any attempt may have arrived."""
    status = models.IntegerField(null=True)
    said = models.TextField(blank=True)
    """How it ended, in our words."""

    class Meta:
        indexes = [
            models.Index(fields=["not_before"], condition=Q(ended_at=None), name="executor_call_due"),
        ]

    def __str__(self) -> str:
        return self.url


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
