"""Accounts of one human being, tied together by an admin: what one may not judge, the other may not (A27)."""

from django.db import IntegrityError, transaction

from accounts import permissions
from accounts.exceptions import Conflict, Invalid, NotFound
from accounts.models import LinkedAccount, User
from audit import recording
from audit.events import Kind, Target


def link(*, person_id: int, other_id: int, actor: User, why: str) -> LinkedAccount:
    """Tie two accounts together, from now on and for every vote that is asked again. Raises `Invalid`, `Conflict`."""
    permissions.check_is_admin(actor)
    if person_id == other_id:
        raise Invalid(
            "The accounts were not linked.", errors=[{"field": "other", "message": "must be another account"}]
        )
    if not why.strip():
        raise Invalid(
            "The accounts were not linked.",
            errors=[{"field": "why", "message": "must say how you know that they are one person's"}],
        )
    first, second = sorted((person_id, other_id))
    try:
        with transaction.atomic(durable=True):
            people = {one.pk: one for one in User.objects.filter(pk__in=(first, second))}
            if len(people) != 2:
                raise NotFound("There is no such person.")
            made = LinkedAccount.objects.create(
                first=people[first], second=people[second], why=why.strip()[:300], linked_by=actor
            )
            _record(made, actor, linked=True, why=why.strip()[:300])
    except IntegrityError as error:
        raise Conflict("These accounts are linked already.") from error
    return made


def unlink(*, link_id: int, actor: User, why: str) -> LinkedAccount:
    """Untie them; the log keeps that they were. Nobody unties his own. Raises `NotFound`, `Conflict`, `Invalid`."""
    permissions.check_is_admin(actor)
    if not why.strip():
        raise Invalid(
            "The link stays.", errors=[{"field": "why", "message": "must say why they are two people's"}]
        )
    with transaction.atomic(durable=True):
        found = (
            LinkedAccount.objects.select_for_update(of=("self",), no_key=True)
            .select_related("first", "second")
            .filter(pk=link_id)
            .first()
        )
        if found is None:
            raise NotFound("There is no such link.")
        if actor.pk in (found.first_id, found.second_id):
            raise Conflict("Another admin has to untie your own accounts.")
        _record(found, actor, linked=False, why=why.strip()[:300])
        found.delete()
    return found


def _record(found: LinkedAccount, actor: User, *, linked: bool, why: str) -> None:
    for one, other in ((found.first, found.second), (found.second, found.first)):
        recording.record(
            actor=actor.actor(),
            kind=Kind.ACCOUNTS_LINKED,
            target=Target("person", str(one.pk)),
            before={"linked": not linked},
            after={"linked": linked},
            detail={"linked": linked, "other": str(other), "other_id": str(other.pk), "why": why},
        )
