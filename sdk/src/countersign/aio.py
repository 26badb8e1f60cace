"""The client for asyncio, call by call like `countersign.client`; what calls do is in `countersign.flows`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing, closing
from datetime import datetime
from types import TracebackType
from typing import Any, TypeVar

import httpx

from countersign import flows, transport
from countersign.agent import Me
from countersign.errors import CountersignError
from countersign.flows import Flow
from countersign.proposals import Draft, Event, Proposal
from countersign.settings import Settings, Token
from countersign.stream import Stream, first_contact
from countersign.wire import Answer, Lost, Request

T = TypeVar("T")


class AsyncCountersign:
    """As `Countersign`, for one event loop: make it in the loop that uses it, and close it there.

    `url` and `token` default to COUNTERSIGN_URL and COUNTERSIGN_TOKEN (or COUNTERSIGN_TOKEN_FILE). `token` may be a
    function, for tokens that change. `timeout`: seconds for one answer; `patience`: seconds for which one call is
    tried again. `http` is a client of your own, for proxies and certificates; you close it."""

    def __init__(
        self,
        url: str | None = None,
        token: Token = None,
        *,
        timeout: float = 10.0,
        patience: float = 60.0,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        self.settings = Settings(url, token, timeout=timeout, patience=patience)
        self._is_own = http is None
        self._http = http or httpx.AsyncClient(limits=transport.LIMITS)

    async def __aenter__(self) -> AsyncCountersign:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Let connections go."""
        if self._is_own:
            await self._http.aclose()

    async def propose(
        self,
        action_type: str,
        arguments: Mapping[str, Any],
        *,
        key: str | None = None,
        summary: str = "",
        reasoning: str = "",
        confidence: float | None = None,
        context: Sequence[Mapping[str, Any]] = (),
        subject: Mapping[str, str] | None = None,
        trace_id: str = "",
        parent_id: str | None = None,
        priority: str = "normal",
        expires_in: int | None = None,
        current_state: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        agent_version: Mapping[str, str] | None = None,
    ) -> Proposal:
        """Ask for permission. The same `key` and content is the same proposal, in any process, at any time."""
        return await self.run(
            flows.propose(
                Draft(
                    action_type,
                    arguments,
                    key,
                    summary,
                    reasoning,
                    confidence,
                    context,
                    subject,
                    trace_id,
                    parent_id,
                    priority,
                    expires_in,
                    current_state,
                    metadata,
                    agent_version,
                ),
                self.settings,
            )
        )

    async def propose_many(
        self, drafts: Sequence[Draft | Mapping[str, Any]]
    ) -> list[Proposal | CountersignError]:
        """Each by itself, in order: a proposal, or the error that this one met.

        A draft's key counts for batches: one that was proposed by itself is another request, and refused."""
        return await self.run(flows.propose_many(drafts, self.settings))

    async def get(self, of: Proposal | str) -> Proposal:
        """As it is now."""
        return await self.run(flows.get(of, self.settings))

    async def wait(self, of: Proposal | str, timeout: float | None = None) -> Proposal:
        """Return when it is decided, or returned with a question. Waits through restarts of the server.

        Raises `Undecided` (a `TimeoutError`) after `timeout` seconds; without one it waits for as long as the
        proposal is open."""
        return await self.run(flows.wait(of, self.settings, timeout))

    async def redeem(self, proposal: Proposal, *, grant: str | None = None) -> Proposal:
        """Use the permission up, right before acting on `proposal.arguments`. If this raises, do not act."""
        return await self.run(flows.redeem(proposal, self.settings, grant=grant))

    async def report(
        self,
        of: Proposal | str,
        status: str,
        *,
        result: Any = None,
        external_id: str = "",
        cost: float | None = None,
        occurred_at: datetime | None = None,
    ) -> Proposal:
        """Say how it went: "succeeded", "failed", or "unknown", which a person settles."""
        return await self.run(
            flows.report(
                of,
                status,
                self.settings,
                result=result,
                external_id=external_id,
                cost=cost,
                occurred_at=occurred_at,
            )
        )

    async def withdraw(self, of: Proposal | str, reason: str = "") -> Proposal:
        """Take it back while nobody has decided."""
        return await self.run(flows.withdraw(of, self.settings, reason))

    async def revise(self, of: Proposal | str, arguments: Mapping[str, Any], reply: str = "") -> Proposal:
        """Answer a returned proposal; it goes back to the reviewers."""
        return await self.run(flows.revise(of, arguments, self.settings, reply))

    async def proposals(self, status: str | None = None) -> AsyncIterator[Proposal]:
        """One's own, newest first, read page by page."""
        cursor: str | None = None
        while True:
            page = await self.run(flows.page(self.settings, status=status, cursor=cursor))
            for item in page.items:
                yield item
            cursor = page.cursor
            if cursor is None:
                return

    async def me(self) -> Me:
        """Who this token is, what it may do, and what its limits leave."""
        return await self.run(flows.me(self.settings))

    async def keys(self) -> dict[str, Any]:
        """The public keys of grants, for `countersign.grants.verify`."""
        return await self.run(flows.keys(self.settings))

    async def events(self, after: str | None = None) -> AsyncIterator[Event]:
        """Every change of one's own proposals, for ever; `after` is the id of the last event that was handled.

        Connections that end are made again where they ended."""
        await self.run(first_contact(self.settings))
        stream = Stream(self.settings, after)
        while True:
            ended: Answer | Lost = Lost("the stream ended", was_sent=True)
            try:
                async with aclosing(await self._open(stream.request())) as response:
                    if response.status_code >= 300:
                        await response.aread()
                        ended = transport.answer_of(response)
                        stream.check(ended)
                    else:
                        stream.check(Answer(response.status_code, dict(response.headers), b""))
                        async for data in response.aiter_bytes():
                            for event in stream.feed(data):
                                yield event
            except httpx.TransportError as error:
                ended = transport.lost(error)
            await asyncio.sleep(stream.pause(ended))

    async def run(self, flow: Flow[T]) -> T:
        """Carry out the steps of a flow."""
        with closing(flow):
            try:
                request = next(flow)
                while True:
                    request = flow.send(await self._send(request))
            except StopIteration as stop:
                value: T = stop.value
                return value

    async def _send(self, request: Request) -> Answer | Lost:
        if request.after > 0:
            await asyncio.sleep(request.after)
        try:
            return transport.answer_of(
                await self._http.send(transport.prepared(request, self.settings), follow_redirects=False)
            )
        except httpx.TransportError as error:
            return transport.lost(error)

    async def _open(self, request: Request) -> httpx.Response:
        return await self._http.send(
            transport.prepared(request, self.settings), stream=True, follow_redirects=False
        )
