"""Rebuild every standing from its stored evidence and compare: what decides about autonomy must be reproducible."""

from collections.abc import Iterator
from dataclasses import dataclass

import structlog
from django.db import connection, transaction
from django.utils import timezone

from accounts.models import User
from agents import standings
from agents.models import Standing
from agents.tier_model import State
from approvals.notifications import Topic, tell
from audit import recording
from audit.events import Kind, Target, system

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Checked:
    """One standing, and where what is stored is not what its evidence adds up to."""

    standing: Standing
    evidence: int
    differences: list[str]


def rebuild(*, repair: bool = False) -> Iterator[Checked]:
    """Every standing that has a state. One that differs is an audit event and an alarm to all admins; with `repair` the
    stored state is replaced by the rebuilt one, which is an event too."""
    stored = Standing.objects.exclude(initial={}).order_by("pk")
    for pk in list(stored.values_list("pk", flat=True)):
        checked = _check(pk)
        if checked is None:
            continue
        if checked.differences:
            _alarm(checked, repair=repair)
        yield checked


def _check(pk: int) -> Checked | None:
    """Compare in one snapshot, so that no judgement has to wait, however much evidence there is."""
    with transaction.atomic(durable=True):
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        row = Standing.objects.select_related("agent", "action_type").filter(pk=pk).first()
        if row is None:
            return None
        found = standings.rebuilt(row)
        count = row.evidence.filter(counts=True).count()
        return Checked(row, count, standings.differences(State.from_json(row.state), found))


def _alarm(checked: Checked, *, repair: bool) -> None:
    words = "; ".join(checked.differences)
    with transaction.atomic(durable=True):
        row = Standing.objects.select_for_update(of=("self",)).get(pk=checked.standing.pk)
        before = row.state
        row.mismatch, row.checked_at = words[:2000], timezone.now()
        if repair:
            row.state = standings.rebuilt(row).as_json()
            row.mismatch, row.assessed_at = "", None
        row.save(update_fields=["mismatch", "checked_at", "state", "assessed_at"])
        recording.record(
            actor=system("rebuild_evidence"),
            kind=Kind.EVIDENCE_MISMATCH,
            target=Target("standing", str(row.pk)),
            before={"state": before},
            after={"state": row.state},
            detail={"differences": checked.differences, "repaired": repair},
        )
        tell(
            User.objects.admins().values_list("pk", flat=True),
            topic=Topic.TIER,
            text=f"{checked.standing}: the stored state is not what its evidence adds up to. {words}",
            key=f"mismatch:{row.pk}:{timezone.now():%Y-%m-%d}",
            link=f"/agents/{checked.standing.agent.slug}/",
        )
    log.error(
        "standing_mismatch", standing=checked.standing.pk, differences=checked.differences, repaired=repair
    )
