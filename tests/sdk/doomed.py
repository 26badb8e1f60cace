"""An agent's process, with any of the ways to connect one, that may kill itself: `python doomed.py WAY ORDER…`.

Each order is one call of the tool, in a thread of its own whose state lasts in files of the working directory. Where
DIE is set the process kills itself (signal 9) in the tool: for the order "redeemed" after the grant was used up and
before the money moves, for "ran" after it has moved and before it is reported. Without DIE the process is the next run
of the same calls; it prints, order by order, what the agent or its model is told. A payment is a line of `paid`."""

import asyncio
import json
import os
import pickle
import signal
import sys
from pathlib import Path
from typing import Any, TypedDict

from countersign import Countersign, CountersignError, requires_approval, stable_key

ACTION_TYPE = os.environ["ACTION_TYPE"]
PATIENCE = 300
"""Seconds for which any request outlasts the server's absence."""


def refund(order_id: str, amount: float, reason: str) -> str:
    """Pay money back."""
    if order_id == "redeemed" and "DIE" in os.environ:
        os.kill(os.getpid(), signal.SIGKILL)
    with Path("paid").open("a", encoding="utf-8") as paid:
        paid.write(f"{order_id}\n")
    if order_id == "ran" and "DIE" in os.environ:
        os.kill(os.getpid(), signal.SIGKILL)
    return f"{amount} for {order_id}"


def asked(order: str) -> dict[str, Any]:
    return {"order_id": order, "amount": 10, "reason": "late"}


def client(order: str) -> str:
    """Call by call, as docs/connect/http.md has it."""
    with Countersign(patience=PATIENCE) as way:
        proposal = way.wait(way.propose(ACTION_TYPE, asked(order), key=stable_key("client", order)))
        try:
            proposal = way.redeem(proposal)
        except CountersignError as error:
            return f"{error.code}: {error}"
        way.report(proposal, "succeeded", result=refund(**proposal.arguments))
        return "done"


def decorator(order: str) -> str:
    with Countersign(patience=PATIENCE) as way:
        guarded = requires_approval(
            ACTION_TYPE, client=way, key=lambda order_id, **_: stable_key("decorator", order_id)
        )
        try:
            return guarded(refund)(**asked(order))
        except CountersignError as error:
            return f"{error.code}: {error}"


def langchain(order: str) -> str:
    from countersign.adapters.langchain import CountersignMiddleware
    from langchain.agents import create_agent
    from langchain.agents.middleware import HumanInTheLoopMiddleware
    from langchain_core.language_models.fake_chat_models import FakeMessagesListChatModel
    from langchain_core.messages import AIMessage, ToolMessage

    class Scripted(FakeMessagesListChatModel):
        def bind_tools(self, tools: Any, **_: Any) -> Any:
            return self

    gate = CountersignMiddleware(Countersign(patience=PATIENCE), {"refund": ACTION_TYPE})
    call = {"name": "refund", "args": asked(order), "id": f"call-{order}"}
    saver, is_new = _saver(f"langchain-{order}")
    says = [AIMessage("", tool_calls=[call])] if is_new else []
    agent: Any = create_agent(
        Scripted(responses=[*says, AIMessage("Thank you.")]),
        [refund],
        middleware=[HumanInTheLoopMiddleware(interrupt_on=gate.interrupt_on), gate],
        checkpointer=saver,
    )
    config = {"configurable": {"thread_id": f"langchain-{order}"}}
    if is_new:
        agent.invoke({"messages": [{"role": "user", "content": "Refund it."}]}, config)
        _keep(saver, f"langchain-{order}")
    result = agent.invoke(gate.answer(agent, config), config)
    return next(one.text for one in result["messages"] if isinstance(one, ToolMessage))


class State(TypedDict):
    """Of the graph."""

    order: str
    said: str


def langgraph(order: str) -> str:
    from countersign.adapters.langgraph import Action, answer, ask, carry_out
    from langgraph.graph import END, START, StateGraph

    way = Countersign(patience=PATIENCE)

    def pay(state: State) -> dict[str, str]:
        [decision] = ask(Action(name=ACTION_TYPE, args=asked(state["order"])))
        return {"said": carry_out(way, decision, refund).words}

    builder: Any = StateGraph(State)
    builder.add_node("pay", pay)
    builder.add_edge(START, "pay")
    builder.add_edge("pay", END)
    saver, is_new = _saver(f"langgraph-{order}")
    graph = builder.compile(checkpointer=saver)
    config = {"configurable": {"thread_id": f"langgraph-{order}"}}
    if is_new:
        graph.invoke({"order": order, "said": ""}, config)
        _keep(saver, f"langgraph-{order}")
    return str(graph.invoke(answer(way, graph, config), config)["said"])


def pydantic_ai(order: str) -> str:
    from countersign.adapters.pydantic_ai import Countersigned
    from pydantic_ai import Agent
    from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart, ToolReturnPart
    from pydantic_ai.models.function import AgentInfo, FunctionModel

    def model(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        for part in messages[-1].parts:
            if isinstance(part, ToolReturnPart):
                return ModelResponse([TextPart(part.model_response_str())])
        return ModelResponse([ToolCallPart("refund", asked(order), f"call-{order}")])

    gate = Countersigned(Countersign(patience=PATIENCE), {"refund": ACTION_TYPE})
    agent: Any = Agent(FunctionModel(model), tools=[refund], capabilities=[gate])
    return str(agent.run_sync("Refund it.", conversation_id=f"pydantic-{order}").output)


def openai_agents(order: str) -> str:
    from agents.testing import ScriptedModel
    from countersign import AsyncCountersign
    from countersign.adapters.openai_agents import Approvals
    from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage, ResponseOutputText

    from agents import Agent, Runner, RunState, set_tracing_disabled  # type: ignore[attr-defined]  # not the server's

    async def run() -> str:
        approvals = Approvals(AsyncCountersign(patience=PATIENCE))
        call = ResponseFunctionToolCall(
            type="function_call",
            call_id=f"call-{order}",
            name="refund",
            arguments=json.dumps(asked(order)),
        )
        text = ResponseOutputText(type="output_text", text="Thank you.", annotations=[])
        said = ResponseOutputMessage(
            id="m1", type="message", role="assistant", status="completed", content=[text]
        )
        kept = Path(f"openai-{order}")
        model = ScriptedModel([[said]] if kept.exists() else [[call], [said]])
        tools = [approvals.tool(action_type=ACTION_TYPE)(refund)]
        agent = Agent("Refunds", tools=tools, model=model)
        if not kept.exists():
            result = await Runner.run(agent, "Refund it.")
            kept.write_text(result.to_state().to_string(), encoding="utf-8")
        state = await RunState.from_string(agent, kept.read_text(encoding="utf-8"))
        result = await Runner.run(agent, await approvals.answer(state))
        return str(result.to_input_list()[-2]["output"])

    set_tracing_disabled(True)
    return asyncio.run(run())


def _saver(thread: str) -> tuple[Any, bool]:
    """A checkpointer, and whether it is empty: a file stands in for the database that an agent would have."""
    from langgraph.checkpoint.memory import InMemorySaver

    saver: Any = InMemorySaver()
    if not Path(thread).exists():
        return saver, True
    storage, writes, blobs = pickle.loads(Path(thread).read_bytes())
    for name, spaces in storage.items():
        saver.storage[name].update(spaces)
    saver.writes.update(writes)
    saver.blobs.update(blobs)
    return saver, False


def _keep(saver: Any, thread: str) -> None:
    storage = {name: dict(spaces) for name, spaces in saver.storage.items()}
    Path(thread).write_bytes(pickle.dumps((storage, dict(saver.writes), dict(saver.blobs))))


WAYS = {
    "client": client,
    "decorator": decorator,
    "langchain": langchain,
    "langgraph": langgraph,
    "pydantic-ai": pydantic_ai,
    "openai-agents": openai_agents,
}

if __name__ == "__main__":
    for each in sys.argv[2:]:
        print(json.dumps(WAYS[sys.argv[1]](each)), flush=True)
