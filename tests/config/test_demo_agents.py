"""The demo's agents against a small stand-in for the API, which answers as DESIGN.md §4 says."""

import asyncio
import json
from typing import Any

import httpx
import pytest

from agents import otlp
from config.demo import agents
from config.demo.company import WORKERS
from config.replay import client


class Api:
    """One proposal a time: pending, returned with a question, revised, approved, redeemed, reported."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, str]] = []
        self.proposals: dict[str, dict[str, Any]] = {}
        self.traces: list[str] = []
        self.failures: list[Exception | int] = [httpx.ConnectError("away"), 503, 500]

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if self.failures:
            failure = self.failures.pop(0)
            if isinstance(failure, Exception):
                raise failure
            return httpx.Response(failure)
        assert request.headers["authorization"].startswith("Bearer token-")
        if request.url.path == "/v1/traces":
            self.traces += [one.trace for one in otlp.read_json(request.content).spans]
            return httpx.Response(200, json={})
        parts = request.url.path.removeprefix("/api/v1/proposals").strip("/").split("/")
        verb = parts[1] if len(parts) > 1 else ""
        self.calls.append((request.method, parts[0], verb))
        body = json.loads(request.content or b"{}")
        if request.method == "GET" and not parts[0]:
            return httpx.Response(200, json={"items": [], "next_cursor": None})
        if request.method == "POST" and not parts[0]:
            return httpx.Response(201, json=self._new(body, request.headers["idempotency-key"]))
        proposal = self.proposals[parts[0]]
        self._advance(proposal, request.method, verb, body)
        return httpx.Response(200, json=proposal)

    def _new(self, body: dict[str, Any], key: str) -> dict[str, Any]:
        made = {
            "id": key, "status": "pending", "version": 1, "revision": 1, "digest": "sha256:1", "grant": None,
            "arguments": body["arguments"],
        }  # fmt: skip
        self.proposals[key] = made
        return made

    def _advance(self, proposal: dict[str, Any], method: str, verb: str, body: dict[str, Any]) -> None:
        proposal["version"] += 1
        if verb == "revise":
            proposal |= {
                "status": "pending",
                "revision": 2,
                "digest": "sha256:2",
                "arguments": body["arguments"],
            }
        elif verb == "redeem":
            assert body == {"digest": proposal["digest"]}
            proposal |= {"status": "executing", "grant": None}
        elif verb == "outcome":
            proposal["status"] = body["status"]
        elif proposal["revision"] == 1:
            proposal["status"] = "returned"
        else:
            proposal |= {"status": "approved", "grant": {"token": "t"}}


def test_agents_follow_a_proposal_to_its_outcome_through_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    api = Api()
    monkeypatch.setattr(agents, "PAUSE", (0.01, 0.02))
    monkeypatch.setattr(agents, "MOST_WAITING", 1)
    monkeypatch.setattr(agents, "TELLS", 1)
    monkeypatch.setattr(client, "_LONGEST_PAUSE", 0.05)
    real_sleep = asyncio.sleep
    monkeypatch.setattr(asyncio, "sleep", lambda seconds: real_sleep(min(seconds, 0.01)))
    tokens = {worker.slug: f"token-{worker.slug}" for worker in WORKERS}

    async def work() -> None:
        company = agents.Company("http://test", tokens, transport=httpx.MockTransport(api))
        task = asyncio.create_task(company.work())
        for _ in range(400):
            await real_sleep(0.01)
            if any(one["status"] in ("succeeded", "failed") for one in api.proposals.values()):
                break
        task.cancel()

    asyncio.run(work())

    first = next(iter(api.proposals.values()))
    assert first["status"] in ("succeeded", "failed")
    lived = [verb for method, key, verb in api.calls if method == "POST" and key == first["id"]]
    assert lived == ["revise", "redeem", "outcome"]
    assert len(set(api.traces)) >= 1
    assert len(api.traces) >= 2, "an invocation and a call of a model at the least"
