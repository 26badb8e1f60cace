"""An auditor at work in the browser: finds an approval, sees it proved, takes it along, and finds that he did."""

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from playwright.sync_api import Browser, Page, expect

from accounts.models import User, assign_role
from accounts.roles import Role
from accounts.services import people
from approvals.models import Verdict
from audit.models import AuditEvent
from tests.audit.sealed import seal, settled
from tests.browser import NARROW, WIDE, arrived, faults, leaving, press, ready, signed_in, watched
from tests.database import as_owner
from tests.factories import admin, desk, person

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
LOOKS: list[tuple[Any, Any]] = [(WIDE, "light"), (NARROW, "dark")]
LONG = "Averyveryverylongnamewithoutanybreak" * 5 + "\u202e<b>gpj.exe</b>"


@pytest.fixture
def log_dir(settings: Any, tmp_path: Path) -> Path:
    settings.LOG_DIR = tmp_path / "log"
    return tmp_path / "log"


def auditor() -> User:
    user = person("Audra Auditor")
    assign_role(Role.AUDITOR, to=user)
    return user


def reported(problem: str = "") -> None:
    """A sealer that is alive for as long as this test takes."""
    with as_owner() as owner:
        owner.execute(
            "INSERT INTO audit_sealerstate (id, size, problem, since, beat_at)"
            " VALUES (1, 9, %s, now(), now() + interval '1 h')",
            [problem],
        )


def chosen(page: Page, kind: str) -> None:
    page.locator(".trail__export > summary").click()
    page.get_by_role("radio", name=kind).check()


def test_an_auditor_finds_proves_and_takes_an_approval(
    chrome: Browser, url: str, log_dir: Path, tmp_path: Path
) -> None:
    the = desk()
    approved = the.approved()
    the.propose()
    reported()
    seal(log_dir)
    page, complaints = watched(signed_in(chrome, url, auditor()))
    page.goto("/audit/")
    arrived(page, "Audit log")
    press(page, "/")
    page.get_by_label("Who", exact=True).fill("Rita")
    page.get_by_label("What", exact=True).select_option("proposal.approved")
    with leaving(page):
        page.get_by_role("button", name="Show").click()
    row = page.locator(".trail .line")
    expect(row).to_have_count(1)
    expect(row).to_contain_text("Rita Reviewer approved")
    expect(row).to_contain_text("leaf")
    press(page, "j")
    expect(row.locator("[data-line]")).to_be_focused()
    event = AuditEvent.objects.get(kind="proposal.approved", object_id=str(approved.pk))
    with leaving(page):
        page.keyboard.press("Enter")
    arrived(page, f"Event {event.pk}")
    expect(page.get_by_text("checked just now")).to_be_visible()
    page.get_by_role("button", name="Copy").nth(2).click()
    expect(page.locator("#toasts")).to_be_attached()
    with page.expect_download() as taken:
        page.get_by_role("button", name="Take the evidence").click()
    with zipfile.ZipFile(taken.value.path()) as archive:
        assert json.loads(archive.read("proofs.json"))["proofs"][0]["event"] == event.pk

    with leaving(page):
        page.get_by_role("link", name="Timeline").click()
    expect(page.locator(".trail .line")).to_have_count(3)
    page.goto("/audit/?kind=proposal.approved")
    ready(page)
    chosen(page, "A table")
    settled()
    with page.expect_download() as table:
        page.get_by_role("button", name="Export", exact=True).click()
    assert "proposal.approved" in Path(table.value.path()).read_text("utf-8-sig")
    page.goto("/audit/?kind=log.exported")
    expect(page.locator(".trail .line")).to_have_count(2)
    expect(page.locator(".trail .line").first).to_contain_text("exported from the audit log")
    seal(log_dir)
    page.goto("/audit/log/")
    arrived(page, "State of the log")
    expect(page.get_by_text("Nothing is wrong as far as this page can see")).to_be_visible()
    assert complaints == []


@pytest.mark.parametrize(("viewport", "scheme"), LOOKS, ids=["wide", "narrow"])
def test_its_pages_in_every_state(
    chrome: Browser, url: str, log_dir: Path, viewport: Any, scheme: Any
) -> None:
    the = desk()
    user = auditor()
    context = signed_in(chrome, url, user, viewport=viewport, color_scheme=scheme, reduced_motion="reduce")
    page, complaints = watched(context)
    name = f"{viewport['width']}-{scheme}"
    found: list[str] = []

    def look(path: str, called: str) -> None:
        page.goto(path)
        ready(page)
        found.extend(f"{called}: {fault}" for fault in faults(page, f"audit-{called}-{name}"))

    look("/audit/log/", "log-never")
    look("/audit/?kind=stop.pulled", "empty")
    people.invite(email="long@example.com", name=LONG[-120:], actor=admin())
    for _ in range(18):
        the.decide(the.propose(), Verdict.APPROVE)
    seal(log_dir, upto=AuditEvent.objects.order_by("-id")[8].pk)
    reported("No space is left where the log is written")
    look("/audit/", "full")
    page.locator(".trail__more > summary").click()
    page.locator(".trail__export > summary").click()
    found.extend(f"open: {fault}" for fault in faults(page, f"audit-open-{name}"))
    look("/audit/?words=Averyvery&actor_kind=human&since=2020-01-01T00:00&reads=on", "narrowed")
    look("/audit/log/", "log-failing")
    sealed = AuditEvent.objects.get(kind="agent.registered")
    look(f"/audit/events/{sealed.pk}/", "event")
    look(f"/audit/of/agent/{the.agent.pk}/?side=did", "timeline")
    with as_owner() as owner:
        owner.execute("ALTER TABLE audit_auditevent DISABLE TRIGGER USER")
        owner.execute("UPDATE audit_auditevent SET actor_id = '99' WHERE id = %s", [sealed.pk])
        owner.execute("DELETE FROM audit_auditevent WHERE kind = 'credential.issued'")
        owner.execute("ALTER TABLE audit_auditevent ENABLE TRIGGER USER")
    look(f"/audit/events/{sealed.pk}/", "event-broken")
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT event FROM audit_auditleaf WHERE event NOT IN (SELECT id FROM audit_auditevent)"
        )
        gone = cursor.fetchone()
    look(f"/audit/events/{gone[0]}/", "event-gone")
    assert found == []
    assert [one for one in complaints if "410" not in one] == []
