"""The monitor over HTTP: who sees what, what each may do, and what the pulse says. The browser is in tests/e2e."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import RoleAssignment, User
from agents.autonomy import Tier
from agents.models import AgentState
from agents.services import assign_owners
from approvals.models import Proposal, RollbackRequest, Verdict
from approvals.requests import Subject
from approvals.services import expire
from approvals.states import State
from approvals.templatetags.monitor import left
from tests.approvals.test_recall import auditor
from tests.approvals.test_rollback import pair, ran
from tests.factories import Desk, admin, desk, person, undoing
from tests.invariants.calls import AgentCalls

pytestmark = pytest.mark.django_db


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def body(response: Any, status: int = 200) -> str:
    assert response.status_code == status, response.content.decode()[:400]
    return str(response.content.decode())


def page(user: User) -> str:
    return body(signed_in(user).get("/monitor/"))


def listed(html: str) -> list[str]:
    return re.findall(r'<li class="line watch[^"]*" id="row-([0-9a-f-]+)"', html)


def part(html: str, element_id: str, until: str) -> str:
    return html.split(f'id="{element_id}"', 1)[1].split(until, 1)[0]


def ways(html: str, proposal: Proposal) -> list[str]:
    """What this page offers for a row, by the ends of its forms' addresses."""
    return re.findall(rf'action="/monitor/{proposal.pk}/([a-z]+)/"', html)


def marks(html: str) -> list[str]:
    return re.findall(r'name="shown" value="([^"]+)"', html)


def pulse(client: Client, html: str, **asked: str) -> Any:
    return client.get("/monitor/pulse/", {"shown": marks(html), "told": "0", **asked})


def act(
    client: Client, proposal: Proposal, way: str, *, row: bool = False, follow: bool = False, **data: Any
) -> Any:
    headers = {"HX-Request": "true", "HX-Target": f"row-{proposal.pk}"} if row else {}
    return client.post(f"/monitor/{proposal.pk}/{way}/", data, headers=headers, follow=follow)


def seen(proposal: Proposal) -> dict[str, Any]:
    now = Proposal.objects.get(pk=proposal.pk)
    return {"revision": now.revision, "version": now.version}


def state(proposal: Proposal) -> str:
    return str(Proposal.objects.get(pk=proposal.pk).state)


# — What is there


def test_scheduled_comes_soonest_first_and_what_ran_latest_first() -> None:
    slow, quick = desk(Tier.ON_THE_LOOP, veto_seconds=900), desk(Tier.ON_THE_LOOP, veto_seconds=60)
    late, soon = slow.propose(), quick.propose()
    out = desk(Tier.OUT_OF_THE_LOOP)
    first, second = out.propose(), out.propose()
    html = page(admin())
    scheduled, has_run = html.split('id="ran"')
    assert listed(scheduled) == [str(soon.pk), str(late.pk)]
    assert listed(has_run) == [str(second.pk), str(first.pk)]


def test_a_window_of_no_seconds_acts_at_once_and_is_shown_as_run() -> None:
    the = desk(Tier.ON_THE_LOOP, veto_seconds=0)
    answer = AgentCalls(the).propose()
    assert (answer.status, answer.body["status"], answer.body["tier"]) == (201, "approved", "on_the_loop")
    assert answer.body["grant"]["token"]
    html = page(the.reviewer)
    scheduled, has_run = html.split('id="ran"')
    assert listed(scheduled) == [] and listed(has_run) == [answer.body["id"]]
    assert "by its tier" in has_run
    done = AgentCalls(the).do(answer.body["id"], "redeem", digest=answer.body["digest"])
    assert done.body["status"] == "executing"
    assert "the agent acts" in page(the.reviewer)


def test_a_row_says_agent_action_title_amount_and_subject() -> None:
    the = desk(Tier.ON_THE_LOOP)
    the.propose(subject=Subject(type="customer", id="c-17"))
    html = page(the.reviewer)
    for words in (the.agent.name, "Refund an order", "Refund 42.5 for order A-1001", "42.50", "c-17"):
        assert words in html, words


def test_what_an_agent_wrote_is_inert() -> None:
    the = desk(Tier.ON_THE_LOOP)
    the.propose({"order_id": "<img src=x>", "amount": 1}, subject=Subject(type="<b>", id="a\u202eb"))
    html = page(the.reviewer)
    assert "<img" not in html and "<b>\u202e" not in html and "\u202e" not in html
    assert "&lt;img src=x&gt;" in html


def test_what_ran_long_ago_and_what_people_do_themselves_is_not_there() -> None:
    the, advisory = desk(Tier.OUT_OF_THE_LOOP), desk(Tier.ADVISORY)
    old, new = the.propose(), the.propose()
    Proposal.objects.filter(pk=old.pk).update(changed_at=timezone.now() - timedelta(minutes=61))
    advisory.approved()
    assert listed(page(admin())) == [str(new.pk)]


def test_each_sees_his_own() -> None:
    the = desk(Tier.ON_THE_LOOP)
    mine = str(the.propose().pk)
    theirs = str(desk(Tier.ON_THE_LOOP).propose().pk)
    manager = person("Max Manager")
    assign_owners.assign_manager(agent_id=the.agent.pk, to=manager, actor=the.agent.owner)
    for who in (the.reviewer, the.agent.owner, manager):
        assert listed(page(who)) == [mine], who
    for who in (admin(), auditor()):
        assert listed(page(who)) == [mine, theirs], who
    assert listed(page(person())) == []
    assert Client().get("/monitor/").status_code == 302


def test_each_is_offered_what_he_may_do() -> None:
    the = desk(Tier.ON_THE_LOOP)
    scheduled = the.propose()
    at_once = desk(Tier.OUT_OF_THE_LOOP)
    granted = at_once.propose()
    assert ways(page(the.reviewer), scheduled) == ["veto"]
    assert ways(page(the.agent.owner), scheduled) == ["pause"]
    assert ways(page(auditor()), scheduled) == []
    assert ways(page(admin()), scheduled) == ["pause"]
    assert ways(page(at_once.reviewer), granted) == ["recall"]
    assert ways(page(at_once.agent.owner), granted) == ["recall", "pause"]
    assert ways(page(auditor()), granted) == []


def test_rollback_is_offered_once_and_only_where_something_undoes_it() -> None:
    the, _, proposal = pair()
    without = desk(Tier.OUT_OF_THE_LOOP)
    assert ways(page(the.reviewer), proposal) == ["rollback"]
    assert ways(page(without.reviewer), ran(without)) == []
    client = signed_in(the.reviewer)
    assert act(client, proposal, "rollback", reason="wrong customer").status_code == 302
    html = page(the.reviewer)
    assert ways(html, proposal) == [] and "has not answered yet" in html


def test_the_number_of_queries_does_not_grow_with_the_rows() -> None:
    the, out = desk(Tier.ON_THE_LOOP), desk(Tier.OUT_OF_THE_LOOP)
    client = signed_in(admin())

    def cost() -> int:
        client.get("/monitor/")
        with CaptureQueriesContext(connection) as found:
            html = body(client.get("/monitor/"))
            assert pulse(client, html).status_code == 204
        return len(found)

    the.propose()
    out.propose()
    one = cost()
    undo_desk = undoing(out)
    done = ran(out)
    act(signed_in(out.reviewer), done, "rollback", reason="wrong")
    undo_desk.propose(parent_id=done.pk)
    for number in range(4):
        for desk_ in (the, out):
            desk_.propose({"order_id": f"A-{number}", "amount": 1})
    assert cost() == one


def test_rows_are_bounded_and_the_rest_is_counted() -> None:
    the = desk(Tier.ON_THE_LOOP)
    for number in range(63):
        the.propose({"order_id": f"A-{number}", "amount": 1})
    html = page(the.reviewer)
    assert len(listed(html)) == 60
    assert "3 more run later" in html


# — Veto


def test_a_veto_in_two_fields_and_the_row_answers() -> None:
    the = desk(Tier.ON_THE_LOOP)
    proposal = the.propose()
    client = signed_in(the.reviewer)
    html = body(act(client, proposal, "veto", row=True, reason="not_allowed", **seen(proposal)))
    assert html.strip().startswith("<li") and f'id="row-{proposal.pk}"' in html
    assert "<b>vetoed</b> by Rita Reviewer: Not allowed" in html and "data-announce" in html
    assert state(proposal) == State.REJECTED
    assert AgentCalls(the).read(proposal.pk).body["decision"]["verdict"] == "veto"


def test_without_javascript_it_leads_back_to_the_page_with_a_word() -> None:
    the = desk(Tier.ON_THE_LOOP)
    proposal = the.propose()
    client = signed_in(the.reviewer)
    html = body(act(client, proposal, "veto", follow=True, reason="not_allowed", **seen(proposal)))
    assert "Vetoed: “" in html and listed(html) == []


@pytest.mark.parametrize("row", [True, False])
def test_a_veto_without_a_reason_comes_back_open(row: bool) -> None:
    the = desk(Tier.ON_THE_LOOP)
    proposal = the.propose()
    client = signed_in(the.reviewer)
    html = body(act(client, proposal, "veto", row=row, reason="", comment="hm", **seen(proposal)), 422)
    assert "Choose a reason." in html and '<details class="stops" open' in html and 'value="hm"' in html
    assert state(proposal) == State.SCHEDULED


def test_a_queue_without_reason_codes_asks_for_words() -> None:
    the = desk(Tier.ON_THE_LOOP, at={"reason_codes": []})
    proposal = the.propose()
    client = signed_in(the.reviewer)
    assert act(client, proposal, "veto", row=True, **seen(proposal)).status_code == 422
    html = body(act(client, proposal, "veto", row=True, comment="wrong customer", **seen(proposal)))
    assert "vetoed" in html and state(proposal) == State.REJECTED


def overslept(the: Desk) -> Proposal:
    """The window has passed while somebody looked at it."""
    proposal = the.propose()
    expire.close_veto_windows(now=timezone.now() + timedelta(hours=1))
    return proposal


@pytest.mark.parametrize("address", ["/monitor/{}/veto/", "/proposals/{}/veto/"])
def test_a_veto_too_late_says_so_and_offers_the_recall(address: str) -> None:
    the = desk(Tier.ON_THE_LOOP)
    looked = seen(the.propose())
    proposal = overslept(the)
    client = signed_in(the.reviewer)
    html = body(client.post(address.format(proposal.pk), {"reason": "not_allowed", **looked}), 409)
    assert "Your decision was not recorded: the proposal is approved by now." in html
    assert "too late for a veto" in html
    assert ways(part(html, "refusal", "To the first page"), proposal) == ["recall"]
    html = body(act(client, proposal, "recall", follow=True, reason="too late to veto"))
    assert "Recalled: “" in html and state(proposal) == State.REVOKED


def test_a_veto_after_it_has_run_offers_the_rollback() -> None:
    the = desk(Tier.ON_THE_LOOP)
    undoing(the)
    looked = seen(the.propose())
    proposal = overslept(the)
    agent = AgentCalls(the)
    agent.do(proposal.pk, "redeem", digest=proposal.digest)
    client = signed_in(the.reviewer)
    html = body(act(client, proposal, "veto", reason="not_allowed", **looked), 409)
    assert "It runs already" in html and ways(part(html, "refusal", "To the first page"), proposal) == []
    agent.do(proposal.pk, "outcome", status="succeeded")
    html = body(act(client, proposal, "recall", reason="stop it"), 409)
    assert ways(part(html, "refusal", "To the first page"), proposal) == ["rollback"]
    act(client, proposal, "rollback", reason="wrong customer")
    assert RollbackRequest.objects.get().proposal_id == proposal.pk


def test_who_may_not_veto_is_refused() -> None:
    the = desk(Tier.ON_THE_LOOP)
    proposal = the.propose()
    for who, status in ((the.agent.owner, 403), (person(), 404), (auditor(), 403)):
        answer = act(signed_in(who), proposal, "veto", reason="not_allowed", **seen(proposal))
        assert answer.status_code == status, who
    assert state(proposal) == State.SCHEDULED


def test_a_get_of_a_way_changes_nothing() -> None:
    the = desk(Tier.ON_THE_LOOP)
    proposal = the.propose()
    client = signed_in(the.reviewer)
    for way in ("veto", "recall", "rollback", "pause"):
        assert client.get(f"/monitor/{proposal.pk}/{way}/").status_code == 302
    assert state(proposal) == State.SCHEDULED


# — Pause


def test_pausing_ends_what_was_scheduled_and_names_the_way_back() -> None:
    the = desk(Tier.ON_THE_LOOP)
    proposal, other = the.propose(), the.propose()
    client = signed_in(the.agent.owner)
    html = body(act(client, proposal, "pause", row=True, reason="it doubles everything"))
    assert "ended because the agent was stopped" in html
    assert ways(html, proposal) == []
    the.agent.refresh_from_db()
    assert (the.agent.state, the.agent.state_reason) == (AgentState.SUSPENDED, "it doubles everything")
    assert (state(proposal), state(other)) == (State.REJECTED, State.REJECTED)
    assert AgentCalls(the).propose().body["status"] == "denied"


def test_only_who_manages_it_pauses_and_never_without_a_reason() -> None:
    the = desk(Tier.ON_THE_LOOP)
    proposal = the.propose()
    assert act(signed_in(the.reviewer), proposal, "pause", reason="odd").status_code == 403
    html = body(act(signed_in(the.agent.owner), proposal, "pause", row=True, reason=" "), 422)
    assert "Say why in a few words." in html
    the.agent.refresh_from_db()
    assert the.agent.state == AgentState.LIVE


# — The pulse


def test_the_pulse_is_silent_while_nothing_differs() -> None:
    the = desk(Tier.ON_THE_LOOP)
    the.propose()
    client = signed_in(the.reviewer)
    html = body(client.get("/monitor/"))
    answer = pulse(client, html)
    assert answer.status_code == 204
    assert abs(int(answer["Countersign-Now"]) / 1000 - timezone.now().timestamp()) < 5


def test_a_row_that_ends_keeps_its_place_and_says_why() -> None:
    the = desk(Tier.ON_THE_LOOP)
    vetoed, ended, stays = (the.propose({"order_id": f"A-{n}", "amount": 1}) for n in range(3))
    client = signed_in(the.reviewer)
    html = body(client.get("/monitor/"))
    the.decide(vetoed, Verdict.VETO, by=the.second)
    AgentCalls(the).do(ended.pk, "withdraw", reason="")
    told = body(pulse(client, html))
    assert "<b>vetoed</b> by Ravi Reviewer" in part(told, f"now-{vetoed.pk}", "</div>")
    assert "the agent withdrew it" in part(told, f"now-{ended.pk}", "</div>")
    assert str(stays.pk) not in told and listed(told) == []
    assert told.count("hx-swap-oob") == 5
    assert pulse(client, html, told=re.search(r'name="told" value="(\w+)"', told)[1]).status_code == 204  # type: ignore[index]


def test_new_rows_go_to_the_end_and_what_ran_waits_until_nobody_points_there() -> None:
    the, out = desk(Tier.ON_THE_LOOP), desk(Tier.OUT_OF_THE_LOOP)
    the.propose()
    client = signed_in(admin())
    html = body(client.get("/monitor/"))
    fresh, done = the.propose({"order_id": "A-9", "amount": 1}), out.propose()
    told = body(pulse(client, html))
    assert 'hx-swap-oob="beforeend:#scheduled"' in told and listed(told) == [str(fresh.pk)]
    assert "1 more has run" in told and "1 new scheduled: Refund" in told
    told = body(pulse(client, html, free="1"))
    assert 'hx-swap-oob="afterbegin:#ran"' in told
    assert listed(told) == [str(fresh.pk), str(done.pk)]


def test_what_one_may_no_longer_see_says_only_that() -> None:
    the = desk(Tier.ON_THE_LOOP)
    proposal = the.propose()
    client = signed_in(the.reviewer)
    html = body(client.get("/monitor/"))
    RoleAssignment.objects.filter(person=the.reviewer).delete()
    told = body(pulse(client, html))
    assert "not for you to see any more" in told and proposal.title not in told
    assert pulse(client, told).status_code == 204


@pytest.mark.parametrize("shown", ["", "x", "~", "0~1", "a" * 5000])
def test_any_mark_is_taken(shown: str) -> None:
    the = desk(Tier.ON_THE_LOOP)
    answer = signed_in(the.reviewer).get("/monitor/pulse/", {"shown": [shown], "told": "0"})
    assert answer.status_code == 204


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-3, "0:00"), (0, "0:00"), (9.9, "0:09"), (245, "4:05"), (3845, "1:04:05"), (190_000, "2 d 4 h")],
)
def test_the_time_left(seconds: float, words: str) -> None:
    assert left(seconds) == words


# — The proposal's own page


def test_the_page_of_a_proposal_offers_the_same_and_shows_what_came_of_it() -> None:
    the, undo_desk, proposal = pair()
    client = signed_in(the.reviewer)
    html = body(client.get(f"/proposals/{proposal.pk}/"))
    assert ways(html, proposal) == ["rollback"]
    html = body(act(client, proposal, "rollback", follow=True, on="page", reason="wrong customer"))
    assert "is asked to undo" in html and "has not answered yet" in html
    answer = AgentCalls(undo_desk).propose(parent_id=str(proposal.pk))
    html = body(client.get(f"/proposals/{proposal.pk}/"))
    assert f"/proposals/{answer.body['id']}/" in html and "is <b>pending</b>" in html
    granted = desk(Tier.OUT_OF_THE_LOOP)
    waiting = granted.propose()
    html = body(signed_in(granted.reviewer).get(f"/proposals/{waiting.pk}/"))
    assert ways(html, waiting) == ["recall"]
