"""An agent's budget: what all its mandates may do together in a rolling window."""

import re
from dataclasses import asdict, dataclass
from decimal import Decimal

from django.db import transaction

from accounts.exceptions import Invalid, NotFound
from accounts.models import User
from agents import authority, permissions
from agents.models import Agent
from audit import recording
from audit.events import Kind, Target

_CURRENCY = re.compile(r"[A-Z]{3}")


@dataclass(frozen=True, kw_only=True)
class Budget:
    """Within `hours`; None is no limit. `amount` in `currency`: what is in another goes to a person."""

    hours: int = 24
    count: int | None = None
    amount: Decimal | None = None
    currency: str = ""


def faults(budget: Budget) -> list[dict[str, str]]:
    """Everything that is wrong with it."""
    found = []
    if not 1 <= budget.hours <= 24 * 366:
        found.append({"field": "hours", "message": "must be 1 to 8784"})
    if budget.count is not None and not 0 <= budget.count < 2**31:
        found.append({"field": "count", "message": "must be 0 or more"})
    if budget.amount is not None and not (
        budget.amount.is_finite() and 0 <= budget.amount < Decimal(10) ** 16
    ):
        found.append({"field": "amount", "message": "must be 0 or more"})
    if budget.currency and not _CURRENCY.fullmatch(budget.currency):
        found.append({"field": "currency", "message": "must be three capital letters, for instance EUR"})
    elif budget.amount is not None and not budget.currency:
        found.append({"field": "currency", "message": "must be named where money is limited"})
    return found


def save(*, agent_id: int, budget: Budget, actor: User, reason: str) -> Agent:
    """Set or change it; the agent's managers may. No change, no event. Raises `NotFound`, `NotAllowed`, `Invalid`."""
    with transaction.atomic(durable=True):
        agent = Agent.objects.select_for_update(of=("self",), no_key=True).filter(pk=agent_id).first()
        if agent is None:
            raise NotFound("There is no such agent.")
        permissions.manages_now(actor, agent)
        wrong = faults(budget)
        if wrong:
            raise Invalid("The budget was not saved.", errors=wrong)
        before = of(agent)
        if before == budget:
            return agent
        for name, value in asdict(budget).items():
            setattr(agent, f"budget_{name}", value)
        agent.save(update_fields=[f"budget_{name}" for name in asdict(budget)])
        authority.bump()
        recording.record(
            actor=actor.actor(),
            kind=Kind.BUDGET_SAVED,
            target=Target("agent", str(agent.pk)),
            before=_facts(before),
            after=_facts(budget),
            detail={"reason": reason},
        )
    return agent


def of(agent: Agent) -> Budget:
    return Budget(
        hours=agent.budget_hours,
        count=agent.budget_count,
        amount=agent.budget_amount,
        currency=agent.budget_currency,
    )


def _facts(budget: Budget) -> dict[str, object]:
    values = asdict(budget)
    return {name: str(value) if isinstance(value, Decimal) else value for name, value in values.items()}
