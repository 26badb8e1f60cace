"""Changes that wait for a second person: who sees them, who may answer, who is told. One rule for lists and locks."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import Group
from django.db.models import Q, QuerySet
from django.utils import timezone

from accounts import assigning, second_person
from accounts.exceptions import DomainError, NotAllowed
from accounts.models import PendingChange, User, holders
from accounts.roles import Duty, Role, Scope
from accounts.second_person import What
from approvals import permissions, separation
from approvals.access_requests import check_somebody_else

SHOWN = 30


@dataclass(frozen=True, slots=True)
class Line:
    """One change as a page shows it. `why_not` says why this person cannot answer, empty where he may."""

    change: PendingChange
    kind: str
    is_own: bool
    why_not: str

    @property
    def shown(self) -> dict[str, Any]:
        found: dict[str, Any] = self.change.shown
        return found


def seen_by(user: User) -> QuerySet[PendingChange]:
    """Admins and auditors see all, policy editors those of their domains, everybody what he asked for himself."""
    found = PendingChange.objects.select_related("asked_by", "answered_by")
    if user.reads_everything:
        return found
    edits = user.held.reach(Duty.EDIT_POLICY)
    theirs = Q(asked_by=user)
    if edits.everywhere:
        theirs |= Q(what=What.POLICY)
    elif edits.domains:
        theirs |= Q(what=What.POLICY, about__in=sorted(edits.domains))
    return found.filter(theirs)


def waiting(user: User) -> list[Line]:
    """Those that wait, the oldest first. A constant number of queries."""
    rows = list(seen_by(user).filter(answered_at=None, expires_at__gt=timezone.now()).order_by("asked_at"))
    if not rows:
        return []
    side = set(separation.behind(user.pk, at=timezone.now()))
    own = {user.pk, *separation.linked([user.pk])}
    teams = set(Group.objects.filter(user__in=own).values_list("pk", flat=True))
    return [
        Line(row, kind_label(row), row.asked_by_id == user.pk, _why_not(user, row, side, own, teams))
        for row in rows
    ]


def settled(user: User) -> list[Line]:
    rows = seen_by(user).exclude(answered_at=None).order_by("-answered_at", "-pk")[:SHOWN]
    return [Line(row, kind_label(row), row.asked_by_id == user.pk, "") for row in rows]


def kind_label(change: PendingChange) -> str:
    return "What needs two people" if change.what == second_person.LEVEL else What(change.what).label


def _why_not(user: User, change: PendingChange, side: set[int], own: set[int], teams: set[int]) -> str:
    if not _is_entitled(user, change):
        return "Admins answer it, and for a policy other policy editors of its domain."
    if change.asked_by_id in own:
        return "You asked for it: somebody else answers."
    if change.asked_by_id in side:
        return f"You stand in for {change.asked_by}: somebody else answers."
    if change.what == What.ROLE:
        to_team = change.payload["to"] == "team"
        if change.payload["to_id"] in (teams if to_team else own):
            return "It is about a role of yours: somebody else answers."
    return ""


def _is_entitled(user: User, change: PendingChange) -> bool:
    if change.what == What.POLICY:
        return permissions.can_edit_policy(user, change.about)
    return user.is_active and user.is_admin


def check_can_answer(user: User, change: PendingChange) -> None:
    """The same rule under the lock, with its reason."""
    if not _is_entitled(user, change):
        raise NotAllowed("Admins answer it, and for a policy other policy editors of its domain.")
    check_somebody_else(user, change.asked_by)
    if change.what == What.ROLE:
        holder = assigning.holder_of(change)
        assigning.check_not_for_himself(role=Role(change.payload["role"]), to=holder, actor=user)
        if isinstance(holder, User):
            check_somebody_else(user, holder)


def answerers(change: PendingChange) -> set[int]:
    """Who may answer, to be told."""
    people = set(User.objects.admins().values_list("pk", flat=True))
    if change.what == What.POLICY:
        editors = holders(Duty.EDIT_POLICY, scope=Scope.DOMAIN, scope_id=change.about, domain=change.about)
        people |= set(User.objects.filter(editors, is_active=True).values_list("pk", flat=True))
    on_his_side = {change.asked_by_id}
    if change.what == What.ROLE:
        on_his_side |= set(_people_of(change))
    return people - separation.speaking_for(on_his_side, at=timezone.now())


def _people_of(change: PendingChange) -> Iterable[int]:
    try:
        holder = assigning.holder_of(change)
    except DomainError:
        return []
    if isinstance(holder, User):
        return [holder.pk]
    return holder.user_set.values_list("pk", flat=True)
