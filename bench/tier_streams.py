"""Agents, reviewers and exact sums for `bench/tier_model.py`. All of it goes through the public functions of
`agents.tier_model`; nothing in here knows how they decide."""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from math import exp, log, sqrt
from random import Random

from agents import tier_model as model

BEGAN = datetime(2026, 1, 5, tzinfo=UTC)
IN, ON, OUT = "in_the_loop", "on_the_loop", "out_of_the_loop"
ABOVE = {IN: ON, ON: OUT}

NO_WAITING = model.Thresholds(cool_down_days=0, exposure_days=0, reviewers=1)
"""The statistics alone: time and people hold nobody up."""

RIGHT = model.Review(id=1, at=BEGAN, period=0, loss=0.0, critical=False, reviewer=1)
WRONG = replace(RIGHT, loss=1.0)


def kl(p: float, q: float) -> float:
    """Kullback-Leibler divergence of two coins: how fast p can be told from q."""
    return sum(a * log(a / b) for a, b in ((p, q), (1 - p, 1 - q)) if a > 0)


def alpha_at(attempt: int, alpha: float = 0.05) -> float:
    return exp(-model.needed(alpha, attempt))


def mean_and_error(values: list[int] | list[float]) -> tuple[float, float]:
    """Mean and its standard error."""
    mean = sum(values) / len(values)
    spread = sum((value - mean) ** 2 for value in values) / max(len(values) - 1, 1)
    return mean, sqrt(spread / len(values))


# ── Exact ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def crossings(q0: float, alpha: float, q: float, horizon: int) -> Iterator[tuple[int, float]]:
    """(n, probability that an agent with error rate q is promoted at review n), exactly, from "reviews needed with f
    errors": whoever has f errors at that many reviews is promoted, everybody with fewer was before. Paths of less than
    10^-13 are let go, so the sum is too small rather than too large."""
    reviews = errors = 0
    alive = [1.0]
    while alive:
        boundary = model.reviews_needed(errors, q0, alpha, most=horizon)
        if boundary is None:
            return
        step = _binomial(boundary - reviews, q)
        after = [0.0] * (len(alive) + len(step) - 1)
        for had, share in enumerate(alive):
            for more, chance in enumerate(step):
                after[had + more] += share * chance
        yield boundary, after[0]
        alive = after[1:]
        while alive and alive[-1] < 1e-13:
            alive.pop()
        reviews, errors = boundary, errors + 1


def _binomial(tries: int, chance: float) -> list[float]:
    found, term = [], (1 - chance) ** tries
    for hits in range(tries + 1):
        found.append(term)
        if hits > tries * chance and term < 1e-17:
            break
        term *= (tries - hits) / (hits + 1) * chance / (1 - chance)
    return found


# ── By chance ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def promoted_after(rng: Random, q: float, q0: float, alpha: float, reviews: int) -> int | None:
    """At which review an agent is promoted, looking after each: from error to error, since only a flawless review
    promotes and the number of reviews needed changes with errors alone. None: not within so many."""
    at = errors = 0
    while True:
        gap = 1 + int(log(1 - rng.random()) / log(1 - q))
        boundary = model.reviews_needed(errors, q0, alpha)
        if boundary is not None and boundary < at + gap:
            return boundary if boundary <= reviews else None
        at, errors = at + gap, errors + 1
        if at >= reviews:
            return None


def begin(tier: str, *, reference: float | None = None) -> model.State:
    """A key whose time and people hurdles are none; `reference` as if an earlier period had left it."""
    state = model.start(tier=tier, thresholds=NO_WAITING, at=BEGAN)
    return state if reference is None else replace(state, reference=reference)


def audits_to_alarm(rng: Random, state: model.State, q: float | None) -> int:
    """Reviews until the alarm at error rate q; None: at whatever rate the reference stands."""
    reviews = 0
    while not model.is_alarmed(state):
        rate = state.reference if q is None else q
        state = model.step(state, WRONG if rng.random() < rate else RIGHT)
        reviews += 1
    return reviews


def actions_to_alarm(rng: Random, state: model.State, q: float, rate: float | None) -> tuple[int, int]:
    """(actions, audits) until the alarm, each audited at `rate`; None: as the model says, all while escalated."""
    actions = audits = 0
    chance = model.audit_rate(state) if rate is None else rate
    while not model.is_alarmed(state):
        actions += 1
        wrong = rng.random() < q
        if rng.random() < chance:
            audits += 1
            state = model.step(state, WRONG if wrong else RIGHT)
            chance = model.audit_rate(state) if rate is None else rate
    return actions, audits


# ── A whole life ──────────────────────────────────────────────────────────────────────────────────────────────────────

Errs = Callable[["Life"], float]


@dataclass
class Life:
    """One key from its first action on: what a desk does with it, by the model's public answers alone.

    `errs` gives the error rate of the next action, `catch` how likely a reviewer sees an error or a probe. In T1 all is
    reviewed beforehand, and what is approved counts when it has matured; later the coin decides, and what runs
    unreviewed runs. While escalated, everything is audited, and held until then if `irreversible`. Every promotion is
    taken at once, at the first look it is offered."""

    rng: Random
    errs: Errs
    catch: float = 0.9
    thresholds: model.Thresholds = field(default_factory=model.Thresholds)
    per_day: float = 50
    irreversible: bool = False
    actions: int = 0
    reviewed: int = 0
    executed_wrong: int = 0
    turns: list[tuple[int, str]] = field(default_factory=list)
    state: model.State = field(init=False)
    rate: float = field(init=False, default=0.0)
    _last_id: int = 0
    _waiting: deque[model.Review] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self.state = model.start(tier=IN, thresholds=self.thresholds, at=BEGAN)

    @property
    def now(self) -> datetime:
        return BEGAN + timedelta(days=self.actions / self.per_day)

    @property
    def tier(self) -> str:
        return self.state.tier

    @property
    def demotions(self) -> int:
        return sum(tier == IN for _, tier in self.turns)

    def reached(self, tier: str) -> int | None:
        """After how many actions it first stood in a tier."""
        return next((at for at, turned in self.turns if turned == tier), None)

    def run(self, actions: int, *, until: Callable[["Life"], bool] = lambda life: False) -> "Life":
        for _ in range(actions):
            if until(self):
                break
            self.act()
        return self

    def act(self) -> None:
        self.actions += 1
        while self._waiting and self._waiting[0].at <= self.now:
            self.state = model.step(self.state, self._waiting.popleft())
            self._judge()
        wrong = self.rng.random() < self.errs(self)
        if self.state.tier == IN:
            self._review(wrong, audit=False)
        elif self.rate >= 1 or self.rng.random() < self.rate:
            held = self.irreversible and model.is_escalated(self.state)
            seen = self._review(wrong, audit=True)
            self.executed_wrong += wrong and not (held and seen)
        else:
            self.executed_wrong += wrong

    def _review(self, wrong: bool, *, audit: bool) -> bool:
        """Whether the error was seen."""
        seen = wrong and self.rng.random() < self.catch
        self.reviewed += 1
        limits, reviewer, period = self.thresholds, 1 + self.actions % 2, self.state.period
        loss = float(seen)
        counts_at = model.counts_at(self.state, loss=loss, critical=False, audit=audit, judged_at=self.now)
        judged = model.Review(
            id=self._id(), at=counts_at, period=period, loss=loss, critical=False, reviewer=reviewer,
            audit=audit,
        )  # fmt: skip
        events: list[model.Event] = []
        if counts_at > self.now:
            self._waiting.append(judged)
        else:
            events.append(judged)
        if self.rng.random() < (limits.probe_audit if audit else limits.probe_in):
            caught = self.rng.random() < self.catch
            events.append(
                model.Probe(id=self._id(), at=self.now, period=period, caught=caught, reviewer=reviewer)
            )
        if not seen and self.rng.random() < limits.second:
            agreed = not (wrong and self.rng.random() < self.catch)
            events.append(model.Second(id=self._id(), at=self.now, period=period, agreed=agreed))
        self.state = model.fold(self.state, events)
        self._judge()
        return seen

    def _judge(self) -> None:
        state = self.state
        target = ABOVE.get(state.tier)
        if state.tier != IN and model.is_alarmed(state):
            self.turn(IN)
        elif target and model.may_promote(state, target, now=self.now, can_be_critical=False):
            self.turn(target)
        self.rate = model.audit_rate(self.state)

    def turn(self, tier: str) -> None:
        """A promotion, a demotion, or (to the tier it is in) an owner's reset."""
        attempts = model.attempts_after(self.state, tier)
        self.state = model.step(
            self.state,
            model.Turn(
                id=self._id(), at=self.now, period=self.state.period + 1, tier=tier, attempts=attempts,
                fresh=True, thresholds=self.thresholds,
            ),
        )  # fmt: skip
        self.turns.append((self.actions, tier))

    def _id(self) -> int:
        self._last_id += 1
        return self._last_id
