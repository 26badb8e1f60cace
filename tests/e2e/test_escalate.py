"""Handing a proposal up the chain in Chromium, by keyboard and without JavaScript."""

import pytest
from playwright.sync_api import Browser, Page, expect

from approvals.models import Comment, Proposal
from tests.approvals.test_services_escalate import chained
from tests.browser import holding, leaving, press, signed_in

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def assert_it_went_up(page: Page, proposal: Proposal) -> None:
    """The page says so, it is out of sight, and the note went along."""
    expect(page.locator("#messages")).to_contain_text("Escalated")
    assert str(proposal.pk) not in page.url
    moved = Proposal.objects.select_related("queue").get()
    assert moved.queue is not None and moved.queue.slug == "upper"
    assert [comment.text for comment in Comment.objects.filter(proposal=proposal)] == ["Too large for me."]


def test_by_keyboard(chrome: Browser, url: str) -> None:
    the = chained("upper")
    proposal = the.propose()
    page = signed_in(chrome, url, the.reviewer).new_page()
    page.goto(f"/proposals/{proposal.pk}/")
    holding(page)
    press(page, "v")
    page.keyboard.type("Too large for me.")
    with leaving(page):
        press(page, "Control+Enter")
    assert_it_went_up(page, proposal)


def test_without_javascript(chrome: Browser, url: str) -> None:
    the = chained("upper")
    proposal = the.propose()
    page = signed_in(chrome, url, the.reviewer, java_script_enabled=False).new_page()
    page.goto(f"/proposals/{proposal.pk}/")
    page.locator("summary[data-key=v]").click()
    page.locator("#escalate_note").fill("Too large for me.")
    page.get_by_role("button", name="Escalate", exact=True).click()
    assert_it_went_up(page, proposal)
