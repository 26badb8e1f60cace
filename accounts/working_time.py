"""When a team works, and how its working minutes pass. Pure; nothing here reads a clock.

A week is made of intervals of the wall clock in one time zone, holidays have none. Everything is computed on instants
in UTC: where clocks are put forward, the hour that does not exist counts for nothing; where they are put back, a night
that is worked through has the hour twice, as the people in it do."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
LEAST_WEEK = 60
"""Working minutes that a week must have: with fewer, a due time would lie years ahead."""
MOST_INTERVALS = 12
MOST_HOLIDAYS = 1000
HORIZON = timedelta(days=366 * 20)
"""No answer lies farther away than this."""

_CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)|24:00")
_KEPT_DAYS = 4000

Span = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Hours:
    """A working week, read from what a calendar stores. `week` has seven days, Monday first, each a sorted tuple of
    (first minute, minute after the last) of the day; `holidays` are days off whatever the week says."""

    zone: ZoneInfo
    week: tuple[tuple[tuple[int, int], ...], ...]
    holidays: frozenset[date]
    _known: dict[date, tuple[Span, ...]] = field(default_factory=dict, repr=False, compare=False)

    def add(self, moment: datetime, minutes: int) -> datetime:
        """The first moment by which that many working minutes have passed; `moment` itself for none."""
        left = timedelta(minutes=minutes)
        if left <= timedelta(0):
            return moment
        for start, end in self._onwards(moment):
            if end - start >= left:
                return start + left
            left -= end - start
        return moment + HORIZON

    def back(self, moment: datetime, minutes: int) -> datetime:
        """The last moment from which that many working minutes pass until `moment`; `moment` itself for none."""
        left = timedelta(minutes=minutes)
        if left <= timedelta(0):
            return moment
        for start, end in self._backwards(moment):
            if end - start >= left:
                return end - left
            left -= end - start
        return moment - HORIZON

    def between(self, start: datetime, end: datetime) -> timedelta:
        """How much working time lies between two moments; none where the second is not later."""
        total = timedelta(0)
        for first, last in self._onwards(start):
            if first >= end:
                break
            total += min(last, end) - first
        return total

    def is_open(self, moment: datetime) -> bool:
        """Whether somebody works at that moment."""
        day = moment.astimezone(self.zone).date()
        return any(start <= moment < end for near in (-1, 0, 1) for start, end in self._day(_next(day, near)))

    def _onwards(self, moment: datetime) -> Iterator[Span]:
        """Working spans from `moment` on, the first cut to begin there."""
        moment = moment.astimezone(UTC)
        day = _next(moment.astimezone(self.zone).date(), -1)
        for number in range(HORIZON.days):
            for start, end in self._day(_next(day, number)):
                if end > moment:
                    yield max(start, moment), end

    def _backwards(self, moment: datetime) -> Iterator[Span]:
        """Working spans before `moment`, latest first, the first cut to end there."""
        moment = moment.astimezone(UTC)
        day = _next(moment.astimezone(self.zone).date(), 1)
        for number in range(HORIZON.days):
            for start, end in reversed(self._day(_next(day, -number))):
                if start < moment:
                    yield start, min(end, moment)

    def _day(self, day: date) -> tuple[Span, ...]:
        """The spans of one day of the zone, in UTC; kept, since the same days are asked for all day long."""
        intervals = self.week[day.weekday()]
        if not intervals or day in self.holidays:
            return ()
        known = self._known.get(day)
        if known is None:
            spans = ((self._instant(day, start), self._instant(day, end)) for start, end in intervals)
            known = tuple((start, end) for start, end in spans if start < end)
            if len(self._known) >= _KEPT_DAYS:
                self._known.clear()
            self._known[day] = known
        return known

    def _instant(self, day: date, minute: int) -> datetime:
        """When the clock of the zone first shows that minute of the day, or passes over it."""
        wall = datetime.combine(day, datetime.min.time()) + timedelta(minutes=minute)
        found = wall.replace(tzinfo=self.zone).astimezone(UTC)
        if found.astimezone(self.zone).replace(tzinfo=None) == wall:
            return found
        early = wall.replace(tzinfo=self.zone, fold=1).astimezone(UTC)
        while found - early > timedelta(seconds=1):
            middle = early + timedelta(seconds=(found - early) // timedelta(seconds=1) // 2)
            if middle.astimezone(self.zone).replace(tzinfo=None) < wall:
                early = middle
            else:
                found = middle
        return found


def _next(day: date, number: int) -> date:
    return day + timedelta(days=number)


def read(*, time_zone: str, week: Mapping[str, Any], holidays: Sequence[str]) -> Hours:
    """The hours a stored calendar means. Raises `ValueError` for what `faults` would have named."""
    wrong = faults(time_zone=time_zone, week=week, holidays=holidays)
    if wrong:
        raise ValueError("; ".join(f"{item['field']}: {item['message']}" for item in wrong))
    return Hours(
        zone=ZoneInfo(time_zone),
        week=tuple(
            tuple((_minute(start), _minute(end)) for start, end in week.get(name, ())) for name in DAYS
        ),
        holidays=frozenset(date.fromisoformat(day) for day in holidays),
    )


def faults(*, time_zone: str, week: Mapping[str, Any], holidays: Sequence[Any]) -> list[dict[str, str]]:
    """Everything that is wrong with a calendar, as {"field", "message"}; `field` of a day is week/mon and so on."""
    found = []
    if not is_zone(time_zone):
        found.append(
            {"field": "time_zone", "message": "must be the name of a time zone, such as Europe/Berlin"}
        )
    for name in week:
        if name not in DAYS:
            found.append({"field": "week", "message": f"knows {', '.join(DAYS)}, not {name}"})
    total = 0
    for name in DAYS:
        try:
            total += _minutes_of(week.get(name, []))
        except ValueError as error:
            found.append({"field": f"week/{name}", "message": str(error)})
    if not found and total < LEAST_WEEK:
        words = "nobody works in this week: give at least one hour on one day, or nothing would ever be due"
        found.append({"field": "week", "message": words})
    if len(holidays) > MOST_HOLIDAYS:
        found.append({"field": "holidays", "message": f"must be at most {MOST_HOLIDAYS} days"})
    bad = [str(day) for day in holidays if not _is_day(day)]
    if bad:
        found.append({"field": "holidays", "message": f"must be days as 2026-12-25; {bad[0][:40]!r} is none"})
    return found


def is_zone(name: str) -> bool:
    """Whether this machine knows a time zone of that name."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return bool(name)


def _minutes_of(intervals: Any) -> int:
    """The working minutes of a day on paper. Raises `ValueError` saying what is wrong with it."""
    if not isinstance(intervals, list | tuple) or len(intervals) > MOST_INTERVALS:
        raise ValueError(f"must be at most {MOST_INTERVALS} intervals such as 09:00-17:00")
    passed = total = 0
    for item in intervals:
        if not isinstance(item, list | tuple) or len(item) != 2 or not all(_is_clock(part) for part in item):
            raise ValueError("must be intervals such as 09:00-12:30; midnight at the end is 24:00")
        start, end = _minute(item[0]), _minute(item[1])
        if end <= start:
            raise ValueError(
                f"{item[0]}-{item[1]} ends before it starts; a night goes to 24:00 and on the next day from 00:00"
            )
        if start < passed:
            raise ValueError(f"{item[0]}-{item[1]} overlaps the interval before it, or is out of order")
        passed = end
        total += end - start
    return total


def _is_clock(text: Any) -> bool:
    return isinstance(text, str) and _CLOCK.fullmatch(text) is not None


def _minute(text: str) -> int:
    hour, _, minute = text.partition(":")
    return int(hour) * 60 + int(minute)


def _is_day(text: Any) -> bool:
    try:
        return isinstance(text, str) and date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
