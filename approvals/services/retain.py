"""How long content is kept, by kind; and the nightly run that takes what is older."""

import time
from collections.abc import Mapping
from datetime import datetime

from django.db import transaction

from accounts.exceptions import Invalid
from accounts.models import User
from agents import permissions
from approvals import redaction
from audit import ending, recording
from audit.events import Kind, Target, system
from audit.models import ContentKind

BATCH = 1000
SECONDS = 3600.0
"""A night's run; what it leaves is taken the next night."""


def save(*, days: Mapping[ContentKind, int | None], actor: User) -> list[ContentKind]:
    """The kinds that changed, an event for each. None keeps until the subject is erased. Raises `Invalid`."""
    errors = [
        {"field": f"days_{kind}", "message": why} for kind, many in days.items() if (why := fault(kind, many))
    ]
    with transaction.atomic(durable=True):
        ending.serialise()
        permissions.check_is_admin(actor)
        if errors:
            raise Invalid("Nothing was saved.", errors=errors)
        before = ending.retention()
        changed = [kind for kind in days if days[kind] != before[kind]]
        for kind in changed:
            ending.set_retention(kind, days[kind])
            recording.record(
                actor=actor.actor(),
                kind=Kind.RETENTION_SAVED,
                target=Target("retention", kind.value),
                before={"days": before[kind] or "for ever"},
                after={"days": days[kind] or "for ever"},
            )
    return changed


def fault(kind: ContentKind, days: int | None) -> str:
    """Why a kind cannot be kept so long, in words; empty where it can."""
    least = ending.SHORTEST.get(kind, 1)
    if days is None or least <= days <= ending.LONGEST:
        return ""
    if least > 1 and 0 < days < least:
        return f"must be at least {least}: a proposal may wait that long, and is decided by what came with it"
    return f"must be between {least} and {ending.LONGEST} days, or empty"


def expire(*, now: datetime, seconds: float = SECONDS) -> int:
    """Take what has been kept long enough, in batches with one event each; how many texts went.

    Each batch looks at holds and retention anew, under the lock that placing a hold takes."""
    until = time.monotonic() + seconds
    count = 0
    for kind in ContentKind:
        while taken := _batch(kind, now):
            count += taken
            if time.monotonic() > until:
                return count
    return count


def _batch(kind: ContentKind, now: datetime) -> int:
    with transaction.atomic(durable=True):
        ending.serialise()
        days = ending.retention()[kind]
        if days is None:
            return 0
        taken = ending.drop_old(kind, days, now=now, limit=BATCH, held=redaction.held())
        if taken:
            recording.record(
                actor=system("retention"),
                kind=Kind.CONTENT_EXPIRED,
                target=Target("retention", kind.value),
                detail={"texts": taken, "days": days},
            )
    return taken
