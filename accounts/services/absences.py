"""Out of office: somebody is away for a time and names a delegate, who then hears of what would have come to him.

An absence gives the delegate no right, it takes one (I8): he may not judge what the absent person may not. Votes are
held against the absences of their time, so what has begun is never changed, only ended, and nothing is written for
times that have passed."""

from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from accounts import permissions
from accounts.exceptions import Conflict, Invalid, NotAllowed, NotFound
from accounts.models import Absence, User
from audit import recording
from audit.events import Kind, Target

LONGEST = timedelta(days=366)


def enter(
    *,
    person_id: int,
    starts_at: datetime,
    ends_at: datetime,
    delegate_id: int | None,
    note: str = "",
    actor: User,
) -> Absence:
    """Write down that somebody will be away; everybody for himself, admins for all. A start that has passed is now.

    Raises `NotAllowed`, `NotFound`, `Invalid`, and `Conflict` when he is away at that time already."""
    with transaction.atomic(durable=True):
        person = _locked(person_id, actor)
        now = timezone.now()
        starts_at = max(starts_at, now)
        wrong = _faults(person, starts_at, ends_at, delegate_id, note)
        if wrong:
            raise Invalid("The absence was not saved.", errors=wrong)
        if Absence.objects.filter(person=person, starts_at__lt=ends_at, ends_at__gt=starts_at).exists():
            raise Conflict(f"{person} is away at that time already. End that absence first.")
        absence = Absence.objects.create(
            person=person, delegate_id=delegate_id, starts_at=starts_at, ends_at=ends_at, note=note
        )
        recording.record(
            actor=actor.actor(),
            kind=Kind.ABSENCE_SAVED,
            target=_target(person),
            after=_facts(absence),
            on_behalf_of=None if person.pk == actor.pk else person.actor(),
        )
    return absence


def end(*, absence_id: int, actor: User) -> Absence:
    """Back early, or not going after all. Ending what is over changes nothing."""
    with transaction.atomic(durable=True):
        found = Absence.objects.filter(pk=absence_id).first()
        if found is None:
            raise NotFound("There is no such absence.")
        person = _locked(found.person_id, actor)
        absence = Absence.objects.select_for_update(of=("self",)).filter(pk=absence_id).first()
        if absence is None:
            return found
        now = timezone.now()
        if absence.ends_at <= now:
            return absence
        before = _facts(absence)
        if absence.starts_at >= now:
            absence.delete()
        else:
            absence.ends_at = now
            absence.save(update_fields=["ends_at"])
        recording.record(
            actor=actor.actor(),
            kind=Kind.ABSENCE_ENDED,
            target=_target(person),
            before=before,
            after={**before, "ends_at": now.isoformat()},
        )
    return absence


def _locked(person_id: int, actor: User) -> User:
    """The person, locked so that two absences at once come one after the other."""
    if person_id != actor.pk:
        permissions.check_is_admin(actor)
    person = User.objects.select_for_update(of=("self",), no_key=True).filter(pk=person_id).first()
    if person is None:
        raise NotFound("There is no such person.")
    if not person.is_active:
        raise NotAllowed(f"{person} is deactivated.")
    return person


def _faults(
    person: User, starts_at: datetime, ends_at: datetime, delegate_id: int | None, note: str
) -> list[dict[str, str]]:
    found = []
    if ends_at <= starts_at:
        found.append({"field": "ends_at", "message": "must be later than the start, and not passed"})
    elif ends_at - starts_at > LONGEST:
        found.append({"field": "ends_at", "message": "must be within a year of the start"})
    if delegate_id == person.pk:
        found.append({"field": "delegate", "message": "must be somebody else"})
    elif delegate_id is not None and not User.objects.filter(pk=delegate_id, is_active=True).exists():
        found.append({"field": "delegate", "message": "must be a person who can sign in"})
    if len(note) > 200 or "\x00" in note:
        found.append({"field": "note", "message": "must have at most 200 characters"})
    return found


def _facts(absence: Absence) -> dict[str, object]:
    return {
        "starts_at": absence.starts_at.isoformat(),
        "ends_at": absence.ends_at.isoformat(),
        "delegate": str(absence.delegate_id or ""),
    }


def _target(person: User) -> Target:
    return Target("person", str(person.pk))
