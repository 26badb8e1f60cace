"""The pages of owners and admins in a browser: an owner's day, and every page without a fault that axe finds."""

from typing import Any

import pytest
from django.contrib.auth.models import Group
from playwright.sync_api import Browser, ViewportSize, expect

from agents.autonomy import Tier
from agents.models import Agent, Credential
from approvals.models import Proposal, Verdict
from approvals.services import set_up
from audit.models import AuditEvent
from tests.browser import NARROW, WIDE, faults, signed_in
from tests.factories import Desk, action_type, admin, desk, policy

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def company() -> Desk:
    """An agent with some history, so that no page is empty."""
    the = desk(tier=Tier.ON_THE_LOOP, window_count=50, window_amount="5000", max_amount="100")
    team = Group.objects.create(name="Refund desk")
    the.reviewer.groups.add(team)
    set_up.assign_reviewer(queue_slug=the.queue.slug, to=team, actor=admin())
    policy(
        [
            {"name": "large", "when": "amount > 30.0", "review": {"queue": the.queue.slug, "quorum": 1}},
            {"name": "careful", "when": 'action.risk == "critical"', "cap": "in_the_loop"},
        ],
        the.queue,
    )
    the.approved(summary="The lamp came broken")
    the.decide(the.propose(), Verdict.REJECT, comment="Not our order")
    the.propose()
    the.propose({"order_id": "A-7", "amount": 20})
    action_type(risk="critical")
    return the


def addresses(the: Desk) -> list[str]:
    agent, kind, team = the.agent.slug, the.action_type.name, Group.objects.get().pk
    return [
        "/agents/",
        f"/agents/{agent}/",
        "/agents/-/register/",
        f"/agents/{agent}/credentials/issue/",
        f"/agents/{agent}/mandates/{kind}/edit/",
        "/outcomes/unknown/",
        "/setup/action-types/",
        f"/setup/action-types/{kind}/",
        f"/setup/action-types/{kind}/edit/",
        "/setup/policies/",
        "/setup/policies/customer_operations/",
        "/setup/policies/customer_operations/publish/",
        "/setup/queues/",
        f"/setup/queues/{the.queue.slug}/",
        f"/setup/queues/{the.queue.slug}/edit/",
        "/people/",
        "/people/invite/",
        f"/people/{the.reviewer.pk}/",
        "/teams/",
        f"/teams/{team}/",
        "/preferences/",
        "/audit/",
        "/audit/events/{event}/",
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_pages_are_accessible_and_fit(chrome: Browser, url: str, scheme: Any, size: ViewportSize) -> None:
    the = company()
    event = AuditEvent.objects.filter(kind="mandate.saved").latest("id").pk
    page = signed_in(chrome, url, admin(), viewport=size, color_scheme=scheme).new_page()
    found: dict[str, list[str]] = {}
    for address in addresses(the):
        response = page.goto(address.format(event=event))
        assert response is not None and response.status == 200, address
        found[address] = faults(page, f"owner{address}-{scheme}-{size['width']}")
    assert {address: fault for address, fault in found.items() if fault} == {}


def test_owner_registers_an_agent_gives_it_a_mandate_and_stops_it(chrome: Browser, url: str) -> None:
    the = company()
    page = signed_in(chrome, url, the.agent.owner).new_page()
    page.goto("/agents/")
    page.get_by_role("link", name="Register an agent").click()
    page.get_by_label("Name", exact=True).fill("Refund helper")
    page.get_by_label("Short name").fill("refund-helper")
    page.get_by_role("button", name="Register").click()
    expect(page.get_by_role("heading", name="Refund helper")).to_be_visible()

    page.get_by_role("link", name="Add a mandate").first.click()
    page.get_by_label("Action type").select_option(the.action_type.name)
    page.get_by_label("Reason").fill("It begins")
    page.get_by_role("button", name="Save the mandate").click()
    expect(page.get_by_text("is saved and in force")).to_be_visible()

    page.get_by_role("link", name="Issue").click()
    page.get_by_role("button", name="Issue it").click()
    token = page.locator("#token").inner_text()
    assert token.startswith("csgn_")

    page.get_by_role("link", name="I have stored it").click()
    expect(page.locator("#token")).to_have_count(0)
    expect(page.get_by_role("heading", name="Refund helper")).to_be_visible()
    assert token not in page.content()
    page.get_by_role("button", name="Set it live").click()
    expect(page.get_by_text("is live. What it proposes is routed from now on.")).to_be_visible()
    page.get_by_label("Reason").first.fill("It acts strangely")
    page.get_by_role("button", name="Suspend this agent").click()
    expect(page.get_by_text("is suspended. Nothing of it starts any more.")).to_be_visible()
    assert Agent.objects.get(slug="refund-helper").state == "suspended"
    assert Credential.objects.filter(agent__slug="refund-helper").count() == 1


def test_everything_works_without_javascript(chrome: Browser, url: str) -> None:
    the = company()
    page = signed_in(chrome, url, the.agent.owner, java_script_enabled=False).new_page()
    page.goto(f"/agents/{the.agent.slug}/")
    page.get_by_label("Reason").first.fill("It acts strangely")
    page.get_by_role("button", name="Suspend this agent").click()
    assert "is suspended" in page.content()
    page.get_by_label("Reason").first.fill("It was mended")
    page.get_by_role("button", name="Resume this agent").click()
    expect(page.locator("#messages")).to_contain_text("is live again")
    assert Proposal.objects.filter(state="revoked").count() == 1
