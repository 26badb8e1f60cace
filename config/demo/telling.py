"""What the demo's agents tell of the work behind a proposal, as an instrumentation would export it: OTLP in JSON.

An agent is asked, looks things up with its tools, and asks its model once more before it proposes."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from agents import genai, otlp
from agents.authority import Bearer
from agents.services import record_activity
from approvals.models import Proposal
from approvals.states import RAN, State
from config.demo.cast import Cast

INSTRUCTIONS = (
    "You work for Lindgren & Hale. Look up what you need before you act. Whatever changes an account, an order or a "
    "payment is proposed to a person first."
)
MODEL = "house-model-large"
PAST = 40
"""So many of the latest proposals of the told past have something told of them."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def spans(
    *, trace: str, action: str, summary: str, reasoning: str, turns: Sequence[dict[str, Any]],
    looked_up: dict[str, Any], end: datetime, rng: Random,
) -> dict[str, Any]:  # fmt: skip
    """One run that ends at `end`, as an ExportTraceServiceRequest. `looked_up` is what its tools were asked for."""
    tools = [turn for turn in turns if turn["role"] == "tool"]
    history = [_said("user", turn["content"]) for turn in turns if turn["role"] == "user"]
    history = history or [_said("user", f"Next in the list: {action.replace('_', ' ')}.")]
    writer = _Writer(trace, rng, end - timedelta(seconds=5 + 2 * len(tools)))
    root = writer.span("invoke_agent", "", 5 + 2 * len(tools), {
        "gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": action,
    }, moves=False)  # fmt: skip
    if tools:
        calls = [
            {"type": "tool_call", "id": f"call_{n}", "name": _name(turn), "arguments": looked_up}
            for n, turn in enumerate(tools, 1)
        ]
        calling = [{"role": "assistant", "parts": calls, "finish_reason": "tool_call"}]
        writer.chat(root, history, calling)
        history = [*history, *calling]
        for call, turn in zip(calls, tools, strict=True):
            writer.span(f"execute_tool {call['name']}", root, rng.uniform(0.2, 1.4), {
                "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": call["name"],
                "gen_ai.tool.call.id": call["id"], "gen_ai.tool.call.arguments": json.dumps(looked_up),
                "gen_ai.tool.call.result": turn["content"],
            })  # fmt: skip
            part = {"type": "tool_call_response", "id": call["id"], "response": turn["content"]}
            history = [*history, {"role": "tool", "parts": [part]}]
    answer = {"role": "assistant", "parts": [
        {"type": "reasoning", "content": reasoning or "Nothing speaks against it."},
        {"type": "text", "content": f"I propose: {summary or action.replace('_', ' ')}"},
    ], "finish_reason": "stop"}  # fmt: skip
    writer.chat(root, history, [answer])
    resource = {"attributes": [_attribute("service.name", action)]}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": writer.written}]}]}


class _Writer:
    """Spans one after the other, from a moment on."""

    def __init__(self, trace: str, rng: Random, begin: datetime) -> None:
        self.trace, self.rng, self.at = trace, rng, begin
        self.written: list[dict[str, Any]] = []

    def span(
        self, name: str, parent: str, seconds: float, said: dict[str, Any], *, moves: bool = True
    ) -> str:
        made = f"{self.rng.getrandbits(64) | 1:016x}"
        end = self.at + timedelta(seconds=seconds)
        self.written.append({
            "traceId": self.trace, "spanId": made, "parentSpanId": parent, "name": name,
            "startTimeUnixNano": _nanoseconds(self.at), "endTimeUnixNano": _nanoseconds(end),
            "attributes": [_attribute(key, value) for key, value in said.items()],
        })  # fmt: skip
        if moves:
            self.at = end + timedelta(milliseconds=20)
        return made

    def chat(self, parent: str, messages: list[dict[str, Any]], answer: list[dict[str, Any]]) -> None:
        asked, answered = json.dumps(messages, ensure_ascii=False), json.dumps(answer, ensure_ascii=False)
        self.span(f"chat {MODEL}", parent, self.rng.uniform(0.8, 2), {
            "gen_ai.operation.name": "chat", "gen_ai.request.model": MODEL, "gen_ai.request.temperature": 0.2,
            "gen_ai.system_instructions": json.dumps([{"type": "text", "content": INSTRUCTIONS}]),
            "gen_ai.input.messages": asked, "gen_ai.output.messages": answered,
            "gen_ai.usage.input_tokens": (len(INSTRUCTIONS) + len(asked)) // 4,
            "gen_ai.usage.output_tokens": len(answered) // 4,
            "gen_ai.response.finish_reasons": answer[0]["finish_reason"],
        })  # fmt: skip


def of_the_past(cast: Cast, proposals: Sequence[Proposal]) -> int:
    """What led to the latest of the told proposals, recorded as if it had come in. How many steps it were."""
    wanted = [one for one in proposals if one.state in RAN or one.state == State.PENDING]
    count = 0
    for proposal in sorted(wanted, key=lambda one: one.created_at)[-PAST:]:
        told = spans(
            trace=proposal.pk.hex,
            action=proposal.action_type.name,
            summary=proposal.summary,
            reasoning=proposal.reasoning,
            turns=proposal.context,
            looked_up={proposal.subject_type or "id": proposal.subject_id},
            end=proposal.created_at,
            rng=Random(str(proposal.pk)),  # noqa: S311 made-up numbers
        )
        found = otlp.read_json(json.dumps(told).encode()).spans
        items = [item for span in found for item in genai.items_of(span, now=proposal.created_at)]
        credential = cast.credentials[proposal.agent.slug]
        recorded = record_activity.record(
            bearer=Bearer(proposal.agent, credential.pk, credential.expires_at),
            items=[replace(item, trace_id=proposal.trace_id) for item in items],
            about={proposal.trace_id: (proposal.subject_type, proposal.subject_id)},
        )
        count += len(recorded)
    return count


def _said(role: str, text: str) -> dict[str, Any]:
    return {"role": role, "parts": [{"type": "text", "content": text}]}


def _name(turn: dict[str, Any]) -> str:
    return str(turn.get("name") or "look_up")


def _attribute(key: str, value: str | float) -> dict[str, Any]:
    match value:
        case int():
            return {"key": key, "value": {"intValue": str(value)}}
        case float():
            return {"key": key, "value": {"doubleValue": value}}
        case _:
            return {"key": key, "value": {"stringValue": value}}


def _nanoseconds(moment: datetime) -> str:
    return str((moment - _EPOCH) // timedelta(microseconds=1) * 1000)
