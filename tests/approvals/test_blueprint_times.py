"""What a blueprint says of time and pace: calendars, chains among its own queues, and what it leaves alone."""

from decimal import Decimal

import pytest
from django.contrib.auth.models import Group

from accounts.models import User
from approvals.blueprint import BlueprintRefused
from approvals.models import Queue
from approvals.services import load_blueprint, set_up
from tests.approvals.test_blueprint import GOOD

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def owner() -> None:
    User.objects.create_user("ann@example.com", "a long password", name="Ann")


def load(text: str) -> load_blueprint.Plan:
    return load_blueprint.load(data=text.encode(), name="shop.yaml")


TIMED = """\
calendars:
  - name: Office
    time_zone: Europe/Berlin
    week: {mon: ["09:00-12:30", "13:30-17:00"], sat: []}
    holidays: ["2026-12-26", "2026-12-25"]
queues:
  - slug: refunds
    name: Refunds
    calendar: Office
    due_by_priority: {urgent: 30}
    remind_minutes: 15
    escalation: [{after: 60, team: Seniors}, {after: 90, queue: large}]
    undo_seconds: 5
    bulk_amount: "99.5"
    view_seconds: {critical: 10}
    reading_rate: 50
    approvals_per_minute: 20
  - {slug: large, name: Large, calendar: Office, bulk_amount: 10}
"""


def timed(text: str = TIMED) -> str:
    start, end = GOOD.index("queues:"), GOOD.index("action_types:")
    return GOOD[:start] + text + GOOD[end:]


def test_load_calendars_and_chains_among_the_queues_of_one_file() -> None:
    Group.objects.create(name="Seniors")
    plan = load(timed())
    assert [(change.verb, change.thing, change.name) for change in plan.changes[:3]] == [
        ("created", "calendar", "Office"),
        ("created", "queue", "refunds"),
        ("created", "queue", "large"),
    ]
    refunds, large = Queue.objects.get(slug="refunds"), Queue.objects.get(slug="large")
    assert refunds.calendar is not None
    assert refunds.calendar.week == {"mon": [["09:00", "12:30"], ["13:30", "17:00"]]}
    assert refunds.calendar.holidays == ["2026-12-25", "2026-12-26"]
    assert refunds.escalation == [{"after": 60, "team": "Seniors"}, {"after": 90, "queue": "large"}]
    assert (refunds.due_by_priority, refunds.view_seconds) == ({"urgent": 30}, {"critical": 10})
    assert (refunds.bulk_amount, large.bulk_amount) == (Decimal("99.50"), Decimal("10.00"))
    assert (refunds.remind_minutes, refunds.undo_seconds) == (15, 5)
    assert (refunds.reading_rate, refunds.approvals_per_minute) == (50, 20)
    assert not load(timed()).is_needed


def test_load_leaves_times_and_pace_alone_where_the_file_is_silent() -> None:
    Group.objects.create(name="Seniors")
    load(timed())
    before = set_up.queue_definition(Queue.objects.get(slug="refunds"))
    load(timed("queues:\n  - {slug: refunds, name: Refunds}\n  - {slug: large, name: Large}\n"))
    assert set_up.queue_definition(Queue.objects.get(slug="refunds")) == before


@pytest.mark.parametrize(
    ("old", "new", "path", "words"),
    [
        ("queue: large", "queue: huge", "/queues/0/escalation", "'huge', which does not exist"),
        ("team: Seniors", "team: Juniors", "/queues/0/escalation", "'Juniors', which does not exist"),
        ("calendar: Office\n", "calendar: Home\n", "/queues/0/calendar", "no such calendar"),
        (
            "name: Large,",
            "name: Large, escalation: [{after: 5, queue: refunds}],",
            "/queues/1/escalation",
            "back",
        ),
        ("urgent: 30", "urgent: 9000", "/queues/0/due_by_priority", "after which it expires"),
        ("    week: {mon", "    team: Nobody\n    week: {mon", "/calendars/0/team", "no such team"),
        ("12:30", "08:30", "/calendars/0/week/mon", "ends before it starts"),
        ("Europe/Berlin", "Europe/Utopia", "/calendars/0/time_zone", "time zone"),
        ("sat: []", 'sat: ["9-12"]', "/calendars/0/week/sat/0", "does not match"),
        ("2026-12-26", "2026-12-36", "/calendars/0/holidays/0", "not a"),
    ],
)
def test_load_names_faults_of_calendars_and_chains(old: str, new: str, path: str, words: str) -> None:
    Group.objects.create(name="Seniors")
    text = timed()
    assert old in text
    with pytest.raises(BlueprintRefused) as caught:
        load(text.replace(old, new, 1))
    found = [(fault.path, fault.message) for fault in caught.value.faults]
    assert any(at == path and words in message for at, message in found), found
    assert not Queue.objects.exists()
