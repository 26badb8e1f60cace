"""The permission matrix: people or teams down, queues, agents or domains across, and in each cell the roles that hold.

One page of it costs the same number of queries however large the installation is. Everything comes from
`accounts.carried`; a cell tells in letters what `approvals.rights` tells in sentences."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.auth.models import Group
from django.core.paginator import Page, Paginator

from accounts import selectors
from accounts.carried import Carried, carried, joins_of
from accounts.models import User
from accounts.roles import Duty, Role, Scope
from approvals import places, rights
from approvals.places import EVERYTHING, Place

ROWS = 25
COLUMNS = 10

LETTERS = {
    Role.REVIEWER: "R",
    Role.SENIOR_REVIEWER: "S",
    Role.AGENT_OWNER: "O",
    Role.POLICY_EDITOR: "P",
    Role.PROBE_AUTHOR: "B",
    Role.AUDITOR: "A",
    Role.ADMIN: "M",
}
OWNER = "N"
"""An agent's named owner, who is one without a role."""
_BY_HAND = {
    Duty.REVIEW: "R",
    Duty.LEAD: "S",
    Duty.MANAGE: "O",
    Duty.EDIT_POLICY: "P",
    Duty.WRITE_PROBES: "B",
    Duty.READ: "A",
    Duty.ADMINISTER: "M",
}
HOW = {
    "own": "given here",
    "team": "through a team",
    "wide": "from the domain or everything",
    "hand": "set by hand",
}
"""How a mark came, nearest first: its look, and what is said of it."""


@dataclass(frozen=True, slots=True)
class Mark:
    """One letter of a cell. `how` is a key of `HOW`; `ends` says that it holds for a time only."""

    letter: str
    label: str
    how: str
    ends: datetime | None = None

    @property
    def said(self) -> str:
        return f"{self.label}, {HOW[self.how]}{', for a time' if self.ends else ''}"


@dataclass(frozen=True, slots=True)
class Cell:
    place: Place
    marks: list[Mark]


@dataclass(frozen=True, slots=True)
class Row:
    """`kind` is person or team. Who is deactivated holds nothing, and his marks say what would come back with him."""

    kind: str
    holder: User | Group
    whole: Cell
    cells: list[Cell]
    note: str = ""

    @property
    def is_off(self) -> bool:
        return isinstance(self.holder, User) and not self.holder.is_active


@dataclass(frozen=True, slots=True)
class Asked:
    """What the address asks for; whatever it cannot mean is as if it were not there."""

    rows: str = "people"
    columns: Scope = Scope.QUEUE
    query: str = ""
    on: str = ""
    role: Role | None = None
    team: int | None = None
    state: str = "active"
    page: str = "1"
    across: str = "1"

    @classmethod
    def of(cls, given: Mapping[str, str]) -> "Asked":
        columns = {"agents": Scope.AGENT, "domains": Scope.DOMAIN}.get(given.get("columns", ""), Scope.QUEUE)
        role = given.get("role", "")
        team = given.get("team", "")
        state = given.get("state", "")
        return cls(
            rows="teams" if given.get("rows") == "teams" else "people",
            columns=columns,
            query=_text(given.get("q", "")),
            on=_text(given.get("on", "")),
            role=Role(role) if role in Role.__members__.values() else None,
            team=int(team) if team.isascii() and team.isdecimal() and len(team) < 10 else None,
            state=state if state in ("inactive", "all") else "active",
            page=given.get("page", "1"),
            across=given.get("across", "1"),
        )

    def address(self, **other: Any) -> dict[str, str]:
        """The query of this view, changed in parts; what is usual is left out."""
        values = {
            "rows": self.rows,
            "columns": f"{self.columns}s",
            "q": self.query,
            "on": self.on,
            "role": self.role or "",
            "team": self.team or "",
            "state": self.state,
            "page": self.page,
            "across": self.across,
            **other,
        }
        usual = {"rows": "people", "columns": "queues", "state": "active", "page": "1", "across": "1"}
        return {name: str(value) for name, value in values.items() if str(value) not in ("", usual.get(name))}


def _text(given: str) -> str:
    return given.replace("\x00", "").strip()[:120]


@dataclass(frozen=True, slots=True)
class Matrix:
    asked: Asked
    columns: "Page[Place]"
    people: "Page[Any]"
    rows: list[Row]


def matrix(asked: Asked) -> Matrix:
    """One page of rows by one page of columns."""
    wanted = asked.on.casefold()
    found = [
        one
        for one in places.all_of(asked.columns)
        if wanted in one.name.casefold() or wanted in one.domain.casefold()
    ]
    columns = Paginator(found, COLUMNS).get_page(asked.across)
    holders = _holders(asked)
    rows = _of_people(holders, columns) if asked.rows == "people" else _of_teams(holders, columns)
    return Matrix(asked, columns, holders, rows)


def _holders(asked: Asked) -> "Page[Any]":
    if asked.rows == "people":
        found: Any = selectors.people(query=asked.query, state=asked.state).prefetch_related(None)
        if asked.team is not None:
            found = found.filter(groups=asked.team)
        if asked.role is not None:
            found = found.filter(selectors.people_with(asked.role))
    else:
        found = selectors.teams(query=asked.query)
        if asked.role is not None:
            found = found.filter(selectors.teams_with(asked.role))
    return Paginator(found, ROWS).get_page(asked.page)


def _of_people(page: "Page[Any]", columns: Iterable[Place]) -> list[Row]:
    people: list[User] = list(page)
    joins = joins_of(people=[one.pk for one in people])
    held: dict[int, list[Carried]] = {one.pk: [] for one in people}
    for one in carried(people=list(held), teams=list(joins)):
        if one.person is not None:
            held[one.person.pk].append(one)
        elif one.team is not None:
            for person in joins[one.team.pk]:
                held[person].append(one)
    return [_row("person", one, held[one.pk], columns, one.email) for one in people]


def _of_teams(page: "Page[Any]", columns: Iterable[Place]) -> list[Row]:
    teams = list(page)
    held: dict[int, list[Carried]] = {team.pk: [] for team in teams}
    for one in carried(teams=list(held)):
        assert one.team is not None
        held[one.team.pk].append(one)
    return [
        _row("team", team, held[team.pk], columns, f"{team.members} active member{'s'[: team.members != 1]}")
        for team in teams
    ]


def _row(kind: str, holder: User | Group, held: list[Carried], columns: Iterable[Place], note: str) -> Row:
    cells = [cell(holder, held, place) for place in columns]
    return Row(kind, holder, cell(holder, held, EVERYTHING), cells, note)


def cell(holder: User | Group, held: Iterable[Carried], place: Place) -> Cell:
    """What a holder's rights come to on one thing, in letters."""
    best: dict[tuple[str, str], Mark] = {}
    if isinstance(holder, User) and place.owner_id == holder.pk:
        best[OWNER, ""] = Mark(OWNER, "Named owner", "own")
    for right in rights.reaching(held, place):
        mark = _mark(right, place, is_person=isinstance(holder, User))
        by_hand = "hand" if mark.how == "hand" else ""
        known = best.get((mark.letter, by_hand))
        if known is None or _rank(mark) < _rank(known):
            best[mark.letter, by_hand] = mark
    order = [OWNER, *LETTERS.values()]
    return Cell(place, sorted(best.values(), key=lambda mark: (order.index(mark.letter), mark.how)))


def _rank(mark: Mark) -> tuple[int, bool]:
    return (list(HOW).index(mark.how), mark.ends is not None)


def _mark(right: Carried, place: Place, *, is_person: bool) -> Mark:
    if right.assignment is None or right.role is None:
        return Mark(_BY_HAND[right.duty], rights.DOES[right.duty], "hand")
    how = "own"
    if right.scope is not place.scope:
        how = "wide"
    elif right.team is not None and is_person:
        how = "team"
    return Mark(LETTERS[right.role], right.role.label, how, right.assignment.ends_at)
