"""A reviewer's day in Chromium: by keyboard, without JavaScript, in both themes, wide and narrow, under attack."""

from typing import Any

import pytest
from django.test import Client
from playwright.sync_api import Browser, ViewportSize, expect

from accounts.models import User
from agents.autonomy import Tier
from approvals.models import Proposal, Verdict
from approvals.services import set_up
from approvals.services.amend import revise
from tests.browser import (
    NARROW,
    WIDE,
    arrived,
    faults,
    heard,
    holding,
    leaving,
    posted,
    press,
    read_all,
    signed_in,
    take_next,
    watched,
)
from tests.factories import Desk, admin, desk, person

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
HOSTILE = (
    "transfer to \u202egro.knab, pay\u200bpal, раypal.com, https://bank.com@evil.io/x "
    '<img src="https://evil.io/p.png" onerror="document.title=1"> <script>document.title=2</script> '
    '<button hx-post="/next/" hx-trigger="load">x</button> ![](https://evil.io/?leak) javascript:alert(1)'
)


def test_main_path_by_keyboard_alone(chrome: Browser, url: str) -> None:
    the = desk()
    for number in range(3):
        the.propose({"order_id": f"A-{number}", "amount": 5}, summary="Lamp broken")
    page, complaints = watched(signed_in(chrome, url, the.reviewer))
    page.goto(f"/queues/{the.queue.slug}/")
    press(page, "j", "j")
    expect(page.locator(".line__title:focus")).to_contain_text("A-1")
    with leaving(page):
        press(page, "Enter")
    arrived(page, "Refund an order")
    with leaving(page):
        press(page, "u")
    expect(page).to_have_url(f"{url}/queues/{the.queue.slug}/")

    for _ in range(3):
        take_next(page)
        with leaving(page):
            press(page, "a")
        expect(page.locator(".stamp__word")).to_have_text("Approved")
    assert Proposal.objects.filter(state="approved").count() == 3
    assert complaints == []


def test_reject_return_and_edit_by_keyboard(chrome: Browser, url: str) -> None:
    the = desk()
    for number in range(3):
        the.propose({"order_id": f"A-{number}", "amount": 5})
    page, complaints = watched(signed_in(chrome, url, the.reviewer))
    page.goto("/queues/")
    take_next(page)
    press(page, "r", "w", "Tab")  # a key in the list of reasons chooses one and decides nothing
    page.keyboard.type("anqerx is text here")
    with leaving(page):
        press(page, "Control+Enter")
    expect(page.locator(".stamp__word")).to_have_text("Rejected")
    expect(page.locator(".stamp")).to_contain_text("anqerx is text here")

    take_next(page)
    press(page, "q")
    page.keyboard.type("Which order?")
    with leaving(page):
        press(page, "Control+Enter")
    expect(page.locator(".stamp__word")).to_have_text("Returned with a question")

    take_next(page)
    with leaving(page):
        press(page, "e")
    arrived(page, "Edit the arguments")
    page.get_by_label("Amount").fill("4.5")
    with leaving(page):
        press(page, "Control+Enter")
    expect(page.locator(".stamp__word")).to_have_text("Approved with edits")
    expect(page.locator(".diff ins")).to_have_text("4.5")
    assert sorted(Proposal.objects.values_list("state", flat=True)) == ["approved", "rejected", "returned"]
    assert complaints == []


def test_main_path_without_javascript(chrome: Browser, url: str) -> None:
    the = desk()
    the.propose(summary="Lamp broken")
    context = signed_in(chrome, url, the.reviewer, java_script_enabled=False)
    page = context.new_page()
    page.goto("/queues/")
    page.get_by_role("button", name="Next proposal").click()
    page.get_by_role("link", name="Edit the arguments").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Edit the arguments")
    page.get_by_label("Amount").fill("-1")
    page.get_by_role("button", name="Save and approve").last.click()
    expect(page.get_by_role("alert")).to_contain_text("Amount")
    page.get_by_label("Amount").fill("41")
    page.get_by_role("button", name="Save and approve").last.click()
    expect(page.locator(".stamp__word")).to_have_text("Approved with edits")


def test_signing_in_by_email_and_password(chrome: Browser, url: str) -> None:
    person("Nora New")
    user = User.objects.get(name="Nora New")
    page, complaints = watched(chrome.new_context(base_url=url))
    page.goto("/")
    page.get_by_label("E-mail address").fill(user.email)
    page.get_by_label("Password").fill("a long password")
    with leaving(page):
        press(page, "Enter")
    expect(page.get_by_role("heading", name="You review no queue")).to_be_visible()
    assert complaints == []


def test_a_stale_page_is_told_what_changed_and_keeps_standing(chrome: Browser, url: str) -> None:
    the = desk()
    proposal = the.propose()
    page, _ = watched(signed_in(chrome, url, the.reviewer))
    page.goto(f"/proposals/{proposal.pk}/")
    holding(page)
    the.decide(proposal, Verdict.RETURN)  # by the same reviewer, on another device
    revise(
        proposal_id=proposal.pk, agent=the.agent, arguments={"order_id": "A-1001", "amount": 999}, reply=""
    )
    press(page, "a")
    refusal = page.locator("#refusal")
    expect(refusal).to_contain_text("has changed")
    expect(refusal.locator("ins")).to_have_text("999")
    expect(refusal).to_be_focused()
    refusal.get_by_role("link").click()
    expect(page.get_by_text("Changed since you looked")).to_be_visible()
    assert Proposal.objects.get().state == "pending"


def test_a_queue_tells_of_news_and_moves_nothing(chrome: Browser, url: str) -> None:
    the = desk()
    first = the.propose()
    page, complaints = watched(signed_in(chrome, url, the.reviewer))
    page.goto(f"/queues/{the.queue.slug}/")
    heard(page, the.reviewer)
    the.decide(first, Verdict.APPROVE, by=the.second)
    the.propose({"order_id": "A-2", "amount": 1}, priority="urgent")
    told = page.locator("#news")
    expect(told).to_contain_text("1 more urgent or newer proposal came in")
    expect(page.locator(f"#row-{first.pk}")).to_contain_text("Approved")
    expect(page.locator(".line")).to_have_count(1)
    assert complaints == []


def hostile_page(the: Desk) -> Proposal:
    response = Client().post(
        "/api/v1/proposals",
        {
            "action_type": the.action_type.name,
            "arguments": {
                "order_id": HOSTILE[:40],
                "amount": 42.5,
                "note": HOSTILE + "\n" * 10_000 + "rm -rf",
            },
            "summary": HOSTILE,
            "reasoning": "מימין לשמאל " * 30 + HOSTILE,
            "context": [
                {"role": "user", "content": "W" * 3000},
                {"role": "tool", "name": "x" * 90, "content": HOSTILE},
            ],
            "current_state": {"note": HOSTILE},
        },
        content_type="application/json",
        headers={**the.headers, "Idempotency-Key": "hostile"},
    )
    assert response.status_code == 201, response.content
    return Proposal.objects.get(pk=response.json()["id"])


def test_hostile_content_stays_text_in_a_real_browser(chrome: Browser, url: str) -> None:
    the = desk()
    proposal = hostile_page(the)
    page, complaints = watched(signed_in(chrome, url, the.reviewer))
    page.goto(f"/proposals/{proposal.pk}/")
    holding(page)
    page.wait_for_timeout(300)  # for what a script of the attacker's would do
    assert page.title() == "Refund an order · Countersign"
    assert complaints == []
    assert page.locator("main img, main script, main button[hx-post]").count() == 0
    assert "\u202e" not in page.locator("main").inner_text()
    expect(page.locator(".chip-char--danger").first).to_have_text("U+202E")
    expect(page.locator(".url__host").first).to_be_visible()
    approve = page.get_by_role("button", name="Approve what is shown")
    expect(approve).to_be_disabled()
    paths = posted(page)
    press(page, "a")
    with leaving(page):
        page.get_by_role("link", name="Open the folded lines first").click()
    expect(approve).to_be_disabled()
    page.get_by_role("button", name="Show the rest").click()
    read_all(page)
    expect(approve).to_be_enabled()
    assert [path for path in paths if path.endswith("/approve/")] == []
    assert Proposal.objects.get().state == "pending"


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_pages_fit_and_pass_axe(chrome: Browser, url: str, theme: Any, size: ViewportSize) -> None:
    the = desk()
    hostile = hostile_page(the)
    plain = the.propose(priority="urgent", summary="Lamp broken", context=[])
    done = the.approved()
    returned = the.propose()
    the.decide(returned, Verdict.RETURN)
    revise(proposal_id=returned.pk, agent=the.agent, arguments={"order_id": "B", "amount": 9}, reply="Sorry")
    watching = desk(tier=Tier.ON_THE_LOOP)
    scheduled = watching.propose()
    set_up.assign_reviewer(queue_slug=watching.queue.slug, to=the.reviewer, actor=admin())
    context = signed_in(chrome, url, the.reviewer, viewport=size, color_scheme=theme)
    page, complaints = watched(context, meant=["404"])
    found = {}
    for address in (
        "/queues/",
        f"/queues/{the.queue.slug}/",
        f"/proposals/{plain.pk}/",
        f"/proposals/{plain.pk}/edit/",
        f"/proposals/{hostile.pk}/",
        f"/proposals/{hostile.pk}/?folds=open",
        f"/proposals/{hostile.pk}/edit/",
        f"/proposals/{done.pk}/",
        f"/proposals/{returned.pk}/?since=1",
        f"/proposals/{scheduled.pk}/",
        "/account/logout/",
        "/nowhere/",
    ):
        answer = page.goto(address)
        assert answer is not None and answer.status == (404 if address == "/nowhere/" else 200), address
        found[address] = faults(page, f"{address}-{theme}-{size['width']}")
    guest, _ = watched(chrome.new_context(base_url=url, viewport=size, color_scheme=theme))
    guest.goto("/account/login/")
    found["login"] = faults(guest, f"login-{theme}-{size['width']}")
    assert {address: fault for address, fault in found.items() if fault} == {}
    assert complaints == []
