"""What a real exporter sends of an agent's run, built with OpenTelemetry's own messages."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
USER = "Where is my order A-1001? It should have been here on Monday."
SAID = "The parcel was lost. I propose to refund EUR 42.50."


def nanoseconds(moment: datetime) -> int:
    return round((moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1_000_000) * 1000


def any_value(value: Any) -> AnyValue:
    match value:
        case bool():
            return AnyValue(bool_value=value)
        case int():
            return AnyValue(int_value=value)
        case float():
            return AnyValue(double_value=value)
        case str():
            return AnyValue(string_value=value)
        case bytes():
            return AnyValue(bytes_value=value)
        case list():
            return AnyValue(array_value=ArrayValue(values=[any_value(one) for one in value]))
        case dict():
            return AnyValue(kvlist_value=KeyValueList(values=pairs(value)))
        case _:
            return AnyValue()


def pairs(values: dict[str, Any]) -> list[KeyValue]:
    return [KeyValue(key=key, value=any_value(value)) for key, value in values.items()]


def span(
    name: str,
    number: int,
    attributes: dict[str, Any],
    *,
    parent: int = 0,
    begin: float = 0,
    seconds: float = 1,
    at: datetime | None = None,
    failed: bool = False,
    events: list[tuple[str, dict[str, Any]]] | None = None,
    trace: str = TRACE,
) -> Span:
    started = (at or datetime.now(UTC) - timedelta(minutes=2)) + timedelta(seconds=begin)
    made = Span(
        trace_id=bytes.fromhex(trace),
        span_id=number.to_bytes(8),
        parent_span_id=parent.to_bytes(8) if parent else b"",
        name=name,
        kind=Span.SPAN_KIND_CLIENT,
        start_time_unix_nano=nanoseconds(started),
        end_time_unix_nano=nanoseconds(started + timedelta(seconds=seconds)),
        attributes=pairs(attributes),
        events=[Span.Event(name=event, attributes=pairs(told)) for event, told in events or []],
    )
    if failed:
        made.status.code = Status.STATUS_CODE_ERROR
    return made


def request(*spans: Span, resource: dict[str, Any] | None = None) -> ExportTraceServiceRequest:
    group = ResourceSpans(scope_spans=[ScopeSpans(spans=spans)])
    group.resource.attributes.extend(pairs(resource or {"service.name": "refunds"}))
    return ExportTraceServiceRequest(resource_spans=[group])


def run(at: datetime | None = None, trace: str = TRACE) -> ExportTraceServiceRequest:
    """Chat → tool call → chat, inside one invocation of an agent, and an HTTP request that nobody needs to see."""
    asked = [{"role": "user", "parts": [{"type": "text", "content": USER}]}]
    call = {"type": "tool_call", "id": "call_1", "name": "track_parcel", "arguments": {"order": "A-1001"}}
    told = {
        "type": "tool_call_response",
        "id": "call_1",
        "response": {"status": "lost", "last_seen": "Rotterdam"},
    }
    calling = [{"role": "assistant", "parts": [call], "finish_reason": "tool_call"}]
    model = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "example",
        "gen_ai.request.model": "m-large",
    }
    more: dict[str, Any] = {"at": at, "trace": trace}
    return request(
        span("invoke_agent refunds", 1, {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "refunds"},
             seconds=9, **more),
        span("chat m-large", 2, {
            **model, "gen_ai.response.model": "m-large-2026-10", "gen_ai.request.temperature": 0.2,
            "gen_ai.usage.input_tokens": 412, "gen_ai.usage.output_tokens": 31,
            "gen_ai.system_instructions": json.dumps([{"type": "text", "content": "Refund what was lost."}]),
            "gen_ai.input.messages": json.dumps(asked), "gen_ai.output.messages": json.dumps(calling),
            "gen_ai.response.finish_reasons": ["tool_call"]}, parent=1, begin=1, seconds=2, **more),
        span("POST", 3, {"http.request.method": "POST", "url.full": "https://models.example/v1/chat"},
             parent=2, begin=1.1, seconds=1.8, **more),
        span("execute_tool track_parcel", 4, {
            "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "track_parcel",
            "gen_ai.tool.call.id": "call_1", "gen_ai.tool.call.arguments": json.dumps({"order": "A-1001"}),
            "gen_ai.tool.call.result": json.dumps(told["response"])}, parent=1, begin=4, seconds=0.5, **more),
        span("chat m-large", 5, {
            **model, "gen_ai.usage.input_tokens": 498, "gen_ai.usage.output_tokens": 22,
            "gen_ai.input.messages": [*asked, *calling, {"role": "tool", "parts": [told]}],
            "gen_ai.output.messages": [{"role": "assistant", "parts": [{"type": "text", "content": SAID}],
                                        "finish_reason": "stop"}]}, parent=1, begin=5, seconds=2, **more),
    )  # fmt: skip
