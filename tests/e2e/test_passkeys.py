"""Passkeys in a real browser with a virtual authenticator: made, shown alone, shown second, refused, by keyboard.

Browsers keep passkeys for names, so these pages are opened at localhost and not at 127.0.0.1."""

from collections.abc import Iterator
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.core.cache import cache
from playwright.sync_api import Browser, CDPSession, Page, expect

from accounts.models import User
from audit.models import AuditEvent
from tests import browser, factories
from tests.browser import arrived, faults, leaving

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]
PASSWORD = "a long password"


@pytest.fixture
def here(url: str) -> str:
    cache.clear()
    return url.replace("127.0.0.1", "localhost")


@pytest.fixture
def page(chrome: Browser, here: str) -> Iterator[Page]:
    context = chrome.new_context(base_url=here, viewport=browser.WIDE)
    yield context.new_page()


def key_of(page: Page, **options: Any) -> tuple[CDPSession, str]:
    """A device that keeps passkeys and knows its person's finger."""
    devtools = page.context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    usual = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    made = devtools.send("WebAuthn.addVirtualAuthenticator", {"options": usual | options})
    return devtools, made["authenticatorId"]


def sign_in(page: Page, user: User) -> None:
    page.goto("/account/login/")
    browser.ready(page)
    page.get_by_label("E-mail address").fill(user.email)
    page.get_by_label("Password").fill(PASSWORD)
    with leaving(page):
        page.get_by_role("button", name="Sign in", exact=True).press("Enter")


def add_passkey(page: Page, name: str) -> None:
    page.goto("/account/security/passkeys/add/")
    arrived(page, "Add a passkey")
    page.get_by_label("Name").fill(name)
    with leaving(page):
        page.get_by_label("Name").press("Enter")


def sign_out(page: Page) -> None:
    page.context.clear_cookies(name="sessionid")


def kinds(user: User) -> list[str]:
    rows = AuditEvent.objects.filter(object_type="person", object_id=str(user.pk)).order_by("id")
    return list(rows.values_list("kind", flat=True))


def test_a_passkey_is_made_and_signs_in_by_one_click_without_an_address(page: Page) -> None:
    user = factories.person("Kim Key")
    key_of(page)
    sign_in(page, user)
    page.goto("/account/security/")
    arrived(page, "Sign-in and security")
    assert faults(page, "security empty") == []
    add_passkey(page, "Work laptop")
    arrived(page, "Your recovery codes")
    assert len(page.locator("#recovery-codes").inner_text().split()) == 10
    assert faults(page, "recovery codes") == []
    page.goto("/account/security/")
    arrived(page, "Sign-in and security")
    expect(page.get_by_role("cell", name="Work laptop", exact=True)).to_be_visible()

    sign_out(page)
    page.goto("/preferences/")
    arrived(page, "Sign in")
    assert faults(page, "sign in") == []
    with leaving(page):
        page.get_by_role("button", name="Sign in with a passkey").press("Enter")

    arrived(page, "Preferences")
    assert kinds(user)[-2:] == ["factor.used", "person.signed_in"]


def test_a_passkey_is_the_second_step_after_the_password_and_can_be_renamed(page: Page) -> None:
    user = factories.person()
    key_of(page)
    sign_in(page, user)
    add_passkey(page, "Key")
    sign_out(page)
    sign_in(page, user)
    arrived(page, "Show your second factor")
    assert faults(page, "second step") == []
    with leaving(page):
        page.get_by_role("button", name="Use a passkey").press("Enter")
    row = Authenticator.objects.get(user=user, type="webauthn")
    page.goto(f"/account/security/passkeys/{row.pk}/rename/")
    arrived(page, "Rename the passkey")
    page.get_by_label("Name").fill("The one on my keyring")
    with leaving(page):
        page.get_by_label("Name").press("Enter")
    arrived(page, "Sign-in and security")
    expect(page.get_by_role("cell", name="The one on my keyring", exact=True)).to_be_visible()
    assert "factor.renamed" in kinds(user)


def test_a_passkey_steps_up_and_is_removed_by_who_shows_it(page: Page) -> None:
    user = factories.person()
    key_of(page)
    sign_in(page, user)
    add_passkey(page, "Key")
    row = Authenticator.objects.get(user=user, type="webauthn")
    made = page.context.cookies()
    signed = browser.signed_in(page.context.browser, page.url.split("/account")[0], user)  # type: ignore[arg-type]
    page.context.add_cookies(signed.cookies())  # type: ignore[arg-type]  # a session that has shown nothing
    assert made
    page.goto(f"/account/security/factors/{row.pk}/remove/")
    arrived(page, "Show again who you are")
    assert faults(page, "step up") == []
    with leaving(page):
        page.get_by_role("button", name="Use a passkey").press("Enter")
    arrived(page, "Remove the passkey Key")
    with leaving(page):
        page.get_by_role("button", name="Remove it").press("Enter")
    arrived(page, "Sign-in and security")
    assert not Authenticator.objects.filter(user=user).exists()
    assert "session.stepped_up" in kinds(user)


def test_a_device_that_asks_for_no_finger_is_no_passkey(page: Page) -> None:
    user = factories.person()
    key_of(page, isUserVerified=False)
    sign_in(page, user)
    page.goto("/account/security/passkeys/add/")
    arrived(page, "Add a passkey")
    page.get_by_label("Name").press("Enter")
    expect(page.get_by_role("alert").filter(has_text="No passkey was chosen")).to_be_visible()
    assert not Authenticator.objects.filter(user=user).exists()


def test_a_passkey_that_was_removed_here_signs_nobody_in(page: Page) -> None:
    user = factories.person()
    key_of(page)
    sign_in(page, user)
    add_passkey(page, "Key")
    Authenticator.objects.filter(user=user).delete()
    sign_out(page)
    page.goto("/account/login/")
    arrived(page, "Sign in")
    with leaving(page):
        page.get_by_role("button", name="Sign in with a passkey").press("Enter")
    arrived(page, "Sign in")
    expect(page.get_by_text("Nobody here is known by this passkey")).to_be_visible()
    assert AuditEvent.objects.filter(kind="factor.failed").exists()


def test_the_passkey_of_somebody_deactivated_signs_nobody_in(page: Page) -> None:
    user = factories.person()
    key_of(page)
    sign_in(page, user)
    add_passkey(page, "Key")
    User.objects.filter(pk=user.pk).update(is_active=False)
    sign_out(page)
    page.goto("/account/login/")
    arrived(page, "Sign in")
    with leaving(page):
        page.get_by_role("button", name="Sign in with a passkey").press("Enter")
    arrived(page, "Sign in")
    expect(page.get_by_text("Nobody here is known by this passkey")).to_be_visible()


def test_pages_of_sign_in_are_sound_when_narrow_and_dark(chrome: Browser, here: str) -> None:
    user = factories.person("Maximiliana Hubertine von und zu Unterobermoosbach-Hinterwald")
    context = chrome.new_context(base_url=here, viewport=browser.NARROW, color_scheme="dark")
    page = context.new_page()
    key_of(page)
    sign_in(page, user)
    add_passkey(page, "A passkey with a name as long as names can be, which is sixty")
    found = []
    for name in (
        "security/",
        "security/app/",
        "security/codes/",
        "security/passkeys/add/",
        "password/change/",
    ):
        page.goto(f"/account/{name}")
        browser.ready(page)
        found += faults(page, f"narrow dark {name}")
    assert found == []
