"""The ladder of autonomy: pure rules about tiers."""

from django.db.models import TextChoices


class Tier(TextChoices):
    ADVISORY = "advisory", "Advisory"
    IN_THE_LOOP = "in_the_loop", "In the loop"
    ON_THE_LOOP = "on_the_loop", "On the loop"
    OUT_OF_THE_LOOP = "out_of_the_loop", "Out of the loop"


LADDER = [Tier.ADVISORY, Tier.IN_THE_LOOP, Tier.ON_THE_LOOP, Tier.OUT_OF_THE_LOOP]


def rank(tier: str) -> int:
    """Position on the ladder, 0 (advisory) to 3 (out of the loop)."""
    return LADDER.index(Tier(tier))


def lower(*tiers: str) -> Tier:
    """The least autonomous of the tiers: how ceilings and caps combine."""
    return LADDER[min(rank(tier) for tier in tiers)]
