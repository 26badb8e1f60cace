"""The eleven promises of the tier model in short, with fixed seeds; `make bench ARGS=tier_model` is the full form."""

from functools import cache
from itertools import chain

import pytest

from bench.tier_figures import Figure
from bench.tier_model import CHECKS

SHARE, SEED = 0.01, 1
PARTS = {1: (1, 3), 7: (0, 2, 4, 5, 6), 8: (0, 1, 2, 5), 9: (0, 1, 3, 4), 10: (0, 1, 2, 5, 6)}
"""Of checks that say the same of several figures, those that are quick; all parts of the others."""


@cache
def figures(number: int) -> list[Figure]:
    check = next(check for check in CHECKS if check.number == number)
    chosen = PARTS.get(number, range(len(check.parts)))
    return list(chain.from_iterable(check.parts[part](SHARE, SEED) for part in chosen))


def test_there_are_eleven_and_each_says_what_it_would_miss() -> None:
    assert [check.number for check in CHECKS] == list(range(1, 12))
    assert all(check.misses and check.parts for check in CHECKS)


@pytest.mark.parametrize("number", range(1, 12))
def test_the_model_keeps_its_promise(number: int) -> None:
    found = figures(number)
    assert found
    assert [figure for figure in found if figure.verdict == "FAIL"] == []


def test_only_bounds_below_what_whole_errors_allow_are_missed() -> None:
    """What cannot be met is known by name: at an error rate of a half or more, and nothing else of the detector."""
    missed = [figure for figure in figures(7) if figure.verdict == "MISSED"]
    assert all(
        any(jump in figure.what for jump in ("0.05, 10×", "0.05, 20×", "0.01, 50×")) for figure in missed
    )
    assert all(figure.value < 1.7 for figure in missed)
