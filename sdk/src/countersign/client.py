"""The client for ordinary code. `countersign.aio` has the same for asyncio; what calls do is in `countersign.flows`."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
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


class Countersign:
    """Propose actions, wait for people, act on what they approved, report. Safe to share between threads.

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
        http: httpx.Client | None = None,
    ) -> None:
        self.settings = Settings(url, token, timeout=timeout, patience=patience)
        self._is_own = http is None
        self._http = http or httpx.Client(limits=transport.LIMITS)

    def __enter__(self) -> Countersign:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let connections go."""
        if self._is_own:
            self._http.close()

    def propose(
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
        return self.run(
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

    def propose_many(self, drafts: Sequence[Draft | Mapping[str, Any]]) -> list[Proposal | CountersignError]:
        """Each by itself, in order: a proposal, or the error that this one met.

        A draft's key counts for batches: one that was proposed by itself is another request, and refused."""
        return self.run(flows.propose_many(drafts, self.settings))

    def get(self, of: Proposal | str) -> Proposal:
        """As it is now."""
        return self.run(flows.get(of, self.settings))

    def wait(self, of: Proposal | str, timeout: float | None = None) -> Proposal:
        """Return when it is decided, or returned with a question. Waits through restarts of the server.

        Raises `Undecided` (a `TimeoutError`) after `timeout` seconds; without one it waits for as long as the
        proposal is open."""
        return self.run(flows.wait(of, self.settings, timeout))

    def redeem(self, proposal: Proposal, *, grant: str | None = None) -> Proposal:
        """Use the permission up, right before acting on `proposal.arguments`. If this raises, do not act."""
        return self.run(flows.redeem(proposal, self.settings, grant=grant))

    def report(
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
        return self.run(
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

    def withdraw(self, of: Proposal | str, reason: str = "") -> Proposal:
        """Take it back while nobody has decided."""
        return self.run(flows.withdraw(of, self.settings, reason))

    def revise(self, of: Proposal | str, arguments: Mapping[str, Any], reply: str = "") -> Proposal:
        """Answer a returned proposal; it goes back to the reviewers."""
        return self.run(flows.revise(of, arguments, self.settings, reply))

    def proposals(self, status: str | None = None) -> Iterator[Proposal]:
        """One's own, newest first, read page by page."""
        cursor: str | None = None
        while True:
            page = self.run(flows.page(self.settings, status=status, cursor=cursor))
            yield from page.items
            cursor = page.cursor
            if cursor is None:
                return

    def me(self) -> Me:
        """Who this token is, what it may do, and what its limits leave."""
        return self.run(flows.me(self.settings))

    def keys(self) -> dict[str, Any]:
        """The public keys of grants, for `countersign.grants.verify`."""
        return self.run(flows.keys(self.settings))

    def events(self, after: str | None = None) -> Iterator[Event]:
        """Every change of one's own proposals, for ever; `after` is the id of the last event that was handled.

        Connections that end are made again where they ended."""
        self.run(first_contact(self.settings))
        stream = Stream(self.settings, after)
        while True:
            ended: Answer | Lost = Lost("the stream ended", was_sent=True)
            try:
                with closing(self._open(stream.request())) as response:
                    if response.status_code >= 300:
                        response.read()
                        ended = transport.answer_of(response)
                        stream.check(ended)
                    else:
                        stream.check(Answer(response.status_code, dict(response.headers), b""))
                        for data in response.iter_bytes():
                            yield from stream.feed(data)
            except httpx.TransportError as error:
                ended = transport.lost(error)
            time.sleep(stream.pause(ended))

    def run(self, flow: Flow[T]) -> T:
        """Carry out the steps of a flow."""
        with closing(flow):
            try:
                request = next(flow)
                while True:
                    request = flow.send(self._send(request))
            except StopIteration as stop:
                value: T = stop.value
                return value

    def _send(self, request: Request) -> Answer | Lost:
        if request.after > 0:
            time.sleep(request.after)
        try:
            return transport.answer_of(
                self._http.send(transport.prepared(request, self.settings), follow_redirects=False)
            )
        except httpx.TransportError as error:
            return transport.lost(error)

    def _open(self, request: Request) -> httpx.Response:
        return self._http.send(
            transport.prepared(request, self.settings), stream=True, follow_redirects=False
        )
