"""In Chromium: what a colleague does is seen at once and moves nothing; look-alikes are decided by keyboard."""

from typing import Any

import pytest
from django.conf import settings
from playwright.sync_api import APIResponse, Browser, Route, ViewportSize, expect

from approvals import news
from approvals.models import Proposal, Verdict
from approvals.services import claim
from config import streaming
from tests.approvals.alike import SAME, bulk_desk, refunds
from tests.browser import (
    NARROW,
    REFUSALS,
    WIDE,
    arrived,
    faults,
    heard,
    leaving,
    press,
    ready,
    signed_in,
    soon,
    take_next,
    watched,
)
from tests.factories import desk

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

PLACES = """() => [...document.querySelectorAll("[data-line]")].map((element) => {
    const { x, y, height } = element.getBoundingClientRect();
    return [element.id, x, y, height];
})"""
HIDE = """(on) => {
    Object.defineProperty(document, "hidden", { value: on, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
}"""


def hush(route: Route) -> None:
    """The page without its slow pulse: what it then knows, it has been told."""
    hand_over(route, route.fetch())


def hand_over(route: Route, answer: APIResponse) -> None:
    route.fulfill(response=answer, body=answer.text().replace("every 30s, ", ""))


def test_a_second_reviewer_sees_what_is_taken_and_nothing_moves(chrome: Browser, url: str) -> None:
    the = desk()
    first, second, third = (the.propose({"order_id": f"A-{n}", "amount": 5}) for n in range(3))
    page, complaints = watched(signed_in(chrome, url, the.reviewer))
    page.route("**/queues/**", hush)
    page.goto(f"/queues/{the.queue.slug}/")
    ready(page)
    heard(page, the.reviewer)
    page.locator(f"#row-link-{third.pk}").focus()
    before = page.evaluate(PLACES)
    claim.claim(proposal_id=first.pk, reviewer=the.second)
    expect(page.locator(f"#row-{first.pk}")).to_contain_text("Ravi Reviewer")
    assert page.evaluate(PLACES) == before
    expect(page.locator(f"#row-link-{third.pk}")).to_be_focused()

    the.decide(second, Verdict.REJECT, by=the.second)
    expect(page.locator(f"#row-{second.pk}")).to_contain_text("Rejected")
    the.propose({"order_id": "A-9", "amount": 1}, priority="urgent")
    expect(page.locator("#news")).to_contain_text("came in")
    expect(page.locator("[data-lines] [data-line]")).to_have_count(3)
    expect(page.locator(f"#row-link-{third.pk}")).to_be_focused()
    assert complaints == []


def test_news_that_come_while_a_page_is_asking_are_not_lost(chrome: Browser, url: str) -> None:
    the = desk()
    first, second = (the.propose({"order_id": f"A-{n}", "amount": 5}) for n in range(2))
    page, complaints = watched(signed_in(chrome, url, the.reviewer))
    page.route("**/queues/**", hush)
    page.goto(f"/queues/{the.queue.slug}/")
    heard(page, the.reviewer)
    late: list[tuple[Route, APIResponse]] = []
    page.route("**/pulse/**", lambda route: late.append((route, route.fetch())), times=1)
    claim.claim(proposal_id=first.pk, reviewer=the.second)
    while not late:
        page.wait_for_timeout(50)
    claim.claim(proposal_id=second.pk, reviewer=the.second)
    page.wait_for_timeout(2500)  # the news of it arrive while the answer about the first is under way
    hand_over(*late[0])
    expect(page.locator(f"#row-{first.pk}")).to_contain_text("Ravi Reviewer")
    expect(page.locator(f"#row-{second.pk}")).to_contain_text("Ravi Reviewer")
    assert complaints == []


def test_a_hidden_page_listens_no_more_and_looks_again_when_it_is_back(chrome: Browser, url: str) -> None:
    the = desk()
    the.propose()
    topic = news.queue_topic(the.queue.slug)
    page, complaints = watched(signed_in(chrome, url, the.reviewer))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/stream/" in request.url else None)
    page.goto(f"/queues/{the.queue.slug}/")
    heard(page, the.reviewer)
    assert len(asked) == 1 and f"watch=queue%3A{the.queue.slug}" in asked[0]
    page.evaluate(HIDE, True)
    soon(lambda: len(streaming.hub) == 0)
    page.wait_for_timeout(1500)  # what is shorter counts as nothing missed
    the.propose({"order_id": "A-9", "amount": 1})
    page.wait_for_timeout(1500)
    assert topic not in page.evaluate("window.heard")
    page.evaluate(HIDE, False)
    expect(page.locator("#news")).to_contain_text("came in")
    assert len(asked) == 2
    assert complaints == []


def test_without_redis_the_slow_pulse_keeps_a_page_true(
    chrome: Browser, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "REDIS_URL", "redis://127.0.0.1:1/0")
    monkeypatch.setattr(news, "post", news.Post())
    the = desk()
    first = the.propose()
    page, complaints = watched(signed_in(chrome, url, the.reviewer))
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
    page, complaints = watched(signed_in(chrome, url, the.reviewer))
    page.goto("/queues/")
    heard(page, the.reviewer)
    take_next(page)
    heard(page, the.reviewer)
    the.propose({"order_id": "A-9", "amount": 1})
    its_queue = news.queue_topic(the.queue.slug)
    assert its_queue not in heard(page, the.reviewer), "its queue is no longer on the screen"
    claim.release(proposal_id=proposal.pk, reviewer=the.reviewer)
    pulse = page.locator("#pulse")
    expect(pulse).to_contain_text("Nobody holds it any more")
    assert complaints == []


def test_look_alikes_are_decided_by_keyboard(chrome: Browser, url: str) -> None:
    the = bulk_desk()
    one, two, three, four = refunds(the, 10, 20, 30, 900)
    page, complaints = watched(signed_in(chrome, url, the.reviewer))
    page.goto(f"/queues/{the.queue.slug}/")
    link = page.locator("#alike-link")
    expect(link).to_contain_text("4 look-alikes")
    with leaving(page):
        link.press("Enter")
    arrived(page, "Look-alikes")
    press(page, "j")
    expect(page.locator("[data-line]:focus")).to_have_text("Refund an order")
    with leaving(page):
        press(page, "Enter")
    arrived(page, "4 × Refund an order")

    def choose(proposal: Proposal, *keys: str) -> None:
        page.locator(f"#row-{proposal.pk} .alike__title").focus()
        press(page, "Tab", *keys)

    choose(one, "ArrowUp", "ArrowUp")
    choose(two, "ArrowUp")
    choose(three, "ArrowUp", "ArrowUp")
    assert page.locator(f"#row-{four.pk} input[value=approve]").count() == 0
    expect(page.locator(f"#row-{four.pk}")).to_contain_text("Its amount is above")
    page.get_by_label("Reason for what is rejected").select_option("wrong_amount")
    with leaving(page):
        page.get_by_role("button", name="Sign the choices above").press("Enter")
    arrived(page, "2 approved, 1 rejected")
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
    heading = page.get_by_role("heading", level=1)
    page.goto(f"/queues/{the.queue.slug}/")
    page.locator("#alike-link").click()
    expect(heading).to_have_text("Look-alikes")
    page.get_by_role("link", name="Refund an order").click()
    expect(heading).to_have_text("2 × Refund an order")
    page.locator(f"#row-{one.pk}").get_by_label("Reject").check()
    page.locator(f"#row-{two.pk}").get_by_label("Approve").check()
    page.get_by_role("button", name="Sign the choices above").click()
    expect(page.locator(f"#row-{one.pk}")).to_contain_text("Choose a reason here")
    expect(page.locator(f"#row-{two.pk}").get_by_label("Approve")).to_be_checked()
    page.get_by_label("Reason for what is rejected").select_option("not_allowed")
    page.get_by_role("button", name="Sign the choices above").click()
    expect(heading).to_have_text("1 approved, 1 rejected")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_look_alike_pages_fit_and_pass_axe(chrome: Browser, url: str, theme: Any, size: ViewportSize) -> None:
    the = bulk_desk()
    first, *_ = refunds(the, 10, 20, 11, 400, summary="Lamp arrived broken; customer sent a photo.")
    long = "Ωμέγα‮ " + "W" * 25
    for number in range(2):
        the.propose({"order_id": f"{long}{number}", "amount": 12, **SAME}, summary="S" * 400)
    claim.claim(proposal_id=the.propose({"order_id": "A-9", "amount": 3, **SAME}).pk, reviewer=the.second)
    context = signed_in(chrome, url, the.reviewer, viewport=size, color_scheme=theme)
    page, complaints = watched(context, meant=REFUSALS)
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
    arrived(page, "1 approved")
    found["told"] = faults(page, f"alike-told-{label}")
    assert {name: fault for name, fault in found.items() if fault} == {}
    assert complaints == []
