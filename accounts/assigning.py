"""Steps of giving a role and taking it back, each with its event; within the caller's transaction.

Nobody gives himself a role, nor another account of his: an admin who wants one asks another admin for it (A28)."""

import hashlib
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import Group
from django.db.models import Q
from django.utils import timezone

from accounts import joining, permissions, second_person, sessions
from accounts.exceptions import Conflict, Invalid, NotAllowed
from accounts.models import (
    LinkedAccount,
    PendingChange,
    RoleAssignment,
    User,
    assign_role,
    content_type_of,
    end_role,
    live_at,
)
from accounts.roles import ROLES, Role, Scope
from accounts.second_person import Line, What
from audit import recording
from audit.events import Actor, Kind, Target, system


def given(
    *,
    role: Role,
    to: User | Group,
    actor: User,
    scope: Scope,
    scope_id: str = "",
    reason: str = "",
    ends_at: datetime | None = None,
    source: str = RoleAssignment.Source.PAGE,
) -> RoleAssignment:
    """A step of giving a role, within the caller's transaction, with its event."""
    check_may_be_given(role=role, to=to, actor=actor, scope=scope, ends_at=ends_at)
    assignment, is_new = assign_role(
        role,
        to=to,
        scope=scope,
        scope_id=scope_id,
        source=source,
        given_by=actor,
        reason=reason,
        ends_at=ends_at,
    )
    if is_new:
        recording.record(
            actor=actor.actor(),
            kind=Kind.ROLE_GIVEN,
            target=target(scope, scope_id),
            before={"holds": False},
            after={"holds": True},
            detail={**facts(assignment), "is_given": True},
        )
    elif assignment.ends_at != ends_at:
        raise Conflict(f"{to} holds this role already, until another moment. Take it back first.")
    return assignment


def given_or_asked(
    *,
    role: Role,
    to: User | Group,
    actor: User,
    scope: Scope,
    scope_id: str = "",
    reason: str = "",
    ends_at: datetime | None = None,
    source: str = RoleAssignment.Source.PAGE,
    hours: int | None = None,
    request: int | None = None,
) -> RoleAssignment | PendingChange:
    """The same, or the asking for it where it takes a second person. `hours` counts from the moment it is given.

    `request` is the access request that it answers."""
    now = timezone.now()
    if hours is not None:
        ends_at = now + timedelta(hours=hours)
    if not second_person.needed_for_role(role, scope):
        return given(
            role=role, to=to, actor=actor, scope=scope, scope_id=scope_id, reason=reason, ends_at=ends_at,
            source=source,
        )  # fmt: skip
    check_may_be_given(role=role, to=to, actor=actor, scope=scope, ends_at=ends_at)
    present = _present(role, to, scope, scope_id)
    if present is not None and present.ends_at == ends_at:
        return present
    if present is not None:
        raise Conflict(f"{to} holds this role already, until another moment. Take it back first.")
    until = (
        f"for {hours} hours from then" if hours else f"until {ends_at:%Y-%m-%d %H:%M} UTC" if ends_at else ""
    )
    lines = [Line(str(to), "does not hold it", f"holds it {until}".strip())]
    if isinstance(to, Group):
        lines.append(
            Line("In the team now", "", ", ".join(str(person) for person in _members(to)) or "nobody")
        )
    return second_person.ask(
        what=What.ROLE,
        about=f"{role} {scope} {scope_id} {_kind(to)} {to.pk}",
        payload={
            "role": role,
            "to": _kind(to),
            "to_id": to.pk,
            "scope": scope,
            "scope_id": scope_id,
            "reason": reason,
            "source": source,
            "hours": hours,
            "ends_at": ends_at.isoformat() if ends_at and not hours else None,
            "request": request,
        },
        shown=second_person.shown(
            f"Give {to} the role {ROLES[role].label.lower()}{_where(scope, scope_id)}", lines
        ),
        by=actor,
        base=_mark(to),
        reason=reason,
    )


def carry_out(change: PendingChange) -> RoleAssignment:
    """A step of the second person's yes: give the role as it was asked for, by the asker's own rights of now."""
    asked: dict[str, Any] = change.payload
    permissions.check_is_admin(change.asked_by)
    to = holder_of(change)
    if _mark(to) != change.base:
        raise Conflict(
            "Other people are in the team than when this was asked for. Decline it, and ask again."
        )
    ends_at = datetime.fromisoformat(asked["ends_at"]) if asked["ends_at"] else None
    if asked["hours"]:
        ends_at = timezone.now() + timedelta(hours=asked["hours"])
    return given(
        role=Role(asked["role"]),
        to=to,
        actor=change.asked_by,
        scope=Scope(asked["scope"]),
        scope_id=asked["scope_id"],
        reason=asked["reason"],
        ends_at=ends_at,
        source=asked["source"],
    )


def holder_of(change: PendingChange) -> User | Group:
    """To whom a pending change gives a role."""
    table = Group if change.payload["to"] == "team" else User
    found = table._default_manager.filter(pk=change.payload["to_id"]).first()
    if found is None:
        raise Conflict("Whom it was for is gone. Decline it.")
    assert isinstance(found, User | Group)
    return found


def _members(team: Group) -> list[User]:
    return list(User.objects.filter(groups=team).order_by("name", "pk"))


def _mark(to: User | Group) -> str:
    """Who would hold it: nobody slips into a team while its role waits for a second person."""
    if isinstance(to, User):
        return ""
    pks = " ".join(str(person.pk) for person in sorted(_members(to), key=lambda one: one.pk))
    return hashlib.sha256(pks.encode()).hexdigest()


def _present(role: Role, to: User | Group, scope: Scope, scope_id: str) -> RoleAssignment | None:
    holder = {"team": to} if isinstance(to, Group) else {"person": to}
    return RoleAssignment.objects.filter(
        live_at(timezone.now()), role=role, scope=scope, scope_id=scope_id, **holder
    ).first()


def _kind(to: User | Group) -> str:
    return "team" if isinstance(to, Group) else "person"


def _where(scope: Scope, scope_id: str) -> str:
    return " for everything" if scope is Scope.EVERYTHING else f" on {scope.label.lower()} {scope_id}"


def check_may_be_given(
    *, role: Role, to: User | Group, actor: User, scope: Scope, ends_at: datetime | None
) -> None:
    """What is wrong with giving this role, or nothing."""
    bundle = ROLES[role]
    if scope not in bundle.scopes:
        places = ", ".join(one.label.lower() for one in bundle.scopes)
        raise Invalid(
            "The role was not given.",
            errors=[{"field": "scope", "message": f"{bundle.label} can be given on: {places}"}],
        )
    check_not_for_himself(role=role, to=to, actor=actor)
    if isinstance(to, User) and not to.is_active:
        raise Conflict(f"{to} is deactivated.")
    if isinstance(to, Group):
        joining.check_may_hold(role, to, scope)
    if ends_at is not None and ends_at <= timezone.now() + timedelta(minutes=1):
        raise Invalid(
            "The role was not given.", errors=[{"field": "ends_at", "message": "must be in the future"}]
        )


def check_not_for_himself(*, role: Role, to: User | Group, actor: User) -> None:
    """Asked of who gives it, and of who says yes as the second person."""
    own = {actor.pk, *linked_to(actor)}
    if isinstance(to, User):
        if to.pk == actor.pk:
            raise NotAllowed("Nobody gives himself a role; ask for it, and another admin answers.")
        if to.pk in own:
            raise NotAllowed(f"{to} is another account of yours; another admin has to give the role.")
    elif role is not Role.AUDITOR and to.user_set.filter(pk__in=own).exists():
        raise NotAllowed("You are in this team; another admin has to give it the role.")


def linked_to(person: User) -> set[int]:
    """His other accounts (links are pairs; who links three links each with each)."""
    pairs = LinkedAccount.objects.filter(Q(first=person) | Q(second=person)).values_list("first", "second")
    return {pk for pair in pairs for pk in pair} - {person.pk}


def taken(assignment: RoleAssignment, *, by: User | None, why: str, last: bool = False) -> None:
    """A step of ending a role, on a locked assignment; by the system where nobody did it. The last admin keeps his role
    unless `last` says that even so it ends (it has run out)."""
    if assignment.role == Role.ADMIN and not last and not _others_administer(assignment):
        raise Conflict("This is the last admin. Make somebody else an admin first.")
    end_role(assignment, why=why, at=timezone.now(), by=by)
    actor: Actor = system("roles") if by is None else by.actor()
    recording.record(
        actor=actor,
        kind=Kind.ROLE_ENDED,
        target=target(Scope(assignment.scope), assignment.scope_id),
        before={"holds": True},
        after={"holds": False},
        detail={**facts(assignment), "is_given": False, "why": why},
    )
    if assignment.role == Role.ADMIN:
        _sign_out(assignment, by=by)


def _sign_out(assignment: RoleAssignment, *, by: User | None) -> None:
    """Who is no admin any more begins a new session: nothing that he has open goes on as an admin's."""
    if assignment.person is not None:
        people = [assignment.person]
    else:
        assert assignment.team is not None
        people = list(assignment.team.user_set.filter(is_active=True).order_by("pk"))
    for person in people:
        if not person.is_admin:
            sessions.end_all(person, why="no admin any more", by=by)


def target(scope: Scope, scope_id: str) -> Target:
    """What an event about a role is about. A queue is named by its slug by whoever knows queues."""
    if scope is Scope.EVERYTHING:
        return Target("installation", "everything")
    return Target(scope.value, name_of(scope, scope_id))


def name_of(scope: Scope, scope_id: str) -> str:
    """How an event names it: a queue by its slug, everything else by what the assignment holds."""
    if scope is not Scope.QUEUE:
        return scope_id
    queue = content_type_of(scope).model_class()
    assert queue is not None
    found = queue._default_manager.filter(pk=scope_id).values_list("slug", flat=True).first()
    return str(found or scope_id)


def facts(assignment: RoleAssignment) -> dict[str, object]:
    """What an event says of an assignment; `to`, `to_id`, `kind` and `duties` are what history is rebuilt from."""
    return {
        "assignment": assignment.pk,
        "role": assignment.role,
        "duties": sorted(duty.value for duty in ROLES[Role(assignment.role)].duties),
        "to": str(assignment.holder),
        "to_id": str(assignment.holder.pk),
        "kind": "person" if assignment.team_id is None else "team",
        "scope": assignment.scope,
        "scope_id": assignment.scope_id,
        "until": assignment.ends_at.isoformat() if assignment.ends_at else None,
        "reason": assignment.reason,
        "source": assignment.source,
    }


def _others_administer(assignment: RoleAssignment) -> bool:
    """Whether somebody is an admin without it. Admins are locked in one order, as in people.locked_by_admin."""
    admins = list(
        User.objects.select_for_update(of=("self",), no_key=True)
        .filter(pk__in=User.objects.admins().values("pk"))
        .order_by("pk")
    )
    rest = RoleAssignment.objects.filter(role=Role.ADMIN, ended_at=None).exclude(pk=assignment.pk)
    now = timezone.now()
    rest = rest.filter(live_at(now))
    people = set(rest.values_list("person", flat=True))
    people |= set(User.objects.filter(groups__in=rest.values("team")).values_list("pk", flat=True))
    return any(admin.pk in people for admin in admins)
