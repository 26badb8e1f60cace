"""A queue's settings page keeps everything a queue has, and says at the field what is wrong."""

from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import Group

from accounts.services.calendars import CalendarDefinition
from approvals.models import Queue
from approvals.services import set_up
from audit.models import AuditEvent
from tests.approvals.test_admin_pages_setup import queue_data, signed_in
from tests.factories import admin, person, queue

pytestmark = pytest.mark.django_db

ADDRESS = "/setup/queues/full/edit/"


def full() -> Queue:
    """A queue in which every field has a value of its own."""
    queue("upper")
    Group.objects.get_or_create(name="Seniors: one & all")
    week = {"mon": [["09:00", "17:00"]]}
    set_up.save_calendar(definition=CalendarDefinition(name="Office", week=week), actor=admin())
    return queue(
        "full",
        lease_minutes=7, due_minutes=61, expires_minutes=601, quorum=2, calendar="Office",
        due_by_priority={"urgent": 11, "low": 301}, remind_minutes=5, undo_seconds=9,
        escalation=[{"after": 31, "team": "Seniors: one & all"}, {"after": 62, "queue": "upper"}],
        bulk_amount=Decimal("250.50"), view_seconds={"high": 8, "critical": 20}, reading_rate=40,
        approvals_per_minute=12,
    )  # fmt: skip


def sent_back(page: Any) -> dict[str, Any]:
    """What a browser would send if the form were submitted as it was shown."""
    data: dict[str, Any] = {}
    for form in [page.context["form"], *page.context["reasons"], *page.context["steps"]]:
        for field in form:
            value = field.value()
            if value not in (None, False):
                data[field.html_name] = getattr(value, "pk", value)
    for formset in (page.context["reasons"], page.context["steps"]):
        for field in formset.management_form:
            data[field.html_name] = field.value()
    return data


def test_saving_the_page_as_it_is_changes_nothing() -> None:
    before = set_up.queue_definition(full())
    client = signed_in(admin())
    events = AuditEvent.objects.filter(kind="queue.saved").count()

    response = client.post(ADDRESS, sent_back(client.get(ADDRESS)))

    assert response.status_code == 302, response.context["form"].errors
    assert set_up.queue_definition(Queue.objects.get(slug="full")) == before
    assert AuditEvent.objects.filter(kind="queue.saved").count() == events


def test_every_field_can_be_changed() -> None:
    full()
    queue("other")
    client = signed_in(admin())
    data = {
        **sent_back(client.get(ADDRESS)),
        "calendar": "", "due_minutes": "50", "due_urgent": "", "due_high": "20", "due_low": "70",
        "remind_minutes": "0", "expires_minutes": "800", "undo_seconds": "5", "bulk_amount": "",
        "view_low": "1", "view_critical": "", "reading_rate": "0", "approvals_per_minute": "0",
        "steps-0-after": "90", "steps-0-to": "queue:other", "steps-1-after": "", "steps-1-to": "",
        "steps-2-after": "45", "steps-2-to": "queue:upper",
    }  # fmt: skip

    assert client.post(ADDRESS, data).status_code == 302

    now = set_up.queue_definition(Queue.objects.get(slug="full"))
    assert (now.calendar, now.due_minutes, now.due_by_priority) == ("", 50, {"high": 20, "low": 70})
    assert (now.remind_minutes, now.expires_minutes, now.undo_seconds) == (0, 800, 5)
    assert (now.bulk_amount, now.view_seconds) == (None, {"low": 1, "high": 8})
    assert (now.reading_rate, now.approvals_per_minute, now.quorum, now.lease_minutes) == (0, 0, 2, 7)
    assert now.escalation == [{"after": 45, "queue": "upper"}, {"after": 90, "queue": "other"}]


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"due_low": "700"}, "due_low", "after which it expires"),
        ({"due_minutes": "602"}, "due_minutes", "at most the minutes after which it expires"),
        ({"calendar": "None such"}, "calendar", "valid choice"),
        ({"undo_seconds": "121"}, "undo_seconds", "120"),
        ({"view_high": "121"}, "view_high", "120"),
        ({"bulk_amount": "-1"}, "bulk_amount", "0"),
        ({"bulk_amount": "1.005"}, "bulk_amount", "decimal"),
        ({"remind_minutes": ""}, "remind_minutes", "required"),
        ({"steps-0-after": "601"}, "__all__", "when the proposal has expired"),
        ({"steps-1-to": "queue:full"}, "__all__", "leads back to this queue"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_saved(changes: dict[str, str], field: str, words: str) -> None:
    full()
    client = signed_in(admin())
    data = {**sent_back(client.get(ADDRESS)), **changes}
    before = set_up.queue_definition(Queue.objects.get(slug="full"))

    page = client.post(ADDRESS, data)

    assert page.status_code == 422
    assert words in page.context["form"].errors[field][0]
    assert words in page.content.decode()
    assert set_up.queue_definition(Queue.objects.get(slug="full")) == before


@pytest.mark.parametrize(("after", "to"), [("30", ""), ("", "queue:upper"), ("30", "nowhere")])
def test_half_a_step_and_one_to_nowhere_are_refused(after: str, to: str) -> None:
    full()
    client = signed_in(admin())
    data = {**sent_back(client.get(ADDRESS)), "steps-2-after": after, "steps-2-to": to}
    page = client.post(ADDRESS, data)
    assert page.status_code == 422
    assert page.context["steps"].total_error_count() == 1


def test_a_step_whose_queue_is_gone_is_shown_and_not_dropped_by_saving() -> None:
    full()
    Queue.objects.filter(slug="upper").update(slug="renamed")
    client = signed_in(admin())
    assert "upper is gone" in client.get("/setup/queues/full/").content.decode()
    page = client.post(ADDRESS, sent_back(client.get(ADDRESS)))
    assert page.status_code == 422
    assert "names the queue" in page.context["form"].errors["__all__"][0]


def test_the_settings_are_shown_with_what_they_mean_now() -> None:
    full()
    page = signed_in(person()).get("/setup/queues/full/").content.decode()
    for words in (
        "by Office",
        "After 31 min",
        "tells Seniors: one &amp; all",
        "up to 250.50",
        "12 at most",
        "9 s",
    ):
        assert words in page, words


def test_only_admins_change_it() -> None:
    full()
    assert signed_in(person()).post(ADDRESS, queue_data()).status_code == 403
