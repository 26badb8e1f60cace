"""The bound on an agent's accuracy: TIERS.md's own figures, and the promise it makes at every look."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.accuracy import FEWEST, accuracy, log_evidence, lower_bound


@pytest.mark.parametrize(
    ("judged", "wrong", "q", "expected"),
    [(100, 0, 0.05, 4.2144), (200, 2, 0.05, 4.3269), (1000, 30, 0.05, 3.0487), (1000, 5, 0.01, 0.5175)],
)
def test_evidence_is_that_of_the_tier_model(judged: int, wrong: int, q: float, expected: float) -> None:
    assert log_evidence({0.0: judged - wrong, 1.0: wrong}, q) == pytest.approx(expected, abs=5e-5)


def test_a_flawless_agent_needs_as_many_as_the_tier_model_says() -> None:
    assert lower_bound({0.0: 59}) < 0.95 <= lower_bound({0.0: 77})


def test_a_million_judgements_do_not_underflow() -> None:
    assert 0.98 < lower_bound({0.0: 990_000, 1.0: 10_000}) < 0.99


@pytest.mark.parametrize("losses", [{}, {0.0: 0}, {1.0: 20}, {1.0: 1}])
def test_nothing_known_or_nothing_right_promises_nothing(losses: dict[float, int]) -> None:
    assert lower_bound(losses) == 0.0


def test_few_judgements_give_counts_and_no_bound() -> None:
    assert accuracy({0.0: FEWEST - 1}).at_least is None
    found = accuracy({0.0: 36, 0.5: 1, 1.0: 1})
    assert (found.judged, found.right, found.edited, found.wrong, found.loss) == (38, 36, 1, 1, 1.5)
    assert found.at_least == pytest.approx(0.833, abs=0.01)


@given(st.integers(0, 300), st.integers(0, 60), st.integers(0, 60))
def test_the_bound_lies_below_the_share_and_falls_with_every_error(
    right: int, edited: int, wrong: int
) -> None:
    losses = {0.0: right, 0.5: edited, 1.0: wrong}
    bound = lower_bound(losses)
    total = right + edited + wrong
    assert 0 <= bound <= 1
    if total:
        assert bound <= 1 - (edited * 0.5 + wrong) / total + 1e-9
    assert lower_bound({**losses, 1.0: wrong + 1}) <= bound + 1e-9


def test_it_holds_at_every_look_of_nineteen_streams_in_twenty() -> None:
    """400 agents with a true accuracy of 0.9, looked at after every tenth of 300 reviews: the promise that it is at
    least the bound is ever broken for 5 % of them at most (three standard errors on top)."""
    rng = random.Random(7)
    broken = 0
    for _ in range(400):
        wrong = 0
        for n in range(1, 301):
            wrong += rng.random() < 0.1
            if n % 10 == 0 and log_evidence({0.0: n - wrong, 1.0: wrong}, 0.1) >= 2.995732:
                broken += 1
                break
    assert broken / 400 <= 0.05 + 3 * (0.05 * 0.95 / 400) ** 0.5
