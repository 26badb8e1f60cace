"""Lists in Chromium: found by keyboard and without JavaScript, live without a jump, in both themes, wide and narrow."""

import re
from typing import Any

import pytest
from playwright.sync_api import Browser, ViewportSize, expect

from agents.autonomy import Tier
from approvals.models import Proposal, SavedView, Verdict
from approvals.services import claim, save_view, set_up
from tests.browser import NARROW, WIDE, faults, heard, press, ready, signed_in, watched
from tests.factories import Desk, admin, desk, policy, queue

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
LONG = "W" * 40


def full(the: Desk) -> None:
    """Rows of every look: urgent, held, mine, by a rule, long, right-to-left, hostile, decided, scheduled, returned."""
    finance = queue(
        "finance-approvals", name="Approvals of the finance department for everything above five hundred"
    )
    watching = desk(tier=Tier.ON_THE_LOOP, veto_seconds=3600)
    for slug in (finance.slug, watching.queue.slug):
        set_up.assign_reviewer(queue_slug=slug, to=the.reviewer, actor=admin())
    policy(
        [{"name": "big_refund", "when": "amount > 500.0", "review": {"queue": finance.slug, "quorum": 2}}],
        the.queue,
    )
    for order, amount, priority in (
        ("A-1", 5, "normal"),
        ("B-22", 120.5, "urgent"),
        ("C-333", 9_999.99, "high"),
        (LONG, 1_250_000_000, "low"),
        ("‮gnp.exe", 18, "normal"),
        ("הזמנה 17", 640, "normal"),
        ("<img src=x onerror=alert(1)>", 1, "normal"),
    ):
        the.propose({"order_id": order, "amount": amount}, priority=priority, summary="Lamp broken")
    claim.claim(proposal_id=Proposal.objects.get(title__contains="A-1").pk, reviewer=the.reviewer)
    claim.claim(proposal_id=Proposal.objects.get(title__contains="B-22").pk, reviewer=the.second)
    the.decide(the.propose({"order_id": "H-1", "amount": 7}), Verdict.APPROVE)
    the.decide(the.propose({"order_id": LONG, "amount": 70}), Verdict.REJECT, comment="No. " * 200 + LONG)
    the.decide(the.propose({"order_id": "H-3", "amount": 8}), Verdict.RETURN)
    policy([], watching.queue)
    watching.propose({"order_id": "S-1", "amount": 8})
    save_view.save(owner=the.reviewer, name="Big refunds", query="min=500", is_default=True)
    save_view.save(owner=the.reviewer, name=LONG + LONG, query="age=4h", is_default=False)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_lists_fit_and_pass_axe(chrome: Browser, url: str, theme: Any, size: ViewportSize) -> None:
    the, idle = desk(), desk()
    full(the)
    page, complaints = watched(signed_in(chrome, url, the.reviewer, viewport=size, color_scheme=theme))
    found = {}
    for address, opened in (
        ("/queues/", ""),
        ("/proposals/?state=open", ""),
        (f"/proposals/?min=100&risk=medium&why=rule:big_refund&agent={LONG}&age=x", ".finder__more summary"),
        (f"/queues/{the.queue.slug}/?q=lamp", ".finder__views summary"),
        ("/proposals/?state=scheduled", ""),
        ("/proposals/?q=nowhere", ""),
        ("/history/?since=0001-01-01", ""),
    ):
        page.goto(address)
        if opened:
            page.locator(opened).click()
        found[address] = faults(page, f"list{address}-{theme}-{size['width']}")
    empty, _ = watched(signed_in(chrome, url, idle.reviewer, viewport=size, color_scheme=theme))
    for address in ("/queues/", "/proposals/", "/history/"):
        empty.goto(address)
        found["empty " + address] = faults(empty, f"empty{address}-{theme}-{size['width']}")
    assert {address: fault for address, fault in found.items() if fault} == {}
    assert complaints == []


def test_finding_by_keyboard_alone(chrome: Browser, url: str) -> None:
    the = desk()
    for order, amount in (("ZA-1", 5), ("ZA-2", 700), ("YB-1", 900)):
        the.propose({"order_id": order, "amount": amount}, summary="Lamp broken")
    page, complaints = watched(signed_in(chrome, url, the.reviewer))
    page.goto(f"/queues/{the.queue.slug}/")
    press(page, "/")
    expect(page.locator("#filter_q")).to_be_focused()
    page.keyboard.type("lamp za")
    press(page, "Enter")
    expect(page).to_have_url(re.compile(r"\?q=lamp(\+|%20)za$"))
    expect(page.locator(".found")).to_be_focused()
    expect(page.locator(".line")).to_have_count(2)

    press(page, "f")
    expect(page.locator(".finder__more")).to_have_attribute("open", "")
    page.get_by_label("Amount from").focus()
    page.keyboard.type("600")
    press(page, "Enter")
    expect(page.locator(".line")).to_have_count(1)
    expect(page).to_have_url(re.compile(r"\?q=lamp(\+|%20)za&min=600$"))
    press(page, "j")
    expect(page.locator(".line__title:focus")).to_contain_text("ZA-2")

    page.get_by_role("link", name="Remove: Words lamp za").focus()
    press(page, "Enter")
    expect(page.locator(".line")).to_have_count(2)
    assert complaints == []


def test_finding_and_keeping_without_javascript(chrome: Browser, url: str) -> None:
    the = desk()
    the.propose({"order_id": "A-1", "amount": 5})
    the.propose({"order_id": "A-2", "amount": 700}, priority="urgent")
    page = signed_in(chrome, url, the.reviewer, viewport=NARROW, java_script_enabled=False).new_page()
    page.goto("/proposals/")
    page.locator(".finder__more summary").click()
    page.get_by_label(the.agent.name).check()
    page.get_by_label("Amount from").fill("600")
    page.get_by_role("button", name="Show").click()
    expect(page.locator(".line")).to_have_count(1)
    expect(page).to_have_url(f"{url}/proposals/?agent={the.agent.slug}&min=600")
    page.locator(".finder__views summary").click()
    page.get_by_label("Keep what is shown now as").fill("Big ones")
    page.get_by_label("Begin here when I sign in").check()
    page.get_by_role("button", name="Keep").click()
    expect(page.get_by_text("The view “Big ones” is kept.")).to_be_visible()
    page.goto("/")
    expect(page).to_have_url(f"{url}/proposals/?agent={the.agent.slug}&min=600")
    page.get_by_role("link", name="Remove: Amount from 600").click()
    expect(page.locator(".line")).to_have_count(2)
    assert SavedView.objects.get().is_default


def test_a_filtered_list_tells_of_news_and_moves_nothing(chrome: Browser, url: str) -> None:
    the = desk()
    shown = the.propose({"order_id": "A-1", "amount": 700})
    page, complaints = watched(signed_in(chrome, url, the.reviewer))
    page.goto("/proposals/?min=500")
    ready(page)
    heard(page, the.reviewer)
    place = page.locator(".line").first.bounding_box()
    the.propose({"order_id": "A-2", "amount": 5}, priority="urgent")
    claim.claim(proposal_id=shown.pk, reviewer=the.second)
    row, told = page.locator(f"#row-{shown.pk}"), page.locator("#news")
    expect(row).to_contain_text("Ravi Reviewer is on it")
    expect(told).to_contain_text("1 of these is taken, handed on or decided")
    expect(told).not_to_contain_text("came in")
    the.propose({"order_id": "A-3", "amount": 900}, priority="urgent")
    expect(told).to_contain_text("1 more urgent or newer proposal came in")
    expect(page.locator(".line")).to_have_count(1)
    assert page.locator(".line").first.bounding_box() == place
    page.locator("#news a").click()
    expect(page.locator(".line")).to_have_count(2)
    assert complaints == []
