"""The stop switch in the browser: two clicks from every page, or a key; lifted by who may; plain for everybody."""

import pytest
from playwright.sync_api import Browser, expect

from agents.autonomy import Tier
from agents.models import Stop
from approvals.models import Proposal
from approvals.services import stop
from approvals.services.stop import Switch
from tests.browser import NARROW, arrived, faults, leaving, press, signed_in, watched
from tests.factories import admin, desk, person

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_a_reviewer_stops_what_he_is_looking_at_and_the_owner_lifts_it(chrome: Browser, url: str) -> None:
    the = desk()
    proposal = the.propose()
    page, complaints = watched(signed_in(chrome, url, the.reviewer))
    page.goto(f"/proposals/{proposal.pk}/")
    with leaving(page):
        page.get_by_role("link", name="Stop").first.click()
    arrived(page, "Stop")
    expect(page.get_by_label("What to stop")).to_have_value(f"mandate:{the.mandate.pk}")
    page.get_by_label("Why").fill("The amounts are wrong again")
    with leaving(page):
        page.get_by_role("button", name="Stop it now").click()
    expect(page.locator("#messages")).to_contain_text("Nothing of it starts any more")
    expect(page.get_by_role("button", name="Lift")).to_have_count(0)
    page.goto(f"/proposals/{proposal.pk}/")
    expect(page.get_by_role("complementary", name="Stopped")).to_contain_text("The amounts are wrong again")
    press(page, "a")
    expect(page.locator("#main")).to_contain_text("Approving would lead to nothing; rejecting stays possible")
    assert Proposal.objects.get().state == "pending"
    assert [one for one in complaints if "409" not in one] == []

    owner, complaints = watched(signed_in(chrome, url, the.agent.owner))
    owner.goto(f"/agents/{the.agent.slug}/")
    expect(owner.get_by_text("partly stopped")).to_be_visible()
    owner.goto("/stops/")
    owner.locator("summary", has_text="Lift").click()
    owner.get_by_label("Why it may begin again").fill("The price list was mended")
    with leaving(owner):
        owner.get_by_role("button", name="Let it begin again").click()
    expect(owner.locator("#messages")).to_contain_text("may begin again. What was taken back stays so.")
    assert Stop.objects.get().lifted_by == the.agent.owner
    assert complaints == []


def test_by_keyboard_alone_and_a_fault_keeps_what_was_typed(chrome: Browser, url: str) -> None:
    the = desk(Tier.OUT_OF_THE_LOOP)
    granted = the.propose()
    page, complaints = watched(signed_in(chrome, url, the.agent.owner), meant=["status of 422"])
    page.goto(f"/agents/{the.agent.slug}/")
    with leaving(page):
        press(page, "!")
    arrived(page, "Stop")
    page.get_by_label("What to stop").focus()
    expect(page.get_by_label("What to stop")).to_have_value(f"agent:{the.agent.slug}")
    page.keyboard.press("Tab")
    with leaving(page):
        page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("Nothing was stopped")
    expect(page.get_by_label("What to stop")).to_have_value(f"agent:{the.agent.slug}")
    page.get_by_label("Why").focus()
    page.keyboard.type("It pays twice")
    with leaving(page):
        page.keyboard.press("Enter")
    expect(page.locator("#messages")).to_contain_text("1 taken back so far.")
    assert Proposal.objects.get(pk=granted.pk).state == "revoked"
    assert complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("narrow", [False, True], ids=["wide", "narrow"])
def test_the_pages_have_no_fault(chrome: Browser, url: str, scheme: str, narrow: bool) -> None:
    the, other = desk(Tier.OUT_OF_THE_LOOP), desk()
    the.propose()
    options = {"color_scheme": scheme, **({"viewport": NARROW} if narrow else {})}
    page, complaints = watched(signed_in(chrome, url, admin(), **options))
    size = "narrow" if narrow else "wide"
    page.goto("/stops/")
    assert faults(page, f"stops-empty-{scheme}-{size}") == []
    lifted = stop.pull(switch=Switch(agent=other.agent), by=admin(), reason="It asked for too much").stop
    stop.lift(stop_id=lifted.pk, by=admin(), reason="Its prompt was mended")
    stop.pull(switch=Switch(agent=the.agent), by=admin(), reason="W" * 290)
    stop.pull(switch=Switch(), by=admin(), reason="The bank is down; nothing may be paid before 18:00")
    stop.pull(switch=Switch(mandate=other.mandate), by=admin(), reason="Wrong amounts")
    stop.pull(switch=Switch(action_type=the.action_type), by=admin(), reason="Wrong amounts")
    page.goto("/stops/")
    page.locator("summary", has_text="Lift").first.click()
    assert faults(page, f"stops-full-{scheme}-{size}") == []
    page.goto("/queues/")
    assert faults(page, f"halted-{scheme}-{size}") == []
    page.goto(f"/agents/{the.agent.slug}/edit/")
    assert faults(page, f"budget-{scheme}-{size}") == []
    assert complaints == []


def test_without_javascript_and_for_who_may_stop_nothing(chrome: Browser, url: str) -> None:
    the = desk()
    the.propose()
    plain = signed_in(chrome, url, the.reviewer, java_script_enabled=False).new_page()
    plain.goto("/queues/")
    plain.get_by_role("link", name="Stop").first.click()
    plain.get_by_label("What to stop").select_option(f"agent:{the.agent.slug}")
    plain.get_by_label("Why").fill("odd")
    plain.get_by_role("button", name="Stop it now").click()
    assert "Nothing of it starts any more" in plain.content()
    nobody = signed_in(chrome, url, person(), java_script_enabled=False).new_page()
    nobody.goto("/stops/")
    assert "Nothing here is yours to stop" in nobody.content()
    assert the.agent.name not in nobody.content()
