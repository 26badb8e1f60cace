"""POST /v1/traces over HTTP: an exporter's own bytes, and the answers that exporters act on."""

import gzip
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import OperationalError
from django.http import HttpResponse
from django.test import Client
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from agents import otlp
from agents.models import Activity
from approvals import crowding, traces
from audit.models import AuditEvent
from tests.agents.spans import TRACE, request, run, span
from tests.agents.test_otlp import as_otlp_json
from tests.factories import Desk, desk

pytestmark = pytest.mark.django_db
URL = "/v1/traces"
CHAT = {"gen_ai.operation.name": "chat"}


def send(the: Desk | None, body: bytes, kind: str = otlp.PROTOBUF, **headers: str) -> HttpResponse:
    given = {**(the.headers if the else {}), **headers}
    answer = Client().post(URL, body, content_type=kind, headers=given)
    assert isinstance(answer, HttpResponse)
    return answer


def partial(answer: HttpResponse) -> tuple[int, str]:
    said = ExportTraceServiceResponse.FromString(answer.content).partial_success
    return said.rejected_spans, said.error_message


def message_of(answer: HttpResponse) -> str:
    """The message of a google.rpc.Status in protobuf: field 2, which is all that follows code and tag here."""
    assert answer["Content-Type"] == otlp.PROTOBUF
    assert answer.content[0] == 0x08
    assert answer.content[2] == 0x12
    return answer.content[3:].decode("utf-8", "replace")


def test_an_exporters_bytes_become_what_the_agent_did() -> None:
    the = desk()
    answer = send(the, run().SerializeToString())
    assert (answer.status_code, answer.content, answer["Content-Type"]) == (200, b"", otlp.PROTOBUF)
    kinds = Activity.objects.order_by("started_at", "position").values_list("kind", flat=True)
    assert list(kinds) == ["step", "prompt", "output", "tool_call", "tool_result", "prompt", "output"]
    assert set(Activity.objects.values_list("agent", "trace_id")) == {(the.agent.pk, TRACE)}
    event = AuditEvent.objects.get(kind="activity.recorded").data
    assert len(event["detail"]["items"]) == 7


def test_json_and_gzip_lead_to_the_very_same() -> None:
    the, message = desk(), run()
    assert send(the, message.SerializeToString()).status_code == 200
    first = set(Activity.objects.values_list("pk", flat=True))
    for answer in (
        send(the, as_otlp_json(message), otlp.JSON),
        send(the, as_otlp_json(message), "application/json; charset=utf-8"),
        send(the, gzip.compress(message.SerializeToString()), **{"Content-Encoding": "gzip"}),
        send(the, gzip.compress(as_otlp_json(message)), otlp.JSON, **{"Content-Encoding": "gzip"}),
    ):
        assert answer.status_code == 200
        assert answer.content in (b"", b"{}")
    assert set(Activity.objects.values_list("pk", flat=True)) == first


def test_an_empty_request_is_a_success() -> None:
    """Django's client names no type for a body of no bytes."""
    for kind in (otlp.PROTOBUF, otlp.JSON):
        assert (
            send(desk(), b"{}" if kind == otlp.JSON else b"", kind, **{"Content-Type": kind}).status_code
            == 200
        )


def test_spans_that_cannot_be_used_are_counted_and_the_others_kept() -> None:
    old = datetime.now(UTC) - timedelta(days=365)
    message = request(span("chat", 1, CHAT), span("chat", 2, CHAT, at=old), span("chat", 3, CHAT, at=old))
    rejected, why = partial(send(desk(), message.SerializeToString()))
    assert rejected == 2
    assert "started_at must be within the last 90 days" in why
    assert Activity.objects.count() == 2
    answer = send(desk(), as_otlp_json(message), otlp.JSON).content
    assert json.loads(answer)["partialSuccess"]["rejectedSpans"] == "2"


def test_a_span_told_otherwise_is_refused_and_the_first_stands() -> None:
    the, at = desk(), datetime.now(UTC) - timedelta(minutes=1)
    send(the, request(span("chat", 1, {**CHAT, "gen_ai.input.messages": "a"}, at=at)).SerializeToString())
    answer = send(
        the, request(span("chat", 1, {**CHAT, "gen_ai.input.messages": "b"}, at=at)).SerializeToString()
    )
    assert partial(answer) == (
        1,
        "1 refused: a span was recorded earlier saying something else, and that stands",
    )


def test_spans_beyond_the_most_are_counted() -> None:
    other = span("GET", 1, {"http.request.method": "GET"})
    answer = send(desk(), request(*[other] * (otlp.MOST_SPANS + 5)).SerializeToString())
    assert partial(answer) == (5, f"5 refused: at most {otlp.MOST_SPANS} spans are taken at once")


BOMB = gzip.compress(b"\x00" * (100 * 1024 * 1024), 9)


@pytest.mark.parametrize(
    ("body", "kind", "headers", "status", "says"),
    [
        (b"\xff", otlp.PROTOBUF, {}, 400, "no ExportTraceServiceRequest"),
        (b"plain", otlp.PROTOBUF, {"Content-Encoding": "gzip"}, 400, "not gzip"),
        (BOMB, otlp.PROTOBUF, {"Content-Encoding": "gzip"}, 413, "when it is decompressed"),
        (b"\x00" * (otlp.MOST_SENT + 1), otlp.PROTOBUF, {}, 413, "bytes; at most"),
        (b"", "text/plain", {}, 415, "Send application/x-protobuf"),
        (b"x", otlp.PROTOBUF, {"Content-Encoding": "zstd"}, 415, "gzipped"),
        (b"", otlp.PROTOBUF, {"Authorization": "Bearer none"}, 401, "malformed"),
        (b"", otlp.PROTOBUF, {"Authorization": ""}, 401, "Authorization: Bearer"),
    ],
)  # fmt: skip
def test_every_refusal_is_a_status(
    body: bytes, kind: str, headers: dict[str, str], status: int, says: str
) -> None:
    answer = send(desk(), body, kind, **headers)
    assert answer.status_code == status
    assert says in message_of(answer)
    assert not Activity.objects.exists()


def test_a_refusal_of_json_is_json() -> None:
    answer = send(desk(), b"{", otlp.JSON)
    assert (answer.status_code, answer["Content-Type"]) == (400, otlp.JSON)
    assert json.loads(answer.content)["code"] == 3


def test_another_method_is_refused() -> None:
    answer = Client().get(URL)
    assert (answer.status_code, answer["Allow"]) == (405, "POST")


def test_a_reviewers_session_is_no_credential() -> None:
    the = desk()
    client = Client()
    client.force_login(the.reviewer)
    assert client.post(URL, run().SerializeToString(), content_type=otlp.PROTOBUF).status_code == 401


def test_too_much_at_once_is_to_be_sent_again() -> None:
    the = desk()
    with crowding.beside_proposals(), crowding.beside_proposals():
        answer = send(the, run().SerializeToString())
    assert (answer.status_code, answer["Retry-After"]) == (429, "1")
    assert send(the, run().SerializeToString()).status_code == 200


def test_a_database_that_is_away_is_to_be_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*given: Any) -> dict[str, tuple[str, str]]:
        raise OperationalError("the connection is lost")

    monkeypatch.setattr(traces, "subjects", away)
    answer = send(desk(), run().SerializeToString())
    assert (answer.status_code, answer["Retry-After"]) == (503, "2")
    assert "Send the same again" in message_of(answer)
