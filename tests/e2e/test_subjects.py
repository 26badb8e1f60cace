"""Erasing somebody with the keyboard, in the browser; axe in both themes and widths, full, empty and absurdly long."""

import os
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from approvals.models import Proposal
from approvals.redaction import Subject
from approvals.services import hold
from tests import factories
from tests.approvals.test_erase import ANNA, proposed, rejected
from tests.browser import NARROW, WIDE, arrived, faults, leaving, signed_in, watched

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
LOOKS: list[tuple[Any, Any]] = [(WIDE, "light"), (NARROW, "dark")]
LONG = Subject("customer", "Wolfeschlegelsteinhausenbergerdorff" * 5)


def looked_at(page: Page, name: str) -> list[str]:
    folder = os.environ.get("SUBJECT_PICTURES")
    if folder:
        page.screenshot(path=str(Path(folder) / f"{name}.png"), full_page=True)
    return faults(page, name)


def find(page: Page, subject: Subject) -> None:
    page.get_by_label("Kind of subject").fill(subject.type)
    page.get_by_label("Its id", exact=True).fill(subject.id)
    with leaving(page):
        page.keyboard.press("Enter")
    arrived(page, "Data subjects")


@pytest.mark.parametrize(("viewport", "scheme"), LOOKS, ids=["wide-light", "narrow-dark"])
def test_erasing_somebody_in_the_browser(chrome: Browser, url: str, viewport: Any, scheme: Any) -> None:
    desk = factories.desk()
    found = rejected(desk)
    rejected(desk, subject=LONG)
    proposed(desk, subject=LONG)
    context = signed_in(chrome, url, factories.admin(), viewport=viewport, color_scheme=scheme)
    page, problems = watched(context, ["status of 422"])
    look = f"{scheme}-{viewport['width']}"
    page.goto(f"{url}/audit/subjects/")
    arrived(page, "Data subjects")
    wrong = looked_at(page, f"empty-{look}")
    hold.place(subject=LONG, reason="Lawsuit " + "of many words " * 30, actor=factories.admin())
    find(page, LONG)
    expect(page.get_by_text("Not everything about it is settled.")).to_be_visible()
    wrong += looked_at(page, f"long-{look}")

    find(page, ANNA)
    page.get_by_label("Type its id once more").fill("anna")
    page.get_by_label("Why it is erased").fill("Asked by letter")
    with leaving(page):
        page.get_by_role("button", name="Erase for good").press("Enter")
    arrived(page, "Data subjects")
    expect(page.get_by_text("It must be the id, exactly as it stands above.")).to_be_visible()
    wrong += looked_at(page, f"refused-{look}")
    page.get_by_label("Type its id once more").fill(ANNA.id)
    with leaving(page):
        page.keyboard.press("Enter")
    arrived(page, "Data subjects")
    expect(page.get_by_text("Erased. The key is destroyed.")).to_be_visible()
    wrong += looked_at(page, f"erased-{look}")

    page.goto(f"{url}/proposals/{found.pk}/")
    expect(page.get_by_role("heading", name="Erased on")).to_be_visible()
    wrong += looked_at(page, f"proposal-{look}")
    page.goto(f"{url}/audit/retention/")
    arrived(page, "How long content is kept")
    page.get_by_label("Prompts: days").fill("0")
    with leaving(page):
        page.get_by_role("button", name="Save").press("Enter")
    arrived(page, "How long content is kept")
    expect(page.get_by_text("Nothing was saved.")).to_be_visible()
    wrong += looked_at(page, f"retention-{look}")

    assert wrong == [] and problems == []
    assert Proposal.objects.get(pk=found.pk).erased_at is not None
