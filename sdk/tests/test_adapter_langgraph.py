"""LangGraph's real graphs, `interrupt()` and `Command(resume=…)` against the fake server over HTTP."""

import asyncio
import operator
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.messages import AIMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode
from langgraph.types import Command, interrupt

from countersign import ArgumentsUnfit, Proposal, Undecided
from countersign.adapters import langgraph
from countersign.adapters.langchain import CountersignMiddleware
from countersign.testing import FakeServer

THREAD = {"configurable": {"thread_id": "t-1"}}


class State(TypedDict):
    orders: list[str]
    said: Annotated[list[str], operator.add]


def action(order: str) -> langgraph.Action:
    return {
        "name": "refund_order",
        "args": {"order_id": order, "amount": 10},
        "description": f"Refund {order}",
    }


def graph_of(*nodes: Any, saver: Any = None) -> Any:
    """All nodes side by side."""
    builder: Any = StateGraph(State)
    for at, node in enumerate(nodes):
        builder.add_node(f"n{at}", node)
        builder.add_edge(START, f"n{at}")
        builder.add_edge(f"n{at}", END)
    return builder.compile(checkpointer=saver if saver is not None else InMemorySaver())


def decide(server: FakeServer) -> None:
    for one in server.proposals:
        if one.is_decided:
            continue
        order = one.arguments["order_id"]
        if order == "edited":
            server.approve(one, edit=one.arguments | {"amount": 5})
        elif order == "rejected":
            server.reject(one, "Only the shipping was late.")
        else:
            server.approve(one)


class Till:
    def __init__(self, server: FakeServer) -> None:
        self.client = server.client()
        self.ran: list[tuple[str, float]] = []

    def refund(self, order_id: str, amount: float) -> dict[str, Any]:
        self.ran.append((order_id, amount))
        return {"paid": amount}

    def node(self, state: State) -> dict[str, Any]:
        decisions = langgraph.ask(*map(action, state["orders"]))
        return {"said": [langgraph.carry_out(self.client, one, self.refund).words for one in decisions]}


def test_several_actions_in_one_interrupt_keep_their_order(countersign_server: FakeServer) -> None:
    till = Till(countersign_server)
    graph = graph_of(till.node)
    graph.invoke({"orders": ["rejected", "edited", "fine"]}, THREAD)
    with pytest.raises(Undecided):
        langgraph.answer(till.client, graph, THREAD, timeout=0)
    assert [one.arguments["order_id"] for one in countersign_server.proposals] == [
        "rejected",
        "edited",
        "fine",
    ]
    assert countersign_server.request(countersign_server.proposals[0])["summary"] == "Refund rejected"
    decide(countersign_server)
    result = graph.invoke(langgraph.answer(till.client, graph, THREAD), THREAD)
    assert langgraph.answer(till.client, graph, THREAD) is None
    assert till.ran == [("edited", 5), ("fine", 10)]
    rejected, edited, fine = result["said"]
    assert "Only the shipping was late." in rejected
    assert edited.startswith("A reviewer changed the arguments") and edited.endswith('{"paid": 5}')
    assert fine == '{"paid": 10}'


def test_in_a_subgraph(countersign_server: FakeServer) -> None:
    till = Till(countersign_server)
    inner: Any = StateGraph(State)
    inner.add_node("pay", till.node)
    inner.add_edge(START, "pay")
    graph = graph_of(inner.compile())
    graph.invoke({"orders": ["fine"]}, THREAD)
    with pytest.raises(Undecided):
        langgraph.answer(till.client, graph, THREAD, timeout=0)
    decide(countersign_server)
    result = graph.invoke(langgraph.answer(till.client, graph, THREAD), THREAD)
    assert (till.ran, result["said"]) == ([("fine", 10)], ['{"paid": 10}'])


def test_two_interrupts_go_on_as_they_are_decided(countersign_server: FakeServer) -> None:
    till = Till(countersign_server)

    def one(state: State) -> dict[str, Any]:
        return till.node({"orders": ["first"], "said": []})

    def two(state: State) -> dict[str, Any]:
        return till.node({"orders": ["second"], "said": []})

    graph = graph_of(one, two)
    graph.invoke({"orders": []}, THREAD)
    with pytest.raises(Undecided):
        langgraph.answer(till.client, graph, THREAD, timeout=0)
    [second] = [found for found in countersign_server.proposals if found.arguments["order_id"] == "second"]
    countersign_server.approve(second)
    graph.invoke(langgraph.answer(till.client, graph, THREAD), THREAD)
    assert till.ran == [("second", 10)]
    decide(countersign_server)
    graph.invoke(langgraph.answer(till.client, graph, THREAD), THREAD)
    assert till.ran == [("second", 10), ("first", 10)]
    assert len(countersign_server.proposals) == 2


def test_a_node_that_runs_again_does_nothing_twice(countersign_server: FakeServer) -> None:
    """It fails after the action: LangGraph keeps the answer and runs the node from its start."""
    till, tries = Till(countersign_server), []

    def node(state: State) -> dict[str, Any]:
        said = till.node(state)
        tries.append(said)
        if len(tries) == 1:
            raise RuntimeError("out of memory")
        return said

    graph = graph_of(node)
    graph.invoke({"orders": ["fine", "edited"]}, THREAD)
    with pytest.raises(Undecided):
        langgraph.answer(till.client, graph, THREAD, timeout=0)
    decide(countersign_server)
    with pytest.raises(RuntimeError):
        graph.invoke(langgraph.answer(till.client, graph, THREAD), THREAD)
    result = graph.invoke(None, THREAD)
    assert till.ran == [("fine", 10), ("edited", 5)]
    assert result["said"] == tries[0]["said"] == tries[1]["said"]


def test_what_fails_is_reported_and_goes_on(countersign_server: FakeServer) -> None:
    till = Till(countersign_server)

    def fail(order_id: str, amount: float) -> None:
        raise TimeoutError("no answer from the bank") if order_id == "late" else RuntimeError("refused")

    def node(state: State) -> dict[str, Any]:
        [decision] = langgraph.ask(action(state["orders"][0]))
        return {"said": [langgraph.carry_out(till.client, decision, fail).words]}

    for order, status in (("late", "unknown"), ("fine", "failed")):
        thread = {"configurable": {"thread_id": order}}
        graph = graph_of(node)
        graph.invoke({"orders": [order]}, thread)
        with pytest.raises(Undecided):
            langgraph.answer(till.client, graph, thread, timeout=0)
        decide(countersign_server)
        command = langgraph.answer(till.client, graph, thread)
        with pytest.raises((TimeoutError, RuntimeError)):
            graph.invoke(command, thread)
        assert countersign_server.proposals[-1].status == status
        [said] = graph.invoke(None, thread)["said"]
        assert ("refused" in said) is (order == "fine") and ("Do not repeat it" in said) is (order == "late")


def test_arguments_that_do_not_fit_use_no_grant_up(countersign_server: FakeServer) -> None:
    client = countersign_server.client()
    proposal = client.propose("refund_order", {"order_id": "fine", "amount": 10})
    countersign_server.approve(proposal)
    with pytest.raises(ArgumentsUnfit):
        langgraph.carry_out(client, {"type": "approve", "proposal": proposal.id}, lambda order_id: order_id)
    assert client.get(proposal).is_approved


def test_other_interrupts_are_not_ours(countersign_server: FakeServer) -> None:
    till = Till(countersign_server)

    def own(state: State) -> dict[str, Any]:
        return {"said": [interrupt("How are you?")]}

    graph = graph_of(own, till.node)
    graph.invoke({"orders": ["fine"]}, THREAD)
    with pytest.raises(Undecided):
        langgraph.answer(till.client, graph, THREAD, timeout=0)
    decide(countersign_server)
    graph.invoke(langgraph.answer(till.client, graph, THREAD), THREAD)
    assert langgraph.answer(till.client, graph, THREAD) is None
    assert graph.invoke(Command(resume="Well."), THREAD)["said"] == ["Well.", '{"paid": 10}']


def test_async(countersign_server: FakeServer) -> None:
    ran: list[Any] = []

    async def refund(order_id: str, amount: float) -> str:
        ran.append((order_id, amount))
        return "paid"

    async def work() -> Any:
        async with countersign_server.async_client() as client:

            async def node(state: State) -> dict[str, Any]:
                decisions = langgraph.ask(*map(action, state["orders"]))
                done = [await langgraph.acarry_out(client, one, refund) for one in decisions]
                assert [one.ok for one in done] == [False, True]
                return {"said": [one.words for one in done]}

            graph = graph_of(node)
            result = await graph.ainvoke({"orders": ["rejected", "edited"]}, THREAD)
            with pytest.raises(Undecided):
                await langgraph.aanswer(client, graph, THREAD, timeout=0)
            decide(countersign_server)
            while command := await langgraph.aanswer(client, graph, THREAD):
                result = await graph.ainvoke(command, THREAD)
            return result

    rejected, edited = asyncio.run(work())["said"]
    assert ran == [("edited", 5)] and edited.endswith("paid") and "Only the shipping" in rejected


def test_a_cancelled_run_is_reported_as_unknown(countersign_server: FakeServer) -> None:
    def approve(one: Proposal) -> None:
        countersign_server.approve(one)

    async def work() -> None:
        began = asyncio.Event()

        async def refund(order_id: str, amount: float) -> None:
            began.set()
            await asyncio.Event().wait()

        async with countersign_server.async_client() as client:
            proposal = await client.propose("refund_order", {"order_id": "fine", "amount": 10})
            approve(proposal)
            decision: langgraph.Decision = {"type": "approve", "proposal": proposal.id}
            running = asyncio.ensure_future(langgraph.acarry_out(client, decision, refund))
            await began.wait()
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running

    asyncio.run(work())
    assert [one.status for one in countersign_server.proposals] == ["unknown"]


def test_the_gate_fits_a_tool_node(countersign_server: FakeServer) -> None:
    till = Till(countersign_server)
    refund = tool("refund", description="Pay money back.")(till.refund)
    gate = CountersignMiddleware(till.client, {"refund": "refund_order"}, timeout=0)
    builder: Any = StateGraph(MessagesState)
    builder.add_node("tools", ToolNode([refund], wrap_tool_call=gate.wrap_tool_call))
    builder.add_edge(START, "tools")
    graph = builder.compile(checkpointer=InMemorySaver())
    call = {"name": "refund", "args": {"order_id": "edited", "amount": 10}, "id": "c-1"}
    with pytest.raises(Undecided):
        graph.invoke({"messages": [AIMessage("", tool_calls=[call])]}, THREAD)
    decide(countersign_server)
    result = graph.invoke(None, THREAD)
    assert till.ran == [("edited", 5)] and result["messages"][-1].text.endswith('{"paid": 5.0}')
