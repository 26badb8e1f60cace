"""What people judge after the fact: blind reviews, disputes, incidents."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q

from agents.models import Evidence
from approvals.models.proposals import Proposal, Revision
from approvals.models.queues import Queue


class Judgement(models.TextChoices):
    """How wrong a proposal was, as a person says it; `approvals.judging` gives each its loss (TIERS.md)."""

    RIGHT = "right", "Right as it stood"
    COSMETIC = "cosmetic", "Right, with a cosmetic fault"
    MINOR = "minor", "A minor fault"
    SUBSTANTIAL = "substantial", "A substantial fault"
    WRONG = "wrong", "Wrong"
    NOT_AT_FAULT = "not_at_fault", "Wrong, but not by the agent's fault"


class BlindReview(models.Model):
    """A judgement after the fact, asked of somebody who sees neither tier nor kind nor what others said.

    AUDIT: of what ran without a person, drawn with `probability`. SECOND: of an approval. FAULT: of a rejection that
    is said not to be the agent's fault. DISPUTE: by a third person. PROBE: planted, of nothing that ever ran.
    Undone at `due_at` it counts as a loss and may still be done late."""

    class Kind(models.TextChoices):
        AUDIT = "audit", "Audit"
        SECOND = "second", "Second review"
        FAULT = "fault", "Whose fault"
        DISPUTE = "dispute", "Dispute"
        PROBE = "probe", "Probe"

    class State(models.TextChoices):
        OPEN = "open", "Open"
        DONE = "done", "Done"
        OVERDUE = "overdue", "Overdue"
        VOID = "void", "Void"

    proposal = models.ForeignKey(Proposal, models.CASCADE, related_name="blind_reviews")
    revision = models.ForeignKey(Revision, models.CASCADE, related_name="+")
    kind = models.CharField(max_length=8, choices=Kind)
    queue = models.ForeignKey(Queue, models.PROTECT, related_name="blind_reviews")
    probability = models.FloatField(default=1.0)
    state = models.CharField(max_length=8, choices=State, default=State.OPEN)
    created_at = models.DateTimeField()
    due_at = models.DateTimeField()
    claimed_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    claimed_until = models.DateTimeField(null=True)
    reviewer = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="blind_reviews"
    )
    judgement = models.CharField(max_length=12, choices=Judgement, blank=True)
    critical = models.BooleanField(default=False)
    comment = models.TextField(blank=True)
    reviewed_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["proposal", "kind"], condition=~Q(kind="dispute"), name="one_blind_review_per_kind"
            )
        ]
        indexes = [
            models.Index(fields=["queue", "due_at", "id"], condition=Q(state="open"), name="blind_open"),
            models.Index(fields=["due_at"], condition=Q(state="open"), name="blind_due"),
            models.Index(fields=["reviewer", "-id"], condition=Q(state="done"), name="blind_done"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} of {self.proposal_id}"


class Dispute(models.Model):
    """Somebody says that a judgement was wrong. Until a third person has judged, the higher loss counts."""

    evidence = models.ForeignKey(Evidence, models.PROTECT, related_name="+")
    proposal = models.ForeignKey(Proposal, models.CASCADE, related_name="disputes")
    raised_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    raised_at = models.DateTimeField()
    claim = models.CharField(max_length=12, choices=Judgement)
    text = models.TextField()
    review = models.OneToOneField(BlindReview, models.PROTECT, null=True, related_name="dispute")
    settled_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["evidence"], condition=Q(settled_at=None), name="one_open_dispute_per_judgement"
            )
        ]

    def __str__(self) -> str:
        return f"{self.raised_by} on {self.proposal_id}"


class Incident(models.Model):
    """Something went wrong: its proposals, how bad, who answers, why, and what was done about it."""

    class Severity(models.TextChoices):
        MINOR = "minor", "Minor"
        MAJOR = "major", "Major"
        CRITICAL = "critical", "Critical"

    title = models.CharField(max_length=200)
    severity = models.CharField(max_length=8, choices=Severity)
    description = models.TextField()
    proposals: ClassVar[models.ManyToManyField[Proposal, models.Model]] = models.ManyToManyField(
        Proposal, related_name="incidents"
    )
    reported_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    answers = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="incidents")
    root_cause = models.TextField(blank=True)
    correction = models.TextField(blank=True)
    opened_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.title
