"""HumanLayer's function calls over HTTP, sent as its last client with an API sends them (humanlayer 0.7.9)."""

import json
from typing import Any

import pytest

from agents.autonomy import Tier
from approvals.models import Proposal
from approvals.states import State
from tests.api.importing import ROOT, ask, decide, function_call, poll
from tests.factories import ARGUMENTS, Desk, desk
from tests.invariants.calls import AgentCalls, call

pytestmark = pytest.mark.django_db
LAYER = f"{ROOT}/humanlayer"


@pytest.fixture
def the() -> Desk:
    return desk()


def asked(the: Desk, call_id: str = "call-1", **spec: Any) -> str:
    taken = ask(the, function_call(the, call_id, **spec))
    assert taken.status == 201, taken.body
    assert taken.body["status"]["approved"] is None
    return str(taken.body["countersign"]["proposal"]["id"])


def test_approved_redeemed_and_done(the: Desk) -> None:
    state, channel = {"turn": 3}, {"slack": {"channel_or_user_id": "C123456"}, "sms": None}
    proposal_id = asked(the, state=state, channel=channel)
    stored = Proposal.objects.get(pk=proposal_id)
    assert (stored.trace_id, stored.state) == ("refund-desk-1", State.PENDING)
    decide(the.reviewer, proposal_id, "approve")
    found = poll(the).body
    spec = found["spec"]
    assert (found["run_id"], found["call_id"]) == ("refund-desk-1", "call-1")
    assert (spec["fn"], spec["kwargs"]) == (the.action_type.name, ARGUMENTS)
    assert (spec["state"], spec["channel"]) == (state, channel)
    assert (found["status"]["approved"], found["status"]["comment"]) == (True, None)
    assert found["status"]["responded_at"] == found["countersign"]["proposal"]["decision"]["decided_at"]

    redeem = found["countersign"]["redeem"]
    assert call("POST", redeem["address"], the.token, {"digest": redeem["digest"]}).status == 200
    again = poll(the).body
    assert (again["status"]["approved"], again["countersign"]["redeem"]) == (False, None)
    assert "Do not run it again" in again["status"]["comment"]


def test_changed_arguments_are_a_refusal_that_names_them(the: Desk) -> None:
    """Its client would call the function with the arguments it has in hand."""
    proposal_id = asked(the)
    decide(the.reviewer, proposal_id, "edit", amount="40")
    found = poll(the).body
    assert found["spec"]["kwargs"] == ARGUMENTS
    assert found["status"]["approved"] is False
    assert '"amount": 40' in found["status"]["comment"]
    assert found["countersign"]["redeem"] is None
    assert found["countersign"]["proposal"]["arguments"] == ARGUMENTS | {"amount": 40}


def test_a_rejection_has_a_comment_and_names_the_option(the: Desk) -> None:
    options = [{"name": "wrong_amount", "title": "Wrong amount", "prompt_fill": "Less, please"}]
    proposal_id = asked(the, reject_options=options)
    decide(the.reviewer, proposal_id, "reject", reason="wrong_amount", comment="Half of it.")
    status = poll(the).body["status"]
    assert (status["approved"], status["reject_option_name"]) == (False, "wrong_amount")
    assert "Half of it." in status["comment"]
    silent = asked(the, "call-2")
    decide(the.reviewer, silent, "reject", reason="not_allowed", comment="")
    status = poll(the, "call-2").body["status"]
    assert (status["reject_option_name"], bool(status["comment"])) == (None, True)


def test_a_question_back_and_a_withdrawal_end_the_clients_wait(the: Desk) -> None:
    returned, withdrawn = asked(the), asked(the, "call-2")
    decide(the.reviewer, returned, "return", comment="Which lamp?")
    status = poll(the).body["status"]
    assert (status["approved"], "Which lamp?" in status["comment"]) == (False, True)
    assert AgentCalls(the).do(withdrawn, "withdraw").status == 200
    status = poll(the, "call-2").body["status"]
    assert status["approved"] is False
    assert status["responded_at"] is not None, "it has ended, though nobody decided"


def test_the_same_call_is_one_proposal_however_often_it_is_sent(the: Desk) -> None:
    first = asked(the)
    again = ask(the, function_call(the))
    assert (again.status, again.body["countersign"]["proposal"]["id"]) == (200, first)
    other = ask(the, function_call(the, kwargs=ARGUMENTS | {"amount": 7}))
    assert other.code == "idempotency_key_reused"
    assert other.body["errors"][0]["field"] == "/call_id"
    assert Proposal.objects.count() == 1


def test_a_bots_token_is_not_kept_and_a_narrower_circle_is_not_widened(the: Desk) -> None:
    secret = "a-token-of-their-own-bot"
    slack = {"channel_or_user_id": "C1", "bot_token": secret, "allowed_responder_ids": None}
    proposal_id = asked(the, channel={"slack": slack, "email": None})
    assert secret not in json.dumps(Proposal.objects.get(pk=proposal_id).metadata)
    assert poll(the).body["spec"]["channel"]["slack"] == {
        "channel_or_user_id": "C1",
        "allowed_responder_ids": None,
    }
    only = {"slack": {"channel_or_user_id": "C1", "allowed_responder_ids": ["U1"]}}
    refused = ask(the, function_call(the, "call-2", channel=only))
    assert (refused.status, refused.code) == (422, "import_unsupported")
    assert refused.body["errors"][0]["field"] == "/spec/channel/slack/allowed_responder_ids"
    assert Proposal.objects.count() == 1


@pytest.mark.parametrize(
    "path", ["contact_requests", "human_contacts", "agent/function_calls/call-1/respond"]
)
def test_a_question_or_an_answer_of_the_agents_own_is_refused_with_a_remedy(the: Desk, path: str) -> None:
    proposal_id = asked(the)
    refused = call("POST", f"{LAYER}/{path}", the.token, {"approved": True, "comment": "Fine"})
    assert (refused.status, refused.code) == (422, "import_unsupported")
    assert "ropos" in refused.body["detail"], "it says what to do in its place"
    assert Proposal.objects.get(pk=proposal_id).state == State.PENDING
    assert call("POST", f"{LAYER}/{path}", "", {}).status == 401


WRONG: dict[str, tuple[dict[str, Any], str, str]] = {
    "no-kwargs": ({"spec": {"fn": "x"}}, "fields_invalid", "/spec/kwargs"),
    "a-status": ({"status": {"approved": True}}, "fields_invalid", "/status"),
    "slash": ({"call_id": "a/b"}, "fields_invalid", "/call_id"),
    "newline": ({"call_id": "call-1\n"}, "fields_invalid", "/call_id"),
    "unknown": ({"colour": "red"}, "fields_invalid", "/colour"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_function_call_is_refused(the: Desk, name: str) -> None:
    change, code, field = WRONG[name]
    refused = ask(the, function_call(the) | change)
    assert (refused.status, refused.code, refused.body["errors"][0]["field"]) == (422, code, field)
    assert not Proposal.objects.exists()


def test_faults_are_named_as_they_stand_in_the_call(the: Desk) -> None:
    refused = ask(the, function_call(the, kwargs={}))
    assert refused.code == "arguments_invalid"
    fields = {one["field"] for one in refused.body["errors"]}
    assert fields
    assert all(field.startswith("/spec/kwargs") for field in fields)
    unknown = ask(the, function_call(the, fn="multiply"))
    assert unknown.body["errors"][0]["field"] == "/spec/fn"


def test_nobody_elses_and_nothing_that_came_otherwise(the: Desk) -> None:
    asked(the)
    assert poll(desk()).status == 404
    the.propose(key="humanlayer:call-9")
    for call_id in ("call-9", "never", "%00", "call-1%0A"):
        assert poll(the, call_id).code == "not_found"


def test_what_earned_its_autonomy_is_answered_at_once() -> None:
    earned = desk(Tier.OUT_OF_THE_LOOP)
    taken = ask(earned, function_call(earned))
    assert (taken.status, taken.body["status"]["approved"]) == (201, True)
    assert taken.body["countersign"]["redeem"]["digest"].startswith("sha256:")
