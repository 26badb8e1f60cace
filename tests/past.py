"""A past that no use case can make in a test's time: evidence spread over days, added up by the model's own rebuild."""

import itertools
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

from django.utils import timezone

from agents import standings, tier_model
from agents.models import Evidence, Mandate
from agents.tier_model import State
from tests.factories import Desk

_numbers = itertools.count(1)


def judged(
    the: Desk,
    losses: Sequence[float],
    *,
    probes: Sequence[bool] = (),
    days: float = 30,
    seconds: Sequence[bool] = (),
    version: str = "",
) -> State:
    """Evidence about a desk's mandate, spread evenly over the last days, as the model's own rebuild adds it up.

    Judged by the desk's two reviewers in turn; in tiers above in the loop by audits. Probes and second reviews lie
    evenly between the reviews."""
    now = timezone.now()
    mandate = Mandate.objects.select_related("agent", "action_type").get(pk=the.mandate.pk)
    standing = standings.of(mandate.agent, mandate.action_type, version or mandate.agent.version)
    reviewers = [the.reviewer, the.second]
    begun = tier_model.start(
        tier=standings.model_tier(mandate.tier),
        thresholds=standings.thresholds_of(mandate, mandate.action_type),
        at=now - timedelta(days=days),
    )
    standing.initial = begun.as_json()
    basis = Evidence.Basis
    audit = mandate.tier in tier_model.TARGETS
    rows = []
    for kind, found in (("review", losses), (basis.PROBE, probes), (basis.SECOND, seconds)):
        step = timedelta(days=days) / (len(found) + 1)
        for place, value in enumerate(found):
            at = now - timedelta(days=days) + step * (place + 1)
            if kind == basis.PROBE:
                verdict, loss = "caught" if value else "passed", Decimal(0)
            elif kind == basis.SECOND:
                verdict, loss = "agreed" if value else "differed", Decimal(0)
            else:
                verdict, loss = "reject" if value == 1 else "approve", Decimal(str(value))
            rows.append(
                Evidence(
                    standing=standing,
                    agent=mandate.agent,
                    action_type=mandate.action_type,
                    agent_version=standing.agent_version,
                    risk=standing.risk,
                    tier=mandate.tier,
                    basis=(basis.AUDIT if audit else basis.DECISION) if kind == "review" else kind,
                    verdict=verdict,
                    loss=loss,
                    counts_at=at,
                    judged_at=at,
                    judged_by=reviewers[place % 2],
                    key=f"past:{kind}:{next(_numbers)}",
                    detail={"audit": True} if audit and kind == "review" else {},
                )
            )
    Evidence.objects.bulk_create(rows, batch_size=1000)
    standing.folded_until = now
    state = standings.rebuilt(standing)
    standings.save(standing, state, now)
    return state
