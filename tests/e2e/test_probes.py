"""Probes in a browser: a reviewer decides one, is told, appeals; an admin makes one and answers."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import Browser, ViewportSize, expect

from accounts.models import User
from approvals import probing
from approvals.disguise import Content
from approvals.models import Probe, ProbeServing, Proposal, Verdict
from approvals.requests import Subject
from approvals.services import probe_appeal, probe_library, probe_serve
from tests import factories
from tests.browser import NARROW, WIDE, arrived, faults, leaving, press, read_all, signed_in, take_next
from tests.factories import Desk

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
WRONG = {"order_id": "B-7707", "amount": 61.0, "reason": "damaged"}
FAULT = "It pays for an order that was never damaged."
LONG = "The customer says that it came in pieces, and the photographs show an unharmed box. " * 12


@pytest.fixture(autouse=True)
def always_drawn(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(probing, "is_drawn", lambda probability: True)
    yield


def source_of(the: Desk) -> Proposal:
    """A rejected one that is full of names."""
    source = the.propose(
        {**WRONG, "iban": "DE89370400440532013000"},
        summary="Refund order B-7707 to Hanna Weiss (hanna.weiss@example.com), ordered on 2026-10-03.",
        reasoning=LONG,
        subject=Subject("customer", "c-4711"),
        current_state={"total": 61.0, "status": "delivered"},
        context=[{"role": "user", "content": "Hi, I'm Hanna Weiss. Order B-7707 came broken."}],
    )
    the.decide(source, Verdict.REJECT, by=the.second, comment="Order B-7707 was not damaged.")
    return source


def planted(the: Desk) -> Proposal:
    content = Content(arguments={**WRONG, "order_id": "K-2031"}, summary="Refund K-2031.", reasoning=LONG)
    draft = probe_library.Draft(content=content, fault=FAULT)
    probe_library.add(action_type=the.action_type.name, draft=draft, actor=factories.admin())
    probe_serve.plan(now=timezone.now() - timedelta(minutes=10))
    first = the.propose()
    probe_serve.plan(now=timezone.now() + timedelta(minutes=1))
    serving = ProbeServing.objects.get()
    assert probe_serve.serve_due(now=serving.serve_at + timedelta(seconds=1)) == 1
    the.decide(first, Verdict.APPROVE, by=the.second)
    serving.refresh_from_db()
    assert serving.proposal is not None
    return serving.proposal


def other_admin() -> User:
    return User.objects.create_superuser("zoe@example.com", "a long password", name="Zoe Admin")


def test_a_missed_probe_is_told_appealed_and_answered(chrome: Browser, url: str) -> None:
    the = factories.desk()
    proposal = planted(the)
    page = signed_in(chrome, url, the.reviewer).new_page()
    page.goto("/queues/")
    take_next(page)
    assert page.url.endswith(f"/proposals/{proposal.pk}/")
    expect(page.locator("main")).not_to_contain_text("probe")
    read_all(page)
    with leaving(page):
        press(page, "a")
    told = page.get_by_role("region", name="That was a probe, and it got past you")
    expect(told).to_contain_text(FAULT.rstrip("."))
    assert Proposal.objects.get(pk=proposal.pk).state == "revoked"

    with leaving(page):
        told.get_by_role("link").click()
    arrived(page, "Your record of probes")
    page.get_by_text("Appeal: it was right to approve this").click()
    page.get_by_label("Why it was right to approve").fill("The photographs show the damage.")
    with leaving(page):
        page.get_by_role("button", name="Send the appeal").click()
    expect(page.locator("main")).to_contain_text("It waits for an answer.")

    admins = signed_in(chrome, url, other_admin()).new_page()
    admins.goto("/probes/appeals/")
    arrived(admins, "Appeals against probes")
    admins.get_by_label("Your answer").fill("They do. It counts for nobody.")
    with leaving(admins):
        admins.get_by_role("button", name="Uphold the appeal").click()
    expect(admins.locator("main")).to_contain_text("No appeals wait")
    page.reload()
    expect(page.locator("main")).to_contain_text("Upheld")


def test_a_probe_is_made_of_an_earlier_one_without_javascript(chrome: Browser, url: str) -> None:
    the = factories.desk()
    source_of(the)
    page = signed_in(chrome, url, factories.admin(), java_script_enabled=False).new_page()
    page.goto(f"/probes/of/{the.action_type.name}/")
    page.get_by_role("link", name="Make a probe of this").click()
    made = page.get_by_label("Summary", exact=False).input_value()
    assert "B-7707" not in made and "Hanna" not in made and "61" not in made
    page.get_by_label("I have read it through").check()
    page.get_by_role("button", name="Put it into the library").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(the.action_type.label)
    assert Probe.objects.get().source is not None
    page.get_by_role("button", name="Retire").click()
    expect(page.get_by_role("button", name="Use again")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_pages_are_accessible_and_fit(chrome: Browser, url: str, scheme: Any, size: ViewportSize) -> None:
    the = factories.desk()
    source = source_of(the)
    proposal = planted(the)
    found: dict[str, list[str]] = {}
    mine = signed_in(chrome, url, the.reviewer, viewport=size, color_scheme=scheme).new_page()
    mine.goto("/probes/mine/")
    found["no record"] = faults(mine, f"probes-record-empty-{scheme}-{size['width']}")
    the.decide(proposal, Verdict.APPROVE)
    mine.goto(f"/proposals/{proposal.pk}/")
    expect(mine.get_by_role("heading", name="That was a probe")).to_be_visible()
    found["told"] = faults(mine, f"probes-told-{scheme}-{size['width']}")
    mine.goto("/probes/mine/")
    mine.get_by_text("Appeal: it was right to approve this").click()
    found["record"] = faults(mine, f"probes-record-{scheme}-{size['width']}")
    mine.goto("/history/")
    found["history"] = faults(mine, f"probes-history-{scheme}-{size['width']}")
    probe_appeal.appeal(
        serving_id=ProbeServing.objects.get().pk, reviewer=the.reviewer, text="It was damaged."
    )
    page = signed_in(chrome, url, other_admin(), viewport=size, color_scheme=scheme).new_page()
    shelf = f"/probes/of/{the.action_type.name}/"
    for name, address in {
        "library": "/probes/",
        "shelf": shelf,
        "make": f"{shelf}from/{source.pk}/",
        "add": f"{shelf}add/",
        "appeals": "/probes/appeals/",
    }.items():
        response = page.goto(address)
        assert response is not None and response.status == 200, address
        found[name] = faults(page, f"probes-{name}-{scheme}-{size['width']}")
    assert {name: fault for name, fault in found.items() if fault} == {}
