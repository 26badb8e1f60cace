"""The one write door for evidence, in the transaction of the judgement. What it costs the agent is done at once: a tier
that the model takes back is taken back before the transaction ends (TIERS.md, Demotion).

The caller holds the mandate's row lock (lock order: agent, mandate, proposal, standing). One update reads and writes a
handful of rows by index, whatever the number of rows behind them."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import rfc8785

from accounts.models import User
from agents import pointers, standings, tier_model
from agents.autonomy import Tier
from agents.models import Evidence, TierChange
from agents.turning import Desk, Subject, opened, settle

Basis = Evidence.Basis

LOSS_APPROVED = Decimal("0")
LOSS_EDITED = Decimal("0.5")
LOSS_WRONG = Decimal("1")
"""Loss levels of TIERS.md: approve 0, an edit of a field that is not material 0.5, a material edit or a reject 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What was judged. `probability` is the chance with which it came to be judged, fixed beforehand; `audit` that it
    ran before it was judged, by a draw; `missed` that nobody judged it in time."""

    basis: Evidence.Basis
    verdict: str
    loss: Decimal
    critical: bool = False
    probability: float = 1.0
    audit: bool = False


@dataclass(frozen=True, slots=True)
class Recorded:
    """The row that was written, None where it was known before, and the change of tier that it caused."""

    evidence: Evidence | None
    change: TierChange | None = None


def record(subject: Subject, judgement: Judgement, *, judged_by: User | None) -> Recorded:
    """The first judgement of a proposal. A second one of the same kind is left out.

    What a rule or a limit sent to a person while the tier would have let it run is kept and does not count: it was not
    picked by chance. A veto of what no draw had picked may speak against the agent, never for it."""
    desk = opened(subject)
    reviewed_before = standings.model_tier(subject.tier) == Tier.IN_THE_LOOP
    detail: dict[str, Any] = {}
    if judgement.audit:
        detail["audit"] = True
    if judgement.basis == Basis.VETO and not judgement.audit:
        detail["unsampled"] = True
    return _add(
        desk,
        basis=judgement.basis,
        verdict=judgement.verdict,
        loss=judgement.loss,
        critical=judgement.critical,
        probability=judgement.probability,
        counts=not (reviewed_before and desk.state.tier != Tier.IN_THE_LOOP),
        key=f"{judgement.basis}:{subject.proposal_id}:{subject.revision}",
        judged_by=judged_by,
        detail=detail,
    )


def first_of(proposal_id: UUID) -> Evidence | None:
    """The judgement of a proposal that corrections would correct."""
    return (
        Evidence.judgements()
        .select_related("agent", "action_type")
        .filter(proposal_id=proposal_id)
        .order_by("id")
        .last()
    )


def loss_of(first: Evidence) -> tuple[Decimal, bool]:
    """(loss, critical) that stands for a judgement by now, its corrections included."""
    latest = first.corrections.order_by("id").last() or first
    return latest.loss, latest.critical


def correct(
    first: Evidence,
    *,
    basis: Evidence.Basis,
    verdict: str,
    loss: Decimal,
    critical: bool,
    key: str,
    judged_by: User | None,
    detail: dict[str, Any] | None = None,
) -> Recorded:
    """Another loss for an earlier judgement: found later, settled, or no longer in dispute."""
    desk = opened(
        Subject(
            agent=first.agent,
            agent_version=first.agent_version,
            action_type=first.action_type,
            tier=first.tier,
            proposal_id=first.proposal_id,
            revision=first.revision,
        )
    )
    chain = [first, *first.corrections.order_by("id")]
    if (chain[-1].loss, chain[-1].critical) == (loss, critical):
        return Recorded(None)
    counted = [one for one in chain if one.counts_at is not None and one.counts_at < desk.at]
    before = counted[-1] if counted else None
    return _add(
        desk,
        basis=basis,
        verdict=verdict,
        loss=loss,
        critical=critical,
        counts=first.counts,
        key=key,
        judged_by=judged_by,
        period=first.period,
        corrects=first,
        loss_before=before.loss if before else None,
        critical_before=before.critical if before else False,
        waits_until=None if before else chain[-1].counts_at,
        detail={**({"audit": True} if first.detail.get("audit") else {}), **(detail or {})},
    )


def incident(
    subject: Subject,
    *,
    basis: Evidence.Basis,
    verdict: str,
    loss: Decimal,
    critical: bool,
    key: str,
    judged_by: User | None,
    counts: bool = True,
    detail: dict[str, Any] | None = None,
) -> Recorded:
    """A loss found on what no draw had picked: it may demote, never promote."""
    return _add(
        opened(subject),
        basis=basis,
        verdict=verdict,
        loss=loss,
        critical=critical,
        key=key,
        judged_by=judged_by,
        counts=counts,
        detail={"unsampled": True, **(detail or {})},
    )


def second(subject: Subject, *, agreed: bool, key: str, judged_by: User | None) -> Recorded:
    """Whether a blind second reviewer would have approved what was approved."""
    return _add(
        opened(subject),
        basis=Basis.SECOND,
        verdict="agreed" if agreed else "differed",
        loss=LOSS_APPROVED,
        key=key,
        judged_by=judged_by,
    )


def probe(
    subject: Subject, *, caught: bool, served_at: datetime, key: str, judged_by: User | None
) -> Recorded:
    """What a reviewer did with a planted proposal. One served in an earlier attempt counts for nothing (TIERS.md)."""
    desk = opened(subject)
    return _add(
        desk,
        basis=Basis.PROBE,
        verdict="caught" if caught else "passed",
        loss=LOSS_APPROVED,
        key=key,
        judged_by=judged_by,
        period=desk.state.period - 1 if desk.state.period and served_at < desk.state.since else desk.period,
    )


def withdraw(key: str) -> bool:
    """Take a probe's result out of the count after an upheld appeal: its reviewer was right.

    The state is folded anew without it. Returns whether there was such a row and it counted."""
    found = Evidence.objects.select_related("agent", "action_type").filter(key=key, counts=True).first()
    if found is None:
        return False
    desk = opened(
        Subject(
            agent=found.agent,
            agent_version=found.agent_version,
            action_type=found.action_type,
            tier=found.tier,
        )
    )
    Evidence.objects.filter(pk=found.pk).update(counts=False)
    desk.row.folded_until = desk.at
    standings.save(desk.row, standings.rebuilt(desk.row), desk.at)
    return True


def _add(
    desk: Desk,
    *,
    basis: Evidence.Basis,
    verdict: str,
    loss: Decimal,
    key: str,
    judged_by: User | None,
    critical: bool = False,
    probability: float = 1.0,
    counts: bool = True,
    period: int | None = None,
    corrects: Evidence | None = None,
    loss_before: Decimal | None = None,
    critical_before: bool = False,
    waits_until: datetime | None = None,
    detail: dict[str, Any] | None = None,
) -> Recorded:
    """Append one row, let it count now or when it has matured, and take the tier back if the model says so."""
    if Evidence.objects.filter(key=key).exists():
        return Recorded(None)
    subject = desk.subject
    counts_at = desk.at
    if counts and not critical and float(loss) <= desk.state.q0:
        counts_at = _matures(desk, basis, corrects, waits_until, audit=bool(detail and detail.get("audit")))
    row = Evidence.objects.create(
        standing=desk.row,
        agent=subject.agent,
        agent_version=subject.agent_version,
        action_type=subject.action_type,
        risk=subject.action_type.risk,
        tier=subject.tier,
        basis=basis,
        verdict=verdict,
        loss=loss,
        critical=critical,
        probability=probability,
        counts=counts,
        counts_at=counts_at,
        period=desk.period if period is None else period,
        corrects=corrects,
        loss_before=loss_before,
        critical_before=critical_before,
        proposal_id=subject.proposal_id,
        revision=subject.revision,
        judged_by=judged_by,
        judged_at=desk.at,
        key=key,
        detail=detail or {},
    )
    if counts and counts_at <= desk.at:
        desk.state = tier_model.step(desk.state, standings.event(row))
    waits = counts_at if counts and counts_at > desk.at else None
    return Recorded(row, settle(desk, next_at=waits))


def _matures(
    desk: Desk,
    basis: Evidence.Basis,
    corrects: Evidence | None,
    waits_until: datetime | None,
    *,
    audit: bool,
) -> datetime:
    """When a small loss counts: a first judgement before the fact after the maturity delay, in which a failure may
    still turn up, an audit at once (`tier_model.counts_at` says why)."""
    if corrects is not None:
        return max(waits_until or desk.at, desk.at)
    if basis in (Basis.DECISION, Basis.VETO, Basis.AUDIT):
        return tier_model.counts_at(desk.state, loss=0.0, critical=False, audit=audit, judged_at=desk.at)
    return desk.at


def loss_of_edit(*, before: object, after: object, material: list[str]) -> Decimal:
    """How wrong a proposal was that needed this edit."""
    touched = any(
        _identity(pointers.resolve(before, path)) != _identity(pointers.resolve(after, path))
        for path in material
    )
    return LOSS_WRONG if touched else LOSS_EDITED


def _identity(value: Any) -> bytes | None:
    """What JSON tells apart and Python does not: `true` and `1` are equal there."""
    return None if value is pointers.MISSING else rfc8785.dumps(value)
