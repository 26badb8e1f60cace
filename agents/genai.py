"""Spans of an instrumented agent as what it did: prompts, outputs, tool calls and their results. Pure.

The names are those of OpenTelemetry's conventions for generative AI (gen_ai.*; of 2026, and the span events of their
forerunners), and where it costs no more than a name, those of OpenInference (llm.*, input.value), OpenLLMetry
(gen_ai.prompt.0.content, traceloop.*) and the AI SDK (ai.*). Spans that say nothing of a model, a tool or an agent (an
HTTP request, a query) are left out. Of attributes nothing is kept but what this module names."""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from agents import activity_items, strict_json
from agents.activity_items import LONG_FACT, LONG_ID, LONG_MODEL, LONG_NAME, POSITIONS, BadItem, Item, Value
from agents.otlp import Span, moment
from agents.strict_json import NotStrictJson

MODEL_CALLS = {"chat", "generate_content", "text_completion", "completion"}
TOOL_CALLS = {"execute_tool"}
_KINDS = {
    "LLM": "chat",
    "TOOL": "execute_tool",
    "AGENT": "invoke_agent",
    "CHAIN": "chain",
    "RETRIEVER": "retrieval",
}
_PREFIXES = ("gen_ai.", "llm.", "openinference.", "traceloop.", "ai.")

_SYSTEM = "gen_ai.system_instructions"
_TOOLS = "gen_ai.tool.definitions"
_INPUT = ("gen_ai.input.messages", "gen_ai.prompt", "ai.prompt.messages", "ai.prompt", "input.value",
          "traceloop.entity.input")  # fmt: skip
_OUTPUT = ("gen_ai.output.messages", "gen_ai.completion", "ai.response.text", "output.value",
           "traceloop.entity.output")  # fmt: skip
_ARGUMENTS = ("gen_ai.tool.call.arguments", "tool_arguments", "ai.toolCall.args", "input.value",
              "traceloop.entity.input", "tool.parameters")  # fmt: skip
_RESULT = ("gen_ai.tool.call.result", "tool_response", "ai.toolCall.result", "output.value",
           "traceloop.entity.output")  # fmt: skip
_TOOL_NAME = ("gen_ai.tool.name", "tool.name", "ai.toolCall.name", "traceloop.entity.name")
_AGENT_NAME = ("gen_ai.agent.name", "agent.name", "traceloop.entity.name")
_MODEL = ("gen_ai.response.model", "gen_ai.request.model", "llm.model_name", "ai.model.id")

_INPUT_LISTS = ("gen_ai.prompt.", "llm.input_messages.")
_OUTPUT_LISTS = ("gen_ai.completion.", "llm.output_messages.")
_ROLES = {
    "gen_ai.system.message": "system",
    "gen_ai.user.message": "user",
    "gen_ai.assistant.message": "assistant",
    "gen_ai.tool.message": "tool",
}
_DETAILS = "gen_ai.client.inference.operation.details"

_COUNTS = {
    "input_tokens": ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.token_count.prompt"),
    "cache_read_tokens": ("gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_read_input_tokens"),
    "cache_write_tokens": (
        "gen_ai.usage.cache_creation.input_tokens",
        "gen_ai.usage.cache_creation_input_tokens",
    ),
    "output_tokens": (
        "gen_ai.usage.output_tokens",
        "gen_ai.usage.completion_tokens",
        "llm.token_count.completion",
    ),
    "reasoning_tokens": ("gen_ai.usage.reasoning.output_tokens",),
    "max_tokens": ("gen_ai.request.max_tokens",),
}
_NUMBERS = {"temperature": ("gen_ai.request.temperature",), "top_p": ("gen_ai.request.top_p",)}
_WORDS = {
    "finish_reason": ("gen_ai.response.finish_reasons", "ai.response.finishReason"),
    "provider": ("gen_ai.provider.name", "gen_ai.system", "llm.provider"),
    "operation": ("gen_ai.operation.name",),
    "tool_call_id": ("gen_ai.tool.call.id", "ai.toolCall.id"),
    "error": ("error.type",),
}
_OF = {
    "prompt": ("input_tokens", "cache_read_tokens", "cache_write_tokens", "max_tokens", "temperature", "top_p",
               "provider"),
    "output": ("output_tokens", "reasoning_tokens", "finish_reason", "error"),
    "tool_call": ("tool_call_id",),
    "tool_result": ("tool_call_id", "error"),
    "step": ("operation", "error"),
}  # fmt: skip
SUBJECT = ("countersign.subject.type", "countersign.subject.id")


def items_of(span: Span, *, now: datetime) -> list[Item]:
    """What a span tells, in the order in which it happened; nothing for a span of no interest.

    Raises `BadItem` where its ids or its times are unusable."""
    said = _with_details(span)
    operation = _operation(said)
    if not operation and not any(name.startswith(_PREFIXES) for name in said):
        return []
    started, ended = moment(span.started), moment(span.ended)
    if (
        len(span.trace) != 32
        or not set(span.trace) - {"0"}
        or len(span.span) != 16
        or not set(span.span) - {"0"}
    ):
        raise BadItem("/trace_id", "a trace has 16 bytes and a span 8, not all of them zero")
    if started is None:
        raise BadItem("/start_time_unix_nano", "is missing")
    activity_items.check_times(started, ended, now=now)
    return [_item(span, part, said, started, ended) for part in _parts(span, said, operation)]


def _with_details(span: Span) -> Mapping[str, Any]:
    """The span's attributes, and those of the event by which some instrumentations tell of the messages."""
    details = [event.attributes for event in span.events if event.name == _DETAILS]
    return {**details[0], **span.attributes} if details else span.attributes


def _operation(said: Mapping[str, Any]) -> str:
    named = said.get("gen_ai.operation.name")
    if isinstance(named, str) and named:
        return named
    kind = str(said.get("openinference.span.kind", "")).upper()
    if kind:
        return _KINDS.get(kind, kind.lower())
    loop = said.get("traceloop.span.kind")
    if loop:
        return "execute_tool" if loop == "tool" else str(loop)
    if said.get("ai.operationId") == "ai.toolCall":
        return "execute_tool"
    return "chat" if said.get("llm.request.type") in ("chat", "completion") else ""


def _parts(span: Span, said: Mapping[str, Any], operation: str) -> Iterator[tuple[str, bytes | None]]:
    """Kinds with their content, the first of them at the span's beginning."""
    if operation in TOOL_CALLS:
        yield "tool_call", _body(_first(said, _ARGUMENTS))
        yield "tool_result", _body(_first(said, _RESULT))
        return
    is_model = operation in MODEL_CALLS
    if not is_model:
        yield "step", None
    prompt, output = _prompt(span, said), _output(span, said)
    if is_model or prompt is not None:
        yield "prompt", prompt
    if is_model or output is not None:
        yield "output", output


def _item(
    span: Span,
    part: tuple[str, bytes | None],
    said: Mapping[str, Any],
    started: datetime,
    ended: datetime | None,
) -> Item:
    """The first of two parts has the span's duration, the second stands at its end."""
    kind, body = part
    is_second = kind in ("output", "tool_result")
    facts = _facts(span, said, _OF[kind])
    if body is not None and len(body) > activity_items.LONGEST:
        facts["cut_from"], body = len(body), activity_items.cut(body)
    return Item(
        kind=kind,
        trace_id=span.trace,
        span_id=span.span,
        position=POSITIONS[kind],
        name=_name(span, said, kind),
        started_at=(ended or started) if is_second else started,
        parent_span_id=span.parent[:LONG_ID],
        model=_short(_first(said, _MODEL), LONG_MODEL) if kind in ("prompt", "output") else "",
        failed=span.failed and kind not in ("prompt", "tool_call"),
        ended_at=None if is_second else ended,
        facts=facts,
        body=body,
        subject=_subject(span, said),
    )


def _name(span: Span, said: Mapping[str, Any], kind: str) -> str:
    names = {"tool_call": _TOOL_NAME, "tool_result": _TOOL_NAME, "step": _AGENT_NAME}.get(kind, ())
    return _short(_first(said, names) or span.name or kind, LONG_NAME)


def _subject(span: Span, said: Mapping[str, Any]) -> tuple[str, str] | None:
    kind, name = (said.get(key, span.resource.get(key)) for key in SUBJECT)
    if kind and name and isinstance(kind, str) and isinstance(name, str):
        return _short(kind, 60), _short(name, 200)
    return None


# What was said to the model, and what it said


def _prompt(span: Span, said: Mapping[str, Any]) -> bytes | None:
    messages: Any = _first(said, _INPUT[:1])
    if messages is None:
        messages = _of_events(span, _ROLES) or _listed(said, _INPUT_LISTS) or _first(said, _INPUT[1:])
    beside = {
        name: _parsed(said[key])
        for name, key in (("system_instructions", _SYSTEM), ("tools", _TOOLS))
        if said.get(key) is not None
    }
    if not beside:
        return _body(messages)
    return _body({**beside, "messages": _parsed(messages)} if messages is not None else beside)


def _output(span: Span, said: Mapping[str, Any]) -> bytes | None:
    found = _first(said, _OUTPUT[:1])
    if found is None:
        found = _of_events(span, {"gen_ai.choice": "assistant"}) or _listed(said, _OUTPUT_LISTS)
    return _body(found or _first(said, _OUTPUT[1:]))


def _of_events(span: Span, roles: Mapping[str, str]) -> Any:
    """The messages that older conventions told by events of the span."""
    found: list[Any] = []
    for event in span.events:
        if event.name in roles:
            told = event.attributes.get("gen_ai.event.content", event.attributes.get("body"))
            value = _parsed(told) if told is not None else _plain(event.attributes)
            found.append({"role": roles[event.name], **value} if isinstance(value, dict) else
                         {"role": roles[event.name], "content": value})  # fmt: skip
        elif event.name == "gen_ai.content.prompt" and "gen_ai.user.message" in roles:
            found.append(_parsed(event.attributes.get("gen_ai.prompt")))
        elif event.name == "gen_ai.content.completion" and "gen_ai.choice" in roles:
            found.append(_parsed(event.attributes.get("gen_ai.completion")))
    return found


def _plain(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: _parsed(value)
        for name, value in attributes.items()
        if not name.startswith(("gen_ai.", "event."))
    }


def _listed(said: Mapping[str, Any], prefixes: Iterable[str]) -> Any:
    """Messages that were flattened into attributes, `gen_ai.prompt.0.content`, put together again."""
    for prefix in prefixes:
        tree: dict[str, Any] = {}
        for name, value in said.items():
            if name.startswith(prefix):
                _plant(tree, name[len(prefix) :].split(".", 12), value)
        if tree and all(key.isdecimal() for key in tree):
            return _grown(tree)
    return None


def _plant(tree: dict[str, Any], path: list[str], value: Any) -> None:
    for step in path[:-1]:
        below = tree.setdefault(step, {})
        if not isinstance(below, dict):
            return
        tree = below
    tree.setdefault(path[-1], value)


def _grown(tree: Any) -> Any:
    """Numbered members become a list; OpenInference's wrappers `message` and `tool_call` go."""
    if not isinstance(tree, dict):
        return tree
    if tree and all(key.isascii() and key.isdecimal() and len(key) < 6 for key in tree):
        return [_grown(tree[key]) for key in sorted(tree, key=int)]
    if len(tree) == 1 and next(iter(tree)) in ("message", "tool_call"):
        return _grown(next(iter(tree.values())))
    return {key: _grown(value) for key, value in tree.items()}


# Values


def _first(said: Mapping[str, Any], names: Iterable[str]) -> Any:
    return next((said[name] for name in names if said.get(name) not in (None, "")), None)


def _parsed(value: Any) -> Any:
    """JSON that came as a string, as what it says; any other string stays one."""
    if isinstance(value, str) and value[:1] in ("[", "{"):
        with suppress(NotStrictJson):
            return strict_json.loads(value.encode("utf-8", "replace"), wide=True)
    return value


def _body(value: Any) -> bytes | None:
    """A string is kept as it was sent, to the byte."""
    if value in (None, "", [], {}):
        return None
    if isinstance(value, str):
        return value.encode("utf-8", "replace")
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def _facts(span: Span, said: Mapping[str, Any], wanted: Iterable[str]) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for name in wanted:
        if name in _COUNTS:
            count = _first(said, _COUNTS[name])
            if isinstance(count, int) and not isinstance(count, bool) and 0 <= count <= 10**12:
                found[name] = count
        elif name in _NUMBERS:
            number = _first(said, _NUMBERS[name])
            if isinstance(number, int | float) and not isinstance(number, bool) and abs(number) <= 1000:
                found[name] = float(number)
        else:
            word = _first(said, _WORDS[name])
            if name == "error" and word is None:
                word = next(
                    (one.attributes.get("exception.type") for one in span.events if one.name == "exception"),
                    None,
                )
            if isinstance(word, list):
                word = ", ".join(str(one) for one in word[:8])
            if isinstance(word, str) and word:
                found[name] = _short(word, LONG_FACT)
    return found


def _short(value: Any, most: int) -> str:
    """Text for a column: no NUL, which PostgreSQL has not, and visibly cut where it is too long."""
    text = str(value or "").replace("\x00", "\N{REPLACEMENT CHARACTER}")
    return text if len(text) <= most else text[: most - 1] + "…"
