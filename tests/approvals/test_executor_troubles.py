"""What can go wrong while Countersign carries an action out: broken answers, clocks, moved addresses, lost mandates."""

import json
import threading
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from agents.models import Mandate
from approvals.models import Grant, OpenNetwork, Outcome
from approvals.services import execute, expire
from tests.approvals.till import Till, named, now_of
from tests.receiver import says

pytestmark = pytest.mark.django_db(transaction=True)


def _begun(body: bytes, *, until: threading.Event | None = None) -> Any:
    """An answer that does not say where its body ends: the connection does, whether all was said or not."""

    def answer(handler: Any, heard: Any) -> None:
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(body)
        handler.wfile.flush()
        if until is not None:
            until.wait(20)

    return answer


@pytest.mark.parametrize(
    ("body", "became"), [(b"", "unknown"), (b'{"paid": true}', "succeeded"), (b'{"paid"', "unknown")]
)
def test_an_answer_that_was_cut_off_is_none(till: Till, body: bytes, became: str) -> None:
    """A server that dies after the headers looks like one that has nothing more to say."""
    till.server.answer = _begun(body)
    proposal = till.approved()
    till.run()
    assert now_of(proposal).state == became


@pytest.mark.parametrize("body", [b"", b"{}"])
def test_an_answer_that_hangs_after_its_headers_is_none(
    till: Till, monkeypatch: pytest.MonkeyPatch, body: bytes
) -> None:
    monkeypatch.setattr(execute, "LONGEST", 1.0)
    over = threading.Event()
    till.server.answer = _begun(body, until=over)
    proposal = till.approved()
    till.run()
    over.set()
    assert now_of(proposal).state == "unknown"


def test_an_answer_that_cannot_be_kept_goes_to_a_person_whole(till: Till) -> None:
    named(till.the, till.server.url, repeats=True)
    said = {"status": "succeeded", "occurred_at": "0001-01-01T00:00:00+05:00", "external_id": "R-1"}
    till.server.answer = says(200, json.dumps(said).encode())
    proposal = till.approved()
    till.run()
    till.run(seconds=90)
    assert (len(till.server.heard), now_of(proposal).state) == (1, "unknown")
    assert Outcome.objects.get(proposal=proposal).result == said


def test_a_call_under_way_outlives_the_time_for_reports(till: Till) -> None:
    """Its answer is worth more than the clock, until its grant is over and nobody can be calling any more."""
    proposal = till.approved()
    assert execute._redeem_one(till.clock(), set())
    call = execute._begin(till.clock())
    assert call is not None
    late = timezone.now() + timedelta(minutes=till.the.action_type.outcome_minutes)
    Grant.objects.update(expires_at=late + timedelta(minutes=1))
    assert expire.mark_unknown(now=late + timedelta(seconds=1)) == 0
    execute._make(call, till.clock)
    assert now_of(proposal).state == "succeeded"

    other = till.approved()
    assert execute._redeem_one(till.clock(), set()) and execute._begin(till.clock()) is not None
    Grant.objects.filter(proposal=other).update(expires_at=late)
    assert expire.mark_unknown(now=late + timedelta(hours=1)) == 1
    assert now_of(other).state == "unknown"


def test_without_its_mandate_nothing_is_repeated(till: Till) -> None:
    named(till.the, till.server.url, repeats=True)
    till.server.answer = says(503)
    proposal = till.approved()
    till.run()
    Mandate.objects.update(active=False)
    till.server.answer = says(200)
    till.run(seconds=3)
    assert (len(till.server.heard), now_of(proposal).state) == (1, "unknown")


def test_repetitions_do_not_hold_up_what_is_new(till: Till) -> None:
    """An address that fails again and again has every second turn at most."""
    named(till.the, till.server.url, repeats=True)
    till.server.answer = says(503)
    for _ in range(3):
        till.approved()
    assert till.run() == 3
    fresh = till.approved()
    till.server.heard.clear()
    assert till.run(seconds=10) == 4
    assert till.server.heard[0].said["proposal"] == str(fresh.pk)


def test_a_machine_that_was_suspended_calls_nobody(till: Till) -> None:
    """Its steady clock stood still while the lease ran out."""
    till.approved()
    assert execute._redeem_one(till.clock(), set())
    call = execute._begin(till.clock())
    assert call is not None
    execute._make(call, lambda: till.clock() + timedelta(seconds=61))
    assert till.server.heard == []


@pytest.mark.parametrize("before", ["the agent", "another server"])
def test_an_approval_does_not_follow_the_action_to_another_address(till: Till, before: str) -> None:
    named(till.the, "" if before == "the agent" else "https://before.example/x")
    proposal = till.approved()
    named(till.the, till.server.url)
    assert till.run() == 0
    assert (till.server.heard, now_of(proposal).state) == ([], "approved")
    again = till.approved()
    assert till.run() == 1
    assert (now_of(again).state, now_of(proposal).state) == ("succeeded", "approved")


def test_an_approval_for_an_executor_is_not_the_agents(till: Till) -> None:
    proposal = till.approved()
    named(till.the, "")
    where = f"/api/v1/proposals/{proposal.pk}/redeem"
    data = {"digest": proposal.digest}
    refused = Client().post(where, data, "application/json", headers=till.the.headers)
    assert (refused.status_code, refused.json()["code"]) == (409, "grant_refused")


def test_what_is_open_for_webhooks_is_not_open_for_executors(till: Till) -> None:
    OpenNetwork.objects.update(purpose=OpenNetwork.Purpose.WEBHOOKS)
    till.approved()
    till.run()
    assert till.server.heard == []
    OpenNetwork.objects.update(purpose=OpenNetwork.Purpose.EXECUTORS)
    till.run(seconds=5)
    assert len(till.server.heard) == 1
