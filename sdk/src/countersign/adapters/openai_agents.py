"""OpenAI Agents SDK: answers a run's interruptions, and runs a tool once with a redeemed grant.

    approvals = Approvals(AsyncCountersign())

    @approvals.tool
    def refund_order(order_id: str, amount: float) -> str: ...

    result = await Runner.run(Agent("Refunds", tools=[refund_order]), "…")
    while result.interruptions:
        result = await Runner.run(agent, await approvals.answer(result.to_state()))

The state may be stored (`to_string`) and answered by another process (`RunState.from_string`). The framework has
approve and reject, but no edit: arguments that a reviewer changed reach the tool through its own wrapper, which reads
the approved ones from the server, runs with nothing else, and tells the model what ran."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from functools import partial
from typing import Any, TypeVar, overload

from agents import FunctionTool, RunState, default_tool_error_function, function_tool
from agents.function_schema import function_schema
from agents.items import ToolApprovalItem
from agents.tool_context import ToolContext
from pydantic import BaseModel

from countersign.adapters import calls, fitting
from countersign.adapters.calls import Call, Client, Told
from countersign.client import Countersign
from countersign.errors import CountersignError
from countersign.flows import Flow
from countersign.proposals import Proposal
from countersign.settings import Settings

State = TypeVar("State", bound="RunState[Any, Any]")
_ROLES = frozenset({"user", "assistant", "system"})


class Approvals:
    """Makes tools that need a countersignature, and answers what they interrupt a run for.

    `tell_context=False` keeps the conversation from the reviewers. `run` names the run from its context object, for
    models whose call ids repeat from run to run (those of the Responses API do not)."""

    def __init__(
        self, client: Client, *, tell_context: bool = True, run: Callable[[Any], str] | None = None
    ) -> None:
        self.client = client
        self.action_types: dict[str, str] = {}
        self.tell_context = tell_context
        self._run = run

    @overload
    def tool(self, function: Callable[..., Any], /) -> FunctionTool: ...

    @overload
    def tool(
        self, /, *, action_type: str | None = None, **options: Any
    ) -> Callable[[Callable[..., Any]], FunctionTool]: ...

    def tool(
        self, function: Callable[..., Any] | None = None, /, *, action_type: str | None = None, **options: Any
    ) -> FunctionTool | Callable[[Callable[..., Any]], FunctionTool]:
        """As `agents.function_tool`, and with its options. The action type has the tool's name unless one is given."""
        if function is None:
            return lambda real: self._tool(real, action_type, options)
        return self._tool(function, action_type, options)

    def _tool(
        self, function: Callable[..., Any], action_type: str | None, options: dict[str, Any]
    ) -> FunctionTool:
        explain = options.pop("failure_error_function", default_tool_error_function)
        inner = function_tool(function, **options, failure_error_function=None)
        takes = function_schema(
            function,
            use_docstring_info=False,
            name_override=inner.name,
            strict_json_schema=options.get("strict_mode", True),
        ).params_pydantic_model
        outer = copy(inner)
        outer.needs_approval = True
        self.action_types[inner.name] = action_type or inner.name

        async def invoke(context: ToolContext[Any], arguments: str) -> Any:
            try:
                return await self._invoke(inner, takes, context, arguments)
            except CountersignError:
                raise  # not for the model to mend: no connection, no permission to ask
            except Exception as error:
                if explain is None:
                    raise
                said = explain(context, error)
                return await said if inspect.isawaitable(said) else said

        outer.on_invoke_tool = invoke
        return outer

    async def _invoke(
        self, inner: FunctionTool, takes: type[BaseModel], context: ToolContext[Any], arguments: str
    ) -> Any:
        call = self._call(inner.name, context.tool_call_id, arguments, context.context, ())

        async def act(proposal: Proposal) -> tuple[Proposal, Any]:
            approved = json.dumps(proposal.arguments, ensure_ascii=False)
            return proposal, await inner.on_invoke_tool(context, approved)

        def gate(settings: Settings) -> Flow[Proposal | Told]:
            return calls.admitted(call, settings, unfit=partial(fitting.model, inner.name, takes))

        done = await calls.arun(self.client, gate, act, lambda pair: ("succeeded", pair[1]))
        if isinstance(done, Told):
            return done.words
        proposal, result = done
        note = calls.note(proposal)
        return note + calls.text(result) if note else result

    async def answer(self, state: State, *, timeout: float | None = None) -> State:
        """Propose what the run waits for, wait until people have decided on some of it, and tell the state.

        What is still open stays an interruption of the next result. Raises `ValueError` where nothing is ours."""
        items, found = self._waiting(state)
        flow = self._decide(found, self.client.settings, timeout)
        return self._tell(state, items, await calls.driven(self.client, flow))

    def answer_sync(self, state: State, *, timeout: float | None = None) -> State:
        """As `answer`, for `Runner.run_sync`."""
        if not isinstance(self.client, Countersign):
            raise TypeError("answer_sync needs a Countersign, not an AsyncCountersign.")
        items, found = self._waiting(state)
        flow = self._decide(found, self.client.settings, timeout)
        return self._tell(state, items, self.client.run(flow))

    def _waiting(self, state: RunState[Any, Any]) -> tuple[list[ToolApprovalItem], list[Call]]:
        items = [one for one in state.get_interruptions() if one.name in self.action_types]
        if not items:
            raise ValueError("The run waits for none of the tools that were made with Approvals.tool.")
        told = state.to_json(context_serializer=lambda _: {}) if self.tell_context else {}
        turns = _turns(told.get("original_input"))
        context = state._context.context if self._run and state._context else None
        return items, [
            self._call(str(item.name), *_raw(item), context, turns, item.agent.name if item.agent else "")
            for item in items
        ]

    def _decide(
        self, found: Sequence[Call], settings: Settings, timeout: float | None
    ) -> Flow[list[tuple[bool, str] | None]]:
        """For each: approved or not, and the words; None while it is open."""
        told: list[tuple[bool, str] | None] = []
        for [one] in (yield from calls.decided([[call] for call in found], settings, timeout)):
            if not calls.are_decided([one]):
                told.append(None)
            elif calls.may_run(one):
                told.append((True, ""))
            else:
                told.append((False, (yield from calls.refusal(one, settings))))
        return told

    def _tell(
        self, state: State, items: Sequence[ToolApprovalItem], told: Sequence[tuple[bool, str] | None]
    ) -> State:
        for item, one in zip(items, told, strict=True):
            if one is not None and one[0]:
                state.approve(item)
            elif one is not None:
                state.reject(item, rejection_message=one[1])
        return state

    def _call(
        self,
        name: str,
        call_id: str,
        arguments: str,
        context: Any,
        turns: Sequence[Mapping[str, str]],
        agent: str = "",
    ) -> Call:
        run = self._run(context) if self._run else ""
        return Call(
            ("openai-agents", run, call_id),
            self.action_types[name],
            _parsed(arguments),
            calls.about(turns, call_id=call_id, run=run, agent=agent),
        )


def _parsed(arguments: str) -> Mapping[str, Any]:
    """What is no JSON object goes to the server as it is, which refuses it in words that the model is told."""
    try:
        value = json.loads(arguments or "{}")
    except ValueError:
        value = arguments
    return value if isinstance(value, dict) else {"arguments": value}


def _raw(item: ToolApprovalItem) -> tuple[str, str]:
    raw: Any = item.raw_item
    said: Mapping[str, Any] = raw if isinstance(raw, dict) else raw.model_dump()
    return str(said.get("call_id") or ""), str(said.get("arguments") or "")


def _turns(told: Any) -> list[dict[str, str]]:
    """What the run was started with."""
    if isinstance(told, str):
        return [calls.turn("user", told)]
    found = []
    for one in told if isinstance(told, list) else []:
        content = one.get("content") if isinstance(one, dict) and one.get("role") in _ROLES else None
        if isinstance(content, list):
            content = "\n".join(str(part.get("text") or "") for part in content if isinstance(part, dict))
        if content:
            found.append(calls.turn(str(one["role"]), str(content)))
    return found
