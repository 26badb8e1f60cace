"""Skip, assign, escalate, comment, claims and the undo bar over HTTP: plain forms, refusals, repeats."""

import re
from typing import Any

import pytest
from django.test import Client

from accounts.models import User, assign_role
from accounts.roles import Role
from approvals.models import Claim, Comment, HeldBallot, Proposal, Skip, Verdict
from approvals.services import set_up
from approvals.services.claim import claim
from approvals.services.set_up import QueueDefinition
from audit.models import AuditEvent
from tests.factories import REASONS, Desk, admin, desk, person, queue, reviewer

pytestmark = pytest.mark.django_db(transaction=True)
ACTIONS = ("skip", "assign", "escalate", "comment")


def signed_in(user: User, *, csrf: bool = False) -> Client:
    client = Client(enforce_csrf_checks=csrf)
    client.force_login(user)
    return client


def settings_of(the: Desk, **changed: Any) -> None:
    kept = {"name": the.queue.name, "domain": the.queue.domain, "reason_codes": REASONS}
    definition = QueueDefinition(slug=the.queue.slug, **{**kept, **changed})
    set_up.save_queue(definition=definition, actor=admin())


def filled(the: Desk, proposal: Proposal) -> dict[str, dict[str, Any]]:
    """What each form sends."""
    return {
        "skip": {},
        "assign": {"to": the.second.pk},
        "escalate": {"version": proposal.version, "note": "Beyond me"},
        "comment": {"text": "Look at the account"},
    }


def traces(proposal: Proposal) -> tuple[Any, ...]:
    """Whatever one of the actions would leave behind."""
    now = Proposal.objects.get(pk=proposal.pk)
    kinds = AuditEvent.objects.filter(object_id=str(proposal.pk)).values_list("kind", flat=True)
    return (now.assigned_to_id, now.queue_id, Skip.objects.count(), Comment.objects.count(), list(kinds))


@pytest.mark.parametrize("action", ACTIONS)
def test_nobody_acts_by_a_get_without_a_token_or_without_signing_in(action: str) -> None:
    the = desk()
    proposal = the.propose()
    before = traces(proposal)
    address, data = f"/proposals/{proposal.pk}/{action}/", filled(the, proposal)[action]
    assert signed_in(the.reviewer).get(address).status_code == 302
    assert signed_in(the.reviewer, csrf=True).post(address, data).status_code == 403
    assert Client().post(address, data).headers["Location"].startswith("/account/login/")
    assert traces(proposal) == before


@pytest.mark.parametrize("action", ["skip", "assign", "escalate"])
def test_who_may_not_decide_is_refused_and_that_is_recorded(action: str) -> None:
    the = desk()
    settings_of(the, escalation=[{"after": 60, "queue": queue().slug}])
    proposal = the.propose()
    before = traces(proposal)
    answer = signed_in(the.agent.owner).post(
        f"/proposals/{proposal.pk}/{action}/", filled(the, proposal)[action]
    )
    assert answer.status_code == 403
    assert traces(proposal) == before
    assert AuditEvent.objects.filter(kind="access.refused").count() == 1


@pytest.mark.parametrize("action", ACTIONS)
def test_for_a_stranger_the_proposal_does_not_exist(action: str) -> None:
    the = desk()
    proposal = the.propose()
    before = traces(proposal)
    answer = signed_in(person()).post(f"/proposals/{proposal.pk}/{action}/", filled(the, proposal)[action])
    assert answer.status_code in (403, 404)
    assert traces(proposal) == before


def test_an_auditor_reads_the_thread_and_writes_nothing() -> None:
    the = desk()
    proposal = the.propose()
    signed_in(the.reviewer).post(f"/proposals/{proposal.pk}/comment/", {"text": "Look at <b>this</b>"})
    auditor = person()
    assign_role(Role.AUDITOR, to=auditor)
    client = signed_in(auditor)
    html = client.get(f"/proposals/{proposal.pk}/").content.decode()
    assert "Look at &lt;b&gt;this&lt;/b&gt;" in html and f"/proposals/{proposal.pk}/comment/" not in html
    assert client.post(f"/proposals/{proposal.pk}/comment/", {"text": "me too"}).status_code == 403
    assert Comment.objects.count() == 1


def test_skip_leads_to_the_next_and_to_the_queue_when_there_is_none() -> None:
    the = desk()
    first, second = the.propose(priority="urgent"), the.propose()
    client = signed_in(the.reviewer)
    assert client.post(f"/proposals/{first.pk}/skip/").headers["Location"] == f"/proposals/{second.pk}/"
    signed_in(the.second).post(f"/proposals/{first.pk}/claim/")
    last = client.post(f"/proposals/{second.pk}/skip/", follow=True)
    assert Skip.objects.filter(reviewer=the.reviewer).count() == 2
    assert last.redirect_chain[-1][0] in (f"/queues/{the.queue.slug}/", f"/proposals/{second.pk}/")


def test_an_unknown_colleague_is_refused_in_the_form_itself() -> None:
    the = desk()
    proposal = the.propose()
    answer = signed_in(the.reviewer).post(
        f"/proposals/{proposal.pk}/assign/", {"to": str(the.agent.owner.pk)}
    )
    assert answer.status_code == 422
    assert "Select a valid choice" in answer.content.decode()
    assert Proposal.objects.get().assigned_to is None


def test_an_assignment_can_be_taken_back_in_the_page() -> None:
    the = desk()
    proposal = the.propose()
    client = signed_in(the.reviewer)
    client.post(f"/proposals/{proposal.pk}/assign/", {"to": str(the.second.pk)})
    assert (
        "Nobody in particular (now Ravi Reviewer)"
        in client.get(f"/proposals/{proposal.pk}/").content.decode()
    )
    client.post(f"/proposals/{proposal.pk}/assign/", {"to": "nobody"})
    assert Proposal.objects.get().assigned_to is None


def test_escalating_is_offered_only_up_a_chain_and_once_for_a_double_click() -> None:
    the = desk()
    proposal = the.propose()
    client = signed_in(the.reviewer)
    address = f"/proposals/{proposal.pk}/escalate/"
    assert address not in client.get(f"/proposals/{proposal.pk}/").content.decode()
    above = queue()
    reviewer(above)
    settings_of(the, escalation=[{"after": 60, "queue": above.slug}])
    assert address in client.get(f"/proposals/{proposal.pk}/").content.decode()
    empty = client.post(address, {"version": proposal.version, "note": " "})
    assert empty.status_code == 422 and "Say why you escalate it." in empty.content.decode()
    data = {"version": proposal.version, "note": "Beyond me"}
    assert client.post(address, data).status_code == 302
    assert client.post(address, data).status_code == 302
    proposal.refresh_from_db()
    assert proposal.queue == above
    assert Comment.objects.get().text == "Beyond me"


def test_an_empty_comment_comes_back_with_what_was_chosen() -> None:
    the = desk()
    proposal = the.propose()
    answer = signed_in(the.reviewer).post(
        f"/proposals/{proposal.pk}/comment/", {"text": "", "mentions": [the.second.pk]}
    )
    assert answer.status_code == 422
    html = answer.content.decode()
    assert "Write something first." in html and "checked" in html
    assert not Comment.objects.exists()


def test_the_thread_is_sent_only_when_there_is_something_new() -> None:
    the = desk()
    proposal = the.propose()
    client = signed_in(the.reviewer)
    address = f"/proposals/{proposal.pk}/comments/"
    assert client.get(address + "?after=").status_code == 204
    client.post(f"/proposals/{proposal.pk}/comment/", {"text": "First"})
    answer = client.get(address + "?after=")
    assert "First" in answer.content.decode() and "New comment by Rita Reviewer" in answer.content.decode()
    assert client.get(f"{address}?after={Comment.objects.get().pk}").status_code == 204
    assert signed_in(person()).get(address).status_code == 404


def test_leaving_hands_back_silently_and_only_what_is_one_s_own() -> None:
    the = desk()
    proposal = the.propose()
    claim(proposal_id=proposal.pk, reviewer=the.reviewer)
    address = f"/proposals/{proposal.pk}/release/"
    assert signed_in(the.second).post(address, {"leaving": "1"}).status_code == 204
    assert Proposal.objects.get().claimed_by == the.reviewer
    client = signed_in(the.reviewer)
    assert client.post(address, {"leaving": "1"}).status_code == 204
    assert Proposal.objects.get().claimed_by is None
    assert "Handed back" not in client.get("/queues/").content.decode()


def test_the_page_s_own_claim_is_refused_to_whom_it_must_not_have() -> None:
    the = desk()
    proposal = the.propose()
    address = f"/proposals/{proposal.pk}/renew/"
    assert signed_in(the.agent.owner).post(address).status_code == 403
    assert "Yours" in signed_in(the.reviewer).post(address).content.decode()
    assert signed_in(the.second).post(address).status_code == 409
    assert Claim.objects.count() == 1


@pytest.mark.parametrize(("who", "asks"), [("reviewer", True), ("second", False), ("owner", False)])
def test_only_the_page_of_who_may_decide_asks_for_the_claim(who: str, asks: bool) -> None:
    the = desk()
    proposal = the.propose()
    if who == "second":
        claim(proposal_id=proposal.pk, reviewer=the.reviewer)
    user = {"reviewer": the.reviewer, "second": the.second, "owner": the.agent.owner}[who]
    html = signed_in(user).get(f"/proposals/{proposal.pk}/").content.decode()
    assert ('hx-trigger="load, countersign:back from:body"' in html) is asks


def test_a_page_is_not_told_of_its_own_claim_but_of_another_s_and_of_its_end() -> None:
    the = desk()
    proposal = the.propose()
    address = f"/proposals/{proposal.pk}/pulse/?version={proposal.version}&holder="
    mine, his = signed_in(the.reviewer), signed_in(the.second)
    claim(proposal_id=proposal.pk, reviewer=the.reviewer)
    assert mine.get(address).status_code == 204
    assert "holds it now" in his.get(address).content.decode()
    mine.post(f"/proposals/{proposal.pk}/release/", {"leaving": "1"})
    assert "Nobody holds it any more" in his.get(f"{address}{the.reviewer.pk}").content.decode()


def test_a_held_decision_is_undone_from_any_page_in_one_post() -> None:
    the = desk()
    settings_of(the, undo_seconds=60)
    proposal = the.propose()
    the.decide(proposal, Verdict.REJECT)
    client = signed_in(the.reviewer, csrf=True)
    html = client.get("/queues/").content.decode()
    assert f'action="/proposals/{proposal.pk}/undo/"' in html and "seconds, at " in html
    assert "counts counts--h0 counts--t" in html
    token = html.split('name="csrfmiddlewaretoken" value="')[1].split('"')[0]
    done = client.post(f"/proposals/{proposal.pk}/undo/", {"csrfmiddlewaretoken": token}, follow=True)
    assert "Taken back" in done.content.decode()
    assert not HeldBallot.objects.exists()
    assert "/undo/" not in client.get("/queues/").content.decode()


def test_a_colleague_sees_that_it_is_decided_and_cannot_undo_it() -> None:
    the = desk()
    settings_of(the, undo_seconds=60)
    proposal = the.propose()
    the.decide(proposal, Verdict.REJECT)
    client = signed_in(the.second)
    html = client.get(f"/proposals/{proposal.pk}/").content.decode()
    assert "Decided, not sent yet" in html and "/undo/" not in html and "/approve/" not in html
    assert client.post(f"/proposals/{proposal.pk}/undo/").status_code == 409
    assert HeldBallot.objects.count() == 1


def test_a_pacing_stop_says_why_and_how_long() -> None:
    the = desk()
    settings_of(the, view_seconds={"medium": 47})
    proposal = the.propose()
    client = signed_in(the.reviewer)
    html = client.get(f"/proposals/{proposal.pk}/").content.decode()
    opened = html.split('name="opened" value="')[1].split('"')[0]
    data = {"revision": 1, "version": proposal.version, "opened": opened, "seen": "on"}
    answer = client.post(f"/proposals/{proposal.pk}/approve/", data)
    page = answer.content.decode()
    assert answer.status_code == 409
    assert "asks for 47 seconds" in page and "notice--pace counts counts--h0 counts--t4" in page
    assert Proposal.objects.get().state == "pending"


def test_reasons_say_which_are_not_the_agent_s_fault() -> None:
    the = desk()
    settings_of(
        the, reason_codes=[*REASONS, {"code": "stale", "label": "Stale order data", "not_agents_fault": True}]
    )
    proposal = the.propose()
    html = signed_in(the.reviewer).get(f"/proposals/{proposal.pk}/").content.decode()
    assert html.count("Stale order data (not the agent’s fault)") == 2, (
        "rejecting and returning both offer it"
    )
    done = signed_in(the.reviewer).post(
        f"/proposals/{proposal.pk}/return/",
        {"revision": 1, "version": proposal.version, "reason": "stale", "comment": "Which order?"},
        follow=True,
    )
    assert "Stale order data" in done.content.decode()


def test_a_decision_leads_on_only_where_that_was_chosen() -> None:
    the = desk()
    first, second, third = the.propose(priority="urgent"), the.propose(), the.propose()
    client = signed_in(the.reviewer)

    def rejected(proposal: Proposal) -> str:
        data = {"revision": 1, "version": proposal.version, "reason": "not_allowed"}
        return client.post(f"/proposals/{proposal.pk}/reject/", data).headers["Location"]

    assert rejected(first) == f"/proposals/{first.pk}/"
    the.reviewer.preferences = {"advance": True}
    the.reviewer.save(update_fields=["preferences"])
    assert rejected(second) == f"/proposals/{third.pk}/"
    assert rejected(second) == f"/proposals/{second.pk}/", "a double click stays with what it was about"
    assert rejected(third) == f"/proposals/{third.pk}/"
    assert "Nothing else is waiting for you." in client.get(f"/proposals/{third.pk}/").content.decode()


def test_an_edit_leads_on_as_any_other_decision_does() -> None:
    the = desk()
    first, second = the.propose(priority="urgent"), the.propose()
    the.reviewer.preferences = {"advance": True}
    the.reviewer.save(update_fields=["preferences"])
    client = signed_in(the.reviewer)
    address = f"/proposals/{first.pk}/edit/"
    html = client.get(address).content.decode()
    form = dict(re.findall(r'<input[^>]*name="([^"]+)"[^>]*value="([^"]*)"', html))
    data = {**form, "v:/order_id": "A-1001", "v:/amount": "40", "v:/reason": '"late"'}
    assert client.post(address, data).headers["Location"] == f"/proposals/{second.pk}/"
