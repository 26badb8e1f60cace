"""An open page and the end of its session: warned of, kept by one key, and over without anything typed being lost.

The browser's clock is wound on, and the session's row is wound back as far; nobody waits."""

from datetime import timedelta

import pytest
from allauth.usersessions.models import UserSession
from django.core.cache import cache
from django.utils import timezone
from playwright.sync_api import Browser, Page, expect

from accounts.models import User
from tests.browser import arrived, faults, leaving, ready, signed_in
from tests.factories import admin

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
WARNED = "28:02"
"""Minutes after which a page whose session is good for thirty asks how long it still is."""


@pytest.fixture
def boss() -> User:
    cache.clear()
    return admin()


@pytest.fixture
def page(chrome: Browser, url: str, boss: User) -> Page:
    """A form in which an admin has begun to type."""
    found = signed_in(chrome, url, boss).new_page()
    found.clock.install()
    found.goto("/people/invite/")
    arrived(found, "Invite a person")
    found.get_by_label("Name").fill("Nora New")
    return found


def age(user: User, *, idle: timedelta, since: timedelta | None = None) -> None:
    """As if the person had done nothing for `idle`, and had signed in `since` ago."""
    now = timezone.now()
    rows = UserSession.objects.filter(user=user)
    assert rows.update(last_seen_at=now - idle, created_at=now - (since or idle)) == 1


def test_it_warns_two_minutes_before_the_end_and_one_key_keeps_the_session(page: Page, boss: User) -> None:
    bar = page.locator("#session-bar")
    expect(bar).to_have_count(0)
    age(boss, idle=timedelta(minutes=28, seconds=2))
    page.clock.fast_forward(WARNED)
    expect(bar).to_contain_text("in two minutes you are signed out. Press any key to stay.")
    expect(bar).to_have_attribute("role", "alert")
    assert faults(page, "session-warned") == []

    page.get_by_label("Name").press("End")

    expect(bar).to_have_count(0)
    assert timezone.now() - UserSession.objects.get(user=boss).last_seen_at < timedelta(minutes=5)
    expect(page.get_by_label("Name")).to_have_value("Nora New")
    expect(page.get_by_label("Name")).to_be_focused()


def test_twelve_hours_are_warned_of_and_no_key_prolongs_them(page: Page, boss: User) -> None:
    bar = page.locator("#session-bar")
    age(boss, idle=timedelta(minutes=2), since=timedelta(hours=11, minutes=58, seconds=10))
    page.clock.fast_forward(WARNED)
    expect(bar).to_contain_text("Twelve hours have gone by since you signed in")
    with page.expect_response("**/account/session/stay/"):
        page.get_by_label("Name").press("End")
    expect(bar).to_contain_text("Twelve hours have gone by")
    page.get_by_role("button", name="Understood").click()
    expect(bar).to_have_count(0)
    assert timezone.now() - UserSession.objects.get(user=boss).created_at > timedelta(hours=11, minutes=58)


def test_a_page_whose_session_is_over_says_so_and_what_was_typed_is_sent_after_signing_in(
    page: Page, boss: User
) -> None:
    bar, name = page.locator("#session-bar"), page.get_by_label("Name")
    page.get_by_label("E-mail address").fill("nora@example.com")
    age(boss, idle=timedelta(minutes=31))
    page.clock.fast_forward(WARNED)
    expect(bar).to_contain_text("You are signed out. What you typed is still here")
    assert faults(page, "session-over") == []

    with page.context.expect_page() as opened:
        bar.get_by_role("link", name="Sign in again").click()
    beside = opened.value
    ready(beside)
    beside.get_by_label("E-mail address").fill(boss.email)
    beside.get_by_label("Password").fill("a long password")
    with leaving(beside):
        beside.get_by_role("button", name="Sign in", exact=True).press("Enter")
    beside.close()
    page.bring_to_front()
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")  # a headless tab is never hidden

    expect(bar).to_have_count(0)
    expect(name).to_have_value("Nora New")
    with leaving(page):
        page.get_by_role("button", name="Invite").click()
    assert User.objects.filter(email="nora@example.com", name="Nora New").exists()
