"""Stop switches: which are pulled, and the lock between pulling one and what it forbids.

Whoever is about to let something run (a redemption, the end of a veto window) takes the lock shared and then reads;
whoever pulls or lifts takes it exclusively and then writes. So a stop waits for what is in the middle of beginning, and
what begins after it sees it. The lock is the first of all (docs/architecture.md, Lock order) and ends with the
transaction. Nothing here depends on Redis."""

from collections.abc import Iterable
from datetime import datetime

from django.db import connection
from django.db.models import Q, QuerySet

from agents.models import Agent, Mandate, Stop

_LOCK = 0x53544F50  # "STOP"


def share() -> None:
    """Hold every stop off until the transaction ends; many may at once."""
    _lock("pg_advisory_xact_lock_shared")


def exclude() -> None:
    """Wait for whoever holds stops off, and let nobody begin until the transaction ends."""
    _lock("pg_advisory_xact_lock")


def _lock(function: str) -> None:
    assert connection.in_atomic_block, "the lock lasts as long as a transaction"
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {function}(%s)", [_LOCK])


def live() -> QuerySet[Stop]:
    """Every stop that is pulled now, the latest first."""
    named = ("agent", "action_type", "mandate__agent", "mandate__action_type", "stopped_by")
    return Stop.objects.filter(lifted_at=None).select_related(*named).order_by("-id")


def over(*, agent_id: int, action_type_id: int, since: datetime | None = None) -> Stop | None:
    """A stop that covers this agent's actions of this type now, or did at any moment since `since`."""
    named = ("agent", "action_type", "mandate__agent", "mandate__action_type")
    when = Q(lifted_at=None) if since is None else Q(lifted_at=None) | Q(lifted_at__gte=since)
    found = Stop.objects.filter(when, _about(agent_id, action_type_id)).select_related(*named)
    return found.order_by("-id").first()


def _about(agent_id: int, action_type_id: int) -> Q:
    return (
        Q(scope=Stop.Scope.ALL)
        | Q(scope=Stop.Scope.AGENT, agent_id=agent_id)
        | Q(scope=Stop.Scope.ACTION_TYPE, action_type_id=action_type_id)
        | Q(
            scope=Stop.Scope.MANDATE,
            mandate__in=Mandate.objects.filter(agent_id=agent_id, action_type_id=action_type_id),
        )
    )


def first_over(stops: Iterable[Stop], *, agent_id: int, action_type_id: int) -> Stop | None:
    """The first of these that covers this agent's actions of this type; as `over`, for stops already read."""
    return next((stop for stop in stops if _covers(stop, agent_id, action_type_id)), None)


def _covers(stop: Stop, agent_id: int, action_type_id: int) -> bool:
    if stop.scope == Stop.Scope.MANDATE:
        assert stop.mandate is not None
        return (stop.mandate.agent_id, stop.mandate.action_type_id) == (agent_id, action_type_id)
    if stop.scope == Stop.Scope.AGENT:
        return stop.agent_id == agent_id
    if stop.scope == Stop.Scope.ACTION_TYPE:
        return stop.action_type_id == action_type_id
    return True


def what(stop: Stop) -> str:
    """What it covers, in words that can begin a sentence."""
    if stop.scope == Stop.Scope.ALL:
        return "Everything"
    if stop.agent is not None:
        return f"Everything by {stop.agent.name}"
    if stop.action_type is not None:
        return f"“{stop.action_type.label}” by every agent"
    assert stop.mandate is not None
    return f"“{stop.mandate.action_type.label}” by {stop.mandate.agent.name}"


def words(stop: Stop) -> str:
    """`Everything by Refund helper is stopped: the wrong amounts again.`"""
    return f"{what(stop)} is stopped: {stop.reason.rstrip('.')}."


def of_agent(agent: Agent) -> list[Stop]:
    """What stops this agent or a part of what it does, now."""
    return [stop for stop in live() if _touches(stop, agent)]


def _touches(stop: Stop, agent: Agent) -> bool:
    if stop.scope == Stop.Scope.MANDATE:
        return stop.mandate is not None and stop.mandate.agent_id == agent.pk
    if stop.scope == Stop.Scope.ACTION_TYPE:
        return agent.mandates.filter(action_type_id=stop.action_type_id, active=True).exists()
    return stop.scope == Stop.Scope.ALL or stop.agent_id == agent.pk
