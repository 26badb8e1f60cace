"""Standings: the stored fold of a key's evidence. Locks one, lets what has matured count, and rebuilds it from nothing.

A standing's row lock gives the evidence of its key one order, and every row that counts at once is later than all that
were folded before. Small losses count after their maturity delay, in the order of the moment at which they do. So the
fold over the stored rows, sorted by (`counts_at`, `id`), is the same whenever and however often it is made."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Exists, Min, OuterRef, QuerySet
from django.db.models.functions import Coalesce
from django.utils import timezone

from agents import tier_model
from agents.autonomy import Tier
from agents.models import ActionType, Agent, AgentVersion, Evidence, Mandate, Standing
from agents.tier_model import Correction, Event, Incident, Probe, Review, Second, State, Thresholds, Turn

Basis = Evidence.Basis
_TICK = timedelta(microseconds=1)


def model_tier(tier: str) -> str:
    """The tier by which the model judges: whoever is only advisory gathers the evidence of in the loop."""
    return Tier.IN_THE_LOOP if tier == Tier.ADVISORY else Tier(tier)


def thresholds_of(mandate: Mandate | None, action_type: ActionType) -> Thresholds:
    """The mandate's thresholds, or the defaults for the action type's risk."""
    return Thresholds.of(mandate.thresholds if mandate else {}, risk=action_type.risk)


def evidence_label(agent: Agent, version: str) -> str:
    """Under which label evidence about a version is kept: its own, or that of the version it continues."""
    found = AgentVersion.objects.filter(agent=agent, label=version).values_list("evidence_label", flat=True)
    return found.first() or version


def is_current(standing: Standing, agent: Agent, action_type: ActionType) -> bool:
    """Whether it is the standing by which the mandate's tier stands or falls."""
    return standing.risk == action_type.risk and standing.agent_version == evidence_label(
        agent, agent.version
    )


def of(agent: Agent, action_type: ActionType, version: str) -> Standing:
    """The standing of a key, made where there is none yet; not locked."""
    key = _key(agent, action_type, version)
    found = Standing.objects.filter(**key).first()
    if found is None:
        Standing.objects.bulk_create([Standing(**key)], ignore_conflicts=True)
        found = Standing.objects.get(**key)
    return found


def _key(agent: Agent, action_type: ActionType, version: str) -> dict[str, Any]:
    return {
        "agent": agent,
        "action_type": action_type,
        "agent_version": evidence_label(agent, version),
        "risk": action_type.risk,
    }


def locked(
    standing: Standing, mandate: Mandate | None, action_type: ActionType
) -> tuple[Standing, State, datetime]:
    """The standing under its row lock, its state with everything that has matured, and the moment it is now there.

    That moment is later than everything that was folded, whatever this host's clock says."""
    return _brought_up(_for_update().get(pk=standing.pk), mandate, action_type)


def locked_of(
    agent: Agent, action_type: ActionType, version: str, mandate: Mandate | None
) -> tuple[Standing, State, datetime]:
    """The same by its key; made where there is none yet."""
    key = _key(agent, action_type, version)
    row = _for_update().filter(**key).first()
    if row is None:
        Standing.objects.bulk_create([Standing(**key)], ignore_conflicts=True)
        row = _for_update().get(**key)
    return _brought_up(row, mandate, action_type)


def _for_update() -> QuerySet[Standing]:
    return Standing.objects.select_for_update(of=("self",), no_key=True)


def _brought_up(
    row: Standing, mandate: Mandate | None, action_type: ActionType
) -> tuple[Standing, State, datetime]:
    now = timezone.now()
    if row.folded_until is not None:
        now = max(now, row.folded_until + _TICK)
    if row.initial:
        state = State.from_json(row.state)
        if row.matures_at is not None and row.matures_at <= now:
            state = tier_model.fold(state, events(_between(row, row.folded_until, now)))
        return row, state, now
    tier = mandate.tier if mandate and is_current(row, mandate.agent, action_type) else Tier.IN_THE_LOOP
    first = Evidence.objects.filter(standing=row).aggregate(at=Min("counts_at"))["at"]
    begun = tier_model.start(
        tier=model_tier(tier), thresholds=thresholds_of(mandate, action_type), at=min(first or now, now)
    )
    row.initial = begun.as_json()
    state = tier_model.fold(begun, events(_between(row, None, now)))
    return row, state, now


def save(row: Standing, state: State, at: datetime, *, next_at: datetime | None = None) -> None:
    """Keep the state of a locked standing as it is at `at`. `next_at` is when a row just added will count."""
    waits = row.matures_at
    if waits is not None and waits <= at:
        waits = _uncounted(row, at).aggregate(at=Min("counts_at"))["at"]
    if next_at is not None:
        waits = next_at if waits is None else min(waits, next_at)
    row.state, row.folded_until, row.matures_at, row.assessed_at = state.as_json(), at, waits, None
    row.save(update_fields=["state", "initial", "folded_until", "matures_at", "assessed_at"])


def rebuilt(row: Standing) -> State:
    """The state of a standing from nothing but its stored evidence."""
    begun = State.from_json(row.initial)
    return tier_model.fold(begun, events(_between(row, None, row.folded_until)))


def as_of(row: Standing, at: datetime) -> State | None:
    """The state as it was at an earlier moment, folded anew from the evidence that counted by then; None before the
    first use. What has been corrected since counts as it then did."""
    if not row.initial or (row.folded_until is not None and row.folded_until <= at):
        return State.from_json(row.state) if row.initial and row.state else None
    return tier_model.fold(State.from_json(row.initial), events(_between(row, None, at)))


def _between(row: Standing, after: datetime | None, until: datetime | None) -> QuerySet[Evidence]:
    """The rows that count in this span, in the order in which they do."""
    found = Evidence.objects.filter(standing=row, counts=True).exclude(_overtaken())
    if after is not None:
        found = found.filter(counts_at__gt=after)
    if until is not None:
        found = found.filter(counts_at__lte=until)
    return found.order_by("counts_at", "id")


def latest(row: Standing, since: datetime, most: int) -> tuple[list[Event], bool]:
    """The last events that counted in the period that began at `since`, oldest first, and whether these are all."""
    rows = _between(row, None, row.folded_until).filter(counts_at__gte=since)
    found = [event(one) for one in rows.order_by("-counts_at", "-id")[: most + 1]]
    return found[:most][::-1], len(found) <= most


def reassess(mandate: Mandate) -> None:
    """Something beside the evidence has changed: ask at the next assessment whether another tier is due."""
    label = evidence_label(mandate.agent, mandate.agent.version)
    Standing.objects.filter(agent=mandate.agent, action_type=mandate.action_type, agent_version=label).update(
        assessed_at=None
    )


def waiting(rows: Iterable[Standing], now: datetime) -> dict[int, int]:
    """How many judgements of each standing were made and do not count yet: their maturity delay runs. One query."""
    found = (
        Evidence.objects.filter(standing__in=list(rows), counts=True, counts_at__gt=now)
        .exclude(_overtaken())
        .order_by()
        .values_list("standing_id")
        .annotate(number=Count("pk"))
    )
    return {pk: number for pk, number in found if pk is not None}


def _uncounted(row: Standing, at: datetime) -> QuerySet[Evidence]:
    return Evidence.objects.filter(standing=row, counts=True, counts_at__gt=at).exclude(_overtaken())


def _overtaken() -> Exists:
    """A correction that came before the row counted takes its place."""
    later = Evidence.objects.filter(
        corrects=Coalesce(OuterRef("corrects_id"), OuterRef("id")),
        id__gt=OuterRef("id"),
        judged_at__lte=OuterRef("counts_at"),
    )
    return Exists(later)


def events(rows: QuerySet[Evidence]) -> Iterator[Event]:
    """Stored evidence in the model's terms."""
    for row in rows.iterator(chunk_size=5000):
        yield event(row)


def event(row: Evidence) -> Event:
    """One stored row in the model's terms."""
    assert row.counts_at is not None
    pk, at, period = row.pk, row.counts_at, row.period
    loss = float(row.loss)
    if row.basis == Basis.TURN:
        return Turn(
            id=pk,
            at=at,
            period=period,
            tier=str(row.detail["tier"]),
            attempts=(row.detail["attempts"][0], row.detail["attempts"][1]),
            fresh=row.detail["fresh"],
            thresholds=Thresholds(**row.detail["thresholds"]),
        )
    if row.basis == Basis.PROBE:
        return Probe(id=pk, at=at, period=period, caught=row.verdict == "caught", reviewer=row.judged_by_id)
    if row.basis == Basis.SECOND and row.corrects_id is None:
        return Second(id=pk, at=at, period=period, agreed=row.verdict == "agreed")
    if row.corrects_id is not None:
        return Correction(
            id=pk,
            at=at,
            period=period,
            before=None if row.loss_before is None else float(row.loss_before),
            after=loss,
            critical=row.critical,
            was_critical=row.critical_before,
            reviewer=row.judged_by_id,
            audit=bool(row.detail.get("audit")),
        )
    if row.detail.get("unsampled"):
        return Incident(id=pk, at=at, period=period, loss=loss, critical=row.critical)
    return Review(
        id=pk,
        at=at,
        period=period,
        loss=loss,
        critical=row.critical,
        reviewer=row.judged_by_id,
        audit=bool(row.detail.get("audit")),
        missed=row.verdict == "missed",
    )


def differences(stored: State, found: State) -> list[str]:
    """Where a stored state is not what its evidence adds up to."""
    before, after = stored.as_json(), found.as_json()
    return [
        f"{name}: {before[name]} stored, {after[name]} found"
        for name in before
        if before[name] != after[name]
    ]


def due(now: datetime, most: int) -> Iterable[Standing]:
    """Standings of which something has matured."""
    return Standing.objects.filter(matures_at__lte=now).order_by("matures_at")[:most]
