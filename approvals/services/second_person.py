"""The second person's yes or no to what somebody else has asked for, and the level from which it takes two.

What was asked for is carried out in the transaction of the yes, by the use case's own checks run again, for the asker
by his rights of now; its events name both. A change of something that has moved on meanwhile is refused. The change is
locked first, and then what it is about, in the usual order."""

from collections.abc import Callable, Iterable
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from accounts import assigning, joining, second_person
from accounts import permissions as people
from accounts.exceptions import Conflict, Invalid, NotAllowed, NotFound
from accounts.models import PendingChange, User
from accounts.second_person import LEVEL, What
from agents.services import action_types, mandates
from approvals import changes, notifications, separation
from approvals.models import Notification
from approvals.notifications import Topic
from approvals.services import access_request, set_thresholds, set_up, stop
from audit import recording

LINK = "/access/changes/"
_MOVED_ON = "It has changed since this was asked for. Decline it, and let it be asked again."


def approve(*, change_id: int, actor: User, answer: str = "") -> PendingChange:
    """Say yes: what was asked for is done, in this transaction, or nothing is.

    Raises `NotAllowed`, `Conflict` where it was answered before or what it is about has moved on, and whatever the use
    case itself refuses."""
    with transaction.atomic(durable=True):
        change = _open(change_id, actor)
        answer = second_person.checked_reason(answer)
        changes.check_can_answer(actor, change)
        _check_open(change)
        with recording.seconded_by(actor.actor()):
            _carry_out(change, actor, answer)
        second_person.closed(change, by=actor, approved=True, answer=answer)
        _tell_asker(change, f"{actor} said yes: {change.shown['title']}. {answer}".strip())
    return change


def decline(*, change_id: int, actor: User, answer: str) -> PendingChange:
    """Say no, in words. Nothing has changed by then."""
    with transaction.atomic(durable=True):
        change = _open(change_id, actor)
        changes.check_can_answer(actor, change)
        _check_open(change)
        answer = second_person.checked_reason(answer)
        if not answer:
            raise Invalid("Say why.", errors=[{"field": "answer", "message": "must say why"}])
        second_person.closed(change, by=actor, approved=False, answer=answer)
        _tell_asker(change, f"{actor} said no: {change.shown['title']}. {answer}")
    return change


def withdraw(*, change_id: int, actor: User) -> PendingChange:
    """The asker takes it back while nobody has answered."""
    with transaction.atomic(durable=True):
        change = _open(change_id, actor)
        if change.asked_by_id != actor.pk:
            raise NotAllowed("Only who asked for it takes it back; others decline.")
        _check_open(change)
        second_person.withdrawn(change, by=actor)
    return change


def set_level(*, kinds: Iterable[What], actor: User, reason: str) -> PendingChange:
    """Say which kinds need two people. More of them holds at once; fewer waits for a second admin, as does a change
    that is both. Raises `Conflict` where there are not two admins to satisfy it."""
    after = frozenset(kinds)
    with transaction.atomic(durable=True):
        second_person.lock_level()
        people.check_is_admin(actor)
        reason = second_person.checked_reason(reason)
        if not reason:
            raise Invalid("Nothing was changed.", errors=[{"field": "reason", "message": "must say why"}])
        before = second_person.level()
        if after == before:
            raise Conflict("Nothing was changed: it is so already.")
        if after > before:
            if not has_two_admins():
                raise Conflict(
                    "There is one admin. Nothing can need a second person before there is another one, who is "
                    "another human being."
                )
            return second_person.store_level(after, by=actor, actor=actor.actor(), reason=reason)
        return second_person.ask(
            what=LEVEL,
            about="level",
            payload={"kinds": sorted(after)},
            shown=second_person.shown(
                "Which changes need a second person", second_person.level_lines(before, after)
            ),
            by=actor,
            base=second_person.level_mark(),
            reason=reason,
        )


def lower_by_command(*, kinds: Iterable[What], by: User, reason: str) -> PendingChange:
    """Take kinds off the level where no second admin is left who could agree: by who sits at the server."""
    with transaction.atomic(durable=True):
        second_person.lock_level()
        people.check_is_admin(by)
        before = second_person.level()
        after = before - frozenset(kinds)
        if after == before:
            raise Conflict("Nothing was changed: none of them needs two people.")
        with recording.by_command("second_person"):
            return second_person.store_level(after, by=by, actor=by.actor(), reason=reason)


def has_two_admins() -> bool:
    """Whether there are two admins who are two human beings."""
    admins = list(User.objects.admins().values_list("pk", flat=True))
    return any(set(admins) - {pk} - separation.linked([pk]) for pk in admins)


def tend(*, now: datetime) -> int:
    """A step of a tick: tell who may answer of what is new, and close what nobody answered in time."""
    done = 0
    open_ones = list(
        PendingChange.objects.filter(answered_at=None).select_related("asked_by").order_by("asked_at")
    )
    keys = [f"change:{change.pk}" for change in open_ones]
    told = set(Notification.objects.filter(key__in=keys).values_list("key", flat=True)) if keys else set()
    for change in open_ones:
        if change.expires_at <= now:
            done += _expire(change.pk, now)
        elif f"change:{change.pk}" not in told:
            done += _tell_new(change.pk)
    return done


def _expire(change_id: int, now: datetime) -> int:
    with transaction.atomic(durable=True):
        change = _locked(change_id, skip=True)
        if change is None or change.answered_at is not None:
            return 0
        second_person.expire(change, at=now)
        _tell_asker(change, f"No second person in time: {change.shown['title']}. Nothing was changed.")
    return 1


def _tell_new(change_id: int) -> int:
    with transaction.atomic(durable=True):
        change = _locked(change_id, skip=True)
        if change is None or change.answered_at is not None:
            return 0
        return notifications.tell(
            changes.answerers(change),
            topic=Topic.ACCESS,
            text=f"{change.asked_by} asks for a second person: {change.shown['title']}. {change.reason}".strip(),
            key=f"change:{change.pk}",
            link=LINK,
        )


def _carry_out(change: PendingChange, actor: User, answer: str) -> None:
    if change.what == What.ROLE and "join" in change.payload:
        joining.carry_out(change)
        return
    if change.what == What.ROLE:
        asked = access_request.locked_for(change)
        given = assigning.carry_out(change)
        if asked is not None:
            access_request.close_approved(asked, given, by=actor, answer=answer)
        return
    if change.what == What.CEILING:
        by_terms = "terms" in change.payload
        carry: Callable[[PendingChange], object] = (
            mandates.carry_out if by_terms else set_thresholds.carry_out
        )
    else:
        carry = {
            What.POLICY: set_up.carry_out,
            What.STOP: stop.carry_out,
            What.EXECUTOR: action_types.carry_out,
            LEVEL: _lower,
        }[change.what]
    carry(change)


def _lower(change: PendingChange) -> None:
    """The row itself is the level from its yes on."""
    second_person.lock_level()
    people.check_is_admin(change.asked_by)
    if second_person.level_mark() != change.base:
        raise Conflict(_MOVED_ON)
    kinds = [What(kind) for kind in change.payload["kinds"]]
    second_person.record_level(
        second_person.level(), kinds, actor=change.asked_by.actor(), reason=change.reason
    )


def _open(change_id: int, actor: User) -> PendingChange:
    change = _locked(change_id)
    if change is None or not changes.seen_by(actor).filter(pk=change_id).exists():
        raise NotFound("There is no such change, or it is not for you to see.")
    return change


def _locked(change_id: int, *, skip: bool = False) -> PendingChange | None:
    rows = PendingChange.objects.select_for_update(of=("self",), no_key=True, skip_locked=skip)
    return rows.select_related("asked_by").filter(pk=change_id).first()


def _check_open(change: PendingChange) -> None:
    if change.answered_at is not None:
        raise Conflict(f"It was answered before{f', by {change.answered_by}' if change.answered_by else ''}.")
    if change.expires_at <= timezone.now():
        raise Conflict("Nobody answered in time; it has to be asked again.")


def _tell_asker(change: PendingChange, text: str) -> None:
    notifications.tell(
        [change.asked_by_id], topic=Topic.ACCESS, text=text, key=f"change-answered:{change.pk}", link=LINK
    )
