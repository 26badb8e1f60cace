"""Who is told what, by which way and when: pure rules, by tables and properties."""

import json
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from approvals.messages import choices
from approvals.messages.choices import EMAIL, Choice, Digest, Topic, not_before

BERLIN = ZoneInfo("Europe/Berlin")
NIGHT = (time(22), time(7))
NOON = (time(12), time(13))
CHAT = choices.chat_way(7)


def berlin(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN)


@pytest.mark.parametrize(
    ("now", "topic", "way", "choice", "expected"),
    [
        # No quiet hours, no digest: at once.
        ("2026-06-10 15:20", Topic.ASSIGNED, EMAIL, Choice(), "2026-06-10 15:20"),
        ("2026-06-10 03:20", Topic.ASSIGNED, CHAT, Choice(), "2026-06-10 03:20"),
        # Quiet hours over midnight: before, in the evening, at night, at their end.
        ("2026-06-10 21:59", Topic.ASSIGNED, CHAT, Choice(quiet=NIGHT), "2026-06-10 21:59"),
        ("2026-06-10 22:00", Topic.ASSIGNED, CHAT, Choice(quiet=NIGHT), "2026-06-11 07:00"),
        ("2026-06-10 06:59", Topic.ASSIGNED, CHAT, Choice(quiet=NIGHT), "2026-06-10 07:00"),
        ("2026-06-10 07:00", Topic.ASSIGNED, CHAT, Choice(quiet=NIGHT), "2026-06-10 07:00"),
        # Quiet hours within a day.
        ("2026-06-10 12:30", Topic.ASSIGNED, EMAIL, Choice(quiet=NOON), "2026-06-10 13:00"),
        ("2026-06-10 13:00", Topic.ASSIGNED, EMAIL, Choice(quiet=NOON), "2026-06-10 13:00"),
        # Urgent topics break quiet hours only by choice, and others never do.
        ("2026-06-10 23:00", Topic.OVERDUE, EMAIL, Choice(quiet=NIGHT), "2026-06-11 07:00"),
        (
            "2026-06-10 23:00",
            Topic.OVERDUE,
            EMAIL,
            Choice(quiet=NIGHT, urgent_at_once=True),
            "2026-06-10 23:00",
        ),
        (
            "2026-06-10 23:00",
            Topic.ESCALATED,
            CHAT,
            Choice(quiet=NIGHT, urgent_at_once=True),
            "2026-06-10 23:00",
        ),
        (
            "2026-06-10 23:00",
            Topic.DUE_SOON,
            CHAT,
            Choice(quiet=NIGHT, urgent_at_once=True),
            "2026-06-11 07:00",
        ),
        # A digest gathers e-mails alone, and nothing urgent.
        ("2026-06-10 15:20", Topic.ASSIGNED, EMAIL, Choice(digest=Digest.HOURLY), "2026-06-10 16:00"),
        ("2026-06-10 15:20", Topic.ASSIGNED, CHAT, Choice(digest=Digest.HOURLY), "2026-06-10 15:20"),
        ("2026-06-10 15:20", Topic.OVERDUE, EMAIL, Choice(digest=Digest.HOURLY), "2026-06-10 15:20"),
        ("2026-06-10 07:59", Topic.ASSIGNED, EMAIL, Choice(digest=Digest.DAILY), "2026-06-10 08:00"),
        ("2026-06-10 08:00", Topic.ASSIGNED, EMAIL, Choice(digest=Digest.DAILY), "2026-06-11 08:00"),
        # A digest that falls into quiet hours comes at their end.
        (
            "2026-06-10 21:20",
            Topic.ASSIGNED,
            EMAIL,
            Choice(digest=Digest.HOURLY, quiet=NIGHT),
            "2026-06-11 07:00",
        ),
        (
            "2026-06-10 15:20",
            Topic.ASSIGNED,
            EMAIL,
            Choice(digest=Digest.DAILY, digest_hour=12, quiet=NOON),
            "2026-06-11 13:00",
        ),
        # The clocks change: eight in the morning is eight in the morning, and a missing half past two is past.
        ("2026-03-28 09:00", Topic.ASSIGNED, EMAIL, Choice(digest=Digest.DAILY), "2026-03-29 08:00"),
        ("2026-10-24 09:00", Topic.ASSIGNED, EMAIL, Choice(digest=Digest.DAILY), "2026-10-25 08:00"),
        ("2026-03-29 01:30", Topic.ASSIGNED, CHAT, Choice(quiet=(time(1), time(2, 30))), "2026-03-29 03:30"),
        ("2026-10-24 23:00", Topic.ASSIGNED, CHAT, Choice(quiet=NIGHT), "2026-10-25 07:00"),
    ],
)
def test_not_before(now: str, topic: Topic, way: str, choice: Choice, expected: str) -> None:
    found = not_before(choice, topic=topic, way=way, now=berlin(now), zone=BERLIN)
    assert found.astimezone(UTC) == berlin(expected).astimezone(UTC)


def test_the_hour_that_comes_twice_stays_quiet_both_times() -> None:
    second = datetime(2026, 10, 25, 2, 10, tzinfo=BERLIN, fold=1)
    found = not_before(
        Choice(quiet=(time(1), time(2, 30))), topic=Topic.ASSIGNED, way=CHAT, now=second, zone=BERLIN
    )
    assert found.astimezone(UTC) == datetime(2026, 10, 25, 1, 30, tzinfo=UTC)


_times = st.times(timezones=st.none()).map(lambda moment: moment.replace(second=0, microsecond=0, fold=0))
_choices = st.builds(
    Choice,
    quiet=st.none() | st.tuples(_times, _times).filter(lambda pair: pair[0] != pair[1]),
    urgent_at_once=st.booleans(),
    digest=st.sampled_from(Digest),
    digest_hour=st.integers(0, 23),
)
_zones = st.sampled_from(
    ["UTC", "Europe/Berlin", "America/St_Johns", "Asia/Kathmandu", "Pacific/Apia", "Australia/Lord_Howe"]
).map(ZoneInfo)
_moments = st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC))


@given(_choices, st.sampled_from(Topic), st.sampled_from([EMAIL, CHAT]), _moments, _zones)
def test_never_earlier_than_now_never_later_than_two_days_and_never_in_quiet_hours(
    choice: Choice, topic: Topic, way: str, now: datetime, zone: ZoneInfo
) -> None:
    found = not_before(choice, topic=topic, way=way, now=now, zone=zone)
    assert now <= found <= now + timedelta(days=2, hours=2)
    if choice.quiet and not (topic in choices.URGENT and choice.urgent_at_once):
        start, end = choice.quiet
        clock = found.astimezone(zone).time()
        inside = start <= clock < end if start < end else clock >= start or clock < end
        jump = found.astimezone(zone).utcoffset() != (found - timedelta(hours=2)).astimezone(zone).utcoffset()
        assert not inside or jump, "only where the clocks change may the end of quiet hours be another hour"


@given(_choices)
def test_a_choice_survives_being_stored(choice: Choice) -> None:
    assert choices.read({"notify": json.loads(json.dumps(choice.stored()))}) == choice


@pytest.mark.parametrize(
    "stored",
    [
        None,
        "x",
        [],
        {"ways": "x", "quiet": "x", "digest": "weekly", "digest_hour": 99},
        {"ways": {"assigned": 3, "nonsense": ["email"]}, "quiet": ["25:00", "x"], "digest": ["off"]},
        {"quiet": ["08:00", "08:00"], "digest_hour": "8"},
    ],
)
def test_preferences_that_make_no_sense_count_as_not_chosen(stored: object) -> None:
    assert choices.read({"notify": stored}) == Choice()


def test_every_kind_has_words_and_an_unknown_one_too() -> None:
    assert {str(topic) for topic in Topic} <= set(choices.WORDS)
    assert choices.words("from_an_earlier_release").subject == "From an earlier release"


def test_a_way_is_given_to_the_named_topics_and_taken_from_the_others() -> None:
    choice = Choice().with_way(CHAT, [Topic.OVERDUE]).with_way(CHAT, [Topic.PACING])
    assert [topic for topic in Topic if CHAT in choice.ways[topic]] == [Topic.PACING]
    assert choice.ways[Topic.ASSIGNED] == {EMAIL}
    assert choices.chat_address_id(CHAT) == 7
    assert choices.chat_address_id(EMAIL) is None
