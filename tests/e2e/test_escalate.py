"""Handing a proposal up the chain in Chromium, by keyboard and without JavaScript."""

import os
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from playwright.sync_api import Browser, Page, expect, sync_playwright

from approvals.models import Comment, Proposal
from tests import browser
from tests.approvals.test_services_escalate import chained
from tests.factories import Desk
from tests.live import serving

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def url() -> Iterator[str]:
    with serving() as address:
        yield address


@pytest.fixture(scope="module")
def chrome(chromium: str) -> Iterator[Browser]:
    os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "1")  # Playwright's loop runs in the test's own thread
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=chromium, args=list(browser.ARGUMENTS))


def page_of(chrome: Browser, url: str, the: Desk, **options: Any) -> Page:
    client = Client()
    client.force_login(the.reviewer)
    context = chrome.new_context(base_url=url, **options)
    context.add_cookies([{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": url}])
    return context.new_page()


def moved() -> bool:
    proposal = Proposal.objects.select_related("queue").get()
    note = Comment.objects.filter(proposal=proposal).values_list("text", flat=True)
    return bool(proposal.queue and proposal.queue.slug == "upper") and list(note) == ["Too large for me."]


def test_by_keyboard(chrome: Browser, url: str) -> None:
    the = chained("upper")
    proposal = the.propose()
    page = page_of(chrome, url, the)
    page.goto(f"/proposals/{proposal.pk}/")
    expect(page.locator("#lease")).to_contain_text("Yours")
    page.keyboard.press("v")
    page.keyboard.type("Too large for me.")
    page.keyboard.press("Control+Enter")
    page.wait_for_url(lambda address: str(proposal.pk) not in address)
    assert moved()


def test_without_javascript(chrome: Browser, url: str) -> None:
    the = chained("upper")
    proposal = the.propose()
    page = page_of(chrome, url, the, java_script_enabled=False)
    page.goto(f"/proposals/{proposal.pk}/")
    page.locator("summary[data-key=v]").click()
    page.locator("#escalate_note").fill("Too large for me.")
    page.get_by_role("button", name="Escalate", exact=True).click()
    page.wait_for_url(lambda address: str(proposal.pk) not in address)
    assert moved()
