"""Recorded evidence under other thresholds: which tier, when, and what would have run unreviewed. Pure.

The whole model runs again over what was recorded (agents.backtest), with the probes and second reviews that were served
then. An audit was drawn with a recorded probability p; where the model now asks for a rate r < p, a recorded audit is
kept with the chance r/p, so that the sample is the one that rate would have drawn. The model itself stays unweighted
(TIERS.md, Sampling); weights stand in the estimate of wrong actions alone. Where it asks for r > p, what the missing
audits would have shown cannot be known, and that is said with its number instead of being guessed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from random import Random

from agents.backtest import IN, ON, OUT, Action, Beside, Change, Course, Rules, course

MOST_RUNS = 40_000
"""So many actions are run at most for one answer, over all draws: a page has to come in a second or two."""
MOST_DRAWS = 5
TIER_WORDS = {IN: "in the loop", ON: "on the loop", OUT: "out of the loop"}


@dataclass(frozen=True, slots=True)
class Replay:
    """What the recorded behaviour comes to under some rules. `course` is the first draw; figures are means."""

    course: Course
    draws: int
    reviews: float
    audits: float
    unreviewed: float
    wrong: float
    estimated: float
    unknown: float
    demotions: float
    reached: dict[str, int]

    @property
    def tier(self) -> str:
        return self.course.tier

    def first(self, tier: str) -> Change | None:
        return self.course.first(tier)


def draws(actions: int) -> int:
    """How many draws are made for so many actions."""
    return max(1, min(MOST_DRAWS, MOST_RUNS // max(actions, 1)))


def replay(actions: Sequence[Action], beside: Sequence[Beside], rules: Rules, *, times: int) -> Replay:
    """Run the record `times` times; the draws, which thin audits, are the same for the same record."""
    found = [course(actions, rules, Random(seed), beside=beside) for seed in range(1, times + 1)]  # noqa: S311

    def mean(values: Sequence[float]) -> float:
        return sum(values) / len(values)

    return Replay(
        course=found[0],
        draws=times,
        reviews=mean([one.reviews for one in found]),
        audits=mean([one.audits for one in found]),
        unreviewed=mean([one.unreviewed for one in found]),
        wrong=mean([one.wrong for one in found]),
        estimated=mean([one.estimated for one in found]),
        unknown=mean([one.unknown for one in found]),
        demotions=mean([one.demotions for one in found]),
        reached={tier: sum(one.first(tier) is not None for one in found) for tier in (ON, OUT)},
    )


# ── In words ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def sentences(now: Replay, then: Replay) -> list[str]:
    """What is different, with figures: `now` by the thresholds in force, `then` by the other ones."""
    found = [_reached(tier, now, then) for tier in (ON, OUT) if now.first(tier) or then.first(tier)]
    if not found:
        found.append("Neither by the thresholds in force nor by these would it have left the loop.")
    found.append(
        f"{number(then.unreviewed)} of {then.course.actions:,} actions would have run unreviewed, "
        f"{number(now.unreviewed)} by the thresholds in force. {_wrong(then)}"
    )
    asked = then.reviews + then.audits
    found.append(
        f"It would have taken {number(asked)} {_plural(asked, 'review', 'reviews')} and audits together, "
        f"{number(now.reviews + now.audits)} by the thresholds in force."
    )
    if then.demotions or now.demotions:
        found.append(
            f"The tier would have been taken back {number(then.demotions)} times, {number(now.demotions)} by the "
            "thresholds in force."
        )
    if then.unknown:
        found.append(
            f"{number(then.unknown)} actions would have had to be reviewed that nobody reviewed then: what that would "
            "have shown cannot be known, so tiers and dates are those without it."
        )
    if then.draws > 1 and then.audits:
        found.append(
            f"Which of the recorded audits a lower rate would have drawn is chance: figures are means of {then.draws} "
            "draws, dates those of the first."
        )
    return found


def _reached(tier: str, now: Replay, then: Replay) -> str:
    words = TIER_WORDS[tier]
    before, after = now.first(tier), then.first(tier)
    if after is None:
        assert before is not None
        return f"It would not have got {words}; by the thresholds in force it got there on {day(before.at)}."
    share = "" if then.reached[tier] == then.draws else f" (in {then.reached[tier]} of {then.draws} draws)"
    text = f"It would have got {words} on {day(after.at)}, after {after.reviews:,} reviews{share}"
    if before is None:
        return f"{text}; by the thresholds in force it did not."
    if before.at == after.at:
        return f"{text}, the same as by the thresholds in force."
    return f"{text}; by the thresholds in force on {day(before.at)}, after {before.reviews:,}."


def _wrong(then: Replay) -> str:
    if not then.unreviewed:
        return ""
    text = f"{number(then.wrong)} of these {_plural(then.wrong, 'is', 'are')} known to have been wrong"
    if then.course.unjudged:
        return f"{text}; weighed by the chance with which each was looked at, about {number(then.estimated)} were."
    return f"{text}, and every one of them was judged."


def _plural(count: float, one: str, many: str) -> str:
    return one if count == 1 else many


def number(value: float) -> str:
    """A count, or the mean of counts."""
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.1f}"


def day(at: datetime) -> str:
    return f"{at.day} {at:%B %Y}"
