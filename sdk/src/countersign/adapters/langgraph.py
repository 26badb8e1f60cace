"""LangGraph: asks by `interrupt()`, answers with `Command(resume=…)`, runs once with the approved arguments.

    def pay(state):                                                    # a node
        [decision] = ask({"name": "refund_order", "args": state["refund"]})
        return {"said": carry_out(client, decision, refund).words}

    graph.invoke(input, config)
    while command := answer(client, graph, config):
        graph.invoke(command, config)

For a `ToolNode`, pass the gate of `countersign.adapters.langchain` as `wrap_tool_call` and `awrap_tool_call`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from langgraph.errors import GraphBubbleUp
from langgraph.types import Command, Interrupt, StateSnapshot, interrupt
from typing_extensions import NotRequired, TypedDict

from countersign import flows
from countersign.adapters import calls, fitting
from countersign.adapters.calls import Call, Client, Told
from countersign.client import Countersign
from countersign.errors import ArgumentsUnfit
from countersign.flows import Flow
from countersign.proposals import Proposal
from countersign.settings import Settings


class Action(TypedDict):
    """What a node wants to do. `name` is the action type."""

    name: str
    args: dict[str, Any]
    description: NotRequired[str]


class Decision(TypedDict):
    """What a node is resumed with for each action: LangChain's decision, and the proposal it stands for."""

    type: Literal["approve", "edit", "reject"]
    proposal: str
    message: NotRequired[str]
    edited_action: NotRequired[Action]


@dataclass(frozen=True)
class Done:
    """`ok`: it has run, now or before a crash. `value` is what the function gave (its recorded result after a crash),
    `words` are for the model."""

    ok: bool
    value: Any
    words: str


@dataclass(frozen=True)
class Question:
    """One interrupt, what it asks for, and how the decisions are told to it."""

    id: str
    calls: Sequence[Call]
    resume: Callable[[Sequence[Proposal | Told], Sequence[str]], Any]


Reader: TypeAlias = Callable[[Interrupt, Any, str], Question | None]


def ask(*actions: Action) -> list[Decision]:
    """Pause the node until people have decided on all of these; the decisions come in the same order."""
    configs = [
        {"action_name": name, "allowed_decisions": ["approve", "edit", "reject"]}
        for name in dict.fromkeys(action["name"] for action in actions)
    ]
    decisions: list[Decision] = interrupt(
        {"action_requests": list(actions), "review_configs": configs, "asked_by": "countersign"}
    )["decisions"]
    return decisions


def answer(
    client: Countersign, graph: Any, config: Mapping[str, Any], *, timeout: float | None = None
) -> Command[Any] | None:
    """Propose what the graph's interrupts ask for, wait for people, and give back what to resume with.

    None: the graph waits for nothing that `ask` asked. Can be called again, also by another process."""
    found = questions(graph, config, _question)
    return client.run(answered(found, client.settings, timeout)) if found else None


async def aanswer(
    client: Client, graph: Any, config: Mapping[str, Any], *, timeout: float | None = None
) -> Command[Any] | None:
    """As `answer`."""
    found = await aquestions(graph, config, _question)
    return await calls.driven(client, answered(found, client.settings, timeout)) if found else None


def carry_out(client: Countersign, decision: Decision, function: Callable[..., Any]) -> Done:
    """Redeem, call the function with the approved arguments, report; exceptions are reported and go on.

    A node that is run again after a crash runs nothing twice: it gets the recorded result, or words that say no."""
    done = calls.run(
        client,
        lambda settings: _gate(decision, function, settings),
        lambda proposal: (proposal, function(**proposal.arguments)),
        lambda pair: ("succeeded", pair[1]),
        unsure=(GraphBubbleUp,),
    )
    return _done(done)


async def acarry_out(client: Client, decision: Decision, function: Callable[..., Awaitable[Any]]) -> Done:
    """As `carry_out`, for a coroutine function."""

    async def act(proposal: Proposal) -> tuple[Proposal, Any]:
        return proposal, await function(**proposal.arguments)

    return _done(
        await calls.arun(
            client,
            lambda settings: _gate(decision, function, settings),
            act,
            lambda pair: ("succeeded", pair[1]),
            unsure=(GraphBubbleUp,),
        )
    )


def _gate(decision: Decision, function: Callable[..., Any], settings: Settings) -> Flow[Proposal | Told]:
    if not decision["proposal"]:
        return Told(decision.get("message", ""))
    proposal = yield from flows.get(decision["proposal"], settings)
    if proposal.is_approved and (why := fitting.function(function, proposal.arguments)):
        raise ArgumentsUnfit(why)
    return (yield from calls.redeemed(proposal, settings))


def _done(done: Told | tuple[Proposal, Any]) -> Done:
    if isinstance(done, Told):
        return Done(done.ok, done.words if done.ok else None, done.words)
    proposal, value = done
    return Done(True, value, calls.note(proposal) + calls.text(value))


def _question(found: Interrupt, values: Any, thread: str) -> Question | None:
    """One of `ask`'s."""
    if not isinstance(found.value, Mapping) or found.value.get("asked_by") != "countersign":
        return None
    actions: list[Action] = found.value["action_requests"]
    asked = [
        Call(
            ("langgraph", thread, found.id, str(at)),
            action["name"],
            action["args"],
            calls.about([], thread_id=thread, interrupt_id=found.id)
            | {"summary": action.get("description", "")},
        )
        for at, action in enumerate(actions)
    ]

    def resume(decided: Sequence[Proposal | Told], words: Sequence[str]) -> Any:
        told = zip(actions, decided, words, strict=True)
        return {"decisions": [_decision(action, one, said) for action, one, said in told]}

    return Question(found.id, asked, resume)


def _decision(action: Action, one: Proposal | Told, words: str) -> Decision:
    if isinstance(one, Told) or not calls.may_run(one):
        return {"type": "reject", "proposal": one.id if isinstance(one, Proposal) else "", "message": words}
    if not one.was_edited:
        return {"type": "approve", "proposal": one.id}
    edited = Action(name=action["name"], args=one.arguments)
    return {"type": "edit", "proposal": one.id, "edited_action": edited}


def questions(graph: Any, config: Mapping[str, Any], read: Reader) -> list[Question]:
    """What the graph waits for, in it and in its subgraphs, as far as the reader knows it."""
    return _read(graph.get_state(config, subgraphs=True), _thread(config), read)


async def aquestions(graph: Any, config: Mapping[str, Any], read: Reader) -> list[Question]:
    """As `questions`."""
    return _read(await graph.aget_state(config, subgraphs=True), _thread(config), read)


def answered(found: Sequence[Question], settings: Settings, timeout: float | None) -> Flow[Command[Any]]:
    """Resume those interrupts whose every action is decided, as soon as there is one: a grant does not live long."""
    groups = yield from calls.decided([one.calls for one in found], settings, timeout)
    resume: dict[str, Any] = {}
    for question, answers in zip(found, groups, strict=True):
        if calls.are_decided(answers):
            words = []
            for one in answers:
                words.append("" if calls.may_run(one) else (yield from calls.refusal(one, settings)))
            resume[question.id] = question.resume(answers, words)
    return Command(resume=resume)


def _read(snapshot: StateSnapshot, thread: str, read: Reader) -> list[Question]:
    return [question for found, values in _waiting(snapshot) if (question := read(found, values, thread))]


def _waiting(snapshot: StateSnapshot) -> Iterator[tuple[Interrupt, Any]]:
    open_ = {one.id for one in snapshot.interrupts}
    for task in snapshot.tasks:
        if isinstance(task.state, StateSnapshot):
            yield from _waiting(task.state)
        else:
            for one in task.interrupts:
                if one.id in open_:
                    yield one, snapshot.values


def _thread(config: Mapping[str, Any]) -> str:
    return str((config.get("configurable") or {}).get("thread_id") or "")
