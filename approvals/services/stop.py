"""Pull and lift stop switches, and take back what they doom.

A stop is in force at its commit: routing, the end of veto windows and redemption read it themselves. Taking the rows
back (grants revoked, scheduled actions rejected) follows in transactions of `BATCH` rows; what a process leaves undone
because it was killed or out of time, the next tick does. Nothing that was taken back, or was to be, comes to life again
by lifting: redemption refuses every grant that lived while a stop covered it."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from accounts import second_person
from accounts.exceptions import Conflict, Invalid, NotFound
from accounts.models import PendingChange, User
from accounts.second_person import Line, What
from agents import authority, stops
from agents.models import Agent, AgentState, Stop
from approvals import notifications, stopping
from approvals.models import Proposal
from approvals.notifications import Topic
from approvals.services.expire import reject_by_policy, revoke_approved
from approvals.states import State
from approvals.stopping import UNUSED, Switch
from audit import recording
from audit.events import Actor, Kind

MAX_REASON = 300
BATCH = 100
"""Rows taken back in one transaction."""
SECONDS = 3.0
"""How long a request or a tick goes on taking back; the next tick goes on."""
_AFTERWARDS = timedelta(hours=1)
"""So long after it is lifted a stop's rows are still looked for."""


@dataclass(frozen=True, slots=True)
class Pulled:
    """The stop that is in force now. `is_new` is False where it was pulled already; `taken_back` counts the rows this
    call took back, and `is_done` says whether that was all."""

    stop: Stop
    is_new: bool
    taken_back: int = 0
    is_done: bool = True


def pull(
    *,
    switch: Switch,
    by: User | None,
    reason: str,
    actor: Actor | None = None,
    seconds: float | None = SECONDS,
) -> Pulled:
    """Stop what the switch names, at once, and take back what it dooms for at most `seconds` (None: all of it).

    `actor` names who runs a command, where it is no person. Pulled twice, the first stands. Raises `NotAllowed`,
    `Invalid`."""
    who = by.actor() if by is not None else actor
    assert who is not None, "somebody pulls it"
    with transaction.atomic(durable=True):
        stops.exclude()
        if by is not None:
            stopping.check_can_pull(by, switch)
        reason = _checked(reason)
        stop = _live(switch)
        if stop is not None:
            return Pulled(stop, is_new=False)
        stop = Stop.objects.create(
            scope=switch.scope,
            agent=switch.agent,
            action_type=switch.action_type,
            mandate=switch.mandate,
            reason=reason,
            stopped_by=by,
            stopped_at=timezone.now(),
        )
        authority.bump()
        _record(stop, Kind.STOP_PULLED, who, reason)
        _tell(stop, by, f"{stops.words(stop)} {who.label} stopped it.", "pulled")
    taken, done = _take_back(_doomed_by(stop), seconds=seconds, wait=True)
    return Pulled(stop, is_new=True, taken_back=taken, is_done=done)


def lift(*, stop_id: int, by: User | None, reason: str, actor: Actor | None = None) -> Stop | PendingChange:
    """Let what was stopped begin again; what was taken back stays so. Where lifting a stop of everything or of an
    action type takes two, it is asked for, and stops meanwhile. Raises `NotFound`, `NotAllowed`, `Invalid`,
    `Conflict` where somebody lifted it before."""
    who = by.actor() if by is not None else actor
    assert who is not None, "somebody lifts it"
    with transaction.atomic(durable=True):
        stops.exclude()
        stop = _named(stop_id)
        if stop is None or (by is not None and not stopping.may_see(by, stop)):
            raise NotFound("There is no such stop, or it is not for you to see.")
        if by is not None:
            stopping.check_can_lift(by, Switch.of(stop))
        reason = _checked(reason)
        if stop.lifted_at is not None:
            raise Conflict("It was lifted before; nothing was changed.")
        if by is not None and Switch.of(stop).whose is None and second_person.needed(What.STOP):
            line = Line(stops.what(stop), f"stopped: {stop.reason}", "may begin again")
            return second_person.ask(
                what=What.STOP,
                about=f"stop {stop.pk}",
                payload={"stop": stop.pk, "reason": reason},
                shown=second_person.shown(f"Lift the stop: {stops.what(stop)}", [line]),
                by=by,
                reason=reason,
            )
        return _lifted(stop, by, who, reason)


def carry_out(change: PendingChange) -> Stop:
    """A step of the second person's yes: lift it, if it is still pulled."""
    stops.exclude()
    stop = _named(change.payload["stop"])
    if stop is None or stop.lifted_at is not None:
        raise Conflict("It was lifted before; nothing was changed.")
    stopping.check_can_lift(change.asked_by, Switch.of(stop))
    return _lifted(stop, change.asked_by, change.asked_by.actor(), change.payload["reason"])


def _named(stop_id: int) -> Stop | None:
    named = ("agent", "action_type", "mandate__agent", "mandate__action_type")
    rows = Stop.objects.select_for_update(of=("self",), no_key=True).select_related(*named)
    return rows.filter(pk=stop_id).first()


def _lifted(stop: Stop, by: User | None, who: Actor, reason: str) -> Stop:
    stop.lifted_at, stop.lifted_by, stop.lift_reason = timezone.now(), by, reason
    stop.save(update_fields=["lifted_at", "lifted_by", "lift_reason"])
    authority.bump()
    _record(stop, Kind.STOP_LIFTED, who, reason)
    words = f"{stops.what(stop)} may begin again: {reason.rstrip('.')}. {who.label} lifted the stop."
    _tell(stop, by, words, "lifted")
    return stop


def finish(*, now: datetime, seconds: float | None = SECONDS) -> int:
    """Take back what stops and suspensions left: after a kill, in great numbers, or granted at the very moment.

    A step of the tick; two at once share the rows. Costs two look-ups while nothing is stopped."""
    recent = Q(lifted_at=None) | Q(lifted_at__gt=now - _AFTERWARDS)
    pulled = Stop.objects.filter(recent).select_related("agent", "action_type", "mandate").order_by("id")
    doomed = [one for stop in pulled for one in _doomed_by(stop)]
    taken, _ = _take_back([*doomed, *_doomed_by_suspension()], seconds=seconds, wait=False)
    return taken


def take_back_of(agent: Agent) -> int:
    """A step of suspending an agent, after its commit: what it had scheduled or was granted and did not use."""
    doomed = [_Doomed(where, f"agent_{agent.state}") for where in stopping.doomed(Switch(agent=agent))]
    taken, _ = _take_back(doomed, seconds=SECONDS, wait=True)
    return taken


@dataclass(frozen=True, slots=True)
class _Doomed:
    where: Q
    reason: str


def _doomed_by(stop: Stop) -> list[_Doomed]:
    """Of a lifted stop only what was there before it was lifted."""
    before = [Q(), Q()]
    if stop.lifted_at is not None:
        before = [Q(created_at__lte=stop.lifted_at), Q(grant__issued_at__lte=stop.lifted_at)]
    both = zip(stopping.doomed(Switch.of(stop)), before, strict=True)
    return [_Doomed(where & earlier, "stopped") for where, earlier in both]


def _doomed_by_suspension() -> Iterator[_Doomed]:
    ended = list(Agent.objects.exclude(state=AgentState.LIVE).values_list("pk", "state"))
    for state in {state for _, state in ended}:
        agents = Q(agent_id__in=[pk for pk, of_agent in ended if of_agent == state])
        yield _Doomed(agents & Q(state=State.SCHEDULED), f"agent_{state}")
        yield _Doomed(agents & UNUSED, f"agent_{state}")


def _take_back(doomed: list[_Doomed], *, seconds: float | None, wait: bool) -> tuple[int, bool]:
    """How many, and whether none is left. With `wait`, rows that somebody holds are waited for."""
    until = None if seconds is None else time.monotonic() + seconds
    count = 0
    for one in doomed:
        while taken := _batch(one, wait=wait):
            count += taken
            if until is not None and time.monotonic() > until:
                return count, False
    return count, True


def _batch(doomed: _Doomed, *, wait: bool) -> int:
    """One transaction. Everybody locks several in the order of their ids, so two at once do not block each other."""
    with transaction.atomic(durable=True):
        rows = (
            Proposal.objects.filter(doomed.where)
            .select_for_update(of=("self",), no_key=True, skip_locked=not wait)
            .select_related("agent", "action_type", "queue")
            .order_by("pk")[:BATCH]
        )
        now = timezone.now()
        count = 0
        for proposal in rows:
            if proposal.state == State.SCHEDULED:
                reject_by_policy(proposal, at=now, reason=doomed.reason)
            else:
                revoke_approved(proposal, at=now, reason=doomed.reason)
            count += 1
        return count


def _live(switch: Switch) -> Stop | None:
    named = {"agent": switch.agent, "action_type": switch.action_type, "mandate": switch.mandate}
    return stops.live().filter(scope=switch.scope, **named).first()


def _checked(reason: str) -> str:
    reason = " ".join(reason.split())
    if not reason or len(reason) > MAX_REASON or "\x00" in reason:
        words = f"must say why, in at most {MAX_REASON} characters"
        raise Invalid("Say why.", errors=[{"field": "reason", "message": words}])
    return reason


def _record(stop: Stop, kind: Kind, who: Actor, reason: str) -> None:
    recording.record(
        actor=who,
        kind=kind,
        target=Switch.of(stop).target,
        detail={"what": stops.what(stop), "stop": stop.pk, "scope": str(stop.scope), "reason": reason},
    )


def _tell(stop: Stop, by: User | None, text: str, what: str) -> None:
    people = stopping.told_of(Switch.of(stop))
    if what == "lifted" and stop.stopped_by_id is not None:
        people.add(stop.stopped_by_id)
    people.discard(by.pk if by is not None else 0)
    notifications.tell(people, topic=Topic.STOPPED, text=text, key=f"stop:{stop.pk}:{what}", link="/stops/")


__all__ = ["Pulled", "Switch", "carry_out", "finish", "lift", "pull"]
