"""How an agent earns and loses autonomy: a pure fold over one key's evidence (TIERS.md). No clock, no chance, no I/O.

The guarantee. For one version, action type, risk class and transition: the probability that `may_promote` ever says yes
at a moment when the agent's mean conditional accuracy over that attempt's reviews is ≤ p0 is at most α, over all
attempts and all time, for any agent, drifting or adaptive. Conditions: which action is reviewed does not depend on how
it turned out; losses are final, or real errors are caught at least as often as probes. Demotion: while the conditional
error is ≤ the reference, the expected number of audits to a false demotion is ≥ A. Not promised: future accuracy,
collusion, the fleet as a whole. docs/tier-model.md says it in plain words.

Sources: Ville 1939; Wald 1945; Robbins 1970; Lorden 1971; Rogan & Gladen 1978; Howard et al. 2021; Waudby-Smith &
Ramdas 2024; Shin, Ramdas & Rinaldo 2024. This is the model's one door:

    agents.tier_bounds      evidence, its correction for reviewers, the detector's arithmetic
    agents.tier_events      thresholds, and what the model is told
    agents.tier_state       the fold: `start`, `step`, `State`
    agents.tier_judgement   what a state says: alarms, audit rates, what a promotion still lacks"""

from agents.tier_bounds import (
    CELLS,
    HIGHEST,
    LEVELS,
    catch_band,
    corrected_log_evidence,
    log_capital,
    log_evidence,
    needed,
    quiet_level,
    reviews_needed,
    upper_bound,
)
from agents.tier_events import (
    TARGETS,
    Correction,
    Event,
    Incident,
    Probe,
    Review,
    Second,
    Thresholds,
    Turn,
)
from agents.tier_judgement import (
    Hurdle,
    alarm_at,
    audit_rate,
    bar,
    evidence,
    hurdles,
    is_alarmed,
    is_escalated,
    is_second_alarmed,
    level,
    may_promote,
    reviews_to_go,
    second_level,
)
from agents.tier_state import State, attempts_after, counts_at, fold, loosens, start, step

__all__ = [
    "CELLS",
    "HIGHEST",
    "LEVELS",
    "TARGETS",
    "Correction",
    "Event",
    "Hurdle",
    "Incident",
    "Probe",
    "Review",
    "Second",
    "State",
    "Thresholds",
    "Turn",
    "alarm_at",
    "attempts_after",
    "audit_rate",
    "bar",
    "catch_band",
    "corrected_log_evidence",
    "counts_at",
    "evidence",
    "fold",
    "hurdles",
    "is_alarmed",
    "is_escalated",
    "is_second_alarmed",
    "level",
    "log_capital",
    "log_evidence",
    "loosens",
    "may_promote",
    "needed",
    "quiet_level",
    "reviews_needed",
    "reviews_to_go",
    "second_level",
    "start",
    "step",
    "upper_bound",
]
