"""Everything a reviewer does besides reading, in Chromium: claims that come and go by themselves, skip, give on,
comment, undo, the gate, the pace, keys of one's own; by keyboard, by touch and without JavaScript."""

import os
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.test import Client
from django.utils import timezone
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright

from accounts import shortcuts
from accounts.models import Absence, User
from accounts.services.preferences import save as save_preferences
from approvals.models import Claim, Comment, HeldBallot, Notification, Proposal
from approvals.services import set_up
from approvals.services.claim import claim
from approvals.services.set_up import QueueDefinition
from tests import browser
from tests.factories import REASONS, Desk, admin, desk, reviewer
from tests.live import serving

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
WIDE, NARROW = {"width": 1360, "height": 900}, {"width": 390, "height": 844}
PICTURES = os.environ.get("COUNTERSIGN_PICTURES", "")
MEANT = ("status of 409", "status of 422", "Code 409", "Code 422")
SHIFTS = """window.moved = []; new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) for (const { node } of entry.sources)
        if (node?.closest?.("#decide")) window.moved.push(node.className);
}).observe({ type: "layout-shift", buffered: true });"""
LONG = "\n".join(f"Line {number} of what the customer wrote about the lamp." for number in range(120))


@pytest.fixture
def url() -> Iterator[str]:
    with serving() as address:
        yield address


@pytest.fixture(scope="module")
def chrome(chromium: str) -> Iterator[Browser]:
    os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "1")  # Playwright's loop runs in the test's own thread
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=chromium, args=list(browser.ARGUMENTS))


def signed_in(chrome: Browser, url: str, user: User, **options: Any) -> BrowserContext:
    client = Client()
    client.force_login(user)
    context = chrome.new_context(base_url=url, **{"viewport": WIDE, **options})
    context.add_cookies([{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": url}])
    return context


def watched(context: BrowserContext) -> tuple[Page, list[str]]:
    """A page and what it complains about. The browser's own note of a refusal that was meant (4xx) is none."""
    page = context.new_page()
    complaints: list[str] = []

    def heard(message: ConsoleMessage) -> None:
        if not any(told in message.text for told in MEANT):
            complaints.append(f"{message.type}: {message.text}")

    page.on("console", heard)
    page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
    return page, complaints


def holding(page: Page) -> None:
    """Wait until the proposal is on screen and held, as a person does before he presses a key."""
    expect(page.locator("#lease")).to_contain_text("Yours")
    page.locator("html:not(.is-arriving)").wait_for(state="attached")


def holder(proposal: Proposal) -> User | None:
    return Proposal.objects.select_related("claimed_by").get(pk=proposal.pk).claimed_by


def soon(is_true: Callable[[], bool], *, within: float = 8) -> None:
    """What a page sends when it is left arrives a moment later."""
    deadline = time.monotonic() + within
    while not is_true():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


def prefer(user: User, **changed: Any) -> None:
    """Preferences through their use case."""
    key_map = {**shortcuts.USUAL, **changed.pop("key_map", {})}
    values: dict[str, Any] = {"theme": "", "time_zone": "", "keys": "on", "advance": False}
    save_preferences(person=user, key_map=key_map, **{**values, **changed})


def settings_of(the: Desk, **changed: Any) -> None:
    """The desk's queue with other settings, through their use case."""
    kept = {"name": the.queue.name, "domain": the.queue.domain, "reason_codes": REASONS}
    definition = QueueDefinition(slug=the.queue.slug, **{**kept, **changed})
    set_up.save_queue(definition=definition, actor=admin())


def faults(page: Page, name: str) -> list[str]:
    """What axe finds, and whether the page is wider than the window."""
    if PICTURES:
        Path(PICTURES).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=f"{PICTURES}/actions-{name}.png")
    violations = Axe().run(page).response["violations"]
    found = [f"{each['id']}: {each['nodes'][0]['html'][:160]}" for each in violations]
    wider = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    return [*found, *([f"{wider} px too wide"] if wider > 0 else [])]


# — Claims


def test_opening_claims_and_every_way_of_leaving_hands_back(chrome: Browser, url: str) -> None:
    the = desk()
    proposal, other = the.propose(), the.propose()
    page, complaints = watched(signed_in(chrome, url, the.reviewer))
    page.add_init_script(SHIFTS)
    page.goto(f"/proposals/{proposal.pk}/")
    holding(page)
    assert holder(proposal) == the.reviewer
    expect(page.locator("#announcer")).to_have_text("It is yours now.")
    assert page.evaluate("window.moved") == [], "the claim takes no other place than the offer of one"

    with page.expect_navigation():
        page.evaluate("location.reload()")
    holding(page)
    assert Claim.objects.filter(proposal=proposal).count() == 1, "a reload is no leaving"
    page.keyboard.press("e")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Edit")
    page.go_back()
    holding(page)
    assert Claim.objects.filter(proposal=proposal).count() == 1, (
        "neither a reload nor its edit form is a leaving"
    )

    page.keyboard.press("u")
    expect(page).to_have_url(f"{url}/queues/{the.queue.slug}/")
    soon(lambda: holder(proposal) is None)

    page.goto(f"/proposals/{other.pk}/")
    holding(page)
    page.close()
    soon(lambda: holder(other) is None)
    assert complaints == []


def test_what_has_been_begun_is_kept_when_the_page_is_left(chrome: Browser, url: str) -> None:
    the = desk()
    proposal = the.propose()
    page, _ = watched(signed_in(chrome, url, the.reviewer))
    page.goto(f"/proposals/{proposal.pk}/")
    holding(page)
    page.keyboard.press("q")
    page.keyboard.type("Which or")
    page.goto("/queues/")
    page.wait_for_timeout(600)
    assert holder(proposal) == the.reviewer


def test_only_who_may_decide_what_nobody_has_claims_by_opening(chrome: Browser, url: str) -> None:
    the = desk()
    proposal, taken = the.propose(), the.propose()
    claim(proposal_id=taken.pk, reviewer=the.second)
    owner, _ = watched(signed_in(chrome, url, the.agent.owner))
    owner.goto(f"/proposals/{proposal.pk}/")
    expect(owner.locator("#lease")).to_contain_text("Nobody holds it")
    page, complaints = watched(signed_in(chrome, url, the.reviewer))
    page.goto(f"/proposals/{taken.pk}/")
    expect(page.locator("#lease")).to_contain_text("Ravi Reviewer is on it")
    page.wait_for_timeout(500)
    assert (holder(proposal), holder(taken)) == (None, the.second)

    page.goto(f"/proposals/{proposal.pk}/")
    holding(page)
    second, _ = watched(signed_in(chrome, url, the.second))
    second.goto(f"/proposals/{proposal.pk}/")
    expect(second.locator("#lease")).to_contain_text("Rita Reviewer is on it")
    assert complaints == []


def test_without_javascript_a_look_claims_nothing_and_buttons_do_it(chrome: Browser, url: str) -> None:
    the = desk()
    proposal = the.propose()
    page = signed_in(chrome, url, the.reviewer, java_script_enabled=False).new_page()
    page.goto(f"/proposals/{proposal.pk}/")
    assert holder(proposal) is None
    page.get_by_role("button", name="Claim").click()
    expect(page.locator("#lease")).to_contain_text("Yours")
    page.get_by_role("button", name="Release").click()
    assert holder(proposal) is None


# — Handing on


def test_skip_opens_the_next_in_one_key_press(chrome: Browser, url: str) -> None:
    the = desk()
    first, second = the.propose(priority="urgent"), the.propose({"order_id": "B-2", "amount": 7})
    page, complaints = watched(signed_in(chrome, url, the.reviewer))
    page.goto("/queues/")
    page.keyboard.press("n")
    holding(page)
    page.keyboard.press("s")
    expect(page.locator(".sheet")).to_contain_text("B-2")
    holding(page)
    assert (holder(first), holder(second)) == (None, the.reviewer)
    assert complaints == []


def test_giving_it_to_a_colleague_by_keyboard(chrome: Browser, url: str) -> None:
    the = desk()
    proposal = the.propose()
    page, complaints = watched(signed_in(chrome, url, the.reviewer))
    page.goto(f"/proposals/{proposal.pk}/")
    holding(page)
    page.keyboard.press("g")
    page.keyboard.type("Ravi")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#messages")).to_contain_text("Given to Ravi Reviewer")
    proposal.refresh_from_db()
    assert (proposal.assigned_to, proposal.claimed_by) == (the.second, None)
    assert Notification.objects.get().kind == "assigned"

    page.goto(f"/proposals/{proposal.pk}/")
    expect(page.locator("#lease")).to_contain_text("Given to Ravi Reviewer")
    page.wait_for_timeout(400)
    assert holder(proposal) is None, "looking at what a colleague was given takes nothing from him"
    assert complaints == []


def test_who_is_away_is_named_with_his_stand_in_before_he_gets_it(chrome: Browser, url: str) -> None:
    the = desk()
    proposal = the.propose()
    stand_in = reviewer(the.queue, name="Stella Stand")
    now = timezone.now()
    Absence.objects.create(
        person=the.second,
        delegate=stand_in,
        starts_at=now - timedelta(days=1),
        ends_at=now + timedelta(days=2),
    )
    page = signed_in(chrome, url, the.reviewer, java_script_enabled=False).new_page()
    page.goto(f"/proposals/{proposal.pk}/")
    page.locator("summary", has_text="Give").click()
    page.get_by_label("Colleague", exact=True).select_option(str(the.second.pk))
    page.get_by_role("button", name="Give it").click()
    expect(page.locator(".field__error")).to_contain_text("or choose Stella Stand")
    assert Proposal.objects.get().assigned_to is None
    page.get_by_role("button", name="Give it").click()
    expect(page.locator("#messages")).to_contain_text("Given to Ravi Reviewer")
    assert Proposal.objects.get().assigned_to == the.second


def test_a_comment_names_a_colleague_by_completion_and_arrives_on_his_page(chrome: Browser, url: str) -> None:
    the = desk()
    proposal = the.propose()
    his, _ = watched(signed_in(chrome, url, the.second))
    his.goto(f"/proposals/{proposal.pk}/")
    page, complaints = watched(signed_in(chrome, url, the.reviewer))
    page.goto(f"/proposals/{proposal.pk}/")
    page.keyboard.press("m")
    page.keyboard.type("Please look, @rav")
    expect(page.get_by_role("option", name="Ravi Reviewer")).to_be_visible()
    page.keyboard.press("Enter")
    page.keyboard.type("<b>now</b>")
    expect(page.get_by_label("Write to your colleagues")).to_have_value(
        "Please look, @Ravi Reviewer <b>now</b>"
    )
    page.keyboard.press("Control+Enter")
    expect(page.locator(".thread__text")).to_have_text("Please look, @Ravi Reviewer <b>now</b>")
    expect(page.get_by_label("Write to your colleagues")).to_have_value("")
    assert list(Comment.objects.get().mentions.all()) == [the.second]
    assert Notification.objects.get().kind == "mentioned"
    his.evaluate("document.body.dispatchEvent(new CustomEvent('countersign:news'))")
    expect(his.locator(".thread__text")).to_contain_text("Please look")
    expect(his.locator("#announcer")).to_have_text("New comment by Rita Reviewer")
    assert complaints == []


def test_a_comment_without_javascript(chrome: Browser, url: str) -> None:
    the = desk()
    proposal = the.propose()
    page = signed_in(chrome, url, the.reviewer, java_script_enabled=False).new_page()
    page.goto(f"/proposals/{proposal.pk}/")
    page.get_by_role("button", name="Write it").click()
    expect(page.locator("#comments .field__error")).to_have_text("Write something first.")
    page.get_by_label("Write to your colleagues").fill("Seen before")
    page.locator("summary", has_text="Choose whom to tell").click()
    page.get_by_label("Ravi Reviewer").check()
    page.get_by_role("button", name="Write it").click()
    expect(page.locator(".thread__text")).to_have_text("Seen before")
    expect(page.locator(".thread__named")).to_have_text("to Ravi Reviewer")


# — Deciding: the gate, the pace, the undo window, going on by itself


def test_what_cannot_be_undone_is_approved_only_after_all_of_it_was_in_view(
    chrome: Browser, url: str
) -> None:
    the = desk()
    the.propose({"order_id": "A-1", "amount": 5, "note": LONG}, reasoning=LONG)
    page, complaints = watched(signed_in(chrome, url, the.reviewer))
    page.goto("/queues/")
    page.keyboard.press("n")
    holding(page)
    words = page.locator("[data-gate-words]")
    expect(words).to_contain_text("% of it was in view")
    page.keyboard.press("a")
    expect(page.locator("#announcer")).to_contain_text("Read on to the end first")
    page.get_by_role("heading", level=1).focus()
    page.keyboard.press("End")  # the end alone is not the whole
    page.wait_for_timeout(300)
    expect(words).to_contain_text("% of it was in view")
    page.locator("form:has(> [data-key=a])").evaluate("form => form.requestSubmit()")
    page.wait_for_timeout(300)
    assert Proposal.objects.get().state == "pending" and not HeldBallot.objects.exists()

    rest = page.get_by_role("button", name="Show the rest")
    for _ in range(60):
        if not rest.is_visible():
            break
        page.locator("[data-gate-rest]").dispatch_event("click")  # scrolling to it may be what opens the gate
        page.wait_for_timeout(50)
    expect(words).to_have_text("All of it was in view.")
    page.get_by_role("heading", level=1).focus()
    page.keyboard.press("a")
    expect(page.locator(".stamp__word")).to_have_text("Approved")
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


def test_the_pace_stops_calmly_and_counts_down(chrome: Browser, url: str) -> None:
    the = desk()
    settings_of(the, view_seconds={"low": 5, "medium": 5, "high": 5, "critical": 5})
    the.propose()
    page, complaints = watched(signed_in(chrome, url, the.reviewer))
    page.goto("/queues/")
    page.keyboard.press("n")
    holding(page)
    page.keyboard.press("a")
    refusal = page.locator("#refusal")
    expect(refusal).to_contain_text("asks for 5 seconds")
    expect(refusal).to_be_focused()
    expect(refusal.locator(".undo__over")).to_be_hidden()
    expect(refusal.locator(".undo__over")).to_be_visible(timeout=8000)
    expect(refusal.locator(".undo__when")).to_be_hidden()
    page.keyboard.press("a")
    expect(page.locator(".stamp__word")).to_have_text("Approved")
    assert complaints == []


def test_a_decision_is_undone_from_the_next_page(chrome: Browser, url: str) -> None:
    the = desk()
    settings_of(the, undo_seconds=60)
    first = the.propose(priority="urgent")
    the.propose({"order_id": "B-2", "amount": 7})
    page, complaints = watched(signed_in(chrome, url, the.reviewer))
    page.goto("/queues/")
    page.keyboard.press("n")
    holding(page)
    page.keyboard.press("a")
    bar = page.locator(".undo")
    expect(bar).to_contain_text("Approved")
    left = "element => Number(getComputedStyle(element).getPropertyValue('--left'))"
    before = bar.locator(".countdown").evaluate(left)
    assert 50 <= before <= 60
    page.wait_for_timeout(2200)
    assert before - 4 <= bar.locator(".countdown").evaluate(left) <= before - 2
    page.keyboard.press("n")
    expect(page.locator(".sheet")).to_contain_text("B-2")
    holding(page)
    expect(bar).to_contain_text("Undo")
    assert Proposal.objects.get(pk=first.pk).state == "pending"
    page.keyboard.press("z")
    expect(page.locator("#messages")).to_contain_text("Taken back")
    holding(page)
    assert not HeldBallot.objects.exists()
    assert page.url.endswith(f"/proposals/{first.pk}/")
    assert complaints == []


def test_the_undo_bar_ends_by_itself_and_moves_nothing(chrome: Browser, url: str) -> None:
    the = desk()
    settings_of(the, undo_seconds=3)
    the.propose()
    page, complaints = watched(signed_in(chrome, url, the.reviewer))
    page.goto("/queues/")
    page.keyboard.press("n")
    holding(page)
    page.keyboard.press("a")
    undo = page.locator(".undo").get_by_role("button", name="Undo")
    expect(undo).to_be_visible()
    page.evaluate("""() => { window.moved = 0; new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) window.moved += entry.value;
    }).observe({type: "layout-shift"}); }""")
    expect(undo).to_be_hidden(timeout=6000)
    expect(page.locator(".undo__over")).to_be_visible()
    expect(page.locator("#announcer")).to_have_text("The time to undo is over.")
    page.keyboard.press("z")
    page.wait_for_timeout(200)
    assert page.evaluate("window.moved") == 0
    assert complaints == []


def test_undo_without_javascript(chrome: Browser, url: str) -> None:
    the = desk()
    settings_of(the, undo_seconds=60)
    proposal = the.propose()
    page = signed_in(chrome, url, the.reviewer, java_script_enabled=False).new_page()
    page.goto(f"/proposals/{proposal.pk}/")
    page.get_by_label("I have read all of it").check()
    page.get_by_role("button", name="Approve what is shown").click()
    assert HeldBallot.objects.count() == 1
    page.goto("/queues/")
    page.locator(".undo").get_by_role("button", name="Undo").click()
    expect(page.locator("#messages")).to_contain_text("Taken back")
    assert not HeldBallot.objects.exists()


def test_a_decision_leads_on_to_the_next_where_that_was_chosen(chrome: Browser, url: str) -> None:
    the = desk()
    prefer(the.reviewer, advance=True)
    first, second = the.propose(priority="urgent"), the.propose({"order_id": "B-2", "amount": 7})
    page, complaints = watched(signed_in(chrome, url, the.reviewer))
    page.goto("/queues/")
    page.keyboard.press("n")
    holding(page)
    page.keyboard.press("a")
    expect(page.locator("#messages")).to_contain_text("Signed: approved. “Refund")
    expect(page.locator(".sheet")).to_contain_text("B-2")
    holding(page)
    page.keyboard.press("a")
    expect(page.locator("#messages")).to_contain_text("Nothing else is waiting for you.")
    assert set(Proposal.objects.values_list("state", flat=True)) == {"approved"}
    assert complaints == [] and first.pk != second.pk


# — Keys of one's own


def test_remapped_keys_act_and_are_shown_and_the_usual_ones_rest(chrome: Browser, url: str) -> None:
    the = desk()
    prefer(the.reviewer, key_map={"a": "y", "n": "ä"})
    the.propose()
    page, complaints = watched(signed_in(chrome, url, the.reviewer))
    page.goto("/queues/")
    page.keyboard.press("n")
    page.wait_for_timeout(300)
    expect(page).to_have_url(f"{url}/queues/")
    page.keyboard.insert_text("")
    page.evaluate(
        "document.body.dispatchEvent(new KeyboardEvent('keydown', {key: 'ä', bubbles: true, cancelable: true}))"
    )
    holding(page)
    expect(page.locator("[data-key=a] kbd")).to_have_text("y")
    page.keyboard.press("a")
    page.wait_for_timeout(300)
    assert Proposal.objects.get().state == "pending"
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("y")
    page.keyboard.press("Escape")
    page.keyboard.press("y")
    expect(page.locator(".stamp__word")).to_have_text("Approved")
    assert complaints == []


def test_keys_that_need_alt_rest_without_it(chrome: Browser, url: str) -> None:
    the = desk()
    prefer(the.reviewer, keys="alt")
    the.propose()
    page, _ = watched(signed_in(chrome, url, the.reviewer))
    page.goto("/queues/")
    page.keyboard.press("n")
    page.wait_for_timeout(300)
    expect(page).to_have_url(f"{url}/queues/")
    page.keyboard.press("Alt+n")
    holding(page)
    expect(page.locator("[data-key=a] kbd")).to_have_text("Alt+a")
    page.keyboard.press("a")
    page.wait_for_timeout(300)
    assert Proposal.objects.get().state == "pending"
    page.keyboard.press("Alt+a")
    expect(page.locator(".stamp__word")).to_have_text("Approved")


# — By thumb


def test_deciding_by_touch_on_a_phone(chrome: Browser, url: str) -> None:
    the = desk()
    the.propose({"order_id": "A-1", "amount": 5, "note": LONG})
    context = signed_in(chrome, url, the.reviewer, viewport=NARROW, has_touch=True, is_mobile=True)
    page, complaints = watched(context)
    page.goto("/queues/")
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
    chrome: Browser, url: str, theme: str, size: dict[str, int]
) -> None:
    the = desk()
    settings_of(the, undo_seconds=100, view_seconds={"low": 0, "medium": 100, "high": 0, "critical": 0})
    first, second = (
        the.propose(),
        the.propose({"order_id": "W" * 40, "amount": 7, "note": LONG}, reasoning=LONG),
    )
    page, _ = watched(signed_in(chrome, url, the.reviewer, viewport=size, color_scheme=theme))
    mark = f"{theme}-{size['width']}"
    found = {}
    page.goto(f"/proposals/{second.pk}/")
    holding(page)
    page.wait_for_timeout(200)
    found["gate"] = faults(page, f"gate-{mark}")
    for key, name in (("r", "reject"), ("q", "return"), ("g", "give")):
        page.keyboard.press(key)
        page.wait_for_timeout(100)
        found[name] = faults(page, f"{name}-{mark}")
        page.keyboard.press("Escape")
        page.get_by_role("heading", level=1).focus()
    page.keyboard.press("m")
    page.keyboard.type("The amount is twice what I know, @")
    found["mentions"] = faults(page, f"mentions-{mark}")
    page.keyboard.press("Escape")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".thread__text")).to_be_visible()
    page.goto(f"/proposals/{first.pk}/")
    holding(page)
    page.get_by_role("heading", level=1).focus()
    if page.get_by_role("button", name="Show the rest").is_visible():
        for _ in range(20):
            if page.get_by_role("button", name="Show the rest").is_visible():
                page.locator("[data-gate-rest]").dispatch_event("click")
                page.wait_for_timeout(50)
    page.get_by_role("heading", level=1).focus()
    page.keyboard.press("a")
    expect(page.locator("#refusal")).to_contain_text("asks for 100 seconds")
    found["pace"] = faults(page, f"pace-{mark}")
    page.get_by_role("heading", level=1).focus()
    page.keyboard.press("q")
    page.keyboard.type("Which order is meant?")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".undo")).to_be_visible()
    found["undo"] = faults(page, f"undo-{mark}")
    page.keyboard.press("?")
    found["keys"] = faults(page, f"keys-{mark}")
    page.goto("/preferences/")
    found["preferences"] = faults(page, f"preferences-{mark}")
    assert {name: fault for name, fault in found.items() if fault} == {}
