"""The steps of handing a proposal on and of telling people that it waits, by hand or by time.

They need the caller's transaction and a locked pending proposal. An escalation gives nobody a right: it goes where
somebody may decide already, and tells those who may."""

import copy
from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

from django.contrib.auth.models import Group

from accounts.models import Absence, User
from approvals import deadlines, notifications, permissions, transitions
from approvals.models import Proposal, Queue
from approvals.notifications import Topic
from audit import recording
from audit.events import Actor, Kind, Target, system

BY_TIME = system("escalation")


def next_queue(proposal: Proposal) -> Queue | None:
    """The first queue of its queue's chain in which somebody may decide it; None where it can only stay."""
    for step in proposal.queue.escalation if proposal.queue else ():
        if "queue" in step:
            to = Queue.objects.select_related("calendar").filter(slug=step["queue"]).first()
            if to is not None and to.pk != proposal.queue_id and deciders_in(to, proposal):
                return to
    return None


def deciders_in(queue: Queue, proposal: Proposal) -> list[User]:
    """Who might decide the proposal if it waited in that queue."""
    there = copy.copy(proposal)
    there.queue = queue
    return permissions.deciders(there)


def move(proposal: Proposal, to: Queue, *, actor: Actor, at: datetime, detail: dict[str, Any]) -> None:
    """Hand it to another queue and tell the people there, and whoever held it.

    What the policy asks for stays; a larger quorum of the other queue is added. Votes given so far stay votes on the
    same revision. It never gets more time."""
    came_from = proposal.queue
    assert came_from is not None
    on_it = proposal.claimed_until is not None and proposal.claimed_until > at
    holder = proposal.claimed_by_id if on_it else None
    proposal.quorum = max(proposal.quorum, to.quorum)
    deadlines.hand_on(proposal, to, at=at)
    transitions.moved(
        proposal, to, actor=actor, at=at, detail=detail, fields=("quorum", *deadlines.HANDED_ON)
    )
    key = f"escalated:{proposal.pk}:{proposal.version}"
    may = permissions.without_who_know({person.pk for person in permissions.deciders(proposal)}, proposal)
    told = with_stand_ins(may, may=may, at=at)
    by = {actor.id} if actor.kind == "human" else set()
    notifications.tell(
        [pk for pk in told if str(pk) not in by],
        topic=Topic.ESCALATED,
        text=f"Escalated from {came_from} to {to}: {proposal.title}",
        key=key,
        proposal=proposal,
    )
    if holder is not None and holder not in told and str(holder) not in by:
        notifications.tell(
            [holder],
            topic=Topic.TAKEN_OVER,
            text=f"Escalated to {to} while you were on it: {proposal.title}",
            key=key,
            proposal=proposal,
        )


def take_step(proposal: Proposal, number: int, *, at: datetime) -> bool:
    """Take one step of the chain of its queue; True when it waits elsewhere now.

    A step that leads nowhere any more, or to nobody who may decide, is skipped and recorded."""
    queue = proposal.queue
    assert queue is not None
    step = deadlines.step_of(queue, number)
    about = {"step": number, **step}
    if "queue" in step:
        to = Queue.objects.select_related("calendar").filter(slug=step["queue"]).first()
        if to is None:
            _skip(proposal, about, "the queue does not exist any more")
        elif not deciders_in(to, proposal):
            _skip(proposal, about, "nobody in that queue may decide it")
        else:
            move(proposal, to, actor=BY_TIME, at=at, detail=about)
            return True
        return False
    _tell_team(proposal, about, at)
    return False


def _tell_team(proposal: Proposal, about: dict[str, Any], at: datetime) -> None:
    """Tell the members of a team who may decide in the queue as it is."""
    team = Group.objects.filter(name=str(about["team"])).first()
    if team is None:
        _skip(proposal, about, "the team does not exist any more")
        return
    may = permissions.without_who_know({person.pk for person in permissions.deciders(proposal)}, proposal)
    members = set(team.user_set.filter(pk__in=may).values_list("pk", flat=True))
    if not members:
        _skip(proposal, about, "nobody in that team may decide it")
        return
    told = with_stand_ins(members, may=may, at=at)
    notifications.tell(
        told,
        topic=Topic.ESCALATED,
        text=f"Waits for {team.name} in {proposal.queue}: {proposal.title}",
        key=f"escalated:{proposal.pk}:{proposal.queued_at}:{about['step']}",
        proposal=proposal,
    )
    recording.record(
        actor=BY_TIME,
        kind=Kind.PROPOSAL_ESCALATED,
        target=Target("proposal", str(proposal.pk)),
        detail={**about, "told": len(told)},
    )


def _skip(proposal: Proposal, about: dict[str, Any], why: str) -> None:
    recording.record(
        actor=BY_TIME,
        kind=Kind.PROPOSAL_STEP_SKIPPED,
        target=Target("proposal", str(proposal.pk)),
        detail={**about, "why": why},
    )


def with_stand_ins(people: Iterable[int], *, may: Collection[int], at: datetime) -> list[int]:
    """These people (primary keys) and, for everybody absent among them, the delegate, if he may decide it himself.

    An absent delegate's delegate counts too; in a circle everybody is asked once."""
    told = sorted(set(people))
    asked, absent = set(told), set(told)
    while absent:
        named = (
            Absence.objects.at(at)
            .filter(person__in=absent, delegate__is_active=True)
            .values_list("delegate", flat=True)
        )
        absent = {pk for pk in named if pk is not None} - asked
        asked |= absent
        told += sorted(absent & set(may))
    return told
