"""Pydantic AI's real agent and deferred tools, with a scripted model, against the fake server over HTTP."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from pydantic_ai import Agent, DeferredToolRequests, DeferredToolResults, ModelRetry
from pydantic_ai.messages import (
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelResponse,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
)
from pydantic_ai.models.function import AgentInfo, FunctionModel

from countersign import Countersign, Proposal, Undecided
from countersign.adapters.pydantic_ai import Countersigned
from countersign.testing import FakeServer

TOOLS = {"refund": "refund_order"}


class Till:
    """The tool, the scripted model that asks for it, and what was done."""

    def __init__(self, *orders: str, act: Callable[[str], None] = lambda order: None) -> None:
        self.orders, self.act = orders, act
        self.ran: list[tuple[str, float]] = []

    def refund(self, order_id: str, amount: float) -> str:
        """Pay money back."""
        self.ran.append((order_id, amount))
        self.act(order_id)
        return f"{amount} for {order_id}"

    def model(self, messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        if any(isinstance(part, ToolReturnPart) for part in messages[-1].parts):
            return ModelResponse([TextPart("Thank you.")])
        calls = [
            ToolCallPart("refund", {"order_id": one, "amount": 10}, f"call-{one}") for one in self.orders
        ]
        return ModelResponse([TextPart("I refund."), *calls])

    def agent(self, *gates: Countersigned) -> Any:
        return Agent(
            FunctionModel(self.model),
            tools=[self.refund],
            output_type=[str, DeferredToolRequests],
            capabilities=gates,
        )


def told(result: Any) -> dict[str, Any]:
    parts = [part for message in result.all_messages() for part in message.parts]
    return {
        part.tool_call_id.removeprefix("call-"): part for part in parts if isinstance(part, ToolReturnPart)
    }


def by_name(server: FakeServer) -> Callable[[Proposal], None]:
    def verdict(one: Proposal) -> None:
        order = one.arguments["order_id"]
        if order == "edited":
            server.approve(one, edit=one.arguments | {"amount": 5})
        elif order == "rejected":
            server.reject(one, "Only the shipping was late.")
        elif order == "returned":
            server.return_(one, "Which order is meant?")
        else:
            server.approve(one)

    return verdict


def check(till: Till, result: Any, server: FakeServer) -> None:
    parts = told(result)
    assert (result.output, sorted(till.ran)) == ("Thank you.", [("edited", 5), ("fine", 10)])
    assert {name: part.outcome for name, part in parts.items()} == {
        "rejected": "denied",
        "fine": "success",
        "edited": "success",
        "returned": "denied",
    }
    assert parts["fine"].content == "10.0 for fine"
    assert '{"amount": 5, "order_id": "edited"}' in parts["edited"].content
    assert parts["edited"].content.endswith("5.0 for edited")
    assert "Only the shipping was late." in parts["rejected"].content
    assert "Which order is meant?" in parts["returned"].content
    asked = {one.arguments["order_id"]: one for one in server.proposals}
    assert {name: one.status for name, one in asked.items()} == {
        "rejected": "rejected",
        "fine": "succeeded",
        "edited": "succeeded",
        "returned": "withdrawn",
    }
    outcome = asked["edited"].outcome
    assert outcome is not None and outcome.result == "5.0 for edited"


ORDERS = ("rejected", "fine", "edited", "returned")


def test_inline(countersign_server: FakeServer) -> None:
    countersign_server.answer(by_name(countersign_server))
    till = Till(*ORDERS)

    async def work() -> Any:
        async with countersign_server.async_client() as client:
            return await till.agent(Countersigned(client, TOOLS)).run("Refund all of them.")

    result = asyncio.run(work())
    check(till, result, countersign_server)
    request = countersign_server.request(countersign_server.proposals[0])
    assert (request["reasoning"], request["context"]) == (
        "I refund.",
        [{"role": "user", "content": "Refund all of them."}],
    )


def test_across_runs_and_processes(countersign_server: FakeServer) -> None:
    """What crosses is JSON in the framework's own forms; each round has an agent and a gate of its own."""
    till = Till(*ORDERS)
    gate = Countersigned(countersign_server.client(), TOOLS, inline=False)
    result = till.agent(gate).run_sync("Refund all of them.")
    with pytest.raises(Undecided):
        gate.answer(result.output, result.all_messages(), timeout=0)
    assert [one.arguments["order_id"] for one in countersign_server.proposals] == list(ORDERS)
    for one in countersign_server.proposals:
        by_name(countersign_server)(one)
    stored = result.all_messages_json()
    gate = Countersigned(countersign_server.client(), TOOLS, inline=False)
    messages = ModelMessagesTypeAdapter.validate_json(stored)
    results = gate.answer(result.output, messages)
    assert list(results.approvals) == [f"call-{name}" for name in ORDERS]
    result = till.agent(gate).run_sync(message_history=messages, deferred_tool_results=results)
    check(till, result, countersign_server)
    again = till.agent(gate).run_sync(message_history=messages, deferred_tool_results=results)
    assert sorted(till.ran) == [("edited", 5), ("fine", 10)]
    assert told(again)["edited"].content.endswith("5.0 for edited")
    assert len(countersign_server.proposals) == len(ORDERS)


@pytest.mark.parametrize("approval", [True, False])
def test_approvals_that_are_not_ours_run_nothing(countersign_server: FakeServer, approval: bool) -> None:
    """Somebody approves in the framework alone: with an edit of ours left out, or before we have decided."""
    till = Till("edited" if approval else "fine")
    gate = Countersigned(countersign_server.client(), TOOLS, inline=False, timeout=0)
    result = till.agent(gate).run_sync("Refund it.")
    with pytest.raises(Undecided):
        gate.answer(result.output, result.all_messages(), timeout=0)
    if approval:
        by_name(countersign_server)(countersign_server.proposals[0])
    approved = DeferredToolResults(approvals={one.tool_call_id: True for one in result.output.approvals})
    again = {"message_history": result.all_messages(), "deferred_tool_results": approved}
    if approval:
        part = told(till.agent(gate).run_sync(**again))["edited"]
        assert part.outcome == "failed" and "not the ones that were approved" in part.content
    else:
        with pytest.raises(Undecided):
            till.agent(gate).run_sync(**again)
    assert till.ran == []
    assert [one.status for one in countersign_server.proposals] == ["approved" if approval else "pending"]


class Crash(BaseException):
    """The process ends here."""


class _Line(httpx.BaseTransport):
    def __init__(self, *, after: bool) -> None:
        self._real, self._after = httpx.HTTPTransport(), after

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if not request.url.path.endswith("/outcome"):
            return self._real.handle_request(request)
        if self._after:
            self._real.handle_request(request).read()
        raise Crash


@pytest.mark.parametrize("after", [False, True])
def test_a_crash_runs_nothing_twice(countersign_server: FakeServer, after: bool) -> None:
    countersign_server.answer(by_name(countersign_server))
    till = Till("fine")
    with httpx.Client(transport=_Line(after=after)) as http:
        dying = Countersign(countersign_server.url, countersign_server.token, http=http)
        gate = Countersigned(dying, TOOLS, inline=False)
        asked = till.agent(gate).run_sync("Refund it.")
        results = gate.answer(asked.output, asked.all_messages())
        history = asked.all_messages()
        with pytest.raises(Crash):
            till.agent(gate).run_sync(message_history=history, deferred_tool_results=results)
    gate = Countersigned(countersign_server.client(), TOOLS, inline=False)
    results = gate.answer(asked.output, history)
    part = told(till.agent(gate).run_sync(message_history=history, deferred_tool_results=results))["fine"]
    assert till.ran == [("fine", 10)] and len(countersign_server.proposals) == 1
    if after:
        assert (part.outcome, part.content) == ("success", "10.0 for fine")
    else:
        assert part.outcome == "failed" and "not run again" in part.content


@pytest.mark.parametrize("error", [RuntimeError("the bank is closed"), ModelRetry("the bank is closed")])
def test_failures_are_reported(countersign_server: FakeServer, error: Exception) -> None:
    def act(order: str) -> None:
        raise error

    countersign_server.answer(by_name(countersign_server))
    till = Till("fine", act=act)
    agent = till.agent(Countersigned(countersign_server.client(), TOOLS))
    if isinstance(error, RuntimeError):
        with pytest.raises(RuntimeError, match="the bank is closed"):
            agent.run_sync("Refund it.")
    else:
        agent.run_sync("Refund it.")
    [one] = countersign_server.proposals
    assert one.status == "failed" and till.ran == [("fine", 10)]
    assert one.outcome is not None and "the bank is closed" in one.outcome.result["message"]


def test_taken_back_between_the_decision_and_the_run(countersign_server: FakeServer) -> None:
    countersign_server.answer(by_name(countersign_server))
    till = Till("fine")
    gate = Countersigned(countersign_server.client(), TOOLS, inline=False)
    asked = till.agent(gate).run_sync("Refund it.")
    results = gate.answer(asked.output, asked.all_messages())
    countersign_server.become(countersign_server.proposals[0], "revoked")
    again = till.agent(gate).run_sync(message_history=asked.all_messages(), deferred_tool_results=results)
    assert till.ran == [] and "taken back" in told(again)["fine"].content


def test_other_tools_are_left_alone(countersign_server: FakeServer) -> None:
    till = Till("fine")
    gate = Countersigned(countersign_server.client(), ["another_tool"])
    result = till.agent(gate).run_sync("Refund it.")
    assert told(result)["fine"].content == "10.0 for fine" and countersign_server.proposals == []
