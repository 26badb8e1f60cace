"""How much of one agent may be open at once: it waits for people, and what nobody can work through is of no use.

The truth is in PostgreSQL. A process counts once and adds what it accepts itself, so that the statement that accepts a
proposal stays alone on its way; it counts again every second where it is getting tight, else every five. What other
processes accept within that time may go beyond the cap: by at most what the agent's rate lets through meanwhile."""

import time
from dataclasses import dataclass

from django.conf import settings
from django.db import connection

from agents.models import Agent
from approvals.exceptions import TooManyOpen
from approvals.states import State

COUNTED = frozenset({State.PENDING, State.RETURNED, State.SCHEDULED})
TIGHT, EASY = 1.0, 5.0
"""Seconds a count is good for: from a quarter of the cap on, and below."""
RETRY_AFTER = 30
MOST_KNOWN = 10_000
_COUNT = """
SELECT count(*) FROM (
    SELECT FROM approvals_proposal
    WHERE agent_id = %s AND state IN ('pending', 'returned', 'scheduled') LIMIT %s
) AS open
"""


@dataclass(slots=True)
class _Count:
    number: int
    counted_at: float


_known: dict[tuple[int, float], _Count] = {}


def check(agent: Agent) -> None:
    """Raises `TooManyOpen` where the agent has as much open as it may."""
    most = settings.LIMITS.open_items(agent.slug)
    count = _count(agent, most)
    if count.number >= most:
        raise TooManyOpen(
            f"{most} of this agent's proposals are open, which is all that may be. Withdraw what is no longer wanted, "
            "answer what was returned, or wait until people have decided; then send the same again.",
            retry_after=RETRY_AFTER,
            open=count.number,
            most=most,
        )


def room(agent: Agent) -> int:
    """How many more may be open."""
    most = settings.LIMITS.open_items(agent.slug)
    return max(0, most - _count(agent, most).number)


def accepted(agent: Agent) -> None:
    """One more is open. Two threads that add at once may lose one until the next count."""
    known = _known.get(_key(agent))
    if known is not None:
        known.number += 1


def _count(agent: Agent, most: int) -> _Count:
    key, now = _key(agent), time.monotonic()
    known = _known.get(key)
    if known is not None and now - known.counted_at < (TIGHT if known.number * 4 >= most else EASY):
        return known
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, [agent.pk, most])
        row = cursor.fetchone()
    if len(_known) >= MOST_KNOWN:
        _known.clear()
    found = _known[key] = _Count(int(row[0]) if row else 0, now)
    return found


def _key(agent: Agent) -> tuple[int, float]:
    """With the moment of its registration: an id can come again after a restore."""
    return (agent.pk, agent.created_at.timestamp())
