"""What the OpenAPI document says of telling: our own JSON, and OTLP/HTTP, whose messages are described elsewhere."""

from typing import Any

from agents import activity_items, otlp

_STATUS = "A google.rpc.Status in the encoding of the request"
_ITEM: dict[str, Any] = {
    "kind": "tool_call",
    "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
    "span_id": "00f067aa0ba902b7",
    "parent_span_id": "b7ad6b7169203331",
    "name": "track_parcel",
    "content": {"order": "A-1001"},
    "started_at": "2026-11-22T10:15:02.250Z",
    "ended_at": "2026-11-22T10:15:02.900Z",
    "facts": {"tool_call_id": "call_1"},
    "subject": {"type": "customer", "id": "c-17"},
}
BODY_EXAMPLE: dict[str, Any] = {"items": [_ITEM]}
ANSWER_EXAMPLE: dict[str, Any] = {
    "items": [
        {"status": "recorded", "id": "019ab0c2-7e11-7c3a-9d53-0a8e5f1f7d10"},
        {
            "status": "refused",
            "errors": [{"field": "/items/1/kind", "message": "Invalid enum value 'thought'"}],
        },
    ]
}
_ERRORS = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
        "required": ["field", "message"],
    },
}
ANSWER: dict[str, Any] = {
    "type": "object",
    "description": "One result per item, in their order. What is sent again is answered again in the same words.",
    "properties": {
        "items": {
            "type": "array",
            "description": "each recorded, with its id, or refused, with the fields that are wrong",
            "items": {
                "oneOf": [
                    {
                        "type": "object",
                        "properties": {
                            "status": {"const": "recorded"},
                            "id": {"type": "string", "format": "uuid"},
                        },
                        "required": ["status", "id"],
                    },
                    {
                        "type": "object",
                        "properties": {"status": {"const": "refused"}, "errors": _ERRORS},
                        "required": ["status", "errors"],
                    },
                ]
            },
        }
    },
    "required": ["items"],
}


DESCRIPTION = (
    f"At most {activity_items.MOST_ITEMS} items in a body of at most {activity_items.MOST_BYTES // 1024} KiB, one "
    f"content of at most {activity_items.LONGEST // 1024} KiB. Trace, span and position name an item: the same one "
    "sent again is stored once. Where no span is named, what the item says names it; the position is that of its "
    "kind. A refused item stops no other."
)
"""The operation's size, and what its items are."""


def traces() -> dict[str, Any]:
    """POST /v1/traces. Its answers are OTLP's, not ours."""
    media = {
        otlp.PROTOBUF: {"schema": {"type": "string", "format": "binary"}},
        otlp.JSON: {"schema": {"type": "object"}},
    }
    why = {
        400: "it is no ExportTraceServiceRequest; do not send it again",
        401: "the credential is missing, unknown, expired or revoked",
        413: f"more than {otlp.MOST_SENT} bytes, or {otlp.MOST_BYTES} when decompressed; send smaller batches",
        415: "neither protobuf nor JSON, or compressed by something other than gzip",
        429: "other activity is being recorded; send the same after Retry-After",
        503: "the database or the keys are away; send the same after Retry-After",
    }
    return {
        "operationId": "export_traces",
        "summary": "Export an instrumented agent's spans (OTLP/HTTP)",
        "description": (
            "The body is an ExportTraceServiceRequest of OpenTelemetry, in protobuf or in OTLP's JSON, gzipped or not, "
            f"of at most {otlp.MOST_SPANS} spans. Spans of the conventions for generative AI become prompts, outputs, "
            "tool calls and results; others are accepted and left out."
        ),
        "parameters": [
            {
                "name": "Content-Encoding",
                "in": "header",
                "required": False,
                "description": "gzip, or none; any other is answered with 415",
                "schema": {"type": "string"},
            }
        ],
        "requestBody": {"required": True, "content": media},
        "responses": {
            "200": {
                "description": "An ExportTraceServiceResponse; partial_success counts spans that were refused",
                "content": media,
            },
            **{
                str(status): {"description": f"{_STATUS}: {words}", "content": media}
                for status, words in why.items()
            },
        },
    }
