"""`@requires_approval`: a function that runs once somebody countersigned its call, with what he countersigned.

Propose, wait, redeem, run with the approved arguments, report. Wherever it crashes, nothing runs twice: before the
redemption a repeated call finds the same proposal, after it the call is refused and a person looks."""

from __future__ import annotations

import functools
import inspect
import logging
import os
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeAlias, TypeVar, cast

import anyio

from countersign import canonical, endings, flows
from countersign.aio import AsyncCountersign
from countersign.arguments import Shape
from countersign.client import Countersign
from countersign.errors import AlreadyRedeemed, CountersignError, NotApproved, NotCarriedOut, Undecided
from countersign.flows import Flow
from countersign.proposals import Draft, Proposal
from countersign.settings import Settings

P = ParamSpec("P")
R = TypeVar("R")
Client: TypeAlias = Countersign | AsyncCountersign
log = logging.getLogger("countersign")
MOST_RESULT = 64 * 1024
"""Bytes of a result that is reported; a larger one is left out."""
MOST_GOODBYE = 20.0
"""Seconds for which a cancelled task still tries to report."""
_NOT_NOW = frozenset(
    {"grant_refused", "agent_not_live", "stopped", "limit_reached", "digest_mismatch", "wrong_state"}
)
"""Codes with which a redemption is refused for good."""


@dataclass(frozen=True)
class Ready:
    """Redeemed: the function runs now, with these arguments, and its outcome is reported."""

    proposal: Proposal
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


@dataclass(frozen=True)
class Replayed:
    """An earlier run has succeeded, or Countersign has carried it out; this is what it gave."""

    value: Any


@dataclass(frozen=True)
class Approval:
    """What is asked for one function. `fields` are those of every draft, `describe` adds those of this call."""

    action_type: str
    shape: Shape
    key: Callable[..., str] | None
    describe: Callable[[dict[str, Any]], Mapping[str, Any]] | None
    fields: Mapping[str, Any]
    timeout: float | None
    result: Callable[[Any], Any] | None
    replay: Callable[[Any], Any] | None
    unsure: endings.Errors

    def before(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], settings: Settings
    ) -> Flow[Ready | Replayed]:
        """Everything up to the redemption. If this raises, the function must not run."""
        proposal = yield from flows.propose(self._draft(args, kwargs), settings)
        try:
            proposal = yield from flows.wait(proposal, settings, self.timeout)
        except Undecided as error:
            if self.key is not None or error.proposal.is_decided:
                raise  # the same call again goes on waiting
            proposal = yield from _taken_back(error, settings)
        if proposal.carried_out_by == "countersign" and proposal.was_redeemed:
            return self._carried_out(proposal)
        if proposal.was_redeemed:
            if proposal.status == "succeeded" and self.replay is not None:
                return Replayed(self.replay(proposal.outcome.result if proposal.outcome else None))
            raise AlreadyRedeemed(proposal)
        if not proposal.is_approved:
            raise NotApproved(proposal)
        positional, named = self.shape.call(proposal.arguments, args, kwargs)
        try:
            redeemed = yield from flows.redeem(proposal, settings)
        except CountersignError as error:
            if error.code not in _NOT_NOW:
                raise
            now = yield from flows.get(proposal, settings)
            if now.was_redeemed:
                raise AlreadyRedeemed(now) from error
            raise NotApproved(now, error.detail, code=error.code) from error
        return Ready(redeemed, positional, named)

    def _carried_out(self, proposal: Proposal) -> Replayed:
        """What the executor said in place of what the function would have given. Raises `NotCarriedOut`."""
        if proposal.status != "succeeded":
            raise NotCarriedOut(proposal)
        result = proposal.outcome.result if proposal.outcome else None
        return Replayed(self.replay(result) if self.replay is not None else result)

    def after(self, ready: Ready, value: Any, settings: Settings) -> Flow[None]:
        """Report success. The function has run: whatever goes wrong here must not look as if it had not."""
        yield from _reported(ready, "succeeded", self._told(value), settings)

    def after_error(self, ready: Ready, error: BaseException, settings: Settings) -> Flow[None]:
        """Report what was raised: as failed, or as unknown where the money may have moved all the same."""
        yield from _reported(ready, endings.status(error, self.unsure), endings.said(error), settings)

    def _draft(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Draft:
        arguments = self.shape.arguments(args, kwargs)
        said = dict(self.fields) | dict(self.describe(dict(arguments)) if self.describe else {})
        key = self.key(*args, **kwargs) if self.key else None
        return Draft(self.action_type, arguments, key=key, **said)

    def _told(self, value: Any) -> Any:
        try:
            told = self.result(value) if self.result else value
            return told if len(canonical.dumps(told)) <= MOST_RESULT else None
        except Exception as error:  # noqa: BLE001  the function has run, and no fault of ours may hide what it gave
            if self.result is not None or not isinstance(error, ValueError):
                log.warning("the result cannot be reported: %r", error)
            return None


def _taken_back(error: Undecided, settings: Settings) -> Flow[Proposal]:
    """Nobody can come back for it, so nobody has to look at it any more; or it was decided at the last moment.

    Raises `Undecided`, also where it could not be taken back: an approval then lapses."""
    try:
        proposal = yield from flows.withdraw(error.proposal, settings, "The agent no longer waits for it.")
    except CountersignError as refusal:
        if refusal.code != "wrong_state":
            raise error from refusal
        now = yield from flows.get(error.proposal, settings)
        if now.is_settled:
            return now
        raise Undecided(now) from refusal
    raise Undecided(proposal) from error


def _reported(ready: Ready, status: str, result: Any, settings: Settings) -> Flow[None]:
    try:
        yield from flows.report(ready.proposal, status, settings, result=result)
    except (CountersignError, ValueError) as error:
        log.error(
            "proposal %s has %s, and this could not be reported: %s. A person will be asked what happened.",
            ready.proposal.id,
            status,
            error,
        )


def requires_approval(
    action_type: str,
    *,
    client: Client | Callable[[], Client] | None = None,
    key: Callable[..., str] | None = None,
    describe: Callable[[dict[str, Any]], Mapping[str, Any]] | None = None,
    timeout: float | None = None,
    omit: Collection[str] = (),
    result: Callable[[Any], Any] | None = None,
    replay: Callable[[Any], Any] | None = None,
    unsure: endings.Errors = (),
    **fields: Any,
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let a call of the function run only when it was approved, with the approved arguments, and report how it went.

    `key` gets the call's arguments and returns what makes a repeated call the same proposal (an order's number, a tool
    call's id); without it, each call is a new one. `describe` gets the JSON arguments and returns further fields of the
    draft, such as {"summary": …, "subject": …}; `fields` are the same for every call. `omit` names parameters that
    nobody has to see. `result` makes what is reported of the returned value; `replay` makes the returned value of what
    was reported, for a repeated call of what has succeeded already. `unsure` are exceptions of the function after which
    nobody knows whether it had its effect; timeouts, lost connections and cancellation are so anyway.

    Of an action that Countersign carries out itself the function is not run: the call waits for the outcome and returns
    its result (through `replay`), or raises `NotCarriedOut`.

    Calls raise `NotApproved`, `AlreadyRedeemed`, `ArgumentsUnfit`, and `Undecided` after `timeout` seconds, when a call
    without a `key` is withdrawn, for nobody could come back for it. None of them has run the function. An async
    function takes an `AsyncCountersign`, a plain one a `Countersign`."""
    if not isinstance(action_type, str):
        raise TypeError('name the action type: @requires_approval("refund_order")')
    unknown = set(fields) - set(Draft.__dataclass_fields__) | set(fields) & {"arguments", "key"}
    if unknown:
        raise TypeError(f"requires_approval has no {', '.join(sorted(unknown))}")

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError("a generator runs while it is read; decorate the function that does one thing")
        approval = Approval(
            action_type, Shape(function, omit), key, describe, fields, timeout, result, replay, unsure
        )
        if inspect.iscoroutinefunction(function):
            return cast(Callable[P, R], _asynchronous(function, approval, client))
        return _synchronous(function, approval, client)

    return decorate


def _synchronous(
    function: Callable[P, R], approval: Approval, given: Client | Callable[[], Client] | None
) -> Callable[P, R]:
    if isinstance(given, AsyncCountersign):
        raise TypeError("a plain function needs a Countersign; an AsyncCountersign is for async functions")

    @functools.wraps(function)
    def approved(*args: P.args, **kwargs: P.kwargs) -> R:
        client = _default() if given is None else given() if callable(given) else given
        if not isinstance(client, Countersign):
            raise TypeError("a plain function needs a Countersign")
        ready = client.run(approval.before(args, kwargs, client.settings))
        if isinstance(ready, Replayed):
            return cast(R, ready.value)
        try:
            value = function(*ready.args, **ready.kwargs)
        except BaseException as error:
            client.run(approval.after_error(ready, error, client.settings))
            raise
        client.run(approval.after(ready, value, client.settings))
        return value

    return approved


def _asynchronous(
    function: Callable[..., Any], approval: Approval, given: Client | Callable[[], Client] | None
) -> Callable[..., Any]:
    if isinstance(given, Countersign):
        raise TypeError("an async function needs an AsyncCountersign; a Countersign would hold the loop up")

    async def run(client: Client, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if not isinstance(client, AsyncCountersign):
            raise TypeError("an async function needs an AsyncCountersign")
        ready = await client.run(approval.before(args, kwargs, client.settings))
        if isinstance(ready, Replayed):
            return ready.value
        try:
            value = await function(*ready.args, **ready.kwargs)
        except BaseException as error:
            with anyio.move_on_after(MOST_GOODBYE, shield=True):
                await client.run(approval.after_error(ready, error, client.settings))
            raise
        await client.run(approval.after(ready, value, client.settings))
        return value

    @functools.wraps(function)
    async def approved(*args: Any, **kwargs: Any) -> Any:
        if given is not None:
            return await run(given() if callable(given) else given, args, kwargs)
        async with AsyncCountersign() as client:  # of this call's loop; connections cannot move between loops
            return await run(client, args, kwargs)

    return approved


_lock = threading.Lock()
_made: list[Countersign] = []
os.register_at_fork(after_in_child=_made.clear)  # two processes cannot share a connection


def _default() -> Countersign:
    """One for the process, from the environment, made at the first call."""
    with _lock:
        if not _made:
            _made.append(Countersign())
        return _made[0]
