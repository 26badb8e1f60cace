"""Thresholds in words and numbers people type, and the arithmetic that suggests one. Pure but for a mandate's risk."""

from dataclasses import dataclass
from typing import Any

from agents import tier_model
from agents.models import Mandate
from agents.plot_frame import share
from agents.tier_model import Thresholds

LEAST_P0, MOST_P0 = 0.6, 0.9999

_NAMES: dict[str, tuple[str, str]] = {
    "on_p0": ("Accuracy asked for on the loop", "share"),
    "out_p0": ("Accuracy asked for out of the loop", "share"),
    "alpha": ("Probability of a wrong promotion, at most", "share"),
    "critical_q0": ("Tolerated rate of critical errors", "share"),
    "cool_down_days": ("Cool-down", "days"),
    "exposure_days": ("Time the reviews have to span", "days"),
    "reviewers": ("Different reviewers", "people"),
    "completion": ("Audits done in time", "share"),
    "maturity_hours": ("Small faults count after", "hours"),
    "audit_on": ("Audited on the loop", "share"),
    "audit_out": ("Audited out of the loop", "share"),
    "early_on": ("First audits on the loop", "share"),
    "early_out": ("First audits out of the loop", "share"),
    "early_audits": ("So many audits are the first", "audits"),
    "probe_in": ("Probes among proposals", "share"),
    "probe_audit": ("Probes among audits", "share"),
    "second": ("Second reviews of approvals", "share"),
    "alarm_on": ("Audits to a false demotion, on the loop", "audits"),
    "alarm_out": ("Audits to a false demotion, out of the loop", "audits"),
}


def name_of(name: str) -> str:
    return _NAMES[name][0]


def value_of(name: str, value: Any) -> str:
    unit = _NAMES[name][1]
    return share(value, 3) if unit == "share" else f"{value:,g} {unit}"


def in_words(limits: Thresholds) -> list[tuple[str, str]]:
    return [(_NAMES[name][0], value_of(name, value)) for name, value in limits.as_json().items()]


def defaults_of(mandate: Mandate) -> Thresholds:
    return Thresholds.of({}, risk=mandate.action_type.risk)


@dataclass(frozen=True, slots=True)
class Costs:
    """The arithmetic of q0 = review cost ÷ error cost, and the accuracies (in percent) that go into the form."""

    q0: str
    one_in: str
    on_p0: str
    out_p0: str
    needed: int | None
    bounded: bool


def costs(q0: float, now: Thresholds) -> Costs:
    """What a tolerated error rate means: how many reviews an agent without an error needs, at the first attempt.

    An accuracy beyond what can be asked for is brought back to the limit, and said to be."""
    asked = min(max(1 - q0, LEAST_P0), MOST_P0)
    percent = f"{asked * 100:.2f}".rstrip("0").rstrip(".")
    return Costs(
        q0=share(q0, 3),
        one_in=f"{1 / q0:,.0f}" if q0 < 1 else "1",
        on_p0=percent,
        out_p0=f"{max(asked, now.out_p0) * 100:.2f}".rstrip("0").rstrip("."),
        needed=tier_model.reviews_needed(0, 1 - asked, now.alpha / 2),
        bounded=abs(asked - (1 - q0)) > 1e-9,
    )
