"""POST /api/v1/activity over HTTP: what is stored, once, for whom, and how a wrong item is answered."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from jsonschema_rs import Draft202012Validator

from agents.activity_items import LONGEST, MOST_BYTES, subject_of
from agents.models import Activity
from agents.services import credentials
from approvals import crowding, openapi, openapi_activity, redaction, traces
from approvals.models import Verdict
from approvals.requests import Subject
from approvals.services.erase import erase
from audit import content, keys
from audit.models import AuditEvent, Content
from tests.agents.spans import TRACE
from tests.factories import Desk, admin, desk

pytestmark = pytest.mark.django_db
URL = "/api/v1/activity"


def item(**changes: Any) -> dict[str, Any]:
    begun = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=1)
    return {
        "kind": "prompt",
        "trace_id": "t-1",
        "span_id": "s-1",
        "name": "chat m-large",
        "content": "Where is my order?",
        "started_at": begun.isoformat(),
        **changes,
    }


def send(the: Desk, *items: Any, expect: int = 200) -> Any:
    answer = Client().post(
        URL, json.dumps({"items": items}), content_type="application/json", headers=the.headers
    )
    assert answer.status_code == expect, answer.content
    return answer.json()


def said(row: Activity) -> bytes:
    assert row.content is not None
    body = content.open_all([row.content])[row.content.pk]
    assert isinstance(body, bytes)
    return body


def recorded() -> list[dict[str, Any]]:
    return [event.data for event in AuditEvent.objects.filter(kind="activity.recorded").order_by("pk")]


def test_what_an_agent_did_is_kept_with_all_it_says() -> None:
    the = desk()
    begun = datetime.now(UTC).replace(microsecond=123000) - timedelta(minutes=1)
    answer = send(
        the,
        item(model="m", started_at=begun.isoformat(), ended_at=(begun + timedelta(seconds=2)).isoformat(),
             facts={"input_tokens": 7, "temperature": 0.5}, parent_span_id="p"),
        item(kind="tool_call", name="track", content={"order": ["A", 1, None, "é"]}, failed=True),
        item(kind="step", name="plan", content=None),
    )  # fmt: skip
    assert [one["status"] for one in answer["items"]] == ["recorded"] * 3
    prompt, call, step = (Activity.objects.get(pk=one["id"]) for one in answer["items"])
    assert (prompt.agent, prompt.credential_id) == (the.agent, the.credential.pk)
    assert (prompt.trace_id, prompt.span_id, prompt.parent_span_id, prompt.position) == ("t-1", "s-1", "p", 1)
    assert (prompt.kind, prompt.name, prompt.model, prompt.failed) == ("prompt", "chat m-large", "m", False)
    assert (prompt.started_at, prompt.ended_at) == (begun, begun + timedelta(seconds=2))
    assert prompt.facts == {"input_tokens": 7, "temperature": 0.5}
    assert (said(prompt), said(call)) == (b"Where is my order?", '{"order":["A",1,null,"é"]}'.encode())
    assert (call.failed, step.content) == (True, None)


def test_nothing_of_a_content_stands_in_the_database_in_the_clear() -> None:
    the = desk()
    send(the, item(content="the customer's secret"))
    row = Content.objects.get()
    assert row.ciphertext is not None
    assert b"secret" not in bytes(row.ciphertext)
    assert "secret" not in AuditEvent.objects.get(kind="activity.recorded").content


def test_the_same_sent_twice_is_stored_once_and_answered_the_same() -> None:
    the = desk()
    batch = [item(), item(kind="output", content="Lost."), item(span_id=None, content="no span"), item()]
    first, second = send(the, *batch), send(the, *batch)
    assert first == second
    assert first["items"][0] == first["items"][3]
    assert Activity.objects.count() == Content.objects.count() == 3
    assert len(recorded()) == 1


def test_items_without_a_span_are_the_same_only_where_they_say_the_same() -> None:
    the = desk()
    one, other = item(span_id=None, content="a"), item(span_id=None, content="b")
    answer = send(the, one, other, one)["items"]
    assert answer[0]["id"] == answer[2]["id"] != answer[1]["id"]


@pytest.mark.parametrize(
    "change",
    [
        {"content": "something else"},
        {"content": None},
        {"name": "another"},
        {"model": "m-2"},
        {"failed": True},
        {"facts": {"input_tokens": 8}},
        {"parent_span_id": "q"},
        {"kind": "output", "position": 1},
    ],
)
def test_a_part_told_otherwise_the_second_time_is_refused_and_the_first_stands(
    change: dict[str, Any],
) -> None:
    the = desk()
    begun = datetime.now(UTC).isoformat()
    first = send(the, item(started_at=begun))["items"][0]
    again = send(the, item(started_at=begun, **change))["items"][0]
    assert again["status"] == "refused"
    assert again["errors"][0]["field"] == "/items/0/span_id"
    assert said(Activity.objects.get()) == b"Where is my order?"
    assert send(the, item(started_at=begun))["items"][0] == first


def test_a_result_per_item_in_their_order_and_each_error_names_its_field() -> None:
    the = desk()
    answer = send(
        the,
        item(),
        item(kind="thought"),
        item(colour="red"),
        item(trace_id=""),
        item(name="x" * 201),
        item(facts={"customer": "Anna"}),
        item(facts={"input_tokens": -1}),
        item(started_at="yesterday"),
        item(started_at="2026-11-22T10:00:00"),
        item(started_at=(datetime.now(UTC) + timedelta(days=2)).isoformat()),
        item(started_at="1999-01-01T00:00:00Z"),
        item(ended_at="2020-01-01T00:00:00Z"),
        item(kind="step"),
        item(content="x" * (LONGEST + 1)),
        {"kind": "prompt"},
        7,
        item(span_id="s-2"),
    )["items"]
    assert [number for number, one in enumerate(answer) if one["status"] == "recorded"] == [0, 16]
    assert [one["errors"][0]["field"] for one in answer if one["status"] == "refused"] == [
        "/items/1/kind", "/items/2/colour", "/items/3/trace_id", "/items/4/name", "/items/5/facts/customer",
        "/items/6/facts/input_tokens", "/items/7/started_at", "/items/8/started_at", "/items/9/started_at",
        "/items/10/started_at", "/items/11/ended_at", "/items/12/content", "/items/13/content", "/items/14/trace_id",
        "/items/15",
        ]  # fmt: skip
    assert Activity.objects.count() == 2


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b'{"items": [], "items": []}', 400, "bad_request"),
        (b'{"items": [NaN]}', 400, "bad_request"),
        (b'{"items": ["\\ud800"]}', 400, "bad_request"),
        (b'{"items": [' + b"[" * 100_000, 400, "bad_request"),
        (b'{"items": []}', 422, "fields_invalid"),
        (b'{"item": [1]}', 422, "fields_invalid"),
        (json.dumps({"items": [{}] * 501}).encode(), 422, "fields_invalid"),
        (b" " * (MOST_BYTES + 1), 413, "body_too_large"),
    ],
)
def test_a_body_that_is_no_batch_is_refused_whole(body: bytes, status: int, code: str) -> None:
    answer = Client().post(URL, body, content_type="application/json", headers=desk().headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_a_prompt_of_half_a_mebibyte_is_taken() -> None:
    the = desk()
    assert send(the, item(content="x" * LONGEST))["items"][0]["status"] == "recorded"
    assert len(said(Activity.objects.get())) == LONGEST


def test_only_an_agents_own_credential_may_tell() -> None:
    the = desk()
    credentials.revoke(credential_id=the.credential.pk, actor=the.agent.owner)
    assert send(the, item(), expect=401)["code"] == "bad_credential"
    assert Client().post(URL, "{}", content_type="application/json").status_code == 401
    assert Client().get(URL, headers=the.headers).status_code == 405
    assert not Activity.objects.exists()


def test_two_agents_may_use_the_same_trace_and_span() -> None:
    ours, theirs = desk(), desk()
    assert send(ours, item())["items"][0]["id"] != send(theirs, item(content="else"))["items"][0]["id"]


def test_one_event_per_trace_names_every_item_and_the_commitment_of_its_content() -> None:
    the = desk()
    send(the, item(), item(kind="output", content="Lost."), item(trace_id="t-2"))
    first, second = recorded()
    assert (first["object"], second["object"]) == (
        {"type": "trace", "id": "t-1"},
        {"type": "trace", "id": "t-2"},
    )
    assert first["actor"] == {"kind": "agent", "id": str(the.agent.pk), "label": the.agent.slug}
    rows = {str(row.pk): row for row in Activity.objects.filter(trace_id="t-1").select_related("content")}
    assert {one["id"] for one in first["detail"]["items"]} == set(rows)
    for one in first["detail"]["items"]:
        kept = rows[one["id"]].content
        assert kept is not None
        assert (one["content"], one["size"]) == (str(kept.pk), kept.size)
        assert one["commitment"] == bytes(kept.commitment).hex()
        assert (one["name"], one["span"]) == ("chat m-large", "s-1")


def test_the_events_of_a_full_batch_stay_bounded() -> None:
    the = desk()
    send(
        the,
        *(
            item(span_id=f"s-{number}", name="n" * 200, model="m" * 120, content=None)
            for number in range(500)
        ),
    )
    sizes = [len(event.content) for event in AuditEvent.objects.filter(kind="activity.recorded")]
    assert len(sizes) == 5
    assert max(sizes) < 100_000


def subject_keys() -> set[str]:
    return set(Content.objects.values_list("subject", flat=True))


def test_content_is_kept_under_the_key_of_whom_the_proposal_is_about() -> None:
    the = desk()
    the.propose(trace_id="t-1", subject=Subject("customer", "c-17"))
    send(the, item(subject={"type": "customer", "id": "somebody else"}))
    assert keys.reference(("customer", "c-17")) in subject_keys()
    assert keys.reference(("customer", "somebody else")) not in subject_keys()


def test_else_under_the_key_of_whom_the_item_names() -> None:
    the = desk()
    send(the, item(subject={"type": "customer", "id": "c-18"}))
    assert subject_keys() == {keys.reference(("customer", "c-18"))}


@pytest.mark.parametrize("written", [TRACE, TRACE.upper(), f"00-{TRACE}-00f067aa0ba902b7-01"])
def test_what_comes_before_the_proposal_has_a_key_that_the_subject_leads_to(written: str) -> None:
    the = desk()
    send(the, item(trace_id=TRACE))
    reference = keys.reference(subject_of(the.agent.slug, TRACE))
    assert subject_keys() == {reference}
    the.propose(trace_id=written, subject=Subject("customer", "c-19"))
    assert redaction.traces(redaction.Subject("customer", "C-19")) == {
        reference: subject_of(the.agent.slug, TRACE)
    }


def test_erasing_the_subject_takes_what_came_before_the_proposal() -> None:
    the = desk()
    send(the, item(trace_id=TRACE))
    proposal = the.propose(trace_id=TRACE, subject=Subject("customer", "c-20"))
    the.decide(proposal, Verdict.REJECT)
    erase(
        subject=redaction.Subject("customer", "c-20"), typed="c-20", reason="He asked for it.", actor=admin()
    )
    row = Activity.objects.select_related("content").get()
    assert row.content is not None
    assert row.content.ciphertext is None
    assert keys.identity(keys.reference(subject_of(the.agent.slug, TRACE))) is None
    assert row.content.commitment


def test_a_trace_of_two_subjects_belongs_to_neither_alone() -> None:
    the = desk()
    for name in ("c-1", "c-2"):
        the.propose(trace_id="t-1", subject=Subject("customer", name))
    before = subject_keys()
    send(the, item())
    assert subject_keys() - before == {keys.reference(subject_of(the.agent.slug, "t-1"))}


@pytest.mark.parametrize(
    "given",
    [
        "4bf92f3577b34da6a3ce929d0e0e4736",
        "4BF92F3577B34DA6A3CE929D0E0E4736",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    ],
)
def test_a_trace_id_may_be_written_in_three_ways(given: str) -> None:
    assert traces.key(given) == "4bf92f3577b34da6a3ce929d0e0e4736"


def test_an_own_trace_id_is_taken_as_it_is() -> None:
    assert traces.key("Run 17/a") == "Run 17/a"


def test_telling_leaves_places_for_asking() -> None:
    the = desk()
    with crowding.beside_proposals(), crowding.beside_proposals():
        answer = Client().post(
            URL, json.dumps({"items": [item()]}), content_type="application/json", headers=the.headers
        )
    assert (answer.status_code, answer.json()["code"]) == (429, "too_many_at_once")
    assert answer["Retry-After"] == "1"
    assert send(the, item())["items"][0]["status"] == "recorded"


def test_a_key_that_cannot_be_written_refuses_all_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    the = desk()

    def full(name: str) -> keys.Key:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(keys, "writing", full)
    answer = send(the, item(), item(kind="step", content=None), expect=503)
    assert answer["code"] == "keys_away"
    assert not Activity.objects.exists()
    assert not recorded()


def test_the_number_of_queries_does_not_grow_with_the_batch() -> None:
    """But for an event per hundred items."""
    the = desk()
    send(the, item())
    counts = []
    for size in (2, 300):
        with CaptureQueriesContext(connection) as captured:
            send(the, *(item(span_id=f"{size}-{number}", content=f"said {number}") for number in range(size)))
        counts.append(len(captured))
    assert counts[1] - counts[0] == 2


def test_the_api_document_says_what_is_taken_and_answered() -> None:
    document = openapi.document()
    components = {"components": document["components"]}

    def check(name: str, value: Any) -> list[str]:
        schema = {**document["components"]["schemas"][name], **components}
        return [
            error.message for error in Draft202012Validator(schema, validate_formats=True).iter_errors(value)
        ]

    assert check("ActivityBatch", openapi_activity.BODY_EXAMPLE) == []
    assert check("ActivityAnswer", openapi_activity.ANSWER_EXAMPLE) == []
    assert check("ActivityBatch", {"items": [item(colour="red")]})
    answer = send(
        desk(), item(), item(kind="thought"), {**openapi_activity.BODY_EXAMPLE["items"][0], **item()}
    )
    assert check("ActivityAnswer", answer) == []
    assert [one["status"] for one in answer["items"]] == ["recorded", "refused", "refused"]
