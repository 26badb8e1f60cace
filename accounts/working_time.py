"""When a team works, and how its working minutes pass. Pure; nothing here reads a clock.

A week is made of intervals of the wall clock in one time zone, holidays have none. Everything is computed on instants
in UTC: where clocks are put forward, the hour that does not exist counts for nothing; where they are put back, a night
that is worked through has the hour twice, as the people in it do."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
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
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICK = timedelta(microseconds=1)
_DAY = timedelta(days=1)
_MARGIN = 2 * _DAY
"""By which a table's days reach beyond the moments it answers for: zones differ from UTC by less."""
_AHEAD, _BEHIND = 120 * _DAY, 14 * _DAY


@dataclass(frozen=True, slots=True)
class _Table:
    """The working spans of some days, and the working time before each: a due time is then two look-ups.

    Moments are microseconds since 1970. `first` and `last` are days, the last one not included."""

    first: date
    last: date
    starts: list[int]
    ends: list[int]
    before: list[int]
    after: list[int]

    def covers(self, moment: datetime) -> bool:
        day = moment.date()
        return self.first + _MARGIN <= day < self.last - _MARGIN

    def worked(self, at: int) -> int:
        """Working time of the table's days before a moment that it covers."""
        index = bisect_right(self.ends, at)
        if index == len(self.ends):
            return self.after[-1] if self.after else 0
        return self.before[index] + max(0, at - self.starts[index])

    def reached(self, worked: int) -> int | None:
        """The first moment by which so much time was worked; None beyond the table."""
        index = bisect_left(self.after, worked)
        return None if index == len(self.after) else self.starts[index] + worked - self.before[index]

    def left(self, worked: int) -> int | None:
        """The last moment by which no more time was worked; None before the table."""
        index = bisect_right(self.before, worked) - 1
        return None if index < 0 or worked < 0 else self.starts[index] + worked - self.before[index]


@dataclass(frozen=True, slots=True)
class Hours:
    """A working week, read from what a calendar stores. `week` has seven days, Monday first, each a sorted tuple of
    (first minute, minute after the last) of the day; `holidays` are days off whatever the week says.

    The table of the days asked about is kept, alone in its dict, and replaced by a longer one where it does not
    reach; two threads that do so at once each answer from their own."""

    zone: ZoneInfo
    week: tuple[tuple[tuple[int, int], ...], ...]
    holidays: frozenset[date]
    _kept: dict[str, _Table] = field(default_factory=dict, repr=False, compare=False)

    def add(self, moment: datetime, minutes: int) -> datetime:
        """The first moment by which that many working minutes have passed; `moment` itself for none."""
        if minutes <= 0:
            return moment
        moment = moment.astimezone(UTC)
        reach = moment
        while reach - moment < HORIZON:
            table = self._table(moment, reach)
            found = table.reached(table.worked(_ticks(moment)) + minutes * 60_000_000)
            if found is not None:
                return _EPOCH + timedelta(microseconds=found)
            reach = moment + 4 * (datetime.combine(table.last, time(), UTC) - moment)
        return moment + HORIZON

    def close_after(self, moment: datetime, days: int) -> datetime:
        """When work ends on the last of so many days with work after the moment's own; at least one is counted.

        It ends, for `faults` lets no week without work pass, and no more holidays than `MOST_HOLIDAYS`."""
        day, left = moment.astimezone(self.zone).date(), max(1, days)
        while left:
            day += _DAY
            left -= day not in self.holidays and bool(self.week[day.weekday()])
        return self._instant(day, self.week[day.weekday()][-1][1])

    def back(self, moment: datetime, minutes: int) -> datetime:
        """The last moment from which that many working minutes pass until `moment`; `moment` itself for none."""
        if minutes <= 0:
            return moment
        moment = moment.astimezone(UTC)
        reach = moment
        while moment - reach < HORIZON:
            table = self._table(reach, moment)
            found = table.left(table.worked(_ticks(moment)) - minutes * 60_000_000)
            if found is not None:
                return _EPOCH + timedelta(microseconds=found)
            reach = moment - 4 * (moment - datetime.combine(table.first, time(), UTC))
        return moment - HORIZON

    def between(self, start: datetime, end: datetime) -> timedelta:
        """How much working time lies between two moments; none where the second is not later."""
        if end <= start:
            return timedelta(0)
        start, end = start.astimezone(UTC), end.astimezone(UTC)
        table = self._table(start, end)
        return timedelta(microseconds=table.worked(_ticks(end)) - table.worked(_ticks(start)))

    def is_open(self, moment: datetime) -> bool:
        """Whether somebody works at that moment."""
        moment = moment.astimezone(UTC)
        table = self._table(moment, moment)
        index = bisect_right(table.ends, _ticks(moment))
        return index < len(table.ends) and table.starts[index] <= _ticks(moment)

    def _table(self, start: datetime, end: datetime) -> _Table:
        """A table that covers both moments, in UTC: the kept one or, in its place, one that reaches farther."""
        kept = self._kept.get("")
        if kept is not None and kept.covers(start) and kept.covers(end):
            return kept
        first, last = (start - _MARGIN - _BEHIND).date(), (end + _MARGIN + _AHEAD).date()
        if kept is not None and kept.first - HORIZON < first and last < kept.last + HORIZON:
            first, last = min(first, kept.first), max(last, kept.last)
        self._kept[""] = made = self._made(first, last)
        return made

    def _made(self, first: date, last: date) -> _Table:
        starts, ends, before, after = [], [], [], []
        total = 0
        for number in range((last - first).days):
            day = first + timedelta(days=number)
            for opens, closes in () if day in self.holidays else self.week[day.weekday()]:
                start, end = _ticks(self._instant(day, opens)), _ticks(self._instant(day, closes))
                if start < end:
                    starts.append(start)
                    ends.append(end)
                    before.append(total)
                    total += end - start
                    after.append(total)
        return _Table(first, last, starts, ends, before, after)

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


def _ticks(moment: datetime) -> int:
    return (moment - _EPOCH) // _TICK


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
