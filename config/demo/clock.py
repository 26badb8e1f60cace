"""When things happen at Lindgren & Hale: orders at any hour, people at work on weekdays. Pure."""

import math
import random
from datetime import datetime, time, timedelta

_DAY_WEIGHT = (1.0, 1.05, 1.0, 0.95, 0.9, 0.35, 0.2)
"""How busy Monday to Sunday are."""
_HOUR_WEIGHT = (1, 1, 1, 1, 1, 2, 4, 8, 13, 15, 14, 13, 12, 13, 14, 13, 12, 9, 7, 6, 6, 5, 3, 2)


def moments(rng: random.Random, *, since: datetime, until: datetime, count: int) -> list[datetime]:
    """That many points in time between the two, sorted, dense where the company is busy."""
    hours = int((until - since).total_seconds() // 3600)
    starts = [since + timedelta(hours=hour) for hour in range(hours)]
    weights = [_DAY_WEIGHT[start.weekday()] * _HOUR_WEIGHT[start.hour] for start in starts]
    return sorted(
        start + timedelta(seconds=rng.uniform(0, 3600)) for start in rng.choices(starts, weights, k=count)
    )


def answered(rng: random.Random, at: datetime, *, median_minutes: float) -> datetime:
    """When a person gets to it: a log-normal delay, carried into the next working hours."""
    return at_work(rng, at + timedelta(minutes=rng.lognormvariate(math.log(median_minutes), 0.9)))


def at_work(rng: random.Random, at: datetime) -> datetime:
    """The moment itself in working hours, else somewhere in the first hour and a half of the next working day."""
    if at.weekday() < 5 and time(7) <= at.time() < time(18):
        return at
    day = at.date() if at.weekday() < 5 and at.time() < time(7) else at.date() + timedelta(days=1)
    while day.weekday() > 4:
        day += timedelta(days=1)
    return datetime.combine(day, time(7), at.tzinfo) + timedelta(minutes=rng.uniform(0, 90))
