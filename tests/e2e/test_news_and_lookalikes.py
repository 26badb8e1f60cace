"""In Chromium: what a colleague does is seen at once and moves nothing; look-alikes are decided by keyboard."""

import os
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from playwright.sync_api import Browser, Page, expect, sync_playwright

from approvals import news
from approvals.models import Proposal, Verdict
from approvals.services import claim
from tests import browser
from tests.approvals.test_views_alike import SAME, bulk_desk, refunds
from tests.e2e.test_reviewer_pages import NARROW, WIDE, faults, signed_in, watched
from tests.factories import desk
from tests.live import serving

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

PLACES = """() => [...document.querySelectorAll("[data-line]")].map((element) => {
    const { x, y, height } = element.getBoundingClientRect();
    return [element.id, x, y, height];
})"""
LISTEN = """() => {
    window.heard = [];
    document.addEventListener("countersign:news", (event) => window.heard.push(event.detail.topics));
}"""
HIDE = """(on) => {
    Object.defineProperty(document, "hidden", { value: on, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
}"""


@pytest.fixture
def url() -> Iterator[str]:
    with serving() as address:
        yield address


@pytest.fixture(scope="module")
def chrome(chromium: str) -> Iterator[Browser]:
    os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "1")  # Playwright's loop runs in the test's own thread
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=chromium, args=list(browser.ARGUMENTS))


def listening(page: Page) -> None:
    """Wait until the page's stream is open and the first word about everything has passed."""
    page.evaluate(LISTEN)
    page.wait_for_timeout(2500)


def test_a_second_reviewer_sees_what_is_taken_and_nothing_moves(chrome: Browser, url: str) -> None:
    the = desk()
    first, second, third = (the.propose({"order_id": f"A-{n}", "amount": 5}) for n in range(3))
    page, complaints = watched(signed_in(chrome, url, the.reviewer, viewport=WIDE))
    page.goto(f"/queues/{the.queue.slug}/")
    listening(page)
    page.locator(f"#row-link-{third.pk}").focus()
    before = page.evaluate(PLACES)
    claim.claim(proposal_id=first.pk, reviewer=the.second)
    begun = time.monotonic()
    expect(page.locator(f"#row-{first.pk}")).to_contain_text("Ravi Reviewer", timeout=5000)
    assert time.monotonic() - begun < 2.5
    assert page.evaluate(PLACES) == before
    expect(page.locator(f"#row-link-{third.pk}")).to_be_focused()

    the.decide(second, Verdict.REJECT, by=the.second)
    expect(page.locator(f"#row-{second.pk}")).to_contain_text("Rejected", timeout=5000)
    the.propose({"order_id": "A-9", "amount": 1}, priority="urgent")
    expect(page.locator("#news")).to_contain_text("came in", timeout=5000)
    assert page.locator("[data-lines] [data-line]").count() == 3
    expect(page.locator(f"#row-link-{third.pk}")).to_be_focused()
    assert complaints == []


def test_a_hidden_page_listens_no_more_and_looks_again_when_it_is_back(chrome: Browser, url: str) -> None:
    the = desk()
    the.propose()
    page, complaints = watched(signed_in(chrome, url, the.reviewer, viewport=WIDE))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/stream/" in request.url else None)
    page.goto(f"/queues/{the.queue.slug}/")
    listening(page)
    assert len(asked) == 1 and f"watch=queue%3A{the.queue.slug}" in asked[0]
    page.evaluate(HIDE, True)
    page.wait_for_timeout(1500)
    page.evaluate("window.heard = []")
    the.propose({"order_id": "A-9", "amount": 1})
    page.wait_for_timeout(1500)
    assert page.evaluate("window.heard") == []
    page.evaluate(HIDE, False)
    expect(page.locator("#news")).to_contain_text("came in", timeout=5000)
    assert len(asked) == 2
    assert complaints == []


def test_without_redis_the_slow_pulse_keeps_a_page_true(
    chrome: Browser, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "REDIS_URL", "redis://127.0.0.1:1/0")
    monkeypatch.setattr(news, "post", news.Post())
    the = desk()
    first = the.propose()
    page, complaints = watched(signed_in(chrome, url, the.reviewer, viewport=WIDE))
    page.clock.install()
    page.goto(f"/queues/{the.queue.slug}/")
    claim.claim(proposal_id=first.pk, reviewer=the.second)
    page.clock.run_for(5000)
    expect(page.locator(f"#row-{first.pk}")).not_to_contain_text("Ravi Reviewer")
    page.clock.run_for(31_000)
    expect(page.locator(f"#row-{first.pk}")).to_contain_text("Ravi Reviewer")
    assert complaints == []


def test_a_page_that_is_swapped_in_is_watched_instead(chrome: Browser, url: str) -> None:
    the = desk()
    proposal = the.propose()
    page, complaints = watched(signed_in(chrome, url, the.reviewer, viewport=WIDE))
    page.goto("/queues/")
    listening(page)
    page.keyboard.press("n")
    expect(page.locator("#lease")).to_contain_text("Yours")
    page.wait_for_timeout(1500)
    page.evaluate("window.heard = []")
    the.propose({"order_id": "A-9", "amount": 1})
    page.wait_for_timeout(1500)
    assert page.evaluate("window.heard") == [], "its queue is no longer on the screen"
    claim.release(proposal_id=proposal.pk, reviewer=the.reviewer)
    expect(page.locator("#pulse")).to_contain_text("Nobody holds it any more", timeout=5000)
    assert complaints == []


def test_look_alikes_are_decided_by_keyboard(chrome: Browser, url: str) -> None:
    the = bulk_desk()
    one, two, three, four = refunds(the, 10, 20, 30, 900)
    page, complaints = watched(signed_in(chrome, url, the.reviewer, viewport=WIDE))
    page.goto(f"/queues/{the.queue.slug}/")
    link = page.locator("#alike-link")
    expect(link).to_contain_text("4 look-alikes")
    link.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Look-alikes")
    page.locator("html:not(.is-arriving)").wait_for(state="attached")
    page.keyboard.press("j")
    expect(page.locator("[data-line]:focus")).to_have_text("Refund an order")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("4 × Refund an order")

    def choose(proposal: Proposal, *keys: str) -> None:
        page.locator(f"#row-{proposal.pk} .alike__title").focus()
        page.keyboard.press("Tab")
        for key in keys:
            page.keyboard.press(key)

    choose(one, "ArrowUp", "ArrowUp")
    choose(two, "ArrowUp")
    choose(three, "ArrowUp", "ArrowUp")
    assert page.locator(f"#row-{four.pk} input[value=approve]").count() == 0
    expect(page.locator(f"#row-{four.pk}")).to_contain_text("Its amount is above")
    page.get_by_label("Reason for what is rejected").select_option("wrong_amount")
    page.get_by_role("button", name="Sign the choices above").press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("2 approved, 1 rejected")
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    states = [Proposal.objects.get(pk=each.pk).state for each in (one, two, three, four)]
    assert states == ["approved", "rejected", "approved", "pending"]
    page.get_by_role("link", name="The queue").click()
    expect(page.locator("[data-lines] [data-line]")).to_have_count(1)
    assert complaints == []


def test_look_alikes_without_javascript(chrome: Browser, url: str) -> None:
    the = bulk_desk()
    one, two = refunds(the, 10, 20)
    page, _ = watched(signed_in(chrome, url, the.reviewer, viewport=NARROW, java_script_enabled=False))
    page.goto(f"/queues/{the.queue.slug}/")
    page.locator("#alike-link").click()
    page.get_by_role("link", name="Refund an order").click()
    page.locator(f"#row-{one.pk}").get_by_label("Reject").check()
    page.locator(f"#row-{two.pk}").get_by_label("Approve").check()
    page.get_by_role("button", name="Sign the choices above").click()
    expect(page.locator(f"#row-{one.pk}")).to_contain_text("Choose a reason here")
    expect(page.locator(f"#row-{two.pk}").get_by_label("Approve")).to_be_checked()
    page.get_by_label("Reason for what is rejected").select_option("not_allowed")
    page.get_by_role("button", name="Sign the choices above").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("1 approved, 1 rejected")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_look_alike_pages_fit_and_pass_axe(
    chrome: Browser, url: str, theme: str, size: dict[str, int]
) -> None:
    the = bulk_desk()
    first, *_ = refunds(the, 10, 20, 11, 400, summary="Lamp arrived broken; customer sent a photo.")
    long = "Ωμέγα‮ " + "W" * 25
    for number in range(2):
        the.propose({"order_id": f"{long}{number}", "amount": 12, **SAME}, summary="S" * 400)
    claim.claim(proposal_id=the.propose({"order_id": "A-9", "amount": 3, **SAME}).pk, reviewer=the.second)
    context = signed_in(chrome, url, the.reviewer, viewport=size, color_scheme=theme)
    page, complaints = watched(context)
    found: dict[str, Any] = {}
    label = f"{theme}-{size['width']}"
    page.goto(f"/queues/{the.queue.slug}/alike/")
    found["list"] = faults(page, f"alike-list-{label}")
    page.goto(f"/queues/{the.queue.slug}/alike/{first.pk}/")
    found["group"] = faults(page, f"alike-group-{label}")
    page.get_by_role("button", name="Sign the choices above").click()
    expect(page.get_by_role("alert")).to_be_visible()
    found["problem"] = faults(page, f"alike-problem-{label}")
    page.locator(f"#row-{first.pk}").get_by_label("Approve").check()
    page.get_by_role("button", name="Sign the choices above").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("1 approved")
    found["told"] = faults(page, f"alike-told-{label}")
    assert {name: fault for name, fault in found.items() if fault} == {}
    assert [each for each in complaints if "422" not in each] == []
