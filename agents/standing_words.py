"""What stands between an agent and its next tier, in words. Pure: whoever asks says how a day is written."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from agents.plot_frame import number, share
from agents.tier_bounds import LEVELS, log_evidence
from agents.tier_events import Thresholds
from agents.tier_judgement import Hurdle, bar
from agents.tier_state import State

Day = Callable[[datetime], str]

HURDLES = {
    "evidence": "Evidence",
    "critical_gate": "Critical errors",
    "detector": "Detector quiet",
    "second_reviews": "Second reviews agree",
    "cool_down": "Cool-down",
    "exposure": "Time span of the reviews",
    "reviewers": "Different reviewers",
    "completion": "Audits done in time",
}


def percent(have: float | None, need: float | None) -> int:
    """The evidence bar, 0 to 100: log E ÷ log(1/α_k). 100 only when it is really there."""
    if have is None or not need or have <= 0:
        return 0
    return 100 if have >= need else min(int(100 * have / need), 99)


def next_step(state: State, target: str, hurdles: list[Hurdle], *, day: Day) -> str:
    """The first thing that is missing, and what else is; empty where nothing is."""
    missing = [_missing(state, target, hurdle, day) for hurdle in hurdles if not hurdle.met]
    if len(missing) < 3:
        return "; ".join(missing)
    return f"{missing[0]}; {missing[1]}; {len(missing) - 2} more below"


def _missing(state: State, target: str, hurdle: Hurdle, day: Day) -> str:
    limits = state.thresholds
    if hurdle.code == "evidence":
        return _evidence(state, target, hurdle)
    if hurdle.code == "cool_down":
        return f"cool-down ends {day(state.since + timedelta(days=limits.cool_down_days))}"
    if hurdle.code == "exposure":
        if state.first_at is None:
            return f"reviews have to span {limits.exposure_days:g} days"
        until = day(state.first_at + timedelta(days=limits.exposure_days))
        return f"reviews have to span {limits.exposure_days:g} days, until {until} at the earliest"
    if hurdle.code == "reviewers":
        more = round((hurdle.need or 0) - (hurdle.have or 0))
        return f"{more} more {'person has' if more == 1 else 'people have'} to review it"
    return hurdle.words.rstrip(".")


def _evidence(state: State, target: str, hurdle: Hurdle) -> str:
    """Reviews are missing, or what an approval proves: only probes tell that."""
    caught, missed = state.probes
    enough = log_evidence(state.counts, state.thresholds.q0(target)) >= bar(state, target)
    if enough and not caught + missed:
        return "waits for probes: none has been served yet"
    if enough and not missed:
        return f"waits for probes: {caught} caught so far, more are needed to know that reviewers see errors"
    return hurdle.words.rstrip(".")


def numbers(found: dict[str, Any]) -> list[tuple[str, str]]:
    """The numbers that decided a change of tier, as (what, how much)."""
    rows: list[tuple[str, str]] = []
    if counts := found.get("counts"):
        errors = sum(loss * count for loss, count in zip(LEVELS, counts, strict=True))
        rows.append(("Reviews", f"{sum(counts):,}, {number(errors)} of them errors"))
    elif found.get("reviews") is not None:
        rows.append(("Reviews", f"{found['reviews']:,}"))
    if found.get("critical"):
        rows.append(("Critical errors", f"{found['critical']:,}"))
    if found.get("evidence") is not None:
        rows.append(("Evidence", f"log E = {found['evidence']:.2f}, asked for were {found['bar']:.2f}"))
        rows.append(("For an accuracy above", f"{share(1 - found['q0'], 2)}, α = {share(found['alpha'], 2)}"))
    if attempts := found.get("attempts"):
        rows.append(("Attempts", f"on the loop {attempts[0]}, out of the loop {attempts[1]}"))
    if probes := found.get("probes"):
        rows.append(("Probes", f"{probes[0]:,} caught, {probes[1]:,} passed"))
    if seconds := found.get("seconds"):
        rows.append(("Second reviews", f"{seconds[0]:,} agreed, {seconds[1]:,} differed"))
    if found.get("level") is not None:
        rows.append(
            (
                "Detector",
                f"M = {found['level']:,.1f}, quiet at {found['quiet']:,.1f}, alarm at {found['alarm']:,.0f}",
            )
        )
        rows.append(("Error rate it was held to", share(found["reference"], 2)))
    return rows


# ── Thresholds ────────────────────────────────────────────────────────────────────────────────────────────────────────

LOWER_IS_WEAKER = frozenset(
    {
        *("on_p0", "out_p0", "cool_down_days", "exposure_days", "reviewers", "completion", "maturity_hours"),
        *("audit_on", "audit_out", "early_on", "early_out", "early_audits"),
        *("probe_in", "probe_audit", "second"),
    }
)
"""All others are weaker when they are higher: α, the tolerated rate of critical errors, the alarms."""


def weaker(new: Thresholds, than: Thresholds) -> list[str]:
    """Names of the thresholds that ask for less."""
    found = []
    for name, value in new.as_json().items():
        other = getattr(than, name)
        if value < other if name in LOWER_IS_WEAKER else value > other:
            found.append(name)
    return found


def weakened(new: Thresholds, before: Thresholds, defaults: Thresholds) -> list[str]:
    """What is weaker than the default and weaker than it was: that takes an admin. What one has allowed may stay."""
    below = set(weaker(new, before))
    return [name for name in weaker(new, defaults) if name in below]


def from_costs(review: float, error: float) -> float:
    """q0 = review cost ÷ error cost: one more review must not cost more than the errors it prevents (TIERS.md)."""
    return review / error
