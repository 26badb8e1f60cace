"""Keys in Chromium: they act on what is on the screen and on nothing else, and are the person's own."""

from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from accounts import shortcuts
from accounts.models import User
from accounts.services.preferences import save as save_preferences
from approvals.models import Proposal
from tests.browser import announced, arrived, holding, leaving, posted, press, signed_in, take_next, watched
from tests.factories import desk

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def prefer(user: User, **changed: Any) -> None:
    """Preferences through their use case."""
    key_map = {**shortcuts.USUAL, **changed.pop("key_map", {})}
    values: dict[str, Any] = {"theme": "", "time_zone": "", "keys": "on", "advance": False}
    save_preferences(person=user, key_map=key_map, **{**values, **changed})


def assert_nothing_was_sent(page: Page, paths: list[str]) -> None:
    """A button that is clicked sends at once; what is looked at here is what came a moment after the key."""
    page.wait_for_timeout(300)
    assert [path for path in paths if not path.endswith("/renew/")] == []
    assert Proposal.objects.get().state == "pending"


def test_a_key_pressed_before_the_page_was_painted_decides_nothing(chrome: Browser, url: str) -> None:
    the = desk()
    the.propose()
    page, _ = watched(signed_in(chrome, url, the.reviewer))
    page.goto("/queues/")
    page.evaluate("""() => document.addEventListener("htmx:afterSwap", () => document.body.dispatchEvent(
        new KeyboardEvent("keydown", {key: "a", bubbles: true, cancelable: true})))""")
    paths = posted(page)
    take_next(page)
    paths.remove("/next/")
    assert_nothing_was_sent(page, paths)


@pytest.mark.parametrize(("key", "way"), [("e", "edit"), ("u", "queues"), ("s", "skip")])
def test_a_key_pressed_while_another_page_is_on_its_way_decides_nothing(
    chrome: Browser, url: str, key: str, way: str
) -> None:
    the = desk()
    proposal = the.propose()
    page, _ = watched(signed_in(chrome, url, the.reviewer))
    page.goto(f"/proposals/{proposal.pk}/")
    holding(page)
    held: list[Route] = []
    page.route(f"**/{way}/**", lambda route: held.append(route), times=1)
    paths = posted(page)
    with leaving(page):
        press(page, key)
        page.keyboard.press("a")  # the page that it was meant for is not there yet
        while not held:
            page.wait_for_timeout(50)
        held[0].continue_()
    assert Proposal.objects.get().state == "pending"
    assert [path for path in paths if path.endswith("/approve/")] == []


def test_what_is_sent_is_sent_once_however_often_the_keys_are_pressed(chrome: Browser, url: str) -> None:
    the = desk()
    proposal = the.propose()
    page, complaints = watched(signed_in(chrome, url, the.reviewer))
    page.goto(f"/proposals/{proposal.pk}/")
    holding(page)
    press(page, "q")
    page.keyboard.type("Which order?")
    paths = posted(page)
    for _ in range(3):
        page.keyboard.press("Control+Enter")
    expect(page.locator(".stamp__word")).to_have_text("Returned with a question")
    assert paths == [f"/proposals/{proposal.pk}/return/"]
    assert complaints == []


def test_the_focus_stays_with_what_is_being_written(chrome: Browser, url: str) -> None:
    the = desk()
    the.propose()
    page, _ = watched(signed_in(chrome, url, the.reviewer))
    page.goto("/queues/")
    page.evaluate("""() => document.addEventListener("htmx:afterSwap", (event) => {
        if (event.detail.target.id === "main") setTimeout(() => {
            document.querySelector("[data-key=q]").click();
            document.querySelector("#decide details[open] textarea").focus();
        });
    })""")
    take_next(page)
    expect(page.locator("#decide details[open] textarea")).to_be_focused()
    paths = posted(page)
    page.get_by_role("heading", level=1).focus()
    press(page, "a")  # another verdict has been begun: this key must not approve
    announced(page, "Another verdict is being written.")
    assert_nothing_was_sent(page, paths)


def test_single_keys_rest_when_switched_off(chrome: Browser, url: str) -> None:
    the = desk()
    proposal = the.propose()
    prefer(the.reviewer, keys="off")
    page, _ = watched(signed_in(chrome, url, the.reviewer))
    page.goto(f"/proposals/{proposal.pk}/")
    holding(page)
    paths = posted(page)
    press(page, "a")
    assert_nothing_was_sent(page, paths)
    expect(page.locator(".key--hint").first).to_be_hidden()


def test_remapped_keys_act_and_are_shown_and_the_usual_ones_rest(chrome: Browser, url: str) -> None:
    the = desk()
    prefer(the.reviewer, key_map={"a": "y", "n": "ä"})
    the.propose()
    page, complaints = watched(signed_in(chrome, url, the.reviewer))
    page.goto("/queues/")
    paths = posted(page)
    press(page, "n")
    assert_nothing_was_sent(page, paths)
    expect(page).to_have_url(f"{url}/queues/")
    with leaving(page):  # the driver's keyboard has no key of this name
        page.evaluate(
            "document.body.dispatchEvent(new KeyboardEvent('keydown', {key: 'ä', bubbles: true, cancelable: true}))"
        )
    holding(page)
    expect(page.locator("[data-key=a] kbd")).to_have_text("y")
    paths.clear()
    press(page, "a")
    assert_nothing_was_sent(page, paths)
    press(page, "?")
    expect(page.get_by_role("dialog")).to_contain_text("y")
    press(page, "Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    press(page, "y")
    expect(page.locator(".stamp__word")).to_have_text("Approved")
    assert complaints == []


def test_keys_that_need_alt_rest_without_it(chrome: Browser, url: str) -> None:
    the = desk()
    prefer(the.reviewer, keys="alt")
    the.propose()
    page, _ = watched(signed_in(chrome, url, the.reviewer))
    page.goto("/queues/")
    paths = posted(page)
    press(page, "n")
    assert_nothing_was_sent(page, paths)
    expect(page).to_have_url(f"{url}/queues/")
    with leaving(page):
        press(page, "Alt+n")
    holding(page)
    expect(page.locator("[data-key=a] kbd")).to_have_text("Alt+a")
    paths.clear()
    press(page, "a")
    assert_nothing_was_sent(page, paths)
    press(page, "Alt+a")
    expect(page.locator(".stamp__word")).to_have_text("Approved")


def test_the_list_of_keys_opens_and_closes_by_keys(chrome: Browser, url: str) -> None:
    the = desk()
    page, complaints = watched(signed_in(chrome, url, the.reviewer))
    page.goto("/queues/")
    arrived(page, "Your queues")
    press(page, "?")
    expect(page.get_by_role("dialog")).to_be_visible()
    press(page, "Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    assert complaints == []
