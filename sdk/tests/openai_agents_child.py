# mypy: disable-error-code="attr-defined"
"""One process of an OpenAI agent: `start` prints the interrupted state, `resume` takes it from the standard input.

A process of its own because the framework's module is called `agents`, like one of the server's, and because a state
that crosses processes is what is to be shown. Every run of the tool is a line in the file RAN."""

import asyncio
import json
import os
import sys
from pathlib import Path

from agents import Agent, Runner, RunState, set_tracing_disabled
from agents.testing import ScriptedModel
from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage, ResponseOutputText

from countersign import AsyncCountersign, Countersign, Undecided
from countersign.adapters.openai_agents import Approvals

CALLS = json.loads(os.environ["CALLS"])
ACTION_TYPE = os.environ["ACTION_TYPE"]


def script(*, asks: bool) -> ScriptedModel:
    """In place of a language model: it asks for all the tools at once, then thanks."""
    calls = [
        ResponseFunctionToolCall(
            type="function_call", call_id=name, name="refund", arguments=json.dumps(given)
        )
        for name, given in CALLS.items()
    ]
    text = ResponseOutputText(type="output_text", text="Thank you.", annotations=[])
    thanks = ResponseOutputMessage(
        id="m1", type="message", role="assistant", status="completed", content=[text]
    )
    return ScriptedModel([calls, [thanks]] if asks else [[thanks]])


def refund(order_id: str, amount: float, reason: str = "damaged") -> str:
    """Pay money back."""
    with Path(os.environ["RAN"]).open("a", encoding="utf-8") as ran:
        ran.write(json.dumps([order_id, amount, reason]) + "\n")
    if order_id == "DIE":
        os._exit(9)
    if order_id == "FAIL":
        raise RuntimeError("the bank is closed")
    return f"{amount} for {order_id}"


def agent_with(approvals: Approvals, *, asks: bool = False) -> Agent:
    tool = approvals.tool(action_type=ACTION_TYPE)(refund)
    return Agent("Refunds", tools=[tool], model=script(asks=asks))


async def start() -> None:
    """Until somebody has to decide."""
    agent = agent_with(Approvals(AsyncCountersign()), asks=True)
    result = await Runner.run(agent, "Please refund all of them.")
    print(result.to_state().to_string())


async def resume(timeout: float) -> None:
    """Answer, go on, and say what the model was told."""
    async with AsyncCountersign() as client:
        approvals = Approvals(client)
        agent = agent_with(approvals)
        state = await RunState.from_string(agent, sys.stdin.read())
        try:
            state = await approvals.answer(state, timeout=timeout)
        except Undecided:
            print(json.dumps({"undecided": True}))
            return
        tell(await Runner.run(agent, state))


def resume_sync(timeout: float) -> None:
    """The same without asyncio in our hands."""
    with Countersign() as client:
        approvals = Approvals(client)
        agent = agent_with(approvals)
        state = asyncio.run(RunState.from_string(agent, sys.stdin.read()))
        tell(Runner.run_sync(agent, approvals.answer_sync(state, timeout=timeout)))


def tell(result) -> None:  # type: ignore[no-untyped-def]  # the framework's own result
    outputs = {item["call_id"]: item["output"] for item in result.to_input_list() if "output" in item}
    print(
        json.dumps(
            {
                "outputs": outputs,
                "open": [item.raw_item.call_id for item in result.interruptions],
                "final": result.final_output,
                "state": result.to_state().to_string() if result.interruptions else None,
            }
        )
    )


if __name__ == "__main__":
    set_tracing_disabled(True)
    match sys.argv[1:]:
        case ["start"]:
            asyncio.run(start())
        case ["resume", seconds]:
            asyncio.run(resume(float(seconds)))
        case ["resume-sync", seconds]:
            resume_sync(float(seconds))
