"""The owner's page of earned autonomy in a browser: every state of it, both themes and widths, and an owner's work."""

import re
from collections.abc import Callable

import pytest
from django.utils import timezone
from playwright.sync_api import Browser, expect

from agents.autonomy import Tier
from agents.models import Agent, Mandate, Promotion
from approvals.services import promote
from tests import browser
from tests.browser import NARROW, WIDE, arrived, faults, leaving, signed_in, watched
from tests.factories import Desk, admin, desk, undoing
from tests.past import judged

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]

GOOD = [0.0] * 60 + [1.0] + [0.0] * 79
WORSE = [0.0] * 60 + [1.0, 0.0] * 3


def empty() -> Desk:
    return desk(ceiling=Tier.OUT_OF_THE_LOOP)


def middle() -> Desk:
    the = empty()
    judged(the, [*GOOD[:100], 0.25, 0.1], probes=[True] * 3 + [False], seconds=[True] * 9 + [False])
    return the


def earned() -> Desk:
    the = reversible()
    judged(the, [0.0] * 140, probes=[True] * 12)
    promote.assess_due(now=timezone.now())
    assert Promotion.objects.filter(mandate=the.mandate, state="open").exists()
    return the


def reversible() -> Desk:
    """A desk whose action can be undone, so that no second signature is asked for."""
    the = desk(ceiling=Tier.OUT_OF_THE_LOOP)
    undoing(the)
    return the


def promoted() -> Desk:
    the = desk(tier=Tier.ON_THE_LOOP, ceiling=Tier.OUT_OF_THE_LOOP)
    judged(the, GOOD, probes=[True] * 4)
    return the


def escalated() -> Desk:
    the = desk(tier=Tier.ON_THE_LOOP, ceiling=Tier.OUT_OF_THE_LOOP)
    state = judged(the, WORSE, probes=[True] * 4)
    assert state.tier == Tier.ON_THE_LOOP
    Mandate.objects.filter(pk=the.mandate.pk).update(escalated=True)
    return the


def demoted() -> Desk:
    the = promoted()
    promote.lower_tier(
        mandate_id=the.mandate.pk, tier=Tier.IN_THE_LOOP, actor=the.agent.owner, reason="It paid twice. " * 18
    )
    judged(the, [0.0] * 5, version="2026-11-22 with an absurdly long name " + "x" * 40)
    return the


def long_names() -> Desk:
    the = middle()
    Agent.objects.filter(pk=the.agent.pk).update(name="Unterstützungsgruppenverwaltung" * 3 + " agent"[:27])
    kind = the.action_type
    kind.label = "Rückerstattungsbenachrichtigungsversandauftragsbestätigung " * 2
    kind.save(update_fields=["label"])
    return the


STATES: list[Callable[[], Desk]] = [empty, middle, earned, promoted, escalated, demoted, long_names]


@pytest.mark.parametrize("state", STATES, ids=[state.__name__ for state in STATES])
def test_the_page_is_accessible_and_fits_in_every_state(
    chrome: Browser, url: str, state: Callable[[], Desk]
) -> None:
    the = state()
    found: list[str] = []
    for scheme, viewport in (("light", WIDE), ("dark", NARROW)):
        context = signed_in(chrome, url, the.agent.owner, viewport=viewport, color_scheme=scheme)
        page, complaints = watched(context)
        for name, path in addresses(the).items():
            response = page.goto(path)
            assert response is not None and response.status == 200, path
            browser.ready(page)
            look = f"standing-{state.__name__}-{name}-{scheme}-{viewport['width']}"
            found += [f"{look}: {fault}" for fault in faults(page, look)]
        found += complaints
        context.close()
    assert found == []


def addresses(the: Desk) -> dict[str, str]:
    below = f"/agents/{the.agent.slug}/mandates/{the.action_type.name}/"
    return {"agent": f"/agents/{the.agent.slug}/", "mandate": below}


def test_owner_confirms_a_promotion_and_later_takes_it_back(chrome: Browser, url: str) -> None:
    """From the agent's page, with the keyboard's and the mouse's own ways, each change previewed."""
    the = earned()
    context = signed_in(chrome, url, the.agent.owner)
    page, complaints = watched(context)
    page.goto(f"/agents/{the.agent.slug}/")
    page.get_by_role("link", name=re.compile("^Confirm")).click()
    arrived(page, "Confirm: on the loop")
    expect(page.locator("#preview")).to_contain_text("drawn for a blind audit")
    page.get_by_label("Reason").fill("It has been good")
    with leaving(page):
        page.get_by_role("button", name="Confirm the promotion").click()
    arrived(page, "Refund an order")
    expect(page.locator("#messages")).to_contain_text("It works on the loop from now on.")
    assert mandate(the).tier == Tier.ON_THE_LOOP

    page.get_by_role("link", name="Lower the tier").click()
    arrived(page, "Lower the tier")
    page.get_by_label("Lower it to").select_option("in_the_loop")
    page.get_by_label("Reason").fill("A second thought")
    with leaving(page):
        page.get_by_role("button", name="Show what it will do").click()
    expect(page.get_by_role("heading", name="What it will do")).to_be_focused()
    assert mandate(the).tier == Tier.ON_THE_LOOP
    assert faults(page, "standing-preview") == []
    with leaving(page):
        page.get_by_role("button", name="Lower it", exact=True).click()
    arrived(page, "Refund an order")
    expect(page.locator("#history")).to_contain_text("A second thought")
    assert mandate(the).tier == Tier.IN_THE_LOOP
    assert complaints == []
    context.close()


def test_thresholds_and_signatures_without_a_script(chrome: Browser, url: str) -> None:
    """The arithmetic, the preview, the change, the request and the signature work as plain forms."""
    the = empty()
    context = signed_in(chrome, url, the.agent.owner, java_script_enabled=False, viewport=NARROW)
    page = context.new_page()
    page.goto(addresses(the)["mandate"])
    page.get_by_role("link", name="Thresholds").click()
    page.get_by_label("Review cost").fill("3")
    page.get_by_label("Error cost").fill("150")
    page.get_by_role("button", name="Calculate").click()
    assert "3 ÷ 150 = 2 %" in page.inner_text("#costs")
    page.get_by_label("Reason").fill("What errors cost")
    page.get_by_role("button", name="Show what it will do").click()
    assert "95 %" in page.inner_text("#preview") and "98 %" in page.inner_text("#preview")
    page.get_by_role("button", name="Change them").click()
    assert mandate(the).thresholds == {"on_p0": 0.98}

    page.get_by_role("link", name="Ask that it may earn more").click()
    page.get_by_label("Reason").fill("Refunds are small")
    page.get_by_role("button", name="Ask for it").click()
    context.close()

    context = signed_in(chrome, url, admin(), viewport=NARROW, color_scheme="dark")
    page, complaints = watched(context)
    page.goto("/setup/signatures/")
    assert faults(page, "standing-signatures") == []
    page.get_by_label("Your reason").fill("Up to 50 EUR, yes")
    page.get_by_role("button", name="Sign").click()
    expect(page.locator("#messages")).to_contain_text("Signed.")
    assert mandate(the).may_earn is True
    page.goto(addresses(the)["mandate"] + "thresholds/")
    browser.ready(page)
    assert faults(page, "standing-thresholds") == []
    assert complaints == []
    context.close()


def mandate(the: Desk) -> Mandate:
    return Mandate.objects.get(pk=the.mandate.pk)
