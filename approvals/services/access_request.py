"""Ask for a role, take the asking back, answer it. Nobody answers for himself, and silence gives nothing.

With `hours` it is an elevation: the role counts so many hours from the answer and ends by itself."""

from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts import assigning
from accounts.exceptions import Conflict, Invalid, NotAllowed, NotFound
from accounts.models import AccessRequest, PendingChange, RoleAssignment, User
from accounts.roles import ROLES, Role, Scope
from approvals import access_requests as access
from approvals import notifications
from approvals.notifications import Topic
from audit import recording
from audit.events import Actor, Kind, Target, system

LASTS = timedelta(days=14)
MOST_HOURS = 72
MOST_OPEN = 20
"""So many requests of one person may wait at a time."""
MOST_REASON = 500
LINK = "/access/requests/"


def ask(
    *,
    person: User,
    role: Role,
    scope: Scope,
    scope_id: str = "",
    reason: str,
    hours: int | None = None,
    until: datetime | None = None,
) -> AccessRequest:
    """Ask for a role on something. Raises `Invalid`, `Conflict` where it is held or asked for already."""
    reason = _checked(reason)
    _check_end(hours, until)
    if not person.is_active:
        raise NotAllowed("Only who can sign in asks for access.")
    if scope not in ROLES[role].scopes:
        words = ", ".join(one.label.lower() for one in ROLES[role].scopes)
        raise _invalid("place", f"{ROLES[role].label} can be given on: {words}")
    with transaction.atomic(durable=True):
        User.objects.select_for_update(of=("self",), no_key=True).get(pk=person.pk)
        now = timezone.now()
        for old in _locked(person=person, role=role, scope=scope, scope_id=scope_id):
            if old.expires_at > now:
                raise Conflict("You have asked for this already; it waits for an answer.")
            _expire(old, at=now)
        if not access.exists(scope, scope_id):
            raise _invalid("place", "is gone; choose again")
        if access.holds(person, role, scope, scope_id):
            raise Conflict(f"You are {ROLES[role].label.lower()} there already.")
        if access.has_open(person).count() >= MOST_OPEN:
            raise Conflict(f"{MOST_OPEN} requests of yours wait already. Take one back first.")
        try:
            with transaction.atomic():
                asked = AccessRequest.objects.create(
                    person=person,
                    role=role,
                    scope=scope,
                    scope_id=scope_id,
                    reason=reason,
                    hours=hours,
                    until=until,
                    asked_at=now,
                    expires_at=now + LASTS,
                )
        except IntegrityError as error:
            raise Conflict("You have asked for this already; it waits for an answer.") from error
        _record(asked, Kind.ACCESS_ASKED, person.actor())
        notifications.tell(
            access.answerers(asked),
            topic=Topic.ACCESS,
            text=f"{person} asks to be {_what(asked)}: {reason}",
            key=f"access:{asked.pk}",
            link=LINK,
        )
    return asked


def withdraw(*, request_id: int, actor: User) -> AccessRequest:
    """The asker takes it back, while nobody has answered."""
    with transaction.atomic(durable=True):
        asked = _open(request_id)
        if asked.person_id != actor.pk:
            raise NotFound("There is no such request, or it is not for you to see.")
        _check_open(asked)
        asked.withdrawn_at = timezone.now()
        asked.save(update_fields=["withdrawn_at"])
        _record(asked, Kind.ACCESS_WITHDRAWN, actor.actor())
    return asked


def approve(
    *,
    request_id: int,
    actor: User,
    answer: str = "",
    hours: int | None = None,
    until: datetime | None = None,
) -> AccessRequest | PendingChange:
    """Give the role as it was asked for, or to an earlier end. What takes a second person waits for him then, and so
    does the request. Raises `NotAllowed`, `Conflict` where it was answered before, `Invalid`."""
    with transaction.atomic(durable=True):
        asked = _answerable(request_id, actor)
        answer = _checked(answer, needed=False)
        hours, until = _ends(asked, hours, until)
        if not access.exists(Scope(asked.scope), asked.scope_id):
            raise Conflict("What it was asked for on is gone. Decline it.")
        if not asked.person.is_active:
            raise Conflict(f"{asked.person} is deactivated. Decline it.")
        source = RoleAssignment.Source.ELEVATION if asked.hours else RoleAssignment.Source.REQUEST
        given = assigning.given_or_asked(
            role=Role(asked.role),
            to=asked.person,
            actor=actor,
            scope=Scope(asked.scope),
            scope_id=asked.scope_id,
            reason=asked.reason[:300],
            ends_at=until,
            hours=hours,
            source=source,
            request=asked.pk,
        )
        if isinstance(given, PendingChange):
            return given
        close_approved(asked, given, by=actor, answer=answer)
    return asked


def close_approved(asked: AccessRequest, given: RoleAssignment, *, by: User, answer: str) -> None:
    """A step, on the locked request: it is answered by the role that was given for it."""
    asked.answered_at, asked.answered_by = timezone.now(), by
    asked.approved, asked.answer, asked.assignment = True, answer, given
    asked.save(update_fields=["answered_at", "answered_by", "approved", "answer", "assignment"])
    _record(asked, Kind.ACCESS_ANSWERED, by.actor(), approved=True, answer=answer, assignment=given.pk)
    until = f" until {given.ends_at:%Y-%m-%d %H:%M} UTC" if given.ends_at else ""
    _tell_asker(asked, f"{by} made you {_what(asked)}{until}. {answer}".strip(), by)


def locked_for(change: PendingChange) -> AccessRequest | None:
    """A step: the request that a pending change answers, locked; refused where it is not open any more."""
    if change.payload.get("request") is None:
        return None
    asked = _open(change.payload["request"])
    _check_open(asked)
    return asked


def decline(*, request_id: int, actor: User, answer: str) -> AccessRequest:
    """Say no, in words; the asker reads them and may ask again."""
    with transaction.atomic(durable=True):
        asked = _answerable(request_id, actor)
        answer = _checked(answer, name="answer")
        asked.answered_at, asked.answered_by = timezone.now(), actor
        asked.approved, asked.answer = False, answer
        asked.save(update_fields=["answered_at", "answered_by", "approved", "answer"])
        _record(asked, Kind.ACCESS_ANSWERED, actor.actor(), approved=False, answer=answer)
        _tell_asker(asked, f"{actor} did not make you {_what(asked)}: {answer}", actor)
    return asked


def expire(*, now: datetime, limit: int = 200) -> int:
    """Close what nobody has answered in time, and tell who asked. Late or twice is all the same."""
    done = 0
    while done < limit:
        with transaction.atomic(durable=True):
            asked = (
                AccessRequest.objects.select_for_update(skip_locked=True, of=("self",), no_key=True)
                .select_related("person")
                .filter(answered_at=None, withdrawn_at=None, expires_at__lte=now)
                .order_by("asked_at")
                .first()
            )
            if asked is None:
                break
            _expire(asked, at=now)
        done += 1
    return done


def _expire(asked: AccessRequest, *, at: datetime) -> None:
    asked.answered_at, asked.approved, asked.answer = at, False, "Nobody answered in time."
    asked.save(update_fields=["answered_at", "approved", "answer"])
    _record(asked, Kind.ACCESS_EXPIRED, system("access_requests"))
    _tell_asker(asked, f"Nobody answered in time whether you may be {_what(asked)}. Ask again.", None)


def _answerable(request_id: int, actor: User) -> AccessRequest:
    """The locked request, for somebody who may answer it while it is open."""
    asked = _open(request_id)
    access.check_can_answer(actor, asked)
    _check_open(asked)
    return asked


def _open(request_id: int) -> AccessRequest:
    found = (
        AccessRequest.objects.select_for_update(of=("self",), no_key=True)
        .select_related("person")
        .filter(pk=request_id)
        .first()
    )
    if found is None:
        raise NotFound("There is no such request, or it is not for you to see.")
    return found


def _locked(**where: object) -> list[AccessRequest]:
    rows = AccessRequest.objects.select_for_update(of=("self",), no_key=True).select_related("person")
    return list(rows.filter(answered_at=None, withdrawn_at=None, **where))


def _check_open(asked: AccessRequest) -> None:
    if asked.withdrawn_at is not None:
        raise Conflict("The request was taken back.")
    if asked.answered_at is not None:
        raise Conflict(f"It was answered before{f', by {asked.answered_by}' if asked.answered_by else ''}.")
    if asked.expires_at <= timezone.now():
        raise Conflict("The request has expired; it has to be asked again.")


def _ends(
    asked: AccessRequest, hours: int | None, until: datetime | None
) -> tuple[int | None, datetime | None]:
    """The end that is given: what was asked for, or an earlier one."""
    if asked.hours is not None:
        hours = asked.hours if hours is None else hours
        if not 1 <= hours <= asked.hours:
            raise _invalid("hours", f"must be 1 to {asked.hours}, what was asked for")
        return hours, None
    until = until or asked.until
    if until is not None and until <= timezone.now():
        raise _invalid("until", "must be in the future")
    if asked.until is not None and until is not None and until > asked.until:
        raise _invalid("until", "must not be later than what was asked for")
    return None, until


def _check_end(hours: int | None, until: datetime | None) -> None:
    if hours is not None and until is not None:
        raise _invalid("until", "choose hours or a day, not both")
    if hours is not None and not 1 <= hours <= MOST_HOURS:
        raise _invalid("hours", f"must be 1 to {MOST_HOURS}")
    if until is not None and until <= timezone.now():
        raise _invalid("until", "must be in the future")


def _checked(text: str, *, name: str = "reason", needed: bool = True) -> str:
    text = " ".join(text.split())
    if (needed and not text) or len(text) > MOST_REASON or "\x00" in text:
        raise _invalid(name, f"must say why, in at most {MOST_REASON} characters")
    return text


def _invalid(name: str, message: str) -> Invalid:
    return Invalid("Nothing was changed.", errors=[{"field": name, "message": message}])


def _what(asked: AccessRequest) -> str:
    lasting = f" for {asked.hours} h" if asked.hours else ""
    return f"{Role(asked.role).label.lower()} {access.where_is(asked.scope, asked.scope_id)}{lasting}"


def _tell_asker(asked: AccessRequest, text: str, by: User | None) -> None:
    people = {asked.person_id} - ({by.pk} if by is not None else set())
    notifications.tell(people, topic=Topic.ACCESS, text=text, key=f"access-answered:{asked.pk}", link=LINK)


def _record(asked: AccessRequest, kind: Kind, actor: Actor, **more: object) -> None:
    recording.record(
        actor=actor,
        kind=kind,
        target=Target("access_request", str(asked.pk)),
        detail={
            "person": str(asked.person),
            "person_id": str(asked.person_id),
            "role": asked.role,
            "scope": asked.scope,
            "scope_id": assigning.name_of(Scope(asked.scope), asked.scope_id),
            "reason": asked.reason,
            "hours": asked.hours,
            "until": asked.until.isoformat() if asked.until else None,
            **more,
        },
    )
