"""A1 to A7: what an agent may not send, and that nothing it sends ends in a fault of ours."""

import gzip
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents import authority
from approvals.models import Proposal
from approvals.services import redeem
from tests.factories import ARGUMENTS, Desk, desk
from tests.invariants.calls import AgentCalls, Answer, call
from tests.pure.test_strict_json import VALUES

pytestmark = pytest.mark.django_db


def problem(answer: Answer, status: int, code: str) -> Answer:
    """Check that it is a well-formed problem document of that kind."""
    assert (answer.status, answer.code) == (status, code), answer.body
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.body["type"] == f"/api/docs#{code}"
    assert answer.body["status"] == status
    assert answer.body["title"]
    assert answer.body["detail"]
    return answer


def proposing(the: Desk, arguments: str, **members: str) -> bytes:
    """A body with the arguments as they are written here."""
    extra = "".join(f',"{name}":{value}' for name, value in members.items())
    return f'{{"action_type":"{the.action_type.name}","arguments":{arguments}{extra}}}'.encode()


@pytest.mark.parametrize(
    "arguments",
    [
        '{"order_id":"A","amount":1,"amount":1000000}',
        '{"order_id":"A","amount":1,"\\u0061mount":1000000}',
        '{"order_id":"A","amount":9007199254740993}',
        '{"order_id":"A","amount":9007199254740992}',
        '{"order_id":"A","amount":9007199254740993.0}',
        '{"order_id":"A","amount":NaN}',
        '{"order_id":"A","amount":-Infinity}',
        '{"order_id":"A","amount":1e400}',
        '{"order_id":"\\ud800","amount":1}',
        '{"order_id":"\\u0000","amount":1}',
        '{"order_id":"A","amount":1,}',
        "[" * 100_000,
        '{"a":' * 50_000,
        "{" + '"a":[' * 70 + "]" * 70 + "}",
        "",
        "{",
        "'A'",
    ],
    ids=[
        "a01 duplicate", "a01 escaped duplicate", "a02 beyond 2^53", "a02 2^53", "a02 as a fraction", "a03 NaN",
        "a03 infinity", "a03 1e400", "a04 surrogate", "a04 NUL", "comma", "a05 lists", "a05 objects", "a05 70 deep",
        "nothing", "cut", "quotes",
    ],
)  # fmt: skip
def test_a01_to_a05_bad_json_is_400(arguments: str) -> None:
    the = desk()
    problem(AgentCalls(the).post_raw(proposing(the, arguments)), 400, "bad_request")
    assert not Proposal.objects.exists()


def test_a02_says_what_to_do() -> None:
    the = desk()
    answer = AgentCalls(the).post_raw(proposing(the, '{"order_id":"A","amount":9007199254740993}'))
    assert "send it as a string" in answer.body["detail"]


def test_a03_minus_zero_is_zero() -> None:
    the = desk()
    answer = AgentCalls(the).post_raw(proposing(the, '{"order_id":"A","amount":-0.0}'))
    assert answer.status == 201
    assert bytes(Proposal.objects.get().current_revision.canonical) == b'{"amount":0,"order_id":"A"}'


def test_a06_a_large_body_is_413_before_it_is_read() -> None:
    the = desk()
    for data in (b" " * (300 * 1024), b"[" * (256 * 1024 + 1), b"\xff" * (1024 * 1024)):
        problem(AgentCalls(the).post_raw(data), 413, "body_too_large")
    fits = proposing(the, json.dumps({**ARGUMENTS, "note": "x" * (255 * 1024)}))
    assert AgentCalls(the).post_raw(fits).status == 201


def test_a06_a_compressed_body_is_refused_unopened() -> None:
    the = desk()
    bomb = gzip.compress(b"[" * 50_000_000)
    assert len(bomb) < 100_000
    for coding in ("gzip", "deflate", "br", "zstd", "GZIP", "gzip, identity"):
        problem(AgentCalls(the).post_raw(bomb, Content_Encoding=coding), 415, "unsupported_media_type")


def test_a07_two_forms_of_one_letter_are_two_digests() -> None:
    the = desk()
    agent = AgentCalls(the)
    digests = [
        agent.propose({"order_id": text, "amount": 1}).body["digest"] for text in ("\u00e9", "e\u0301")
    ]
    assert digests[0] != digests[1]


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"unknown": 1}, "/unknown"),
        ({"a/b~c": 1}, "/a~1b~0c"),
        ({"arguments": None}, "/arguments"),
        ({"arguments": []}, "/arguments"),
        ({"action_type": ""}, "/action_type"),
        ({"action_type": 5}, "/action_type"),
        ({"action_type": "x" * 81}, "/action_type"),
        ({"action_type": "no_such_type"}, "/action_type"),
        ({"confidence": 1.5}, "/confidence"),
        ({"confidence": "high"}, "/confidence"),
        ({"summary": "x" * 20_001}, "/summary"),
        ({"context": [{"role": "root", "content": ""}]}, "/context/0/role"),
        ({"context": [{"role": "user"}]}, "/context/0/content"),
        ({"context": [{"role": "user", "content": ""}, {"role": "user", "content": "", "x": 1}]}, "/context/1/x"),
        ({"context": [{"role": "user", "content": ""}] * 501}, "/context"),
        ({"subject": {"type": "t"}}, "/subject/id"),
        ({"subject": "c-17"}, "/subject"),
        ({"parent_id": "nope"}, "/parent_id"),
        ({"parent_id": "00000000-0000-0000-0000-000000000000"}, "/parent_id"),
        ({"priority": "now"}, "/priority"),
        ({"expires_in": 1}, "/expires_in"),
        ({"expires_in": 1e9}, "/expires_in"),
        ({"metadata": []}, "/metadata"),
        ({"arguments": {"order_id": 5, "amount": 1}}, "/arguments/order_id"),
        ({"arguments": {"amount": 1}}, "/arguments"),
        ({"arguments": {"order_id": "A", "amount": -1}}, "/arguments/amount"),
        ({"arguments": {"order_id": "A", "amount": 1, "x": 1}}, "/arguments"),
        ({"arguments": {"order_id": "x" * 41, "amount": 1}}, "/arguments/order_id"),
    ],
    ids=lambda value: str(value)[:48],
)  # fmt: skip
def test_a_field_that_is_wrong_is_named_by_its_pointer(changed: dict[str, Any], field: str) -> None:
    the = desk()
    body = {"action_type": the.action_type.name, "arguments": ARGUMENTS, **changed}
    answer = AgentCalls(the).post_raw(json.dumps(body).encode())
    problem(answer, 422, answer.code)
    assert answer.code in ("fields_invalid", "arguments_invalid")
    assert [error["field"] for error in answer.body["errors"]] == [field]


def test_a_missing_field_is_named() -> None:
    the = desk()
    answer = problem(AgentCalls(the).post_raw(b'{"action_type":"x"}'), 422, "fields_invalid")
    assert answer.body["errors"][0]["field"] == "/arguments"
    for top in (b"[]", b"5", b"null", b'"x"'):
        problem(AgentCalls(the).post_raw(top), 422, "fields_invalid")


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/api/v1/proposals?limit=0", "limit"),
        ("/api/v1/proposals?limit=101", "limit"),
        ("/api/v1/proposals?limit=-1", "limit"),
        ("/api/v1/proposals?limit=٣", "limit"),
        ("/api/v1/proposals?limit=" + "9" * 400, "limit"),
        ("/api/v1/proposals?status=nope", "status"),
        ("/api/v1/proposals?status=%00", "status"),
        ("/api/v1/proposals?cursor=x", "cursor"),
        ("/api/v1/proposals?cursor=%00", "cursor"),
    ],
)
def test_parameters_are_checked(path: str, field: str) -> None:
    answer = problem(call("GET", path, desk().token), 422, "fields_invalid")
    assert answer.body["errors"][0]["field"] == field


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/api/v1/nothing", 404, "not_found"),
        ("GET", "/api/v1/proposals/", 404, "not_found"),
        ("GET", "/api/v1/proposals/not-a-uuid", 404, "not_found"),
        ("GET", "/api/v1/proposals/%00", 404, "not_found"),
        ("GET", "/api/v1/proposals/../me", 404, "not_found"),
        ("GET", "/.well-known/nothing", 404, "not_found"),
        ("DELETE", "/api/v1/proposals", 405, "method_not_allowed"),
        ("PUT", "/api/v1/me", 405, "method_not_allowed"),
        ("GET", "/api/v1/proposals/00000000-0000-0000-0000-000000000000/redeem", 405, "method_not_allowed"),
        ("GET", "/api/v1/proposals/00000000-0000-0000-0000-000000000000", 404, "not_found"),
    ],
)
def test_wrong_addresses_and_methods_are_problems(method: str, path: str, status: int, code: str) -> None:
    problem(call(method, path, desk().token), status, code)


# Whatever is sent


FIELDS = st.fixed_dictionaries(
    {},
    optional={
        name: VALUES | st.text(max_size=30)
        for name in (
            "action_type", "arguments", "summary", "reasoning", "confidence", "context", "subject", "trace_id",
            "parent_id", "priority", "expires_in", "current_state", "metadata",
        )
    },
)  # fmt: skip
FUZZ = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
STATUSES = {200, 201, 400, 404, 409, 413, 415, 422}


@pytest.fixture
def the() -> Desk:
    return desk()


@FUZZ
@given(changed=FIELDS)
def test_no_fields_end_in_a_fault_of_ours(the: Desk, changed: dict[str, Any]) -> None:
    body = {"action_type": the.action_type.name, "arguments": ARGUMENTS, **changed}
    answer = AgentCalls(the).post_raw(json.dumps(body).encode())
    assert answer.status in STATUSES
    if answer.status == 201:
        assert AgentCalls(the).read(answer.body["id"]).body == answer.body


@FUZZ
@given(arguments=st.dictionaries(st.text(max_size=10), VALUES, max_size=5), context=st.text(max_size=40))
def test_no_arguments_end_in_a_fault_of_ours(the: Desk, arguments: dict[str, Any], context: str) -> None:
    type(the.action_type).objects.update(schema={"type": "object"})
    authority.bump()
    text = context.encode("utf-8", "ignore").decode().replace("\x00", "")
    answer = AgentCalls(the).propose(
        arguments,
        summary=text,
        context=[{"role": "tool", "content": text, "name": text}],
        subject={"type": "t", "id": text or "x"},
        metadata=arguments,
        current_state=arguments,
    )
    assert answer.status in STATUSES
    if answer.status == 201:
        assert AgentCalls(the).read(answer.body["id"]).body == answer.body
        row = Proposal.objects.get(pk=answer.body["id"])
        assert (row.summary, row.context[0]["content"], row.metadata) == (text, text, arguments)


@FUZZ
@given(data=st.binary(max_size=300))
def test_no_bytes_end_in_a_fault_of_ours(the: Desk, data: bytes) -> None:
    answer = AgentCalls(the).post_raw(data)
    assert answer.status in STATUSES - {200, 201}


@FUZZ
@given(
    body=st.fixed_dictionaries(
        {},
        optional={
            "status": VALUES | st.sampled_from(["succeeded", "failed"]),
            "result": VALUES,
            "external_id": VALUES | st.text(max_size=250),
            "cost": VALUES,
            "occurred_at": VALUES | st.datetimes(timezones=st.timezones()).map(lambda at: at.isoformat()),
        },
    )
)
def test_no_report_ends_in_a_fault_of_ours(the: Desk, body: dict[str, Any]) -> None:
    proposal = the.approved()
    redeem.redeem(proposal_id=proposal.pk, bearer=the.bearer, digest=proposal.digest)
    path = f"/api/v1/proposals/{proposal.pk}/outcome"
    answer = call("POST", path, the.token, json.dumps(body).encode())
    assert answer.status in STATUSES
    if answer.status == 200:
        assert call("POST", path, the.token, json.dumps(body).encode()).status == 200
        assert AgentCalls(the).read(proposal.pk).body == answer.body


@pytest.mark.parametrize(
    "occurred_at",
    [
        "0001-01-01T00:00:00+14:00",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59.999999-14:00",
        "9999-12-31T23:59:59Z",
        "2016-12-31T23:59:60Z",
        "2026-01-01T00:00:00+23:59",
        "2026-01-01T00:00:00",
        "2026-02-30T00:00:00Z",
    ],
)
def test_no_time_ends_in_a_fault_of_ours(the: Desk, occurred_at: str) -> None:
    proposal = the.approved()
    redeem.redeem(proposal_id=proposal.pk, bearer=the.bearer, digest=proposal.digest)
    answer = AgentCalls(the).do(proposal.pk, "outcome", status="succeeded", occurred_at=occurred_at)
    assert answer.status in (200, 422)
    assert AgentCalls(the).read(proposal.pk).status == 200
    if answer.status == 422:
        assert answer.body["errors"][0]["field"] == "/occurred_at"


@pytest.fixture
def proposal(the: Desk) -> Proposal:
    return the.approved()


@FUZZ
@given(digest=VALUES, grant=(VALUES | st.text(max_size=60)).filter(lambda value: value is not None))
def test_no_redemption_ends_in_a_fault_of_ours(
    the: Desk, proposal: Proposal, digest: Any, grant: Any
) -> None:
    for body in ({"digest": digest}, {"digest": proposal.digest, "grant": grant}):
        answer = AgentCalls(the).do(proposal.pk, "redeem", **body)
        assert answer.status in STATUSES - {200}


@FUZZ
@given(
    headers=st.dictionaries(
        st.sampled_from(["Authorization", "Idempotency-Key", "X-Request-ID", "Content-Encoding"]),
        st.text(st.characters(codec="latin-1"), max_size=80),
    )
)
def test_no_header_ends_in_a_fault_of_ours(the: Desk, headers: dict[str, str]) -> None:
    sent: dict[str, Any] = {"Authorization": f"Bearer {the.token}", "Idempotency-Key": "k", **headers}
    body = {"action_type": the.action_type.name, "arguments": ARGUMENTS}
    answer = call("POST", "/api/v1/proposals", "", body, **{n.replace("-", "_"): v for n, v in sent.items()})
    assert answer.status in STATUSES | {401}
    assert "\n" not in answer.headers["X-Request-ID"]
