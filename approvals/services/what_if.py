"""What the recorded evidence of a mandate would have come to under other thresholds. Reads only, bounded, few queries.

The record of the version in force is taken as it stands now: a judgement that was corrected counts as corrected, from
the moment it was first made."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils import timezone

from agents import standings, tier_model, what_if
from agents.autonomy import Tier, rank
from agents.backtest import TIERS, Action, Beside, Rules
from agents.backtest_report import CRITICAL_RISKS
from agents.models import AgentVersion, Evidence, Mandate
from agents.what_if import Replay
from approvals.models import Proposal
from approvals.models.proposals import APPROVED

MOST = 20_000
_FIRST = ("decision", "veto", "audit")
_ABOVE = (Tier.ON_THE_LOOP, Tier.OUT_OF_THE_LOOP)


@dataclass(frozen=True, slots=True)
class Asked:
    """Other thresholds than those in force, and how far the agent may rise."""

    overrides: dict[str, float]
    ceiling: str


@dataclass(frozen=True, slots=True)
class Answer:
    """Both replays with their words. `wrong` are proposals that would have run unreviewed and were judged wrong."""

    now: Replay
    then: Replay
    sentences: list[str]
    looked_at: int
    since: datetime | None
    is_cut: bool
    wrong: list[Proposal]


def ask(mandate: Mandate, asked: Asked) -> Answer | None:
    """The answer, or None where nothing was recorded. ValueError of the model for absurd thresholds."""
    kind = mandate.action_type
    in_force = standings.thresholds_of(mandate, kind)
    other = tier_model.Thresholds.of({**mandate.thresholds, **asked.overrides}, risk=kind.risk)
    actions, is_cut = _actions(mandate)
    if not actions:
        return None
    beside = _beside(mandate, actions[0].at)
    gate = kind.risk in CRITICAL_RISKS
    ceiling = mandate.ceiling if mandate.ceiling in TIERS else TIERS[0]
    times = what_if.draws(len(actions))
    now = what_if.replay(
        actions,
        beside,
        Rules(thresholds=in_force, ceiling=ceiling, can_be_critical=gate, catch_rate=None),
        times=times,
    )
    then = what_if.replay(
        actions,
        beside,
        Rules(thresholds=other, ceiling=asked.ceiling, can_be_critical=gate, catch_rate=None),
        times=times,
    )
    return Answer(
        now,
        then,
        [*what_if.sentences(now, then), *_bounds(mandate, asked)],
        len(actions),
        actions[0].at,
        is_cut,
        list(Proposal.objects.filter(pk__in=then.course.references).order_by("-id")[:10]),
    )


def _bounds(mandate: Mandate, asked: Asked) -> list[str]:
    """That the ceiling in force, and not the evidence, is what keeps the agent where it is."""
    if rank(asked.ceiling) <= rank(mandate.ceiling):
        return []
    label = Tier(mandate.ceiling).label.lower()
    return [f"The ceiling in force is {label}: as the mandate is now, no evidence leads beyond it."]


# ── The record ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _labels(mandate: Mandate) -> tuple[str, set[str]]:
    """Under which label evidence about the version in force is kept, and which versions share it."""
    agent = mandate.agent
    label = standings.evidence_label(agent, agent.version)
    same = AgentVersion.objects.filter(agent=agent, evidence_label=label).values_list("label", flat=True)
    return label, {label, agent.version, *same}


def _actions(mandate: Mandate) -> tuple[list[Action], bool]:
    """What the agent did, the latest MOST of it in the order of time, with what is known of each."""
    label, versions = _labels(mandate)
    columns = ("pk", "created_at", "tier", "state", "sample_probability", "amount", "currency")
    found = list(
        Proposal.objects.filter(
            agent=mandate.agent,
            action_type=mandate.action_type,
            agent_version__in=versions,
            planted=False,
        )
        .order_by("-created_at")
        .values(*columns)[: MOST + 1]
    )
    is_cut = len(found) > MOST
    found = found[:MOST][::-1]
    known = _judged(mandate, label, since=found[0]["created_at"]) if found else {}
    reversible = mandate.action_type.reversible_by_id is not None
    actions = []
    for number, row in enumerate(found, 1):
        action = _action(number, row, known.get(row["pk"]), reversible=reversible)
        if action is not None:
            actions.append(action)
    return actions, is_cut


@dataclass(slots=True)
class _Judged:
    """The first judgement of a proposal, with the loss that stands by now."""

    basis: str
    verdict: str
    loss: float
    critical: bool
    probability: float
    counts: bool
    judged_at: datetime
    judged_by: int | None
    unsampled: bool


def _judged(mandate: Mandate, label: str, *, since: datetime) -> dict[Any, _Judged]:
    """By proposal; corrections and incidents come after what they speak of."""
    rows = Evidence.objects.filter(
        agent=mandate.agent,
        action_type=mandate.action_type,
        agent_version=label,
        risk=mandate.action_type.risk,
        judged_at__gte=since,
        proposal_id__isnull=False,
        basis__in=[*_FIRST, "second", "outcome", "incident", "dispute"],
    ).values_list(
        *("proposal_id", "basis", "verdict", "loss", "critical", "probability", "counts", "judged_at"),
        *("judged_by_id", "corrects_id", "detail"),
    )
    found: dict[Any, _Judged] = {}
    for row in reversed(list(rows.order_by("-id")[: 2 * MOST])):
        proposal, basis, verdict, loss, critical, probability, counts, at, by, corrects, detail = row
        if corrects is not None:
            if proposal in found:
                known = found[proposal]
                known.loss, known.critical, known.verdict = float(loss), critical, verdict
            continue
        if basis == "second" or (proposal in found and basis not in _FIRST):
            continue
        unsampled = bool(detail.get("unsampled"))
        found[proposal] = _Judged(
            basis, verdict, float(loss), critical, probability, counts or unsampled, at, by, unsampled
        )
    return found


def _action(number: int, row: dict[str, Any], known: _Judged | None, *, reversible: bool) -> Action | None:
    """None for what was no action in the end: withdrawn, expired, still waiting, denied."""
    more: dict[str, Any] = {
        "at": row["created_at"],
        "number": number,
        "reversible": reversible,
        "amount": row["amount"],
        "currency": row["currency"],
        "reference": str(row["pk"]),
    }
    if known is not None:
        return Action(
            **more,
            loss=known.loss,
            critical=known.critical,
            reviewer=known.judged_by,
            judged_at=known.judged_at,
            probability=known.probability,
            unsampled=known.unsampled,
            missed=known.verdict == "missed",
            counts=known.counts,
        )
    if row["tier"] in _ABOVE and row["state"] in APPROVED:
        return Action(**more, loss=None, probability=row["sample_probability"] or 0.001)
    return None


def _beside(mandate: Mandate, since: datetime) -> list[Beside]:
    """Probes and blind second reviews that were served since then."""
    label, _ = _labels(mandate)
    rows = Evidence.objects.filter(
        agent=mandate.agent,
        action_type=mandate.action_type,
        agent_version=label,
        judged_at__gte=since,
        judged_at__lte=timezone.now(),
        basis__in=["probe", "second"],
        corrects=None,
        counts=True,
    ).order_by("-id")
    return [
        Beside(
            at=at,
            is_probe=basis == "probe",
            good=verdict in ("caught", "agreed"),
            reviewer=by,
        )
        for basis, verdict, at, by in rows.values_list("basis", "verdict", "judged_at", "judged_by_id")[:MOST]
    ]
