"""Calendars, absences and a queue's settings in a browser: usable without JavaScript, sound in both themes."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.utils import timezone
from playwright.sync_api import Browser, expect

from accounts.models import Absence, Calendar, User
from accounts.services import absences
from accounts.services.calendars import CalendarDefinition
from approvals.models import Queue
from approvals.services import set_up
from tests.browser import NARROW, WIDE, faults, signed_in, watched
from tests.factories import admin, person, queue

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
LONG = "Abteilung für außerordentlich lange Bezeichnungen " * 2


def company() -> User:
    """Calendars, a queue with everything set, and people away, one with absurdly long words."""
    boss = admin()
    team = Group.objects.create(name=LONG[:90].strip())
    Group.objects.create(name="Senior reviewers")
    office = {day: [["08:30", "12:30"], ["13:15", "17:30"]] for day in ("mon", "tue", "wed", "thu", "fri")}
    nights = {**office, "sat": [["00:00", "06:00"], ["22:00", "24:00"]]}
    for definition in (
        CalendarDefinition(name="Office", time_zone="Europe/Amsterdam", week=office, holidays=["2026-12-25"]),
        CalendarDefinition(
            name=LONG[:100].strip(), time_zone="America/Argentina/ComodRivadavia", week=nights, team=team.name
        ),
    ):
        set_up.save_calendar(definition=definition, actor=boss)
    queue("upper")
    queue(
        "full", calendar="Office", due_by_priority={"urgent": 20, "high": 60, "low": 900}, undo_seconds=5,
        escalation=[{"after": 120, "team": "Senior reviewers"}, {"after": 300, "queue": "upper"}],
        view_seconds={"high": 4, "critical": 10}, reading_rate=50, approvals_per_minute=12, bulk_amount=100,
    )  # fmt: skip
    now = timezone.now()
    for number, (name, delegate) in enumerate(((LONG[:80], "Dora Delegate"), ("Anna Away", LONG[:60]))):
        absences.enter(
            person_id=person(name).pk, delegate_id=person(delegate).pk, note=LONG[:190].strip() if number else "Leave",
            starts_at=now + timedelta(days=number), ends_at=now + timedelta(days=9), actor=boss,
        )  # fmt: skip
    absences.enter(
        person_id=boss.pk, delegate_id=None, starts_at=now, ends_at=now + timedelta(days=1), actor=boss
    )
    absences.enter(
        person_id=person("Nora Next").pk,
        delegate_id=boss.pk,
        starts_at=now,
        ends_at=now + timedelta(days=2),
        actor=boss,
    )
    return boss


def test_every_page_about_time_is_sound_in_both_themes_and_widths(chrome: Browser, url: str) -> None:
    boss = company()
    calendar = Calendar.objects.get(name="Office")
    addresses = {
        "calendars": "/setup/calendars/", "calendar": f"/setup/calendars/{calendar.pk}/", "absence": "/absence/",
        "absences": "/absences/", "queue": "/setup/queues/full/", "queue_edit": "/setup/queues/full/edit/",
    }  # fmt: skip
    found: dict[str, list[str]] = {}
    for theme in ("light", "dark"):
        for size in (WIDE, NARROW):
            context = signed_in(chrome, url, boss, viewport=size, color_scheme=theme, reduced_motion="reduce")
            page, complaints = watched(context)
            for name, address in addresses.items():
                page.goto(address)
                label = f"time-{name}-{theme}-{size['width']}"
                found[label] = faults(page, label)
            assert complaints == []
            context.close()
    assert {label: fault for label, fault in found.items() if fault} == {}


def test_a_calendar_a_chain_and_an_absence_are_written_down_without_javascript(
    chrome: Browser, url: str
) -> None:
    boss, delegate = admin(), person("Dora Delegate")
    queue("upper")
    queue("refunds")
    page = signed_in(chrome, url, boss, viewport=NARROW, java_script_enabled=False).new_page()
    page.goto("/setup/calendars/")
    expect(page.get_by_role("heading", name="No calendars yet")).to_be_visible()
    page.get_by_role("link", name="Add a calendar").click()
    page.get_by_label("Name").fill("Office")
    page.get_by_label("Time zone").select_option("Europe/Amsterdam")
    page.get_by_label("Monday").fill("17:00-09:00")
    page.get_by_role("button", name="Save the calendar").click()
    expect(page.get_by_text("ends before it starts")).to_be_visible()
    page.get_by_label("Monday").fill("9-12:30, 13:15-17:00")
    page.get_by_role("button", name="Save the calendar").click()
    expect(page.get_by_role("cell").filter(has_text="09:00-12:30, 13:15-17:00")).to_be_visible()

    page.goto("/setup/queues/refunds/edit/")
    page.get_by_label("Calendar").select_option("Office")
    step = page.get_by_role("group", name="Step 1")
    step.get_by_label("After, in minutes").fill("60")
    step.get_by_label("Hand on to a queue").select_option("queue:upper")
    page.get_by_role("button", name="Save the queue").click()
    expect(page.get_by_text("After 60 min")).to_be_visible()
    saved = Queue.objects.get(slug="refunds")
    assert (str(saved.calendar), saved.escalation) == ("Office", [{"after": 60, "queue": "upper"}])

    page.goto("/absence/")
    until = timezone.now() + timedelta(days=3)
    page.get_by_label("Until").fill(until.strftime("%Y-%m-%dT%H:%M"))
    page.get_by_label("Delegate").select_option(label=str(delegate))
    page.get_by_role("button", name="Write it down").click()
    expect(page.get_by_text("away now")).to_be_visible()
    assert Absence.objects.get().delegate == delegate
    page.get_by_role("button", name="End it now").click()
    expect(page.get_by_role("heading", name="You are here")).to_be_visible()
