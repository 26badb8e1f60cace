"""Spans as what an agent did: today's conventions, those before them, and those of others."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents import genai, otlp
from agents.activity_items import LONGEST, BadItem, Item
from agents.otlp import Event, Span
from tests.agents.spans import SAID, TRACE, USER, nanoseconds, run

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
BEGAN = NOW - timedelta(minutes=5)


def span(attributes: dict[str, Any], **more: Any) -> Span:
    values: dict[str, Any] = {
        "trace": TRACE, "span": "00f067aa0ba902b7", "parent": "", "name": "the span",
        "started": nanoseconds(BEGAN), "ended": nanoseconds(BEGAN + timedelta(seconds=2)), "failed": False,
        }  # fmt: skip
    return Span(attributes=attributes, **{**values, **more})


def told(attributes: dict[str, Any], **more: Any) -> dict[str, Item]:
    return {item.kind: item for item in genai.items_of(span(attributes, **more), now=NOW)}


def text(item: Item) -> Any:
    body = (item.body or b"").decode()
    return json.loads(body) if body[:1] in ("[", "{") else body


def test_a_whole_run_in_the_order_in_which_it_happened() -> None:
    spans = otlp.read_protobuf(run(at=BEGAN).SerializeToString()).spans
    items = [item for one in spans for item in genai.items_of(one, now=NOW)]
    items.sort(key=lambda item: (item.started_at, item.position))
    assert [(item.kind, item.name, item.span_id[-1], item.parent_span_id[-1:]) for item in items] == [
        ("step", "refunds", "1", ""),
        ("prompt", "chat m-large", "2", "1"),
        ("output", "chat m-large", "2", "1"),
        ("tool_call", "track_parcel", "4", "1"),
        ("tool_result", "track_parcel", "4", "1"),
        ("prompt", "chat m-large", "5", "1"),
        ("output", "chat m-large", "5", "1"),
    ]
    prompt, output, call, result, later, last = items[1:]
    assert (prompt.model, prompt.facts) == (
        "m-large-2026-10", {"input_tokens": 412, "temperature": 0.2, "provider": "example"},
        )  # fmt: skip
    assert output.facts == {"output_tokens": 31, "finish_reason": "tool_call"}
    assert text(prompt)["system_instructions"][0]["content"] == "Refund what was lost."
    assert text(prompt)["messages"][0]["parts"][0]["content"] == USER
    assert (text(call), text(result)) == ({"order": "A-1001"}, {"status": "lost", "last_seen": "Rotterdam"})
    assert call.facts == result.facts == {"tool_call_id": "call_1"}
    assert len(text(later)) == 3
    assert text(last)[0]["parts"][0]["content"] == SAID


def test_the_first_part_lasts_as_long_as_the_span_and_the_second_stands_at_its_end() -> None:
    found = told({"gen_ai.operation.name": "chat"})
    end = BEGAN + timedelta(seconds=2)
    assert (found["prompt"].started_at, found["prompt"].ended_at) == (BEGAN, end)
    assert (found["output"].started_at, found["output"].ended_at) == (end, None)


def test_a_call_whose_content_was_not_captured_is_still_a_call() -> None:
    found = told(
        {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m", "gen_ai.usage.input_tokens": 3}
    )
    assert (found["prompt"].body, found["prompt"].model, found["prompt"].facts) == (
        None,
        "m",
        {"input_tokens": 3},
    )
    assert found["output"].body is None


def test_a_string_is_kept_to_the_byte() -> None:
    odd = '[ {"role":"user",  "content":"é\\u00e9"} ]'
    assert (
        told({"gen_ai.operation.name": "chat", "gen_ai.input.messages": odd})["prompt"].body == odd.encode()
    )


OLD = [
    Event("gen_ai.system.message", {"gen_ai.system": "x", "content": "Be brief."}),
    Event("gen_ai.user.message", {"content": USER}),
    Event("gen_ai.assistant.message", {"tool_calls": '[{"id": "c1", "function": {"name": "track"}}]'}),
    Event("gen_ai.tool.message", {"gen_ai.event.content": '{"id": "c1", "content": "lost"}'}),
    Event("gen_ai.choice", {"index": 0, "finish_reason": "stop", "message": '{"content": "Lost."}'}),
]


def test_messages_told_by_events_as_conventions_once_had_it() -> None:
    found = told({"gen_ai.operation.name": "chat"}, events=OLD)
    assert text(found["prompt"]) == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": USER},
        {"role": "assistant", "tool_calls": [{"id": "c1", "function": {"name": "track"}}]},
        {"role": "tool", "id": "c1", "content": "lost"},
    ]
    assert text(found["output"])[0]["message"] == {"content": "Lost."}


def test_messages_told_by_the_event_of_the_operations_details() -> None:
    event = Event("gen_ai.client.inference.operation.details", {"gen_ai.output.messages": "Lost."})
    assert told({"gen_ai.operation.name": "chat"}, events=[event])["output"].body == b"Lost."


FLAT = {
    "llm.request.type": "chat",
    "gen_ai.prompt.0.role": "system",
    "gen_ai.prompt.0.content": "Be brief.",
    "gen_ai.prompt.10.role": "assistant",
    "gen_ai.prompt.10.tool_calls.0.name": "track",
    "gen_ai.prompt.2.role": "user",
    "gen_ai.prompt.2.content": USER,
    "gen_ai.completion.0.role": "assistant",
    "gen_ai.completion.0.content": "Lost.",
    "gen_ai.usage.prompt_tokens": 9,
}


def test_messages_flattened_into_attributes() -> None:
    found = told(FLAT)
    assert text(found["prompt"]) == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": USER},
        {"role": "assistant", "tool_calls": [{"name": "track"}]},
    ]
    assert text(found["output"]) == [{"role": "assistant", "content": "Lost."}]
    assert found["prompt"].facts == {"input_tokens": 9}


def test_openinference_messages_lose_their_wrappers() -> None:
    found = told({
        "openinference.span.kind": "LLM", "llm.model_name": "m",
        "llm.input_messages.0.message.role": "user", "llm.input_messages.0.message.content": USER,
        "llm.output_messages.0.message.role": "assistant",
        "llm.output_messages.0.message.tool_calls.0.tool_call.function.name": "track",
        "llm.token_count.prompt": 4, "llm.token_count.completion": 2,
    })  # fmt: skip
    assert text(found["prompt"]) == [{"role": "user", "content": USER}]
    assert text(found["output"]) == [{"role": "assistant", "tool_calls": [{"function": {"name": "track"}}]}]
    assert (found["prompt"].model, found["output"].facts) == ("m", {"output_tokens": 2})


@pytest.mark.parametrize(
    "attributes",
    [
        {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "track",
         "gen_ai.tool.call.arguments": {"order": "A"}, "gen_ai.tool.call.result": {"is": "lost"}},
        {"openinference.span.kind": "TOOL", "tool.name": "track", "input.value": '{"order":"A"}',
         "output.value": '{"is":"lost"}'},
        {"traceloop.span.kind": "tool", "traceloop.entity.name": "track",
         "traceloop.entity.input": '{"order":"A"}', "traceloop.entity.output": '{"is":"lost"}'},
        {"ai.operationId": "ai.toolCall", "ai.toolCall.name": "track", "ai.toolCall.args": '{"order":"A"}',
         "ai.toolCall.result": '{"is":"lost"}'},
        {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "track", "tool_arguments": '{"order":"A"}',
         "tool_response": '{"is":"lost"}'},
    ],
)  # fmt: skip
def test_a_tool_call_in_the_words_of_five(attributes: dict[str, Any]) -> None:
    found = told(attributes)
    assert list(found) == ["tool_call", "tool_result"]
    assert (text(found["tool_call"]), text(found["tool_result"])) == ({"order": "A"}, {"is": "lost"})
    assert found["tool_call"].name == found["tool_result"].name == "track"


def test_a_failure_stands_at_the_end_with_its_kind() -> None:
    event = Event("exception", {"exception.type": "Timeout", "exception.message": "customer Anna was away"})
    found = told({"gen_ai.operation.name": "execute_tool"}, failed=True, events=[event])
    assert (found["tool_call"].failed, found["tool_result"].failed) == (False, True)
    assert found["tool_result"].facts == {"error": "Timeout"}


@pytest.mark.parametrize(
    "operation", ["invoke_agent", "invoke_workflow", "embeddings", "retrieval", "something new"]
)
def test_other_operations_are_steps_without_content(operation: str) -> None:
    found = told({"gen_ai.operation.name": operation})
    assert list(found) == ["step"]
    assert (found["step"].body, found["step"].facts) == (None, {"operation": operation})


@pytest.mark.parametrize("attributes", [{}, {"http.request.method": "GET"}, {"db.query.text": "SELECT 1"}])
def test_spans_that_tell_of_no_model_no_tool_and_no_agent_are_left_out(attributes: dict[str, Any]) -> None:
    assert genai.items_of(span(attributes, started=0, trace="00"), now=NOW) == []


def test_an_attribute_that_is_not_named_is_nowhere() -> None:
    hidden = "nobody asked for this"
    found = genai.items_of(
        span({"gen_ai.operation.name": "chat", "user.email": hidden, "gen_ai.new": hidden}), now=NOW
    )
    assert hidden not in repr(found)


def test_whom_it_is_about_may_stand_on_the_span_or_on_its_resource() -> None:
    about = {"countersign.subject.type": "customer", "countersign.subject.id": "c-17"}
    chat = {"gen_ai.operation.name": "chat"}
    assert told({**chat, **about})["prompt"].subject == ("customer", "c-17")
    assert told(chat, resource=about)["prompt"].subject == ("customer", "c-17")
    assert told(chat)["prompt"].subject is None


def test_names_and_figures_are_bounded_and_hold_no_nul() -> None:
    found = told({
        "gen_ai.operation.name": "chat", "gen_ai.request.model": "m" * 999, "gen_ai.provider.name": "p\x00" * 999,
        "gen_ai.usage.input_tokens": 10**15, "gen_ai.request.temperature": "hot", "gen_ai.request.top_p": True,
    }, name="n\x00" * 999)["prompt"]  # fmt: skip
    assert (len(found.name), len(found.model), len(str(found.facts["provider"]))) == (200, 120, 120)
    assert list(found.facts) == ["provider"]
    assert "\x00" not in repr((found.name, found.facts))


def test_a_content_that_is_too_long_is_cut_and_says_so() -> None:
    found = told({"gen_ai.operation.name": "chat", "gen_ai.input.messages": "é" * LONGEST})["prompt"]
    assert found.body is not None
    assert (len(found.body), found.body.decode()[-1]) == (LONGEST, "é")
    assert found.facts["cut_from"] == 2 * LONGEST


@pytest.mark.parametrize(
    "change",
    [
        {"trace": ""},
        {"trace": "0" * 32},
        {"trace": TRACE[:-2]},
        {"span": "0" * 16},
        {"span": "ab"},
        {"started": 0},
        {"started": -5},
        {"started": 2**64 - 1},
        {"started": nanoseconds(NOW - timedelta(days=91))},
        {"started": nanoseconds(NOW + timedelta(hours=2)), "ended": 0},
        {"ended": nanoseconds(BEGAN - timedelta(seconds=1))},
        {"ended": nanoseconds(NOW + timedelta(hours=2))},
    ],
)
def test_unusable_ids_and_times_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(BadItem):
        genai.items_of(replace(span({"gen_ai.operation.name": "chat"}), **change), now=NOW)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
NAMES = st.sampled_from([
    *genai._INPUT, *genai._OUTPUT, *genai._ARGUMENTS, *genai._RESULT, *genai._MODEL, genai._SYSTEM, genai._TOOLS,
    "gen_ai.operation.name", "openinference.span.kind", "gen_ai.prompt.0", "gen_ai.prompt.0.content", "gen_ai.prompt.x",
    "gen_ai.response.finish_reasons", "error.type", *genai.SUBJECT,
])  # fmt: skip


@given(st.dictionaries(NAMES, VALUES, max_size=6))
def test_whatever_an_attribute_holds_it_is_told_or_refused(attributes: dict[str, Any]) -> None:
    for item in genai.items_of(span(attributes), now=NOW):
        assert item.body is None or item.body.decode()
        assert len(item.name) <= 200
        json.dumps(item.facts, allow_nan=False)


def test_depth_is_bounded_in_a_string_too() -> None:
    deep = "[" * 50_000 + "]" * 50_000
    found = told(
        {"gen_ai.operation.name": "chat", "gen_ai.input.messages": deep, "gen_ai.system_instructions": "x"}
    )
    assert text(found["prompt"])["messages"] == deep
