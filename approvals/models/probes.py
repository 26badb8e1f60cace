"""Probes: planted proposals with a known right verdict, by which reviewers are measured."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from agents.models import ActionType, Agent, Standing
from approvals.models.proposals import Proposal
from approvals.models.reviews import BlindReview


class Probe(models.Model):
    """One entry of an action type's library: a proposal that must not be approved as it stands, and why.

    Built from an earlier rejected or edited proposal with everything that identifies it changed, or written by hand.
    `arguments` are canonical bytes. `faulty` are the JSON Pointers of what is wrong in them, by which an edit is known
    to have mended it; empty stands for every material field. Dates in it are as of `created_at`."""

    action_type = models.ForeignKey(ActionType, models.CASCADE, related_name="probes")
    agent = models.ForeignKey(Agent, models.CASCADE, null=True, related_name="probes")
    arguments = models.BinaryField()
    summary = models.TextField(blank=True)
    reasoning = models.TextField(blank=True)
    context = models.JSONField(default=list)
    subject_type = models.CharField(max_length=60, blank=True)
    subject_id = models.CharField(max_length=200, blank=True)
    current_state = models.JSONField(null=True)
    confidence = models.FloatField(null=True)
    fault = models.TextField()
    faulty = models.JSONField(default=list, blank=True)
    source = models.ForeignKey(Proposal, models.SET_NULL, null=True, related_name="+")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    active = models.BooleanField(default=True)
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["source"], condition=Q(source__isnull=False), name="one_probe_per_source"
            )
        ]

    def __str__(self) -> str:
        return f"{self.action_type}: {self.fault[:60]}"


class ProbeServing(models.Model):
    """One probe on its way through a queue: when it is to appear, as which proposal, and what became of it.

    `caught` is what the final decision says and `reviewer` who gave it; other voters are judged by their own votes.
    `decided_at` is when it was over; `caught` stays None where nobody decided it, which says nothing of anybody."""

    probe = models.ForeignKey(Probe, models.PROTECT, related_name="servings")
    standing = models.ForeignKey(Standing, models.CASCADE, related_name="probe_servings")
    agent = models.ForeignKey(Agent, models.CASCADE, related_name="+")
    serve_at = models.DateTimeField()
    probability = models.FloatField()
    for_review = models.BooleanField(default=False)
    proposal = models.OneToOneField(Proposal, models.CASCADE, null=True, related_name="serving")
    review = models.OneToOneField(BlindReview, models.CASCADE, null=True, related_name="serving")
    served_at = models.DateTimeField(null=True)
    reviewer = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    caught = models.BooleanField(null=True)
    decided_at = models.DateTimeField(null=True)
    appeal = models.TextField(blank=True)
    appealed_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    appealed_at = models.DateTimeField(null=True)
    upheld = models.BooleanField(null=True)
    answered_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    answered_at = models.DateTimeField(null=True)
    answer = models.TextField(blank=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["proposal"],
                condition=Q(decided_at=None, proposal__isnull=False),
                name="probe_open",
            ),
            models.Index(fields=["serve_at"], condition=Q(served_at=None), name="probe_to_serve"),
            models.Index(fields=["reviewer", "-id"], name="probe_record"),
        ]

    def __str__(self) -> str:
        return f"{self.probe} at {self.serve_at:%Y-%m-%d %H:%M}"


class ProbePosition(models.Model):
    """One row: up to which proposal and audit probes have been drawn for. It moves in the transaction that plans, so
    that after a crash nothing is drawn for twice."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    proposals = models.UUIDField()
    reviews = models.BigIntegerField(default=0)

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(id=1), name="one_probe_position")]

    def __str__(self) -> str:
        return str(self.proposals)
