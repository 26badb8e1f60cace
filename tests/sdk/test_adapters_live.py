"""The adapters against the real server: one call approved, one edited, one rejected, in each framework's own types.

The reviewers decide by the use case behind the page's button."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

import pytest
from countersign import Countersign, Undecided
from countersign.adapters import langgraph
from countersign.adapters.langchain import CountersignMiddleware
from countersign.adapters.pydantic_ai import Countersigned
from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langchain_core.language_models.fake_chat_models import FakeMessagesListChatModel
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from pydantic_ai import Agent, DeferredToolRequests
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from approvals.models import Proposal, Verdict
from tests.factories import Desk, desk
from tests.live import serving

ROOT = Path(__file__).resolve().parent.parent.parent
CHILD = ROOT / "sdk" / "tests" / "openai_agents_child.py"
ASKED: dict[str, dict[str, Any]] = {
    "call-a": {"order_id": "A-1", "amount": 10, "reason": "damaged"},
    "call-b": {"order_id": "B-2", "amount": 20, "reason": "late"},
    "call-c": {"order_id": "C-3", "amount": 30, "reason": "late"},
}
EDITED = {"order_id": "B-2", "amount": 5, "reason": "late"}
RAN = [["A-1", 10], ["B-2", 5]]

pytestmark = pytest.mark.django_db(transaction=True)


@dataclass
class Office:
    """A server with one agent and its reviewers."""

    the: Desk
    client: Countersign
    url: str

    @property
    def tools(self) -> dict[str, str]:
        return {"refund": self.the.action_type.name}

    def of(self, order: str) -> Proposal:
        found = {one.current_revision.arguments["order_id"]: one for one in Proposal.objects.all()}
        assert len(found) == Proposal.objects.count() == len(ASKED)
        return found[order]

    def decide(self) -> None:
        """Approve the first, edit the second, reject the third."""
        first, second, third = (self.of(asked["order_id"]) for asked in ASKED.values())
        self.the.decide(first, Verdict.APPROVE)
        self.the.decide(second, Verdict.EDIT, arguments=EDITED)
        self.the.decide(third, Verdict.REJECT, reason="wrong_amount", comment="Only the shipping is late.")

    def states(self) -> dict[str, Any]:
        return {
            asked["order_id"]: (one.state, one.outcome.result if hasattr(one, "outcome") else None)
            for asked in ASKED.values()
            for one in [self.of(asked["order_id"])]
        }


@pytest.fixture
def office() -> Iterator[Office]:
    the = desk()
    with serving() as url, Countersign(url, the.token) as client:
        yield Office(the, client, url)


def test_langchain(office: Office) -> None:
    ran: list[list[Any]] = []

    @tool
    def refund(order_id: str, amount: float, reason: str) -> str:
        """Pay money back."""
        ran.append([order_id, amount])
        return f"{amount} for {order_id}"

    gate = CountersignMiddleware(office.client, office.tools)
    calls = [{"name": "refund", "args": args, "id": name} for name, args in ASKED.items()]
    model = _Scripted(responses=[AIMessage("I pay it back.", tool_calls=calls), AIMessage("Thank you.")])
    agent: Any = create_agent(
        model,
        [refund],
        middleware=[HumanInTheLoopMiddleware(interrupt_on=gate.interrupt_on), gate],
        checkpointer=InMemorySaver(),
    )
    config = {"configurable": {"thread_id": "t-1"}}
    agent.invoke({"messages": [{"role": "user", "content": "All three were late."}]}, config)
    with pytest.raises(Undecided):
        gate.answer(agent, config, timeout=0)
    office.decide()
    command = gate.answer(agent, config, timeout=0)
    result = agent.invoke(command, config)
    told = {one.tool_call_id: one for one in result["messages"] if isinstance(one, ToolMessage)}
    assert sorted(ran) == RAN
    assert told["call-a"].content == "10.0 for A-1"
    assert (
        told["call-b"].text.endswith("5.0 for B-2")
        and "reviewer replaced this tool call" in told["call-b"].text
    )
    assert "Only the shipping is late." in told["call-c"].text and told["call-c"].status == "error"
    assert office.states() == {
        "A-1": ("succeeded", "10.0 for A-1"),
        "B-2": ("succeeded", "5.0 for B-2"),
        "C-3": ("rejected", None),
    }
    first = office.of("A-1")
    assert first.reasoning == "I pay it back."
    assert [turn["content"] for turn in first.context] == ["All three were late."]


class _Scripted(FakeMessagesListChatModel):
    """In place of a language model."""

    def bind_tools(self, tools: Any, **_: Any) -> Any:
        return self


class _State(TypedDict):
    orders: list[dict[str, Any]]
    said: list[str]


def test_langgraph(office: Office) -> None:
    ran: list[list[Any]] = []

    def refund(order_id: str, amount: float, reason: str) -> dict[str, Any]:
        ran.append([order_id, amount])
        return {"paid": amount}

    def pay(state: _State) -> dict[str, Any]:
        name = office.the.action_type.name
        actions = [langgraph.Action(name=name, args=args) for args in state["orders"]]
        decisions = langgraph.ask(*actions)
        return {"said": [langgraph.carry_out(office.client, one, refund).words for one in decisions]}

    builder: Any = StateGraph(_State)
    builder.add_node("pay", pay)
    builder.add_edge(START, "pay")
    builder.add_edge("pay", END)
    graph = builder.compile(checkpointer=InMemorySaver())
    config = {"configurable": {"thread_id": "t-1"}}
    graph.invoke({"orders": list(ASKED.values()), "said": []}, config)
    with pytest.raises(Undecided):
        langgraph.answer(office.client, graph, config, timeout=0)
    office.decide()
    result = graph.invoke(langgraph.answer(office.client, graph, config, timeout=0), config)
    assert ran == RAN
    assert result["said"][0] == '{"paid": 10}'
    assert result["said"][1].endswith('{"paid": 5}') and "reviewer changed the arguments" in result["said"][1]
    assert "Only the shipping is late." in result["said"][2]
    assert office.states() == {
        "A-1": ("succeeded", {"paid": 10}),
        "B-2": ("succeeded", {"paid": 5}),
        "C-3": ("rejected", None),
    }


def test_pydantic_ai(office: Office) -> None:
    ran: list[list[Any]] = []

    def refund(order_id: str, amount: float, reason: str) -> str:
        """Pay money back."""
        ran.append([order_id, amount])
        return f"{amount} for {order_id}"

    def model(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        if any(isinstance(part, ToolReturnPart) for part in messages[-1].parts):
            return ModelResponse([TextPart("Thank you.")])
        return ModelResponse([ToolCallPart("refund", args, name) for name, args in ASKED.items()])

    gate = Countersigned(office.client, office.tools, inline=False)
    agent: Any = Agent(
        FunctionModel(model), tools=[refund], output_type=[str, DeferredToolRequests], capabilities=[gate]
    )
    result = agent.run_sync("All three were late.")
    with pytest.raises(Undecided):
        gate.answer(result.output, result.all_messages(), timeout=0)
    office.decide()
    results = gate.answer(result.output, result.all_messages(), timeout=0)
    result = agent.run_sync(message_history=result.all_messages(), deferred_tool_results=results)
    told: dict[str, Any] = {
        part.tool_call_id: part
        for message in result.all_messages()
        for part in message.parts
        if isinstance(part, ToolReturnPart)
    }
    assert (result.output, sorted(ran)) == ("Thank you.", RAN)
    assert told["call-a"].content == "10.0 for A-1"
    assert told["call-b"].content.endswith("5.0 for B-2")
    assert (told["call-c"].outcome, "Only the shipping" in told["call-c"].content) == ("denied", True)
    assert office.states() == {
        "A-1": ("succeeded", "10.0 for A-1"),
        "B-2": ("succeeded", "5.0 for B-2"),
        "C-3": ("rejected", None),
    }


@pytest.mark.timeout(400)
def test_openai_agents_across_processes(office: Office, tmp_path: Path) -> None:
    environment = os.environ | {
        "PYTHONPATH": str(ROOT / "sdk" / "src"),
        "COUNTERSIGN_URL": office.url,
        "COUNTERSIGN_TOKEN": office.the.token,
        "CALLS": json.dumps(ASKED),
        "ACTION_TYPE": office.the.action_type.name,
        "RAN": str(tmp_path / "ran"),
    }

    def child(*words: str, state: str = "") -> str:
        done = subprocess.run(
            [sys.executable, str(CHILD), *words],
            cwd=tmp_path,
            env=environment,
            input=state,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    state = child("start")
    assert json.loads(child("resume", "0", state=state)) == {"undecided": True}
    office.decide()
    told = json.loads(child("resume", "0", state=state))
    assert told["final"] == "Thank you." and told["open"] == []
    assert told["outputs"]["call-a"] == "10.0 for A-1"
    assert told["outputs"]["call-b"].endswith("5.0 for B-2")
    assert "Only the shipping is late." in told["outputs"]["call-c"]
    ran = sorted(json.loads(line)[:2] for line in (tmp_path / "ran").read_text().splitlines())
    assert ran == RAN
    assert {name: state for name, (state, _) in office.states().items()} == {
        "A-1": "succeeded",
        "B-2": "succeeded",
        "C-3": "rejected",
    }
