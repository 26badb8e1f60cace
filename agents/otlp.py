"""OTLP/HTTP as its specification (1.10) has it: bytes to spans, and answers back. Pure.

Both encodings lead to the same `Span`s. JSON is not protobuf's usual one: ids are hexadecimal, enums are numbers,
unknown members are ignored. Everything is bounded before it is looked at: bytes after decompression, spans, attributes
and events of a span, depth (protobuf's own 100, JSON's 64)."""

import base64
import math
import zlib
from collections.abc import Iterable
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


# Protobuf


def read_protobuf(data: bytes) -> Traces:
    """Raises `BadTraces`."""
    request = ExportTraceServiceRequest()
    try:
        request.ParseFromString(data)
    except (DecodeError, RecursionError) as error:
        raise BadTraces(f"the body is no ExportTraceServiceRequest: {str(error)[:200]}") from error
    found = Traces()
    for group in request.resource_spans:
        resource = _attributes(group.resource.attributes) if group.HasField("resource") else {}
        for scope in group.scope_spans:
            for span in scope.spans:
                if len(found.spans) >= MOST_SPANS:
                    found.beyond += 1
                else:
                    found.spans.append(_span(span, resource))
    return found


def _span(span: trace_pb2.Span, resource: dict[str, Any]) -> Span:
    return Span(
        trace=span.trace_id.hex(),
        span=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        name=span.name,
        started=span.start_time_unix_nano,
        ended=span.end_time_unix_nano,
        failed=span.status.code == _ERROR,
        attributes=_attributes(span.attributes),
        events=[Event(one.name, _attributes(one.attributes)) for one in islice(span.events, MOST_EVENTS)],
        resource=resource,
    )


def _attributes(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in islice(pairs, MOST_ATTRIBUTES)}


def _value(value: AnyValue) -> Any:
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
            return [_value(one) for one in value.array_value.values]
        case "kvlist_value":
            return {pair.key: _value(pair.value) for pair in value.kvlist_value.values}
        case _:
            return None


def _number(value: float) -> Any:
    """JSON has no NaN and no infinity; said in words they are still there to be read."""
    return value if math.isfinite(value) else str(value)


# JSON


def read_json(data: bytes) -> Traces:
    """Raises `BadTraces`."""
    try:
        request = strict_json.loads(data, wide=True)
    except strict_json.NotStrictJson as error:
        raise BadTraces(f"the body is not acceptable: {error}") from error
    found = Traces()
    for group in _list(_dict(request, "the body"), "resourceSpans"):
        resource = _json_attributes(_dict(_dict(group, "resourceSpans").get("resource"), "resource"))
        for scope in _list(group, "scopeSpans"):
            for span in _list(_dict(scope, "scopeSpans"), "spans"):
                if len(found.spans) >= MOST_SPANS:
                    found.beyond += 1
                else:
                    found.spans.append(_json_span(_dict(span, "spans"), resource))
    return found


def _json_span(span: dict[str, Any], resource: dict[str, Any]) -> Span:
    events = [_dict(one, "events") for one in _list(span, "events")[:MOST_EVENTS]]
    return Span(
        trace=_hex(span, "traceId"),
        span=_hex(span, "spanId"),
        parent=_hex(span, "parentSpanId"),
        name=_text(span, "name"),
        started=_integer(span.get("startTimeUnixNano"), "startTimeUnixNano"),
        ended=_integer(span.get("endTimeUnixNano"), "endTimeUnixNano"),
        failed=_dict(span.get("status"), "status").get("code") == _ERROR,
        attributes=_json_attributes(span),
        events=[Event(_text(one, "name"), _json_attributes(one)) for one in events],
        resource=resource,
    )


def _json_attributes(holder: dict[str, Any]) -> dict[str, Any]:
    return _json_pairs(_list(holder, "attributes")[:MOST_ATTRIBUTES])


def _json_pairs(pairs: list[Any]) -> dict[str, Any]:
    found = [_dict(pair, "attributes") for pair in pairs]
    return {_text(pair, "key"): _json_value(_dict(pair.get("value"), "value")) for pair in found}


def _json_value(value: dict[str, Any]) -> Any:
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
        return [_json_value(_dict(one, "values")) for one in items]
    if "kvlistValue" in value:
        return _json_pairs(_list(_dict(value["kvlistValue"], "kvlistValue"), "values"))
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
