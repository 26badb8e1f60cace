"""The agents' side of the HTTP API, through failures: retried with the same key, or read again where unclear."""

import asyncio
import random
import time
from dataclasses import dataclass, field
from typing import Any

import httpx

AWAY = frozenset({502, 503, 504})
"""Answers that say the server is not there at the moment."""
LONG_POLL = 25
"""Seconds one request waits for a decision."""
_LONGEST_PAUSE = 5.0
_SHORTEST_POLL = 0.25


class GaveUp(Exception):
    """The server did not answer usefully within the patience, or answered what it should not."""


@dataclass(slots=True)
class Line:
    """How requests travel: patience in seconds, whether 5xx are expected (`faults`), and what had to be repeated."""

    patience: float = 120.0
    faults: bool = False
    repeats: int = 0
    server_errors: list[str] = field(default_factory=list)

    async def send(self, client: httpx.AsyncClient, method: str, url: str, **options: Any) -> httpx.Response:
        """Send until there is an answer that is final for this request; back off between attempts, with jitter.

        Only for requests that may be repeated. Raises `GaveUp` when patience has run out."""
        deadline, pause = time.monotonic() + self.patience, 0.2
        while True:
            wait = pause * random.uniform(0.7, 1.3)  # noqa: S311 jitter, not a secret
            try:
                response = await client.request(method, url, **options)
            except httpx.TransportError as error:
                problem = f"{type(error).__name__}: {error}"
            else:
                if not self._again(response):
                    return response
                problem = f"{response.status_code} {response.text[:200]}"
                wait = max(wait, _retry_after(response))
            if time.monotonic() + wait > deadline:
                raise GaveUp(f"{method} {url}: no answer within {self.patience:.0f} s ({problem})")
            self.repeats += 1
            await asyncio.sleep(wait)
            pause = min(pause * 1.7, _LONGEST_PAUSE)

    def _again(self, response: httpx.Response) -> bool:
        if response.status_code in AWAY or response.status_code == 429:
            return True
        if response.status_code == 409 and code_of(response) == "request_in_flight":
            return True
        if response.status_code >= 500:
            if not self.faults:
                self.server_errors.append(f"{response.request.url.path}: {response.status_code}")
            return True
        return False


def code_of(response: httpx.Response) -> str:
    """The stable `code` of a problem document, or an empty text."""
    try:
        problem = response.json()
    except ValueError:
        return ""
    return str(problem.get("code", "")) if isinstance(problem, dict) else ""


def _retry_after(response: httpx.Response) -> float:
    value = response.headers.get("retry-after", "")
    return min(float(value), 60.0) if value.isdigit() else 0.0


@dataclass(slots=True)
class AgentClient:
    """One agent's credential and what it may do with it."""

    http: httpx.AsyncClient
    line: Line
    token: str
    wait: int = LONG_POLL

    async def propose(
        self, body: dict[str, Any], key: str
    ) -> tuple[dict[str, Any], bool] | list[dict[str, str]]:
        """(the proposal, whether it is new), or the faults of arguments that do not fit their schema."""
        response = await self._send("POST", "/api/v1/proposals", json=body, headers={"Idempotency-Key": key})
        if response.status_code in (200, 201):
            return _object(response), response.status_code == 201
        if response.status_code == 422 and code_of(response) == "arguments_invalid":
            return list(response.json().get("errors", []))
        raise GaveUp(f"propose: {response.status_code} {response.text[:300]}")

    async def export(self, spans: dict[str, Any]) -> None:
        """Tell what led to a proposal (OTLP/HTTP, JSON). Sent again it counts once."""
        _expect(await self._send("POST", "/v1/traces", json=spans), "export")

    async def read(self, proposal_id: str) -> dict[str, Any]:
        return _expect(await self._send("GET", f"/api/v1/proposals/{proposal_id}"), "read")

    async def own(self, status: str) -> list[dict[str, Any]]:
        """The latest proposals of this agent in one state, at most 100."""
        response = await self._send("GET", "/api/v1/proposals", params={"status": status, "limit": 100})
        return list(_expect(response, "list").get("items", []))

    async def decided(self, proposal: dict[str, Any]) -> dict[str, Any]:
        """Wait as an agent does, by long polls, until the proposal is no longer open.

        A server that answers at once with nothing new (one without the waiting door) is asked at a walking pace."""
        while proposal["status"] in ("pending", "scheduled"):
            url, asked = f"/api/v1/proposals/{proposal['id']}", time.monotonic()
            params = {"wait": self.wait, "after_version": proposal["version"]}
            news = _expect(await self._send("GET", url, params=params), "wait")
            if news["version"] == proposal["version"] and time.monotonic() - asked < _SHORTEST_POLL:
                await asyncio.sleep(_SHORTEST_POLL)
            proposal = news
        return proposal

    async def redeem(self, proposal: dict[str, Any]) -> tuple[dict[str, Any], bool]:
        """Redeem; (the proposal, False) when an earlier attempt whose answer was lost turns out to have done it."""
        url = f"/api/v1/proposals/{proposal['id']}/redeem"
        repeats = self.line.repeats
        response = await self._send("POST", url, json={"digest": proposal["digest"]})
        if response.status_code == 200:
            return _object(response), True
        if response.status_code == 409 and self.line.repeats > repeats:
            now = await self.read(proposal["id"])
            if now["status"] in ("executing", "succeeded", "failed", "unknown"):
                return now, False
        raise GaveUp(f"redeem: {response.status_code} {response.text[:300]}")

    async def report(self, proposal_id: str, outcome: dict[str, Any]) -> dict[str, Any]:
        """Report the outcome; a repeat that finds it reported already is fine."""
        response = await self._send("POST", f"/api/v1/proposals/{proposal_id}/outcome", json=outcome)
        if response.status_code == 200:
            return _object(response)
        if response.status_code == 409:
            now = await self.read(proposal_id)
            if now["status"] == outcome["status"]:
                return now
        raise GaveUp(f"outcome: {response.status_code} {response.text[:300]}")

    async def revise(self, proposal_id: str, arguments: dict[str, Any], reply: str) -> dict[str, Any]:
        """Answer a returned proposal. A 409 means that somebody was faster; the caller reads again."""
        body = {"arguments": arguments, "reply": reply}
        response = await self._send("POST", f"/api/v1/proposals/{proposal_id}/revise", json=body)
        return _object(response) if response.status_code == 200 else await self.read(proposal_id)

    async def _send(self, method: str, url: str, **options: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}", **options.pop("headers", {})}
        return await self.line.send(self.http, method, url, headers=headers, **options)


def _object(response: httpx.Response) -> dict[str, Any]:
    found: dict[str, Any] = response.json()
    return found


def _expect(response: httpx.Response, what: str) -> dict[str, Any]:
    if response.status_code != 200:
        raise GaveUp(f"{what}: {response.status_code} {response.text[:300]}")
    return _object(response)
