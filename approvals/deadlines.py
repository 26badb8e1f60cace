"""When a proposal is due, when it expires, and when somebody has to hear of it.

All of a queue's minutes run on its calendar, or by the clock where it has none: time in which nobody works is not time
in which nobody decided. Asks no database beyond the queue's calendar, which callers load with it; reads no clock."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from approvals.models import Priority, Proposal, Queue

ENTERED = ("queued_at", "due_at", "expires_at", "attention_at", "attended_at")
"""What `enter` sets."""
HANDED_ON = ("queued_at", "due_at", "attention_at", "attended_at")
"""What `hand_on` sets."""


@dataclass(frozen=True, slots=True, order=True)
class Call:
    """Something to be done at a moment: remind, or take that step (counted from 1) of the queue's chain."""

    at: datetime
    kind: Literal["due_soon", "overdue", "escalate"]
    step: int = 0


def due_at(queue: Queue, priority: int, since: datetime) -> datetime:
    """When a proposal of that priority, in the queue since then, should be decided."""
    name = Priority(priority).name.lower()
    return _after(queue, since, int(queue.due_by_priority.get(name, queue.due_minutes)))


def expires_at(queue: Queue, since: datetime) -> datetime:
    """When nobody will be asked any more; that is never an approval."""
    return _after(queue, since, queue.expires_minutes)


def working_days_after(queue: Queue, since: datetime, days: int) -> datetime:
    """When the queue closes on the last of so many working days after today; by the clock without a calendar."""
    if queue.calendar is None:
        return since + timedelta(days=days)
    return queue.calendar.hours.close_after(since, days)


def working_minutes_after(queue: Queue, moment: datetime, minutes: int) -> datetime:
    """The moment by which so many minutes of the queue's calendar will have passed."""
    return _after(queue, moment, minutes)


def calls(queue: Queue, *, since: datetime, due: datetime | None) -> list[Call]:
    """Everything that time asks for while a proposal waits in the queue since then, in order.

    A reminder that would come at once reminds of nothing, and a due time that had passed before has been told."""
    found = [
        Call(_after(queue, since, step["after"]), "escalate", number)
        for number, step in enumerate(queue.escalation, 1)
    ]
    if due is not None and due > since:
        found.append(Call(due, "overdue"))
        soon = _before(queue, due, queue.remind_minutes) if queue.remind_minutes else since
        if soon > since:
            found.append(Call(soon, "due_soon"))
    return sorted(found)


def attention_at(
    queue: Queue, *, since: datetime, due: datetime | None, attended: datetime | None = None
) -> datetime | None:
    """When the next call comes after those up to `attended`; None when none is left."""
    passed = attended or since
    return min((call.at for call in calls(queue, since=since, due=due) if call.at > passed), default=None)


def enter(proposal: Proposal, queue: Queue, *, at: datetime) -> None:
    """Start the proposal's time in a queue anew; the caller saves `ENTERED`."""
    proposal.due_at = due_at(queue, proposal.priority, at)
    proposal.expires_at = expires_at(queue, at)
    _start(proposal, queue, at)


def hand_on(proposal: Proposal, queue: Queue, *, at: datetime) -> None:
    """Give the proposal to another queue; the caller saves `HANDED_ON`. That never makes it due or expire later."""
    due = due_at(queue, proposal.priority, at)
    proposal.due_at = due if proposal.due_at is None else min(proposal.due_at, due)
    _start(proposal, queue, at)


def _start(proposal: Proposal, queue: Queue, at: datetime) -> None:
    proposal.queued_at = at
    proposal.attended_at = None
    proposal.attention_at = attention_at(queue, since=at, due=proposal.due_at)


def step_of(queue: Queue, number: int) -> dict[str, Any]:
    """One step of the queue's chain, counted from 1."""
    step: dict[str, Any] = queue.escalation[number - 1]
    return step


def _after(queue: Queue, moment: datetime, minutes: int) -> datetime:
    if queue.calendar is None:
        return moment + timedelta(minutes=minutes)
    return queue.calendar.hours.add(moment, minutes)


def _before(queue: Queue, moment: datetime, minutes: int) -> datetime:
    if queue.calendar is None:
        return moment - timedelta(minutes=minutes)
    return queue.calendar.hours.back(moment, minutes)
