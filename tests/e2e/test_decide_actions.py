"""Deciding in Chromium: the gate, the pace, the undo window, going on by itself; by keyboard, by touch and without
JavaScript, in every look."""

import time
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone
from playwright.sync_api import Browser, Locator, ViewportSize, expect

from approvals.models import HeldBallot, Proposal
from tests.browser import (
    NARROW,
    REFUSALS,
    WIDE,
    announced,
    faults,
    holding,
    leaving,
    posted,
    press,
    read_all,
    ready,
    signed_in,
    take_next,
    watched,
)
from tests.e2e.test_keys import prefer
from tests.factories import desk

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
LONG = "\n".join(f"Line {number} of what the customer wrote about the lamp." for number in range(120))
LEFT = """(element) => [Number(getComputedStyle(element).getPropertyValue("--left")), performance.now() / 1000]"""


# — The gate


def test_what_cannot_be_undone_is_approved_only_after_all_of_it_was_in_view(
    chrome: Browser, url: str
) -> None:
    the = desk()
    the.propose({"order_id": "A-1", "amount": 5, "note": LONG}, reasoning=LONG)
    page, complaints = watched(signed_in(chrome, url, the.reviewer))
    page.goto("/queues/")
    take_next(page)
    paths = posted(page)
    words = page.locator("[data-gate-words]")
    expect(words).to_contain_text("% of it was in view")
    press(page, "a")
    announced(page, "Read on to the end first")
    page.get_by_role("heading", level=1).focus()
    press(page, "End")  # the end alone is not the whole
    page.wait_for_timeout(300)
    expect(words).to_contain_text("% of it was in view")
    page.locator("form:has(> [data-key=a])").evaluate("form => form.requestSubmit()")
    page.wait_for_timeout(300)
    assert [path for path in paths if path.endswith("/approve/")] == []
    assert Proposal.objects.get().state == "pending" and not HeldBallot.objects.exists()

    read_all(page)
    page.get_by_role("heading", level=1).focus()
    press(page, "a")
    expect(page.locator(".stamp__word")).to_have_text("Approved")
    assert complaints == []


def test_what_of_the_page_before_was_in_view_counts_for_nothing(chrome: Browser, url: str) -> None:
    the = desk()
    first = the.propose({"order_id": "A-1", "amount": 5, "note": LONG}, priority="urgent")
    second = the.propose({"order_id": "B-2", "amount": 5, "note": LONG})
    page, complaints = watched(signed_in(chrome, url, the.reviewer))
    page.goto(f"/proposals/{second.pk}/")
    holding(page)
    freshly = page.locator("[data-gate-words]").text_content()
    assert freshly is not None and "% of it was in view" in freshly

    page.goto(f"/proposals/{first.pk}/")
    holding(page)
    read_all(page)
    with leaving(page):
        press(page, "s")
    expect(page.locator(".sheet")).to_contain_text("B-2")
    holding(page)
    expect(page.locator("[data-gate-words]")).to_have_text(freshly)
    assert complaints == []


def test_without_javascript_the_reader_says_that_he_has_read_it(chrome: Browser, url: str) -> None:
    the = desk()
    proposal = the.propose({"order_id": "A-1", "amount": 5, "note": LONG})
    page = signed_in(chrome, url, the.reviewer, java_script_enabled=False).new_page()
    page.goto(f"/proposals/{proposal.pk}/")
    approve = page.get_by_role("button", name="Approve what is shown")
    approve.click()
    assert page.url.endswith(f"/proposals/{proposal.pk}/"), "the browser asks for the box first"
    page.get_by_label("I have read all of it").check()
    approve.click()
    expect(page.locator(".stamp__word")).to_have_text("Approved")


# — The pace


def test_the_pace_stops_calmly_and_counts_down(chrome: Browser, url: str) -> None:
    least = 100
    the = desk(at={"view_seconds": dict.fromkeys(("low", "medium", "high", "critical"), least)})
    the.propose()
    page, complaints = watched(signed_in(chrome, url, the.reviewer), meant=REFUSALS)
    page.goto("/queues/")
    opening = time.monotonic()
    take_next(page)
    press(page, "a")
    refusal = page.locator("#refusal")
    expect(refusal).to_contain_text(f"asks for {least} seconds")
    expect(refusal).to_be_focused()
    expect(refusal.locator(".undo__over")).to_be_hidden()
    left, _ = refusal.locator(".countdown").evaluate(LEFT)
    assert least - (time.monotonic() - opening) - 1 <= left <= least
    counts_down(refusal.locator(".countdown"))

    page.evaluate("document.getAnimations().forEach((each) => each.finish())")  # as they end after that time
    expect(refusal.locator(".undo__over")).to_be_visible()
    expect(refusal.locator(".undo__when")).to_be_hidden()
    with time_machine.travel(timezone.now() + timedelta(seconds=least), tick=True):
        press(page, "a")
        expect(page.locator(".stamp__word")).to_have_text("Approved")
    assert complaints == []


def counts_down(countdown: Locator) -> None:
    """By as many seconds as go by; it is looked at twice, and a busy machine's frames come late."""
    before, begun = countdown.evaluate(LEFT)
    countdown.page.wait_for_timeout(2200)
    after, ended = countdown.evaluate(LEFT)
    assert after < before
    assert abs((before - after) - (ended - begun)) < 2


# — The undo window


def test_a_decision_is_undone_from_the_next_page(chrome: Browser, url: str) -> None:
    the = desk(at={"undo_seconds": 120})
    first = the.propose(priority="urgent")
    the.propose({"order_id": "B-2", "amount": 7})
    page, complaints = watched(signed_in(chrome, url, the.reviewer))
    page.goto("/queues/")
    take_next(page)
    deciding = time.monotonic()
    with leaving(page):
        press(page, "a")
    bar = page.locator(".undo")
    expect(bar).to_contain_text("Approved")
    left, _ = bar.locator(".countdown").evaluate(LEFT)
    assert 120 - (time.monotonic() - deciding) - 1 <= left <= 120
    counts_down(bar.locator(".countdown"))
    take_next(page)
    expect(page.locator(".sheet")).to_contain_text("B-2")
    expect(bar).to_contain_text("Undo")
    assert Proposal.objects.get(pk=first.pk).state == "pending"
    with leaving(page):
        press(page, "z")
    expect(page.locator("#messages")).to_contain_text("Taken back")
    holding(page)
    assert not HeldBallot.objects.exists()
    expect(page).to_have_url(f"{url}/proposals/{first.pk}/")
    assert complaints == []


def test_the_undo_bar_ends_by_itself_and_moves_nothing(chrome: Browser, url: str) -> None:
    window = 20
    the = desk(at={"undo_seconds": window})
    the.propose()
    page, complaints = watched(signed_in(chrome, url, the.reviewer))
    page.goto("/queues/")
    take_next(page)
    with leaving(page):
        press(page, "a")
    undo = page.locator(".undo").get_by_role("button", name="Undo")
    expect(undo).to_be_visible()
    page.wait_for_function(  # the unit behind a number moves where the number loses a digit; that is no jump
        """() => getComputedStyle(document.querySelector(".undo .countdown")).getPropertyValue("--left") < 10""",
        timeout=(window + 20) * 1000,
    )
    page.evaluate("""() => { window.moved = 0; new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) window.moved += entry.value;
    }).observe({type: "layout-shift"}); }""")
    expect(undo).to_be_hidden(timeout=(window + 20) * 1000)
    expect(page.locator(".undo__over")).to_be_visible()
    announced(page, "The time to undo is over.")
    paths = posted(page)
    press(page, "z")
    page.wait_for_timeout(200)
    assert paths == []
    assert page.evaluate("window.moved") == 0
    assert complaints == []


def test_undo_without_javascript(chrome: Browser, url: str) -> None:
    the = desk(at={"undo_seconds": 120})
    proposal = the.propose()
    page = signed_in(chrome, url, the.reviewer, java_script_enabled=False).new_page()
    page.goto(f"/proposals/{proposal.pk}/")
    page.get_by_label("I have read all of it").check()
    page.get_by_role("button", name="Approve what is shown").click()
    expect(page.locator(".stamp__word")).to_have_text("Approved")
    assert HeldBallot.objects.count() == 1
    page.goto("/queues/")
    page.locator(".undo").get_by_role("button", name="Undo").click()
    expect(page.locator("#messages")).to_contain_text("Taken back")
    assert not HeldBallot.objects.exists()


def test_a_decision_leads_on_to_the_next_where_that_was_chosen(chrome: Browser, url: str) -> None:
    the = desk()
    prefer(the.reviewer, advance=True)
    the.propose(priority="urgent")
    the.propose({"order_id": "B-2", "amount": 7})
    page, complaints = watched(signed_in(chrome, url, the.reviewer))
    page.goto("/queues/")
    take_next(page)
    with leaving(page):
        press(page, "a")
    expect(page.locator("#messages")).to_contain_text("Signed: approved. “Refund")
    expect(page.locator(".sheet")).to_contain_text("B-2")
    holding(page)
    with leaving(page):
        press(page, "a")
    expect(page.locator("#messages")).to_contain_text("Nothing else is waiting for you.")
    assert list(Proposal.objects.values_list("state", flat=True)) == ["approved", "approved"]
    assert complaints == []


# — By thumb


def test_deciding_by_touch_on_a_phone(chrome: Browser, url: str) -> None:
    the = desk()
    the.propose({"order_id": "A-1", "amount": 5, "note": LONG})
    context = signed_in(chrome, url, the.reviewer, viewport=NARROW, has_touch=True, is_mobile=True)
    page, complaints = watched(context)
    page.goto("/queues/")
    with leaving(page):
        page.get_by_role("button", name="Next proposal").tap()
    holding(page)
    desk_bar = page.locator("#decide").bounding_box()
    assert desk_bar is not None
    assert abs(desk_bar["y"] + desk_bar["height"] - 844) < 2, "the decision stays under the thumb"
    assert desk_bar["height"] < 844 / 2.5
    small = page.locator("#decide").evaluate("""desk => [...desk.querySelectorAll("button, summary, a, label")]
        .filter((each) => each.getClientRects().length && !each.closest("details:not([open]) > form"))
        .map((each) => [each.textContent.trim(), each.getBoundingClientRect()])
        .filter(([, box]) => box.height < 44 || box.width < 44)
        .map(([words, box]) => `${words} ${box.width}×${box.height}`)""")
    assert small == []
    page.get_by_role("button", name="Write it").focus()
    written = page.get_by_role("button", name="Write it").bounding_box()
    assert written is not None and written["y"] + written["height"] <= desk_bar["y"], (
        "focus is not under the bar"
    )
    page.locator("summary", has_text="Reject").tap()
    page.get_by_label("Reason", exact=True).select_option("not_allowed")
    page.get_by_role("button", name="Reject", exact=True).tap()
    expect(page.locator(".stamp__word")).to_have_text("Rejected")
    assert complaints == []


# — In every look


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_every_state_of_the_desk_passes_axe(
    chrome: Browser, url: str, theme: Any, size: ViewportSize
) -> None:
    the = desk(at={"undo_seconds": 120, "view_seconds": {"low": 0, "medium": 120, "high": 0, "critical": 0}})
    first = the.propose()
    second = the.propose({"order_id": "W" * 40, "amount": 7, "note": LONG}, reasoning=LONG)
    page, _ = watched(signed_in(chrome, url, the.reviewer, viewport=size, color_scheme=theme))
    mark = f"{theme}-{size['width']}"
    heading = page.get_by_role("heading", level=1)
    found = {}
    page.goto(f"/proposals/{second.pk}/")
    holding(page)
    found["gate"] = faults(page, f"actions-gate-{mark}")
    for key, name in (("r", "reject"), ("q", "return"), ("g", "give")):
        press(page, key)
        expect(page.locator("#decide details[open] :focus")).to_be_visible()
        found[name] = faults(page, f"actions-{name}-{mark}")
        press(page, "Escape")
        heading.focus()
    press(page, "m")
    page.keyboard.type("The amount is twice what I know, @")
    expect(page.get_by_role("listbox")).to_be_visible()
    found["mentions"] = faults(page, f"actions-mentions-{mark}")
    press(page, "Escape", "Control+Enter")
    expect(page.locator(".thread__text")).to_be_visible()
    page.goto(f"/proposals/{first.pk}/")
    holding(page)
    read_all(page)
    heading.focus()
    press(page, "a")
    expect(page.locator("#refusal")).to_contain_text("asks for 120 seconds")
    found["pace"] = faults(page, f"actions-pace-{mark}")
    heading.focus()
    press(page, "q")
    page.keyboard.type("Which order is meant?")
    with leaving(page):
        press(page, "Control+Enter")
    expect(page.locator(".undo")).to_be_visible()
    found["undo"] = faults(page, f"actions-undo-{mark}")
    press(page, "?")
    expect(page.get_by_role("dialog")).to_be_visible()
    found["keys"] = faults(page, f"actions-keys-{mark}")
    page.goto("/preferences/")
    ready(page)
    found["preferences"] = faults(page, f"actions-preferences-{mark}")
    assert {name: fault for name, fault in found.items() if fault} == {}
