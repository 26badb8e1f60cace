"""What an agent did on its way to a proposal, as it told us: prompts, outputs, tool calls and their results."""

from django.db import models
from django.db.models.expressions import RawSQL

from agents.models.agents import Agent, Credential
from audit.models import Content


class ActivityKind(models.TextChoices):
    PROMPT = "prompt", "Prompt"
    OUTPUT = "output", "Output"
    TOOL_CALL = "tool_call", "Tool call"
    TOOL_RESULT = "tool_result", "Tool result"
    STEP = "step", "Step"


class Activity(models.Model):
    """One thing that happened inside an agent; everything in it is the agent's word and hostile until shown otherwise.

    `trace_id` (32 hex digits for OpenTelemetry, otherwise the agent's own) ties it to proposals of the same agent.
    `position` counts the parts of one span, so that the same span sent twice is stored once. `facts` are figures that
    carry no text: tokens, temperature, the reason a model stopped. `content` is the encrypted text."""

    id = models.UUIDField(primary_key=True)
    agent = models.ForeignKey(Agent, models.PROTECT, related_name="+", db_index=False)
    credential = models.ForeignKey(Credential, models.PROTECT, related_name="+", db_index=False)
    trace_id = models.CharField(max_length=200)
    span_id = models.CharField(max_length=64)
    parent_span_id = models.CharField(max_length=64, blank=True)
    position = models.SmallIntegerField(default=0)
    kind = models.CharField(max_length=12, choices=ActivityKind)
    name = models.CharField(max_length=200, blank=True)
    model = models.CharField(max_length=120, blank=True)
    failed = models.BooleanField(default=False)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    received_at = models.DateTimeField(db_default=RawSQL("clock_timestamp()", ()), editable=False)
    facts = models.JSONField(default=dict)
    content = models.ForeignKey(Content, models.PROTECT, null=True, related_name="+", db_index=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["agent", "trace_id", "span_id", "position"], name="one_activity_per_part_of_a_span"
            )
        ]
        indexes = [models.Index(fields=["agent", "trace_id", "started_at"], name="activity_by_trace")]

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"
