"""Pydantic AI: answers deferred tool calls, and runs a tool once with a redeemed grant.

    gate = Countersigned(AsyncCountersign(), ["refund_order"])
    agent = Agent(model, tools=[refund_order], capabilities=[gate])      # waits for people inside the run

Or across runs and processes, in the framework's own types:

    gate = Countersigned(client, ["refund_order"], inline=False)
    agent = Agent(model, tools=[refund_order], output_type=[str, DeferredToolRequests], capabilities=[gate])
    result = agent.run_sync("…")
    while isinstance(result.output, DeferredToolRequests):
        results = gate.answer(result.output, result.all_messages())
        result = agent.run_sync(message_history=result.all_messages(), deferred_tool_results=results)

List the capability last, so that nothing changes the arguments after they were checked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

from pydantic_ai import RunContext
from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.exceptions import ApprovalRequired, CallDeferred, ToolFailed
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    SystemPromptPart,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.tools import (
    DeferredToolRequests,
    DeferredToolResults,
    ToolApproved,
    ToolDefinition,
    ToolDenied,
)

from countersign.adapters import calls, fitting
from countersign.adapters.calls import Call, Client, Told
from countersign.client import Countersign
from countersign.flows import Flow
from countersign.proposals import Proposal
from countersign.settings import Settings


class Countersigned(AbstractCapability[Any]):
    """The gate around tools. `tools` are names, or tool name → action type; each call of them needs approval.

    `inline`: wait for people inside the run; else the run ends with `DeferredToolRequests`, for `answer`.
    `timeout` bounds the inline wait in seconds. `tell_context=False` keeps the conversation from the reviewers."""

    def __init__(
        self,
        client: Client,
        tools: Iterable[str] | Mapping[str, str],
        *,
        inline: bool = True,
        timeout: float | None = None,
        tell_context: bool = True,
    ) -> None:
        self.client = client
        self.action_types = calls.names(tools)
        self.inline = inline
        self.timeout = timeout
        self.tell_context = tell_context

    @classmethod
    def get_serialization_name(cls) -> str | None:
        """It holds a client: no specification of an agent can name it."""
        return None

    async def wrap_tool_execute(
        self,
        ctx: RunContext[Any],
        *,
        call: ToolCallPart,
        tool_def: ToolDefinition,
        args: dict[str, Any],
        handler: Callable[[dict[str, Any]], Awaitable[Any]],
    ) -> Any:
        """Ask for approval first; then run once with the approved arguments, or tell the model why not."""
        if call.tool_name not in self.action_types:
            return await handler(args)
        if not ctx.tool_call_approved:
            raise ApprovalRequired
        asked = self._call(_asked(ctx.messages, call), ctx.messages)
        given = call.args_as_dict()

        def unfit(approved: dict[str, Any]) -> str:
            offered = tool_def.parameters_json_schema.get("properties", {})
            # a function that takes one model gets its fields for its argument
            alone = next(iter(args.values())) if len(args) == 1 and not set(args) & set(offered) else args
            return fitting.values(call.tool_name, alone, approved)

        def gate(settings: Settings) -> Flow[Proposal | Told]:
            return calls.admitted(asked, settings, self.timeout, given=given, strict=True, unfit=unfit)

        async def act(proposal: Proposal) -> tuple[Proposal, Any]:
            return proposal, await handler(args)

        done = await calls.arun(
            self.client,
            gate,
            act,
            lambda pair: ("succeeded", _plain(pair[1])),
            unsure=(ApprovalRequired, CallDeferred),
        )
        if isinstance(done, Told):
            if done.ok:
                return done.words
            raise ToolFailed(done.words)
        proposal, result = done
        note = calls.note(proposal)
        return note + calls.text(result) if note else result

    async def handle_deferred_tool_calls(
        self, ctx: RunContext[Any], *, requests: DeferredToolRequests
    ) -> DeferredToolResults | None:
        """Wait for people inside the run. Calls that are not ours are left to others."""
        return await self.aanswer(requests, ctx.messages, timeout=self.timeout) if self.inline else None

    def answer(
        self,
        requests: DeferredToolRequests,
        messages: Sequence[ModelMessage],
        *,
        timeout: float | None = None,
    ) -> DeferredToolResults:
        """Propose what the run asks for, wait for people, and give back the results for the next run.

        `messages` are the run's (`result.all_messages()`). Can be called again, also by another process."""
        if not isinstance(self.client, Countersign):
            raise TypeError("answer needs a Countersign; await aanswer with an AsyncCountersign.")
        return self.client.run(self._answered(requests, messages, self.client.settings, timeout))

    async def aanswer(
        self,
        requests: DeferredToolRequests,
        messages: Sequence[ModelMessage],
        *,
        timeout: float | None = None,
    ) -> DeferredToolResults:
        """As `answer`."""
        return await calls.driven(
            self.client, self._answered(requests, messages, self.client.settings, timeout)
        )

    def _answered(
        self,
        requests: DeferredToolRequests,
        messages: Sequence[ModelMessage],
        settings: Settings,
        timeout: float | None,
    ) -> Flow[DeferredToolResults]:
        ours = [one for one in requests.approvals if one.tool_name in self.action_types]
        asked = [self._call(one, messages) for one in ours]
        approvals: dict[str, ToolApproved | ToolDenied] = {}
        [answers] = (yield from calls.decided([asked], settings, timeout)) if asked else [[]]
        for part, one in zip(ours, answers, strict=True):
            if not isinstance(one, Proposal) or not calls.may_run(one):
                words = yield from calls.refusal(one, settings)
                approvals[part.tool_call_id] = ToolDenied(words)
            elif one.was_edited:
                approvals[part.tool_call_id] = ToolApproved(override_args=one.arguments)
            else:
                approvals[part.tool_call_id] = ToolApproved()
        return requests.build_results(approvals=approvals)

    def _call(self, part: ToolCallPart, messages: Sequence[ModelMessage]) -> Call:
        at = _place(messages, part.tool_call_id)
        response = messages[at] if at is not None else None
        conversation = (response.conversation_id if isinstance(response, ModelResponse) else None) or ""
        return Call(
            ("pydantic-ai", conversation, part.tool_call_id),
            self.action_types[part.tool_name],
            part.args_as_dict(),
            calls.about(
                _turns(messages[:at]) if self.tell_context else [],
                reasoning=_text(response) if isinstance(response, ModelResponse) else "",
                conversation_id=conversation,
                tool_call_id=part.tool_call_id,
            ),
        )


def _place(messages: Sequence[ModelMessage], call_id: str) -> int | None:
    for at in range(len(messages) - 1, -1, -1):
        parts = messages[at].parts if isinstance(messages[at], ModelResponse) else ()
        if any(isinstance(one, ToolCallPart) and one.tool_call_id == call_id for one in parts):
            return at
    return None


def _asked(messages: Sequence[ModelMessage], call: ToolCallPart) -> ToolCallPart:
    """The model's own call; the one at hand holds what an approval put in its place."""
    at = _place(messages, call.tool_call_id)
    for one in messages[at].parts if at is not None else ():
        if isinstance(one, ToolCallPart) and one.tool_call_id == call.tool_call_id:
            return one
    return call


def _text(response: ModelResponse) -> str:
    return "\n".join(part.content for part in response.parts if isinstance(part, TextPart))


def _turns(messages: Sequence[ModelMessage]) -> list[dict[str, str]]:
    found = []
    for message in messages:
        if isinstance(message, ModelResponse) and (said := _text(message)):
            found.append(calls.turn("assistant", said))
        for part in message.parts if isinstance(message, ModelRequest) else ():
            if isinstance(part, UserPromptPart):
                content = [part.content] if isinstance(part.content, str) else part.content
                found.append(calls.turn("user", "\n".join(one for one in content if isinstance(one, str))))
            elif isinstance(part, SystemPromptPart):
                found.append(calls.turn("system", part.content))
            elif isinstance(part, ToolReturnPart):
                found.append(calls.turn("tool", part.model_response_str(), part.tool_name))
    return found


def _plain(result: Any) -> Any:
    return getattr(result, "return_value", result)
