"""Deciding over HTTP as a browser without JavaScript does: forms as the pages give them, redirects, refusals."""

import re
from html import unescape

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from agents.autonomy import Tier
from approvals.models import Claim, Decision, Proposal, Verdict, Vote
from approvals.services.amend import revise
from tests.factories import desk, policy, queue, reviewer

pytestmark = pytest.mark.django_db(transaction=True)


def signed_in(user: object, *, csrf: bool = False) -> Client:
    client = Client(enforce_csrf_checks=csrf)
    client.force_login(user)  # type: ignore[arg-type]
    return client


def form_of(html: str, action: str) -> dict[str, str]:
    """The hidden and typed values of the page's form with this action."""
    form = re.search(rf'<form[^>]*action="[^"]*{action}"(.*?)</form>', html, re.DOTALL)
    assert form is not None, f"no form {action}"
    fields = re.findall(r"<input\b[^>]*>", form[1])
    found = {}
    for field in fields:
        name = re.search(r'name="([^"]+)"', field)
        value = re.search(r'value="([^"]*)"', field)
        if name:
            found[name[1]] = unescape(value[1]) if value else "on" if 'type="checkbox"' in field else ""
    return found


def seen(proposal: Proposal) -> dict[str, int | str]:
    return {"revision": proposal.revision, "version": proposal.version, "seen": "on"}


def test_the_main_path_works_with_plain_forms_and_csrf() -> None:
    the = desk()
    proposal = the.propose(summary="Lamp broken")
    client = signed_in(the.reviewer, csrf=True)
    html = client.get("/queues/").content.decode()
    opened = client.post("/next/", form_of(html, "/next/"), follow=True)
    page = opened.content.decode()
    assert f"/proposals/{proposal.pk}/" in opened.redirect_chain[0][0]
    assert 'Refund <b class="fill">42.50 EUR</b> for order' in page and "Lamp broken" in page
    done = client.post(f"/proposals/{proposal.pk}/approve/", form_of(page, "/approve/"), follow=True)
    assert "Approved" in done.content.decode()
    assert Decision.objects.get(proposal=proposal).verdict == Verdict.APPROVE


def test_without_a_csrf_token_nothing_is_decided() -> None:
    the = desk()
    proposal = the.propose()
    response = signed_in(the.reviewer, csrf=True).post(f"/proposals/{proposal.pk}/approve/", seen(proposal))
    assert response.status_code == 403
    assert not Decision.objects.exists()


def test_reject_asks_for_a_reason_and_keeps_the_words() -> None:
    the = desk()
    proposal = the.propose()
    client = signed_in(the.reviewer)
    address = f"/proposals/{proposal.pk}/reject/"
    refused = client.post(address, {**seen(proposal), "comment": "I wrote a lot"})
    assert refused.status_code == 422
    assert "Choose a reason." in refused.content.decode() and "I wrote a lot" in refused.content.decode()
    done = client.post(
        address, {**seen(proposal), "reason": "wrong_amount", "comment": "24 was meant"}, follow=True
    )
    assert "Rejected" in done.content.decode()
    assert "Wrong amount" in done.content.decode() and "24 was meant" in done.content.decode()


def test_return_asks_the_agent_and_its_answer_is_shown_as_a_difference() -> None:
    the = desk()
    proposal = the.propose()
    client = signed_in(the.reviewer)
    empty = client.post(f"/proposals/{proposal.pk}/return/", {**seen(proposal), "comment": " "})
    assert empty.status_code == 422
    client.post(f"/proposals/{proposal.pk}/return/", {**seen(proposal), "comment": "Which order?"})
    revise(
        proposal_id=proposal.pk,
        agent=the.agent,
        arguments={"order_id": "A-7", "amount": 42.5},
        reply="This one",
    )
    html = client.get(f"/proposals/{proposal.pk}/").content.decode()
    assert "<del>A-1001</del>" in html and "<ins>A-7</ins>" in html
    assert "Which order?" in html and "This one" in html
    assert "revised by the agent" in html


def test_edit_makes_a_revision_and_approves_it() -> None:
    the = desk()
    proposal = the.propose()
    client = signed_in(the.reviewer)
    address = f"/proposals/{proposal.pk}/edit/"
    html = client.get(address).content.decode()
    form = form_of(html.replace('id="edit"', 'action="edit"'), "edit")
    data = {**form, "v:/amount": "40", "v:/reason": '"late"'}
    done = client.post(address, data, follow=True)
    assert "Approved with edits" in done.content.decode()
    now = Proposal.objects.get(pk=proposal.pk)
    assert now.current_revision.arguments == {"order_id": "A-1001", "amount": 40, "reason": "late"}


def test_edit_that_moves_the_proposal_out_of_sight_leads_to_the_queues() -> None:
    the = desk()
    other = queue()
    policy([{"name": "large", "when": "amount > 100", "review": {"queue": other.slug}}], the.queue)
    proposal = the.propose()
    client = signed_in(the.reviewer)
    data = {**seen(proposal), "v:/order_id": "A-1001", "v:/amount": "500", "v:/reason": '"damaged"'}
    done = client.post(f"/proposals/{proposal.pk}/edit/", data, follow=True)
    assert (done.status_code, done.redirect_chain) == (200, [("/queues/", 302)])
    moved = Proposal.objects.get(pk=proposal.pk)
    assert (moved.queue, moved.state, moved.revision) == (other, "pending", 2)


def test_edit_with_a_fault_keeps_what_was_typed_and_says_where() -> None:
    the = desk()
    proposal = the.propose()
    data = {
        **seen(proposal),
        "v:/order_id": "A-1001",
        "v:/amount": "-5",
        "v:/reason": '"damaged"',
        "comment": "why",
    }
    response = signed_in(the.reviewer).post(f"/proposals/{proposal.pk}/edit/", data)
    html = response.content.decode()
    assert response.status_code == 422
    assert 'value="-5"' in html and "Not saved yet" in html and ">why</textarea>" in html
    assert Proposal.objects.get(pk=proposal.pk).revision == 1


def test_a_decision_from_a_stale_page_is_refused_and_told_what_changed() -> None:
    """A23: the agent revised after the page was opened."""
    the = desk()
    proposal = the.propose()
    the.decide(proposal, Verdict.RETURN)
    revise(proposal_id=proposal.pk, agent=the.agent, arguments={"order_id": "A-1", "amount": 999}, reply="")
    client = signed_in(the.reviewer)
    for headers in ({}, {"HX-Request": "true", "HX-Boosted": "true"}):
        response = client.post(f"/proposals/{proposal.pk}/approve/", seen(proposal), headers=headers)
        html = response.content.decode()
        assert response.status_code == 409
        assert "<del>42.5</del>" in html and "<ins>999</ins>" in html
        assert f"/proposals/{proposal.pk}/?since=1" in html
    assert Decision.objects.filter(verdict=Verdict.APPROVE).count() == 0
    fresh = client.get(f"/proposals/{proposal.pk}/?since=1").content.decode()
    assert "Changed since you looked" in fresh


def test_a_double_click_is_one_decision() -> None:
    """A24."""
    the = desk()
    proposal = the.propose()
    client = signed_in(the.reviewer)
    answers = [client.post(f"/proposals/{proposal.pk}/approve/", seen(proposal)) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [302, 302]
    assert (Vote.objects.count(), Decision.objects.count()) == (1, 1)


def test_the_owner_of_the_agent_sees_it_and_may_not_decide() -> None:
    """A26, over HTTP."""
    the = desk()
    proposal = the.propose()
    client = signed_in(the.agent.owner)
    html = client.get(f"/proposals/{proposal.pk}/").content.decode()
    assert "You are not a reviewer of this queue." in html
    assert 'data-key="a"' not in html
    for verb in ("approve", "reject", "return", "claim"):
        data = {**seen(proposal), "reason": "not_allowed", "comment": "?"}
        response = client.post(f"/proposals/{proposal.pk}/{verb}/", data)
        assert response.status_code == 403, verb
    assert not Vote.objects.exists() and not Claim.objects.exists()


def test_strangers_find_nothing() -> None:
    the = desk()
    proposal = the.propose()
    client = signed_in(reviewer(queue()))
    assert client.get(f"/proposals/{proposal.pk}/").status_code == 404
    assert client.get(f"/proposals/{proposal.pk}/edit/").status_code == 404
    assert client.post(f"/proposals/{proposal.pk}/approve/", seen(proposal)).status_code == 404
    assert Client().get(f"/proposals/{proposal.pk}/")["Location"].startswith("/account/login/")


def test_a_colleagues_claim_is_shown_and_respected() -> None:
    the = desk()
    proposal = the.propose()
    first, second = signed_in(the.reviewer), signed_in(the.second)
    assert first.post(f"/proposals/{proposal.pk}/claim/").status_code == 302
    html = second.get(f"/proposals/{proposal.pk}/").content.decode()
    assert "Rita Reviewer holds it" in html and 'data-key="a"' not in html
    assert second.post(f"/proposals/{proposal.pk}/approve/", seen(proposal)).status_code == 409
    assert first.post(f"/proposals/{proposal.pk}/renew/").status_code == 200
    assert first.post(f"/proposals/{proposal.pk}/release/")["Location"] == f"/queues/{the.queue.slug}/"
    assert Claim.objects.filter(ended_at=None).count() == 0


def test_pulse_of_a_proposal_is_silent_until_it_changes() -> None:
    the = desk()
    proposal = the.propose()
    client = signed_in(the.reviewer)
    address = f"/proposals/{proposal.pk}/pulse/?version={proposal.version}&holder="
    assert client.get(address).status_code == 204
    the.decide(proposal, Verdict.REJECT, by=the.second)
    assert "rejected" in client.get(address).content.decode()


def test_veto_stops_what_would_run_by_itself() -> None:
    the = desk(tier=Tier.ON_THE_LOOP)
    proposal = the.propose()
    client = signed_in(the.reviewer)
    html = client.get(f"/proposals/{proposal.pk}/").content.decode()
    assert "Veto it" in html
    client.post(f"/proposals/{proposal.pk}/veto/", {**form_of(html, "/veto/"), "reason": "not_allowed"})
    assert Proposal.objects.get(pk=proposal.pk).state == "rejected"


def test_a_second_vote_is_asked_for_and_counted() -> None:
    the = desk()
    the.queue.quorum = 2
    the.queue.save()
    proposal = the.propose()
    first = signed_in(the.reviewer).post(f"/proposals/{proposal.pk}/approve/", seen(proposal), follow=True)
    assert "a colleague has to look as well" in first.content.decode()
    now = Proposal.objects.get(pk=proposal.pk)
    second = signed_in(the.second).post(f"/proposals/{proposal.pk}/approve/", seen(now), follow=True)
    assert "Signed: approved." in second.content.decode()


def test_page_takes_the_same_number_of_queries_whatever_its_history() -> None:
    the = desk()
    short, long = the.propose(), the.propose()
    for proposal, amount in ((short, 1), (long, 1), (long, 2), (long, 3)):
        the.decide(proposal, Verdict.RETURN)
        revise(
            proposal_id=proposal.pk, agent=the.agent, arguments={"order_id": "A", "amount": amount}, reply="x"
        )
    client = signed_in(reviewer(the.queue))
    counts = []
    for proposal in (short, long):
        client.get(f"/proposals/{proposal.pk}/")
        with CaptureQueriesContext(connection) as queries:
            client.get(f"/proposals/{proposal.pk}/")
        counts.append(len(queries))
    assert counts[0] == counts[1]
    assert counts[0] <= 50


def test_a_decided_proposal_stays_readable_and_offers_no_verdict() -> None:
    the = desk()
    done = the.approved()
    html = signed_in(the.second).get(f"/proposals/{done.pk}/").content.decode()
    assert "Approved" in html and 'data-key="a"' not in html
