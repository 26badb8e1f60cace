"""Approvals of high risk in Chromium, signed by its virtual authenticator: one key, the passkey, done; and whatever may
go wrong with a passkey leaves the page as it was."""

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from playwright.sync_api import Browser, BrowserContext, CDPSession, Page, expect

from agents.services import action_types
from approvals.models import Challenge, HeldBallot, Proposal, Signature, Vote
from audit.tlog import assertions
from tests.browser import (
    NARROW,
    WIDE,
    announced,
    faults,
    holding,
    posted,
    press,
    ready,
    signed_in,
)
from tests.e2e.test_passkeys import add_passkey, sign_in
from tests.factories import Desk, desk, saved, undoing
from tests.passkeys import Passkey

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def here(url: str) -> str:
    """The address at which a browser has passkeys without https."""
    return url.replace("127.0.0.1", "localhost")


def high(**at: Any) -> Desk:
    """A desk of high risk whose action can be taken back, so that no gate stands before the approval."""
    the = desk(at=at)
    undoing(the)
    definition = action_types.as_definition(type(the.action_type).objects.get(pk=the.action_type.pk))
    return replace(the, action_type=saved(replace(definition, risk="high")))


class Key:
    """The virtual authenticator of one tab, with a passkey in it."""

    def __init__(self, page: Page, passkey: Passkey | None) -> None:
        self.session: CDPSession = page.context.new_cdp_session(page)
        self.session.send("WebAuthn.enable", {"enableUI": False})
        options = {
            "protocol": "ctap2",
            "transport": "internal",
            "hasResidentKey": True,
            "hasUserVerification": True,
            "isUserVerified": True,
            "automaticPresenceSimulation": True,
        }
        made = self.session.send("WebAuthn.addVirtualAuthenticator", {"options": options})
        self.id = made["authenticatorId"]
        if passkey is not None:
            self.put_in(passkey)

    def put_in(self, passkey: Passkey) -> None:
        private = passkey.private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        credential = {
            "credentialId": base64.b64encode(passkey.id).decode(),
            "isResidentCredential": False,
            "rpId": "localhost",
            "privateKey": base64.b64encode(private).decode(),
            "signCount": 1,
        }
        self.session.send("WebAuthn.addCredential", {"authenticatorId": self.id, "credential": credential})

    def recognises(self, is_verified: bool) -> None:
        """Whether the finger on it is the right one."""
        told = {"authenticatorId": self.id, "isUserVerified": is_verified}
        self.session.send("WebAuthn.setUserVerified", told)

    def is_touched(self, at_once: bool) -> None:
        """Whether somebody touches it as soon as it asks."""
        told = {"authenticatorId": self.id, "enabled": at_once}
        self.session.send("WebAuthn.setAutomaticPresenceSimulation", told)


@pytest.fixture
def the() -> Iterator[Desk]:
    yield high()


def tab(context: BrowserContext, passkey: Passkey) -> tuple[Page, Key]:
    page = context.new_page()
    return page, Key(page, passkey)


def sat_down(chrome: Browser, here: str, the: Desk, **options: Any) -> tuple[Page, Key, Passkey]:
    passkey = Passkey(origin=here)
    passkey.register(the.reviewer, "Key ring")
    page, key = tab(signed_in(chrome, here, the.reviewer, **options), passkey)
    return page, key, passkey


def opened(page: Page, proposal: Proposal) -> None:
    page.goto(f"/proposals/{proposal.pk}/")
    holding(page)


def test_one_key_then_the_passkey_then_done(chrome: Browser, here: str, the: Desk) -> None:
    proposal = the.propose()
    page, _, passkey = sat_down(chrome, here, the)
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    opened(page, proposal)
    expect(page.locator("[data-sign-words]")).to_have_text(
        "Signed with your passkey: your browser asks for it, which takes JavaScript."
    )
    press(page, "a")
    expect(page.locator(".stamp__word")).to_have_text("Approved")
    expect(page.locator(".signed")).to_contain_text("Signed with the passkey “Key ring” by Rita Reviewer")
    announced(page, "Waiting for your passkey")
    kept = Signature.objects.get()
    assertions.check(kept.assertion, Proposal.objects.get(pk=proposal.pk).digest)
    assert (bytes(kept.credential), kept.vote, kept.origin) == (passkey.id, Vote.objects.get(), here)
    assert complaints == []
    for name, size in {"wide": WIDE, "narrow": NARROW}.items():
        page.set_viewport_size(size)
        assert faults(page, f"signed {name}") == []


def test_a_passkey_made_on_its_page_signs(chrome: Browser, here: str, the: Desk) -> None:
    proposal = the.propose()
    page = chrome.new_context(base_url=here, viewport=WIDE).new_page()
    Key(page, None)
    sign_in(page, the.reviewer)
    add_passkey(page, "From its page")
    opened(page, proposal)
    press(page, "a")
    expect(page.locator(".signed")).to_contain_text(
        "Signed with the passkey “From its page” by Rita Reviewer"
    )
    assert Signature.objects.get().vote == Vote.objects.get()


def test_a_cancelled_prompt_leaves_everything_as_it_was(chrome: Browser, here: str, the: Desk) -> None:
    proposal = the.propose()
    page, key, _ = sat_down(chrome, here, the)
    opened(page, proposal)
    key.recognises(False)
    sent = posted(page)
    press(page, "a")
    expect(page.locator("[data-sign-words]")).to_contain_text("Nothing was decided: the passkey was not used")
    announced(page, "Nothing was decided")
    expect(page.locator("[data-sign-button]")).to_be_focused()
    assert [path for path in sent if path.endswith("/approve/")] == []
    assert not Vote.objects.exists() and Proposal.objects.get().state == "pending"
    assert faults(page, "cancelled") == []
    key.recognises(True)
    press(page, "a")
    expect(page.locator(".stamp__word")).to_have_text("Approved")


def test_a_proposal_is_rejected_while_the_passkey_is_asked(chrome: Browser, here: str, the: Desk) -> None:
    """Stopping is quick, and what was asked before is broken off."""
    proposal = the.propose()
    page, key, _ = sat_down(chrome, here, the)
    opened(page, proposal)
    key.is_touched(False)
    press(page, "a")
    expect(page.locator("[data-sign-words]")).to_contain_text("Waiting for your passkey")
    press(page, "r")
    page.locator("#reject_reason").select_option("not_allowed")
    page.locator("#reject_reason").press("Control+Enter")
    expect(page.locator(".stamp__word")).to_have_text("Rejected")
    key.is_touched(True)
    ready(page)
    assert [vote.verdict for vote in Vote.objects.all()] == ["reject"]
    assert not Signature.objects.exists()


def test_an_edit_is_signed_with_what_it_makes(chrome: Browser, here: str, the: Desk) -> None:
    proposal = the.propose()
    page, key, _ = sat_down(chrome, here, the)
    page.goto(f"/proposals/{proposal.pk}/edit/")
    ready(page)
    page.get_by_label("Amount").fill("12")
    page.locator("#comment").fill("Half of it was whole.")
    key.recognises(False)
    page.locator("#comment").press("Control+Enter")
    expect(page.locator("[data-sign-words]")).to_contain_text("Nothing was decided")
    expect(page.locator("#comment")).to_have_value("Half of it was whole.")
    assert Proposal.objects.get().revision == 1
    key.recognises(True)
    page.locator("#comment").press("Control+Enter")
    expect(page.locator(".stamp__word")).to_have_text("Approved with edits")
    now = Proposal.objects.get()
    assert (now.revision, now.digest) == (2, Signature.objects.get().digest)


def test_a_captured_answer_cannot_be_sent_again(chrome: Browser, here: str, the: Desk) -> None:
    first, second = the.propose(), the.propose()
    page, _, _ = sat_down(chrome, here, the)
    opened(page, first)
    with page.expect_request(lambda request: request.url.endswith("/approve/")) as caught:
        press(page, "a")
    expect(page.locator(".stamp__word")).to_have_text("Approved")
    answer = parse_qs(caught.value.post_data or "")["assertion"][0]
    assert json.loads(answer)["signature"]
    opened(page, second)
    page.evaluate(
        """(answer) => {
            const form = document.querySelector("form[data-sign]");
            form.querySelector("[name=assertion]").value = answer;
            form.dataset.signed = "yes";
            form.requestSubmit();
        }""",
        answer,
    )
    expect(page.locator("#refusal")).to_contain_text("too old, or has been used")
    assert Vote.objects.count() == Signature.objects.count() == 1
    assert Proposal.objects.get(pk=second.pk).state == "pending"


def test_of_two_tabs_one_decides(chrome: Browser, here: str, the: Desk) -> None:
    proposal = the.propose()
    page, _, passkey = sat_down(chrome, here, the)
    other, key = tab(page.context, passkey)
    opened(page, proposal)
    opened(other, proposal)
    key.is_touched(False)
    press(other, "a")
    expect(other.locator("[data-sign-words]")).to_contain_text("Waiting for your passkey")
    press(page, "a")
    expect(page.locator(".stamp__word")).to_have_text("Approved")
    key.is_touched(True)
    other.reload()
    expect(other.locator(".stamp__word")).to_have_text("Approved")
    assert Vote.objects.count() == Signature.objects.count() == 1
    assert Challenge.objects.count() == 1, "what the other tab asked decides nothing, and is swept later"


def test_an_undone_approval_is_signed_anew(chrome: Browser, here: str) -> None:
    the = high(undo_seconds=120)
    proposal = the.propose()
    page, _, _ = sat_down(chrome, here, the)
    opened(page, proposal)
    press(page, "a")
    expect(page.locator("#decide")).to_contain_text("signed with a passkey")
    page.locator("#decide").get_by_role("button", name="Undo it").click()
    expect(page.locator("form[data-sign]")).to_be_visible()
    holding(page)
    press(page, "a")
    expect(page.locator("#decide")).to_contain_text("signed with a passkey")
    assert (Signature.objects.count(), HeldBallot.objects.count()) == (2, 1)


def test_without_javascript_the_page_says_that_no_passkey_can_be_asked(
    chrome: Browser, here: str, the: Desk
) -> None:
    proposal = the.propose()
    page, _, _ = sat_down(chrome, here, the, java_script_enabled=False)
    page.goto(f"/proposals/{proposal.pk}/")
    expect(page.locator("#decide")).to_contain_text("which takes JavaScript")
    page.locator("[data-sign-button]").click()
    expect(page.locator("main")).to_contain_text("signed with your passkey")
    assert not Vote.objects.exists()
