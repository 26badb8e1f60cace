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
    """What SCIM knows of a person: the provider's own id, and when it last changed him (RFC 7643 3.1).

    `shut_out_at`: the provider deactivated him, so it may bring him back; whom an admin shut out, an admin lets in
    again. `removed_at`: deleted as far as SCIM goes; the person stays, since votes and the log name him."""

    person = models.OneToOneField(settings.AUTH_USER_MODEL, models.CASCADE, related_name="directory_entry")
    external_id = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    changed_at = models.DateTimeField(default=timezone.now)
    shut_out_at = models.DateTimeField(null=True)
    removed_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["external_id"], name="directory_person_external")]

    def __str__(self) -> str:
        return f"{self.person} ({self.external_id})"


class DirectoryTeam(models.Model):
    """A team whose members the provider may name. No team is connected but by an admin, or made by SCIM and empty of
    rights: a group that happens to be called as a team of ours gives nobody anything.

    `claim` is the name that an OIDC token's groups say it by; empty: the team's own, unless SCIM looks after it."""

    team = models.OneToOneField(Group, models.CASCADE, related_name="directory_entry")
    external_id = models.CharField(max_length=200, blank=True)
    claim = models.CharField(max_length=200, blank=True)
    by_scim = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now)
    changed_at = models.DateTimeField(default=timezone.now)
    removed_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["claim"], condition=~models.Q(claim=""), name="one_team_per_claim"
            )
        ]

    def __str__(self) -> str:
        return f"{self.team} ({self.external_id or self.claim})"

    @property
    def claimed_as(self) -> str:
        """The name by which a token's groups mean this team; empty where they do not speak of it."""
        return self.claim or ("" if self.by_scim else self.team.name)
