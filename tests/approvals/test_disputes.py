"""Disputes over HTTP: who raises one, what counts meanwhile, what settles it."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone
from guardian.shortcuts import assign_perm

from accounts.models import User, assign_role
from accounts.roles import Role
from agents.models import Evidence
from approvals import judging
from approvals.models import BlindReview, Dispute, Notification, Proposal, Verdict
from approvals.services import dispute as disputing
from audit.models import AuditEvent
from tests.factories import Desk, desk, person, reviewer

pytestmark = pytest.mark.django_db(transaction=True)
HOSTILE = '<img src=x onerror="alert(1)">\u202egnihtemos'


@pytest.fixture(autouse=True)
def no_hints() -> None:
    cache.clear()


def signed_in(user: User, *, csrf: bool = False) -> Client:
    client = Client(enforce_csrf_checks=csrf)
    client.force_login(user)
    return client


def judged(the: Desk, verdict: Verdict = Verdict.REJECT) -> tuple[Proposal, Evidence]:
    proposal = the.decide(the.propose(), verdict).proposal
    return proposal, Evidence.judgements().get(proposal_id=proposal.pk)


def raise_it(user: User, row: Evidence, **data: Any) -> Any:
    sent = {"evidence": row.pk, "claim": "right", "text": "The order was refundable", **data}
    return signed_in(user).post(f"/proposals/{row.proposal_id}/dispute/", sent)


def counting(row: Evidence) -> str:
    """The loss that counts now."""
    latest = Evidence.objects.filter(corrects=row).order_by("-pk").first() or row
    return str(latest.loss)


def test_the_owner_disputes_and_a_third_person_settles() -> None:
    the = desk()
    _, row = judged(the)
    owner = the.agent.owner
    page = f"/proposals/{row.proposal_id}/"
    assert "Dispute it" in signed_in(owner).get(page).content.decode()
    assert raise_it(owner, row).status_code == 302
    raised = Dispute.objects.get()
    assert raised.review is not None and raised.review.kind == "dispute" and raised.review.probability == 1.0
    html = signed_in(owner).get(page).content.decode()
    assert "In dispute" in html and "The order was refundable" in html and "Dispute it" not in html
    assert counting(row) == "1.00", "the higher loss counts meanwhile"
    assert raised.proposal.title in signed_in(owner).get("/disputes/").content.decode()
    assert Notification.objects.get(recipient=the.reviewer, kind="dispute").proposal_id == row.proposal_id
    answer = signed_in(the.second).post(f"/reviews/{raised.review.pk}/judge/", {"judgement": "cosmetic"})
    assert answer.status_code == 302
    assert counting(row) == "0.10"
    html = signed_in(owner).get(page).content.decode()
    assert "Settled: Right, with a cosmetic fault" in html
    assert raise_it(owner, row, text="Once more").status_code == 409
    kinds = list(AuditEvent.objects.filter(kind__startswith="dispute.").values_list("kind", flat=True))
    assert kinds == ["dispute.raised", "dispute.settled"]


def test_a_claim_of_more_counts_at_once_and_the_third_person_s_word_afterwards() -> None:
    the = desk()
    _, row = judged(the, Verdict.APPROVE)
    assert counting(row) == "0.00"
    assert raise_it(the.second, row, claim="wrong", text="Paid already").status_code == 302
    assert counting(row) == "1.00"
    fourth = reviewer(the.queue)
    review = BlindReview.objects.get()
    assert signed_in(the.second).get(f"/reviews/{review.pk}/").status_code == 404
    signed_in(fourth).post(f"/reviews/{review.pk}/judge/", {"judgement": "minor"})
    assert counting(row) == "0.25"


def test_who_may_dispute() -> None:
    the = desk()
    _, row = judged(the)
    manager, auditor = person(), person()
    assign_perm("agents.manage_agent", manager, the.agent)
    assign_role(Role.AUDITOR, to=auditor)
    page = f"/proposals/{row.proposal_id}/"
    assert "Dispute it" not in signed_in(auditor).get(page).content.decode()
    assert raise_it(auditor, row).status_code == 403
    assert raise_it(person(), row).status_code == 404
    assert raise_it(reviewer(), row).status_code == 404
    assert not Dispute.objects.exists() and AuditEvent.objects.filter(kind="access.refused").exists()
    assert raise_it(manager, row).status_code == 302
    assert Dispute.objects.get().raised_by == manager


def test_a_get_or_a_post_without_a_token_raises_nothing() -> None:
    the = desk()
    _, row = judged(the)
    address = f"/proposals/{row.proposal_id}/dispute/"
    data = {"evidence": row.pk, "claim": "right", "text": "x"}
    assert signed_in(the.agent.owner).get(address).status_code == 302
    assert signed_in(the.agent.owner, csrf=True).post(address, data).status_code == 403
    assert Client().post(address, data).headers["Location"].startswith("/account/login/")
    assert not Dispute.objects.exists()


def test_a_double_click_is_one_and_a_second_person_is_told_of_the_first() -> None:
    the = desk()
    _, row = judged(the)
    assert raise_it(the.agent.owner, row).status_code == 302
    assert raise_it(the.agent.owner, row).status_code == 302
    refused = raise_it(the.second, row)
    assert refused.status_code == 409 and "disputes it already" in refused.content.decode()
    assert Dispute.objects.count() == BlindReview.objects.count() == 1


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"claim": ""}, "Say what it should have been."),
        ({"claim": "perfect"}, "Select a valid choice"),
        ({"text": "  "}, "Say why."),
        ({"text": "x" * 4001}, "at most 4000"),
        ({"text": "a\x00"}, "Null characters"),
    ],
)
def test_what_is_missing_comes_back_in_the_page(data: dict[str, str], words: str) -> None:
    the = desk()
    _, row = judged(the)
    answer = raise_it(the.agent.owner, row, **data)
    assert answer.status_code == 422 and words in answer.content.decode()
    assert not Dispute.objects.exists()


def test_after_fourteen_days_it_stands() -> None:
    the = desk()
    _, row = judged(the)
    Evidence.objects.filter(pk=row.pk).update(judged_at=timezone.now() - timedelta(days=14, minutes=1))
    page = f"/proposals/{row.proposal_id}/"
    assert "Dispute it" not in signed_in(the.agent.owner).get(page).content.decode()
    assert raise_it(the.agent.owner, row).status_code == 409


def test_another_proposal_s_judgement_is_not_to_be_had_through_one_s_own() -> None:
    """The judgement names its proposal; the address is believed for the page alone."""
    mine = desk()
    proposal, _ = judged(mine)
    _, row = judged(desk())
    answer = signed_in(mine.agent.owner).post(
        f"/proposals/{proposal.pk}/dispute/", {"evidence": row.pk, "claim": "right", "text": "x"}
    )
    assert answer.status_code == 404
    assert not Dispute.objects.exists()
    missing = {"evidence": 10**9, "claim": "right", "text": "x"}
    address = f"/proposals/{proposal.pk}/dispute/"
    assert signed_in(mine.agent.owner).post(address, missing).status_code == 404


def test_the_list_is_for_the_agent_s_people_and_its_words_stay_words() -> None:
    the = desk()
    _, row = judged(the)
    raise_it(the.agent.owner, row, text=HOSTILE)
    html = signed_in(the.agent.owner).get("/disputes/").content.decode()
    assert "<img src=x" not in html and "&lt;img" in html and "U+202E" in html
    title = Proposal.objects.get().title
    for user in (the.reviewer, the.second, person()):
        assert title not in signed_in(user).get("/disputes/").content.decode(), (
            "one of them settles it blindly"
        )


def test_dispute_review_and_evidence_are_one_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    the = desk()
    _, row = judged(the, Verdict.APPROVE)

    def killed(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(judging, "disputed", killed)
    with pytest.raises(KeyboardInterrupt):
        disputing.dispute(evidence_id=row.pk, actor=the.second, claim="wrong", text="x")
    assert not Dispute.objects.exists() and not BlindReview.objects.filter(kind="dispute").exists()


def test_admins_hear_when_nobody_is_left_to_settle_it() -> None:
    the = desk()
    _, row = judged(the)
    the.second.is_active = False
    the.second.save()
    raise_it(the.agent.owner, row)
    told = Notification.objects.get(key__startswith="dispute_stuck:")
    assert told.recipient.is_superuser and "is left who could settle" in told.text
