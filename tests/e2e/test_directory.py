"""Signing in at the company's identity provider in a browser, and the page that shows what the directory does."""

from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import Browser, expect

from accounts.models import DirectoryToken, User
from accounts.services import teams
from accounts.services.directory import connect_team, issue_token
from tests import browser
from tests.accounts.oidc import running
from tests.factories import admin, person

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_person_goes_to_the_provider_and_comes_back_signed_in(
    chrome: Browser, url: str, settings: Any
) -> None:
    """No policy of our pages stands in the way of a form that leads to another site."""
    user = person("Nora")
    with running(settings) as idp:
        idp.knows("s-1", email=user.email, email_verified=True)
        page, noise = browser.watched(chrome.new_context(viewport=browser.WIDE))
        page.goto(f"{url}/account/login/?next=/preferences/")
        page.get_by_role("button", name="Sign in with Acme ID").click()
        page.locator("input[name=sub]").fill("s-1")
        page.locator("button[type=submit], button:not([type])").first.click()
        browser.arrived(page, "Preferences")
        assert [note for note in noise if "Content Security Policy" in note] == []


def full() -> User:
    boss = admin()
    for number, label in enumerate(["Acme ID", "An identity provider with quite a long name, the third"]):
        token, _ = issue_token(label=label, days=30 + number, actor=boss)
        DirectoryToken.objects.filter(pk=token.pk).update(
            last_used_at=timezone.now(), last_used_from="2001:db8:1234:5678:9abc:def0:1234:5678"
        )
    for name, claim in (("Refund desk", ""), ("R" * 120, "0b6c2c3a-8f0e-4c63-9d6e-" + "f" * 150)):
        team = teams.create(name=name, actor=boss)
        connect_team(team_id=team.pk, claim=claim, actor=boss)
    return boss


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_page_of_the_directory_stands_at_every_width(
    chrome: Browser, url: str, settings: Any, theme: Any
) -> None:
    found = []
    with running(settings, name="Acme ID"):
        boss = full()
        for width, size in (("wide", browser.WIDE), ("narrow", browser.NARROW)):
            context = browser.signed_in(chrome, url, boss, viewport=size, color_scheme=theme)
            page, noise = browser.watched(context)
            page.goto(f"{url}/directory/")
            browser.arrived(page, "Directory")
            expect(page.get_by_text("answers", exact=True)).to_be_visible()
            found += browser.faults(page, f"directory-{theme}-{width}")
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            assert noise == []
    assert found == []
