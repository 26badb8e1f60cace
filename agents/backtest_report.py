"""A backtest of a file: every key run with several seeds, summed up as mean and range. Pure.

The seeds say which audits and probes happen; what the file holds is the same in each. One key's runs depend on the
seed and the key alone, so a report is the same whenever it is made and whatever else is in the file."""

from collections import Counter
from collections.abc import Generator, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from decimal import Decimal
from random import Random
from typing import Any

from agents.backtest import IN, NEXT, ON, OUT, TIERS, Action, Course, Rules, Stage, lacking, run
from agents.backtest_lines import Key, Reading
from agents.plot_path import Path
from agents.plots import staircase
from agents.tier_model import Thresholds

MOST_SEEDS = 50
MOST_DRAWN = 40
CRITICAL_RISKS = frozenset({"critical"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """`overrides` of thresholds (agents.tier_model.Thresholds); `no_times`: cool-down, exposure and maturity are 0."""

    overrides: Mapping[str, float] = field(default_factory=dict)
    ceiling: str = OUT
    catch_rate: float = 1.0
    seed: int = 1
    seeds: int = 5
    no_times: bool = False

    def __post_init__(self) -> None:
        if self.ceiling not in TIERS:
            raise ValueError(f"ceiling: give one of {', '.join(TIERS)}")
        if not 0 <= self.catch_rate <= 1:
            raise ValueError("catch rate: give the share of errors that reviewers catch, from 0 to 1")
        if not 1 <= self.seeds <= MOST_SEEDS:
            raise ValueError(f"seeds: give a number from 1 to {MOST_SEEDS}")
        for risk in ("low", "critical"):
            Thresholds.of(self.overrides, risk=risk)

    def as_json(self) -> dict[str, Any]:
        return {
            "overrides": dict(self.overrides),
            "ceiling": self.ceiling,
            "catch_rate": self.catch_rate,
            "seed": self.seed,
            "seeds": self.seeds,
            "no_times": self.no_times,
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Options":
        return cls(**stored)


@dataclass(frozen=True, slots=True)
class Spread:
    """A figure over all seeds."""

    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> "Spread":
        found = list(values)
        return cls(sum(found) / len(found), min(found), max(found))

    def as_json(self) -> dict[str, float]:
        return {"mean": round(self.mean, 3), "low": self.low, "high": self.high}


@dataclass(frozen=True, slots=True)
class Reached:
    """In how many of the seeds a tier was reached, and when first: after which line, at what time (None without)."""

    seeds: int
    line: Spread | None
    first_at: datetime | None
    last_at: datetime | None


@dataclass(frozen=True, slots=True)
class Line:
    """What one key came to. `course` is that of the first seed, which stands for how it goes."""

    key: Key
    actions: int
    wrong: int
    unjudged: int
    course: Course
    tiers: dict[str, int]
    reached: dict[str, Reached]
    reviews: Spread
    audits: Spread
    probes: Spread
    unreviewed: Spread
    ran_wrong: Spread
    slipped: Spread
    demotions: Spread
    money: dict[str, tuple[Decimal, Decimal]]
    rules: Rules

    @property
    def lacking(self) -> list[str]:
        """What the next tier still lacked at the end."""
        return lacking(self.course, self.rules)

    @property
    def share_wrong(self) -> float:
        judged = self.actions - self.unjudged
        return self.wrong / judged if judged else 0.0


@dataclass(frozen=True, slots=True)
class Report:
    options: Options
    lines: list[Line]
    notes: list[str]


def backtest(reading: Reading, options: Options) -> Generator[int, None, Report]:
    """Run everything and yield how many actions are done over all seeds; the report is the return value."""
    rules_of = {key: _rules(key, reading, options) for key in reading.keys}
    lines: list[Line] = []
    done = 0
    for key, actions in reading.keys.items():
        courses: list[Course] = []
        for seed in range(options.seed, options.seed + options.seeds):
            draw = Random("|".join((str(seed), *key)))  # noqa: S311 - a simulation, repeatable by its seed
            going = run(actions, rules_of[key], draw)
            while True:
                try:
                    yield done + next(going)
                except StopIteration as ended:
                    courses.append(_lightened(ended.value, keep=seed == options.seed))
                    break
            done += len(actions)
        lines.append(_line(key, actions, courses, rules_of[key], has_times=reading.has_times))
    lines.sort(key=lambda line: (-TIERS.index(line.course.tier), -line.actions, line.key))
    return Report(options, lines, notes(reading, options))


def _lightened(course: Course, *, keep: bool) -> Course:
    """Only the first seed's stages are drawn."""
    if not keep:
        course.stages = []
    return course


def _rules(key: Key, reading: Reading, options: Options) -> Rules:
    overrides: dict[str, object] = dict(options.overrides)
    if options.no_times or not reading.has_times:
        overrides |= {"cool_down_days": 0, "exposure_days": 0, "maturity_hours": 0}
    if not reading.has_reviewers:
        overrides["reviewers"] = 1
    return Rules(
        thresholds=Thresholds.of(overrides, risk=key.risk),
        ceiling=options.ceiling,
        can_be_critical=key.risk in CRITICAL_RISKS,
        catch_rate=options.catch_rate,
        anonymous=not reading.has_reviewers,
    )


def _line(key: Key, actions: list[Action], courses: list[Course], rules: Rules, *, has_times: bool) -> Line:
    currencies = sorted({currency for course in courses for currency in course.money})
    return Line(
        key=key,
        actions=len(actions),
        wrong=sum(action.is_wrong for action in actions),
        unjudged=sum(action.loss is None for action in actions),
        course=courses[0],
        tiers=dict(Counter(course.tier for course in courses)),
        reached={tier: _reached(tier, courses, has_times=has_times) for tier in (ON, OUT)},
        reviews=Spread.of(course.reviews for course in courses),
        audits=Spread.of(course.audits for course in courses),
        probes=Spread.of(course.probes for course in courses),
        unreviewed=Spread.of(course.unreviewed for course in courses),
        ran_wrong=Spread.of(course.wrong for course in courses),
        slipped=Spread.of(course.slipped for course in courses),
        demotions=Spread.of(course.demotions for course in courses),
        money={currency: _money(currency, courses) for currency in currencies},
        rules=rules,
    )


def _money(currency: str, courses: list[Course]) -> tuple[Decimal, Decimal]:
    """(what ran unreviewed, what of it was wrong), the means over all seeds."""
    found = [course.money[currency] for course in courses if currency in course.money]
    total = sum((one.total for one in found), Decimal(0)) / len(courses)
    wrong = sum((one.wrong for one in found), Decimal(0)) / len(courses)
    return total.quantize(Decimal("0.01")), wrong.quantize(Decimal("0.01"))


def _reached(tier: str, courses: list[Course], *, has_times: bool) -> Reached:
    found = [change for course in courses if (change := course.first(tier)) is not None]
    if not found:
        return Reached(0, None, None, None)
    times = [change.at for change in found] if has_times else []
    return Reached(
        len(found),
        Spread.of(change.number for change in found),
        min(times, default=None),
        max(times, default=None),
    )


def notes(reading: Reading, options: Options) -> list[str]:
    """What was assumed and left out, in sentences: a figure without them would promise too much."""
    found = [
        "Reviewers catch every error; probes are served as in operation and always caught."
        if options.catch_rate == 1
        else f"Reviewers catch {options.catch_rate:.0%} of errors and as many of the probes.",
        "Owners confirm at once, nobody vetoes within a window, every audit is done in time.",
        f"Audits and probes are drawn; figures are means over {options.seeds} "
        f"{'draw' if options.seeds == 1 else 'draws'}, beginning with seed {options.seed}.",
    ]
    if not reading.has_times:
        found.append("The file has no times: cool-down, exposure and maturity count for nothing.")
    elif options.no_times:
        found.append("Cool-down, exposure and maturity count for nothing, as asked.")
    if not reading.has_reviewers:
        found.append("The file does not say who judged: two different reviewers are not asked for.")
    if reading.moved:
        found.append(f"{reading.moved:,} lines stood out of the order of time and were put into it.")
    if reading.left_out:
        found.append(f"{reading.left_out:,} lines were left out because their judgement is contested.")
    if reading.unjudged:
        found.append(
            f"{reading.unjudged:,} lines have no judgement: they are no evidence. The others must have been picked "
            "by chance, or nothing here holds."
        )
    if any(key.risk == "critical" for key in reading.keys):
        found.append(
            "Critical actions leave T1 only if owner and admin both sign; here they are taken to have."
        )
    return found


# ── For machines and pages ────────────────────────────────────────────────────────────────────────────────────────────


def as_json(report: Report) -> dict[str, Any]:
    """Plain JSON; times in ISO 8601, amounts as texts. The staircases are those of the first MOST_DRAWN keys."""
    return {
        "options": report.options.as_json(),
        "notes": report.notes,
        "keys": [_line_json(line, place) for place, line in enumerate(report.lines, 1)],
    }


def _line_json(line: Line, place: int) -> dict[str, Any]:
    course = line.course
    return {
        **line.key._asdict(),
        "actions": line.actions,
        "wrong": line.wrong,
        "share_wrong": round(line.share_wrong, 4),
        "unjudged": line.unjudged,
        "tier": course.tier,
        "tiers": line.tiers,
        "reached": {tier: _reached_json(found) for tier, found in line.reached.items()},
        "reviews": line.reviews.as_json(),
        "audits": line.audits.as_json(),
        "probes": line.probes.as_json(),
        "unreviewed": line.unreviewed.as_json(),
        "ran_wrong": line.ran_wrong.as_json(),
        "slipped": line.slipped.as_json(),
        "demotions": line.demotions.as_json(),
        "money": {
            currency: {"unreviewed": str(total), "wrong": str(wrong)}
            for currency, (total, wrong) in line.money.items()
        },
        "changes": [
            {
                "at": change.at.isoformat(),
                "line": change.number,
                "before": change.before,
                "after": change.after,
                "cause": change.cause,
                "words": change.words,
            }
            for change in course.changes[:50]
        ],
        "more_changes": max(0, len(course.changes) - 50),
        "lacking": line.lacking,
        "stages": [
            _drawn(stage, f"{place}-{number}")
            for number, stage in enumerate(course.stages if place <= MOST_DRAWN else [], 1)
        ],
    }


def _reached_json(found: Reached) -> dict[str, Any]:
    return {
        "seeds": found.seeds,
        "line": found.line.as_json() if found.line else None,
        "first_at": found.first_at.isoformat() if found.first_at else None,
        "last_at": found.last_at.isoformat() if found.last_at else None,
    }


def _drawn(stage: Stage, name: str) -> dict[str, Any]:
    """The staircase of a stage, as geometry with its words and numbers: pages draw it, nobody needs the states."""
    state = stage.states[-1]
    plot = asdict(staircase(Path(tuple(stage.states)), NEXT.get(state.tier)))
    attempt = state.attempts[0 if state.tier == IN else 1]
    return {**plot, "tier": state.tier, "attempt": attempt, "code": f"{plot['code']}-{name}"}
