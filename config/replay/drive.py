"""Drives the replay: agents propose episode by episode, reviewers decide, agents act and report.

An episode's next write is proposed after the previous one was decided and done, as it was when recorded. Every
step can be repeated: the idempotency key is the record's id, a decision is looked up before it is made again."""

import asyncio
import time
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from config.replay import types
from config.replay.client import AgentClient, GaveUp, Line
from config.replay.history import History
from config.replay.records import Record, body_of, episodes
from config.replay.reviewer import Reviewer
from config.replay.setup import Access
from config.replay.tally import Fate, Tally

_ATTEMPTS = 5
"""How often a reviewer tries, before a proposal that stays undecided counts as an error."""


@dataclass(frozen=True, slots=True)
class Options:
    """`speed`: proposals a second over all agents, 0 for as fast as it goes; `at_once`: episodes per agent."""

    url: str
    decide: bool
    speed: float = 0
    at_once: int = 4
    run: str = "replay"
    patience: float = 120
    faults: bool = False


@dataclass(slots=True)
class Job:
    """One proposal for a reviewer; `done` says whether he saw his decision accepted, or carries his failure."""

    record: Record
    proposal: dict[str, Any]
    done: "asyncio.Future[bool]"


class Pacer:
    """Lets callers through at a rate; 0 lets everybody through."""

    def __init__(self, per_second: float) -> None:
        self._gap = 1 / per_second if per_second else 0.0
        self._next = 0.0

    async def turn(self) -> None:
        if not self._gap:
            return
        now = time.monotonic()
        self._next = max(self._next + self._gap, now)
        await asyncio.sleep(self._next - now)


class Replay:
    """One run over all records."""

    def __init__(
        self,
        records: Sequence[Record],
        described: dict[str, dict[str, Any]],
        access: Access,
        options: Options,
        tally: Tally,
        history: History,
        on_settled: Callable[[Record], None],
    ) -> None:
        self.records, self.described, self.access, self.options = records, described, access, options
        self.tally, self.history, self.on_settled = tally, history, on_settled
        self.line = Line(patience=options.patience, faults=options.faults)
        self.pacer = Pacer(options.speed)
        self.jobs: list[asyncio.Queue[Job]] = [asyncio.Queue() for _ in access.reviewers]

    async def run(self) -> None:
        """Until every record is settled. Errors are counted in the tally; only a cancelled task ends it early."""
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=200)
        async with httpx.AsyncClient(base_url=self.options.url, timeout=60, limits=limits) as http:
            reviewers = [
                asyncio.create_task(self._review(n)) for n in range(len(self.jobs)) if self.options.decide
            ]
            try:
                await asyncio.gather(*(self._agent(http, agent, group) for agent, group in self._by_agent()))
            finally:
                for task in reviewers:
                    task.cancel()
                await asyncio.gather(*reviewers, return_exceptions=True)
        for problem in self.line.server_errors:
            self.tally.error("server", problem)

    def _by_agent(self) -> Iterable[tuple[str, list[list[Record]]]]:
        grouped: dict[str, list[list[Record]]] = {}
        for steps in episodes(self.records).values():
            grouped.setdefault(steps[0].agent, []).append(steps)
        return grouped.items()

    async def _agent(self, http: httpx.AsyncClient, agent: str, group: list[list[Record]]) -> None:
        client = AgentClient(http, self.line, self.access.tokens[agent])
        waiting = iter(group)

        async def hand() -> None:
            for steps in waiting:
                for record in steps:
                    await self._one(client, record)

        await asyncio.gather(*(hand() for _ in range(self.options.at_once)))

    async def _one(self, client: AgentClient, record: Record) -> None:
        try:
            await self._life(client, record)
        except (GaveUp, httpx.HTTPError, KeyError, TypeError, ValueError) as error:
            message = f"{type(error).__name__}: {error}"
            self.tally.error(record.id, message)
            self.history.write("error", record.id, message=message[:500])

    async def _life(self, client: AgentClient, record: Record) -> None:
        await self.pacer.turn()
        key = f"{self.options.run}:{record.id}"
        body = body_of(record, types.subject_argument(self.described, record.action_type))
        self.history.write("posted", record.id, agent=record.agent, key=key, action_type=record.action_type)
        answer = await client.propose(body, key)
        if isinstance(answer, list):
            if not all(fault.get("field", "").startswith("/arguments") for fault in answer):
                raise GaveUp(f"refused, but not for its arguments: {answer}")
            self.history.write("refused", record.id, errors=answer)
            self._settle(record, "refused", None)
            return
        proposal, is_new = answer
        since = time.monotonic()
        self.history.write("acknowledged", record.id, new=is_new, **_facts(proposal))
        if not self.options.decide:
            self._settle(record, _verdict(proposal) if proposal["decision"] else "waiting", None)
            return
        was_open = proposal["status"] == "pending"
        if was_open:
            proposal = await self._decided(client, record, proposal)
        verdict = _verdict(proposal)
        waited = time.monotonic() - since
        self.history.write("decision_seen", record.id, verdict=verdict, **_facts(proposal))
        self._check(record, proposal, verdict)
        if proposal["status"] == "approved":
            proposal, first = await client.redeem(proposal)
            self.history.write("redeemed", record.id, first=first, **_facts(proposal))
        if proposal["status"] == "executing":
            proposal = await client.report(
                str(proposal["id"]),
                {"status": "succeeded", "external_id": record.id, "result": {"replayed": True}},
            )
            self.history.write("outcome", record.id, **_facts(proposal))
        if verdict != "reject" and proposal["status"] != "succeeded":
            raise GaveUp(f"ended {proposal['status']} instead of succeeded")
        self._settle(record, verdict, waited if was_open else None)

    async def _decided(self, client: AgentClient, record: Record, proposal: dict[str, Any]) -> dict[str, Any]:
        """Hand the proposal to a reviewer and wait, as the agent does, until the decision is there.

        The same reviewer gets the same record in a later run, so that a lease from a killed run is his own."""
        waiting = asyncio.create_task(client.decided(proposal))
        try:
            for attempt in range(_ATTEMPTS):
                job = Job(record, proposal, asyncio.get_running_loop().create_future())
                self.jobs[zlib.crc32(record.id.encode()) % len(self.jobs)].put_nowait(job)
                both: set[asyncio.Future[Any]] = {waiting, job.done}
                await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
                if waiting.done() or await job.done:
                    return await waiting
                await asyncio.wait({waiting}, timeout=0.5 + attempt)
                if waiting.done():
                    return await waiting
            raise GaveUp(f"it could not be decided in {_ATTEMPTS} attempts")
        finally:
            waiting.cancel()

    async def _review(self, number: int) -> None:
        schemas = {name: entry.get("parameters", {}) for name, entry in self.described.items()}
        email, password = self.access.reviewers[number], self.access.password
        async with Reviewer(self.options.url, self.line, email, password, schemas) as reviewer:
            while True:
                job = await self.jobs[number].get()
                try:
                    claimed, decided = await reviewer.decide(job.record, job.proposal)
                except (GaveUp, httpx.HTTPError, KeyError, TypeError, ValueError) as error:
                    if not job.done.done():
                        job.done.set_exception(GaveUp(f"{reviewer.email}: {type(error).__name__}: {error}"))
                else:
                    self.history.write("claimed", job.record.id, reviewer=reviewer.email, confirmed=claimed)
                    self.history.write(
                        "decided", job.record.id, reviewer=reviewer.email, verdict=job.record.truth, confirmed=decided,
                        revision=job.proposal["revision"], digest=job.proposal["digest"],
                    )  # fmt: skip
                    if not job.done.done():
                        job.done.set_result(decided)

    def _check(self, record: Record, proposal: dict[str, Any], verdict: Fate) -> None:
        if verdict != record.truth:
            self.tally.error(record.id, f"decided {verdict}, ground truth {record.truth}")
        elif verdict == "edit" and proposal["arguments"] != record.expected:
            self.tally.error(record.id, "the edited arguments are not the expected ones")
        elif verdict == "approve" and proposal["arguments"] != record.arguments:
            self.tally.error(record.id, "the approved arguments are not the proposed ones")

    def _settle(self, record: Record, fate: Fate, waited: float | None) -> None:
        self.tally.settle(record, fate, waited=waited)
        self.on_settled(record)


def _verdict(proposal: dict[str, Any]) -> Fate:
    """The decision's verdict; raises `GaveUp` for what a replay never leads to (denied, expired, …)."""
    decision = proposal["decision"]
    verdict = decision["verdict"] if decision else None
    if verdict == "approve":
        return "approve"
    if verdict == "edit":
        return "edit"
    if verdict == "reject":
        return "reject"
    raise GaveUp(f"the proposal is {proposal['status']} without a usable decision")


def _facts(proposal: dict[str, Any]) -> dict[str, Any]:
    return {
        "proposal": proposal["id"],
        "status": proposal["status"],
        "version": proposal["version"],
        "revision": proposal["revision"],
        "digest": proposal["digest"],
    }
