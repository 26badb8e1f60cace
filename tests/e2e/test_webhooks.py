"""An owner's way with a webhook in the browser, and its pages in both themes and widths with axe."""

from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from approvals.models import Verdict, WebhookEndpoint
from approvals.services import send_webhooks, webhooks
from tests import browser
from tests.factories import admin, desk
from tests.receiver import allow_loopback, receiving, says

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
ABSURD = "<b>no</b> \u202egnp.exe " + "W" * 600


def test_an_owner_adds_an_endpoint_and_sees_its_test_arrive(chrome: Browser, url: str) -> None:
    the = desk()
    allow_loopback()
    with receiving() as server:
        context = browser.signed_in(chrome, url, the.agent.owner, viewport=browser.WIDE)
        page, noise = browser.watched(context)
        page.goto(f"{url}/agents/{the.agent.slug}/")
        page.get_by_role("link", name="Endpoints").click()
        page.get_by_role("link", name="Add an endpoint").click()
        page.get_by_label("Address").fill(server.url)
        page.get_by_label("proposal.approved").check()
        page.get_by_role("button", name="Add it").click()
        expect(page.locator("#secret")).to_contain_text("whsec_")
        page.get_by_role("link", name="I have stored it").click()
        page.get_by_role("button", name="Send a test").click()
        expect(page.get_by_text("Not sent yet")).to_be_visible()
        assert send_webhooks.send_due() == 1
        page.reload()
        expect(page.get_by_text("delivered", exact=True)).to_be_visible()
        assert server.types == ["webhook.test"]
        assert noise == []


@pytest.mark.parametrize(
    ("theme", "size"), [("light", browser.WIDE), ("dark", browser.NARROW)], ids=["light-wide", "dark-narrow"]
)
def test_its_pages_stand_in_every_look(chrome: Browser, url: str, theme: Any, size: Any) -> None:
    the = desk()
    allow_loopback()
    with receiving() as server:
        server.answer = says(500, ABSURD.encode())
        endpoint, _ = webhooks.add(
            agent_id=the.agent.pk,
            url=server.url + "/" + "x" * 300,
            events=["proposal.pending", "proposal.approved"],
            label="",
            actor=the.agent.owner,
        )
        the.decide(the.propose(summary=ABSURD), Verdict.APPROVE)
        send_webhooks.send_due()
        webhooks.pause(endpoint_id=endpoint.pk, actor=the.agent.owner)
        delivery = endpoint.deliveries.order_by("pk").first()
        assert delivery is not None and WebhookEndpoint.objects.count() == 1
    base = f"/agents/{the.agent.slug}/webhooks/"
    context = browser.signed_in(chrome, url, admin(), viewport=size, color_scheme=theme)
    page, noise = browser.watched(context)
    found = []
    for where in (
        *(base, f"{base}{endpoint.pk}/", f"{base}{endpoint.pk}/messages/{delivery.pk}/"),
        *(f"{base}{endpoint.pk}/edit/", f"{base}{endpoint.pk}/rotate/", "/setup/outgoing/"),
    ):
        page.goto(f"{url}{where}")
        found += [f"{where}: {fault}" for fault in browser.faults(page, f"webhooks-{where}-{theme}")]
    assert found == []
    assert noise == []
