"""Notifications in Chromium: the bell rings without a reload, everything by keyboard and without JavaScript, axe finds
nothing in both themes, nothing sticks out at 390 px."""

from typing import Any

import pytest
from django.db import transaction
from playwright.sync_api import Browser, expect

from approvals.messages.choices import Topic
from approvals.models import ChatAddress, Delivery, Notification
from approvals.notifications import tell
from approvals.services import choose_notifications, deliver
from tests.browser import NARROW, WIDE, announced, faults, heard, leaving, press, signed_in, watched
from tests.factories import Desk, admin, desk, person
from tests.smtp import MailServer

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
SLACK = "https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"
LONG = "Rückerstattung an ÄÖÜ " + "x" * 120 + " \u202eevil\u200b שלום " + "wort " * 30
SMALL = """[...document.querySelectorAll("main button, main a.button, #bell, main label:has(input)")]
    .filter((e) => e.checkVisibility())
    .filter((e) => e.getBoundingClientRect().height < 24 || e.getBoundingClientRect().width < 24)
    .map((e) => e.outerHTML.slice(0, 120))"""


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
    page, complaints = watched(signed_in(chrome, url, the.reviewer))
    page.goto("/queues/")
    bell = page.locator("#bell")
    expect(bell).to_have_text("Notifications")
    heard(page, the.reviewer)
    bell.focus()
    told(the, Topic.ASSIGNED, "Ravi gave you a refund", "a")
    expect(bell).to_contain_text("1 unread notification")
    announced(page, "1 unread notification")
    expect(bell).to_be_focused()
    with leaving(page):
        press(page, "Enter")
    expect(page).to_have_url(f"{url}/notifications/")
    heard(page, the.reviewer)
    told(the, Topic.MENTIONED, "Rita named you", "b")
    expect(page.locator("#arrived")).to_contain_text("1 new notification.")
    expect(page.locator(".told__one")).to_have_count(1)  # nothing jumps under the pointer
    page.get_by_role("link", name="Show it").click()
    expect(page.locator(".told__one")).to_have_count(2)
    press(page, "j")
    with leaving(page):
        press(page, "Enter")
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
    expect(page.get_by_role("button", name="Mark as read")).to_have_count(1)
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
    expect(page.locator("#ways")).to_contain_text("A message goes out")
    assert deliver.send_due() >= 1
    page.reload()
    expect(page.locator("#ways")).to_contain_text("The last message was taken")
    page.get_by_role("button", name="Remove Pager").click()
    expect(page.locator("#ways")).not_to_contain_text("Pager")
    assert ChatAddress.objects.count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_are_accessible_and_fit_in_both_themes(
    chrome: Browser, url: str, scheme: Any, mailbox: MailServer
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
            label = f"notifications-{name}-{scheme}-{size['width']}"
            wrong += [f"{label}: {one}" for one in faults(page, label)]
            wrong += [f"{label}: small target {one}" for one in page.evaluate(SMALL)]
            wrong += [f"{label}: {one}" for one in complaints]
            context.close()
    assert not wrong, "\n".join(wrong)


def test_a_way_that_is_trying_updates_by_itself(chrome: Browser, url: str, mailbox: MailServer) -> None:
    the = desk()
    page, complaints = watched(signed_in(chrome, url, the.reviewer))
    page.goto("/notifications/settings/")
    page.get_by_role("button", name="Send a test to E-mail").click()
    expect(page.locator("#ways")).to_contain_text("A message goes out")
    page.locator("#test-email").focus()
    assert deliver.send_due() == 1
    expect(page.locator("#ways")).to_contain_text("The last message was taken")
    expect(page.locator("#test-email")).to_be_focused()
    assert Delivery.objects.get().state == "sent"
    assert complaints == []
