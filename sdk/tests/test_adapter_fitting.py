"""A tool behind each adapter does not run with what a default or a validation makes of the approved arguments."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from pydantic import BaseModel
from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from test_adapter_langchain import Scripted

from countersign import ArgumentsUnfit
from countersign.adapters import langgraph
from countersign.adapters.langchain import CountersignMiddleware
from countersign.adapters.pydantic_ai import Countersigned
from countersign.testing import FakeServer

ASKED = {"order_id": "A-1", "amount": 40, "options": {"fast": True, "pieces": 2}}
EDITS: dict[str, tuple[dict[str, Any], str]] = {
    "removed": ({"order_id": "A-1", "options": {"fast": True, "pieces": 2}}, "amount"),
    "removed inside": ({"order_id": "A-1", "amount": 40, "options": {"fast": True}}, "options.pieces"),
    "added": (ASKED | {"cap": 5}, "cap"),
    "added inside": (ASKED | {"options": {"fast": True, "pieces": 2, "cap": 5}}, "options.cap"),
    "another type": (ASKED | {"options": {"fast": True, "pieces": "7"}}, "options.pieces"),
}
FINE = ASKED | {"amount": 20}
OPENAI = """
import asyncio, json, os
from agents import Agent, Runner
from agents.items import ModelResponse
from agents.tool_context import ToolContext
from countersign import Countersign
from countersign.adapters.openai_agents import Approvals
from pydantic import BaseModel

class Options(BaseModel):
    fast: bool = False
    pieces: int = 3

approvals = Approvals(Countersign())
ran = []

@approvals.tool(strict_mode=False)
def refund(order_id: str, amount: float = 100, options: Options = Options()) -> str:
    ran.append([order_id, amount, options.pieces])
    return "paid"

asked = os.environ["ASKED"]
context = ToolContext(context=None, tool_name="refund", tool_call_id="call-1", tool_arguments=asked)
said = asyncio.run(refund.on_invoke_tool(context, asked))
print(json.dumps([ran, said]))
"""


class Options(BaseModel):
    fast: bool = False
    pieces: int = 3


class Till:
    def __init__(self) -> None:
        self.ran: list[tuple[str, float, int]] = []

    def refund(self, order_id: str, amount: float = 100, options: Options = Options()) -> str:  # noqa: B008
        """Pay money back."""
        self.ran.append((order_id, amount, options.pieces))
        return "paid"


def by_langchain(server: FakeServer, till: Till) -> str:
    gate = CountersignMiddleware(server.client(), ["refund"])
    calls = [{"name": "refund", "args": ASKED, "id": "call-1"}]
    agent: Any = create_agent(
        Scripted(responses=[AIMessage("", tool_calls=calls), AIMessage("Thank you.")]),
        [tool(till.refund)],
        middleware=[gate],
        checkpointer=InMemorySaver(),
    )
    asked: Any = {"messages": [("user", "Refund.")]}
    result = agent.invoke(asked, {"configurable": {"thread_id": "1"}})
    return next(one.text for one in result["messages"] if isinstance(one, ToolMessage))


def by_pydantic_ai(server: FakeServer, till: Till) -> str:
    def model(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        if any(isinstance(part, ToolReturnPart) for part in messages[-1].parts):
            return ModelResponse([TextPart("Thank you.")])
        return ModelResponse([ToolCallPart("refund", ASKED, "call-1")])

    gate = Countersigned(server.client(), ["refund"])
    agent: Any = Agent(FunctionModel(model), tools=[till.refund], capabilities=[gate])
    parts = [part for message in agent.run_sync("Refund.").all_messages() for part in message.parts]
    return next(part.model_response_str() for part in parts if isinstance(part, ToolReturnPart))


def by_openai_agents(server: FakeServer, till: Till) -> str:
    """In a process of its own, where the module `agents` is theirs."""
    environment = os.environ | {
        "PYTHONPATH": str(Path(__file__).resolve().parent.parent / "src"),
        "COUNTERSIGN_URL": server.url,
        "COUNTERSIGN_TOKEN": server.token,
        "ASKED": json.dumps(ASKED),
    }
    done = subprocess.run(
        [sys.executable, "-P", "-c", OPENAI]
        if sys.version_info >= (3, 11)
        else [sys.executable, "-c", OPENAI],
        cwd="/",
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    ran, said = json.loads(done.stdout)
    till.ran += [tuple(one) for one in ran]
    return str(said)


WAYS = {"langchain": by_langchain, "pydantic ai": by_pydantic_ai, "openai agents": by_openai_agents}
CASES = [
    (way, edit) for way in WAYS for edit in EDITS if way != "openai agents" or edit.startswith("removed")
]


@pytest.mark.parametrize(("way", "edit"), CASES, ids=[f"{way}, {edit}" for way, edit in CASES])
def test_what_the_tool_would_not_run_with_as_approved_is_refused(
    countersign_server: FakeServer, way: str, edit: str
) -> None:
    till, (approved, where) = Till(), EDITS[edit]
    countersign_server.answer(lambda one: countersign_server.approve(one, edit=approved))
    said = WAYS[way](countersign_server, till)
    assert till.ran == []
    assert where in said
    assert countersign_server.proposals[0].status == "approved"


@pytest.mark.parametrize("way", WAYS)
def test_what_fits_runs(countersign_server: FakeServer, way: str) -> None:
    till = Till()
    countersign_server.answer(lambda one: countersign_server.approve(one, edit=FINE))
    assert WAYS[way](countersign_server, till).endswith("paid")
    assert till.ran == [("A-1", 20, 2)]


def test_a_function_behind_langgraph_is_not_filled_up(countersign_server: FakeServer) -> None:
    ran: list[float] = []

    def refund(order_id: str, amount: float = 100, note: str = "") -> None:
        ran.append(amount)

    client = countersign_server.client()
    proposal = client.propose("refund_order", {"order_id": "A-1", "amount": 40})
    countersign_server.approve(proposal, edit={"order_id": "A-1"})
    decision: langgraph.Decision = {"type": "approve", "proposal": proposal.id}
    with pytest.raises(ArgumentsUnfit, match=r"amount .*would take 100"):
        langgraph.carry_out(client, decision, refund)

    async def later(order_id: str, amount: float = 100) -> None:
        ran.append(amount)

    with pytest.raises(ArgumentsUnfit, match="amount"):
        asyncio.run(langgraph.acarry_out(client, decision, later))
    assert ran == []
    assert countersign_server.proposals[0].status == "approved"
