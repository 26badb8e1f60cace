"""What owners ask for: a rollback of what has run, a backtest of recorded behaviour."""

from django.conf import settings
from django.db import models

from approvals.models.proposals import Proposal


class RollbackRequest(models.Model):
    """A person asks the agent to undo what it did; `compensation` is the proposal by which it means to."""

    proposal = models.OneToOneField(Proposal, models.CASCADE, related_name="rollback_request")
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    reason = models.CharField(max_length=300)
    asked_at = models.DateTimeField()
    compensation = models.ForeignKey(Proposal, models.SET_NULL, null=True, related_name="+")

    def __str__(self) -> str:
        return f"{self.proposal_id}: {self.reason}"


class Backtest(models.Model):
    """A file of recorded behaviour on its way through the tier model; `progress` and `total` count its lines."""

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        RUNNING = "running", "Running"
        DONE = "done", "Done"
        FAILED = "failed", "Failed"

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="backtests")
    name = models.CharField(max_length=200)
    content = models.BinaryField()
    options = models.JSONField(default=dict)
    state = models.CharField(max_length=8, choices=State, default=State.WAITING)
    progress = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField(default=0)
    result = models.JSONField(null=True)
    error = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.name
