"""How long a person has to look before approving, and how much he can read in a minute (A40). Pure."""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

LONGEST = 120
"""Seconds: no text, however long, keeps an approval closed for longer."""
MINUTE = timedelta(minutes=1)


def must_be_seen(*, risk: str, is_reversible: bool) -> bool:
    """Whether approval opens only once all of it was in view: critical, or nothing undoes it."""
    return risk == "critical" or not is_reversible


def least_seconds(*, risk: str, length: int, view_seconds: Mapping[str, int], reading_rate: int) -> int:
    """The least time of looking, in seconds, at `length` characters of this risk; 0 where the queue asks for none."""
    reading = math.ceil(length / reading_rate) if reading_rate else 0
    return min(int(view_seconds.get(risk, 0)) + reading, LONGEST)


def seconds_left(*, opened_at: datetime | None, now: datetime, least: int) -> int:
    """How many seconds of looking are missing; all of them where it is not known when the page was opened."""
    if opened_at is None:
        return least
    return max(0, math.ceil(least - (now - opened_at).total_seconds()))


def wait_for_room(*, approvals: Sequence[datetime], now: datetime, per_minute: int) -> int:
    """Seconds until one more approval keeps within `per_minute` (0: no cap), given the moments of earlier ones."""
    recent = sorted(moment for moment in approvals if moment > now - MINUTE)
    if not per_minute or len(recent) < per_minute:
        return 0
    return max(1, math.ceil((recent[-per_minute] + MINUTE - now).total_seconds()))
