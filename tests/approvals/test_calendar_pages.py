"""Calendars over HTTP: typed as people write them, refused where nothing would ever be due."""

from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client

from accounts.models import Calendar, User
from accounts.services.calendars import CalendarDefinition
from accounts.working_time import DAYS
from approvals.services import set_up
from approvals.views.calendars import week_of
from audit.models import AuditEvent
from tests.factories import admin, desk, person

pytestmark = pytest.mark.django_db

ADD = "/setup/calendars/-/add/"


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def typed(**changes: str) -> dict[str, str]:
    days = {**dict.fromkeys(DAYS[:5], "9-12:30, 13.30 – 17:00"), "sat": "", "sun": ""}
    holidays = "2026-12-26\n2026-12-25, 2026-12-25"
    return {
        "name": "Office",
        "team": "",
        "time_zone": "Europe/Berlin",
        "holidays": holidays,
        **days,
        **changes,
    }


def test_an_admin_adds_a_calendar_and_changes_it() -> None:
    Group.objects.create(name="Care")
    client = signed_in(admin())
    assert client.post(ADD, typed(team="Care")).status_code == 302
    calendar = Calendar.objects.get()
    assert calendar.week == {day: [["09:00", "12:30"], ["13:30", "17:00"]] for day in DAYS[:5]}
    assert calendar.holidays == ["2026-12-25", "2026-12-26"]
    assert calendar.team is not None
    assert calendar.team.name == "Care"
    assert week_of(calendar) == [("Monday to Friday", ["09:00-12:30", "13:30-17:00"])]
    page = client.get(f"/setup/calendars/{calendar.pk}/")
    assert 'value="09:00-12:30, 13:30-17:00"' in page.content.decode()
    client.post(f"/setup/calendars/{calendar.pk}/", typed(sat="22:00-24:00", mon="", team="Care"))
    calendar.refresh_from_db()
    assert week_of(calendar) == [
        ("Tuesday to Friday", ["09:00-12:30", "13:30-17:00"]),
        ("Saturday", ["22:00-24:00"]),
    ]
    assert AuditEvent.objects.filter(kind="calendar.saved").count() == 2


@pytest.mark.parametrize("zone", ["Europe/Berlin", "UTC", "US/Pacific"])
def test_the_zone_in_force_is_offered_once_and_chosen(zone: str) -> None:
    week = {"mon": [["09:00", "17:00"]]}
    saved = set_up.save_calendar(
        definition=CalendarDefinition(name="Here", time_zone=zone, week=week), actor=admin()
    )
    page = signed_in(admin()).get(f"/setup/calendars/{saved.pk}/").content.decode()
    assert page.count(f'value="{zone}"') == 1
    assert f'value="{zone}" selected' in page


def test_saving_what_is_there_changes_nothing() -> None:
    client = signed_in(admin())
    client.post(ADD, typed())
    calendar = Calendar.objects.get()
    client.post(f"/setup/calendars/{calendar.pk}/", typed())
    assert AuditEvent.objects.filter(kind="calendar.saved").count() == 1


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        (dict.fromkeys(DAYS, ""), "__all__", "obody works in this week"),
        ({"mon": "9 to"}, "mon", "not a time from-to"),
        ({"mon": "17:00-09:00"}, "mon", "ends before it starts"),
        ({"mon": "9-12, 11-13"}, "mon", "overlaps"),
        ({"mon": "9:00-25:00"}, "mon", "intervals such as"),
        ({"holidays": "Christmas"}, "holidays", "is none"),
        ({"time_zone": "Mars/Base"}, "time_zone", "valid choice"),
        ({"name": "OTHER"}, "name", "another calendar"),
        ({"name": ""}, "name", "required"),
        ({"team": "Nobody"}, "team", "valid choice"),
        ({"team": "Care"}, "team", "calendar of its own"),
    ],
)
def test_what_is_wrong_is_said_at_the_field_and_nothing_is_saved(
    changes: dict[str, str], field: str, words: str
) -> None:
    Group.objects.create(name="Care")
    client = signed_in(admin())
    client.post(ADD, typed(name="Other", team="Care"))
    page = client.post(ADD, typed(**changes))
    assert page.status_code == 422
    assert words in page.context["form"].errors[field][0]
    assert words in page.content.decode()
    assert list(Calendar.objects.values_list("name", flat=True)) == ["Other"]


def test_the_list_shows_week_and_queues_to_everybody_and_edits_for_admins_only() -> None:
    the = desk()
    boss = signed_in(admin())
    boss.post(ADD, typed())
    values: dict[str, Any] = {**set_up.queue_definition(the.queue).__dict__, "calendar": "Office"}
    set_up.save_queue(definition=set_up.QueueDefinition(**values), actor=admin())
    calendar = Calendar.objects.get()
    page = signed_in(person()).get("/setup/calendars/").content.decode()
    assert "Monday to Friday" in page
    assert the.queue.name in page
    assert f"/setup/calendars/{calendar.pk}/" not in page
    stranger = signed_in(person())
    assert stranger.get(f"/setup/calendars/{calendar.pk}/").status_code == 403
    assert stranger.post(f"/setup/calendars/{calendar.pk}/", typed(name="Mine")).status_code == 403
    assert stranger.post(ADD, typed(name="Mine")).status_code == 403
    assert Calendar.objects.get().name == "Office"
