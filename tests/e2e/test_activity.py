"""In Chromium: an exporter's bytes go in by HTTP, and a reviewer reads from the proposal what led to it."""

import gzip
import json
import re

import httpx
import pytest
from playwright.sync_api import Browser, expect

from agents import otlp
from agents.models import Activity
from tests.agents.spans import SAID, TRACE, USER, request, run, span
from tests.browser import (
    NARROW,
    PATIENCE,
    WIDE,
    announced,
    arrived,
    faults,
    leaving,
    ready,
    signed_in,
    watched,
)
from tests.factories import Desk, desk

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
HOSTILE = (
    '<button hx-post="/next/" hx-trigger="load">Approve</button> pay\u200bpal \u202egro.knab '
    + "https://bank.example@evil.example/" + "x" * 3000
)  # fmt: skip


def export(the: Desk, url: str, *, zipped: bool = True) -> None:
    """As an exporter does it: protobuf, gzipped, over a real connection."""
    tool = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": HOSTILE[:120]}
    odd = span(
        "execute_tool", 6, {**tool, "gen_ai.tool.call.arguments": HOSTILE}, parent=1, begin=8, failed=True
    )
    message = run()
    message.MergeFrom(request(odd))
    body = message.SerializeToString()
    headers = {**the.headers, "Content-Type": otlp.PROTOBUF}
    if zipped:
        body, headers["Content-Encoding"] = gzip.compress(body), "gzip"
    answer = httpx.post(f"{url}/v1/traces", content=body, headers=headers, timeout=PATIENCE)
    assert (answer.status_code, answer.content) == (200, b""), answer.content


def test_an_exported_run_is_read_from_its_proposal(chrome: Browser, url: str) -> None:
    the = desk()
    export(the, url)
    asked = {"action_type": the.action_type.name, "arguments": {"order_id": "A-1001", "amount": 42.5}}
    answer = httpx.post(
        f"{url}/api/v1/proposals",
        content=json.dumps({**asked, "trace_id": TRACE}),
        headers={**the.headers, "Idempotency-Key": "one"},
        timeout=PATIENCE,
    )
    assert answer.status_code == 201
    page, complaints = watched(signed_in(chrome, url, the.reviewer, viewport=WIDE))
    page.goto(f"/proposals/{answer.json()['id']}/")
    ready(page)
    section = page.locator("#activity")
    expect(section).to_contain_text("9 steps")
    expect(section).not_to_contain_text(USER)
    assert faults(page, "activity-closed") == []
    section.get_by_role("link", name="Show its prompts").press("Enter")
    expect(section).to_contain_text(SAID)
    expect(section.get_by_role("heading", level=2)).to_be_focused()
    announced(page, "9 steps of the agent shown")
    expect(section.get_by_role("button")).to_have_count(0)
    expect(section).to_contain_text("U+202E")
    section.get_by_text("more characters", exact=False).first.click()
    assert faults(page, "activity-open") == []
    page.set_viewport_size(NARROW)
    assert faults(page, "activity-narrow") == []
    page.emulate_media(color_scheme="dark")
    assert faults(page, "activity-narrow-dark") == []
    assert complaints == []


def test_without_scripts_it_is_a_page_of_its_own(chrome: Browser, url: str) -> None:
    the = desk()
    export(the, url, zipped=False)
    proposal = the.propose(trace_id=TRACE)
    page = signed_in(chrome, url, the.reviewer, java_script_enabled=False).new_page()
    page.goto(f"/proposals/{proposal.pk}/")
    page.get_by_role("link", name="Show its prompts").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("What led to it")
    expect(page.locator("#activity")).to_contain_text(SAID)
    page.get_by_role("link", name=re.compile("As it was sent.*output")).first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Output, as it was sent")


def test_one_step_in_full_can_be_read_at_any_width(chrome: Browser, url: str) -> None:
    the = desk()
    export(the, url)
    proposal = the.propose(trace_id=TRACE)
    row = Activity.objects.get(kind="tool_call", name__startswith="<button")
    page, complaints = watched(signed_in(chrome, url, the.reviewer, viewport=WIDE))
    page.goto(f"/proposals/{proposal.pk}/activity/")
    arrived(page, "What led to it")
    assert faults(page, "activity-page") == []
    with leaving(page):
        page.locator(f"#step-{row.pk}").get_by_role("link").click()
    arrived(page, "Tool call, as it was sent")
    assert faults(page, "activity-item") == []
    page.set_viewport_size(NARROW)
    page.emulate_media(color_scheme="dark")
    assert faults(page, "activity-item-narrow-dark") == []
    assert complaints == []
