"""The one write door for evidence: one judged result, in the transaction of the judgement."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

import rfc8785
from django.db import connection
from django.utils import timezone

from accounts.models import User
from agents import pointers
from agents.models import ActionType, Agent, Evidence
from audit.recording import OutsideTransaction

LOSS_APPROVED = Decimal("0")
LOSS_EDITED = Decimal("0.5")
LOSS_WRONG = Decimal("1")
"""Loss levels of TIERS.md: approve 0, an edit of a field that is not material 0.5, a material edit or a reject 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What was judged. `probability` is the chance with which it came to be judged, fixed beforehand."""

    basis: Evidence.Basis
    verdict: str
    loss: Decimal
    probability: float = 1.0


def record(
    *,
    agent: Agent,
    agent_version: str,
    action_type: ActionType,
    tier: str,
    proposal_id: UUID,
    revision: int,
    judgement: Judgement,
    judged_by: User | None,
) -> Evidence:
    """Append one piece of evidence. A second one for the same judgement is refused by the database."""
    if not connection.in_atomic_block:
        raise OutsideTransaction("evidence is recorded in the transaction of the judgement")
    return Evidence.objects.create(
        agent=agent,
        agent_version=agent_version,
        action_type=action_type,
        risk=action_type.risk,
        tier=tier,
        basis=judgement.basis,
        verdict=judgement.verdict,
        loss=judgement.loss,
        probability=judgement.probability,
        proposal_id=proposal_id,
        revision=revision,
        judged_by=judged_by,
        judged_at=timezone.now(),
    )


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
