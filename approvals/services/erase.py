"""Erase a data subject: destroy the key, take the ciphertexts and the operational copies, keep what is proved.

Asking is one transaction, which refuses under a hold or while anything about him is undecided. What follows are batches
that may be killed between any two: `go_on` ends whatever was begun. The name stands in the erasure's row until then and
in no event."""

import time
from dataclasses import dataclass
from datetime import datetime

from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.exceptions import Conflict, Invalid
from accounts.models import User
from agents import permissions
from approvals import redaction
from approvals.exceptions import StillUndecided, UnderHold
from approvals.models import Proposal
from approvals.redaction import Subject
from audit import ending, recording
from audit.events import Actor, Kind, Target
from audit.models import Erasure

BATCH = 100
CONTENTS = 1000
SECONDS = 5.0
MOST_REASON = 500


@dataclass(frozen=True, slots=True)
class Erased:
    """What came of it so far; `is_done` is False while the task still takes what is left."""

    reference: str
    counts: dict[str, int]
    is_done: bool


def erase(*, subject: Subject, typed: str, reason: str, actor: User) -> Erased:
    """Raises `NotAllowed`, `Invalid`, `UnderHold`, `StillUndecided`, `Conflict` while he is being erased already."""
    with transaction.atomic(durable=True):
        ending.serialise()
        permissions.check_is_admin(actor)
        reason = _checked(subject, typed, reason)
        reference = subject.reference
        if held := ending.holds_over(reference):
            names = "; ".join(f"{one.reason} ({one.placed_by})" for one in held)
            raise UnderHold(f"A legal hold keeps this: {names}")
        if waiting := redaction.undecided(subject):
            raise StillUndecided(_named(waiting), proposals=[str(one.pk) for one in waiting])
        traces = redaction.traces(subject)
        erasure = _asked(subject, [reference, *traces], reason, actor)
        ending.begin(erasure)
        recording.record(
            actor=actor.actor(),
            kind=Kind.ERASURE_ASKED,
            target=Target("subject", reference),
            detail={"reason": reason, "keys": sorted(erasure.keys)},
        )
    return _carry_on(erasure.pk, seconds=SECONDS)


def _checked(subject: Subject, typed: str, reason: str) -> str:
    reason = " ".join(reason.split())
    errors = []
    if not subject.id.strip():
        errors.append({"field": "subject_id", "message": "must name somebody"})
    if typed.strip() != subject.id.strip():
        errors.append({"field": "typed", "message": "must be the id, exactly as it stands above"})
    if not reason or len(reason) > MOST_REASON or "\x00" in reason:
        errors.append({"field": "reason", "message": f"must say why, in at most {MOST_REASON} characters"})
    name = " ".join(subject.id.casefold().split())
    if len(name) > 3 and name in reason.casefold():
        words = "must not name him: the reason stays in the log for good"
        errors.append({"field": "reason", "message": words})
    if errors:
        raise Invalid("Nothing was erased.", errors=errors)
    return reason


def _named(waiting: list[Proposal]) -> str:
    shown = waiting[: redaction.SHOWN]
    names = ", ".join(f"“{one.title}” ({one.get_state_display().lower()})" for one in shown)
    more = " and others" if len(waiting) > len(shown) else ""
    return f"Nothing was erased. Decide, settle or judge these first: {names}{more}."


def _asked(subject: Subject, references: list[str], reason: str, actor: User) -> Erasure:
    try:
        with transaction.atomic():
            return Erasure.objects.create(
                reference=references[0],
                subject_type=subject.type,
                subject_id=subject.id,
                reason=reason,
                asked_by=str(actor)[:200],
                asked_by_id=str(actor.pk),
                asked_at=timezone.now(),
                keys=ending.key_ids(references),
            )
    except IntegrityError as error:
        raise Conflict("He is being erased already; it goes on by itself.") from error


def go_on(*, now: datetime, limit: int = 20) -> int:
    """A step of the tick: end erasures that were interrupted or are large. How many were carried on."""
    open_ones = Erasure.objects.filter(finished_at=None, asked_at__lte=now).order_by("pk")
    found = list(open_ones.values_list("pk", flat=True)[:limit])
    for pk in found:
        _carry_on(pk, seconds=SECONDS)
    return len(found)


def _carry_on(erasure_id: int, *, seconds: float) -> Erased:
    until = time.monotonic() + seconds
    while True:
        state = _step(erasure_id)
        if state.is_done or time.monotonic() > until:
            return state


def _step(erasure_id: int) -> Erased:
    """One transaction: destroy the keys again where that was interrupted, and take one batch. Two processes take turns
    by the row's lock."""
    with transaction.atomic(durable=True):
        erasure = Erasure.objects.select_for_update().get(pk=erasure_id)
        if erasure.finished_at is not None:
            return Erased(erasure.reference, {}, is_done=True)
        ending.destroy_keys(erasure)
        at = timezone.now()
        taken = {"contents": ending.drop_erased(erasure, at=at, limit=CONTENTS)}
        if not taken["contents"]:
            subject = Subject(erasure.subject_type, erasure.subject_id)
            taken = redaction.redact(subject, before=erasure.asked_at, limit=BATCH)
        for name, count in taken.items():
            erasure.counts[name] = erasure.counts.get(name, 0) + count
        if not taken:
            _finish(erasure, at)
        erasure.save()
        return Erased(erasure.reference, dict(erasure.counts), is_done=erasure.finished_at is not None)


def _finish(erasure: Erasure, at: datetime) -> None:
    ending.forget_labels(erasure.reference)
    erasure.finished_at = at
    erasure.subject_type = erasure.subject_id = ""
    recording.record(
        actor=Actor("human", erasure.asked_by_id, erasure.asked_by),
        kind=Kind.SUBJECT_ERASED,
        target=Target("subject", erasure.reference),
        after={name: count for name, count in erasure.counts.items() if count},
        detail={"reason": erasure.reason},
    )
