"""The edit form in Chromium: what is typed is compared at once, what is not touched stays, and nothing is lost."""

import json
from typing import Any

import pytest
from playwright.sync_api import Browser, Dialog, ViewportSize, expect

from approvals.models import Proposal, Verdict
from tests.browser import NARROW, WIDE, announced, faults, leaving, press
from tests.e2e.rich_form import ARGUMENTS, HOSTILE, SCHEMA, arguments, opened, preview, rich_desk
from tests.factories import policy, queue

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_what_is_typed_is_compared_and_judged_before_it_is_sent(chrome: Browser, url: str) -> None:
    the = rich_desk()
    elsewhere = queue("large-payments")
    policy(
        [
            {"name": "huge", "when": "amount > 1000", "deny": "Nobody pays that much by hand."},
            {"name": "large", "when": "amount > 100", "review": {"queue": elsewhere.slug, "quorum": 2}},
        ],
        the.queue,
    )
    proposal = the.propose(ARGUMENTS)
    page, complaints = opened(chrome, url, the, proposal)
    expect(preview(page)).to_contain_text("Nothing is changed yet")

    page.get_by_label("Amount").fill("40")
    expect(preview(page)).to_contain_text("Your vote is enough: it would be approved as edited.")
    expect(preview(page)).to_contain_text("It stays in")
    expect(page.locator("#preview del")).to_have_text("42.5")
    expect(page.locator("#preview ins")).to_have_text("40")
    announced(page, "1 change. It stays in")

    page.get_by_label("Amount").fill("400")
    expect(preview(page)).to_contain_text("It goes to another queue, Large-Payments, and out of your sight.")
    expect(preview(page)).to_contain_text("Your vote would not count there.")
    page.get_by_label("Amount").fill("4000")
    expect(preview(page)).to_contain_text("The policy would refuse it: Nobody pays that much by hand.")
    expect(preview(page)).to_contain_text("rule huge")

    page.get_by_label("Amount").fill("40,5")
    expect(page.locator("#f-amount-error")).to_have_text(
        "Write a number with digits and a point only, like 1240.50."
    )
    expect(page.get_by_label("Amount")).to_have_attribute("aria-invalid", "true")
    page.get_by_label("Amount").fill("40.005")
    expect(page.locator("#f-amount-error")).to_contain_text("multiple of 0.01")
    assert Proposal.objects.get().version == proposal.version

    page.get_by_role("button", name="Back to the agent’s value of Amount").click()
    expect(page.get_by_label("Amount")).to_have_value("42.5")
    expect(page.get_by_label("Amount")).to_be_focused()
    expect(preview(page)).to_contain_text("Nothing is changed yet")
    expect(page.locator("#f-amount-error")).to_be_empty()

    page.get_by_label("Account").fill("NL91ABNA0417164309")
    expect(page.locator("#preview ins")).to_have_text("9")
    with page.expect_response("**/edit/"):
        press(page, "Enter")  # checks, and never approves
    expect(page.get_by_label("Account")).to_be_focused()
    assert Proposal.objects.get().state == "pending"
    press(page, "Escape")
    expect(page.get_by_label("Account")).to_have_value("NL91ABNA0417164309")
    with leaving(page):
        press(page, "Control+Enter")
    expect(page.locator(".stamp__word")).to_have_text("Approved with edits")
    assert arguments(proposal) == {**ARGUMENTS, "iban": "NL91ABNA0417164309"}
    assert complaints == []


def test_what_was_not_touched_survives_a_real_browser(chrome: Browser, url: str) -> None:
    the = rich_desk()
    before = {
        **ARGUMENTS,
        "tags": ["\ttab ", " ", "\x1b[31mred", "a\u0301", "\u2028"],
        "address": {"city": ""},
    }
    proposal = the.propose(before)
    page, complaints = opened(chrome, url, the, proposal, timezone_id="Asia/Tokyo", locale="de-DE")
    page.get_by_label("Weight").fill("13")
    page.get_by_role("button", name="Move Line 1 down").click()
    expect(page.get_by_role("button", name="Move Line 2 down")).to_be_focused()
    page.get_by_role("button", name="Move Line 2 down").click()
    expect(page.get_by_role("button", name="Move Line 3 up")).to_be_focused()
    page.get_by_role("button", name="Remove Line 1").click()
    expect(preview(page)).to_contain_text("removed")
    with leaving(page):
        press(page, "Control+Enter")
    expect(page.locator(".stamp__word")).to_have_text("Approved with edits")
    first, _, third = ARGUMENTS["lines"]
    assert arguments(proposal) == {**before, "weight": 13, "lines": [third, first]}
    assert complaints == []


def test_parts_rows_and_shapes_by_keyboard(chrome: Browser, url: str) -> None:
    the = rich_desk()
    proposal = the.propose(ARGUMENTS)
    page, complaints = opened(chrome, url, the, proposal)
    page.get_by_role("button", name="Add to Lines").press("Enter")
    expect(page.locator("#f-lines-3-n")).to_be_focused()
    page.keyboard.type("7")
    page.locator("#f-lines-3-sku").fill("PLUG")
    page.get_by_role("button", name="Add Address").press("Enter")
    expect(page.get_by_label("City")).to_be_focused()
    page.keyboard.type("Rotterdam")
    page.get_by_role("button", name="Add Tags").press("Enter")
    expect(page.get_by_role("textbox", name="Tag 1")).to_be_focused()
    page.keyboard.type("urgent")
    page.get_by_label("By bank").check()
    expect(page.get_by_label("Bank", exact=True)).to_be_visible()
    page.get_by_label("Bank", exact=True).fill("ABN")
    page.get_by_label("Another name").fill("project")
    page.get_by_role("button", name="Add it").press("Enter")
    page.get_by_label("project").fill("Lamp")
    page.get_by_label("Starts").fill("2026-11-30T09:00:00")
    page.get_by_label("Starts").blur()
    expect(preview(page)).to_contain_text("2026-11-30T09:00:00Z")
    expect(preview(page)).to_contain_text("PLUG")
    with leaving(page):
        press(page, "Control+Enter")
    expect(page.locator(".stamp__word")).to_have_text("Approved with edits")
    assert arguments(proposal) == {
        **ARGUMENTS,
        "lines": [*ARGUMENTS["lines"], {"sku": "PLUG", "n": 7}],
        "address": {"city": "Rotterdam"},
        "tags": ["urgent"],
        "payment": {"kind": "bank", "bank": "ABN"},
        "labels": {"cost centre": "77", "project": "Lamp"},
        "starts": "2026-11-30T09:00:00Z",
    }
    assert complaints == []


def test_everything_without_javascript(chrome: Browser, url: str) -> None:
    the = rich_desk()
    proposal = the.propose(ARGUMENTS)
    page, _ = opened(chrome, url, the, proposal, java_script_enabled=False)
    page.get_by_label("Amount").fill("41")
    page.get_by_label("By bank").check()
    page.get_by_role("button", name="Show its fields").click()
    page.get_by_label("Bank", exact=True).fill("ABN")
    page.get_by_role("button", name="Remove Line 2").click()
    page.get_by_label("Weight").fill("0")
    page.get_by_role("button", name="Check").last.click()
    expect(page.locator("#preview")).to_contain_text("Weight: 0 is less than the minimum of 1")
    expect(page.get_by_label("Weight")).to_be_focused()
    assert Proposal.objects.get().state == "pending"
    page.get_by_role("button", name="Save and approve").click()
    expect(page.get_by_role("alert").first).to_contain_text("Weight")
    page.get_by_role("button", name="Back to the agent’s value of Weight").click()
    expect(page.get_by_label("Weight")).to_have_value("12")
    page.get_by_role("button", name="Check").last.click()
    expect(page.locator("#preview")).to_contain_text("Your vote is enough")
    page.get_by_role("button", name="Save and approve").click()
    expect(page.locator(".stamp__word")).to_have_text("Approved with edits")
    first, _, third = ARGUMENTS["lines"]
    assert arguments(proposal) == {
        **ARGUMENTS,
        "amount": 41,
        "lines": [first, third],
        "payment": {"kind": "bank", "bank": "ABN"},
    }


def test_leaving_asks_only_when_something_was_changed(chrome: Browser, url: str) -> None:
    the = rich_desk()
    proposal = the.propose(ARGUMENTS)
    page, _ = opened(chrome, url, the, proposal)
    asked: list[str] = []

    def answer(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.accept()

    page.on("dialog", answer)
    page.get_by_label("Amount").press("End")
    with leaving(page):
        page.get_by_role("link", name="Cancel").click()
    expect(page).to_have_url(f"{url}/proposals/{proposal.pk}/")
    assert asked == []
    page.goto(f"/proposals/{proposal.pk}/edit/")
    page.get_by_label("Amount").fill("1")
    with leaving(page):
        page.get_by_role("link", name="Cancel").click()
    expect(page).to_have_url(f"{url}/proposals/{proposal.pk}/")
    assert asked == ["beforeunload"]


def test_earlier_votes_are_named_before_they_are_voided(chrome: Browser, url: str) -> None:
    the = rich_desk()
    the.queue.quorum = 2
    the.queue.save()
    proposal = the.propose(ARGUMENTS)
    the.decide(proposal, Verdict.APPROVE, by=the.second)
    page, _ = opened(chrome, url, the, proposal)
    expect(page.locator("#at-stake")).to_contain_text("Your edit voids 1 approval: Ravi Reviewer.")
    page.get_by_label("Amount").fill("2")
    expect(preview(page)).to_contain_text("Your vote counts once; it is not enough.")
    with leaving(page):
        press(page, "Control+Enter")
    expect(page.get_by_text("waits for", exact=False).or_(page.locator("#decide")).first).to_be_visible()
    now = Proposal.objects.get()
    assert (now.state, now.revision) == ("pending", 2)


def test_hostile_schema_and_values_are_text_only(chrome: Browser, url: str) -> None:
    schema = json.loads(json.dumps(SCHEMA))
    for part in schema["properties"].values():
        part["title"] = f"{part['title']} {HOSTILE[:60]}"
        part["description"] = HOSTILE
    schema["properties"]["country"]["enum"] = [HOSTILE, *"abcdef"]
    schema["properties"]["reason"]["enum"] = [HOSTILE, "late"]
    the = rich_desk(schema)
    hostile = {**ARGUMENTS, "note": HOSTILE, "country": HOSTILE, "reason": HOSTILE, "locked": HOSTILE}
    proposal = the.propose({**hostile, "labels": {HOSTILE: HOSTILE}})
    page, complaints = opened(chrome, url, the, proposal)
    title = page.title()
    page.locator("#f-note").fill(HOSTILE + "!")
    expect(preview(page)).to_contain_text("characters as before")
    assert page.title() == title
    assert page.locator("#edit img, #edit script, #edit a:not([href^='#f']):not([href^='/'])").count() == 0
    assert complaints == []


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_form_has_no_accessibility_fault(chrome: Browser, url: str, theme: Any, size: ViewportSize) -> None:
    the = rich_desk()
    the.queue.quorum = 2
    the.queue.save()
    long = "word " * 500
    proposal = the.propose({**ARGUMENTS, "note": long, "tags": ["a", "b"], "address": {"city": "R"}})
    the.decide(proposal, Verdict.APPROVE, by=the.second)
    page, complaints = opened(chrome, url, the, proposal, viewport=size, color_scheme=theme)
    name = f"edit-{theme}-{size['width']}"
    found = {"empty": faults(page, f"{name}-empty")}
    page.get_by_label("Amount").fill("40")
    page.get_by_label("Account").fill("NL91ABNA0417164399")
    page.get_by_label("Note").fill(long.replace("word word", "word other", 1) + "and more")
    page.get_by_role("button", name="Remove Line 2").click()
    page.get_by_role("button", name="Move Line 2 up").click()
    page.get_by_label("late").check()
    expect(preview(page)).to_contain_text("Your vote counts once")
    found["changed"] = faults(page, f"{name}-changed")
    page.get_by_label("Amount").fill("x")
    page.get_by_role("button", name="Add to Tags").click()
    page.get_by_role("button", name="Save and approve").click()
    expect(page.get_by_label("Amount")).to_be_focused()
    found["faulty"] = faults(page, f"{name}-faulty")
    assert {step: fault for step, fault in found.items() if fault} == {}
    assert complaints == []
