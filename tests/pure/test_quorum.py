"""Votes required by team: each voter fills one seat, and the best use of the votes counts."""

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from approvals import quorum

FINANCE_AND_SECURITY = [{"team": "finance", "votes": 2}, {"team": "security", "votes": 1}]


@pytest.mark.parametrize(
    ("approvals", "missing"),
    [
        ([], {"finance": 2, "security": 1}),
        ([["finance"]], {"finance": 1, "security": 1}),
        ([["finance"], ["finance"]], {"security": 1}),
        ([["finance"], ["finance"], ["finance"]], {"security": 1}),
        ([["finance", "security"], ["finance"]], {"finance": 1}),
        ([["finance", "security"], ["finance"], ["finance"]], {}),
        ([["finance", "security"], ["finance", "security"], ["finance", "security"]], {}),
        ([["sales"], []], {"finance": 2, "security": 1}),
    ],
)
def test_missing_votes_by_team(approvals: list[list[str]], missing: dict[str, int]) -> None:
    found = quorum.missing(approvals, FINANCE_AND_SECURITY)
    assert sum(found.values()) == sum(missing.values())
    if len({tuple(one) for one in approvals}) <= 1 or not missing:
        assert found == missing


def test_one_person_of_two_teams_fills_one_seat() -> None:
    both = [["finance", "security"]]
    assert not quorum.is_met(both, 1, [{"team": "finance", "votes": 1}, {"team": "security", "votes": 1}])


def test_the_number_counts_besides_the_seats() -> None:
    seats = [{"team": "finance", "votes": 1}]
    assert not quorum.is_met([["finance"]], 2, seats)
    assert quorum.is_met([["finance"], []], 2, seats)
    assert quorum.is_met([[], []], 2, [])


def test_wanted_names_a_team_whose_seat_is_taken_by_somebody_who_could_move() -> None:
    seats = [{"team": "finance", "votes": 1}, {"team": "security", "votes": 1}]
    assert quorum.wanted([["finance", "security"]], seats) == ["finance", "security"]
    assert quorum.wanted([["finance"]], seats) == ["security"]
    assert quorum.wanted([["finance"], ["security"]], seats) == []


TEAMS = ["a", "b", "c"]
voters = st.lists(st.lists(st.sampled_from(TEAMS), unique=True), max_size=5)
seats = st.lists(
    st.fixed_dictionaries({"team": st.sampled_from(TEAMS), "votes": st.integers(1, 2)}),
    max_size=3,
    unique_by=lambda seat: str(seat["team"]),
)


@given(voters, seats)
def test_missing_is_what_trying_every_seating_finds(
    approvals: list[list[str]], required: list[dict[str, int | str]]
) -> None:
    places = [str(seat["team"]) for seat in required for _ in range(int(seat["votes"]))]
    padded: list[list[str]] = [*approvals, *([[]] * max(0, len(places) - len(approvals)))]
    best = max(
        sum(team in padded[voter] for team, voter in zip(places, order, strict=True))
        for order in permutations(range(len(padded)), len(places))
    )
    assert sum(quorum.missing(approvals, required).values()) == len(places) - best


@given(voters, seats)
def test_a_vote_is_wanted_of_a_team_exactly_if_it_fills_a_seat(
    approvals: list[list[str]], required: list[dict[str, int | str]]
) -> None:
    before = sum(quorum.missing(approvals, required).values())
    for seat in required:
        after = sum(quorum.missing([*approvals, [str(seat["team"])]], required).values())
        assert (seat["team"] in quorum.wanted(approvals, required)) == (after < before)
