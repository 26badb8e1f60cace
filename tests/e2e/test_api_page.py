"""The page of the API in the browser: a call is tried with one's own token, from the proposal to its event."""

import json
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from approvals.models import Proposal, Verdict
from tests.browser import NARROW, WIDE, arrived, faults, watched
from tests.factories import ARGUMENTS, desk

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
LOOKS: list[tuple[Any, Any]] = [(WIDE, "light"), (NARROW, "dark")]


def tried(page: Page, summary: str) -> Any:
    return page.get_by_role("form", name=f"Try: {summary}", exact=True)


@pytest.mark.parametrize(("viewport", "scheme"), LOOKS, ids=["wide-light", "narrow-dark"])
def test_a_call_is_tried_from_the_page(chrome: Browser, url: str, viewport: Any, scheme: Any) -> None:
    the = desk()
    context = chrome.new_context(viewport=viewport, color_scheme=scheme)
    page, problems = watched(context, ["status of 401", "status of 422"])
    page.goto(f"{url}/api/docs")
    arrived(page, "API for agents")
    propose = tried(page, "Propose one action")

    propose.get_by_role("button", name="Send POST").press("Enter")
    expect(propose.get_by_role("status")).to_contain_text("401 Unauthorized")
    expect(propose).to_contain_text("bad_credential")

    page.get_by_label("Your token").fill(the.token)
    body = propose.get_by_label("Body")
    assert json.loads(body.input_value())["action_type"] == "refund_order"
    propose.get_by_label("Begin with the example").select_option("usual")
    assert "confidence" in json.loads(body.input_value())
    body.fill(json.dumps({"action_type": the.action_type.name, "arguments": ARGUMENTS}))
    propose.get_by_role("button", name="Send POST").press("Enter")
    expect(propose.get_by_role("status")).to_contain_text("201 Created")
    proposal = Proposal.objects.get()
    expect(propose).to_contain_text(str(proposal.pk))

    listen = tried(page, "Hear of every change of one's own proposals (server-sent events)")
    listen.get_by_role("button", name="Send GET").click()
    expect(listen).to_contain_text("retry: 1000")
    the.decide(proposal, Verdict.APPROVE)
    expect(listen).to_contain_text("proposal.approved")
    listen.get_by_role("button", name="Stop").click()
    expect(listen.get_by_role("status")).to_contain_text("stopped")

    redeem = tried(page, "Use the grant up, before acting")
    assert redeem.get_by_label("proposal_id").input_value() == str(proposal.pk)
    redeem.get_by_role("button", name="Send POST").click()
    expect(redeem).to_contain_text('"status": "executing"')
    assert faults(page, f"api-{scheme}-{viewport['width']}") == []
    assert problems == []
    kept: str = page.evaluate("JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie])")
    assert the.token not in kept
