"""Agent Inbox's interrupts over HTTP: proposed, decided in the browser, answered in its own form."""

import json
from typing import Any

import pytest
from django.test import Client

from agents.autonomy import Tier
from approvals.models import Proposal, Verdict
from approvals.states import State
from tests.api.importing import CONFIG, ROOT, answer, decide, inbox, interrupt
from tests.factories import ARGUMENTS, Desk, desk
from tests.invariants.calls import AgentCalls, call, history

pytestmark = pytest.mark.django_db


@pytest.fixture
def the() -> Desk:
    return desk()


def held(the: Desk, **config: Any) -> str:
    taken = inbox(the, interrupt(the, **config))
    assert (taken.status, taken.body["response"], taken.body["redeem"]) == (201, None, None)
    return str(taken.body["proposal"]["id"])


def test_accepted_redeemed_and_reported(the: Desk) -> None:
    proposal_id = held(the)
    stored = Proposal.objects.get(pk=proposal_id)
    assert (stored.summary, stored.state, stored.context) == ("Refund a broken lamp", State.PENDING, [])
    decide(the.reviewer, proposal_id, "approve")

    found = answer(the, proposal_id).body
    assert found["response"] == {
        "type": "accept",
        "args": {"action": the.action_type.name, "args": ARGUMENTS},
    }
    assert found["redeem"]["digest"] == found["proposal"]["digest"]
    redeemed = call("POST", found["redeem"]["address"], the.token, {"digest": found["redeem"]["digest"]})
    assert (redeemed.status, redeemed.body["status"]) == (200, "executing")

    again = answer(the, proposal_id).body
    assert again["response"]["type"] == "response", "what has been used up is no yes to whoever asks now"
    assert "Do not run it again" in again["response"]["args"]
    assert again["redeem"] is None
    assert AgentCalls(the).do(proposal_id, "outcome", status="succeeded").status == 200
    assert history(stored.pk) == ["pending", "approved", "executing", "succeeded"]


def test_an_edit_arrives_as_an_edit_and_only_its_arguments_can_be_redeemed(the: Desk) -> None:
    proposal_id = held(the)
    sent_digest = Proposal.objects.get(pk=proposal_id).digest
    decide(the.reviewer, proposal_id, "edit", amount="40")
    found = answer(the, proposal_id).body
    assert found["response"]["type"] == "edit"
    assert found["response"]["args"]["args"] == ARGUMENTS | {"amount": 40}
    address = found["redeem"]["address"]
    assert call("POST", address, the.token, {"digest": sent_digest}).code == "digest_mismatch"
    assert call("POST", address, the.token, {"digest": found["redeem"]["digest"]}).status == 200


def test_an_edit_that_the_graph_does_not_take_runs_nothing(the: Desk) -> None:
    proposal_id = held(the, allow_edit=False)
    page = Client()
    page.force_login(the.reviewer)
    shown = page.get(f"/proposals/{proposal_id}/").content.decode()
    assert "takes no changed arguments" in shown, "the reviewer is told before he edits"
    decide(the.reviewer, proposal_id, "edit", amount="40")
    found = answer(the, proposal_id).body
    assert found["response"]["type"] == "response"
    assert '"amount": 40' in found["response"]["args"]
    assert found["redeem"] is None


def test_rejected_and_returned_are_words_for_the_model(the: Desk) -> None:
    rejected, returned = held(the), str(inbox(the, interrupt(the), key="b").body["proposal"]["id"])
    decide(the.reviewer, rejected, "reject", reason="wrong_amount", comment="Half of it.")
    found = answer(the, rejected).body["response"]
    assert found["type"] == "response"
    assert "wrong_amount" in found["args"]
    assert "Half of it." in found["args"]
    decide(the.reviewer, returned, "return", comment="Which lamp?")
    assert "Which lamp?" in answer(the, returned).body["response"]["args"]
    quiet = str(
        inbox(the, interrupt(the, allow_ignore=True, allow_respond=False), key="c").body["proposal"]["id"]
    )
    decide(the.reviewer, quiet, "reject", reason="wrong_amount", comment="Half of it.")
    assert answer(the, quiet).body["response"] == {"type": "ignore", "args": None}


def test_a_list_keeps_its_order_and_each_stands_for_itself(the: Desk) -> None:
    bad = interrupt(the, {"order_id": "A-1", "amount": -1})
    unknown = interrupt(the) | {"action_request": {"action": "Approve email send", "args": {}}}
    sent = [
        interrupt(the, ARGUMENTS | {"amount": 1}),
        bad,
        unknown,
        interrupt(the, ARGUMENTS | {"amount": 2}),
    ]
    first = inbox(the, sent)
    assert [one["status"] for one in first.body["results"]] == [201, 422, 422, 201]
    amounts = [one.get("proposal", {}).get("arguments", {}).get("amount") for one in first.body["results"]]
    assert amounts == [1, None, None, 2]
    faults = [one["problem"]["errors"][0]["field"] for one in first.body["results"][1:3]]
    assert faults == ["/action_request/args/amount", "/action_request/action"]
    again = inbox(the, sent)
    assert [one["status"] for one in again.body["results"]] == [200, 422, 422, 200]
    assert again.body["results"][0]["proposal"]["id"] == first.body["results"][0]["proposal"]["id"]
    assert Proposal.objects.count() == 2


NO_YES = CONFIG | {"allow_accept": False, "allow_edit": False}
NO_NO = CONFIG | {"allow_respond": False}
WRONG: dict[str, tuple[Any, str, str]] = {
    "no-yes": ({"config": NO_YES}, "import_unsupported", "/1/config"),
    "no-no": ({"config": NO_NO}, "import_unsupported", "/1/config"),
    "unknown": ({"colour": "red"}, "fields_invalid", "/1/colour"),
    "args": ({"action_request": {"action": "x", "args": []}}, "fields_invalid", "/1/action_request/args"),
    "config": ({"config": None}, "fields_invalid", "/1/config"),
    "null": (None, "fields_invalid", "/1"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_list_with_one_wrong_form_is_refused_whole(the: Desk, name: str) -> None:
    change, code, field = WRONG[name]
    wrong = None if change is None else interrupt(the) | change
    refused = inbox(the, [interrupt(the), wrong])
    assert (refused.status, refused.code) == (422, code)
    assert refused.body["errors"][0]["field"].startswith(field)
    assert not Proposal.objects.exists()


@pytest.mark.parametrize(("body", "status"), [([], 422), ("x", 422), ([{}] * 51, 422), (b"{", 400)])
def test_what_is_no_interrupt_is_refused(the: Desk, body: Any, status: int) -> None:
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    assert inbox(the, sent).status == status
    assert not Proposal.objects.exists()


def test_a_key_is_asked_for_and_good_once(the: Desk) -> None:
    assert call("POST", f"{ROOT}/agent-inbox", the.token, interrupt(the)).code == "bad_request"
    assert inbox(the, interrupt(the), key="x" * 191).code == "bad_request"
    first = inbox(the, interrupt(the))
    spelled = dict(reversed(interrupt(the).items()))
    assert inbox(the, spelled).body["proposal"]["id"] == first.body["proposal"]["id"], "its value counts"
    other = inbox(the, interrupt(the, ARGUMENTS | {"amount": 7}))
    assert (other.code, other.body["proposal"]) == ("idempotency_key_reused", first.body["proposal"]["id"])


def test_nobody_elses_and_nothing_that_came_otherwise(the: Desk) -> None:
    proposal_id = held(the)
    assert answer(desk(), proposal_id).status == 404
    assert answer(the, the.propose().pk).code == "not_found"
    forged = the.propose(metadata={"agent_inbox": {"config": {"allow_accept": "yes"}}})
    assert answer(the, forged.pk).code == "not_found"


def test_a_tier_of_its_own_and_a_policy_hold_as_for_every_proposal() -> None:
    earned, advised = desk(Tier.OUT_OF_THE_LOOP), desk(Tier.ADVISORY)
    at_once = inbox(earned, interrupt(earned))
    assert at_once.body["response"]["type"] == "accept"
    assert at_once.body["redeem"]["digest"] == at_once.body["proposal"]["digest"]
    proposal_id = inbox(advised, interrupt(advised)).body["proposal"]["id"]
    advised.decide(Proposal.objects.get(pk=proposal_id), Verdict.APPROVE)
    found = answer(advised, proposal_id).body
    assert (found["response"]["type"], found["redeem"]) == ("response", None)
    assert "not you" in found["response"]["args"]
