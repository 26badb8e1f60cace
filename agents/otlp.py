"""OTLP/HTTP as its specification (1.10) has it: bytes to spans, and answers back. Pure.

Both encodings lead to the same `Span`s. JSON is not protobuf's usual one: ids are hexadecimal, enums are numbers,
unknown members are ignored. Everything is bounded before it is looked at: bytes after decompression, spans, attributes
and events of a span, depth (protobuf's own 100, JSON's 64)."""

import base64
import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import msgspec
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1 import trace_pb2

from agents import strict_json

PROTOBUF, JSON = "application/x-protobuf", "application/json"
MOST_SENT = 2 * 1024 * 1024 - 1024
"""Bytes over the wire; the web process's own door (config/bridge.py) reads little more."""
MOST_BYTES = 4 * 1024 * 1024
"""Bytes after decompression."""
MOST_SPANS = 2048
MOST_ATTRIBUTES = 2048
MOST_PARTS = 200_000
"""Messages of one request that are looked at one by one: groups, scopes, spans, attributes, values inside values."""
MOST_EVENTS = 512
_ERROR = 2
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class BadTraces(ValueError):
    """The body is not what its content type says; the text tells the sender's developer."""


class TooMuch(ValueError):
    """It would be larger than `MOST_BYTES`."""


@dataclass(frozen=True, slots=True)
class Event:
    name: str
    attributes: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Span:
    """One span as it was sent. Ids are lower-case hexadecimal, `parent` is empty for a root. `started` and `ended` are
    nanoseconds since 1970; 0 says nothing. `resource` are the attributes of what it runs in."""

    trace: str
    span: str
    parent: str
    name: str
    started: int
    ended: int
    failed: bool
    attributes: dict[str, Any]
    events: list[Event] = field(default_factory=list)
    resource: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Traces:
    """What one request carries: at most `MOST_SPANS` spans, and how many more there were."""

    spans: list[Span] = field(default_factory=list)
    beyond: int = 0


def inflate(data: bytes) -> bytes:
    """Gunzip, one member after another, stopping as soon as it is too much: a bomb is never expanded (A6).

    Raises `TooMuch`, `BadTraces`."""
    found = bytearray()
    while data:
        engine = zlib.decompressobj(wbits=31)
        try:
            found += engine.decompress(data, MOST_BYTES + 1 - len(found))
        except zlib.error as error:
            raise BadTraces(f"the body is not gzip: {error}") from error
        if len(found) > MOST_BYTES:
            raise TooMuch(f"The body has more than {MOST_BYTES} bytes when it is decompressed.")
        if not engine.eof:
            raise BadTraces("the gzip body ends too early")
        data = engine.unused_data
    return bytes(found)


def moment(nanoseconds: int) -> datetime | None:
    """The time, to the microsecond. None for 0 and for what no calendar has."""
    try:
        return _EPOCH + timedelta(microseconds=nanoseconds // 1000) if nanoseconds > 0 else None
    except OverflowError:
        return None


class _Budget:
    """Counts the parts of one request, so that a small body of many empty ones costs no minutes."""

    def __init__(self) -> None:
        self.left = MOST_PARTS

    def spend(self, parts: int) -> None:
        self.left -= parts
        if self.left < 0:
            raise TooMuch(f"The request has more than {MOST_PARTS} parts; send fewer spans at once.")


# Protobuf


def read_protobuf(data: bytes) -> Traces:
    """Raises `BadTraces`, `TooMuch`."""
    request = ExportTraceServiceRequest()
    try:
        request.ParseFromString(data)
    except (DecodeError, RecursionError) as error:
        raise BadTraces(f"the body is no ExportTraceServiceRequest: {str(error)[:200]}") from error
    found, budget = Traces(), _Budget()
    budget.spend(len(request.resource_spans))
    for group in request.resource_spans:
        resource = _attributes(group.resource.attributes, budget) if group.HasField("resource") else {}
        budget.spend(len(group.scope_spans))
        for scope in group.scope_spans:
            room = MOST_SPANS - len(found.spans)
            found.beyond += max(0, len(scope.spans) - room)
            found.spans += [_span(span, resource, budget) for span in islice(scope.spans, room)]
    return found


def _span(span: trace_pb2.Span, resource: dict[str, Any], budget: _Budget) -> Span:
    budget.spend(1 + min(len(span.events), MOST_EVENTS))
    return Span(
        trace=span.trace_id.hex(),
        span=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        name=span.name,
        started=span.start_time_unix_nano,
        ended=span.end_time_unix_nano,
        failed=span.status.code == _ERROR,
        attributes=_attributes(span.attributes, budget),
        events=[
            Event(one.name, _attributes(one.attributes, budget)) for one in islice(span.events, MOST_EVENTS)
        ],
        resource=resource,
    )


def _attributes(pairs: Sequence[KeyValue], budget: _Budget) -> dict[str, Any]:
    budget.spend(min(len(pairs), MOST_ATTRIBUTES))
    return {pair.key: _value(pair.value, budget) for pair in islice(pairs, MOST_ATTRIBUTES)}


def _value(value: AnyValue, budget: _Budget) -> Any:
    match value.WhichOneof("value"):
        case "string_value":
            return value.string_value
        case "bool_value":
            return value.bool_value
        case "int_value":
            return value.int_value
        case "double_value":
            return _number(value.double_value)
        case "bytes_value":
            return base64.b64encode(value.bytes_value).decode()
        case "array_value":
            budget.spend(len(value.array_value.values))
            return [_value(one, budget) for one in value.array_value.values]
        case "kvlist_value":
            budget.spend(len(value.kvlist_value.values))
            return {pair.key: _value(pair.value, budget) for pair in value.kvlist_value.values}
        case _:
            return None


def _number(value: float) -> Any:
    """JSON has no NaN and no infinity; said in words they are still there to be read."""
    return value if math.isfinite(value) else str(value)


# JSON


def read_json(data: bytes) -> Traces:
    """Raises `BadTraces`, `TooMuch`."""
    try:
        request = strict_json.loads(data, wide=True)
    except strict_json.NotStrictJson as error:
        raise BadTraces(f"the body is not acceptable: {error}") from error
    if request is None:
        raise BadTraces("the body: an object is expected")
    found, budget = Traces(), _Budget()
    groups = _list(_dict(request, "the body"), "resourceSpans")
    budget.spend(len(groups))
    for group in groups:
        resource = _json_attributes(_dict(_dict(group, "resourceSpans").get("resource"), "resource"), budget)
        scopes = _list(group, "scopeSpans")
        budget.spend(len(scopes))
        for scope in scopes:
            spans = _list(_dict(scope, "scopeSpans"), "spans")
            room = MOST_SPANS - len(found.spans)
            found.beyond += max(0, len(spans) - room)
            found.spans += [_json_span(_dict(span, "spans"), resource, budget) for span in spans[:room]]
    return found


def _json_span(span: dict[str, Any], resource: dict[str, Any], budget: _Budget) -> Span:
    events = [_dict(one, "events") for one in _list(span, "events")[:MOST_EVENTS]]
    budget.spend(1 + len(events))
    return Span(
        trace=_hex(span, "traceId"),
        span=_hex(span, "spanId"),
        parent=_hex(span, "parentSpanId"),
        name=_text(span, "name"),
        started=_integer(span.get("startTimeUnixNano"), "startTimeUnixNano"),
        ended=_integer(span.get("endTimeUnixNano"), "endTimeUnixNano"),
        failed=_dict(span.get("status"), "status").get("code") == _ERROR,
        attributes=_json_attributes(span, budget),
        events=[Event(_text(one, "name"), _json_attributes(one, budget)) for one in events],
        resource=resource,
    )


def _json_attributes(holder: dict[str, Any], budget: _Budget) -> dict[str, Any]:
    return _json_pairs(_list(holder, "attributes")[:MOST_ATTRIBUTES], budget)


def _json_pairs(pairs: list[Any], budget: _Budget) -> dict[str, Any]:
    budget.spend(len(pairs))
    found = [_dict(pair, "attributes") for pair in pairs]
    return {_text(pair, "key"): _json_value(_dict(pair.get("value"), "value"), budget) for pair in found}


def _json_value(value: dict[str, Any], budget: _Budget) -> Any:
    if "stringValue" in value:
        return _text(value, "stringValue")
    if "boolValue" in value:
        return value["boolValue"] is True
    if "intValue" in value:
        return _integer(value["intValue"], "intValue")
    if "doubleValue" in value:
        number = value["doubleValue"]
        return number if isinstance(number, int | float) and not isinstance(number, bool) else str(number)
    if "bytesValue" in value:
        return _text(value, "bytesValue")
    if "arrayValue" in value:
        items = _list(_dict(value["arrayValue"], "arrayValue"), "values")
        budget.spend(len(items))
        return [_json_value(_dict(one, "values"), budget) for one in items]
    if "kvlistValue" in value:
        return _json_pairs(_list(_dict(value["kvlistValue"], "kvlistValue"), "values"), budget)
    return None


def _dict(value: Any, name: str) -> dict[str, Any]:
    """A missing message is an empty one, as in protobuf."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadTraces(f"{name}: an object is expected")
    return value


def _list(holder: dict[str, Any], name: str) -> list[Any]:
    value = holder.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise BadTraces(f"{name}: a list is expected")
    return value


def _text(holder: dict[str, Any], name: str) -> str:
    value = holder.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BadTraces(f"{name}: a string is expected")
    return value


def _hex(holder: dict[str, Any], name: str) -> str:
    text = _text(holder, name).lower()
    if not set(text) <= set("0123456789abcdef") or len(text) % 2:
        raise BadTraces(f"{name}: hexadecimal digits are expected")
    return text


def _integer(value: Any, name: str) -> int:
    """64-bit integers are strings in protobuf's JSON; numbers are accepted too."""
    if value is None:
        return 0
    if (
        isinstance(value, str)
        and 0 < len(value) <= 20
        and value.removeprefix("-").isdecimal()
        and value.isascii()
    ):
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise BadTraces(f"{name}: an integer is expected")


# Answers


def answer(kind: str, *, rejected: int, why: str) -> bytes:
    """An ExportTraceServiceResponse; `partial_success` is left out where there is nothing to say."""
    if kind == JSON:
        said = {"partialSuccess": {"rejectedSpans": str(rejected), "errorMessage": why}}
        return msgspec.json.encode(said if rejected or why else {})
    response = ExportTraceServiceResponse()
    if rejected or why:
        response.partial_success.rejected_spans = rejected
        response.partial_success.error_message = why
    written: bytes = response.SerializeToString()
    return written


def status(kind: str, code: int, message: str) -> bytes:
    """A google.rpc.Status: `code` of gRPC and a message; two fields, for which no package is needed."""
    if kind == JSON:
        return msgspec.json.encode({"code": code, "message": message})
    text = message.encode()
    return b"\x08" + _varint(code) + b"\x12" + _varint(len(text)) + text


def _varint(number: int) -> bytes:
    written = bytearray()
    while number > 0x7F:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    written.append(number)
    return bytes(written)
