"""Actions that Countersign itself has carried out: called once with the grant and the approved arguments, recorded."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from django.utils import timezone

from agents.fetching import Answer
from agents.models import Evidence
from approvals import executing, grants
from approvals.models import ExecutorCall, Grant, OpenNetwork, Outcome, Verdict
from approvals.services import execute, stop
from approvals.stopping import Switch
from audit.models import AuditEvent
from tests.approvals.till import Till, named, now_of
from tests.factories import admin
from tests.receiver import says

pytestmark = pytest.mark.django_db(transaction=True)


def test_an_approved_action_is_called_with_the_grant_and_the_approved_arguments(till: Till) -> None:
    done = {"status": "succeeded", "result": {"paid": True}, "external_id": "R-7", "cost": 0.02}
    till.server.answer = says(200, json.dumps(done).encode())
    proposal = till.the.propose()
    till.the.decide(proposal, Verdict.EDIT, arguments={"order_id": "A-1001", "amount": 40})

    assert till.run() == 1
    [heard] = till.server.heard
    token = heard.headers["authorization"].removeprefix("Bearer ")
    claims = grants.verify(token, audience=till.the.action_type.audience, now=timezone.now())
    found = now_of(proposal)
    assert (claims.digest, claims.proposal, claims.revision) == (found.digest, str(found.pk), 2)
    assert heard.headers["idempotency-key"] == claims.jti
    assert heard.said == {
        "proposal": str(found.pk),
        "revision": 2,
        "agent": till.the.agent.slug,
        "action_type": till.the.action_type.name,
        "digest": found.digest,
        "arguments": {"order_id": "A-1001", "amount": 40},
    }
    assert found.state == "succeeded"
    outcome = Outcome.objects.get(proposal=proposal)
    assert (outcome.result, outcome.external_id, float(outcome.cost or 0)) == ({"paid": True}, "R-7", 0.02)
    events = AuditEvent.objects.filter(object_id=str(proposal.pk), actor_id="executor").order_by("pk")
    assert [one.kind for one in events] == ["proposal.executing", "proposal.succeeded"]
    assert till.run() == 0, "once"


def test_the_agent_gets_no_grant_and_can_neither_redeem_nor_report(till: Till) -> None:
    proposal = till.approved()
    client, headers = Client(), till.the.headers
    where = f"/api/v1/proposals/{proposal.pk}"
    assert client.get(where, headers=headers).json()["grant"] is None
    kind = "application/json"
    refused = client.post(f"{where}/redeem", {"digest": proposal.digest}, kind, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (409, "grant_refused")
    till.server.answer = lambda handler, heard: _report(client, where, headers, handler)
    till.run()
    assert _reported == [409]
    assert now_of(proposal).state == "succeeded"


_reported: list[int] = []


def _report(client: Client, where: str, headers: dict[str, str], handler: Any) -> None:
    """From the server's thread, while the call is under way."""
    _reported.clear()
    answer = client.post(f"{where}/outcome", {"status": "failed"}, "application/json", headers=headers)
    _reported.append(answer.status_code)
    connection.close()
    says(204)(handler, None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("status", "body", "became", "result"),
    [
        (200, b"", "succeeded", None),
        (201, b'{"id": 5}', "succeeded", {"id": 5}),
        (200, b'{"status": "failed", "result": "no funds"}', "failed", "no funds"),
        (422, b"no such order", "failed", {"status": 422, "said": "no such order"}),
        (429, b"\x00", "failed", {"status": 429, "said": "\N{REPLACEMENT CHARACTER}"}),
        (200, b"<html>Sign in</html>", "unknown", None),
        (200, b'{"status": "pending"}', "unknown", None),
        (200, b'{"status": "succeeded", "cost": -1}', "unknown", None),
        (200, b'{"a": 1, "a": 2}', "unknown", None),
        (200, b"[1]", "unknown", None),
        (202, b'{"status": "succeeded"}', "unknown", None),
        (303, b"", "unknown", None),
        (408, b"", "unknown", None),
        (409, b"", "unknown", None),
        (500, b"", "unknown", None),
    ],
    ids=range(15),
)
def test_only_a_clear_answer_counts(status: int, body: bytes, became: str, result: Any) -> None:
    found = executing.meaning(Answer(status, body, is_cut=False))
    assert found.outcome.status == became
    if became != "unknown":
        assert found.outcome.result == result
    assert executing.meaning(Answer(200, b"{}", is_cut=True)).outcome.status == "unknown"


def test_a_refusal_after_a_call_without_an_answer_is_unknown() -> None:
    refused = Answer(404, b"", is_cut=False)
    assert executing.meaning(refused).outcome.status == "failed"
    assert executing.meaning(refused, is_repeated=True).outcome.status == "unknown"


def test_without_a_clear_answer_it_is_not_called_again_and_goes_to_a_person(till: Till) -> None:
    till.server.answer = says(500)
    proposal = till.approved()
    till.run()
    till.run(seconds=60)
    assert len(till.server.heard) == 1
    assert now_of(proposal).state == "unknown"
    client = Client()
    client.force_login(till.the.agent.owner)
    page = client.get("/outcomes/unknown/").content.decode()
    assert str(proposal.pk) in page and till.server.url in page
    shown = client.get(f"/proposals/{proposal.pk}/").content.decode()
    assert "It answers 500." in shown and "It may have been done." in shown
    client.post(f"/outcomes/{proposal.pk}/settle/", {"status": "succeeded", "note": "The bank says so"})
    assert now_of(proposal).state == "succeeded"


def test_what_can_be_repeated_is_called_again_under_the_same_key_while_the_grant_lives(till: Till) -> None:
    named(till.the, till.server.url, repeats=True)
    till.server.answer = says(503)
    proposal = till.approved()
    assert till.run() == 1
    assert till.run() == 0, "the pause holds"
    till.server.answer = says(200, b'{"done": 1}')
    assert till.run(seconds=3) == 1
    assert len({one.headers["idempotency-key"] for one in till.server.heard}) == 1
    assert now_of(proposal).state == "succeeded"


@pytest.mark.parametrize(("repeats", "calls", "became"), [(True, 2, "failed"), (False, 1, "failed")])
def test_one_that_is_too_busy_has_not_done_it(till: Till, repeats: bool, calls: int, became: str) -> None:
    """It is asked again where that is declared, and its later refusal is as clear as a first one's."""
    named(till.the, till.server.url, repeats=repeats)
    till.server.answer = says(429)
    proposal = till.approved()
    till.run()
    till.server.answer = says(422)
    till.run(seconds=3)
    assert (len(till.server.heard), now_of(proposal).state) == (calls, became)


def test_a_stop_ends_repetitions(till: Till) -> None:
    named(till.the, till.server.url, repeats=True)
    till.server.answer = says(503)
    proposal = till.approved()
    till.run()
    stop.pull(switch=Switch(agent=till.the.agent), by=admin(), reason="Odd")
    till.server.answer = says(200)
    till.run(seconds=3)
    assert (len(till.server.heard), now_of(proposal).state) == (1, "unknown")
    assert ExecutorCall.objects.get().said == "It was stopped before it was called again."


def test_repetition_ends_with_the_grant(till: Till) -> None:
    named(till.the, till.server.url, repeats=True)
    till.server.answer = says(503)
    proposal = till.approved()
    for _ in range(12):
        till.run(seconds=60)
    assert now_of(proposal).state == "unknown"
    assert len(till.server.heard) <= 5, "300 seconds, a minute apart"


def test_what_was_never_reached_is_failed_at_last_and_no_mark_against_the_agent(till: Till) -> None:
    OpenNetwork.objects.all().delete()
    proposal = till.approved()
    before = Evidence.objects.filter(agent=till.the.agent).count()
    for _ in range(10):
        till.run(seconds=60)
    assert till.server.heard == []
    assert now_of(proposal).state == "failed"
    assert "must be reached by https" in str(Outcome.objects.get(proposal=proposal).result)
    assert Evidence.objects.filter(agent=till.the.agent).count() == before


def ends_where(patch: str) -> int:
    """A caller in a process of its own, after these words; how it ended."""
    url = urlsplit(settings.DATABASE_URL)._replace(path=f"/{connection.settings_dict['NAME']}").geturl()
    code = f"""
import django, os, signal
django.setup()
from approvals.services import execute
def die(*_, **__): os.kill(os.getpid(), signal.SIGKILL)
redeem = execute._redeem_one
{patch}
execute.run()
"""
    environment = {**os.environ, "DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "config.settings"}
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=settings.BASE_DIR, timeout=100, check=False
    ).returncode


BEFORE_THE_LEASE = "execute._redeem_one = lambda *a: redeem(*a) and die()"
BEFORE_THE_CALL = "execute._make = die"
AFTER_THE_CALL = "execute._again_or_end = die"


@pytest.mark.parametrize(
    ("patch", "repeats", "became", "calls"),
    [
        (BEFORE_THE_LEASE, False, "succeeded", 1),
        (BEFORE_THE_LEASE, True, "succeeded", 1),
        (BEFORE_THE_CALL, False, "unknown", 0),
        (BEFORE_THE_CALL, True, "succeeded", 1),
        (AFTER_THE_CALL, False, "unknown", 1),
        (AFTER_THE_CALL, True, "succeeded", 2),
    ],
    ids=["lease-once", "lease-repeats", "call-once", "call-repeats", "answer-once", "answer-repeats"],
)
def test_killed_in_the_middle_of_a_call(
    till: Till, patch: str, repeats: bool, became: str, calls: int
) -> None:
    """A real process, killed after the grant is used up: called twice only where that does no harm, and where nobody
    can know, a person is asked."""
    named(till.the, till.server.url, repeats=repeats)
    proposal = till.approved()
    assert ends_where(patch) == -signal.SIGKILL

    assert now_of(proposal).state == "executing"
    if patch != BEFORE_THE_LEASE:
        assert till.run() == 0, "the lease holds"
    till.run(seconds=90)
    assert (now_of(proposal).state, len(till.server.heard)) == (became, calls)
    assert len({one.headers["idempotency-key"] for one in till.server.heard}) <= 1
    assert till.run(seconds=90) == 0


def test_a_stopped_action_is_not_called(till: Till) -> None:
    proposal = till.approved()
    stop.pull(switch=Switch(agent=till.the.agent), by=admin(), reason="Odd")
    till.run()
    assert till.server.heard == []
    assert now_of(proposal).state == "revoked"
    assert not ExecutorCall.objects.exists()


def test_who_slept_through_his_lease_calls_nobody(till: Till) -> None:
    """A process that was held up between taking a call and making it: somebody has been asked about it by then."""
    proposal = till.approved()
    assert execute._redeem_one(till.clock(), set())
    call = execute._begin(till.clock())
    assert call is not None
    till.run(seconds=90)
    assert now_of(proposal).state == "unknown"
    execute._make(replace(call, began=call.began - execute.LONGEST), till.clock)
    assert till.server.heard == []
    assert now_of(proposal).state == "unknown"


def test_what_an_overtaken_caller_has_to_say_is_not_recorded(till: Till) -> None:
    """Its refusal says nothing of the call that another makes meanwhile."""
    named(till.the, till.server.url, repeats=True)
    proposal = till.approved()
    assert execute._redeem_one(till.clock(), set())
    late = execute._begin(till.clock())
    till.ahead += timedelta(seconds=61)
    call = execute._begin(till.clock())
    assert late is not None and call is not None
    till.server.answer = says(404)
    execute._make(late, till.clock)
    assert now_of(proposal).state == "executing"
    till.server.answer = says(200, b'{"done": 1}')
    execute._make(call, till.clock)
    assert now_of(proposal).state == "succeeded"


def test_what_is_refused_stands_in_nobodys_way(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than one look holds, all older, all refused at redemption."""
    monkeypatch.setattr(execute, "LOOKED_AT", 2)
    held = [till.approved() for _ in range(3)]
    Grant.objects.filter(proposal__in=held).update(digest="sha256:" + "0" * 64)
    proposal = till.approved()
    till.run()
    assert [one.headers["idempotency-key"] for one in till.server.heard] == [str(now_of(proposal).grant.pk)]


def test_nothing_is_begun_by_a_worker_that_has_to_end(till: Till) -> None:
    till.approved()
    assert execute.run(clock=till.clock, is_over=lambda: True) == 0
    assert till.server.heard == []


def test_who_decides_reads_where_it_goes_and_how_it_went(till: Till) -> None:
    reviewer, proposal = Client(), till.the.propose()
    reviewer.force_login(till.the.reviewer)
    page = f"/proposals/{proposal.pk}/"
    assert (
        f'Countersign itself calls <span class="mono breaks">{till.server.url}'
        in reviewer.get(page).content.decode()
    )
    till.the.decide(proposal, Verdict.APPROVE)
    till.server.answer = says(422, b"no such order")
    till.run()
    shown = reviewer.get(page).content.decode()
    assert "Carried out by Countersign" in shown and "It answers 422." in shown
    assert "So nothing was done." not in shown


def test_two_callers_call_once(till: Till) -> None:
    """While one call is under way, whoever else looks finds nothing to do."""
    found: list[int] = []

    def answer(handler: Any, heard: Any) -> None:
        found.append(execute.run(seconds=5))
        connection.close()
        says(204)(handler, heard)

    till.server.answer = answer
    till.approved()
    assert till.run() == 1
    assert (found, len(till.server.heard)) == ([0], 1)


def test_only_admins_name_an_address_and_it_must_be_one(till: Till) -> None:
    boss = Client()
    boss.force_login(admin())
    kind = till.the.action_type
    where = f"/setup/action-types/{kind.name}/edit/"
    shown = boss.get(where).context["form"]
    form = {name: shown[name].value() for name in shown.fields if shown[name].value() not in (None, False)}
    form |= {"schema": json.dumps(kind.schema), "material": "/amount\n/iban", "systems": ""}
    refused = boss.post(where, {**form, "executor_url": "file:///etc/passwd"})
    assert "Must begin with https://." in refused.content.decode()
    for secret in ("https://pay.example/x?key=1", "https://pay.example/x?", "https://a:b@pay.example/x"):
        refused = boss.post(where, {**form, "executor_url": secret})
        assert refused.context["form"].errors["executor_url"], secret
    assert boss.post(where, {**form, "executor_url": "https://pay.example/x"}).status_code == 302
    kind.refresh_from_db()
    assert kind.executor_url == "https://pay.example/x"
    assert "https://pay.example/x" in boss.get(f"/setup/action-types/{kind.name}/").content.decode()
    event = AuditEvent.objects.filter(kind="action_type.saved").latest("pk")
    assert event.data["after"]["executor_url"] == "https://pay.example/x"
