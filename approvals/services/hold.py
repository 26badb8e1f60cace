"""Legal holds: while one stands, nothing that it names is erased or runs out."""

from django.db import transaction
from django.utils import timezone

from accounts.exceptions import Conflict, Invalid, NotFound
from accounts.models import User
from agents import permissions
from approvals.redaction import Subject
from audit import ending, recording
from audit.events import Kind, Target
from audit.models import LegalHold

MOST = 500


def place(*, subject: Subject | None, reason: str, actor: User) -> LegalHold:
    """On one data subject, or (None) on everybody. The log names him by his reference only."""
    with transaction.atomic(durable=True):
        ending.serialise()
        permissions.check_is_admin(actor)
        reason = _checked(reason)
        if subject is not None and not subject.id.strip():
            raise Invalid(
                "Nothing was held.", errors=[{"field": "subject_id", "message": "must name somebody"}]
            )
        placed = LegalHold.objects.create(
            subject=ending.EVERYBODY if subject is None else subject.reference,
            label="" if subject is None else f"{subject.type} {subject.id}"[:200],
            reason=reason,
            placed_by=str(actor)[:200],
            placed_at=timezone.now(),
        )
        recording.record(
            actor=actor.actor(),
            kind=Kind.HOLD_PLACED,
            target=Target("hold", str(placed.pk)),
            after={"subject": placed.subject or "everybody"},
            detail={"reason": reason},
        )
    return placed


def lift(*, hold_id: int, reason: str, actor: User) -> LegalHold:
    """Raises `NotFound`, `Conflict` where somebody lifted it before."""
    with transaction.atomic(durable=True):
        ending.serialise()
        permissions.check_is_admin(actor)
        reason = _checked(reason)
        found = LegalHold.objects.select_for_update().filter(pk=hold_id).first()
        if found is None:
            raise NotFound("There is no such hold.")
        if found.lifted_at is not None:
            raise Conflict("It was lifted before; nothing was changed.")
        found.lifted_at, found.lifted_by = timezone.now(), str(actor)[:200]
        found.save(update_fields=["lifted_at", "lifted_by"])
        recording.record(
            actor=actor.actor(),
            kind=Kind.HOLD_LIFTED,
            target=Target("hold", str(found.pk)),
            before={"subject": found.subject or "everybody"},
            detail={"reason": reason},
        )
    return found


def _checked(reason: str) -> str:
    reason = " ".join(reason.split())
    if not reason or len(reason) > MOST or "\x00" in reason:
        words = f"must say why, in at most {MOST} characters"
        raise Invalid("Say why.", errors=[{"field": "reason", "message": words}])
    return reason
