"""What a check of the tier model found: figures beside their bounds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf, sqrt


@dataclass(frozen=True)
class Figure:
    """One figure and its bound. `known` says why a bound of TIERS.md is not met here; up to `known_to` the figure then
    counts as missed, beyond it as a fault all the same."""

    what: str
    value: float
    low: float | None = None
    high: float | None = None
    known: str = ""
    known_to: float = inf

    @property
    def holds(self) -> bool:
        return (self.low is None or self.value >= self.low) and (self.high is None or self.value <= self.high)

    @property
    def judged(self) -> bool:
        return self.low is not None or self.high is not None

    @property
    def bound(self) -> str:
        if self.low is not None and self.high is not None:
            return f"{plain(self.low)} … {plain(self.high)}" if self.low != self.high else plain(self.low)
        if self.low is not None:
            return f"≥ {plain(self.low)}"
        return f"≤ {plain(self.high)}" if self.high is not None else ""

    @property
    def verdict(self) -> str:
        if not self.judged:
            return "–"
        return "PASS" if self.holds else ("MISSED" if self.known and self.value <= self.known_to else "FAIL")


def plain(value: float) -> str:
    """Four digits that count, whole numbers as they are."""
    return f"{value:,.0f}" if value == int(value) or abs(value) >= 1000 else f"{value:.4g}"


Part = Callable[[float, int], list[Figure]]
"""One piece of a check that a process computes by itself: (share of the full size, seed) → figures."""


@dataclass(frozen=True)
class Check:
    """One of the eleven points of TIERS.md; `misses` is what it would not notice."""

    number: int
    title: str
    misses: str
    parts: Sequence[Part]


def size(full: int, share: float, least: int = 10) -> int:
    return max(least, round(full * share))


def chance_bound(chance: float, tries: int) -> float:
    """A share that so many tries exceed by chance about once in a thousand: three standard errors above."""
    return chance + 3 * sqrt(chance * (1 - chance) / tries)
