"""Roles given and taken back by admins, and ended when their time is over."""

from datetime import datetime

from django.contrib.auth.models import Group
from django.db import transaction
from django.utils import timezone

from accounts import assigning, permissions
from accounts.exceptions import NotFound
from accounts.models import PendingChange, RoleAssignment, User
from accounts.roles import Role, Scope


def give(
    *,
    role: Role,
    to: User | Group,
    actor: User,
    scope: Scope,
    scope_id: str = "",
    reason: str = "",
    ends_at: datetime | None = None,
    source: str = RoleAssignment.Source.PAGE,
) -> RoleAssignment | PendingChange:
    """Give a role on something that exists (the caller has looked it up). The same one again changes nothing.

    What takes a second person is only asked for, and comes back as what waits (accounts/second_person.py).
    Raises `NotAllowed`, `Invalid`, `Conflict`."""
    permissions.check_is_admin(actor)
    with transaction.atomic(durable=True):
        return assigning.given_or_asked(
            role=role, to=to, actor=actor, scope=scope, scope_id=scope_id, reason=reason, ends_at=ends_at,
            source=source,
        )  # fmt: skip


def take(*, assignment_id: int, actor: User, why: str) -> RoleAssignment:
    """Take a role back at once. The last admin keeps his. Raises `NotFound`, `NotAllowed`, `Conflict`."""
    permissions.check_is_admin(actor)
    with transaction.atomic(durable=True):
        assignment = _locked(assignment_id)
        if assignment.ended_at is not None:
            return assignment
        assigning.taken(assignment, by=actor, why=why)
    return assignment


def sweep(*, limit: int = 200) -> int:
    """End what has run out: it has counted for nothing since, now its event says so. Returns how many."""
    done = 0
    while done < limit:
        with transaction.atomic(durable=True):
            row = (
                RoleAssignment.objects.select_for_update(skip_locked=True, of=("self",), no_key=True)
                .filter(ended_at=None, ends_at__lte=timezone.now())
                .order_by("ends_at")
                .first()
            )
            if row is None:
                break
            assigning.taken(row, by=None, why="ran out", last=True)
        done += 1
    return done


def _locked(assignment_id: int) -> RoleAssignment:
    found = (
        RoleAssignment.objects.select_for_update(of=("self",), no_key=True)
        .select_related("person", "team")
        .filter(pk=assignment_id)
        .first()
    )
    if found is None:
        raise NotFound("There is no such role assignment.")
    return found
