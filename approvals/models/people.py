"""What belongs to one person: saved views, notifications and the ways they take."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from approvals.models.proposals import Proposal


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
