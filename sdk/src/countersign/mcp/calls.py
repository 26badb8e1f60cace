"""One call of a tool that changes something: proposed, waited for, redeemed, made with the approved arguments, told of.

Made at most once, whatever happens: `journal` says how. A client that goes away ends the waiting, never a call that has
begun. The arguments that are passed on are those of the redeemed proposal, not those the client sent."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from mcp import types

from countersign import AlreadyRedeemed, AsyncCountersign, CountersignError, Proposal, Undecided, stable_key
from countersign.mcp.journal import Call, Journal, KeyReused
from countersign.mcp.pins import BadLock, Lock, Pin, differences
from countersign.mcp.settings import Settings
from countersign.mcp.upstream import Lost, Refused, Upstream

TICK = 10.0
"""Seconds between two notes to a client that waits."""
TRUSTED_SECONDS = 30.0
"""For which reads pass before Countersign is asked again whether the credential is good."""
ASKING_SECONDS = 5.0
MOST_REPORTED = 32 * 1024
"""Bytes of a tool's answer that Countersign is told; more is cut."""
WAIT, REVISE, WITHDRAW = "countersign_wait", "countersign_revise", "countersign_withdraw"
T = TypeVar("T")
Progress = Callable[[float, str], Awaitable[None]]


class Stopped(Exception):
    """The tool may not be called: it is not as a person has seen it, or blocked. The message is for the agent."""


class Calls:
    """All calls of one gateway."""

    def __init__(
        self,
        settings: Settings,
        *,
        client: AsyncCountersign,
        upstream: Upstream,
        journal: Journal,
        lock: Lock,
    ) -> None:
        self._settings = settings
        self._client = client
        self._upstream = upstream
        self._journal = journal
        self._lock = lock
        self._trusted_until = 0.0
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._running: set[asyncio.Task[Any]] = set()

    async def checked(self, name: str) -> Pin:
        """The tool as it was accepted, if the server still has it so. Raises `Stopped`, `Lost`, `Refused`."""
        try:
            pin = self._lock.pins.get(name)
        except BadLock as error:
            raise Stopped(f"No tool can be called: {error}") from error
        if self._settings.is_blocked(name):
            raise Stopped(f"The tool {name!r} is blocked by the operator of this gateway.")
        found = differences(pin, (await self._upstream.tools()).get(name))
        if found or pin is None:
            raise Stopped(
                f"The tool {name!r} is stopped: it is not as a person has last seen it ({', '.join(found)}). "
                f"Nothing was done. The operator has to look and run `countersign mcp-gateway accept {name}`."
            )
        return pin

    async def read(self, pin: Pin, arguments: dict[str, Any]) -> types.CallToolResult:
        """Passed on as it is. Raises `Lost`, `Refused`, and `CountersignError` where the credential is not good."""
        await self._trusted()
        return await self._upstream.call(pin.name, arguments, seconds=self._settings.call_seconds)

    async def _trusted(self) -> None:
        """An agent whose credential was revoked reads nothing more either. That Countersign is away is no revocation:
        reads go on then, and it is asked again later."""
        if time.monotonic() < self._trusted_until:
            return
        try:
            await asyncio.wait_for(self._client.me(), ASKING_SECONDS)
        except CountersignError as error:
            if error.status in (401, 403):
                raise
        except asyncio.TimeoutError:  # of Python 3.10 too, where it is no TimeoutError
            pass
        self._trusted_until = time.monotonic() + TRUSTED_SECONDS

    async def write(
        self, pin: Pin, arguments: dict[str, Any], *, key: str, comes_again: bool, progress: Progress | None
    ) -> types.CallToolResult:
        """Propose, wait, and make the call if it is approved. `comes_again`: the client chose the key, so it can ask
        again with it; whoever cannot, and goes away, does not leave a proposal behind."""
        try:
            call = self._journal.begin(key, tool=pin.name, arguments=arguments)
        except KeyReused:
            return _error("This idempotency key was used for another call. Nothing was done.")
        if call.state not in ("waiting", "ended"):
            return await self._later(call)
        proposing = self._keep(self._proposed(key, pin, arguments))
        try:
            return await self._follow(call, pin, await asyncio.shield(proposing), progress)
        except asyncio.CancelledError:
            if not comes_again:
                self._keep(self._give_up(key, proposing))
            raise

    async def resume(self, proposal_id: str, progress: Progress | None) -> types.CallToolResult:
        """Go on waiting for an earlier call of this gateway, and make it if it is approved by now."""
        call = self._journal.of_proposal(proposal_id)
        if call is None:
            return _error("No call of this gateway has that proposal.")
        if call.state not in ("waiting", "ended"):
            return await self._later(call)
        pin = await self.checked(call.tool)
        return await self._follow(call, pin, await self._client.get(proposal_id), progress)

    async def revise(
        self, proposal_id: str, arguments: dict[str, Any], reply: str, progress: Progress | None
    ) -> types.CallToolResult:
        """Answer a reviewer's question with other arguments, and go on waiting."""
        if self._journal.of_proposal(proposal_id) is None:
            return _error("No call of this gateway has that proposal.")
        await self._client.revise(proposal_id, arguments, reply)
        return await self.resume(proposal_id, progress)

    async def withdraw(self, proposal_id: str, reason: str) -> types.CallToolResult:
        """Take back what nobody has decided."""
        call = self._journal.of_proposal(proposal_id)
        if call is None:
            return _error("No call of this gateway has that proposal.")
        proposal = await self._client.withdraw(proposal_id, reason)
        self._journal.ended(call.key)
        return _text(proposal.words)

    async def settle(self) -> None:
        """At the start: what an earlier life left between redeeming and report. Nothing is called again."""
        for call in self._journal.interrupted():
            try:
                await self._settle(call)
            except CountersignError as error:
                print(f"countersign mcp-gateway: proposal {call.proposal}: {error}", file=sys.stderr)

    async def finish(self, seconds: float) -> None:
        """At the end: let calls that have begun come to their report, and take back what nobody waits for."""
        ends = time.monotonic() + seconds
        while self._running and (left := ends - time.monotonic()) > 0:
            await asyncio.wait(self._running, timeout=left)

    async def _proposed(self, key: str, pin: Pin, arguments: dict[str, Any]) -> Proposal:
        proposal = await self._client.propose(
            pin.action_type, arguments, key=stable_key("mcp-gateway", self._settings.domain, key)
        )
        self._journal.proposed(key, proposal.id)
        return proposal

    async def _follow(
        self, call: Call, pin: Pin, proposal: Proposal, progress: Progress | None
    ) -> types.CallToolResult:
        proposal = await self._decided(proposal, progress)
        if proposal.carried_out_by == "countersign" and proposal.is_decided:
            return self._carried_out(call.key, proposal)
        if not proposal.is_decided:
            return _error(
                f"Not decided yet, nothing was done. Do not call {pin.name} again; go on waiting with "
                f'{WAIT}({{"proposal_id": "{proposal.id}"}}).'
            )
        if proposal.status == "returned":
            return _error(
                f"{proposal.words} Answer with {REVISE}: the proposal_id {proposal.id}, all arguments, and a reply."
            )
        if not proposal.is_approved and not proposal.was_redeemed:
            self._journal.ended(call.key)
            return _error(proposal.words)
        making = self._keep(self._make(call.key, pin, proposal))
        return await asyncio.shield(making)

    def _carried_out(self, key: str, proposal: Proposal) -> types.CallToolResult:
        """Countersign makes the call itself: this gateway never does, and tells what became of it."""
        if not proposal.is_settled:
            return _error(
                f"{proposal.words} Do not repeat it; its outcome comes with "
                f'{WAIT}({{"proposal_id": "{proposal.id}"}}).'
            )
        if proposal.status == "returned":
            return _error(
                f"{proposal.words} Answer with {REVISE}: the proposal_id {proposal.id}, all arguments, and a reply."
            )
        self._journal.ended(key)
        result = proposal.outcome.result if proposal.outcome else None
        said = (
            proposal.words if result is None else f"{proposal.words} {json.dumps(result, ensure_ascii=False)}"
        )
        return _text(said) if proposal.status == "succeeded" else _error(said)

    async def _decided(self, proposal: Proposal, progress: Progress | None) -> Proposal:
        settings = self._settings
        seconds = settings.wait_seconds if progress else settings.wait_seconds_without_progress
        waiting = asyncio.ensure_future(self._client.wait(proposal, timeout=seconds))
        passed = 0.0
        try:
            while not (await asyncio.wait({waiting}, timeout=TICK))[0]:
                passed += TICK
                if progress:
                    await progress(passed, f"Waiting for a person to decide about proposal {proposal.id}.")
            return waiting.result()
        except Undecided as error:
            return error.proposal
        finally:
            waiting.cancel()

    async def _make(self, key: str, pin: Pin, proposal: Proposal) -> types.CallToolResult:
        """Redeem and call. Runs to its end whoever waits for it; of two for one key the second gets the answer."""
        async with self._turn(key):
            try:
                await self.checked(
                    pin.name
                )  # people took their time, and the server may have changed meanwhile
            except (Stopped, Lost, Refused) as error:
                return _error(f"{error} The approval was not used; it lapses by itself.")
            if not self._journal.claim(key):
                return await self._begun(key)
            try:
                redeemed = await self._client.redeem(proposal)
            except CountersignError as error:
                return await self._unredeemed(key, error)
            result, outcome = await self._called(pin, redeemed)
            self._journal.called(key, outcome=outcome, result=_wire(result))
            await self._report(key, redeemed.id, outcome, result)
            return result

    async def _called(self, pin: Pin, redeemed: Proposal) -> tuple[types.CallToolResult, str]:
        try:
            result = await self._upstream.call(
                pin.name, redeemed.arguments, seconds=self._settings.call_seconds
            )
        except Refused as error:
            return _error(
                f"It was approved, but the tool did not take the call; nothing was done: {error}"
            ), "failed"
        except Lost as error:
            words = (
                "It was approved and called, but no answer came, so nobody knows whether it was done. "
                f"Do not repeat it; a person finds out. ({error})"
            )
            return _error(words), "unknown"
        if redeemed.was_edited:
            changed = json.dumps(redeemed.arguments, ensure_ascii=False)
            note = types.TextContent(
                type="text", text=f"The reviewer changed the arguments; this was done with {changed}:"
            )
            result = result.model_copy(update={"content": [note, *result.content]})
        return result, "failed" if result.is_error else "succeeded"

    async def _unredeemed(self, key: str, error: CountersignError) -> types.CallToolResult:
        """The grant was not to be had, or the answer was lost and nobody knows: then it is looked up, never assumed."""
        if isinstance(error, AlreadyRedeemed) or error.unsure:
            call = self._journal.get(key)
            assert call is not None
            return await self._settle(call)
        self._journal.release(key)
        return _error(f"It was approved, but the approval could not be used; nothing was done. {error}")

    async def _later(self, call: Call) -> types.CallToolResult:
        """The answer to a call that was begun before: by a repeat, or by an earlier life of the gateway."""
        async with self._turn(call.key):
            return await self._begun(call.key)

    async def _begun(self, key: str) -> types.CallToolResult:
        """For who has its turn, so that of this life nobody else works on it."""
        call = self._journal.get(key)
        assert call is not None
        if call.state not in ("redeeming", "called"):
            return _answered(call)
        if self._journal.is_abandoned(call):
            return await self._settle(call)
        if call.state == "called":
            return _answered(call)
        return _error(
            f'Another gateway is making this call. Ask again with {WAIT}({{"proposal_id": "{call.proposal}"}}).'
        )

    async def _settle(self, call: Call) -> types.CallToolResult:
        """Bring a call that was interrupted to its end, without calling anything."""
        if call.state == "called":
            await self._report(call.key, call.proposal, call.outcome, call.result)
            return _answered(call)
        proposal = await self._client.get(call.proposal)
        if proposal.status == "approved":
            self._journal.release(call.key)
            return _error(
                f"The gateway was interrupted before anything was done. Go on with {WAIT}"
                f'({{"proposal_id": "{proposal.id}"}}).'
            )
        result = _error(
            "The gateway was interrupted while this was being done, so nobody knows whether it was. "
            "Do not repeat it; a person finds out."
        )
        if proposal.status == "executing" or proposal.was_redeemed:
            self._journal.called(call.key, outcome="unknown", result=_wire(result))
            await self._report(call.key, call.proposal, "unknown", None)
            return result
        self._journal.release(call.key)
        self._journal.ended(call.key)
        return _error(proposal.words)

    async def _report(self, key: str, proposal_id: str, outcome: str, result: Any) -> None:
        """What cannot be reported now is at the next start, from the journal. An answer with something in it that
        Countersign does not take, such as a number that is too long, is told as a text."""
        told = None
        if result is not None and self._settings.report_results:
            told = _told(result if isinstance(result, dict) else _wire(result))
        try:
            try:
                await self._client.report(proposal_id, outcome, result=told)
            except (CountersignError, ValueError) as error:
                if told is None or getattr(error, "status", 422) not in (400, 413, 422):
                    raise
                await self._client.report(proposal_id, outcome, result=ascii(told)[:MOST_REPORTED])
        except CountersignError as error:
            print(f"countersign mcp-gateway: not reported, proposal {proposal_id}: {error}", file=sys.stderr)
            if error.status != 409:  # with 409 the server says that the outcome is known already
                return
        self._journal.reported(key)

    async def _give_up(self, key: str, proposing: asyncio.Task[Proposal]) -> None:
        """Take it back, unless it is being made by now: the server lets only one of the two happen."""
        if self._turn(key).locked():
            return
        try:
            proposal = await proposing
            await self._client.withdraw(proposal, "The client that asked for it has gone.")
        except CountersignError as error:
            print(f"countersign mcp-gateway: not withdrawn: {error}", file=sys.stderr)
        else:
            self._journal.ended(key)

    def _turn(self, key: str) -> asyncio.Lock:
        """Of all who work on one call, one at a time; forgotten when nobody does."""
        return self._turns.setdefault(key, asyncio.Lock())

    def _keep(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Carried on whoever goes away, and waited for at the end."""
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task


def _answered(call: Call) -> types.CallToolResult:
    if call.result is None:
        return _error("The call ended without being made.")
    return types.CallToolResult.model_validate(call.result, by_name=False)


def _wire(result: types.CallToolResult) -> dict[str, Any]:
    return result.model_dump(by_alias=True, mode="json", exclude_none=True)


def _told(result: dict[str, Any]) -> Any:
    """What people see of a tool's answer: its words or its data, pictures left out, cut to a length."""
    content = result.get("structuredContent")
    if content is None:
        content = "\n".join(part["text"] for part in result.get("content", ()) if part.get("type") == "text")
    text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
    if len(text.encode("utf-8", "replace")) <= MOST_REPORTED:
        return content
    return text.encode("utf-8", "replace")[:MOST_REPORTED].decode("utf-8", "ignore") + " … (cut)"


def _text(text: str) -> types.CallToolResult:
    return types.CallToolResult(content=[types.TextContent(type="text", text=text)])


def _error(text: str) -> types.CallToolResult:
    """As an error of the tool, so that nobody takes what was not done for done."""
    return _text(text).model_copy(update={"is_error": True})
