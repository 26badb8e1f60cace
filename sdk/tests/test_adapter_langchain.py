"""LangChain's real middleware, agent and checkpointer, with a scripted model, against the fake server over HTTP."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import httpx
import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langchain_core.language_models.fake_chat_models import FakeMessagesListChatModel
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.tools import BaseTool, tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from countersign import Countersign, Proposal, Undecided
from countersign.adapters.langchain import CountersignMiddleware
from countersign.testing import FakeServer

THREAD = {"configurable": {"thread_id": "t-1"}}
START = {"messages": [{"role": "user", "content": "Refund all of them."}]}


class Scripted(FakeMessagesListChatModel):
    """In place of a language model."""

    def bind_tools(self, tools: Any, **_: Any) -> Any:
        return self


class Till:
    """The tool, and what it did."""

    def __init__(self, act: Callable[[str], None] = lambda order: None) -> None:
        self.ran: list[tuple[str, float]] = []

        @tool
        def refund(order_id: str, amount: float) -> str:
            """Pay money back."""
            self.ran.append((order_id, amount))
            act(order_id)
            return f"{amount} for {order_id}"

        self.tool: BaseTool = refund


def agent_of(
    till: Till,
    gate: CountersignMiddleware,
    *orders: str,
    mode: str = "",
    saver: Any = None,
    said: int = 0,
    asking: Any = None,
) -> Any:
    calls = [
        {"name": "refund", "args": {"order_id": one, "amount": 10}, "id": f"call-{one}"} for one in orders
    ]
    answers: list[BaseMessage] = [AIMessage("I refund.", tool_calls=calls), AIMessage("Thank you.")]
    if mode:
        asking = HumanInTheLoopMiddleware(gate.interrupt_on, interrupt_mode=cast(Any, mode))
    return create_agent(
        Scripted(responses=answers, i=said),
        [till.tool],
        middleware=[asking, gate] if asking else [gate],
        checkpointer=saver or InMemorySaver(),
    )


def told(result: Any) -> dict[str, ToolMessage]:
    messages = [one for one in result["messages"] if isinstance(one, ToolMessage)]
    return {one.tool_call_id.removeprefix("call-"): one for one in messages}


def decide(server: FakeServer) -> None:
    """By the order's name, whatever comes in which order."""
    for one in server.proposals:
        by_name(server)(one)


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


@pytest.mark.parametrize("mode", ["batched", "per_call"])
def test_several_requests_keep_their_order(countersign_server: FakeServer, mode: str) -> None:
    till = Till()
    gate = CountersignMiddleware(countersign_server.client(), {"refund": "refund_order"})
    agent = agent_of(till, gate, "rejected", "fine", "edited", "returned", mode=mode)
    agent.invoke(START, THREAD)
    with pytest.raises(Undecided):
        gate.answer(agent, THREAD, timeout=0)
    assert [one.action_type for one in countersign_server.proposals] == ["refund_order"] * 4
    decide(countersign_server)
    command = gate.answer(agent, THREAD)
    assert command is not None and isinstance(command.resume, dict)
    decisions = [
        one
        for answer in command.resume.values()
        for one in (answer["decisions"] if mode == "batched" else [answer])
    ]
    assert [one["type"] for one in decisions] == ["reject", "approve", "edit", "reject"]
    result = agent.invoke(command, THREAD)
    assert gate.answer(agent, THREAD) is None
    assert sorted(till.ran) == [("edited", 5), ("fine", 10)]
    messages = told(result)
    assert {name: one.status for name, one in messages.items()} == {
        "rejected": "error",
        "fine": "success",
        "edited": "success",
        "returned": "error",
    }
    assert messages["fine"].content == "10.0 for fine"
    assert '{"amount": 5, "order_id": "edited"}' in messages["edited"].text
    assert messages["edited"].text.endswith("5.0 for edited")
    assert "Only the shipping was late." in messages["rejected"].text
    assert "Which order is meant?" in messages["returned"].text
    assert [one.status for one in countersign_server.proposals] == [
        "rejected",
        "succeeded",
        "succeeded",
        "withdrawn",
    ]


@pytest.mark.parametrize("mode", ["batched", "per_call"])
def test_the_gate_decides_where_the_middleware_may_only_approve(
    countersign_server: FakeServer, mode: str
) -> None:
    """Its configuration allows neither edit nor reject: the words and the arguments are right all the same."""
    till = Till()
    countersign_server.answer(by_name(countersign_server))
    gate = CountersignMiddleware(countersign_server.client(), {"refund": "refund_order"})
    asks: Any = HumanInTheLoopMiddleware(
        {"refund": {"allowed_decisions": ["approve"]}}, interrupt_mode=cast(Any, mode)
    )
    agent = agent_of(till, gate, "edited", "rejected", asking=asks)
    agent.invoke(START, THREAD)
    result = agent.invoke(gate.answer(agent, THREAD), THREAD)
    assert till.ran == [("edited", 5)]
    assert "A reviewer changed the arguments" in told(result)["edited"].text
    assert "Only the shipping was late." in told(result)["rejected"].text


def test_what_is_decided_first_goes_on_alone(countersign_server: FakeServer) -> None:
    till = Till()
    gate = CountersignMiddleware(countersign_server.client(), {"refund": "refund_order"})
    agent = agent_of(till, gate, "first", "second", mode="per_call")
    agent.invoke(START, THREAD)
    with pytest.raises(Undecided):
        gate.answer(agent, THREAD, timeout=0)
    first, second = countersign_server.proposals
    countersign_server.approve(second)
    agent.invoke(gate.answer(agent, THREAD), THREAD)
    assert till.ran == [("second", 10)]
    countersign_server.approve(first)
    result = agent.invoke(gate.answer(agent, THREAD), THREAD)
    assert till.ran == [("second", 10), ("first", 10)] and result["messages"][-1].content == "Thank you."


def test_another_process_answers_what_this_one_asked(countersign_server: FakeServer) -> None:
    till, saver = Till(), InMemorySaver()
    for _ in range(2):
        gate = CountersignMiddleware(countersign_server.client(), {"refund": "refund_order"})
        agent = agent_of(till, gate, "fine", mode="batched", saver=saver)
        if not countersign_server.proposals:
            agent.invoke(START, THREAD)
        with pytest.raises(Undecided):
            gate.answer(agent, THREAD, timeout=0)
    assert len(countersign_server.proposals) == 1
    decide(countersign_server)
    agent.invoke(gate.answer(agent, THREAD), THREAD)
    assert till.ran == [("fine", 10)]


def test_reviewers_see_the_conversation_unless_told_otherwise(countersign_server: FakeServer) -> None:
    for tells in (True, False):
        gate = CountersignMiddleware(
            countersign_server.client(), {"refund": "refund_order"}, tell_context=tells
        )
        thread = {"configurable": {"thread_id": f"t-{tells}"}}
        agent = agent_of(Till(), gate, "fine", mode="batched")
        agent.invoke(START, thread)
        with pytest.raises(Undecided):
            gate.answer(agent, thread, timeout=0)
        request = countersign_server.request(countersign_server.proposals[-1])
        assert request.get("context") == (
            [{"role": "user", "content": "Refund all of them."}] if tells else None
        )
        assert (request["reasoning"], request["metadata"]["tool_call_id"]) == ("I refund.", "call-fine")


class Crash(BaseException):
    """The process ends here."""


class _Line(httpx.BaseTransport):
    """A line on which the process dies, before or after the outcome was told."""

    def __init__(self, *, after: bool) -> None:
        self._real, self._after = httpx.HTTPTransport(), after

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if not request.url.path.endswith("/outcome"):
            return self._real.handle_request(request)
        if self._after:
            self._real.handle_request(request).read()
        raise Crash


@pytest.mark.parametrize("mode", ["", "batched", "per_call"])
@pytest.mark.parametrize("after", [False, True])
def test_a_crash_runs_nothing_twice(countersign_server: FakeServer, after: bool, mode: str) -> None:
    till, saver = Till(), InMemorySaver()
    countersign_server.answer(by_name(countersign_server))
    with httpx.Client(transport=_Line(after=after)) as http:
        dying = Countersign(countersign_server.url, countersign_server.token, http=http)
        gate = CountersignMiddleware(dying, {"refund": "refund_order"})
        agent = agent_of(till, gate, "edited", mode=mode, saver=saver)
        with pytest.raises(Crash):
            agent.invoke(START, THREAD)
            agent.invoke(gate.answer(agent, THREAD), THREAD)
    gate = CountersignMiddleware(countersign_server.client(), {"refund": "refund_order"})
    agent = agent_of(till, gate, "edited", mode=mode, saver=saver, said=1)
    result = agent.invoke(gate.answer(agent, THREAD), THREAD)
    assert till.ran == [("edited", 5)]
    assert len(countersign_server.proposals) == 1
    message = told(result)["edited"]
    if after:
        assert message.status == "success" and message.text.endswith("5.0 for edited")
    else:
        assert message.status == "error" and "not run again" in message.text


def test_a_tool_that_fails_is_reported_and_not_run_again(countersign_server: FakeServer) -> None:
    def fail(order: str) -> None:
        raise RuntimeError("the bank is closed")

    till, saver = Till(fail), InMemorySaver()
    countersign_server.answer(by_name(countersign_server))
    gate = CountersignMiddleware(countersign_server.client(), {"refund": "refund_order"})
    agent = agent_of(till, gate, "fine", saver=saver)
    with pytest.raises(RuntimeError, match="the bank is closed"):
        agent.invoke(START, THREAD)
    [one] = countersign_server.proposals
    assert one.outcome is not None and one.status == "failed"
    assert one.outcome.result == {"error": "RuntimeError", "message": "the bank is closed"}
    result = agent.invoke(None, THREAD)
    assert till.ran == [("fine", 10)]
    assert "the bank is closed" in told(result)["fine"].text


def test_arguments_that_nobody_approved_do_not_run(countersign_server: FakeServer) -> None:
    """Another inbox answers the interrupt with arguments of its own."""
    till = Till()
    countersign_server.answer(by_name(countersign_server))
    gate = CountersignMiddleware(countersign_server.client(), {"refund": "refund_order"})
    agent = agent_of(till, gate, "fine", mode="batched")
    agent.invoke(START, THREAD)
    other = {"name": "refund", "args": {"order_id": "fine", "amount": 9999}}
    result = agent.invoke(Command(resume={"decisions": [{"type": "edit", "edited_action": other}]}), THREAD)
    assert till.ran == []
    assert "not the ones that were approved" in told(result)["fine"].text
    assert [one.status for one in countersign_server.proposals] == ["approved"]


def test_an_approval_from_elsewhere_waits_for_ours(countersign_server: FakeServer) -> None:
    till = Till()
    gate = CountersignMiddleware(countersign_server.client(), {"refund": "refund_order"}, timeout=0)
    agent = agent_of(till, gate, "fine", mode="batched")
    agent.invoke(START, THREAD)
    with pytest.raises(Undecided):
        agent.invoke(Command(resume={"decisions": [{"type": "approve"}]}), THREAD)
    assert till.ran == [] and [one.status for one in countersign_server.proposals] == ["pending"]


@pytest.mark.parametrize("status", ["expired", "lapsed", "revoked"])
def test_other_ends_are_told_in_words(countersign_server: FakeServer, status: str) -> None:
    till = Till()

    def end(one: Proposal) -> None:
        if status != "expired":
            countersign_server.approve(one)
        countersign_server.become(one, status)

    countersign_server.answer(end)
    gate = CountersignMiddleware(countersign_server.client(), {"refund": "refund_order"})
    agent = agent_of(till, gate, "fine", mode="batched")
    agent.invoke(START, THREAD)
    result = agent.invoke(gate.answer(agent, THREAD), THREAD)
    [one] = countersign_server.proposals
    assert till.ran == [] and one.status == status
    assert one.words in told(result)["fine"].text


def test_a_denial_carries_the_policys_words(countersign_server: FakeServer) -> None:
    countersign_server.deny("refund_order", "Refunds go back the way they were paid.")
    till = Till()
    gate = CountersignMiddleware(countersign_server.client(), {"refund": "refund_order"})
    result = agent_of(till, gate, "fine").invoke(START, THREAD)
    assert till.ran == [] and "go back the way they were paid" in told(result)["fine"].text


def test_taken_back_between_the_decision_and_the_run(countersign_server: FakeServer) -> None:
    till = Till()
    gate = CountersignMiddleware(countersign_server.client(), {"refund": "refund_order"})
    agent = agent_of(till, gate, "fine", mode="batched")
    agent.invoke(START, THREAD)
    countersign_server.answer(by_name(countersign_server))
    command = gate.answer(agent, THREAD)
    countersign_server.become(countersign_server.proposals[0], "revoked")
    result = agent.invoke(command, THREAD)
    assert till.ran == [] and "taken back" in told(result)["fine"].text


def test_advice_is_not_carried_out(countersign_server: FakeServer) -> None:
    countersign_server.tier("refund_order", "advisory")
    countersign_server.answer(by_name(countersign_server))
    till = Till()
    gate = CountersignMiddleware(countersign_server.client(), {"refund": "refund_order"})
    result = agent_of(till, gate, "fine").invoke(START, THREAD)
    assert till.ran == [] and "you must not" in told(result)["fine"].text


def test_the_call_itself_waits_where_nothing_interrupts(countersign_server: FakeServer) -> None:
    countersign_server.answer(by_name(countersign_server))
    till = Till()
    gate = CountersignMiddleware(countersign_server.client(), {"refund": "refund_order"})
    result = agent_of(till, gate, "fine", "edited", "rejected").invoke(START, THREAD)
    messages = told(result)
    assert sorted(till.ran) == [("edited", 5), ("fine", 10)]
    assert messages["edited"].text.startswith("A reviewer changed the arguments")
    assert "Only the shipping was late." in messages["rejected"].text


def test_a_call_that_comes_again_with_its_id_is_the_same_call(countersign_server: FakeServer) -> None:
    """A model that repeats itself word for word, id and all, in the same thread: it is told the result again."""
    countersign_server.answer(by_name(countersign_server))
    till, saver = Till(), InMemorySaver()
    gate = CountersignMiddleware(countersign_server.client(), {"refund": "refund_order"})
    first = told(agent_of(till, gate, "fine", saver=saver).invoke(START, THREAD))
    again = told(agent_of(till, gate, "fine", saver=saver).invoke(START, THREAD))
    assert till.ran == [("fine", 10)] and first["fine"].content == again["fine"].content
    another = {"configurable": {"thread_id": "t-2"}}
    agent_of(till, gate, "fine", saver=saver).invoke(START, another)
    assert till.ran == [("fine", 10)] * 2


def test_other_tools_are_left_alone(countersign_server: FakeServer) -> None:
    till = Till()
    gate = CountersignMiddleware(countersign_server.client(), ["another_tool"])
    result = agent_of(till, gate, "fine").invoke(START, THREAD)
    assert told(result)["fine"].content == "10.0 for fine" and countersign_server.proposals == []


def test_an_interrupt_about_other_tools_is_not_ours(countersign_server: FakeServer) -> None:
    gate = CountersignMiddleware(countersign_server.client(), ["another_tool"])
    asks_too = CountersignMiddleware(countersign_server.client(), ["refund"])
    asking = HumanInTheLoopMiddleware(asks_too.interrupt_on)
    calls = [{"name": "refund", "args": {"order_id": "fine", "amount": 10}, "id": "call-fine"}]
    model = Scripted(responses=[AIMessage("", tool_calls=calls)])
    agent: Any = create_agent(model, [Till().tool], middleware=[asking, gate], checkpointer=InMemorySaver())
    agent.invoke(START, THREAD)
    assert gate.answer(agent, THREAD) is None and countersign_server.proposals == []


@pytest.mark.parametrize("mode", ["", "batched", "per_call"])
def test_async(countersign_server: FakeServer, mode: str) -> None:
    countersign_server.answer(by_name(countersign_server))
    till = Till()

    async def work() -> Any:
        async with countersign_server.async_client() as client:
            gate = CountersignMiddleware(client, {"refund": "refund_order"})
            agent = agent_of(till, gate, "fine", "edited", "rejected", mode=mode)
            result = await agent.ainvoke(START, THREAD)
            while command := await gate.aanswer(agent, THREAD):
                result = await agent.ainvoke(command, THREAD)
            return result

    messages = told(asyncio.run(work()))
    assert sorted(till.ran) == [("edited", 5), ("fine", 10)]
    assert "Only the shipping was late." in messages["rejected"].text
    assert sorted(one.status for one in countersign_server.proposals) == [
        "rejected",
        "succeeded",
        "succeeded",
    ]


def test_an_async_agent_may_use_the_plain_client(countersign_server: FakeServer) -> None:
    countersign_server.answer(by_name(countersign_server))
    till = Till()
    gate = CountersignMiddleware(countersign_server.client(), {"refund": "refund_order"})
    result = asyncio.run(agent_of(till, gate, "fine").ainvoke(START, THREAD))
    assert till.ran == [("fine", 10)] and told(result)["fine"].content == "10.0 for fine"
