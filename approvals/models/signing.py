"""Approvals signed with a passkey: what was asked to be signed, and what was signed."""

from django.conf import settings
from django.db import models

from approvals.models.decisions import Vote
from approvals.models.proposals import Proposal
from audit.tlog.assertions import Assertion


class Challenge(models.Model):
    """One question to a passkey: sign this digest, here and now. It is deleted in the transaction that decides by it,
    so that it answers for one decision; one that nobody used is swept when its person asks for another.

    `session` is a hash of the session that asked; `nonce` makes SHA-256(digest ‖ nonce) unlike any other."""

    nonce = models.BinaryField(max_length=32, unique=True)
    person = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="challenges")
    session = models.CharField(max_length=64)
    proposal = models.ForeignKey(Proposal, models.CASCADE, related_name="challenges", db_index=False)
    revision = models.IntegerField()
    digest = models.CharField(max_length=71)
    expires_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.person}: {self.digest}"


class Signature(models.Model):
    """An assertion that was accepted, with all that its proof takes (`audit.tlog.assertions`). Never changed, apart
    from `vote`, which is set when it is counted: at once, or when the queue's undo window has passed. Without a vote it
    was taken back, or the edit that it signed counts for nobody.

    `label` is what its owner calls the passkey; `counter` how often the authenticator says to have signed."""

    proposal = models.ForeignKey(Proposal, models.CASCADE, related_name="signatures")
    vote = models.OneToOneField(Vote, models.CASCADE, null=True, related_name="signature")
    person = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="signatures")
    revision = models.IntegerField()
    digest = models.CharField(max_length=71)
    nonce = models.BinaryField(max_length=32, unique=True)
    credential = models.BinaryField()
    key = models.BinaryField()
    label = models.CharField(max_length=120, blank=True)
    origin = models.CharField(max_length=300)
    authenticator_data = models.BinaryField()
    client_data = models.BinaryField()
    signature = models.BinaryField()
    counter = models.BigIntegerField()
    signed_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["credential", "counter"], name="signature_counter")]

    def __str__(self) -> str:
        return f"{self.person}: {self.digest}"

    @property
    def assertion(self) -> Assertion:
        """What proves it, as it was accepted."""
        return Assertion(
            credential=bytes(self.credential),
            key=bytes(self.key),
            nonce=bytes(self.nonce),
            origin=self.origin,
            authenticator_data=bytes(self.authenticator_data),
            client_data=bytes(self.client_data),
            signature=bytes(self.signature),
        )
