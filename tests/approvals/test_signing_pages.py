"""Signed approvals as pages give them: how one would be signed, what was asked and sent, what is shown afterwards."""

import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from approvals.models import Challenge, Proposal, Signature, Verdict, Vote
from approvals.signing import session_of
from audit.models import AuditEvent
from audit.tlog.assertions import challenge, text_of
from tests import factories
from tests.approvals.test_signing import OTHER, ask, ballot, high
from tests.approvals.test_views_proposals import form_of, signed_in
from tests.database import as_owner
from tests.factories import Desk
from tests.html_forms import sent as sent_by
from tests.passkeys import ORIGIN, Passkey, posted

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def at_a_name(settings: Any) -> None:
    settings.PUBLIC_URL = ORIGIN


@pytest.fixture
def the() -> Desk:
    return high(factories.desk())


@pytest.fixture
def passkey(the: Desk) -> Passkey:
    made = Passkey()
    made.register(the.reviewer, "Blue <key>")
    return made


def page(client: Client, proposal: Proposal, part: str = "") -> str:
    response = client.get(f"/proposals/{proposal.pk}/{part}")
    assert response.status_code == 200
    return response.content.decode()


def session(client: Client) -> str:
    return session_of(client.session.session_key)


def asked(client: Client, proposal: Proposal, fields: dict[str, str]) -> dict[str, Any]:
    answer = client.post(f"/proposals/{proposal.pk}/challenge/", fields)
    assert answer.status_code == 200, answer.content
    found: dict[str, Any] = answer.json()
    return found


def test_a_person_asks_signs_and_sees_what_was_signed(the: Desk, passkey: Passkey) -> None:
    proposal = the.propose()
    client = signed_in(the.reviewer, csrf=True)
    html = page(client, proposal)
    fields = form_of(html, "/approve/")
    assert f'data-sign="/proposals/{proposal.pk}/challenge/"' in html and fields["verdict"] == "approve"
    told = asked(client, proposal, fields)
    nonce = bytes(Challenge.objects.get().nonce)
    assert told == {
        "sign": True,
        "nonce": text_of(nonce),
        "options": {
            "challenge": text_of(challenge(proposal.digest, nonce)),
            "rpId": "desk.example",
            "credentials": [text_of(passkey.id)],
            "timeout": 120_000,
        },
    }
    answer = passkey.answer(session=session(client))
    sent = client.post(f"/proposals/{proposal.pk}/approve/", {**fields, "assertion": posted(answer)})
    assert sent.status_code == 302
    for part in ("", "print/", "as-decided/"):
        shown = re.sub(r"\s+", " ", page(client, proposal, part))
        assert "Signed with" in shown and "checked just now (ES256)" in shown, part
        assert proposal.digest in shown
    assert "Blue &lt;key&gt;" in page(client, proposal)


def test_without_an_answer_the_same_form_is_refused_with_the_remedy(the: Desk, passkey: Passkey) -> None:
    proposal = the.propose()
    client = signed_in(the.reviewer)
    html = page(client, proposal)
    assert "which takes JavaScript" in html
    refused = client.post(f"/proposals/{proposal.pk}/approve/", form_of(html, "/approve/"))
    assert refused.status_code == 403 and "signed with your passkey" in refused.content.decode()
    assert AuditEvent.objects.filter(kind="access.refused").exists()
    assert not Vote.objects.exists()
    rejected = {**form_of(html, "/reject/"), "reason": "not_allowed"}
    assert client.post(f"/proposals/{proposal.pk}/reject/", rejected).status_code == 302


def test_what_was_asked_in_one_session_is_not_answered_in_another(the: Desk, passkey: Passkey) -> None:
    proposal = the.propose()
    mine, theirs = signed_in(the.reviewer), signed_in(the.reviewer)
    fields = form_of(page(mine, proposal), "/approve/")
    asked(mine, proposal, fields)
    sent = {**fields, "assertion": posted(passkey.answer())}
    assert theirs.post(f"/proposals/{proposal.pk}/approve/", sent).status_code == 403
    assert mine.post(f"/proposals/{proposal.pk}/approve/", sent).status_code == 302


@pytest.mark.parametrize(
    "text",
    ["{}", "nonsense", '{"nonce": 1}', "[" * 13_000, '{"more": ""}'],
    ids=["empty", "no JSON", "a number", "too long", "another"],
)
def test_what_is_no_answer_is_refused_in_words(the: Desk, passkey: Passkey, text: str) -> None:
    proposal = the.propose()
    client = signed_in(the.reviewer)
    fields = form_of(page(client, proposal), "/approve/")
    sent = {**fields, "assertion": text.encode("utf-8", "replace").decode()}
    assert client.post(f"/proposals/{proposal.pk}/approve/", sent).status_code == 422
    assert not Vote.objects.exists()


def test_an_edit_is_asked_and_sent_from_its_form(the: Desk, passkey: Passkey) -> None:
    proposal = the.propose()
    client = signed_in(the.reviewer)
    html = page(client, proposal, "edit/")
    form = re.search(r'<form method="post" id="edit".*</form>', html, re.DOTALL)
    assert form is not None and f"/proposals/{proposal.pk}/challenge/" in form[0]
    data = {name: str(value) for name, value in sent_by(html, "edit").items()}
    [amount] = [name for name in data if data[name] == "42.5"]
    unready = {**data, amount: "a lot"}
    assert asked(client, proposal, unready) == {"sign": False}, "the form itself says what is wrong"
    fields = {**data, amount: "12.0"}
    assert asked(client, proposal, fields)["sign"]
    answer = posted(passkey.answer(session=session(client)))
    response = client.post(f"/proposals/{proposal.pk}/edit/", {**fields, "assertion": answer})
    assert response.status_code == 302, response.content[:3000]
    now = Proposal.objects.get(pk=proposal.pk)
    assert (now.revision, now.digest) == (2, Signature.objects.get().digest)


def test_who_has_none_is_told_that_it_will_not_be_signed(the: Desk) -> None:
    proposal = the.propose()
    client = signed_in(the.reviewer)
    html = page(client, proposal)
    assert "Your approval will not be signed" in html and "data-sign=" not in html
    assert client.post(f"/proposals/{proposal.pk}/approve/", form_of(html, "/approve/")).status_code == 302
    for part in ("", "print/", "as-decided/"):
        assert "Not signed:" in page(client, proposal, part), part


def test_where_it_is_required_the_button_says_why_not(the: Desk, settings: Any) -> None:
    settings.SIGNED_APPROVALS = "required"
    proposal = the.propose()
    client = signed_in(the.reviewer)
    for part in ("", "edit/"):
        html = page(client, proposal, part)
        assert "has to be signed with a passkey" in html
        button = re.search(r"<button[^>]*data-sign-button[^>]*>", html)
        assert button is not None and " disabled" in button[0]
    refused = client.post(f"/proposals/{proposal.pk}/approve/", form_of(page(client, proposal), "/approve/"))
    assert refused.status_code == 403 and "Register a passkey" in refused.content.decode()


def test_nobody_else_is_asked_anything(the: Desk, passkey: Passkey) -> None:
    proposal = the.propose()
    fields = {"verdict": "approve", "revision": "1", "version": "1"}
    stranger = signed_in(factories.person())
    assert stranger.post(f"/proposals/{proposal.pk}/challenge/", fields).status_code == 404
    assert signed_in(the.agent.owner).post(f"/proposals/{proposal.pk}/challenge/", fields).status_code == 403
    assert Client().post(f"/proposals/{proposal.pk}/challenge/", fields).status_code == 302
    assert signed_in(the.reviewer).get(f"/proposals/{proposal.pk}/challenge/").status_code == 405
    stale = {**fields, "version": "7"}
    assert signed_in(the.reviewer).post(f"/proposals/{proposal.pk}/challenge/", stale).status_code == 409
    assert not Challenge.objects.exists()


def test_a_page_of_low_risk_asks_nothing_about_passkeys(the: Desk, passkey: Passkey) -> None:
    the = high(the, "low")
    proposal = the.propose()
    client = signed_in(the.reviewer)
    page(client, proposal)
    with CaptureQueriesContext(connection) as caught:
        html = page(client, proposal)
    assert "data-sign=" not in html
    tables = ("mfa_authenticator", "approvals_challenge", "approvals_signature")
    assert not [one["sql"] for one in caught if any(table in one["sql"] for table in tables)]


@pytest.mark.django_db(transaction=True)
def test_a_signature_that_was_changed_in_the_database_is_told(the: Desk, passkey: Passkey) -> None:
    proposal = the.propose()
    ask(proposal, the.reviewer)
    the.decide(proposal, Verdict.APPROVE, answer=passkey.answer())
    client = signed_in(the.reviewer)
    assert "checked just now" in page(client, proposal)
    with as_owner() as owner:
        owner.execute("UPDATE approvals_signature SET digest = 'sha256:' || repeat('0', 64)")
    html = page(client, proposal)
    assert "The signature does not hold" in html and "checked just now" not in html
    assert "checked just now" in page(client, proposal, "as-decided/"), "the event tells what was signed"


def test_an_edit_that_nobody_signed_cannot_borrow_the_approvals(the: Desk, passkey: Passkey) -> None:
    proposal = the.propose()
    ask(proposal, the.reviewer, Verdict.EDIT, arguments=OTHER)
    client = signed_in(the.reviewer)
    Challenge.objects.update(session=session(client))
    assert ballot(proposal).revision == 1
    fields = form_of(page(client, proposal), "/approve/")
    sent = {**fields, "assertion": posted(passkey.answer(session=session(client)))}
    assert client.post(f"/proposals/{proposal.pk}/approve/", sent).status_code == 409
    assert not Vote.objects.exists()
