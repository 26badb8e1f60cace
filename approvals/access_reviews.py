"""Reviews of access: what they cover, who is asked, what is unused, how far they are."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.contrib.auth.models import Group
from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone

from accounts.models import AccessReview, AccessReviewItem, LinkedAccount, RoleAssignment, User, live_at
from accounts.roles import Role, Scope
from agents.models import Agent, AgentState, Mandate
from approvals import separation
from approvals.access_requests import Named, names, where
from approvals.models import Proposal, Queue
from audit import selectors as trail
from audit.events import Kind

UNUSED = timedelta(days=90)
PAGE = 25
"""So many rows stand on a page, and so many may be kept at once: those that are in view."""
SHOWN = 50


def covered(scope: Scope, scope_id: str) -> QuerySet[RoleAssignment]:
    """Live assignments on this thing, or for a domain on anything in it; for everything all there are."""
    live = RoleAssignment.objects.filter(live_at(timezone.now()))
    if scope is Scope.EVERYTHING:
        return live
    here = Q(scope=scope, scope_id=scope_id)
    if scope is Scope.DOMAIN:
        queues = Queue.objects.filter(domain=scope_id).values_list("pk", flat=True)
        agents = Agent.objects.filter(domain=scope_id).values_list("pk", flat=True)
        here |= Q(scope=Scope.QUEUE, scope_id__in=[str(pk) for pk in queues])
        here |= Q(scope=Scope.AGENT, scope_id__in=[str(pk) for pk in agents])
    return live.filter(here)


def unused(*, since: datetime) -> Q:
    """Assignments nobody has used since then, as a filter: last used before, or given before and never used."""
    return Q(last_used_at__lt=since) | Q(last_used_at=None, given_at__lt=since)


def unused_days(assignment: RoleAssignment, *, now: datetime) -> int | None:
    """For how many days it has not been used, where that is long enough to say so."""
    last = assignment.last_used_at or assignment.given_at
    days = (now - last).days
    return days if days >= UNUSED.days else None


def unused_mandates(scope: Scope = Scope.EVERYTHING, scope_id: str = "") -> QuerySet[Mandate]:
    """Active mandates of agents that are not retired by which nothing was proposed for that long, and which have not
    been given or changed since."""
    since = timezone.now() - UNUSED
    saved = trail.since("mandate", None, Kind.MANDATE_SAVED, since).values_list("object_id", flat=True)
    young = {int(pk) for pk in saved}
    lately = Proposal.objects.filter(
        agent=OuterRef("agent"), action_type=OuterRef("action_type"), created_at__gte=since, planted=False
    )
    found = (
        Mandate.objects.filter(active=True)
        .exclude(pk__in=young)
        .exclude(agent__state=AgentState.RETIRED)
        .filter(~Exists(lately))
        .select_related("agent__owner", "action_type")
        .order_by("agent__name", "action_type__label")
    )
    if scope is Scope.AGENT:
        return found.filter(agent=int(scope_id))
    if scope is Scope.DOMAIN:
        return found.filter(agent__domain=scope_id)
    return found if scope is Scope.EVERYTHING else found.none()


@dataclass(frozen=True, slots=True)
class Askers:
    """Who can be asked, read once for a whole review."""

    admins: Sequence[int]
    owners: Mapping[str, int]
    members: Mapping[int, set[int]]
    accounts: Mapping[int, set[int]]

    def asked(self, assignment: RoleAssignment) -> int | None:
        """For an agent its owner, else who gave it if he is an admin still, else any admin; never the holder himself,
        another account of his or somebody of the team that holds it. None where nobody is left."""
        own = self._holders(assignment)
        first = (
            self.owners.get(assignment.scope_id)
            if assignment.scope == Scope.AGENT
            else assignment.given_by_id
            if assignment.given_by_id in self.admins
            else None
        )
        for person in (first, *self.admins):
            if person is not None and person not in own:
                return person
        return None

    def _holders(self, assignment: RoleAssignment) -> set[int]:
        if assignment.team_id is not None:
            people = self.members.get(assignment.team_id, set())
        else:
            people = {assignment.person_id or 0}
        return {account for person in people for account in {person, *self.accounts.get(person, ())}}


def askers(assignments: Iterable[RoleAssignment]) -> Askers:
    """A handful of queries, however many assignments."""
    rows = list(assignments)
    admins = list(User.objects.admins().order_by("pk").values_list("pk", flat=True))
    agents = [row.scope_id for row in rows if row.scope == Scope.AGENT]
    owned = Agent.objects.filter(pk__in=agents, owner__is_active=True).values_list("pk", "owner_id")
    members: dict[int, set[int]] = {}
    teams = {row.team_id for row in rows if row.team_id is not None}
    for team, person in Group.objects.filter(pk__in=teams, user__isnull=False).values_list("pk", "user"):
        members.setdefault(team, set()).add(person)
    accounts: dict[int, set[int]] = {}
    for first, second in LinkedAccount.objects.values_list("first", "second"):
        accounts.setdefault(first, set()).add(second)
        accounts.setdefault(second, set()).add(first)
    return Askers(admins, {str(pk): owner for pk, owner in owned}, members, accounts)


# ── Pages ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Row:
    """One item with what it is about, in words."""

    item: AccessReviewItem
    who: str
    what: str
    since: datetime | None
    last_used: datetime | None
    is_over: bool
    """What it is about has ended by another way."""


def seen_by(user: User) -> QuerySet[AccessReview]:
    """Admins and auditors see every review, others those in which they are asked."""
    found = AccessReview.objects.select_related("begun_by").annotate(
        total=Count("items"),
        answered=Count("items", filter=Q(items__answered_at__isnull=False)),
        dropped=Count("items", filter=Q(items__verdict=AccessReviewItem.Verdict.DROP)),
        mine=Count("items", filter=Q(items__asked=user, items__answered_at=None)),
    )
    if user.reads_everything:
        return found
    asked = AccessReviewItem.objects.filter(review=OuterRef("pk"), asked=user)
    return found.filter(Exists(asked))


def items_of(review: AccessReview) -> QuerySet[AccessReviewItem]:
    return review.items.select_related(
        "asked", "answered_by", "assignment__person", "assignment__team", "assignment__given_by"
    ).order_by(F("unused_days").desc(nulls_last=True), "pk")


def answerable_by(user: User, items: QuerySet[AccessReviewItem]) -> QuerySet[AccessReviewItem]:
    """Those that he is asked and has not answered; for admins also those that nobody can be asked any more. What he
    holds himself, or a team of his, is somebody else's."""
    theirs = Q(asked=user)
    if user.is_admin:
        theirs |= Q(asked=None) | Q(asked__is_active=False)
    own = [user.pk, *separation.linked([user.pk])]
    teams = Group.objects.filter(user__in=own)
    return (
        items.filter(theirs, answered_at=None)
        .exclude(assignment__person__in=separation.principals(user))
        .exclude(assignment__team__in=teams)
    )


def rows(items: Iterable[AccessReviewItem]) -> list[Row]:
    """In words, with two queries for names and one for mandates."""
    found = list(items)
    mandates = Mandate.objects.select_related("agent", "action_type").in_bulk(
        [item.mandate_id for item in found if item.mandate_id is not None]
    )
    named = names(
        (item.assignment.scope, item.assignment.scope_id) for item in found if item.assignment is not None
    )
    return [_row(item, mandates, named) for item in found]


def _row(item: AccessReviewItem, mandates: Mapping[int, Mandate], named: Named) -> Row:
    assignment = item.assignment
    if assignment is not None:
        return Row(
            item,
            str(assignment.holder),
            f"{Role(assignment.role).label} {where(assignment.scope, assignment.scope_id, named)}",
            assignment.given_at,
            assignment.last_used_at,
            item.answered_at is None and not assignment.is_live,
        )
    assert item.mandate_id is not None
    mandate = mandates.get(item.mandate_id)
    if mandate is None:
        return Row(item, "An agent", "a mandate that is gone", None, None, True)
    over = item.answered_at is None and not mandate.active
    return Row(item, mandate.agent.name, f"Mandate: {mandate.action_type.label}", None, None, over)


@dataclass(frozen=True, slots=True)
class Unused:
    """What nobody has used for ninety days, outside of any review."""

    assignments: list[tuple[RoleAssignment, str, int | None]]
    more: int
    mandates: list[Mandate]
    more_mandates: int


def unused_now() -> Unused:
    """The longest unused first; a constant number of queries."""
    now = timezone.now()
    found = (
        RoleAssignment.objects.filter(live_at(now), unused(since=now - UNUSED))
        .select_related("person", "team")
        .order_by(F("last_used_at").asc(nulls_first=True), "given_at")
    )
    shown = list(found[:SHOWN])
    named = names((row.scope, row.scope_id) for row in shown)
    mandates = unused_mandates()
    listed = list(mandates[:SHOWN])
    return Unused(
        [
            (
                row,
                f"{Role(row.role).label} {where(row.scope, row.scope_id, named)}",
                unused_days(row, now=now),
            )
            for row in shown
        ],
        max(0, found.count() - SHOWN),
        listed,
        max(0, mandates.count() - SHOWN),
    )
