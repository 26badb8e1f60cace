"""Claims in Chromium that come and go by themselves, and what a reviewer does with a proposal besides deciding it: he
skips it, gives it on, writes to colleagues; by keyboard and without JavaScript."""

from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import Browser, Route, expect

from accounts.models import Absence, User
from approvals.models import Claim, Comment, Notification, Proposal
from approvals.services.claim import claim
from tests.browser import (
    announced,
    arrived,
    heard,
    holding,
    leaving,
    posted,
    press,
    ready,
    signed_in,
    soon,
    take_next,
    watched,
)
from tests.factories import desk, reviewer

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
SHIFTS = """() => { window.moved = []; new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) for (const { node } of entry.sources)
        if (node?.closest?.("#decide")) window.moved.push(node.className);
}).observe({ type: "layout-shift" }); }"""


def holder(proposal: Proposal) -> User | None:
    return Proposal.objects.select_related("claimed_by").get(pk=proposal.pk).claimed_by


# — Claims


def test_opening_claims_and_every_way_of_leaving_hands_back(chrome: Browser, url: str) -> None:
    the = desk()
    proposal, other = the.propose(), the.propose()
    page, complaints = watched(signed_in(chrome, url, the.reviewer))
    page.goto(f"/proposals/{proposal.pk}/")
    holding(page)
    assert holder(proposal) == the.reviewer
    announced(page, "It is yours now.")

    with leaving(page):
        page.evaluate("location.reload()")
    holding(page)
    assert Claim.objects.filter(proposal=proposal).count() == 1, "a reload is no leaving"
    with leaving(page):
        press(page, "e")
    arrived(page, "Edit the arguments")
    page.go_back()
    holding(page)
    assert Claim.objects.filter(proposal=proposal).count() == 1, "neither is its edit form"

    with leaving(page):
        press(page, "u")
    expect(page).to_have_url(f"{url}/queues/{the.queue.slug}/")
    soon(lambda: holder(proposal) is None)

    page.goto(f"/proposals/{other.pk}/")
    holding(page)
    page.close()
    soon(lambda: holder(other) is None)
    assert complaints == []


def test_the_claim_takes_no_other_place_than_the_offer_of_one(chrome: Browser, url: str) -> None:
    the = desk()
    proposal = the.propose()
    page, complaints = watched(signed_in(chrome, url, the.reviewer))
    asking: list[Route] = []
    page.route("**/renew/", lambda route: asking.append(route), times=1)
    page.goto(f"/proposals/{proposal.pk}/")
    ready(page)
    expect(page.locator("#lease")).to_contain_text("Nobody holds it")
    page.evaluate(SHIFTS)
    asking[0].continue_()
    holding(page)
    page.wait_for_timeout(300)  # what has moved is told a frame or two later
    assert page.evaluate("window.moved") == []
    assert complaints == []


def test_what_has_been_begun_is_kept_when_the_page_is_left(chrome: Browser, url: str) -> None:
    the = desk()
    proposal = the.propose()
    page, _ = watched(signed_in(chrome, url, the.reviewer))
    page.goto(f"/proposals/{proposal.pk}/")
    holding(page)
    press(page, "q")
    page.keyboard.type("Which or")
    paths = posted(page)
    page.goto("/queues/")
    page.wait_for_timeout(600)
    assert paths == []
    assert holder(proposal) == the.reviewer


def test_only_who_may_decide_what_nobody_has_claims_by_opening(chrome: Browser, url: str) -> None:
    the = desk()
    proposal, taken = the.propose(), the.propose()
    claim(proposal_id=taken.pk, reviewer=the.second)
    owner, _ = watched(signed_in(chrome, url, the.agent.owner))
    owners = posted(owner)
    owner.goto(f"/proposals/{proposal.pk}/")
    expect(owner.locator("#lease")).to_contain_text("Nobody holds it")
    page, complaints = watched(signed_in(chrome, url, the.reviewer))
    paths = posted(page)
    page.goto(f"/proposals/{taken.pk}/")
    expect(page.locator("#lease")).to_contain_text("Ravi Reviewer is on it")
    page.wait_for_timeout(500)
    assert (owners, paths) == ([], [])
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
    assert holder(proposal) == the.reviewer
    page.get_by_role("button", name="Release").click()
    expect(page.locator("#messages")).to_contain_text("Handed back to the queue.")
    assert holder(proposal) is None


# — Handing on


def test_skip_opens_the_next_in_one_key_press(chrome: Browser, url: str) -> None:
    the = desk()
    first, second = the.propose(priority="urgent"), the.propose({"order_id": "B-2", "amount": 7})
    page, complaints = watched(signed_in(chrome, url, the.reviewer))
    page.goto("/queues/")
    take_next(page)
    with leaving(page):
        press(page, "s")
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
    press(page, "g")
    page.keyboard.type("Ravi")
    with leaving(page):
        press(page, "Control+Enter")
    expect(page.locator("#messages")).to_contain_text("Given to Ravi Reviewer")
    proposal.refresh_from_db()
    assert (proposal.assigned_to, proposal.claimed_by) == (the.second, None)
    assert Notification.objects.get().kind == "assigned"

    paths = posted(page)
    page.goto(f"/proposals/{proposal.pk}/")
    expect(page.locator("#lease")).to_contain_text("Given to Ravi Reviewer")
    page.wait_for_timeout(400)
    assert paths == []
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


# — Comments


def test_a_comment_names_a_colleague_by_completion_and_arrives_on_his_page(chrome: Browser, url: str) -> None:
    the = desk()
    proposal = the.propose()
    his, _ = watched(signed_in(chrome, url, the.second))
    his.goto(f"/proposals/{proposal.pk}/")
    holding(his)
    heard(his, the.second)
    page, complaints = watched(signed_in(chrome, url, the.reviewer))
    page.goto(f"/proposals/{proposal.pk}/")
    press(page, "m")
    page.keyboard.type("Please look, @rav")
    expect(page.get_by_role("option", name="Ravi Reviewer")).to_be_visible()
    press(page, "Enter")
    page.keyboard.type("<b>now</b>")
    writing = page.get_by_label("Write to your colleagues")
    expect(writing).to_have_value("Please look, @Ravi Reviewer <b>now</b>")
    press(page, "Control+Enter")
    expect(page.locator(".thread__text")).to_have_text("Please look, @Ravi Reviewer <b>now</b>")
    expect(writing).to_have_value("")
    assert list(Comment.objects.get().mentions.all()) == [the.second]
    assert Notification.objects.get().kind == "mentioned"
    expect(his.locator(".thread__text")).to_contain_text("Please look")
    announced(his, "New comment by Rita Reviewer")
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
