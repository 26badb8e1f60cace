"""The transition table: what DESIGN.md draws, and that nothing leaves a final state."""

import itertools
from pathlib import Path

import pytest

from approvals import states
from approvals.states import State

ROOT = Path(__file__).resolve().parent.parent.parent
DRAWN = {
    ("pending", "approved"),
    ("pending", "rejected"),
    ("pending", "returned"),
    ("pending", "expired"),
    ("pending", "withdrawn"),
    ("returned", "pending"),
    ("returned", "withdrawn"),
    ("returned", "expired"),
    ("scheduled", "approved"),
    ("scheduled", "rejected"),
    ("scheduled", "withdrawn"),
    ("scheduled", "pending"),  # nobody answers for the agent any more
    ("approved", "executing"),
    ("approved", "lapsed"),
    ("approved", "revoked"),
    ("executing", "succeeded"),
    ("executing", "failed"),
    ("executing", "unknown"),
    ("unknown", "succeeded"),
    ("unknown", "failed"),
    ("succeeded", "rolled_back"),
}


def test_the_table_is_the_one_of_the_design() -> None:
    assert {(str(before), str(after)) for before, after in states.TRANSITIONS} == DRAWN


@pytest.mark.parametrize(("before", "after"), itertools.product(State, State))
def test_may_answers_by_the_table(before: State, after: State) -> None:
    assert states.may(before, after) is ((str(before), str(after)) in DRAWN)


def test_final_states() -> None:
    assert {str(state) for state in states.FINAL} == {
        "denied", "rejected", "expired", "withdrawn", "lapsed", "revoked", "failed", "rolled_back",
    }  # fmt: skip


def test_every_state_can_be_reached() -> None:
    reached = set(states.INITIAL)
    while True:
        more = {after for before, after in states.TRANSITIONS if before in reached} - reached
        if not more:
            break
        reached |= more
    assert reached == set(State)


def test_nothing_runs_that_was_not_approved() -> None:
    assert {before for before, after in states.TRANSITIONS if after == State.EXECUTING} == {State.APPROVED}
    assert {before for before, after in states.TRANSITIONS if after == State.APPROVED} == {
        State.PENDING,
        State.SCHEDULED,
    }


def test_whatever_ran_counts_against_the_window() -> None:
    """An agent reports its outcomes itself: "failed" or silence must not give it its limit back."""
    ran, frontier = {State.EXECUTING}, {State.EXECUTING}
    while frontier:
        frontier = {after for before, after in states.TRANSITIONS if before in frontier} - ran
        ran |= frontier
    assert ran == states.RAN
    assert states.RAN | states.OPEN | {State.APPROVED} == states.LIVE


def test_the_drawing_in_the_docs_is_the_table() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    drawn = text.partition("<!-- states -->")[2].partition("<!-- /states -->")[0]
    assert drawn.strip() == f"```mermaid\n{states.mermaid()}```"
