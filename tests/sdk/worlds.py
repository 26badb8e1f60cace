"""The fake server and the real one behind one face: what agents say over HTTP, what reviewers decide by use case."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import httpx
from countersign.testing import FakeServer

from approvals.models import Proposal, Verdict
from tests.factories import Desk

ARGUMENTS = {"order_id": "A-1001", "amount": 42.5, "reason": "damaged"}
EDITED = ARGUMENTS | {"amount": 40}


class Reviewer(Protocol):
    """Somebody who decides."""

    def approve(self, proposal_id: str, edit: Mapping[str, Any] | None = None) -> object: ...

    def reject(self, proposal_id: str, comment: str) -> object: ...

    def return_(self, proposal_id: str, comment: str) -> object: ...


@dataclass(frozen=True)
class RealReviewer:
    """By the use case behind the page's button."""

    the: Desk

    def approve(self, proposal_id: str, edit: Mapping[str, Any] | None = None) -> object:
        if edit is None:
            return self.the.decide(self._row(proposal_id), Verdict.APPROVE)
        return self.the.decide(self._row(proposal_id), Verdict.EDIT, arguments=dict(edit))

    def reject(self, proposal_id: str, comment: str) -> object:
        return self.the.decide(self._row(proposal_id), Verdict.REJECT, comment=comment)

    def return_(self, proposal_id: str, comment: str) -> object:
        return self.the.decide(self._row(proposal_id), Verdict.RETURN, comment=comment)

    def _row(self, proposal_id: str) -> Proposal:
        return Proposal.objects.get(pk=proposal_id)


@dataclass
class World:
    """One server and one agent of it."""

    http: httpx.Client
    reviewer: Reviewer
    action_type: str
    kept: dict[str, str] = field(default_factory=dict)

    def call(self, method: str, path: str, **request: Any) -> httpx.Response:
        return self.http.request(method, f"/api/v1{path}", **request)

    def propose(self, key: str, **more: Any) -> httpx.Response:
        body = {"action_type": self.action_type, "arguments": ARGUMENTS} | more
        return self.call("POST", "/proposals", json=body, headers={"Idempotency-Key": key})

    def new(self, key: str) -> str:
        """The id of a new proposal."""
        return str(self.propose(key).json()["id"])

    def post(self, proposal_id: str, verb: str, body: Mapping[str, Any]) -> httpx.Response:
        return self.call("POST", f"/proposals/{proposal_id}/{verb}", json=body)

    def get(self, proposal_id: str, **query: str) -> httpx.Response:
        return self.call("GET", f"/proposals/{proposal_id}", params=query)

    def redeem(self, proposal_id: str) -> httpx.Response:
        return self.post(proposal_id, "redeem", {"digest": self.get(proposal_id).json()["digest"]})


@contextmanager
def fake() -> Iterator[World]:
    with FakeServer() as server, _client(server.url, server.token) as http:
        yield World(http, server, "refund")


@contextmanager
def real(url: str, the: Desk) -> Iterator[World]:
    with _client(url, the.token) as http:
        yield World(http, RealReviewer(the), the.action_type.name)


def _client(url: str, token: str) -> httpx.Client:
    return httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=30)


def told(response: httpx.Response) -> tuple[Any, ...]:
    """Of a proposal its state, of a refusal its status, code and fields: what a client acts on."""
    document = response.json()
    if response.status_code >= 400:
        fields = [error["field"] for error in document.get("errors", [])]
        return (response.status_code, document["code"], fields)
    return (response.status_code, document["status"], document["version"], document["revision"])


def shape(value: Any) -> Any:
    """Names and kinds, without what they say."""
    if isinstance(value, Mapping):
        return {name: shape(inner) for name, inner in value.items() if name not in ("arguments", "result")}
    if isinstance(value, list):
        return [shape(inner) for inner in value[:1]]
    return type(value).__name__


Row = Callable[[World], Any]
