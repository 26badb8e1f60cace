"""OTLP's two encodings lead to the same spans, and nothing hostile in them gets far."""

import base64
import gzip
import json
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from agents import otlp
from tests.agents.spans import TRACE, request, run, span


def as_otlp_json(message: ExportTraceServiceRequest) -> bytes:
    """Protobuf's own JSON, with the two differences that OTLP has: hexadecimal ids and numbers for enums."""

    def hexed(value: Any) -> Any:
        if isinstance(value, list):
            return [hexed(one) for one in value]
        if isinstance(value, dict):
            return {
                key: base64.b64decode(one).hex().upper()
                if key in ("traceId", "spanId", "parentSpanId")
                else hexed(one)
                for key, one in value.items()
            }
        return value

    return json.dumps(hexed(MessageToDict(message, use_integers_for_enums=True))).encode()


def test_both_encodings_say_the_same() -> None:
    message = run()
    assert otlp.read_json(as_otlp_json(message)) == otlp.read_protobuf(message.SerializeToString())


def test_every_kind_of_value_comes_through_in_both() -> None:
    said = {
        "a": "x",
        "b": True,
        "c": -7,
        "d": 1.5,
        "e": ["x", 2, False],
        "f": {"g": {"h": "i"}},
        "j": b"\x00\xff",
    }
    message = request(span("s", 1, said))
    for found in (otlp.read_protobuf(message.SerializeToString()), otlp.read_json(as_otlp_json(message))):
        assert found.spans[0].attributes == {**said, "j": "AP8="}


def test_infinities_are_said_in_words_for_json_has_none() -> None:
    message = request(span("s", 1, {"a": float("nan"), "b": float("-inf")}))
    assert otlp.read_protobuf(message.SerializeToString()).spans[0].attributes == {"a": "nan", "b": "-inf"}


def test_times_may_be_numbers_or_strings_and_unknown_members_are_ignored() -> None:
    one = {
        "traceId": TRACE.upper(),
        "spanId": "00F067AA0BA902B7",
        "startTimeUnixNano": 1544712660000000000,
        "new": {},
    }
    body = {"resourceSpans": [{"scopeSpans": [{"spans": [one]}], "later": [1]}], "alsoNew": None}
    found = otlp.read_json(json.dumps(body).encode()).spans[0]
    assert (found.trace, found.span, found.started) == (TRACE, "00f067aa0ba902b7", 1544712660000000000)


def test_an_empty_request_is_none_at_all() -> None:
    assert otlp.read_protobuf(b"").spans == otlp.read_json(b"{}").spans == []


@pytest.mark.parametrize(
    "body",
    [
        b"[",
        b"[]",
        b'"x"',
        b'{"resourceSpans": {}}',
        b'{"resourceSpans": [1]}',
        b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "xyz"}]}]}]}',
        b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": 7}]}]}]}',
        b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"startTimeUnixNano": "soon"}]}]}]}',
        b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"startTimeUnixNano": "\xd9\xa1"}]}]}]}',
        b'{"resourceSpans": [], "resourceSpans": []}',
        b'{"a": NaN}',
        b'{"a": "\\ud800"}',
        b'{"a": "\\u0000"}',
        b'{"a": 123456789012345678901234567890}',
        b"[" * 100_000,
        b"\xff\xfe", b"null",
    ],
)  # fmt: skip
def test_json_that_is_none_is_refused(body: bytes) -> None:
    with pytest.raises(otlp.BadTraces):
        otlp.read_json(body)


def test_a_protobuf_of_endless_depth_is_refused() -> None:
    value = b"\x0a\x01x"
    for _ in range(200):
        inner = b"\x0a" + _varint(len(value)) + value  # ArrayValue.values
        value = b"\x2a" + _varint(len(inner)) + inner  # AnyValue.array_value
    pair = b"\x0a\x01k\x12" + _varint(len(value)) + value
    body = b"\x4a" + _varint(len(pair)) + pair  # Span.attributes
    for number in (b"\x12", b"\x12", b"\x0a"):
        body = number + _varint(len(body)) + body
    with pytest.raises(otlp.BadTraces):
        otlp.read_protobuf(body)


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 127:
        found.append(number % 128 + 128)
        number //= 128
    return bytes([*found, number])


@given(st.binary(max_size=300))
def test_any_bytes_are_traces_or_refused(data: bytes) -> None:
    for read in (otlp.read_protobuf, otlp.read_json):
        try:
            found = read(data)
        except otlp.BadTraces:
            continue
        assert isinstance(found, otlp.Traces)


def test_spans_beyond_the_most_are_counted_and_not_read() -> None:
    one = span("s", 1, {})
    found = otlp.read_protobuf(request(*[one] * (otlp.MOST_SPANS + 3)).SerializeToString())
    assert (len(found.spans), found.beyond) == (otlp.MOST_SPANS, 3)


@pytest.mark.parametrize(
    "body",
    [
        b"\x0a\x00" * (otlp.MOST_BYTES // 2),
        request(span("s", 1, {"a": [None] * (otlp.MOST_PARTS + 1)})).SerializeToString(),
        request(span("s", 1, {f"k{n}": ["x"] * 1000 for n in range(201)})).SerializeToString(),
        request(span("s", 1, {"a": {f"k{n}": n for n in range(otlp.MOST_PARTS)}})).SerializeToString(),
    ],
)
def test_many_parts_in_a_small_body_are_refused(body: bytes) -> None:
    assert len(body) <= otlp.MOST_BYTES
    with pytest.raises(otlp.TooMuch):
        otlp.read_protobuf(body)


def test_many_parts_of_json_are_refused() -> None:
    with pytest.raises(otlp.TooMuch):
        otlp.read_json(b'{"resourceSpans":[' + b"{}," * otlp.MOST_PARTS + b"{}]}")


def test_a_bomb_is_never_expanded() -> None:
    bomb = gzip.compress(b"\x00" * (200 * 1024 * 1024), 9)
    assert len(bomb) < otlp.MOST_SENT
    with pytest.raises(otlp.TooMuch):
        otlp.inflate(bomb)


def test_a_bomb_of_many_members_is_never_expanded_either() -> None:
    member = gzip.compress(b"\x00" * (otlp.MOST_BYTES // 2), 9)
    assert len(otlp.inflate(member * 2)) == otlp.MOST_BYTES
    with pytest.raises(otlp.TooMuch):
        otlp.inflate(member * 3)


@pytest.mark.parametrize(
    "data",
    [b"no gzip", gzip.compress(b"whole")[:-4], gzip.compress(b"a") + b"rest"],
    ids=["no gzip", "cut short", "more behind it"],  # what gzip writes holds the time
)
def test_gzip_that_is_none_is_refused(data: bytes) -> None:
    with pytest.raises(otlp.BadTraces):
        otlp.inflate(data)


def test_answers_are_what_an_exporter_reads() -> None:
    assert otlp.answer(otlp.PROTOBUF, rejected=0, why="") == b""
    assert otlp.answer(otlp.JSON, rejected=0, why="") == b"{}"
    read = ExportTraceServiceResponse.FromString(otlp.answer(otlp.PROTOBUF, rejected=2, why="too old"))
    assert (read.partial_success.rejected_spans, read.partial_success.error_message) == (2, "too old")
    assert json.loads(otlp.answer(otlp.JSON, rejected=2, why="too old")) == {
        "partialSuccess": {"rejectedSpans": "2", "errorMessage": "too old"}
    }


def test_a_status_has_code_and_message() -> None:
    words = "too large: é" * 40
    assert json.loads(otlp.status(otlp.JSON, 3, words)) == {"code": 3, "message": words}
    size = len(words.encode())
    assert otlp.status(otlp.PROTOBUF, 3, words) == b"\x08\x03\x12" + _varint(size) + words.encode()
