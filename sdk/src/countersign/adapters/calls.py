"""One tool call from proposal to reported outcome: what all adapters have in common.

The framework's own ids become the idempotency key, so that a call which is repeated after a crash finds its proposal
again: it is never proposed twice, and what was redeemed before is never run again."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias, TypeVar

import anyio
import anyio.to_thread

from countersign import canonical, endings, flows, json_values
from countersign.aio import AsyncCountersign
from countersign.client import Countersign
from countersign.errors import AlreadyRedeemed, CountersignError, Undecided
from countersign.flows import Flow
from countersign.idempotency import stable_key
from countersign.proposals import Draft, Proposal
from countersign.settings import Settings
from countersign.wire import Answer, Lost, Request

T = TypeVar("T")
Client: TypeAlias = Countersign | AsyncCountersign
log = logging.getLogger("countersign")
MOST_RESULT = 60_000
"""Bytes of a tool's result that are reported: enough to give it back to the model after a crash."""
MOST_TURNS = 20
MOST_TEXT = 4_000
"""Characters of one turn of the conversation."""
MOST_CONTEXT = 100_000
"""Bytes of the conversation; together with what else is said, well below the server's 256 KiB."""
_TURN = 2.0
"""Seconds of waiting for one of several, before the others are looked at."""
_EVER = float("inf")
_CLOSED = "The agent was told, and answers with a new proposal."


@dataclass(frozen=True)
class Call:
    """A tool call as its framework tells it. `ids` are the framework's own; `about` are further fields of the proposal.

    The arguments are part of the key: ids that a model uses twice for different arguments are two proposals."""

    ids: tuple[str, ...]
    action_type: str
    arguments: Mapping[str, Any]
    about: Mapping[str, Any] = field(default_factory=dict)

    def draft(self) -> Draft:
        """Raises `ValueError` for arguments that have no form in JSON."""
        key = stable_key(*self.ids, self.action_type, canonical.dumps(self.arguments).decode())
        return Draft(self.action_type, self.arguments, key, **self.about)


@dataclass(frozen=True)
class Told:
    """Nothing is to be run. `words` are what the model is told; `ok` where they are the result of an earlier run."""

    words: str
    ok: bool = False


def names(tools: Iterable[str] | Mapping[str, str]) -> dict[str, str]:
    """Tool name → action type. A bare list: each tool's action type has the tool's name."""
    return dict(tools) if isinstance(tools, Mapping) else {name: name for name in tools}


def turn(role: str, content: str, name: str = "") -> dict[str, str]:
    """One turn of the conversation, as the reviewer is shown it."""
    return {"role": role, "content": _cut(content, MOST_TEXT)} | ({"name": _cut(name, 100)} if name else {})


def about(
    turns: Sequence[Mapping[str, str]], *, reasoning: str = "", **metadata: str | None
) -> dict[str, Any]:
    """The end of the conversation, what the model said with its call, and where the call comes from."""
    said: dict[str, Any] = {"metadata": {name: value for name, value in metadata.items() if value}}
    if reasoning:
        said["reasoning"] = _cut(reasoning, MOST_TEXT * 2)
    room, kept = MOST_CONTEXT, 0
    for one in reversed(turns[-MOST_TURNS:]):
        room -= len(canonical.dumps(one))
        kept += room >= 0
    return said | ({"context": list(turns[len(turns) - kept :])} if kept else {})


def _cut(text: str, most: int) -> str:
    """What the server takes of any text: no lone surrogates, no NUL, not too long."""
    cut = text if len(text) <= most else text[:most] + " …"
    return cut.encode("utf-8", "replace").decode("utf-8").replace("\x00", "\ufffd")


def proposed(call: Call, settings: Settings) -> Flow[Proposal | Told]:
    """Its proposal, new or found again. Arguments that the action type's schema refuses are told to the model."""
    try:
        return (yield from flows.propose(call.draft(), settings))
    except ValueError as error:
        return Told(f"Nothing was done: {error}. Correct it and call the tool again.")
    except CountersignError as error:
        if error.code == "idempotency_key_reused" and error.proposal_id:
            # The same call, told with another conversation around it: the key holds action type and arguments.
            return (yield from flows.get(error.proposal_id, settings)).sent_as(call.arguments)
        faults = [one for one in error.errors if str(one.get("field", "")).startswith("/arguments")]
        if error.code != "arguments_invalid" or not faults:
            raise
        listed = "; ".join(
            f"{one['field'].removeprefix('/arguments')} {one.get('message')}" for one in faults
        )
        return Told(f"Nothing was done: {listed}. Correct the arguments and call the tool again.")


def decided(
    groups: Sequence[Sequence[Call]], settings: Settings, timeout: float | None = None
) -> Flow[list[list[Proposal | Told]]]:
    """Propose everything, then wait until all of one group is decided: what can go on alone need not wait for others.

    Order kept. Raises `Undecided` after `timeout` seconds; the proposals stay, and the same calls find them again."""
    found: list[list[Proposal | Told]] = []
    for group in groups:
        found.append([])
        for call in group:
            found[-1].append((yield from proposed(call, settings)))
    deadline = _EVER if timeout is None else settings.clock() + timeout
    while not any(map(are_decided, found)):
        for answers in found:
            for at, one in enumerate(answers):
                if isinstance(one, Proposal) and not one.is_settled:
                    left = max(0.0, deadline - settings.clock())
                    seconds = min(left, _TURN) if len(found) > 1 else left
                    try:
                        answers[at] = yield from flows.wait(
                            one, settings, None if seconds == _EVER else seconds
                        )
                    except Undecided as error:
                        answers[at] = error.proposal
                        if settings.clock() >= deadline and not any(map(are_decided, found)):
                            raise
    return found


def are_decided(answers: Sequence[Proposal | Told]) -> bool:
    """Whether a framework can be told all of them."""
    return all(isinstance(one, Told) or one.is_settled for one in answers)


def may_run(one: Proposal | Told) -> bool:
    """Whether the framework is told "approved". True also for what ran before: the gate gives its recorded result."""
    return isinstance(one, Proposal) and (one.is_approved or one.was_redeemed)


def refusal(one: Proposal | Told, settings: Settings) -> Flow[str]:
    """The words for the model in place of a run. What was returned is withdrawn: the model's next call answers it."""
    if isinstance(one, Proposal) and one.status == "returned":
        try:
            yield from flows.withdraw(one, settings, _CLOSED)
        except CountersignError as error:
            log.warning("countersign: proposal %s stays returned: %s", one.id, error)
    return told(one).words


def told(one: Proposal | Told) -> Told:
    """What a proposal that is not to be run (again) means for the model."""
    if isinstance(one, Told):
        return one
    result = one.outcome.result if one.outcome else None
    if one.status == "succeeded":
        return Told(note(one) + (text(result) if result is not None else one.words), ok=True)
    if one.status == "failed":
        return Told(f"{one.words} {text(result)}" if result is not None else one.words)
    if one.status == "executing" and one.carried_out_by == "countersign":
        return Told(f"{one.words} Do not repeat it.")
    if one.status == "executing":
        return Told(
            "It was approved and begun before; whether it had its effect is not known, so it was not run again. "
            "Do not repeat it: a person finds out."
        )
    if one.status == "withdrawn" and one.decision is not None and one.decision.verdict == "return":
        one = replace(one, status="returned")
    if one.status == "returned":
        return Told(f"{one.words} Call the tool again with what was asked for.")
    return Told(one.words)


def note(proposal: Proposal) -> str:
    """What the model has to be told beside the result: it does not know that somebody changed its call."""
    if not proposal.was_edited:
        return ""
    return (
        "A reviewer changed the arguments before this ran; it ran with "
        f"{json.dumps(proposal.arguments, ensure_ascii=False)}. Do not repeat your own call.\n"
    )


def admitted(
    call: Call,
    settings: Settings,
    timeout: float | None = None,
    *,
    given: Mapping[str, Any] | None = None,
    strict: bool = False,
    unfit: Callable[[dict[str, Any]], str] | None = None,
) -> Flow[Proposal | Told]:
    """The redeemed proposal, whose arguments are now to be run once and reported; or what the model is told instead.

    `given` is what the framework is about to run: anything but the model's own or the approved arguments is refused
    before the grant is used (`strict`: anything but the approved ones). `unfit` says why the tool would not run with
    the approved arguments exactly as they are, if so (countersign.adapters.fitting)."""
    [[one]] = yield from decided([[call]], settings, timeout)
    if isinstance(one, Proposal) and one.is_approved and given is not None:
        fitting = [one.arguments] if strict else [one.arguments, call.arguments]
        if not any(is_same(given, arguments) for arguments in fitting):
            return Told("Nothing was done: the arguments at hand are not the ones that were approved.")
    if isinstance(one, Proposal) and one.is_approved and unfit is not None and (why := unfit(one.arguments)):
        log.warning("countersign: proposal %s is approved, and does not fit: %s", one.id, why)
        return Told(f"Nothing was done, and the approval was not used: {why}")
    return (yield from redeemed(one, settings))


def redeemed(one: Proposal | Told, settings: Settings) -> Flow[Proposal | Told]:
    """Use the grant up. A refusal of the server (limit, stop, suspension, used before) is told to the model."""
    if isinstance(one, Told) or not one.is_approved:
        refused = told(one)
        yield from refusal(one, settings)
        return refused
    try:
        return (yield from flows.redeem(one, settings))
    except AlreadyRedeemed as error:
        return told(error.proposal)
    except CountersignError as error:
        if error.status not in (403, 409):
            raise
        now = yield from flows.get(one, settings)
        return Told(f"Nothing was done: {error.detail}") if now.is_approved else told(now)


def reported(proposal: Proposal, status: str, result: Any, settings: Settings) -> Flow[None]:
    """Say how it went. A report that cannot be delivered changes nothing about what was done: it is logged, and the
    server asks a person (`unknown`) when no report comes in time. Failing here would tell the model it had not run."""
    try:
        yield from flows.report(proposal, status, settings, result=sendable(result))
    except CountersignError as error:
        log.error(
            "countersign: the outcome of proposal %s (%s) was not reported: %s", proposal.id, status, error
        )


def run(
    client: Client,
    gate: Callable[[Settings], Flow[Proposal | Told]],
    act: Callable[[Proposal], T],
    judged: Callable[[T], tuple[str, Any]],
    unsure: endings.Errors = (),
) -> T | Told:
    """Pass the gate, act once, report. `judged` says of a result which outcome it is."""
    if not isinstance(client, Countersign):
        raise TypeError("This runs without asyncio: give the adapter a Countersign, not an AsyncCountersign.")
    one = client.run(gate(client.settings))
    if isinstance(one, Told):
        return one
    try:
        result = act(one)
    except BaseException as error:
        client.run(reported(one, endings.status(error, unsure), endings.said(error), client.settings))
        raise
    client.run(reported(one, *judged(result), client.settings))
    return result


async def arun(
    client: Client,
    gate: Callable[[Settings], Flow[Proposal | Told]],
    act: Callable[[Proposal], Any],
    judged: Callable[[Any], tuple[str, Any]],
    unsure: endings.Errors = (),
) -> Any:
    """As `run`; `act` returns an awaitable. Being cancelled meanwhile is reported too, as `unknown`."""
    one = await driven(client, gate(client.settings))
    if isinstance(one, Told):
        return one
    try:
        result = await act(one)
    except BaseException as error:
        with anyio.move_on_after(20, shield=True):
            await driven(
                client, reported(one, endings.status(error, unsure), endings.said(error), client.settings)
            )
        raise
    await driven(client, reported(one, *judged(result), client.settings))
    return result


async def driven(client: Client, flow: Flow[T]) -> T:
    """Carry a flow out without blocking the loop, with either client.

    With the one for ordinary code each request has a thread; only reading (and so waiting) is left when cancelled."""
    if isinstance(client, AsyncCountersign):
        return await client.run(flow)
    with closing(flow):
        try:
            request = next(flow)
            while True:
                may_leave = request.method == "GET"
                answer = await anyio.to_thread.run_sync(
                    client.run, _sent(request), abandon_on_cancel=may_leave
                )
                request = flow.send(answer)
        except StopIteration as stop:
            value: T = stop.value
            return value


def _sent(request: Request) -> Flow[Answer | Lost]:
    return (yield request)


def is_same(one: Any, other: Any) -> bool:
    """Whether two values have the same canonical form."""
    try:
        return canonical.dumps(one) == canonical.dumps(other)
    except ValueError:
        return False


def text(result: Any) -> str:
    """A result as the model reads it, whole."""
    return result if isinstance(result, str) else json.dumps(_plain(result), ensure_ascii=False, default=str)


def sendable(result: Any) -> Any:
    """The result itself where it has a form in JSON of bearable size, else the beginning of its text."""
    plain = _plain(result)
    try:
        if len(canonical.dumps(plain)) <= MOST_RESULT:
            return plain
    except ValueError:
        pass
    said = text(plain).encode("utf-8", "replace").decode("utf-8")
    most = MOST_RESULT // 6  # a control character takes six
    return said if len(said) <= most else said[: most - 2] + " …"


def _plain(result: Any) -> Any:
    """As JSON where it has a form in it."""
    try:
        return json_values.dump(result)
    except (ValueError, RecursionError):
        return str(result)
