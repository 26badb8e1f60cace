"""Changes that need a second person: which kinds do, and the steps of asking for one.

What one person asks for is kept as it was asked and holds in no part before somebody else has said yes
(approvals/services/second_person.py, which carries it out). The level, the list of kinds that need two, is kept in the
same table, so that its history is there as well: raising it takes one admin, lowering it takes two.

An installation with one admin could satisfy no such rule: nothing needs two before an admin says so, and no admin can
say so before there are two. What is set stays set when admins leave; `manage.py second_person` is the way out."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.exceptions import Conflict, Invalid
from accounts.models import Installation, PendingChange, User
from accounts.roles import Role, Scope
from audit import recording
from audit.events import Actor, Kind, Target, system

LASTS = timedelta(days=7)
MOST_REASON = 500
LEVEL = "level"
"""What a change of the level itself is called."""


class What(StrEnum):
    """A kind of change that may be made to need two."""

    POLICY = "policy"
    ROLE = "role"
    CEILING = "ceiling"
    STOP = "stop"
    EXECUTOR = "executor"

    @property
    def label(self) -> str:
        return _LABELS[self][0]

    @property
    def covers(self) -> str:
        return _LABELS[self][1]


_LABELS = {
    What.POLICY: ("Policies", "Publishing a version of a policy, also the first one of a domain."),
    What.ROLE: (
        "Far-reaching roles",
        "Giving the role admin or any role for everything, to a person or a team, and taking somebody into a team "
        "that holds one. Taking a role back stays one person's.",
    ),
    What.CEILING: ("Ceilings", "Raising a mandate's ceiling to on the loop or out of the loop."),
    What.STOP: (
        "Lifting stops",
        "Lifting a stop of everything or of an action type. Pulling one stays one person's: a wrong stop costs "
        "minutes, a missing one money.",
    ),
    What.EXECUTOR: (
        "Executors",
        "Setting or changing the address at which Countersign has an action carried out. Emptying it stays one "
        "person's.",
    ),
}


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that will be different, as both people read it."""

    name: str
    before: str
    after: str

    def as_json(self) -> dict[str, str]:
        return {"name": self.name, "before": self.before, "after": self.after}


def level() -> frozenset[What]:
    """The kinds that need two people. One query."""
    latest = _latest_level()
    kinds = latest.payload.get("kinds", []) if latest is not None else []
    return frozenset(What(kind) for kind in kinds if kind in list(What))


def needed(what: What) -> bool:
    return what in level()


def needed_for_role(role: Role, scope: Scope) -> bool:
    """Whether giving this role there takes two: who holds everything could give himself the rest."""
    return (role is Role.ADMIN or scope is Scope.EVERYTHING) and needed(What.ROLE)


def level_mark() -> str:
    """What a change of the level was made from."""
    latest = _latest_level()
    return str(latest.pk) if latest is not None else ""


def _latest_level() -> PendingChange | None:
    return PendingChange.objects.filter(what=LEVEL, approved=True).order_by("-answered_at", "-pk").first()


def lock_level() -> None:
    """A step of changing it: two changes of the level come one after the other."""
    Installation.objects.get_or_create(pk=1)
    Installation.objects.select_for_update(no_key=True).get(pk=1)


def admins_now() -> int:
    return User.objects.admins().count()


def store_level(kinds: Iterable[What], *, by: User | None, actor: Actor, reason: str) -> PendingChange:
    """A step of raising the level, and of lowering it by a command: in force at once, with its event."""
    before, after = level(), frozenset(kinds)
    now = timezone.now()
    who = by or User.objects.admins().order_by("pk").first()
    if who is None:
        raise Conflict("There is no admin in whose name this could stand.")
    change = PendingChange.objects.create(
        what=LEVEL,
        about=f"level {now.isoformat()}",
        payload={"kinds": sorted(after)},
        shown=shown("Which changes need a second person", level_lines(before, after)),
        reason=reason,
        asked_by=who,
        asked_at=now,
        expires_at=now,
        answered_by=who,
        answered_at=now,
        approved=True,
        answer=reason,
    )
    record_level(before, after, actor=actor, reason=reason)
    return change


def record_level(before: Iterable[What], after: Iterable[What], *, actor: Actor, reason: str) -> None:
    recording.record(
        actor=actor,
        kind=Kind.SECOND_PERSON_CHANGED,
        target=Target("installation", "second_person"),
        before={"kinds": sorted(before)},
        after={"kinds": sorted(after)},
        detail={"reason": reason},
    )


def level_lines(before: Iterable[What], after: Iterable[What]) -> list[Line]:
    old, new = set(before), set(after)
    return [
        Line(kind.label, "needs two people" if kind in old else "one person", _becomes(kind in new))
        for kind in What
        if (kind in old) != (kind in new)
    ]


def _becomes(two: bool) -> str:
    return "needs two people" if two else "one person is enough"


def shown(title: str, lines: Iterable[Line]) -> dict[str, Any]:
    return {"title": title, "lines": [line.as_json() for line in lines]}


def ask(
    *,
    what: str,
    about: str,
    payload: Mapping[str, Any],
    shown: Mapping[str, Any],
    by: User,
    base: str = "",
    reason: str = "",
) -> PendingChange:
    """A step of a use case whose change needs two: keep what was asked for. Nothing of it holds yet.

    Who may answer hears of it from `approvals.services.second_person.tend`. Raises `Conflict` where the same thing is
    asked for already, `Invalid`."""
    reason = checked_reason(reason)
    now = timezone.now()
    stale = PendingChange.objects.select_for_update(of=("self",), no_key=True, skip_locked=True)
    for old in stale.filter(what=what, about=about, answered_at=None, expires_at__lte=now):
        expire(old, at=now)
    try:
        with transaction.atomic():
            change = PendingChange.objects.create(
                what=what,
                about=about,
                payload=dict(payload),
                shown=dict(shown),
                base=base,
                reason=reason,
                asked_by=by,
                asked_at=now,
                expires_at=now + LASTS,
            )
    except IntegrityError as error:
        raise Conflict("A change of this waits for a second person already; it is answered first.") from error
    _record(change, Kind.CHANGE_ASKED, by.actor(), {"reason": reason})
    return change


def closed(
    change: PendingChange, *, by: User, approved: bool, answer: str, actor: Actor | None = None
) -> None:
    """A step of answering one, on the locked row, with its event."""
    change.answered_by, change.answered_at = by, timezone.now()
    change.approved, change.answer = approved, answer
    change.save(update_fields=["answered_by", "answered_at", "approved", "answer"])
    detail = {"approved": approved, "answer": answer, "asked_by": str(change.asked_by)}
    _record(change, Kind.CHANGE_ANSWERED, actor or by.actor(), detail)


def withdrawn(change: PendingChange, *, by: User) -> None:
    """A step: who asked for it takes it back."""
    change.answered_by, change.answered_at = by, timezone.now()
    change.approved, change.answer = False, "withdrawn"
    change.save(update_fields=["answered_by", "answered_at", "approved", "answer"])
    _record(change, Kind.CHANGE_WITHDRAWN, by.actor(), {})


def expire(change: PendingChange, *, at: datetime) -> None:
    """A step, on the locked row: nobody answered in time, and silence never approves."""
    change.answered_at, change.approved, change.answer = at, False, "nobody answered in time"
    change.save(update_fields=["answered_at", "approved", "answer"])
    _record(change, Kind.CHANGE_EXPIRED, system("second_person"), {})


def _record(change: PendingChange, kind: Kind, actor: Actor, detail: dict[str, Any]) -> None:
    """What both people read stands in the event, too: it is what the second one's word is about."""
    recording.record(
        actor=actor,
        kind=kind,
        target=Target("change", str(change.pk)),
        detail={"what": change.what, "about": change.about, "shown": change.shown, **detail},
    )


def checked_reason(reason: str) -> str:
    reason = reason.strip()
    if len(reason) > MOST_REASON or "\x00" in reason:
        words = f"must have at most {MOST_REASON} characters"
        raise Invalid("Nothing was changed.", errors=[{"field": "reason", "message": words}])
    return reason
