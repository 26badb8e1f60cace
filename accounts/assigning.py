"""Steps of giving a role and taking it back, each with its event; within the caller's transaction.

Nobody gives himself a role: an admin who wants one asks another admin for it (A28)."""

from datetime import datetime, timedelta

from django.contrib.auth.models import Group
from django.utils import timezone

from accounts.exceptions import Conflict, Invalid, NotAllowed
from accounts.models import RoleAssignment, User, assign_role, content_type_of, end_role, live_at
from accounts.roles import ROLES, Role, Scope
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
    if isinstance(to, User):
        if to.pk == actor.pk:
            raise NotAllowed("Nobody gives himself a role; ask for it, and another admin answers.")
        if not to.is_active:
            raise Conflict(f"{to} is deactivated.")
    elif role is not Role.AUDITOR and to.user_set.filter(pk=actor.pk).exists():
        raise NotAllowed("You are in this team; another admin has to give it the role.")
    if ends_at is not None and ends_at <= timezone.now() + timedelta(minutes=1):
        raise Invalid(
            "The role was not given.", errors=[{"field": "ends_at", "message": "must be in the future"}]
        )


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
