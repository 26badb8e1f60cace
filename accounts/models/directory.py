"""What an identity provider says of people and teams: by SCIM, and by the groups in an OIDC token."""

from django.conf import settings
from django.contrib.auth.models import Group
from django.db import models
from django.utils import timezone


class DirectoryToken(models.Model):
    """The bearer token by which an identity provider speaks SCIM with us; only its SHA-256 is kept."""

    label = models.CharField(max_length=80)
    token_hash = models.BinaryField(max_length=32, unique=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True)
    last_used_from = models.CharField(max_length=45, blank=True)
    revoked_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.label

    @property
    def is_usable(self) -> bool:
        return self.revoked_at is None and self.expires_at > timezone.now()


class DirectoryPerson(models.Model):
    """What SCIM knows of a person: the provider's own id, and when it last changed him (RFC 7643 3.1)."""

    person = models.OneToOneField(settings.AUTH_USER_MODEL, models.CASCADE, related_name="directory_entry")
    external_id = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    changed_at = models.DateTimeField(default=timezone.now)
    version = models.PositiveIntegerField(default=1)

    def __str__(self) -> str:
        return f"{self.person} ({self.external_id})"


class DirectoryTeam(models.Model):
    """Likewise of a team. `claim` is the name that an OIDC token's groups say it by; empty: its display name."""

    team = models.OneToOneField(Group, models.CASCADE, related_name="directory_entry")
    external_id = models.CharField(max_length=200, blank=True)
    claim = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    changed_at = models.DateTimeField(default=timezone.now)
    version = models.PositiveIntegerField(default=1)

    def __str__(self) -> str:
        return f"{self.team} ({self.external_id or self.claim})"
