"""When a proposal is due, expires, and calls for attention: by priority, by calendar, by the queue's chain."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import Calendar
from accounts.services.calendars import CalendarDefinition
from agents.autonomy import Tier
from approvals import deadlines
from approvals.deadlines import Call
from approvals.models import Priority, Proposal, Queue, Verdict
from approvals.services import amend, set_up
from tests.factories import admin, desk, queue

WEEK = {day: [["09:00", "17:00"]] for day in ("mon", "tue", "wed", "thu", "fri")}


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("Europe/Berlin"))


def made(**fields: Any) -> Queue:
    """A queue as loaded, without a database."""
    calendar = Calendar(name="Office", time_zone="Europe/Berlin", week=WEEK, holidays=["2026-12-25"])
    values: dict[str, Any] = {"due_minutes": 120, "expires_minutes": 2400, "calendar": calendar}
    return Queue(slug="q", **{**values, **fields})


@pytest.mark.parametrize(
    ("priority", "due"),
    [
        (Priority.URGENT, "2026-11-27 16:50"),
        (Priority.HIGH, "2026-11-30 10:30"),
        (Priority.NORMAL, "2026-11-30 10:30"),
        (Priority.LOW, "2026-12-01 16:30"),
    ],
)
def test_due_times_go_by_priority_in_working_time(priority: int, due: str) -> None:
    one = made(due_by_priority={"urgent": 20, "low": 960})
    assert deadlines.due_at(one, priority, at("2026-11-27 16:30")) == at(due)


def test_without_a_calendar_minutes_go_by_the_clock() -> None:
    one = made(calendar=None)
    start = at("2026-11-27 16:30")
    assert deadlines.due_at(one, Priority.NORMAL, start) == start + timedelta(minutes=120)
    assert deadlines.expires_at(one, start) == start + timedelta(minutes=2400)


def test_nothing_expires_while_nobody_works() -> None:
    one = made(expires_minutes=240, due_minutes=120)
    assert deadlines.expires_at(one, at("2026-12-24 15:00")) == at("2026-12-28 11:00")


def test_calls_come_in_order_and_in_working_time() -> None:
    one = made(
        remind_minutes=30,
        escalation=[{"after": 240, "team": "Seniors"}, {"after": 300, "queue": "next"}],
    )
    start = at("2026-11-27 15:30")
    due = deadlines.due_at(one, Priority.NORMAL, start)
    assert deadlines.calls(one, since=start, due=due) == [
        Call(at("2026-11-30 09:00"), "due_soon"),
        Call(at("2026-11-30 09:30"), "overdue"),
        Call(at("2026-11-30 11:30"), "escalate", 1),
        Call(at("2026-11-30 12:30"), "escalate", 2),
    ]
    following = [deadlines.attention_at(one, since=start, due=due)]
    while following[-1] is not None:
        following.append(deadlines.attention_at(one, since=start, due=due, attended=following[-1]))
    assert following == [
        at("2026-11-30 09:00"), at("2026-11-30 09:30"), at("2026-11-30 11:30"), at("2026-11-30 12:30"), None,
    ]  # fmt: skip


@pytest.mark.parametrize("remind", [0, 120, 500])
def test_no_reminder_where_it_is_off_or_would_come_at_once(remind: int) -> None:
    one = made(remind_minutes=remind)
    start = at("2026-11-24 10:00")
    assert deadlines.calls(one, since=start, due=at("2026-11-24 12:00")) == [
        Call(at("2026-11-24 12:00"), "overdue")
    ]


@given(
    st.lists(st.integers(1, 3000), max_size=5, unique=True),
    st.integers(0, 400),
    st.integers(1, 2000),
    st.booleans(),
    st.lists(st.integers(1, 4000), max_size=12),
)
def test_however_late_or_often_the_clock_ticks_every_call_comes_once(
    after: list[int], remind: int, due_minutes: int, by_clock: bool, ticks: list[int]
) -> None:
    """What a run attends to is what lies between the run before and itself; `attention_at` misses none of it."""
    chain = [{"after": minutes, "team": "T"} for minutes in sorted(after)]
    extra: dict[str, Any] = {"calendar": None} if by_clock else {}
    one = made(remind_minutes=remind, due_minutes=due_minutes, escalation=chain, **extra)
    since = at("2026-11-27 15:30")
    due = deadlines.due_at(one, Priority.NORMAL, since)
    calls = deadlines.calls(one, since=since, due=due)
    attended, attention, done = since, deadlines.attention_at(one, since=since, due=due), []
    for moment in [
        *(since + timedelta(minutes=number * 7) for number in sorted(ticks)),
        at("2027-06-01 00:00"),
    ]:
        if attention is None or attention > moment:
            assert not [call for call in calls if attended < call.at <= moment], "nothing was missed"
            continue
        done += [call for call in calls if attended < call.at <= moment]
        attended = moment
        attention = deadlines.attention_at(one, since=since, due=due, attended=moment)
    assert done == calls


def test_what_was_overdue_before_is_not_overdue_again() -> None:
    start = at("2026-11-24 10:00")
    assert deadlines.calls(made(), since=start, due=start) == []
    assert deadlines.attention_at(made(), since=start, due=start) is None


def test_handing_on_gives_no_more_time() -> None:
    start = at("2026-11-24 10:00")
    proposal = Proposal(priority=Priority.NORMAL)
    deadlines.enter(proposal, made(due_minutes=60), at=start)
    expires = proposal.expires_at
    deadlines.hand_on(proposal, made(due_minutes=900), at=at("2026-11-24 10:30"))
    assert (proposal.due_at, proposal.expires_at) == (at("2026-11-24 11:00"), expires)
    deadlines.hand_on(proposal, made(due_minutes=5), at=at("2026-11-24 10:40"))
    assert (proposal.due_at, proposal.queued_at) == (at("2026-11-24 10:45"), at("2026-11-24 10:40"))


def test_a_zone_the_machine_does_not_know_is_read_as_utc() -> None:
    calendar = Calendar(name="Moved", time_zone="Europe/Atlantis", week=WEEK)
    one = made(calendar=calendar, due_minutes=60)
    start = datetime(2026, 11, 24, 16, 30, tzinfo=UTC)
    assert deadlines.due_at(one, Priority.NORMAL, start) == datetime(2026, 11, 25, 9, 30, tzinfo=UTC)


@pytest.mark.django_db
def test_a_submitted_proposal_gets_its_times_from_queue_priority_and_calendar() -> None:
    the = desk()
    office = CalendarDefinition(name="Office", time_zone="Europe/Berlin", week=WEEK)
    set_up.save_calendar(definition=office, actor=admin())
    saved = set_up.queue_definition(the.queue)
    changed: dict[str, Any] = {**saved.__dict__, "calendar": "Office", "due_by_priority": {"urgent": 7}}
    set_up.save_queue(definition=set_up.QueueDefinition(**changed), actor=admin())
    stored = Calendar.objects.get().hours

    urgent, normal = the.propose(priority="urgent"), the.propose(expires_in=60)

    for proposal, minutes in ((urgent, 7), (normal, 240)):
        assert proposal.queued_at == proposal.created_at
        assert proposal.due_at == stored.add(proposal.created_at, minutes)
        assert proposal.attended_at is None
    assert urgent.attention_at == urgent.due_at, "seven minutes are less than the reminder's thirty"
    assert normal.attention_at == stored.back(stored.add(normal.created_at, 240), 30)
    assert urgent.expires_at == stored.add(urgent.created_at, 2880)
    assert normal.expires_at == normal.created_at + timedelta(seconds=60)


@pytest.mark.django_db
def test_a_changed_calendar_counts_from_the_next_proposal_in_every_process() -> None:
    """The cached queue of this process is thrown away by the new authority number."""
    the = desk()
    always = {day: [["00:00", "24:00"]] for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")}
    office = CalendarDefinition(name="Always", week=always)
    calendar = set_up.save_calendar(definition=office, actor=admin())
    saved = set_up.queue_definition(the.queue)
    set_up.save_queue(
        definition=set_up.QueueDefinition(**{**saved.__dict__, "calendar": "Always"}), actor=admin()
    )
    before = the.propose()
    days = [(timezone.now() + timedelta(days=number)).date().isoformat() for number in range(-1, 3)]
    off = CalendarDefinition(name="Always", week=always, holidays=days)
    set_up.save_calendar(definition=off, calendar_id=calendar.pk, actor=admin())
    after = the.propose()
    assert before.due_at == before.created_at + timedelta(minutes=240)
    assert after.due_at is not None
    assert after.due_at > after.created_at + timedelta(days=2)


@pytest.mark.django_db
def test_what_no_person_is_asked_about_calls_for_no_attention() -> None:
    the = desk(Tier.ON_THE_LOOP, veto_seconds=60)
    proposal = the.propose()
    assert (proposal.state, proposal.attention_at, proposal.queued_at) == ("scheduled", None, None)


@pytest.mark.django_db
def test_an_answered_question_starts_the_time_anew() -> None:
    the = desk()
    proposal = the.propose()
    the.decide(proposal, Verdict.RETURN)
    Proposal.objects.update(attended_at=timezone.now(), attention_at=None)
    amend.revise(proposal_id=proposal.pk, agent=the.agent, arguments={"order_id": "B", "amount": 1}, reply="")
    again = Proposal.objects.get()
    assert again.queued_at is not None
    assert again.queued_at > proposal.created_at
    assert again.due_at == again.queued_at + timedelta(minutes=240)
    assert again.attention_at == again.queued_at + timedelta(minutes=210)
    assert again.attended_at is None


CHAINS: list[tuple[list[dict[str, Any]], str]] = [
    ([{"after": 10, "queue": "chained-a"}], "leads back to this queue"),
    ([{"after": 10, "queue": "nowhere"}], "'nowhere', which does not exist"),
    ([{"after": 10, "team": "nobody"}], "'nobody', which does not exist"),
    ([{"after": 10}], "either a queue or a team"),
    ([{"after": 10, "queue": "chained-b", "team": "x"}], "either a queue or a team"),
    ([{"after": 0, "queue": "chained-b"}], "minutes after those of the step before"),
    ([{"after": 9, "queue": "chained-b"}, {"after": 9, "queue": "chained-b"}], "step 2 needs minutes"),
    ([{"after": "9", "queue": "chained-b"}], "needs minutes"),
    ([{"after": 2880, "queue": "chained-b"}], "when the proposal has expired"),
]


@pytest.mark.django_db
@pytest.mark.parametrize(("chain", "words"), CHAINS)
def test_a_chain_that_cannot_be_followed_is_refused(chain: list[dict[str, Any]], words: str) -> None:
    queue("chained-b")
    definition = set_up.QueueDefinition(slug="chained-a", name="A", domain="x", escalation=chain)
    [fault] = set_up.queue_faults(definition)
    assert fault["field"] == "escalation"
    assert words in fault["message"]


@pytest.mark.django_db
def test_a_chain_never_leads_back_however_long_the_way() -> None:
    queue("last")
    queue("middle", escalation=[{"after": 5, "queue": "last"}])
    queue("first", escalation=[{"after": 5, "queue": "middle"}])
    definition = set_up.QueueDefinition(
        slug="last", name="Last", domain="x", escalation=[{"after": 5, "queue": "first"}]
    )
    [fault] = set_up.queue_faults(definition)
    assert fault["message"] == "step 1 leads back to this queue by way of first and middle"


@pytest.mark.django_db
def test_due_after_it_expires_is_refused() -> None:
    definition = set_up.QueueDefinition(
        slug="q", name="Q", domain="x", due_minutes=61, expires_minutes=60, due_by_priority={"low": 90}
    )
    assert [fault["field"] for fault in set_up.queue_faults(definition)] == ["due_minutes", "due_by_priority"]
