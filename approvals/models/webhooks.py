"""Where agents' servers hear of their proposals, and what became of each message; which networks may be called."""

from typing import ClassVar
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.postgres.functions import RandomUUID
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from agents.models import Agent
from approvals.models.proposals import Proposal

SHOWN = 70
"""Characters of an address that name its endpoint where it has no name."""


class WebhookEndpoint(models.Model):
    """One address of an agent's. Removed ones stay, without secrets, for as long as what was sent to them is kept.

    `lease` rises with each sender that takes it, so that one that was overtaken notices. `failing_since` is the first
    failure after the last success; `failures` counts from there and says how long it rests (`rests_until`)."""

    agent = models.ForeignKey(Agent, models.CASCADE, related_name="webhooks")
    url = models.CharField(max_length=2000)
    label = models.CharField(max_length=80, blank=True)
    events = models.JSONField(default=list)
    """Which types it hears of (approvals/outbox.py); empty is all."""
    added_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    added_at = models.DateTimeField(auto_now_add=True)
    paused_at = models.DateTimeField(null=True)
    paused_why = models.CharField(max_length=300, blank=True)
    removed_at = models.DateTimeField(null=True)
    lease = models.BigIntegerField(default=0)
    leased_until = models.DateTimeField(null=True)
    failures = models.IntegerField(default=0)
    failing_since = models.DateTimeField(null=True)
    rests_until = models.DateTimeField(null=True)
    succeeded_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        """For headings, mail and chat: an address without its query, where people put secrets."""
        parts = urlsplit(self.url)
        address = f"{parts.netloc}{parts.path}"
        return self.label or (address if len(address) <= SHOWN else f"{address[: SHOWN - 1]}…")

    @property
    def is_open(self) -> bool:
        """Whether messages leave for it."""
        return self.paused_at is None and self.removed_at is None


class WebhookSecret(models.Model):
    """What its messages are signed with, sealed (approvals/messages/sealing.py). Two sign while one takes over."""

    endpoint = models.ForeignKey(WebhookEndpoint, models.CASCADE, related_name="secrets")
    sealed = models.BinaryField()
    made_at = models.DateTimeField(auto_now_add=True)
    ends_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"secret {self.pk}"


class WebhookDelivery(models.Model):
    """One event's way to one endpoint: it arrives at least once or is visibly dead (I5).

    The row says which event; what is sent is built from the stored proposal each time, so that no copy of what an
    agent wrote outlives its erasure. A test has no proposal."""

    class State(models.TextChoices):
        QUEUED = "queued", "Queued"
        SENT = "sent", "Delivered"
        DEAD = "dead", "Dead"

    endpoint = models.ForeignKey(WebhookEndpoint, models.CASCADE, related_name="deliveries", db_index=False)
    message = models.UUIDField(db_default=RandomUUID())
    """Names it to the receiver, the same however often it is sent."""
    event = models.CharField(max_length=40)
    proposal = models.ForeignKey(Proposal, models.CASCADE, null=True, related_name="+", db_index=False)
    version = models.IntegerField(default=0)
    revision = models.IntegerField(default=0)
    status = models.CharField(max_length=12, blank=True)
    """The proposal's state by this event."""
    state = models.CharField(max_length=8, choices=State, default=State.QUEUED, db_default=State.QUEUED)
    created_at = models.DateTimeField(db_default=Now())
    not_before = models.DateTimeField(db_default=Now())
    begun_at = models.DateTimeField(null=True)
    """The first attempt; three days later it is given up."""
    attempts = models.IntegerField(default=0, db_default=0)
    error = models.CharField(max_length=300, default="", db_default="", blank=True)
    sent_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name_plural = "webhook deliveries"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["endpoint", "proposal", "version"], name="one_webhook_per_version"
            )
        ]
        indexes: ClassVar = [
            models.Index(fields=["endpoint", "not_before"], condition=Q(state="queued"), name="webhook_due"),
            models.Index(fields=["endpoint", "-id"], name="webhook_list"),
            models.Index(fields=["created_at"], name="webhook_by_age"),
            models.Index(fields=["proposal"], name="webhook_by_proposal"),
        ]

    def __str__(self) -> str:
        return f"{self.event}: {self.state}"


class WebhookAttempt(models.Model):
    """One try: what was answered. `excerpt` is the other side's own text and hostile like anything from outside."""

    delivery = models.ForeignKey(WebhookDelivery, models.CASCADE, related_name="tries")
    at = models.DateTimeField()
    milliseconds = models.IntegerField()
    status = models.IntegerField(null=True)
    error = models.CharField(max_length=300, blank=True)
    excerpt = models.TextField(blank=True)
    digest = models.CharField(max_length=71)
    """SHA-256 of the body that was sent."""

    def __str__(self) -> str:
        return str(self.status or self.error)


class OpenNetwork(models.Model):
    """A private network whose servers may be called, because an admin said so.

    Who may name an address differs: admins for executors, owners of agents for webhooks, who also read what is
    answered. So a network that is opened for one is not open to the other."""

    class Purpose(models.TextChoices):
        EXECUTORS = "executors", "Executors"
        WEBHOOKS = "webhooks", "Webhooks"
        BOTH = "both", "Executors and webhooks"

    purpose = models.CharField(max_length=9, choices=Purpose, default=Purpose.BOTH)
    network = models.CharField(max_length=50, unique=True)
    reason = models.CharField(max_length=200)
    allowed_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    allowed_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.network
