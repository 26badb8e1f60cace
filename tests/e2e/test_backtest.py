"""Backtests and what-if in Chromium: by keyboard and without JavaScript, in both themes, wide and narrow."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import Browser, FilePayload, Page, ViewportSize, expect

from approvals.models import Backtest, Verdict
from approvals.services import backtest
from tests.browser import NARROW, WIDE, arrived, faults, leaving, press, signed_in, watched
from tests.factories import ARGUMENTS, Desk, desk

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
LONG = "agent-with-a-name-that-somebody-made-by-joining-everything-he-could-think-of-" + "x" * 100


def past(*agents: tuple[str, int, int]) -> FilePayload:
    """So many actions of each agent, two hours apart, every so many of them wrong (0: none)."""
    begin = timezone.now() - timedelta(days=200)
    rows = []
    for agent, number, wrong_every in agents:
        for n in range(1, number + 1):
            wrong = bool(wrong_every) and n % wrong_every == 0
            row: dict[str, Any] = {
                "at": (begin + timedelta(hours=2 * n)).isoformat(),
                "agent": agent,
                "version": "4",
            }
            row |= {"action_type": "refund_order", "verdict": "reject" if wrong else "approve"}
            rows.append(json.dumps({**row, "reviewer": f"r{n % 2}", "amount": 12.5, "currency": "EUR"}))
    return {"name": "march.jsonl", "mimeType": "application/json", "buffer": "\n".join(rows).encode()}


def some_record() -> Desk:
    the = desk()
    for number, amount in enumerate([100, 600, 700, 800]):
        verdict = Verdict.REJECT if number == 2 else Verdict.APPROVE
        the.decide(the.propose({**ARGUMENTS, "amount": amount}, summary="Lamp broken"), verdict)
    return the


def test_upload_shows_progress_and_comes_to_its_result_by_itself(chrome: Browser, url: str) -> None:
    the = desk()
    page, complaints = watched(signed_in(chrome, url, the.agent.owner))
    page.goto("/backtests/")
    page.get_by_label("File").set_input_files(past(("refund-bot", 900, 0), ("clumsy-bot", 200, 6)))
    with leaving(page):
        page.get_by_role("button", name="Run it").focus()
        press(page, "Enter")
    arrived(page, "march.jsonl")
    expect(page.get_by_text("Waits for a worker")).to_be_visible()
    bar = page.get_by_role("progressbar")
    expect(bar).to_have_attribute("value", "0")
    Backtest.objects.update(state="running", progress=1650, total=3300)
    expect(bar).to_have_attribute("value", "50")
    backtest.run_waiting()
    expect(page.get_by_role("heading", name="What it would have earned")).to_be_visible()
    expect(page.locator("tbody tr").first).to_contain_text("on the loop")
    page.get_by_text("refund-bot").nth(1).click()
    expect(page.locator(".plot__svg").first).to_be_visible()
    assert complaints == []


def test_upload_works_without_javascript(chrome: Browser, url: str) -> None:
    the = desk()
    page = signed_in(chrome, url, the.agent.owner, java_script_enabled=False).new_page()
    page.goto("/backtests/")
    page.get_by_label("File").set_input_files(past(("refund-bot", 50, 0)))
    page.get_by_role("button", name="Run it").click()
    expect(page.get_by_text("Waits for a worker")).to_be_visible()
    backtest.run_waiting()
    page.get_by_role("link", name="Look again").click()
    expect(page.get_by_role("heading", name="What it would have earned")).to_be_visible()
    page.get_by_role("button", name="Remove").click()
    expect(page.get_by_text("The backtest and its file are gone.")).to_be_visible()
    assert not Backtest.objects.exists()


def test_what_if_is_asked_from_the_mandate(chrome: Browser, url: str) -> None:
    the = some_record()
    page, complaints = watched(signed_in(chrome, url, the.agent.owner))
    page.goto(f"/agents/{the.agent.slug}/mandates/{the.action_type.name}/")
    with leaving(page):
        page.get_by_role("link", name="What if…").click()
    arrived(page, "What if")
    page.get_by_label("Amount per action").fill("500")
    with leaving(page):
        page.get_by_role("button", name="Show what would have gone to review").click()
    expect(page.get_by_text("With a cap of 500 EUR, 3 of the last 30 days' 4 proposals")).to_be_visible()
    expect(page.get_by_label("Amount per action")).to_have_value("500")
    page.get_by_label("Accuracy for on the loop").fill("0.9")
    with leaving(page):
        page.get_by_role("button", name="Show what would have been").click()
    expect(page.get_by_text("would it have left the loop")).to_be_visible()
    assert complaints == []


def ran(page: Page) -> None:
    """Run what waits while nobody looks: a page that asks how far it is reloads itself when it is done."""
    address = page.url
    page.goto("/queues/")
    backtest.run_waiting()
    page.goto(address)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_pages_are_accessible_and_fit(chrome: Browser, url: str, scheme: str, size: ViewportSize) -> None:
    the = some_record()
    context = signed_in(chrome, url, the.agent.owner, viewport=size, color_scheme=scheme)
    page = context.new_page()
    wrong: dict[str, list[str]] = {}

    def look(name: str, address: str) -> None:
        response = page.goto(address)
        assert response is not None and response.status == 200
        wrong[name] = faults(page, f"{name}-{scheme}-{size['width']}")

    look("backtests empty", "/backtests/")
    page.get_by_label("File").set_input_files(
        past(("refund-bot", 900, 0), (LONG, 700, 200), ("clumsy-bot", 200, 6))
    )
    page.get_by_role("button", name="Run it").click()
    arrived(page, "march.jsonl")
    look("backtest waiting", page.url)
    ran(page)
    look("backtest", page.url)
    page.locator("details.backtest-key > summary").first.click()
    wrong["backtest open"] = faults(page, f"backtest open-{scheme}-{size['width']}")
    page.goto("/backtests/")
    page.get_by_label("File").set_input_files(
        {"name": "<b>bad.jsonl", "mimeType": "text/plain", "buffer": b'{"agent": 7}\n{"agnet": "x"}\n'}
    )
    page.get_by_role("button", name="Run it").click()
    arrived(page, "<b>bad.jsonl")
    ran(page)
    look("backtest faults", page.url)
    look("backtests full", "/backtests/")
    what_if = f"/agents/{the.agent.slug}/mandates/{the.action_type.name}/what-if/"
    look("what-if", what_if)
    look("what-if limits", f"{what_if}?part=limits&window_hours=24&max_amount=500&effect=review&days=30")
    look("what-if thresholds", f"{what_if}?part=evidence&ceiling=out_of_the_loop&on_p0=0.9")
    look("what-if refused", f"{what_if}?part=evidence&ceiling=out_of_the_loop&on_p0=2")
    assert {name: found for name, found in wrong.items() if found} == {}
