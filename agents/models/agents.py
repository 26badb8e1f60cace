"""Agents, their versions and their credentials."""

from datetime import timedelta
from typing import ClassVar

from django.conf import settings
from django.contrib.auth.models import Group
from django.db import models
from django.utils import timezone

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
    PREPARING = "preparing", "In preparation"
    LIVE = "live", "Live"
    SUSPENDED = "suspended", "Suspended"
    RETIRED = "retired", "Retired"


class Agent(models.Model):
    """An AI system with its own identity and one named owner, who may never decide its proposals (I8).

    `budget_*` bounds what all its mandates may do together in a rolling window; None is no limit."""

    State = AgentState

    slug = models.SlugField(max_length=80, unique=True)
    name = models.CharField(max_length=120)
    purpose = models.TextField(blank=True)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="owned_agents")
    team = models.ForeignKey(Group, models.SET_NULL, null=True, blank=True, related_name="agents")
    version = models.CharField(max_length=80, default="1")
    domain = models.SlugField(max_length=60, blank=True)
    """Where it belongs: roles given on the domain hold for it."""
    systems = models.JSONField(default=list, blank=True)
    """Names of the systems it touches, for people."""
    state = models.CharField(max_length=12, choices=AgentState, default=AgentState.LIVE)
    state_reason = models.CharField(max_length=300, blank=True)
    ownerless_since = models.DateTimeField(null=True, blank=True)
    """When it was noticed that its owner has left. For people and for telling them once; that it works in the loop
    meanwhile is read from the owner himself (`has_live_owner`)."""
    budget_hours = models.PositiveIntegerField(default=24)
    budget_count = models.PositiveIntegerField(null=True, blank=True)
    budget_amount = models.DecimalField(max_digits=18, decimal_places=2, null=True, blank=True)
    budget_currency = models.CharField(max_length=3, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        permissions: ClassVar = [
            ("manage_agent", "Can manage this agent"),
            ("read_record", "Can read everything about this agent"),
        ]

    def __str__(self) -> str:
        return self.name

    def actor(self) -> Actor:
        return Actor("agent", str(self.pk), self.slug)

    @property
    def has_live_owner(self) -> bool:
        """Whether somebody answers for it. Without him nothing it does passes a person by."""
        return self.owner.is_active


class Credential(models.Model):
    """One way in which an agent proves who it is: a secret (only SHA-256 of the token is kept; it lives at most 90
    days) or, where it has an `identity`, tokens of an issuer that we trust, without any secret of ours (at most a
    year). Whoever registered either may not decide the agent's proposals (I8)."""

    agent = models.ForeignKey(Agent, models.CASCADE, related_name="credentials")
    key_id = models.CharField(max_length=16, unique=True)
    token_hash = models.BinaryField(max_length=32, unique=True, null=True)
    label = models.CharField(max_length=80, blank=True)
    registered_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    replaced_by = models.OneToOneField(
        "self", models.SET_NULL, null=True, blank=True, related_name="replaces"
    )
    networks = models.JSONField(default=list, blank=True)
    """Where it may be used from, as CIDR; empty is everywhere (agents/networks.py)."""
    last_used_at = models.DateTimeField(null=True, blank=True)
    last_used_from = models.CharField(max_length=64, blank=True)
    """The address of that request, as config/middleware.RequestSource knows it."""
    reminded = models.PositiveSmallIntegerField(null=True, blank=True)
    """The last of 14, 7 and 1 days before its end of which people were told."""

    def __str__(self) -> str:
        return f"{self.agent} {self.key_id}"

    @property
    def is_identity(self) -> bool:
        return self.token_hash is None

    @property
    def is_usable(self) -> bool:
        return self.revoked_at is None and self.expires_at > timezone.now()

    @property
    def expires_soon(self) -> bool:
        """Within two weeks: time to rotate."""
        return self.is_usable and self.expires_at < timezone.now() + timedelta(days=14)


class Identity(models.Model):
    """Tokens of which issuer, for which audience and subject, are this agent's (agents/identity.py).

    Its credential carries who registered it, its networks, its end and its revocation."""

    credential = models.OneToOneField(Credential, models.CASCADE, primary_key=True, related_name="identity")
    issuer = models.CharField(max_length=300, db_index=True)
    audience = models.CharField(max_length=300)
    subject = models.CharField(max_length=300)
    """A pattern for the whole of `sub`: `*` stands for any characters but the separators / and :."""
    claims = models.JSONField(default=dict, blank=True)
    """Further claims that must have exactly these values."""

    def __str__(self) -> str:
        return f"{self.issuer} {self.subject}"


class AgentVersion(models.Model):
    """One state of an agent that evidence is kept by: what it announced of its model, prompt and tools.

    Digests are the agent's own words. A change begins at T1 with fresh evidence, unless owner and admin both signed
    that it makes no difference: then `evidence_label` is that of the version it continues (TIERS.md, Key)."""

    agent = models.ForeignKey(Agent, models.CASCADE, related_name="versions")
    label = models.CharField(max_length=80)
    evidence_label = models.CharField(max_length=80)
    model = models.CharField(max_length=200, blank=True)
    prompt_digest = models.CharField(max_length=200, blank=True)
    tools_digest = models.CharField(max_length=200, blank=True)
    announced_by = models.ForeignKey(Credential, models.SET_NULL, null=True, related_name="+")
    registered_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    began_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["agent", "label"], name="one_version_per_label")]

    def __str__(self) -> str:
        return f"{self.agent} {self.label}"
