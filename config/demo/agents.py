"""The demo's agents at work over the real HTTP API: propose, wait, revise, redeem, act, report."""

import asyncio
import random
import secrets
from datetime import UTC, datetime
from typing import Any

import httpx
import structlog

from config.demo import telling
from config.demo.cases import Case
from config.demo.company import WORKERS, Worker, next_case
from config.demo.setup import EARNED
from config.replay.client import AgentClient, GaveUp, Line

log = structlog.get_logger(__name__)
MOST_WAITING = 150
"""Above this number of undecided proposals nobody proposes anything new."""
PAUSE = (5.0, 20.0)
"""Seconds between two proposals of the whole company."""
TELLS = 0.8
"""The share of proposals that come from an instrumented run."""
_OPEN = ("pending", "scheduled", "returned")
_FOLLOWED = (*_OPEN, "approved", "executing")


class Company:
    """All agents in one process. A server that is away is waited for; nothing here keeps state that matters."""

    def __init__(
        self, url: str, tokens: dict[str, str], transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._rng = random.SystemRandom()
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=40)
        self._http = httpx.AsyncClient(base_url=url, timeout=75, limits=limits, transport=transport)
        line = Line(patience=float("inf"), faults=True)
        self._clients = {
            slug: AgentClient(self._http, line, token, wait=55) for slug, token in tokens.items()
        }
        self._open: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def work(self) -> None:
        """Until cancelled."""
        workers = [worker for worker in WORKERS if worker.slug in self._clients]
        async with self._http:
            for worker in workers:
                self._start(self._take_up(worker.slug))
                for slug, action_type in EARNED:
                    if slug == worker.slug:
                        self._start(self._begin(worker, action_type))
            while True:
                await asyncio.sleep(self._rng.uniform(*PAUSE))
                if len(self._open) < MOST_WAITING:
                    who, name, case = next_case(self._rng, datetime.now(UTC))
                    if who.slug in self._clients:
                        self._start(self._propose(who.slug, name, case))

    async def _begin(self, worker: Worker, action_type: str) -> None:
        """What runs without being asked comes first, so that the monitor has something to show from the start."""
        await asyncio.sleep(self._rng.uniform(0, PAUSE[1]))
        _, name, case = next_case(self._rng, datetime.now(UTC), worker, action_type)
        await self._propose(worker.slug, name, case)

    def _start(self, work: Any) -> None:
        task = asyncio.create_task(self._quietly(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _quietly(self, work: Any) -> None:
        """One agent's trouble (a suspended agent, a revoked credential) does not stop the others."""
        try:
            await work
        except (GaveUp, httpx.HTTPError, KeyError, ValueError) as error:
            log.info("demo_agent_stopped_following", error=str(error)[:200])

    async def _take_up(self, slug: str) -> None:
        """Follow what an earlier run of this process has left open."""
        for status in _FOLLOWED:
            for proposal in await self._clients[slug].own(status):
                self._start(self._follow(slug, proposal, None))

    async def _propose(self, slug: str, name: str, case: Case) -> None:
        trace = f"{self._rng.getrandbits(128):032x}"
        if self._rng.random() < TELLS:
            await self._tell(slug, name, case, trace)
        body: dict[str, Any] = {
            "action_type": name,
            "arguments": case.arguments,
            "summary": case.summary,
            "reasoning": case.reasoning,
            "confidence": case.confidence,
            "context": case.context,
            "subject": {"type": case.subject[0], "id": case.subject[1]},
            "trace_id": trace,
            "priority": case.priority,
        }
        if case.current_state is not None:
            body["current_state"] = case.current_state
        answer = await self._clients[slug].propose(body, f"demo-{secrets.token_hex(10)}")
        if isinstance(answer, list):
            log.warning("demo_proposal_refused", action_type=name, errors=answer)
            return
        await self._follow(slug, answer[0], case)

    async def _tell(self, slug: str, name: str, case: Case, trace: str) -> None:
        """What its exporter sends of the run that leads to the proposal."""
        told = telling.spans(
            trace=trace,
            action=name,
            summary=case.summary,
            reasoning=case.reasoning,
            turns=case.context,
            looked_up={case.subject[0]: case.subject[1]},
            end=datetime.now(UTC),
            rng=self._rng,
        )
        await self._clients[slug].export(told)

    async def _follow(self, slug: str, proposal: dict[str, Any], case: Case | None) -> None:
        client, key = self._clients[slug], str(proposal["id"])
        self._open.add(key)
        try:
            while proposal["status"] in _OPEN:
                proposal = await client.decided(proposal)
                if proposal["status"] == "returned":
                    await asyncio.sleep(self._rng.uniform(8, 40))
                    proposal = await self._answer(client, proposal, case)
        finally:
            self._open.discard(key)
        if proposal["status"] == "approved" and proposal["grant"]:
            await asyncio.sleep(self._rng.uniform(0.3, 3))
            proposal, _ = await client.redeem(proposal)
        if proposal["status"] == "executing":
            await asyncio.sleep(self._rng.uniform(0.5, 8))
            await client.report(key, self._outcome())

    async def _answer(
        self, client: AgentClient, proposal: dict[str, Any], case: Case | None
    ) -> dict[str, Any]:
        """Answer a reviewer's question: with better arguments where the story has them."""
        if case is not None and case.expected is not None:
            return await client.revise(
                str(proposal["id"]), case.expected, case.reply or "Corrected, thank you."
            )
        reply = "I looked at it again and would still do it this way."
        return await client.revise(str(proposal["id"]), proposal["arguments"], reply)

    def _outcome(self) -> dict[str, Any]:
        failed = self._rng.random() < 0.03
        return {
            "status": "failed" if failed else "succeeded",
            "result": {"message": "The other system answered 503 three times." if failed else "done"},
            "external_id": f"x-{self._rng.getrandbits(32):08x}",
        }
