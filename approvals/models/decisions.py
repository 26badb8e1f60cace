"""What people do with a proposal: claims, votes, verdicts held back, comments, the final decision."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from approvals.models.proposals import Proposal, Revision


class Claim(models.Model):
    """A reviewer's lease on a proposal, kept as history; the live one is repeated on the proposal."""

    proposal = models.ForeignKey(Proposal, models.CASCADE, related_name="claims")
    reviewer = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="claims")
    claimed_at = models.DateTimeField(auto_now_add=True)
    ended_at = models.DateTimeField(null=True)
    ended_by = models.CharField(max_length=12, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["proposal"], condition=Q(ended_at=None), name="one_live_claim")
        ]

    def __str__(self) -> str:
        return f"{self.reviewer} on {self.proposal_id}"


class Verdict(models.TextChoices):
    APPROVE = "approve", "Approve"
    EDIT = "edit", "Edit"
    REJECT = "reject", "Reject"
    RETURN = "return", "Return"
    VETO = "veto", "Veto"


class Vote(models.Model):
    """One reviewer's verdict on one revision; `teams` are those he was in when he voted."""

    proposal = models.ForeignKey(Proposal, models.CASCADE, related_name="votes")
    revision = models.ForeignKey(Revision, models.CASCADE, related_name="votes")
    reviewer = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="votes")
    verdict = models.CharField(max_length=8, choices=Verdict)
    reason = models.CharField(max_length=60, blank=True)
    comment = models.TextField(blank=True)
    teams = models.JSONField(default=list)
    voted_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["revision", "reviewer"], name="one_vote_per_reviewer")]
        indexes = [models.Index(fields=["reviewer", "voted_at"], name="vote_pace")]

    def __str__(self) -> str:
        return f"{self.reviewer}: {self.verdict}"


class HeldBallot(models.Model):
    """A verdict given and not yet sent: the undo window of its queue is open. It settles at `settles_at` unless
    its reviewer takes it back; until then the agent sees a pending proposal. `arguments` are an edit's canonical
    bytes, `signature` the passkey's where it was signed."""

    proposal = models.OneToOneField(Proposal, models.CASCADE, related_name="held_ballot")
    reviewer = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="held_ballots")
    verdict = models.CharField(max_length=8, choices=Verdict)
    revision = models.IntegerField()
    version = models.IntegerField()
    reason = models.CharField(max_length=60, blank=True)
    comment = models.TextField(blank=True)
    arguments = models.BinaryField(null=True)
    signature = models.OneToOneField(
        "approvals.Signature", models.PROTECT, null=True, related_name="held_ballot"
    )
    held_at = models.DateTimeField()
    settles_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.verdict} by {self.reviewer}, until {self.settles_at:%H:%M:%S}"


class Skip(models.Model):
    """Somebody passed over a proposal: "next" offers it to others, and to him again only after a while."""

    proposal = models.ForeignKey(Proposal, models.CASCADE, related_name="skips")
    reviewer = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="skips")
    skipped_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["proposal", "reviewer"], name="one_skip_per_reviewer")]

    def __str__(self) -> str:
        return f"{self.reviewer} passed over {self.proposal_id}"


class Comment(models.Model):
    """What people say to each other about a proposal. The agent never sees it."""

    proposal = models.ForeignKey(Proposal, models.CASCADE, related_name="comments")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="comments")
    text = models.TextField()
    mentions = models.ManyToManyField(settings.AUTH_USER_MODEL, related_name="+")
    written_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.author} on {self.proposal_id}"


class Decision(models.Model):
    """The final verdict on one revision (I2: at most one), by people or by the policy."""

    proposal = models.ForeignKey(Proposal, models.CASCADE, related_name="decisions")
    revision = models.OneToOneField(Revision, models.CASCADE, related_name="decision")
    verdict = models.CharField(max_length=8, choices=Verdict)
    reason = models.CharField(max_length=60, blank=True)
    comment = models.TextField(blank=True)
    decider = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="decisions")
    label = models.CharField(max_length=120)
    decided_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.verdict} by {self.label}"

    @property
    def kind(self) -> str:
        return "human" if self.decider_id else "policy"
