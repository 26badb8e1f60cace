"""A fake Countersign over real HTTP on loopback: what a test needs, decisions at a call, faults on demand."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from countersign.aio import AsyncCountersign
from countersign.client import Countersign
from countersign.proposals import Proposal, proposal_from
from countersign.testing.book import OPEN, Book
from countersign.testing.http import Fault, Listener
from countersign.testing.signing import Signer

TOKEN = "fake-token"  # noqa: S105  the fake server takes no other, and nothing else takes it
REVIEWER = "Rita Reviewer"
PATIENCE = 60.0
"""Seconds for which a test waits for the code under test before it fails; on a busy machine they pass quickly."""


@dataclass
class FakeServer:
    """Decides when the test says so. Everything is forgotten with the object; `stop` and `start` only end and begin to
    listen, at the same address, so that a restart can be tried."""

    def __post_init__(self) -> None:
        self._signer = Signer()
        self._book = Book(self._signer)
        self._listener: Listener | None = None
        self._port = 0
        self._seen: set[str] = set()
        self.faults: list[Fault] = []
        self.start()

    @property
    def url(self) -> str:
        """For COUNTERSIGN_URL."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def token(self) -> str:
        """For COUNTERSIGN_TOKEN."""
        return TOKEN

    @property
    def keys(self) -> dict[str, Any]:
        """The JWKS that grants are verified with; empty without cryptography."""
        return self._signer.published()

    @property
    def proposals(self) -> list[Proposal]:
        """All, oldest first, as they are now."""
        with self._book.changed:
            return [proposal_from(row.representation()) for row in self._book.rows.values()]

    @property
    def streams(self) -> int:
        """How many streams of events are open."""
        return self._book.streams

    def __enter__(self) -> FakeServer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def client(self, **settings: Any) -> Countersign:
        """A client of this server. It does not take a busy machine for a server that is away."""
        return Countersign(self.url, TOKEN, **{"timeout": PATIENCE, **settings})

    def async_client(self, **settings: Any) -> AsyncCountersign:
        """The same for asyncio."""
        return AsyncCountersign(self.url, TOKEN, **{"timeout": PATIENCE, **settings})

    def start(self) -> None:
        """Listen again, at the same port."""
        if self._listener is None:
            self._listener = Listener(self._book, self._signer, TOKEN, self.faults, port=self._port)
            self._port = self._listener.port
            self._book.issuer = self.url

    def stop(self, *, hard: bool = False) -> None:
        """Listen no more. Who waits is answered with the present state, or, `hard`, cut off in the middle."""
        if self._listener is not None:
            self._listener.close(hard=hard)
            self._listener = None

    def next(self, timeout: float = PATIENCE) -> Proposal:
        """The next proposal that waits for a decision and was not returned here yet (a revised one comes again)."""
        ends = time.monotonic() + timeout
        with self._book.changed:
            while True:
                for row in self._book.rows.values():
                    name = f"{row.shown['id']}/{row.shown['revision']}"
                    if row.status in OPEN - {"returned"} and name not in self._seen:
                        self._seen.add(name)
                        return proposal_from(row.representation())
                if time.monotonic() >= ends:
                    raise TimeoutError(f"nothing was proposed within {timeout} s")
                self._book.changed.wait(max(0.0, ends - time.monotonic()))

    def request(self, of: Proposal | str) -> dict[str, Any]:
        """What the agent sent, field by field: summary, reasoning, context, subject, …"""
        with self._book.changed:
            return dict(self._book.find(_id(of)).request)

    def key(self, of: Proposal | str) -> str:
        """The idempotency key it came with."""
        return self._book.find(_id(of)).key

    def approve(
        self,
        of: Proposal | str,
        edit: Mapping[str, Any] | None = None,
        comment: str = "",
        by: str = REVIEWER,
    ) -> Proposal:
        """Approve it; with `edit`, these whole arguments instead of the proposed ones."""
        verdict = "approve" if edit is None else "edit"
        return self._decided(of, verdict, comment, "", by, None if edit is None else dict(edit))

    def reject(
        self, of: Proposal | str, comment: str = "", reason: str = "not_allowed", by: str = REVIEWER
    ) -> Proposal:
        """Reject it; a scheduled one is vetoed."""
        with self._book.changed:
            is_scheduled = self._book.find(_id(of)).status == "scheduled"
        return self._decided(of, "veto" if is_scheduled else "reject", comment, reason, by)

    def return_(self, of: Proposal | str, comment: str, by: str = REVIEWER) -> Proposal:
        """Return it with a question; the agent answers by revising it."""
        return self._decided(of, "return", comment, "", by)

    def become(self, of: Proposal | str, status: str) -> Proposal:
        """What time or people do to it besides deciding: expired, lapsed, revoked, unknown, rolled_back, …"""
        with self._book.changed:
            return proposal_from(self._book.become(self._book.find(_id(of)), status))

    def answer(self, decide: Callable[[Proposal], object] | None) -> None:
        """Call this for each proposal that comes to wait for a decision, such as `server.answer(server.approve)`."""
        found = self._book
        found.on_pending = None if decide is None else lambda of: decide(self._now(of))

    def tier(self, action_type: str, tier: str) -> None:
        """in_the_loop (everything waits: as it is at first), on_the_loop, out_of_the_loop or advisory."""
        self._book.tiers[action_type] = tier

    def executor(self, action_type: str) -> None:
        """From now on Countersign carries this action type out itself: approve it, then `carry_out`."""
        self._book.executors.add(action_type)

    def carry_out(self, of: Proposal | str, status: str = "succeeded", result: Any = None) -> Proposal:
        """What became of it where Countersign acts itself: succeeded, failed or unknown."""
        return proposal_from(self._book.carry_out(_id(of), status, result))

    def deny(self, action_type: str, why: str = "The policy forbids it.") -> None:
        """Refuse this action type from now on."""
        self._book.denied[action_type] = why

    def fail(
        self,
        status: int = 503,
        *,
        times: int = 1,
        path: str = "",
        retry_after: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Answer the next requests, to addresses that end with `path`, with this status, and do nothing."""
        sent = dict(headers or {}) | ({} if retry_after is None else {"Retry-After": f"{retry_after:g}"})
        self.faults.append(Fault(path, times, status, sent))

    def lose(self, *, times: int = 1, path: str = "") -> None:
        """Do what the next requests ask and end the connection without an answer, as in a crash or a cut line."""
        self.faults.append(Fault(path, times, None))

    def before(self, path: str, happens: Callable[[], object]) -> None:
        """Let this happen right before the next request to an address that ends with `path` is looked at: a race."""
        self.faults.append(Fault(path, 1, None, happens=happens))

    def _decided(
        self,
        of: Proposal | str,
        verdict: str,
        comment: str,
        reason: str,
        by: str,
        edit: dict[str, Any] | None = None,
    ) -> Proposal:
        return proposal_from(
            self._book.decide(_id(of), verdict, comment=comment, reason=reason, by=by, edit=edit)
        )

    def _now(self, proposal_id: str) -> Proposal:
        with self._book.changed:
            return proposal_from(self._book.find(proposal_id).representation())


def _id(of: Proposal | str) -> str:
    return of.id if isinstance(of, Proposal) else of


def wait_until(holds: Callable[[], bool], timeout: float = PATIENCE) -> None:
    """For tests: poll until it holds. Raises `TimeoutError`."""
    ends = time.monotonic() + timeout
    pause = threading.Event()
    while not holds():
        if time.monotonic() >= ends:
            raise TimeoutError(f"it did not happen within {timeout} s")
        pause.wait(0.01)
