"""Working minutes: examples around holidays, nights and changed clocks; properties; a slow second opinion."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accounts import working_time
from accounts.working_time import DAYS, Hours

NINE_TO_FIVE: dict[str, Any] = {day: [["09:00", "12:30"], ["13:30", "18:00"]] for day in DAYS[:5]}
ALWAYS: dict[str, Any] = {day: [["00:00", "24:00"]] for day in DAYS}


def hours(week: dict[str, Any], zone: str = "Europe/Berlin", holidays: tuple[str, ...] = ()) -> Hours:
    return working_time.read(time_zone=zone, week=week, holidays=holidays)


def at(text: str, zone: str = "Europe/Berlin") -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))


@pytest.mark.parametrize(
    ("start", "minutes", "end"),
    [
        ("2026-11-23 09:00", 30, "2026-11-23 09:30"),
        ("2026-11-23 12:00", 60, "2026-11-23 14:00"),  # over lunch
        ("2026-11-23 12:00", 30, "2026-11-23 12:30"),  # the end of an interval belongs to it
        ("2026-11-23 12:30", 1, "2026-11-23 13:31"),
        ("2026-11-23 17:30", 60, "2026-11-24 09:30"),  # over night
        ("2026-11-23 03:00", 30, "2026-11-23 09:30"),  # before the day begins
        ("2026-11-27 17:30", 60, "2026-11-30 09:30"),  # over a weekend
        ("2026-11-28 11:00", 60, "2026-11-30 10:00"),  # from a Saturday
        ("2026-12-24 17:30", 60, "2026-12-28 09:30"),  # over Christmas and a weekend
        ("2026-11-23 09:00", 480 * 10, "2026-12-04 18:00"),  # two weeks
        ("2026-11-23 03:00", 0, "2026-11-23 03:00"),
    ],
)
def test_minutes_pass_in_working_hours_only(start: str, minutes: int, end: str) -> None:
    week = hours(NINE_TO_FIVE, holidays=("2026-12-25",))
    assert week.add(at(start), minutes) == at(end)


@pytest.mark.parametrize(
    ("end", "minutes", "start"),
    [
        ("2026-11-23 09:30", 30, "2026-11-23 09:00"),
        ("2026-11-23 09:10", 30, "2026-11-20 17:40"),  # Monday morning: on Friday
        ("2026-11-22 12:00", 30, "2026-11-20 17:30"),
        ("2026-12-28 09:00", 1, "2026-12-24 17:59"),
    ],
)
def test_minutes_back_fall_into_working_hours_too(end: str, minutes: int, start: str) -> None:
    week = hours(NINE_TO_FIVE, holidays=("2026-12-25",))
    assert week.back(at(end), minutes) == at(start)


def test_a_night_shift_over_midnight_is_two_intervals() -> None:
    week = hours({"mon": [["22:00", "24:00"]], "tue": [["00:00", "06:00"]]})
    assert week.add(at("2026-11-23 20:00"), 240) == at("2026-11-24 02:00")
    assert week.add(at("2026-11-24 05:59"), 2) == at("2026-11-30 22:01")


def test_a_night_in_which_clocks_go_forward_is_an_hour_shorter() -> None:
    week = hours(ALWAYS)
    assert week.add(at("2026-03-29 00:00"), 180) == at("2026-03-29 04:00")
    assert week.between(at("2026-03-29 00:00"), at("2026-03-30 00:00")) == timedelta(hours=23)
    inside = hours({"sun": [["02:15", "02:45"]], "mon": [["09:00", "10:00"]]})  # does not exist that night
    assert inside.add(at("2026-03-28 12:00"), 10) == at("2026-03-30 09:10")
    into = hours({"sun": [["01:30", "02:30"], ["02:30", "04:00"]]})
    assert into.between(at("2026-03-28 12:00"), at("2026-03-29 12:00")) == timedelta(minutes=90)
    assert into.add(at("2026-03-29 01:30"), 31) == at("2026-03-29 03:01")


def test_a_night_in_which_clocks_go_back_is_an_hour_longer() -> None:
    week = hours(ALWAYS)
    assert week.add(at("2026-10-25 00:00"), 240) == at("2026-10-25 03:00")
    assert week.between(at("2026-10-25 00:00"), at("2026-10-26 00:00")) == timedelta(hours=25)
    split = hours({"sun": [["01:00", "02:30"], ["02:30", "04:00"]]})
    assert split.between(at("2026-10-24 12:00"), at("2026-10-25 12:00")) == timedelta(hours=4)


def test_a_day_that_a_zone_left_out_has_no_working_time() -> None:
    """Samoa went from Thursday 29 to Saturday 31 December 2011."""
    week = hours({day: [["09:00", "17:00"]] for day in DAYS}, "Pacific/Apia")
    start = at("2011-12-29 16:00", "Pacific/Apia")
    assert week.add(start, 120) == at("2011-12-31 10:00", "Pacific/Apia")


def test_the_calendar_counts_in_its_own_zone() -> None:
    week = hours(NINE_TO_FIVE, "America/New_York")
    assert week.add(datetime(2026, 11, 23, 9, 0, tzinfo=UTC), 60) == at(
        "2026-11-23 10:00", "America/New_York"
    )
    assert week.is_open(datetime(2026, 11, 23, 14, 0, tzinfo=UTC))
    assert not week.is_open(datetime(2026, 11, 23, 13, 59, tzinfo=UTC))
    assert not week.is_open(datetime(2026, 11, 23, 23, 0, tzinfo=UTC))


def test_holidays_without_end_do_not_hang() -> None:
    years = [date(2026, 1, 1) + timedelta(days=number) for number in range(1000)]
    week = hours({"mon": [["09:00", "10:00"]]}, holidays=tuple(day.isoformat() for day in years))
    assert week.add(at("2026-11-23 09:00"), 30) == at("2028-10-02 09:30")
    assert week.add(at("2026-11-23 09:00"), 10**9) == at("2026-11-23 09:00") + working_time.HORIZON


@pytest.mark.parametrize(
    ("changed", "fields"),
    [
        ({"time_zone": "Europe/Atlantis"}, ["time_zone"]),
        ({"time_zone": ""}, ["time_zone"]),
        ({"time_zone": "../../etc/passwd"}, ["time_zone"]),
        ({"week": {}}, ["week"]),
        ({"week": {"mon": []}}, ["week"]),
        ({"week": {"mon": [["09:00", "09:59"]]}}, ["week"]),
        ({"week": {**NINE_TO_FIVE, "someday": []}}, ["week"]),
        ({"week": {"mon": [["09:00", "08:00"]]}}, ["week/mon"]),
        ({"week": {"mon": [["22:00", "06:00"]]}}, ["week/mon"]),
        ({"week": {"mon": [["09:00", "12:00"], ["11:00", "13:00"]]}}, ["week/mon"]),
        ({"week": {"mon": [["13:00", "14:00"], ["09:00", "10:00"]]}}, ["week/mon"]),
        ({"week": {"tue": [["9:00", "10:00"]]}}, ["week/tue"]),
        ({"week": {"tue": [["09:00", "24:30"]]}}, ["week/tue"]),
        ({"week": {"tue": [["09:00"]]}}, ["week/tue"]),
        ({"week": {"tue": "09:00-10:00"}}, ["week/tue"]),
        ({"week": {"tue": [[9, 10]]}}, ["week/tue"]),
        ({"holidays": ["2026-13-01"]}, ["holidays"]),
        ({"holidays": ["20261225"]}, ["holidays"]),
        ({"holidays": [20261225]}, ["holidays"]),
        ({"holidays": ["2026-12-25"] * 1001}, ["holidays"]),
    ],
)
def test_a_calendar_in_which_nothing_would_be_due_or_that_cannot_be_read_is_refused(
    changed: dict[str, Any], fields: list[str]
) -> None:
    values = {"time_zone": "Europe/Berlin", "week": NINE_TO_FIVE, "holidays": [], **changed}
    assert [item["field"] for item in working_time.faults(**values)] == fields
    with pytest.raises(ValueError, match=fields[0]):
        working_time.read(**values)


def test_a_sound_calendar_has_no_faults() -> None:
    week = {"mon": [["00:00", "24:00"]], "sun": [["09:00", "12:00"], ["12:00", "13:30"]]}
    assert working_time.faults(time_zone="UTC", week=week, holidays=["2028-02-29"]) == []


ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/St_Johns", "Asia/Beirut", "UTC")


@st.composite
def _weeks(draw: st.DrawFn) -> dict[str, Any]:
    week = {}
    for day in draw(st.lists(st.sampled_from(DAYS), min_size=1, max_size=7, unique=True)):
        points = draw(st.lists(st.integers(0, 96), min_size=2, max_size=6, unique=True))
        edges = sorted(points)[: len(points) // 2 * 2]
        week[day] = [
            [f"{a // 4:02}:{a % 4 * 15:02}", f"{b // 4:02}:{b % 4 * 15:02}"]
            for a, b in zip(edges[::2], edges[1::2], strict=True)
        ]
    return week


def _usable(week: dict[str, Any]) -> bool:
    return not working_time.faults(time_zone="UTC", week=week, holidays=[])


CALENDARS = st.builds(
    hours,
    _weeks().filter(_usable),
    st.sampled_from(ZONES),
    st.lists(st.dates(date(2026, 1, 1), date(2026, 12, 31)).map(date.isoformat), max_size=9, unique=True).map(
        tuple
    ),
)
MOMENTS = st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31)).map(
    lambda naive: naive.replace(tzinfo=UTC, microsecond=0)
)
MINUTES = st.integers(0, 6000)


@given(CALENDARS, MOMENTS, MINUTES)
def test_exactly_the_minutes_asked_for_lie_between(week: Hours, moment: datetime, minutes: int) -> None:
    end = week.add(moment, minutes)
    assert end >= moment
    assert week.between(moment, end) == timedelta(minutes=minutes)
    if minutes:
        assert week.is_open(end - timedelta(microseconds=1)), "the last minute was worked"


@given(CALENDARS, MOMENTS, MINUTES, MINUTES)
def test_two_spells_are_as_long_as_both_together(week: Hours, moment: datetime, one: int, two: int) -> None:
    assert week.add(week.add(moment, one), two) == week.add(moment, one + two)
    assert week.back(week.back(moment, one), two) == week.back(moment, one + two)


@given(CALENDARS, MOMENTS, st.integers(1, 6000))
def test_back_is_the_latest_moment_that_leaves_so_much_time(
    week: Hours, moment: datetime, minutes: int
) -> None:
    start = week.back(moment, minutes)
    assert week.between(start, moment) == timedelta(minutes=minutes)
    assert week.is_open(start)


@given(CALENDARS, MOMENTS, st.timedeltas(timedelta(0), timedelta(days=9)), MINUTES)
def test_who_comes_later_is_not_due_earlier(
    week: Hours, moment: datetime, wait: timedelta, minutes: int
) -> None:
    assert week.add(moment, minutes) <= week.add(moment + wait, minutes)


@settings(max_examples=40)
@given(_weeks().filter(_usable), st.sampled_from(ZONES), st.dates(date(2026, 1, 1), date(2026, 12, 28)))
def test_a_day_has_the_minutes_its_clock_shows(week: dict[str, Any], zone: str, day: date) -> None:
    """A second opinion: look at the zone's clock every minute. On days of changed clocks minutes that come twice are
    counted as the first interval's end says, so those days are left to the examples above."""
    info = ZoneInfo(zone)
    first = datetime.combine(day, datetime.min.time(), info)
    last = datetime.combine(day + timedelta(days=1), datetime.min.time(), info)
    if last.astimezone(UTC) - first.astimezone(UTC) != timedelta(days=1):
        return
    worked = 0
    for number in range(1440):
        local = (first.astimezone(UTC) + timedelta(minutes=number)).astimezone(info)
        shown = local.strftime("%H:%M")
        worked += any(start <= shown < end for start, end in week.get(DAYS[local.weekday()], []))
    assert hours(week, zone).between(first, last) == timedelta(minutes=worked)
