"""A34 to A37 and A22: idempotency keys, tokens, and what ends up in logs."""

import hashlib
import io
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import psycopg
import pytest
import structlog
from django.db import connection
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from accounts.services import first_admin
from agents import authority, tokens
from agents.models import Credential
from agents.services import credentials
from approvals.models import Proposal, Verdict
from audit.models import AuditEvent
from tests.factories import ARGUMENTS, admin, desk
from tests.invariants.calls import AgentCalls, Answer, call, history, together

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_repeat_is_answered_with_the_same_body() -> None:
    the = desk()
    agent = AgentCalls(the)
    first, second = agent.propose(key="k", summary="s"), agent.propose(key="k", summary="s")
    assert (first.status, second.status) == (201, 200)
    assert first.body == second.body
    assert first.headers["Location"] == second.headers["Location"] == f"/api/v1/proposals/{first.body['id']}"


def test_a_repeat_after_the_decision_shows_the_present_state() -> None:
    the = desk()
    agent = AgentCalls(the)
    first = agent.propose(key="k")
    the.decide(Proposal.objects.get(), Verdict.APPROVE)
    again = agent.propose(key="k")
    assert (again.status, again.body["status"], again.body["id"]) == (200, "approved", first.body["id"])
    assert again.body == agent.read(first.body["id"]).body


def test_a34_another_body_is_422() -> None:
    the = desk()
    agent = AgentCalls(the)
    first = agent.propose(key="k")
    for answer in (
        agent.propose({**ARGUMENTS, "amount": 1}, key="k"),
        agent.propose(key="k", summary="other"),
        agent.post_raw(b'{"action_type":"%s","arguments":{}}' % the.action_type.name.encode(), key="k"),
    ):
        assert (answer.status, answer.code) == (422, "idempotency_key_reused")
        assert answer.body["errors"][0]["field"] == "Idempotency-Key"
        assert answer.body["proposal"] == first.body["id"]
    assert Proposal.objects.count() == 1


@contextmanager
def in_flight(agent_id: int, key: str) -> Iterator[None]:
    """Hold what another process holds while it answers the same key."""
    slot = hashlib.sha256(f"{agent_id} {key}".encode()).digest()[:8]
    values = connection.settings_dict
    with psycopg.connect(
        dbname=values["NAME"],
        user=values["USER"] or None,
        password=values["PASSWORD"] or None,
        host=values["HOST"] or None,
        port=values["PORT"] or None,
    ) as other:
        other.execute("SELECT pg_advisory_xact_lock(%s)", [int.from_bytes(slot, signed=True)])
        yield


def test_a35_the_same_key_in_flight_is_409_with_retry_after() -> None:
    the = desk()
    agent = AgentCalls(the)
    with in_flight(the.agent.pk, "k"):
        answer = agent.propose(key="k")
        assert (answer.status, answer.code) == (409, "request_in_flight")
        assert int(answer.headers["Retry-After"]) >= 1
        assert agent.propose(key="other").status == 201
    assert agent.propose(key="k").status == 201


def test_a35_the_same_request_many_times_at_once_is_one_proposal() -> None:
    the = desk()
    agent = AgentCalls(the)
    for number in range(3):
        answers: list[Answer] = together(*[lambda: agent.propose(key=f"k{number}")] * 6)  # noqa: B023 - run at once
        assert sum(answer.status == 201 for answer in answers) == 1
        assert {answer.status for answer in answers} <= {200, 201, 409}
        assert {answer.code for answer in answers if answer.status == 409} <= {"request_in_flight"}
        assert len({answer.body["id"] for answer in answers if answer.status != 409}) == 1
    assert Proposal.objects.count() == 3


@pytest.mark.parametrize("key", ["", "x" * 201, "a\x7fb", "a\tb"])
def test_a_key_is_one_to_200_printable_characters(key: str) -> None:
    the = desk()
    body = {"action_type": the.action_type.name, "arguments": ARGUMENTS}
    answer = call("POST", "/api/v1/proposals", the.token, body, Idempotency_Key=key)
    assert (answer.status, answer.code) == (400, "bad_request")
    assert not Proposal.objects.exists()


def test_a_key_of_200_characters_is_taken() -> None:
    assert AgentCalls(desk()).propose(key="x" * 200).status == 201


# Tokens


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Bearer",
        "Bearer ",
        "Basic dXNlcjpwYXNz",
        "Bearer csgn_",
        "Bearer " + "x" * 5000,
        "Bearer csgn_aaaaaaaaaaaa_" + "b" * 32 + "_000000",
        "Bearer é",
        "Token x",
    ],
)
@pytest.mark.parametrize("path", ["/api/v1/me", "/api/v1/proposals"])
def test_a36_a_malformed_token_is_401_without_a_look_at_the_database(
    authorization: str, path: str, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    method = "POST" if path.endswith("proposals") else "GET"
    with django_assert_num_queries(0):
        answer = call(method, path, "", b"{}", Authorization=authorization, Idempotency_Key="k")
    assert (answer.status, answer.code) == (401, "bad_credential")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_a36_a_well_formed_token_that_nobody_has_is_401() -> None:
    desk()
    assert call("GET", "/api/v1/me", tokens.new().text).status == 401


def test_a36_the_tokens_hash_is_no_token() -> None:
    the = desk()
    stored = bytes(Credential.objects.get().token_hash or b"")
    for text in (stored.hex(), stored.decode("latin-1"), Credential.objects.get().key_id):
        assert call("GET", "/api/v1/me", "", Authorization=f"Bearer {text}").status == 401
    assert the.token not in str(Credential.objects.values())
    assert not AuditEvent.objects.filter(content__contains=the.token.split("_")[2]).exists()


def test_a36_revoked_and_expired_ones_are_401_at_once() -> None:
    the = desk()
    assert call("GET", "/api/v1/me", the.token).status == 200
    credentials.revoke(credential_id=the.credential.pk, actor=admin())
    assert call("GET", "/api/v1/me", the.token).status == 401
    other = desk()
    assert call("GET", "/api/v1/me", other.token).status == 200
    Credential.objects.filter(pk=other.credential.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    authority.bump()
    for answer in (call("GET", "/api/v1/me", other.token), AgentCalls(other).propose()):
        assert (answer.status, answer.code) == (401, "bad_credential")


def test_a37_a_rotated_token_is_good_for_its_overlap_only() -> None:
    the = desk()
    _, kept = credentials.rotate(credential_id=the.credential.pk, actor=admin(), overlap=timedelta(hours=1))
    assert [call("GET", "/api/v1/me", token).status for token in (the.token, kept)] == [200, 200]
    successor = Credential.objects.get(pk=the.credential.pk).replaced_by
    assert successor is not None
    _, last = credentials.rotate(credential_id=successor.pk, actor=admin(), overlap=timedelta(0))
    assert [call("GET", "/api/v1/me", token).status for token in (kept, last)] == [401, 200]


# Logs


def test_a22_a_newline_in_a_name_stays_inside_its_line() -> None:
    the = desk()
    the.reviewer.name = 'Rita\n{"event":"approved","actor":"Boss"}\r\n\u2028x'
    the.reviewer.save(update_fields=["name"])
    the.decide(the.propose(), Verdict.REJECT)
    event = AuditEvent.objects.get(kind="proposal.rejected")
    assert "\n" not in event.content
    assert "\r" not in event.content
    assert event.data["actor"]["label"] == the.reviewer.name
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processor=structlog.processors.JSONRenderer()))
    logger = logging.getLogger("attack")
    logger.addHandler(handler)
    try:
        structlog.wrap_logger(
            logger, processors=[structlog.stdlib.ProcessorFormatter.wrap_for_formatter]
        ).warning("refused", actor=the.reviewer.name)
    finally:
        logger.removeHandler(handler)
    assert stream.getvalue().count("\n") == 1
    assert json.loads(stream.getvalue())["actor"] == the.reviewer.name


def test_a_request_id_that_is_none_is_replaced() -> None:
    the = desk()
    for given in ("short", "x" * 65, 'abcdefgh"\\', "abcdefgh ijkl"):
        answer = call("GET", "/api/v1/me", the.token, X_Request_ID=given)
        assert answer.headers["X-Request-ID"] != given
    assert call("GET", "/api/v1/me", the.token, X_Request_ID="abc-12345678").headers["X-Request-ID"] == (
        "abc-12345678"
    )


def test_a_refusal_on_an_odd_address_is_noted_and_no_fault() -> None:
    """The refused path is stored; NUL and lone bytes in it must not break the refusal."""
    client = Client()
    assert first_admin.setup_link("http://x") is not None
    form = {"name": "A", "email": "a@example.com", "password": "a long pass phrase 1"}
    for path in ("/welcome/%00/", "/welcome/%ff%fe/", "/welcome/" + "x" * 900 + "/"):
        answer = client.post(path, form)
        assert answer.status_code == 403, path
    assert AuditEvent.objects.filter(kind="access.refused").count() == 3


def test_the_whole_history_of_a_busy_agent_fits_together() -> None:
    """Ten threads do everything at once with one agent; every history must still be whole."""
    the = desk()
    agent = AgentCalls(the)
    ids = [agent.propose().body["id"] for _ in range(6)]

    def decide_all() -> None:
        for proposal_id in ids:
            proposal = Proposal.objects.get(pk=proposal_id)
            try:
                the.decide(proposal, Verdict.APPROVE)
            except Exception as error:  # noqa: BLE001 - losing a race is a right answer
                assert type(error).__module__.startswith(("approvals", "agents")), error

    def act_all() -> Any:
        for proposal_id in ids:
            read = agent.read(proposal_id).body
            agent.do(proposal_id, "redeem", digest=read["digest"])
            agent.do(proposal_id, "outcome", status="succeeded")
            agent.do(proposal_id, "withdraw")

    results = together(decide_all, act_all, act_all, decide_all)
    assert not [result for result in results if isinstance(result, Exception)]
    for proposal_id in ids:
        history(proposal_id)
