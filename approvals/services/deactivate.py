"""Deactivate a person: sign-in and sessions end at once, what he held goes back to its queue."""

from collections.abc import Mapping

from django.db import transaction
from django.utils import timezone

from accounts import permissions
from accounts.models import User
from accounts.services import people
from approvals.models import Proposal
from approvals.services import ownership
from approvals.services.claim import end_lease
from audit import recording
from audit.events import Actor, Kind, Target


def deactivate(*, person_id: int, actor: User, heirs: Mapping[int, int] | None = None) -> User:
    """Shut a person out. Votes and decisions stay, since they happened.

    His agents go to their `heirs` (agent to person, by number); one without works in the loop from the commit on,
    until somebody answers for it. A claim taken in the same moment ends with its lease."""
    permissions.check_is_admin(actor)
    with transaction.atomic(durable=True):
        left = ownership.leave(person_id, heirs or {}, actor=actor.actor(), at=timezone.now())
        _hand_back(person_id, actor=actor.actor())
        person = people.locked_by_admin(person_id, actor)
        if person.is_active:
            people.shut_out(person, actor=actor)
    if left:
        ownership.return_scheduled(now=timezone.now())
    return person


def by_directory(person_id: int, actor: Actor) -> User:
    """The same as a step of what the company's directory does, within its transaction and before it locks the person.

    It names no heirs, so admins are told of his agents, and the tick lets what they had scheduled wait for people.
    Raises `NotFound`, and `Conflict` for the last admin."""
    ownership.leave(person_id, {}, actor=actor, at=timezone.now())
    _hand_back(person_id, actor=actor)
    person = people.locked_with_admins(person_id)
    if person.is_active:
        people.shut_out(person, actor=actor)
    return person


def _hand_back(person_id: int, *, actor: Actor) -> None:
    """What he holds goes back to its queue."""
    held = Proposal.objects.select_for_update(of=("self",), no_key=True).filter(claimed_by=person_id)
    now = timezone.now()
    for proposal in held.order_by("pk"):
        end_lease(proposal, at=now, by="deactivated")
        recording.record(
            actor=actor,
            kind=Kind.PROPOSAL_RELEASED,
            target=Target("proposal", str(proposal.pk)),
            detail={"why": "the reviewer was deactivated"},
        )
