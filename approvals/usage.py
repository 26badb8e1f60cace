"""What rolling windows hold: per mandate, per subject, per agent. One query each.

A window holds what was proposed within it and ran or still may, and what was proposed earlier and began within it: an
agent that saves its grants up does not get two windows' worth at once. Only amounts in the limit's currency add up;
those in others go to a person (`approvals.routing`). Probes are nobody's action."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import Count, F, Max, Q, QuerySet, Sum
from django.db.models.functions import Abs

from agents.models import Agent, Mandate
from approvals import states
from approvals.models import Proposal
from approvals.routing import Usage
from approvals.states import State

WAIT = timedelta(days=2)
"""How long a person takes to decide by the usual setting: so much earlier may lie what begins within a window."""
LONGEST_WAIT = timedelta(days=9)
"""The longest veto window and the longest grant together, and some."""

Counted = frozenset[State]


def of_mandate(
    mandate: Mandate,
    currency: str,
    *,
    now: datetime,
    exclude: Proposal | None = None,
    counted: Counted = states.LIVE,
) -> Usage:
    """What one mandate's own window holds."""
    wait = WAIT + timedelta(seconds=mandate.veto_seconds)
    window = _window(mandate.agent_id, mandate.window_hours, wait, now, exclude, counted)
    return _sum(window.filter(action_type_id=mandate.action_type_id), currency)


def of_subject(
    mandate: Mandate,
    currency: str,
    key: str,
    *,
    now: datetime,
    exclude: Proposal | None = None,
    counted: Counted = states.LIVE,
) -> Usage:
    """What the mandate's window holds about one subject (`approvals.subjects.key`).

    Money is added up over all action types of the agent, so that a refund is not split into a refund and a voucher;
    actions are counted of this type alone. What names no subject may be about any: it counts towards each subject of
    its action type, and a proposal that names none (`key` empty) is compared with all of its type."""
    window = _window(mandate.agent_id, mandate.window_hours, LONGEST_WAIT, now, exclude, counted)
    same_type = Q(action_type_id=mandate.action_type_id)
    if key:
        window = window.filter(Q(subject_key=key) | same_type & Q(subject_key=""), subject_key__in=[key, ""])
    else:
        window = window.filter(same_type)
    return _sum(window, currency, same_type)


def of_agent(
    agent: Agent, *, now: datetime, exclude: Proposal | None = None, counted: Counted = states.LIVE
) -> Usage:
    """What the window of the agent's budget holds, of all its mandates."""
    longest = agent.mandates.aggregate(most=Max("veto_seconds"))["most"] or 0
    wait = WAIT + timedelta(seconds=longest)
    return _sum(_window(agent.pk, agent.budget_hours, wait, now, exclude, counted), agent.budget_currency)


def day_about(agent_id: int, action_type_id: int | None, currency: str, key: str, *, now: datetime) -> Usage:
    """The last 24 hours about one subject, of one action type or (None) of all; for policies' `history`."""
    window = _window(agent_id, 24, WAIT, now, None, states.LIVE).filter(subject_key=key)
    return _sum(window if action_type_id is None else window.filter(action_type_id=action_type_id), currency)


def day_of_agent(agent_id: int, currency: str, *, now: datetime) -> Usage:
    """The last 24 hours of all the agent does; for policies' `history`."""
    return _sum(_window(agent_id, 24, WAIT, now, None, states.LIVE), currency)


def lock(agent_id: int, mandate_id: int) -> None:
    """Row locks under which two at once cannot both be the last within a limit (I10), in the order that
    docs/architecture.md gives: the agent for its budget and for what several mandates do about one subject, the mandate
    for its own window."""
    Agent.objects.select_for_update(of=("self",), no_key=True).get(pk=agent_id)
    Mandate.objects.select_for_update(of=("self",), no_key=True).get(pk=mandate_id)


def _window(
    agent_id: int,
    hours: int,
    wait: timedelta,
    now: datetime,
    exclude: Proposal | None,
    counted: Counted,
) -> QuerySet[Proposal]:
    since = now - timedelta(hours=hours)
    found = Proposal.objects.filter(
        Q(created_at__gt=since) | Q(grant__redeemed_at__gt=since),
        agent_id=agent_id,
        created_at__gt=since - wait,
        state__in=counted,
        planted=False,
    )
    return found if exclude is None else found.exclude(pk=exclude.pk)


def _sum(window: QuerySet[Proposal], currency: str, counted: Q | None = None) -> Usage:
    """`counted` says which of them `Usage.count` counts; all of them where it is None."""
    paid = Q(currency=currency, amount__isnull=False)
    found: dict[str, Any] = window.order_by().aggregate(
        count=Count("pk", filter=counted),
        paid=Count("pk", filter=paid),
        amount=Sum(Abs(F("amount")), filter=paid),
    )
    return Usage(found["count"], found["amount"] or Decimal(0), found["paid"])
