"""LangChain: answers `HumanInTheLoopMiddleware`, and lets a tool run only with a redeemed grant.

    gate = CountersignMiddleware(Countersign(), ["refund_order"])
    agent = create_agent(model, tools, checkpointer=saver,
                         middleware=[HumanInTheLoopMiddleware(interrupt_on=gate.interrupt_on), gate])
    agent.invoke({"messages": [...]}, config)
    while command := gate.answer(agent, config):
        agent.invoke(command, config)

List the gate last: what stands inside it could change the arguments after they were checked, or run the tool twice."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

from langchain.agents.middleware import AgentMiddleware, InterruptOnConfig
from langchain.agents.middleware.human_in_the_loop import Decision, HITLRequest
from langchain.agents.middleware.types import ToolCallRequest
from langchain_core.messages import AIMessage, AnyMessage, ToolCall, ToolMessage
from langchain_core.tools import BaseTool
from langgraph.errors import GraphBubbleUp
from langgraph.types import Command, Interrupt
from pydantic import BaseModel

from countersign.adapters import calls, fitting
from countersign.adapters.calls import Call, Client, Told
from countersign.adapters.langgraph import Question, answered, aquestions, questions
from countersign.flows import Flow
from countersign.proposals import Proposal
from countersign.settings import Settings

Result: TypeAlias = ToolMessage | Command[Any]
_ROLES = {"human": "user", "ai": "assistant", "tool": "tool", "system": "system"}


class CountersignMiddleware(AgentMiddleware[Any, Any, Any]):
    """The gate around tools, and what answers the interrupts about them.

    `tools` are the names of the tools it guards, or tool name → action type. Without `HumanInTheLoopMiddleware` before
    it the tool call itself waits for the decision. `timeout` bounds that wait in seconds. `tell_context=False` keeps
    the conversation from the reviewers."""

    def __init__(
        self,
        client: Client,
        tools: Iterable[str] | Mapping[str, str],
        *,
        timeout: float | None = None,
        tell_context: bool = True,
    ) -> None:
        super().__init__()
        self.client = client
        self.action_types = calls.names(tools)
        self.timeout = timeout
        self.tell_context = tell_context

    @property
    def interrupt_on(self) -> dict[str, bool | InterruptOnConfig]:
        """For `HumanInTheLoopMiddleware`: exactly the guarded tools, and what a reviewer can answer."""
        return {
            name: InterruptOnConfig(allowed_decisions=["approve", "edit", "reject"])
            for name in self.action_types
        }

    def answer(
        self, agent: Any, config: Mapping[str, Any], *, timeout: float | None = None
    ) -> Command[Any] | None:
        """Propose what the agent's interrupts ask for, wait for people, and give back what to resume with.

        None: it does not wait for anything that is ours. Can be called again, also by another process."""
        found = questions(agent, config, self._question)
        return self.client.run(answered(found, self.client.settings, timeout)) if found else None  # type: ignore[return-value]

    async def aanswer(
        self, agent: Any, config: Mapping[str, Any], *, timeout: float | None = None
    ) -> Command[Any] | None:
        """As `answer`."""
        found = await aquestions(agent, config, self._question)
        return (
            await calls.driven(self.client, answered(found, self.client.settings, timeout)) if found else None
        )

    def wrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Result]
    ) -> Result:
        """Run a guarded tool once, with the approved arguments; or tell the model why not."""
        call = self._call_of(request)
        if call is None:
            return handler(request)
        done = calls.run(
            self.client,
            self._gate(call, request),
            lambda proposal: _told_of_edit(handler(_with(request, proposal)), request, proposal),
            _judged,
            unsure=(GraphBubbleUp,),
        )
        return _refused(done, request) if isinstance(done, Told) else done

    async def awrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Awaitable[Result]]
    ) -> Result:
        """As `wrap_tool_call`."""
        call = self._call_of(request)
        if call is None:
            return await handler(request)

        async def act(proposal: Proposal) -> Result:
            return _told_of_edit(await handler(_with(request, proposal)), request, proposal)

        gate = self._gate(call, request)
        done = await calls.arun(self.client, gate, act, _judged, unsure=(GraphBubbleUp,))
        return _refused(done, request) if isinstance(done, Told) else done

    def _gate(self, call: Call, request: ToolCallRequest) -> Callable[[Settings], Flow[Proposal | Told]]:
        given, unfit = request.tool_call["args"], partial(_unfit, request.tool)
        return lambda settings: calls.admitted(call, settings, self.timeout, given=given, unfit=unfit)

    def _call_of(self, request: ToolCallRequest) -> Call | None:
        """What the model asked for, which is not always what is about to run. None: not one of the guarded tools."""
        if request.tool_call["name"] not in self.action_types:
            return None
        configurable = (request.runtime.config or {}).get("configurable") or {}
        messages = _messages(request.state)
        for at, message in reversed(list(enumerate(messages))):
            for asked in message.tool_calls if isinstance(message, AIMessage) else ():
                if (asked["id"], asked["name"]) == (request.tool_call["id"], request.tool_call["name"]):
                    return self._call(str(configurable.get("thread_id") or ""), messages, at, asked)
        return self._call(str(configurable.get("thread_id") or ""), messages, None, request.tool_call)

    def _call(self, thread: str, messages: Sequence[AnyMessage], at: int | None, asked: ToolCall) -> Call:
        message = messages[at] if at is not None else None
        before = messages[:at] if self.tell_context else ()
        return Call(
            ("langchain", thread or (message.id if message else None) or "", asked["id"] or ""),
            self.action_types[asked["name"]],
            asked["args"],
            calls.about(
                [
                    calls.turn(_ROLES[one.type], one.text, one.name or "")
                    for one in before
                    if one.type in _ROLES
                ],
                reasoning=message.text if message else "",
                thread_id=thread,
                tool_call_id=asked["id"],
            ),
        )

    def _question(self, interrupt: Interrupt, values: Any, thread: str) -> Question | None:
        """An interrupt of `HumanInTheLoopMiddleware`, in either of its modes, if it is about guarded tools."""
        value = interrupt.value if isinstance(interrupt.value, Mapping) else {}
        batched = "action_requests" in value and "review_configs" in value
        if not batched and value.get("type") != "tool_approval":
            return None
        asked = value["action_requests"] if batched else [value]
        named = [one["name"] for one in asked]
        if not any(name in self.action_types for name in named):
            return None
        if unknown := [name for name in named if name not in self.action_types]:
            raise ValueError(
                f"{unknown} wait in the same interrupt, but CountersignMiddleware does not guard them."
            )
        allowed = _allowed(interrupt, value if batched else None)
        found = self._calls(thread, _messages(values), asked)

        def resume(decided: Sequence[Proposal | Told], words: Sequence[str]) -> Any:
            decisions = [
                _decision(name, one, said, allowed[name])
                for name, one, said in zip(named, decided, words, strict=True)
            ]
            return {"decisions": decisions} if batched else decisions[0]

        return Question(interrupt.id, found, resume)

    def _calls(
        self, thread: str, messages: Sequence[AnyMessage], asked: Sequence[Mapping[str, Any]]
    ) -> list[Call]:
        """The requests carry no ids in batched mode; their tool calls are found by order, name and arguments."""
        at = max((at for at, one in enumerate(messages) if isinstance(one, AIMessage)), default=None)
        last = messages[at] if at is not None else None
        left = list(last.tool_calls) if isinstance(last, AIMessage) else []
        found = []
        for one in asked:
            while left and not _is_call(left[0], one):
                left.pop(0)
            if not left:
                raise ValueError(f"The agent's last message holds no call that fits {one['name']!r}.")
            found.append(self._call(thread, messages, at, left.pop(0)))
        return found


def _is_call(call: ToolCall, asked: Mapping[str, Any]) -> bool:
    if "tool_call_id" in asked and asked["tool_call_id"] != call["id"]:
        return False
    return call["name"] == asked["name"] and calls.is_same(call["args"], asked["args"])


def _allowed(interrupt: Interrupt, batched: HITLRequest | Any) -> dict[str, set[str]]:
    if batched is not None:
        return {one["action_name"]: set(one["allowed_decisions"]) for one in batched["review_configs"]}
    schema = json.dumps(interrupt.response_schema, default=str)
    words = {word for word in ("approve", "edit", "reject") if f'"const": "{word}"' in schema}
    return {interrupt.value["name"]: words}


def _decision(name: str, one: Proposal | Told, words: str, allowed: set[str]) -> Decision:
    """In the middleware's own words. Where its configuration lacks the right one, the gate still refuses to run."""
    if isinstance(one, Proposal) and calls.may_run(one):
        if not one.was_edited or "edit" not in allowed:
            return {"type": "approve"}
        return {"type": "edit", "edited_action": {"name": name, "args": one.arguments}}
    return {"type": "reject", "message": words} if "reject" in allowed else {"type": "approve"}


def _unfit(tool: BaseTool | None, approved: dict[str, Any]) -> str:
    """By the model that LangChain validates with, or, where it takes parts of the state itself, by that without them.
    A tool that has only a JSON schema (of MCP, for one) gets the arguments as they are."""
    whole = tool.args_schema if tool is not None else None
    shown = tool.tool_call_schema if tool is not None and isinstance(whole, type) else None
    if tool is None or not isinstance(whole, type) or not issubclass(whole, BaseModel):
        return ""
    if isinstance(shown, type) and issubclass(shown, BaseModel):
        whole = whole if set(shown.model_fields) == set(whole.model_fields) else shown
    return fitting.model(tool.name, whole, approved)


def _messages(state: Any) -> Sequence[AnyMessage]:
    found: Any = state.get("messages") if isinstance(state, Mapping) else getattr(state, "messages", state)
    return found if isinstance(found, list) else []


def _with(request: ToolCallRequest, proposal: Proposal) -> ToolCallRequest:
    return request.override(tool_call={**request.tool_call, "args": proposal.arguments})


def _refused(told: Told, request: ToolCallRequest) -> ToolMessage:
    return ToolMessage(
        told.words,
        name=request.tool_call["name"],
        tool_call_id=request.tool_call["id"],
        status="success" if told.ok else "error",
    )


def _told_of_edit(result: Result, request: ToolCallRequest, proposal: Proposal) -> Result:
    """`HumanInTheLoopMiddleware` says so itself where the edit came through it."""
    if calls.is_same(request.tool_call["args"], proposal.arguments) or not isinstance(result, ToolMessage):
        return result
    if isinstance(result.content, str):
        return result.model_copy(update={"content": calls.note(proposal) + result.content})
    return result.model_copy(
        update={"content": [{"type": "text", "text": calls.note(proposal)}, *result.content]}
    )


def _judged(result: Any) -> tuple[str, Any]:
    """A tool that LangChain let fail answers with an error message; its answer may be inside a `Command`."""
    messages: list[ToolMessage] = []
    for one in result if isinstance(result, list) else [result]:
        update = one.update if isinstance(one, Command) else None
        said = update.get("messages") if isinstance(update, Mapping) else [one]
        messages += [message for message in said or () if isinstance(message, ToolMessage)]
    content = [one.content for one in messages]
    status = "failed" if any(one.status == "error" for one in messages) else "succeeded"
    return status, content[0] if len(content) == 1 else content or None
