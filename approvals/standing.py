"""What owners see of earned autonomy: where each mandate stands, what it lacks, and the pictures that show it.

For owners, managers, admins and auditors alone (`agents.permissions.can_see`): whoever judges an agent must not know
how close it is to its next tier. A page costs a bounded number of queries and rows, whatever the evidence behind it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from accounts.exceptions import Conflict, NotFound
from agents import plots, standing_words, standings, stops, tier_model
from agents.autonomy import Tier
from agents.models import (
    Agent,
    AgentState,
    Mandate,
    Promotion,
    SecondSignature,
    Standing,
    Stop,
    TierChange,
)
from agents.plot_frame import Plot, number, share
from agents.plot_path import lost, retrace
from agents.tier_judgement import Hurdle
from agents.tier_model import State
from approvals import threshold_words
from approvals.services import promote

LATEST = 1500
"""So many of the last events of a period are read for the plots; of more, the last two thirds are drawn."""
CHANGES = 30
VERSIONS = 50


@dataclass(frozen=True, slots=True)
class Outlook:
    """Where one mandate stands. `kind` sorts the next step: stopped, ready, watch (escalated), blocked, waits, top."""

    mandate: Mandate
    version: str
    standing: Standing | None
    state: State
    target: str | None
    hurdles: list[Hurdle]
    kind: str
    step: str
    promotion: Promotion | None = None
    stop: Stop | None = None
    obstacle: str = ""
    waiting: int = 0

    @property
    def evidence(self) -> Hurdle | None:
        return next((hurdle for hurdle in self.hurdles if hurdle.code == "evidence"), None)

    @property
    def percent(self) -> int:
        found = self.evidence
        return standing_words.percent(found.have, found.need) if found else 0

    @property
    def attempt(self) -> int:
        """Which attempt at the next tier runs; 0 where there is none."""
        return self.state.attempts[tier_model.TARGETS.index(self.target)] if self.target else 0

    @property
    def target_label(self) -> str:
        return Tier(self.target).label.lower() if self.target else ""

    @property
    def reviews(self) -> int:
        return self.state.reviews

    @property
    def errors(self) -> str:
        return number(lost(self.state))

    @property
    def audited(self) -> str:
        """The share of actions that nobody reviews beforehand and that is drawn for an audit."""
        return share(tier_model.audit_rate(self.state), 1)

    @property
    def is_advisory(self) -> bool:
        return self.mandate.tier == Tier.ADVISORY


def outlooks(agent: Agent, mandates: Iterable[Mandate]) -> dict[int, Outlook]:
    """Every mandate's outlook by its id; five queries, however many there are."""
    mandates = list(mandates)
    label = standings.evidence_label(agent, agent.version)
    rows = {
        (row.action_type_id, row.risk): row
        for row in Standing.objects.filter(agent=agent, agent_version=label)
    }
    unanswered = {
        one.mandate_id: one
        for one in Promotion.objects.filter(mandate__agent=agent, state=Promotion.State.OPEN)
    }
    pulled = list(stops.live())
    waiting = standings.waiting(rows.values(), timezone.now())
    found = {}
    for mandate in mandates:
        mandate.agent = agent
        row = rows.get((mandate.action_type_id, mandate.action_type.risk))
        found[mandate.pk] = outlook(
            mandate,
            standing=row,
            version=label,
            promotion=unanswered.get(mandate.pk),
            stop=stops.first_over(pulled, agent_id=agent.pk, action_type_id=mandate.action_type_id),
            waiting=waiting.get(row.pk, 0) if row else 0,
        )
    return found


def outlook(
    mandate: Mandate,
    *,
    standing: Standing | None,
    version: str,
    promotion: Promotion | None = None,
    stop: Stop | None = None,
    waiting: int = 0,
) -> Outlook:
    """One mandate's; `mandate.agent` and `mandate.action_type` are loaded."""
    now = timezone.now()
    state = state_of(mandate, standing)
    target = promote.target_of(state.tier)
    found = (
        tier_model.hurdles(
            state, target, now=now, can_be_critical=promote.can_be_critical(mandate.action_type)
        )
        if target
        else []
    )
    blocked = promote.obstacle(mandate, target) if target else ""
    kind, step = _next(mandate, state, target, found, promotion, stop, blocked, now)
    return Outlook(
        mandate, version, standing, state, target, found, kind, step, promotion, stop, blocked, waiting
    )


def state_of(mandate: Mandate, standing: Standing | None) -> State:
    """What is known; the beginning of a key of which nothing is."""
    if standing is not None and standing.state:
        return State.from_json(standing.state)
    limits = standings.thresholds_of(mandate, mandate.action_type)
    return tier_model.start(tier=standings.model_tier(mandate.tier), thresholds=limits, at=mandate.created_at)


def _next(
    mandate: Mandate,
    state: State,
    target: str | None,
    hurdles: list[Hurdle],
    promotion: Promotion | None,
    stop: Stop | None,
    blocked: str,
    now: datetime,
) -> tuple[str, str]:
    """The next step in words, the most pressing first."""
    if stop is not None:
        return "stopped", stops.words(stop)
    if mandate.agent.state != AgentState.LIVE:
        return "stopped", f"the agent is {mandate.agent.get_state_display().lower()}: nothing of it starts"
    if not mandate.active:
        return "stopped", "not in force: everything is denied"
    if state.tier in tier_model.TARGETS and tier_model.is_escalated(state):
        return "watch", "escalated: every action is audited, and what cannot be undone is held"
    if promotion is not None:
        return "ready", f"{Tier(promotion.after).label.lower()} is earned: confirm it"
    if target is None:
        return "top", f"the highest tier; {share(tier_model.audit_rate(state), 1)} of its actions are audited"
    if blocked:
        return "blocked", blocked.rstrip(".")
    if mandate.tier == Tier.ADVISORY:
        return "blocked", "advisory: it is measured and never granted; set it in the loop to let it earn more"
    words = standing_words.next_step(state, target, hurdles, day=lambda moment: day(moment, now))
    if not words:
        return "ready", f"{Tier(target).label.lower()} is earned: it is proposed within a minute"
    return "waits", words


def day(moment: datetime, now: datetime) -> str:
    """`today at 17:20`, `on Tuesday`, `on 3 December`: on the reader's clock."""
    local, today = timezone.localtime(moment), timezone.localtime(now)
    away = (local.date() - today.date()).days
    if away == 0:
        return f"today at {local:%H:%M}"
    if away == 1:
        return f"tomorrow at {local:%H:%M}"
    if 0 < away < 7:
        return f"on {local:%A}"
    year = f" {local.year}" if local.year != today.year else ""
    return f"on {local.day} {local:%B}{year}"


def expected_by_chance(found: Iterable[Outlook]) -> str:
    """α·K: so many promotions of agents that do not deserve one are to be expected (TIERS.md, Not promised)."""
    total = sum(one.state.thresholds.alpha for one in found if one.target)
    return f"{total:.2f}".rstrip("0").rstrip(".") or "0"


# ── The page of one mandate ───────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class VersionLine:
    """One version of which there is evidence about this mandate."""

    label: str
    is_current: bool
    reviews: int
    errors: str
    tier: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Change:
    """One entry of the tier's history: a change, or a promotion that was not carried out."""

    at: datetime
    before: str
    after: str
    by: str
    reason: str
    state: str
    version: str
    numbers: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class HurdleLine:
    name: str
    met: bool
    words: str


@dataclass(frozen=True, slots=True)
class MandatePage:
    """Everything the page shows of one mandate and version."""

    outlook: Outlook
    plots: list[Plot]
    staircase_words: str
    versions: list[VersionLine]
    is_current: bool
    waiting: int
    history: list[Change]
    asked: SecondSignature | None
    second_level: float
    second_limit: float
    hurdles: list[HurdleLine]
    levels: list[tuple[str, int]]
    asked_for: str
    alpha: str
    reference: str
    alarm: str
    thresholds: list[tuple[str, str]]


_LEVELS = ("Right", "Cosmetic fault (0.1)", "Minor fault (0.25)", "Substantial fault (0.5)", "Wrong (1)")


def current(mandate: Mandate) -> Outlook:
    """The outlook of the version that is in force."""
    agent, kind = mandate.agent, mandate.action_type
    label = standings.evidence_label(agent, agent.version)
    row = Standing.objects.filter(agent=agent, action_type=kind, agent_version=label, risk=kind.risk).first()
    return outlook(
        mandate, standing=row, version=label, promotion=_open_promotion(mandate), stop=_stop_over(mandate)
    )


def page(mandate: Mandate, *, version: str = "") -> MandatePage:
    """The page for the current version, or for an earlier one whose record stays visible."""
    agent, kind = mandate.agent, mandate.action_type
    label = standings.evidence_label(agent, agent.version)
    rows = list(Standing.objects.filter(agent=agent, action_type=kind).order_by("-id")[:VERSIONS])
    shown = version if any(row.agent_version == version for row in rows) else label
    of_shown = [row for row in rows if row.agent_version == shown]
    standing = next((row for row in of_shown if row.risk == kind.risk), of_shown[0] if of_shown else None)
    is_current = shown == label
    found = outlook(
        mandate,
        standing=standing,
        version=shown,
        promotion=_open_promotion(mandate) if is_current else None,
        stop=_stop_over(mandate),
    )
    state = found.state
    events, whole = standings.latest(standing, state.since, LATEST) if standing else ([], True)
    path = retrace(state, events, whole=whole)
    return MandatePage(
        outlook=found,
        plots=[
            plots.staircase(path, found.target),
            plots.accuracy(path, found.target),
            plots.detector(path),
            plots.catch_rate(state),
        ],
        staircase_words=plots.staircase_words(state, found.target),
        versions=_versions(rows, mandate, label),
        is_current=is_current,
        waiting=sum(standings.waiting([standing], timezone.now()).values()) if standing else 0,
        history=_history(mandate),
        asked=_asked(mandate),
        second_level=tier_model.second_level(state),
        second_limit=tier_model.alarm_at(state),
        hurdles=[
            HurdleLine(standing_words.HURDLES.get(one.code, one.code), one.met, one.words)
            for one in found.hurdles
        ],
        levels=list(zip(_LEVELS, state.counts, strict=True)),
        asked_for=share(1 - (state.thresholds.q0(found.target) if found.target else state.q0), 2),
        alpha=share(state.thresholds.alpha, 2),
        reference=share(state.reference, 2),
        alarm=f"{tier_model.alarm_at(state):,.0f}",
        thresholds=threshold_words.in_words(state.thresholds),
    )


def _stop_over(mandate: Mandate) -> Stop | None:
    return stops.first_over(stops.live(), agent_id=mandate.agent_id, action_type_id=mandate.action_type_id)


def _open_promotion(mandate: Mandate) -> Promotion | None:
    return Promotion.objects.filter(mandate=mandate, state=Promotion.State.OPEN).first()


def _asked(mandate: Mandate) -> SecondSignature | None:
    return (
        SecondSignature.objects.filter(
            mandate=mandate, kind=SecondSignature.Kind.EARNING, signed_at=None, declined_at=None
        )
        .select_related("asked_by")
        .order_by("-id")
        .first()
    )


def _versions(rows: list[Standing], mandate: Mandate, current: str) -> list[VersionLine]:
    """One line per version, latest first; the current one stands even where nothing is known of it."""
    lines: dict[str, VersionLine] = {}
    for row in rows:
        if row.agent_version in lines or not row.state:
            continue
        state = State.from_json(row.state)
        lines[row.agent_version] = VersionLine(
            row.agent_version,
            row.agent_version == current,
            state.reviews,
            number(lost(state)),
            state.tier,
            state.since,
        )
    if current not in lines:
        state = state_of(mandate, None)
        lines = {current: VersionLine(current, True, 0, "0", state.tier, state.since), **lines}
    return list(lines.values())


def _history(mandate: Mandate) -> list[Change]:
    """Changes of the tier with what decided them, and promotions that were declined or lapsed; latest first."""
    changes = (
        TierChange.objects.filter(mandate=mandate).select_related("changed_by").order_by("-id")[:CHANGES]
    )
    unused = (
        Promotion.objects.filter(
            mandate=mandate, state__in=[Promotion.State.DECLINED, Promotion.State.WITHDRAWN]
        )
        .select_related("decided_by")
        .order_by("-id")[:CHANGES]
    )
    found = [
        Change(
            change.changed_at,
            change.before,
            change.after,
            str(change.changed_by) if change.changed_by else _CAUSES.get(change.cause, "the system"),
            change.reason,
            "",
            change.agent_version,
            standing_words.numbers(change.numbers),
        )
        for change in changes
    ]
    found += [
        Change(
            one.decided_at or one.proposed_at,
            one.before,
            one.after,
            str(one.decided_by) if one.decided_by else _CAUSES["evidence"],
            one.reason,
            one.state,
            one.agent_version,
            standing_words.numbers(one.numbers),
        )
        for one in unused
    ]
    return sorted(found, key=lambda change: change.at, reverse=True)[:CHANGES]


_CAUSES = {"evidence": "the evidence", "version": "a new version", "equivalence": "two signatures"}


def promotion(promotion_id: int) -> Promotion:
    """Raises `NotFound`."""
    found = (
        Promotion.objects.select_related("mandate__agent", "mandate__action_type")
        .filter(pk=promotion_id)
        .first()
    )
    if found is None:
        raise NotFound("There is no such promotion.")
    return found


def check_open(found: Promotion) -> None:
    """Raises `Conflict`; after it is known that the asker may know."""
    if found.state != Promotion.State.OPEN:
        raise Conflict(f"It was answered already: {found.get_state_display().lower()}.")
