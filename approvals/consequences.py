"""What a change of a mandate would do, reckoned before it is done: the same model, the same counts, nothing written."""

import hashlib
import json
from dataclasses import dataclass, field
from datetime import timedelta

from django.utils import timezone

from agents import standings, tier_model
from agents.autonomy import LADDER, Tier, rank
from agents.models import Mandate, Promotion
from agents.plot_frame import number, share
from agents.plot_path import lost
from agents.standing_words import weakened
from agents.tier_model import State, Thresholds, Turn
from approvals import threshold_words
from approvals.models import Proposal
from approvals.services import promote
from approvals.standing import Outlook
from approvals.states import State as ProposalState

WEEK = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Row:
    """One thing as it is now and as it would be."""

    what: str
    now: str
    then: str

    @property
    def changes(self) -> bool:
        return self.now != self.then


@dataclass(slots=True)
class Preview:
    """What would happen, in sentences and side by side. `warnings` are what somebody may not have meant."""

    says: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)


def token(mandate: Mandate, values: dict[str, object]) -> str:
    """Names what was previewed: of which mandate as it stood, with which values. Whoever confirms something else, or
    confirms it of a mandate that has changed meanwhile, is shown what that would do first."""
    stood = [
        mandate.pk,
        mandate.tier,
        mandate.ceiling,
        mandate.automatic,
        mandate.may_earn,
        mandate.thresholds,
        mandate.agent.version,
    ]
    return hashlib.sha256(json.dumps([stood, values], sort_keys=True, default=str).encode()).hexdigest()[:24]


# ── One for each action ───────────────────────────────────────────────────────────────────────────────────────────────


def of_lowering(found: Outlook, tier: str) -> Preview:
    mandate, state = found.mandate, found.state
    after = _turned(state, tier) if standings.model_tier(tier) != state.tier else state
    preview = Preview(says=[_tier_words(mandate, tier)])
    taken, scheduled = _taken_back(mandate, tier)
    if taken:
        preview.says.append(f"{_count(taken, 'approved action')} not yet begun cannot begin any more.")
    if scheduled:
        preview.says.append(
            f"{_count(scheduled, 'scheduled action')} will be rejected when the veto window ends."
        )
    if not taken and not scheduled:
        preview.says.append("Nothing that is approved or scheduled now is taken back.")
    if after is not state:
        preview.says.append(_anew(state))
    if found.promotion:
        preview.says.append("The promotion that waits for an answer lapses.")
    preview.rows = [Row("Tier", _label(mandate.tier), _label(tier)), *_rows(mandate, state, after, tier)]
    return preview


def of_promotion(found: Outlook, promotion: Promotion) -> Preview:
    mandate, state = found.mandate, found.state
    after = _turned(state, promotion.after)
    preview = Preview(says=[_tier_words(mandate, promotion.after)])
    limits = state.thresholds
    early = limits.early_on if promotion.after == Tier.ON_THE_LOOP else limits.early_out
    later = limits.audit_on if promotion.after == Tier.ON_THE_LOOP else limits.audit_out
    preview.says.append(
        f"{share(early, 1)} of its actions are drawn for a blind audit until {limits.early_audits:,} were audited, "
        f"{share(later, 1)} from then on; all of them as soon as the detector stirs."
    )
    preview.says.append(
        "Its tier is taken back at once, without asking, when the detector reaches "
        f"{tier_model.alarm_at(after):,.0f} or an error is critical."
    )
    preview.says.append("Evidence for the next tier begins anew.")
    if found.obstacle:
        preview.warnings.append(f"It would be refused now: {found.obstacle}")
    preview.rows = [
        Row("Tier", _label(mandate.tier), _label(promotion.after)),
        *_rows(mandate, state, after, promotion.after),
    ]
    return preview


def of_declining(found: Outlook) -> Preview:
    return Preview(
        says=[
            "The tier stays as it is, and the evidence goes on counting.",
            "It is proposed again as long as the evidence suffices, and the cool-down has passed once more.",
        ]
    )


def of_ceiling(found: Outlook, ceiling: str) -> Preview:
    mandate = found.mandate
    raises = rank(ceiling) > rank(mandate.ceiling)
    preview = Preview(rows=[Row("Ceiling", _label(mandate.ceiling), _label(ceiling))])
    preview.says.append(
        f"Nothing changes at once: evidence may raise it up to {_label(ceiling)}, and no hand can."
        if raises
        else f"It can earn no more than {_label(ceiling)}."
    )
    if found.promotion and rank(found.promotion.after) > rank(ceiling):
        preview.says.append("The promotion that waits for an answer lapses.")
    if raises and promote.needs_two(mandate.action_type) and not mandate.may_earn:
        preview.warnings.append(
            "The action cannot be undone or is critical: it stays in the loop until owner and admin both have signed."
        )
    if rank(ceiling) < rank(mandate.tier):
        preview.warnings.append(
            f"It works {_label(mandate.tier)} now: lower its tier first, or this is refused."
        )
    return preview


def of_automatic(found: Outlook, automatic: bool) -> Preview:
    preview = Preview(
        rows=[
            Row(
                "A tier that was earned",
                _AUTOMATIC[found.mandate.automatic],
                _AUTOMATIC[automatic],
            )
        ]
    )
    if automatic:
        preview.says.append(
            f"Whatever the evidence earns, up to {_label(found.mandate.ceiling)}, is carried out at once, and you "
            "hear of it afterwards."
        )
        if found.promotion:
            preview.warnings.append(
                f"The promotion to {_label(found.promotion.after)} that waits now still waits for your answer."
            )
    else:
        preview.says.append("Every promotion waits until you confirm it. Demotions ask nobody, as before.")
    return preview


_AUTOMATIC = {True: "is carried out at once", False: "waits for the owner"}


def of_reset(found: Outlook) -> Preview:
    state = found.state
    after = _turned(state, state.tier)
    preview = Preview(says=[_anew(state)])
    if found.promotion:
        preview.warnings.append("The promotion that waits for an answer lapses: what it earned is given up.")
    if state.tier in tier_model.TARGETS:
        preview.says.append("It keeps its tier, and is audited like one that has just begun in it.")
    preview.rows = _rows(found.mandate, state, after, found.mandate.tier)
    return preview


def of_thresholds(found: Outlook, limits: Thresholds) -> Preview:
    mandate, state = found.mandate, found.state
    defaults = threshold_words.defaults_of(mandate)
    loosens = tier_model.loosens(state.thresholds, limits)
    after = _turned(state, state.tier, limits, fresh=loosens)
    preview = Preview()
    if loosens:
        preview.warnings.append(
            "It asks for less than before, so a new attempt begins: a bar that is lowered after seeing the "
            f"evidence proves nothing. {_anew(state)}"
        )
    else:
        preview.says.append("What was reviewed so far goes on counting.")
    if below := weakened(limits, state.thresholds, defaults):
        names = ", ".join(threshold_words.name_of(name).lower() for name in below)
        preview.warnings.append(f"Weaker than the default, which takes an admin: {names}.")
    if state.tier in tier_model.TARGETS and tier_model.level(after) >= tier_model.alarm_at(after):
        preview.warnings.append(
            "The detector stands above the new alarm: the next judgement takes the tier back."
        )
    if (
        found.promotion
        and found.target
        and tier_model.evidence(after, found.target) < tier_model.bar(after, found.target)
    ):
        preview.warnings.append(
            "The promotion that waits for an answer is no longer earned by these, and lapses."
        )
    before = state.thresholds.as_json()
    preview.rows = [
        Row(
            threshold_words.name_of(name),
            threshold_words.value_of(name, before[name]),
            threshold_words.value_of(name, value),
        )
        for name, value in limits.as_json().items()
        if value != before[name]
    ]
    preview.rows += _rows(mandate, state, after, mandate.tier)
    return preview


def of_earning(found: Outlook) -> Preview:
    return Preview(
        says=[
            "Nothing changes until an admin, who is somebody else, has signed too.",
            f"From then on evidence may raise its tier up to its ceiling, {_label(found.mandate.ceiling)}, though the "
            "action cannot be undone or is critical.",
        ]
    )


def of_withdrawing(found: Outlook) -> Preview:
    preview = Preview(says=["It stays in the loop, whatever the evidence says, until two people sign again."])
    if rank(found.mandate.tier) > rank(Tier.IN_THE_LOOP):
        preview.warnings.append(
            f"It works {_label(found.mandate.tier)} now: lower its tier first, or this is refused."
        )
    return preview


# ── What they share ───────────────────────────────────────────────────────────────────────────────────────────────────


def lower_tiers(mandate: Mandate) -> list[Tier]:
    """Where a hand may put it: anything below, highest first."""
    return [tier for tier in reversed(LADDER) if rank(tier) < rank(mandate.tier)]


def _turned(state: State, tier: str, limits: Thresholds | None = None, *, fresh: bool = True) -> State:
    """The state after such a turn."""
    to = standings.model_tier(tier)
    return tier_model.step(
        state,
        Turn(
            id=state.last_id,
            at=timezone.now(),
            period=state.period + fresh,
            tier=to,
            attempts=tier_model.attempts_after(state, to) if fresh else state.attempts,
            fresh=fresh,
            thresholds=limits or state.thresholds,
        ),
    )


def _rows(mandate: Mandate, before: State, after: State, tier: str) -> list[Row]:
    """What is to be reviewed for the next tier, and how much is audited: now and then."""
    rows = [Row("More reviews without an error to the next tier", _to_go(before), _to_go(after))]
    now, then = tier_model.audit_rate(before), tier_model.audit_rate(after)
    rows.append(Row("Audited afterwards", share(now, 1), share(then, 1)))
    week = Proposal.objects.filter(
        agent=mandate.agent,
        action_type=mandate.action_type,
        planted=False,
        created_at__gt=timezone.now() - WEEK,
    ).count()
    if week:
        rows.append(
            Row(
                f"Of the last 7 days’ {week:,} proposals, people would look at about",
                _looked_at(week, mandate.tier, now),
                _looked_at(week, tier, then),
            )
        )
    return rows


def _looked_at(week: int, tier: str, rate: float) -> str:
    """An expectation: what rules and limits send to people beside it is left out."""
    everything = tier in (Tier.ADVISORY, Tier.IN_THE_LOOP)
    return f"{week:,}" if everything else f"{week * rate:,.0f}"


def _to_go(state: State) -> str:
    target = promote.target_of(state.tier)
    if target is None:
        return "there is none"
    more = tier_model.reviews_to_go(state, target)
    return "out of reach" if more is None else f"{more:,} ({_label(target)})"


def _taken_back(mandate: Mandate, tier: str) -> tuple[int, int]:
    """(approved and not begun, scheduled) that a lower tier ends: redemption and the end of a window ask for it."""
    own = Proposal.objects.filter(agent=mandate.agent, action_type=mandate.action_type, planted=False)
    above = [one.value for one in LADDER if rank(one) > rank(tier)]
    approved = own.filter(state=ProposalState.APPROVED, tier__in=above).count()
    falls = rank(tier) <= rank(Tier.IN_THE_LOOP)
    scheduled = own.filter(state=ProposalState.SCHEDULED).count() if falls else 0
    return approved, scheduled


def _tier_words(mandate: Mandate, tier: str) -> str:
    if tier == Tier.ADVISORY:
        return "People act; its proposals are measured against what they did and never granted."
    if tier == Tier.IN_THE_LOOP:
        return "Every action waits for a person."
    if tier == Tier.ON_THE_LOOP:
        if not mandate.veto_seconds:
            return "Its actions run at once, where no rule or limit sends them to a person; there is no veto window."
        return (
            f"Its actions run after a veto window of {mandate.veto_seconds:,} seconds, unless somebody objects or a "
            "rule or limit sends them to a person."
        )
    return "Its actions run at once, where no rule or limit sends them to a person."


def _anew(state: State) -> str:
    if not state.reviews:
        return "No review has counted yet, so none is lost."
    errors = lost(state)
    return (
        f"The {_count(state.reviews, 'review')} of this attempt, with {number(errors)} "
        f"{'error' if errors == 1 else 'errors'}, no longer count; they stay visible."
    )


def _label(tier: str) -> str:
    return Tier(tier).label.lower()


def _count(value: int, word: str) -> str:
    return f"{value:,} {word}" if value == 1 else f"{value:,} {word}s"
