"""The ladder of tiers."""

import itertools

import pytest

from agents import autonomy
from agents.autonomy import Tier


def test_the_ladder_has_every_tier_once_in_order() -> None:
    assert [str(tier) for tier in autonomy.LADDER] == [
        "advisory",
        "in_the_loop",
        "on_the_loop",
        "out_of_the_loop",
    ]
    assert [autonomy.rank(tier) for tier in autonomy.LADDER] == [0, 1, 2, 3]


@pytest.mark.parametrize(("one", "other"), list(itertools.product(Tier, Tier)))
def test_lower_is_the_less_autonomous(one: Tier, other: Tier) -> None:
    assert autonomy.rank(autonomy.lower(one, other)) == min(autonomy.rank(one), autonomy.rank(other))


def test_an_unknown_tier_is_no_tier() -> None:
    with pytest.raises(ValueError, match="root"):
        autonomy.lower("root", Tier.ADVISORY)
