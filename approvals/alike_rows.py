"""Look-alikes of one queue as a person sees them: which groups wait, and one page of a group with all it needs.

Only the first `CANDIDATES` of a queue are compared, which is what its reviewers come to next, and only arguments that a
person can compare at all. The number of queries is the same for any number of rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from django.core.cache import cache
from django.db.models import F
from django.db.models.functions import Length

from accounts.models import User
from approvals import permissions, record, separation, several
from approvals.models import HeldBallot, Proposal, Queue, Revision, Vote
from approvals.reading import alike, sheet
from approvals.reading.alike import Group, Item
from approvals.reading.sheet import Beside, Entry, Money
from approvals.states import State

CANDIDATES = 500
CLAIMED = 100
COUNTED_FOR = 10
"""Seconds for which the number of look-alikes of a queue is remembered."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One differing argument of one row. `odd` tells what nearly all others have, `twin` what it passes for."""

    label: str
    entry: Entry
    odd: str = ""
    twin: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One proposal of the table. `closed`: why this person decides nothing about it here; `alone`: why it cannot be
    approved here; `remarks` are what stands out without closing anything."""

    proposal: Proposal
    revision: Revision
    cells: list[Cell]
    closed: str
    alone: str
    remarks: list[str]


@dataclass(frozen=True, slots=True)
class Column:
    """A differing argument, as the head of the table names it."""

    pointer: str
    label: str
    material: bool


@dataclass(frozen=True, slots=True)
class Summary:
    """One group in the list of groups. `differing` are labels, the range of amounts only where one currency is used."""

    first: Proposal
    count: int
    differing: list[str]
    least: Decimal | None
    most: Decimal | None
    currency: str


@dataclass(frozen=True, slots=True)
class Table:
    """Some members of one group: what they have in common in full, and what differs row by row."""

    first: Proposal
    common: list[Entry]
    columns: list[Column]
    rows: list[Row]


def groups(queue: Queue, *, also: UUID | None = None) -> list[Group]:
    """The groups among what waits first in this queue. `also` is compared even if it waits no longer, so that its
    group can still be found by it. Three queries."""
    fields = ("pk", "agent_id", "agent_version", "action_type_id", "reasons", "amount", "currency")
    waiting = Proposal.objects.filter(queue=queue, state=State.PENDING)
    rows = list(
        waiting.filter(claimed_by=None)
        .order_by("priority", "due_at", "id")
        .values_list(*fields, named=True)[:CANDIDATES]
    )
    rows += (
        waiting.filter(claimed_by__isnull=False)
        .order_by("claimed_until")
        .values_list(*fields, named=True)[:CLAIMED]
    )
    if also is not None and all(row.pk != also for row in rows):
        rows += Proposal.objects.filter(queue=queue, pk=also).values_list(*fields, named=True)
    contents = dict(
        Revision.objects.filter(proposal__in=[row.pk for row in rows], number=F("proposal__revision"))
        .annotate(size=Length("canonical"))
        .filter(size__lte=record.LARGEST)
        .values_list("proposal_id", "canonical")
    )
    return alike.groups(
        Item(
            id=row.pk,
            agent=row.agent_id,
            version=row.agent_version,
            action=row.action_type_id,
            rules=_rules(row.reasons),
            values=alike.values(sheet.parse(contents[row.pk])),
            amount=row.amount,
            currency=row.currency,
        )
        for row in sorted(rows, key=lambda row: row.pk)
        if row.pk in contents
    )


def _rules(reasons: list[dict[str, str]]) -> tuple[str, ...]:
    return tuple(sorted({f"{reason.get('code', '')} {reason.get('rule') or ''}" for reason in reasons}))


def count(queue: Queue) -> int:
    """How many of what waits first have look-alikes; remembered for a few seconds (a hint, no promise)."""
    key = f"alike:{queue.pk}"
    known = cache.get(key)
    if isinstance(known, int):
        return int(known)
    counted = sum(len(group.items) for group in groups(queue))
    cache.set(key, counted, COUNTED_FOR)
    return counted


def summaries(queue: Queue) -> list[Summary]:
    """Every group of the queue in a line."""
    found = groups(queue)
    firsts = Proposal.objects.select_related("agent", "action_type").in_bulk([group.seed for group in found])
    contents = _revisions(firsts)
    lines = []
    for group in found:
        first = firsts.get(group.seed)
        if first is None or group.seed not in contents:
            continue
        known = alike.leaves(_sheet(first, contents[group.seed]))
        amounts = [item.amount for item in group.items if item.amount is not None]
        one_currency = len({item.currency for item in group.items if item.amount is not None}) == 1
        lines.append(
            Summary(
                first=first,
                count=len(group.items),
                differing=[known[pointer].label for pointer in group.differing if pointer in known],
                least=min(amounts) if one_currency else None,
                most=max(amounts) if one_currency else None,
                currency=first.currency,
            )
        )
    return lines


def _revisions(proposals: dict[UUID, Proposal]) -> dict[UUID, Revision]:
    current = Revision.objects.filter(proposal__in=proposals, number=F("proposal__revision"))
    return {revision.proposal_id: revision for revision in current}


def _sheet(proposal: Proposal, revision: Revision, *, beside: Beside | None = None) -> list[Entry]:
    kind = proposal.action_type
    money = Money(kind.amount_pointer, proposal.currency or kind.currency)
    value = sheet.parse(revision.canonical)
    return sheet.entries(kind.schema, value, material=kind.material, money=money, beside=beside)


def table(queue: Queue, group: Group, ids: Sequence[UUID], viewer: User) -> Table | None:
    """The members `ids` of the group side by side; None where none of them is left."""
    found = (
        Proposal.objects.select_related("agent", "action_type", "queue", "claimed_by", "kept_context")
        .filter(queue=queue)
        .in_bulk(ids)
    )
    revisions = _revisions(found)
    kept = permissions.kept_from(viewer)
    proposals = [found[pk] for pk in ids if pk in found and pk in revisions and pk not in kept]
    if not proposals:
        return None
    first = proposals[0]
    sheets = {
        one.pk: alike.leaves(_sheet(one, revisions[one.pk], beside=Beside(one.current_state)))
        for one in proposals
    }
    known = sheets[first.pk]
    order = [pointer for pointer in known if pointer in set(group.differing)]
    columns = sorted(
        (Column(pointer, known[pointer].label, known[pointer].material) for pointer in order),
        key=lambda column: not column.material,
    )
    stands = _Standing(group, order)
    closed = _closed(proposals, viewer)
    earlier = record.approved(record.judged_before(first))
    rows = [
        Row(
            proposal=one,
            revision=revisions[one.pk],
            cells=[stands.cell(one.pk, column, sheets[one.pk].get(column.pointer)) for column in columns],
            closed=closed.get(one.pk, ""),
            alone=stands.alone(one) or several.why_alone(one, revisions[one.pk], earlier=earlier),
            remarks=stands.remarks(one),
        )
        for one in proposals
    ]
    return Table(first, alike.without(_sheet(first, revisions[first.pk]), group.differing), columns, rows)


class _Standing:
    """How the members of a group stand beside each other."""

    def __init__(self, group: Group, pointers: Sequence[str]) -> None:
        self._values = {item.id: item.values for item in group.items}
        self._twins = alike.twins(group.items, pointers)
        self._usual = {pointer: alike.usual_value(group.items, pointer) for pointer in pointers}
        self._far = alike.far_off(group.items)
        self._repeated = alike.repeated(group.items)
        self._currency = alike.usual_currency(group.items)

    def cell(self, pk: UUID, column: Column, entry: Entry | None) -> Cell:
        if entry is None:  # revised since the group was made: the vote will be refused as stale
            entry = Entry(pointer=column.pointer, label=column.label, help="", kind="none", note="not there")
        usual = self._usual.get(column.pointer)
        is_odd = usual is not None and self._values.get(pk, {}).get(column.pointer) != usual
        return Cell(
            label=column.label,
            entry=entry,
            odd=usual.partition(" ")[2] if is_odd and usual is not None else "",
            twin=self._twins.get((pk, column.pointer), ""),
        )

    def alone(self, proposal: Proposal) -> str:
        """What the others make of it: a value that passes for another one's, the same twice, other money."""
        twin = next((why for (pk, _), why in self._twins.items() if pk == proposal.pk), "")
        if twin:
            return f"One of its values {twin}."
        if proposal.pk in self._repeated:
            return "Another one here has exactly the same arguments: perhaps it was sent twice."
        if proposal.amount is not None and proposal.currency != self._currency:
            return "Its currency is not that of the others."
        return ""

    def remarks(self, proposal: Proposal) -> list[str]:
        middle = self._far.get(proposal.pk)
        if middle is None or proposal.amount is None:
            return []
        side = "above" if abs(proposal.amount) > middle else "below"
        return [f"far {side} the middle of these"]


def _closed(proposals: Sequence[Proposal], viewer: User) -> dict[UUID, str]:
    """Why this person may not decide some of them; the decision itself asks `permissions` again. A few queries."""
    ids = [one.pk for one in proposals]
    behind = separation.principals(viewer)
    conflicted = set(separation.conflicted_agent_ids(viewer))
    teams = set(viewer.groups.values_list("name", flat=True))
    voted = set(
        Vote.objects.filter(
            proposal__in=ids, revision__number=F("proposal__revision"), reviewer__in=behind
        ).values_list("proposal_id", flat=True)
    )
    held = {
        ballot.proposal_id: ballot
        for ballot in HeldBallot.objects.filter(proposal__in=ids).select_related("reviewer")
    }
    found = {}
    for one in proposals:
        if one.state != State.PENDING:
            found[one.pk] = f"It is {State(one.state).label.lower()} by now."
        elif one.agent_id in conflicted:
            found[one.pk] = "You answer for this agent; somebody else has to decide."
        elif one.roles and teams.isdisjoint(one.roles):
            found[one.pk] = f"The policy asks for a member of {' or '.join(one.roles)}."
        elif one.pk in voted:
            found[one.pk] = "You have voted on it; a second person has to."
        elif one.pk in held:
            found[one.pk] = f"{held[one.pk].reviewer} has just decided it."
        elif one.is_claimed and one.claimed_by_id != viewer.pk:
            found[one.pk] = f"{one.claimed_by} is on it."
    return found
