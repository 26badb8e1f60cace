"""Whether enough of the right people approved. Pure.

A rule may ask for votes by team ("2 of finance and 1 of security"); each voter then fills one seat only, in
whichever of his teams lets the most seats be filled (a bipartite matching, found by augmenting paths)."""

from collections.abc import Mapping, Sequence
from typing import Any

Seats = Sequence[Mapping[str, Any]]
"""[{"team": name, "votes": number}, …]"""


def is_met(approvals: Sequence[Sequence[str]], quorum: int, required: Seats) -> bool:
    """`approvals` has the teams of each approving voter. Both the number and every seat count."""
    return len(approvals) >= quorum and not missing(approvals, required)


def missing(approvals: Sequence[Sequence[str]], required: Seats) -> dict[str, int]:
    """Team → votes still needed, after the best use of the votes there are; teams that are complete are left out."""
    seats = [seat["team"] for seat in required for _ in range(seat["votes"])]
    taken: dict[int, int] = {}
    for voter in range(len(approvals)):
        _seat(voter, approvals, seats, taken, set())
    found: dict[str, int] = {}
    for position, team in enumerate(seats):
        if position not in taken:
            found[team] = found.get(team, 0) + 1
    return found


def useful(approvals: Sequence[Sequence[str]], required: Seats, teams: Sequence[str]) -> bool:
    """Whether one more voter, of these teams, would fill a seat that stands empty."""
    before = sum(missing(approvals, required).values())
    return sum(missing([*approvals, teams], required).values()) < before


def _seat(
    voter: int, approvals: Sequence[Sequence[str]], seats: list[str], taken: dict[int, int], tried: set[int]
) -> bool:
    """Find the voter a seat, moving others where that helps."""
    for position, team in enumerate(seats):
        if team not in approvals[voter] or position in tried:
            continue
        tried.add(position)
        if position not in taken or _seat(taken[position], approvals, seats, taken, tried):
            taken[position] = voter
            return True
    return False


def wanted(approvals: Sequence[Sequence[str]], required: Seats) -> list[str]:
    """Teams of which one more vote would fill a seat; none once every seat is filled."""
    return [seat["team"] for seat in required if useful(approvals, required, [seat["team"]])]
