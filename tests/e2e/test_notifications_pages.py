"""Notifications in Chromium: the bell rings without a reload, everything by keyboard and without JavaScript, axe finds
nothing in both themes, nothing sticks out at 390 px."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.db import transaction
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright

from accounts.models import User
from approvals.messages.choices import Topic
from approvals.models import ChatAddress, Delivery, Notification
from approvals.notifications import tell
from approvals.services import choose_notifications, deliver
from tests import browser
from tests.factories import Desk, admin, desk, person
from tests.live import serving
from tests.smtp import MailServer, receiving

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
WIDE, NARROW = {"width": 1360, "height": 900}, {"width": 390, "height": 844}
PICTURES = os.environ.get("COUNTERSIGN_PICTURES", "")
SLACK = "https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"
LONG = "Rückerstattung an ÄÖÜ " + "x" * 120 + " \u202eevil\u200b שלום " + "wort " * 30


@pytest.fixture
def url() -> Iterator[str]:
    with serving() as address:
        yield address


@pytest.fixture(scope="module")
def chrome(chromium: str) -> Iterator[Browser]:
    os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "1")  # Playwright's loop runs in the test's own thread
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=chromium, args=list(browser.ARGUMENTS))


@pytest.fixture
def mailbox(settings: Any) -> Iterator[MailServer]:
    with receiving() as server:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", server.port
        settings.MAIL = replace(settings.MAIL, host="127.0.0.1")
        yield server


def signed_in(chrome: Browser, url: str, user: User, **options: Any) -> BrowserContext:
    client = Client()
    client.force_login(user)
    context = chrome.new_context(base_url=url, **options)
    context.add_cookies([{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": url}])
    return context


def watched(context: BrowserContext) -> tuple[Page, list[str]]:
    page = context.new_page()
    complaints: list[str] = []

    def heard(message: ConsoleMessage) -> None:
        complaints.append(f"{message.type}: {message.text}")

    page.on("console", heard)
    page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
    return page, complaints


def told(the: Desk, topic: Topic, text: str, key: str) -> None:
    with transaction.atomic():
        tell([the.reviewer.pk], topic=topic, text=text, key=key, proposal=the.propose())


def full(the: Desk, mailbox: MailServer) -> None:
    """Everything a person can have: many kinds, very long texts, addresses, messages that did not arrive."""
    for number, topic in enumerate(Topic):
        told(the, topic, f"{topic}: Refund 42.5 for order A-{number}", f"k{number}")
    told(the, Topic.MENTIONED, LONG, "long")
    choose_notifications.add_chat_address(person=the.reviewer, label="Team channel", address=SLACK)
    mailbox.answer["RCPT TO"] = "550 5.1.1 no such user here, says mx.example.com"
    deliver.send_due()


def test_the_bell_rings_and_the_notification_opens_by_keyboard(chrome: Browser, url: str) -> None:
    the = desk()
    page, complaints = watched(signed_in(chrome, url, the.reviewer, viewport=WIDE))
    page.goto("/queues/")
    bell = page.locator("#bell")
    expect(bell).to_have_text("Notifications")
    bell.focus()
    told(the, Topic.ASSIGNED, "Ravi gave you a refund", "a")
    expect(bell).to_contain_text("1 unread notification", timeout=8000)
    expect(page.locator("#announcer")).to_have_text("1 unread notification")
    assert page.evaluate("document.activeElement.id") == "bell", "the focus stays where it was"
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{url}/notifications/")
    told(the, Topic.MENTIONED, "Rita named you", "b")
    expect(page.locator("#arrived")).to_contain_text("1 new notification.", timeout=8000)
    assert page.locator(".told__one").count() == 1, "nothing jumps under the pointer"
    page.get_by_role("link", name="Show it").click()
    expect(page.locator(".told__one")).to_have_count(2)
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url("**/proposals/**")
    expect(bell).to_contain_text("1 unread notification")
    assert Notification.objects.filter(read_at=None).count() == 1
    assert complaints == []


def test_everything_works_without_javascript(chrome: Browser, url: str, mailbox: MailServer) -> None:
    the = desk()
    told(the, Topic.ASSIGNED, "Ravi gave you a refund", "a")
    told(the, Topic.OVERDUE, "Overdue", "b")
    page = signed_in(chrome, url, the.reviewer, viewport=NARROW, java_script_enabled=False).new_page()
    page.goto("/notifications/")
    page.get_by_role("button", name="Mark as read").first.click()
    assert Notification.objects.filter(read_at=None).count() == 1
    page.get_by_role("button", name="Mark all as read").click()
    expect(page.get_by_role("heading", name="You have read everything")).to_be_visible()
    page.goto("/notifications/settings/")
    page.get_by_label("Due soon: E-mail").check()
    page.get_by_label("Quiet from").fill("22:00")
    page.get_by_label("Quiet until").fill("07:00")
    page.get_by_label("E-mails come").select_option("hourly")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#messages")).to_contain_text("Your choice is saved.")
    page.get_by_label("Name").fill("Pager")
    page.get_by_label("Address", exact=True).fill(SLACK)
    page.get_by_role("button", name="Add").click()
    expect(page.locator("#ways")).to_contain_text("Pager")
    assert "TIiajk" not in page.content()
    page.get_by_role("button", name="Send a test to E-mail").click()
    assert deliver.send_due() >= 1
    page.reload()
    expect(page.locator("#ways")).to_contain_text("The last message was taken")
    page.get_by_role("button", name="Remove Pager").click()
    assert ChatAddress.objects.count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_are_accessible_and_fit_in_both_themes(
    chrome: Browser, url: str, scheme: str, mailbox: MailServer
) -> None:
    the, empty = desk(), person()
    full(the, mailbox)
    wrong: list[str] = []
    for size in (WIDE, NARROW):
        for user, address, name in (
            (empty, "/notifications/", "list-empty"),
            (empty, "/notifications/settings/", "settings-empty"),
            (the.reviewer, "/notifications/", "list"),
            (the.reviewer, "/notifications/settings/", "settings"),
            (admin(), "/setup/undelivered/", "undelivered"),
        ):
            context = signed_in(chrome, url, user, viewport=size, color_scheme=scheme)
            page, complaints = watched(context)
            page.goto(address)
            page.locator("h1").wait_for()
            found = Axe().run(page).response["violations"]
            label = f"{name}-{scheme}-{size['width']}"
            wrong += [f"{label}: {one['id']} {one['nodes'][0]['html'][:150]}" for one in found]
            wide = page.evaluate(
                "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            )
            wrong += [f"{label}: sticks out by {wide}px"] if wide > 0 else []
            small = page.evaluate(
                "[...document.querySelectorAll('main button, main a.button, #bell, main label:has(input)')]"
                ".filter((e) => e.checkVisibility() && (e.getBoundingClientRect().height < 24"
                " || e.getBoundingClientRect().width < 24)).map((e) => e.outerHTML.slice(0, 120))"
            )
            wrong += [f"{label}: small target {one}" for one in small]
            wrong += [f"{label}: {one}" for one in complaints]
            if PICTURES:
                page.screenshot(path=str(Path(PICTURES) / f"notifications-{label}.png"), full_page=True)
            context.close()
    assert not wrong, "\n".join(wrong)


def test_a_way_that_is_trying_updates_by_itself(chrome: Browser, url: str, mailbox: MailServer) -> None:
    the = desk()
    page, complaints = watched(signed_in(chrome, url, the.reviewer, viewport=WIDE))
    page.goto("/notifications/settings/")
    page.get_by_role("button", name="Send a test to E-mail").click()
    expect(page.locator("#ways")).to_contain_text("A message goes out")
    page.locator("#test-email").focus()
    assert deliver.send_due() == 1
    expect(page.locator("#ways")).to_contain_text("The last message was taken", timeout=8000)
    assert page.evaluate("document.activeElement.id") == "test-email"
    assert Delivery.objects.get().state == "sent"
    assert complaints == []
