"""Approvals of high risk are signed by a passkey over exactly what is approved, once, by whoever was asked."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.exceptions import DomainError
from accounts.models import User
from agents.services import action_types
from approvals.ballots import Ballot
from approvals.exceptions import (
    MayNotDecide,
    ProposalChanged,
    SignatureNeeded,
    SignatureRefused,
    SignatureStale,
)
from approvals.models import Challenge, HeldBallot, Proposal, Signature, Verdict, Vote
from approvals.services import settle, sign
from approvals.services.decide import Decided, decide
from approvals.signing import Answer
from audit.models import AuditEvent
from audit.tlog import assertions
from tests import factories
from tests.factories import ARGUMENTS, Desk, saved
from tests.invariants.calls import together
from tests.passkeys import ORIGIN, PRESENT, SESSION, Passkey

pytestmark = pytest.mark.django_db
OTHER = {**ARGUMENTS, "amount": 12.0}


@pytest.fixture(autouse=True)
def at_a_name(settings: Any) -> None:
    settings.PUBLIC_URL = ORIGIN


def high(the: Desk, risk: str = "high") -> Desk:
    definition = replace(action_types.as_definition(the.action_type), risk=risk)
    return replace(the, action_type=saved(definition))


@pytest.fixture
def the() -> Desk:
    return high(factories.desk())


@pytest.fixture
def passkey(the: Desk) -> Passkey:
    made = Passkey()
    made.register(the.reviewer)
    return made


def ballot(proposal: Proposal, verdict: Verdict = Verdict.APPROVE, **extra: Any) -> Ballot:
    now = Proposal.objects.get(pk=proposal.pk)
    return Ballot(verdict=verdict, revision=now.revision, version=now.version, seen=True, **extra)


def ask(
    proposal: Proposal, person: User, verdict: Verdict = Verdict.APPROVE, **extra: Any
) -> sign.Asked | None:
    given = ballot(proposal, verdict, **extra)
    return sign.ask(proposal_id=proposal.pk, person=person, session=SESSION, ballot=given)


def approve(proposal: Proposal, person: User, answer: Answer | None, **extra: Any) -> Decided:
    return decide(proposal_id=proposal.pk, reviewer=person, ballot=ballot(proposal, answer=answer, **extra))


def untouched(proposal: Proposal) -> bool:
    return not Vote.objects.filter(proposal=proposal).exists() and Signature.objects.count() == 0


# — What is signed, kept and told


@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA", "RS256", "ES384"])
def test_an_approval_is_signed_over_its_digest(the: Desk, algorithm: str) -> None:
    passkey = Passkey(algorithm)
    passkey.register(the.reviewer, "Blue key")
    proposal = the.propose()
    asked = ask(proposal, the.reviewer)
    assert asked is not None and asked.credentials == [passkey.id] and asked.host == "desk.example"
    assert asked.challenge == assertions.challenge(proposal.digest, asked.nonce)
    assert approve(proposal, the.reviewer, passkey.answer()).final
    kept = Signature.objects.get()
    assert (kept.vote, kept.digest, kept.label) == (Vote.objects.get(), proposal.digest, "Blue key")
    assertions.check(kept.assertion, proposal.digest)
    assert not Challenge.objects.exists()


def test_the_event_of_the_vote_proves_it(the: Desk, passkey: Passkey) -> None:
    proposal = the.propose()
    ask(proposal, the.reviewer)
    approve(proposal, the.reviewer, passkey.answer())
    event = AuditEvent.objects.get(kind="proposal.voted")
    told = event.data["detail"]["signature"]
    assertions.check(assertions.Assertion.read(told), event.data["after"]["digest"])
    assert told["credential"] == assertions.text_of(passkey.id)
    assert len(event.content) < 3000


def test_an_edit_is_signed_over_the_revision_that_it_makes(the: Desk, passkey: Passkey) -> None:
    proposal = the.propose()
    ask(proposal, the.reviewer, Verdict.EDIT, arguments=OTHER)
    change = ballot(proposal, Verdict.EDIT, arguments=OTHER, answer=passkey.answer())
    assert decide(proposal_id=proposal.pk, reviewer=the.reviewer, ballot=change).final
    now = Proposal.objects.get(pk=proposal.pk)
    assert Signature.objects.get().digest == now.digest != proposal.digest


def test_what_was_signed_for_one_edit_is_refused_for_another(the: Desk, passkey: Passkey) -> None:
    proposal = the.propose()
    ask(proposal, the.reviewer, Verdict.EDIT, arguments=OTHER)
    change = ballot(proposal, Verdict.EDIT, arguments={**OTHER, "amount": 999.0}, answer=passkey.answer())
    with pytest.raises(SignatureStale, match="is not what would be approved"):
        decide(proposal_id=proposal.pk, reviewer=the.reviewer, ballot=change)
    with pytest.raises(SignatureStale, match="is not what would be approved"):
        approve(proposal, the.reviewer, passkey.answer())
    assert untouched(proposal)


# — Who has to


def test_who_has_a_passkey_cannot_leave_it_out(the: Desk, passkey: Passkey) -> None:
    proposal = the.propose()
    with pytest.raises(SignatureNeeded, match="signed with your passkey"):
        approve(proposal, the.reviewer, None)
    assert untouched(proposal)


@pytest.mark.parametrize("verdict", [Verdict.REJECT, Verdict.RETURN])
def test_stopping_needs_no_passkey(the: Desk, passkey: Passkey, verdict: Verdict) -> None:
    proposal = the.propose()
    assert ask(proposal, the.reviewer, verdict) is None
    assert the.decide(proposal, verdict).final


@pytest.mark.usefixtures("passkey")
@pytest.mark.parametrize("risk", ["low", "medium"])
def test_low_risk_is_never_signed(the: Desk, risk: str) -> None:
    the = high(the, risk)
    proposal = the.propose()
    assert ask(proposal, the.reviewer) is None
    the.decide(proposal, Verdict.APPROVE)
    assert "signature" not in AuditEvent.objects.get(kind="proposal.voted").data["detail"]


def test_a_vote_of_low_risk_asks_nothing_about_passkeys(the: Desk) -> None:
    the = high(the, "low")
    proposal = the.propose()
    with CaptureQueriesContext(
        connection,
    ) as caught:
        the.decide(proposal, Verdict.APPROVE)
    tables = ("mfa_authenticator", "approvals_challenge", "approvals_signature")
    assert not [one["sql"] for one in caught if any(table in one["sql"] for table in tables)]


def test_where_it_is_offered_who_has_none_approves_and_the_log_says_so(the: Desk) -> None:
    proposal = the.propose()
    assert ask(proposal, the.reviewer) is None
    approve(proposal, the.reviewer, None)
    detail = AuditEvent.objects.get(kind="proposal.voted").data["detail"]
    assert "signature" in detail and detail["signature"] is None


def test_where_it_is_required_who_has_none_is_refused(the: Desk, settings: Any) -> None:
    settings.SIGNED_APPROVALS = "required"
    proposal = the.propose()
    with pytest.raises(SignatureNeeded, match="Register a passkey"):
        approve(proposal, the.reviewer, None)
    assert the.decide(proposal, Verdict.REJECT).final


def test_at_an_address_without_passkeys_the_remedy_is_said(the: Desk, settings: Any) -> None:
    settings.PUBLIC_URL, settings.SIGNED_APPROVALS = "http://127.0.0.1:8000", "required"
    Passkey().register(the.reviewer)
    proposal = the.propose()
    assert ask(proposal, the.reviewer) is None
    with pytest.raises(SignatureNeeded, match="Passkeys sign at an https address"):
        approve(proposal, the.reviewer, None)


def test_nobody_is_asked_to_sign_what_will_be_refused(the: Desk, passkey: Passkey) -> None:
    proposal = the.propose()
    with pytest.raises(MayNotDecide):
        ask(proposal, factories.person())
    stale = replace(ballot(proposal), version=99)
    with pytest.raises(ProposalChanged):
        sign.ask(proposal_id=proposal.pk, person=the.reviewer, session=SESSION, ballot=stale)
    assert not Challenge.objects.exists()


# — What does not count


WRONG: dict[str, tuple[dict[str, Any], type[DomainError], str]] = {
    "another session": ({"session": "else"}, SignatureRefused, "another session"),
    "another address": ({"origin": "https://desk.examp1e"}, SignatureRefused, "another address"),
    "another site": ({"host": "example"}, SignatureRefused, "another site"),
    "nobody verified": ({"flags": PRESENT}, SignatureRefused, "did not verify"),
    "nobody present": ({"flags": 0x04}, SignatureRefused, "Nobody was present"),
    "another challenge": ({"challenge": bytes(32)}, SignatureRefused, "not SHA-256 of this digest"),
    "a registration": ({"type": "webauthn.create"}, SignatureRefused, "no assertion"),
    "inside another page": ({"more": {"crossOrigin": True}}, SignatureRefused, "another site's page"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_answer_decides_nothing(the: Desk, passkey: Passkey, name: str) -> None:
    other, error, words = WRONG[name]
    proposal = the.propose()
    ask(proposal, the.reviewer)
    with pytest.raises(error, match=words):
        approve(proposal, the.reviewer, passkey.answer(**other))
    assert untouched(proposal)
    assert approve(proposal, the.reviewer, passkey.answer()).final, "and the right one still counts"


def test_only_ones_own_passkey_signs(the: Desk, passkey: Passkey) -> None:
    others = Passkey()
    others.register(the.second)
    proposal = the.propose()
    ask(proposal, the.reviewer)
    with pytest.raises(SignatureRefused, match="not one of yours"):
        approve(proposal, the.reviewer, others.answer())
    forged = Passkey(id=passkey.id)
    with pytest.raises(SignatureRefused, match="not by the passkey's key"):
        approve(proposal, the.reviewer, forged.answer())
    with pytest.raises(SignatureStale):
        approve(proposal, the.second, passkey.answer())
    assert untouched(proposal)


def test_an_answer_is_of_one_proposal_and_of_its_time(the: Desk, passkey: Passkey) -> None:
    first, second = the.propose(), the.propose()
    ask(first, the.reviewer)
    with pytest.raises(SignatureStale):
        approve(second, the.reviewer, passkey.answer())
    Challenge.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    with pytest.raises(SignatureStale, match="too old"):
        approve(first, the.reviewer, passkey.answer())
    assert untouched(first) and untouched(second)


def test_a_used_answer_repeats_the_same_vote_and_gives_no_other(the: Desk, passkey: Passkey) -> None:
    the.queue.__class__.objects.filter(pk=the.queue.pk).update(quorum=2)
    proposal = the.propose()
    ask(proposal, the.reviewer)
    answer = passkey.answer()
    given = ballot(proposal, answer=answer)
    assert not decide(proposal_id=proposal.pk, reviewer=the.reviewer, ballot=given).repeated
    assert decide(proposal_id=proposal.pk, reviewer=the.reviewer, ballot=given).repeated
    passkey.register(the.second, is_told=False)
    with pytest.raises(SignatureStale):
        approve(proposal, the.second, answer)
    assert (Vote.objects.count(), Signature.objects.count()) == (1, 1)


def test_a_counter_that_stands_still_is_a_copy(the: Desk) -> None:
    passkey = Passkey(counter=7)
    passkey.register(the.reviewer)
    first, second = the.propose(), the.propose()
    ask(first, the.reviewer)
    with pytest.raises(SignatureRefused, match="may be a copy"):
        approve(first, the.reviewer, passkey.answer(counter=7))
    assert approve(first, the.reviewer, passkey.answer(counter=9)).final
    ask(second, the.reviewer)
    for counter in (0, 8, 9):
        with pytest.raises(SignatureRefused, match="may be a copy"):
            approve(second, the.reviewer, passkey.answer(counter=counter))
    assert approve(second, the.reviewer, passkey.answer(counter=10)).final


def test_questions_that_nobody_answers_do_not_pile_up(the: Desk, passkey: Passkey) -> None:
    proposal = the.propose()
    asked = [ask(proposal, the.reviewer) for _ in range(sign.AT_ONCE + 5)]
    kept = {bytes(one.nonce) for one in Challenge.objects.all()}
    assert kept == {one.nonce for one in asked[-sign.AT_ONCE :] if one}


# — Undo window, races


@pytest.fixture
def slow() -> tuple[Desk, Passkey]:
    the = high(factories.desk(at={"undo_seconds": 10}))
    passkey = Passkey()
    passkey.register(the.reviewer)
    return the, passkey


def test_a_held_approval_keeps_its_signature(slow: tuple[Desk, Passkey]) -> None:
    the, passkey = slow
    proposal = the.propose()
    ask(proposal, the.reviewer, Verdict.EDIT, arguments=OTHER)
    change = ballot(proposal, Verdict.EDIT, arguments=OTHER, answer=passkey.answer())
    assert decide(proposal_id=proposal.pk, reviewer=the.reviewer, ballot=change).held_until
    assert HeldBallot.objects.get().signature == Signature.objects.get()
    assert settle.settle_due(now=timezone.now() + timedelta(minutes=1)) == 1
    event = AuditEvent.objects.get(kind="proposal.voted")
    made = assertions.Assertion.read(event.data["detail"]["signature"])
    assertions.check(made, Proposal.objects.get(pk=proposal.pk).digest)
    assert Signature.objects.get().vote == Vote.objects.get()


def test_an_undone_one_counts_for_nothing_and_cannot_be_sent_again(slow: tuple[Desk, Passkey]) -> None:
    the, passkey = slow
    proposal = the.propose()
    ask(proposal, the.reviewer)
    answer = passkey.answer()
    approve(proposal, the.reviewer, answer)
    settle.undo(proposal_id=proposal.pk, reviewer=the.reviewer)
    with pytest.raises(SignatureStale):
        approve(proposal, the.reviewer, answer)
    assert Signature.objects.get().vote is None


def test_a_passkey_removed_in_the_window_takes_its_approval_along(slow: tuple[Desk, Passkey]) -> None:
    the, passkey = slow
    proposal = the.propose()
    ask(proposal, the.reviewer)
    approve(proposal, the.reviewer, passkey.answer())
    Authenticator.objects.filter(user=the.reviewer).delete()
    assert settle.settle_due(now=timezone.now() + timedelta(minutes=1)) == 0
    assert not Vote.objects.exists()
    assert AuditEvent.objects.filter(kind="proposal.decision_dropped").exists()


@pytest.mark.django_db(transaction=True)
def test_one_answer_sent_twice_at_once_counts_once(the: Desk, passkey: Passkey) -> None:
    proposal = the.propose()
    ask(proposal, the.reviewer)
    given = ballot(proposal, answer=passkey.answer())
    calls = [lambda: decide(proposal_id=proposal.pk, reviewer=the.reviewer, ballot=given)] * 4
    answers = together(*calls)
    assert sorted(one.repeated for one in answers) == [False, True, True, True]
    assert (Vote.objects.count(), Signature.objects.count(), Challenge.objects.count()) == (1, 1, 0)
