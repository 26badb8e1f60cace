"""Ask a person's passkey to sign an approval: the challenge, kept until it is answered, replaced or too old."""

import secrets
from dataclasses import dataclass
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from accounts.exceptions import NotFound
from accounts.models import User
from approvals import ballots, permissions, signing
from approvals.ballots import Ballot
from approvals.models import Challenge, Proposal
from audit.tlog import assertions

AT_ONCE = 20
"""Questions of one person that may be open: more tabs than anybody signs in. The oldest goes first."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the browser hands to the authenticator; `credentials` are the ids of this person's passkeys."""

    nonce: bytes
    challenge: bytes
    host: str
    credentials: list[bytes]


def ask(*, proposal_id: UUID, person: User, session: str, ballot: Ballot) -> Asked | None:
    """A fresh challenge over the digest of what this ballot would approve; None where nothing has to be signed.

    Everything is checked as by the decision itself, so that nobody is asked to sign what will be refused; it decides
    nothing and promises nothing. Raises what `ballots.check` and `permissions.check_can_decide` raise."""
    with transaction.atomic(durable=True):
        proposal = (
            Proposal.objects.select_related("agent", "action_type", "queue", "claimed_by")
            .filter(pk=proposal_id)
            .first()
        )
        if proposal is None:
            raise NotFound("There is no such proposal.")
        permissions.check_can_decide(person, proposal)
        if not signing.is_asked(proposal, ballot.verdict) or signing.why_impossible(ballot.host):
            return None
        keys = signing.passkeys(person)
        if not keys:
            return None
        now = timezone.now()
        ballots.check(proposal, person, ballot, at=now)
        digest = ballots.digest_of(proposal, ballot)
        nonce = secrets.token_bytes(assertions.NONCE)
        _make_room(person)
        Challenge.objects.create(
            nonce=nonce,
            person=person,
            session=session,
            proposal=proposal,
            revision=proposal.revision,
            digest=digest,
            expires_at=now + signing.VALID,
        )
    return Asked(
        nonce=nonce,
        challenge=assertions.challenge(digest, nonce),
        host=assertions.host_of(signing.origin(ballot.host)),
        credentials=[one.credential for one in keys],
    )


def _make_room(person: User) -> None:
    """What is too old goes, and of the rest all but the latest."""
    own = Challenge.objects.filter(person=person)
    latest = own.filter(expires_at__gt=timezone.now()).order_by("-pk").values_list("pk", flat=True)
    own.exclude(pk__in=list(latest[: AT_ONCE - 1])).delete()
