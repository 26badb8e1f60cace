"""What the tier model is told and by which thresholds it judges. Pure.

An event belongs to one key (agent version, action type, risk class). It counts at `at`; events are folded in the order
(`at`, `id`), each once: sorting and leaving out what was recorded twice is the caller's duty. `period` is the attempt
the judged action was made in. An event of an earlier period can only speak against the agent, never for it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from math import isfinite
from typing import Any

from agents.tier_bounds import ESCALATION, FLOOR_SHARE, quiet_level

ON = "on_the_loop"
OUT = "out_of_the_loop"
TARGETS = (ON, OUT)
HIGH_RISKS = frozenset({"high", "critical"})
ALPHA_OF_HIGH_RISK = 0.01
MOST_REVIEWERS = 5
"""So many different reviewers are remembered at most: nobody can ask for more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """One mandate's thresholds; the defaults are those of TIERS.md. Rates and shares are between 0 and 1, `alarm_*`
    are audits to a false demotion, `critical_q0` is the tolerated rate of critical errors."""

    on_p0: float = 0.95
    out_p0: float = 0.99
    alpha: float = 0.05
    cool_down_days: float = 7
    exposure_days: float = 7
    reviewers: int = 2
    completion: float = 0.95
    maturity_hours: float = 24
    audit_on: float = 0.20
    audit_out: float = 0.05
    early_on: float = 0.50
    early_out: float = 0.20
    early_audits: int = 200
    probe_in: float = 0.05
    probe_audit: float = 0.03
    second: float = 0.10
    critical_q0: float = 0.001
    alarm_on: float = 2000.0
    alarm_out: float = 5000.0

    def q0(self, target: str) -> float:
        """The tolerated error rate of a tier; everything below on the loop is judged by that of on the loop."""
        return round(1 - (self.out_p0 if target == OUT else self.on_p0), 12)

    @classmethod
    def of(cls, overrides: Mapping[str, object], *, risk: str) -> "Thresholds":
        """The defaults for this risk with `overrides`; ValueError names the field at fault and what would do."""
        values: dict[str, Any] = {"alpha": ALPHA_OF_HIGH_RISK} if risk in HIGH_RISKS else {}
        for name, value in overrides.items():
            values[name] = _checked(name, value)
        made = cls(**values)
        _check_together(made)
        return made

    def as_json(self) -> dict[str, float]:
        return asdict(self)


_RANGES: dict[str, tuple[float, float]] = {
    "on_p0": (0.6, 0.9999),
    "out_p0": (0.6, 0.9999),
    "alpha": (0.0001, 0.2),
    "cool_down_days": (0, 365),
    "exposure_days": (0, 365),
    "reviewers": (1, MOST_REVIEWERS),
    "completion": (0.5, 1),
    "maturity_hours": (0, 2160),
    "audit_on": (0.01, 1),
    "audit_out": (0.01, 1),
    "early_on": (0.01, 1),
    "early_out": (0.01, 1),
    "early_audits": (0, 100_000),
    "probe_in": (0, 0.5),
    "probe_audit": (0, 0.5),
    "second": (0, 1),
    "critical_q0": (0.00001, 0.1),
    "alarm_on": (100, 100_000),
    "alarm_out": (100, 100_000),
}
_WHOLE = frozenset({"reviewers", "early_audits"})


def _checked(name: str, value: object) -> float:
    if name not in _RANGES:
        raise ValueError(f"{name}: there is no such threshold; there are {', '.join(_RANGES)}")
    low, high = _RANGES[name]
    remedy = f"give a {'whole ' if name in _WHOLE else ''}number from {low:g} to {high:g}"
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not isfinite(value):
        raise ValueError(f"{name}: {value!r} is not a number; {remedy}")
    if not low <= value <= high:
        raise ValueError(f"{name}: {value:g} is out of range; {remedy}")
    if name not in _WHOLE:
        return float(value)
    if value != int(value):
        raise ValueError(f"{name}: {value:g} is not a whole number; {remedy}")
    return int(value)


def _check_together(made: Thresholds) -> None:
    """Thresholds that are possible each by itself and absurd together."""
    if made.out_p0 < made.on_p0:
        raise ValueError(f"out_p0: more autonomy needs no less accuracy; give at least on_p0, {made.on_p0:g}")
    for often, early in (("audit_on", "early_on"), ("audit_out", "early_out")):
        if getattr(made, early) < getattr(made, often):
            raise ValueError(f"{early}: first audits are no rarer than later; give at least {often}")
    for target, alarm in ((ON, "alarm_on"), (OUT, "alarm_out")):
        least = ESCALATION * quiet_level(made.q0(target) * FLOOR_SHARE)
        if getattr(made, alarm) < least:
            raise ValueError(
                f"{alarm}: an agent without an error would be demoted by it; give at least {least:.0f}, "
                "or a lower p0"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Event:
    id: int
    at: datetime
    period: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Review(_Event):
    """One judged action: before it (T1), or after it where `audit` says so. `loss` is one of LEVELS. `missed`: an
    audit whose deadline passed, which counts as a full loss (the caller gives loss 1)."""

    loss: float
    critical: bool
    reviewer: int | None
    audit: bool = False
    missed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction(_Event):
    """Another loss for a review than the one that stood. `before` None: it had not counted yet (its maturity delay
    was running), so that this is the review itself; the caller then leaves out the review it replaces."""

    before: float | None
    after: float
    critical: bool
    was_critical: bool
    reviewer: int | None = None
    audit: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident(_Event):
    """A loss found on what nobody had sampled. Its selection depends on its outcome: may demote, never promote."""

    loss: float
    critical: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe(_Event):
    """What a reviewer did with a planted proposal. Counts in its own period only: banked ones are unsafe."""

    caught: bool
    reviewer: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Second(_Event):
    """A blind second review of an approval."""

    agreed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn(_Event):
    """A tier change, an owner's reset or new thresholds. `fresh` begins the new `period`: nothing that counted before
    counts any longer. Otherwise only tier, attempts and thresholds change."""

    tier: str
    attempts: tuple[int, int]
    fresh: bool
    thresholds: Thresholds


Event = Review | Correction | Incident | Probe | Second | Turn

assert set(_RANGES) == {field.name for field in fields(Thresholds)}
