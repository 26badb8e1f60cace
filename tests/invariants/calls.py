"""How the tests speak to the server, meet in threads, and read the history of a proposal."""

import itertools
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.test import Client

from approvals import states
from approvals.models import Decision, Grant, Proposal
from approvals.states import State
from audit.models import AuditEvent
from tests.factories import ARGUMENTS, Desk

_numbers = itertools.count(1)
JSON = "application/json"


@dataclass(frozen=True)
class Answer:
    """Status, the body as JSON where there is one, and the headers."""

    status: int
    body: dict[str, Any]
    headers: dict[str, str]

    @property
    def code(self) -> str:
        """The stable code of a problem, or nothing."""
        return str(self.body.get("code", ""))


def call(
    method: str,
    path: str,
    token: str = "",
    data: bytes | dict[str, Any] | None = None,
    *,
    faults_are_answers: bool = False,
    **headers: Any,
) -> Answer:
    """One request through Django's whole stack. A fault of ours is raised here, unless it is what is tested."""
    client = Client(raise_request_exception=not faults_are_answers)
    sent = {name.replace("_", "-"): str(value) for name, value in headers.items()}
    if token:
        sent["Authorization"] = f"Bearer {token}"
    response = client.generic(
        method,
        path,
        data if isinstance(data, bytes) else _encoded(data),
        content_type=JSON,
        headers=sent,
    )
    kind = response.headers.get("Content-Type", "")
    return Answer(response.status_code, response.json() if "json" in kind else {}, dict(response.items()))


def _encoded(data: dict[str, Any] | None) -> bytes:

    return b"" if data is None else json.dumps(data).encode()


class AgentCalls:
    """An agent's API calls with its token."""

    def __init__(self, the: Desk, token: str = "") -> None:
        self.action_type = the.action_type.name
        self.token = token or the.token

    def propose(self, arguments: dict[str, Any] | None = None, *, key: str = "", **extra: Any) -> Answer:
        body = {
            "action_type": self.action_type,
            "arguments": ARGUMENTS if arguments is None else arguments,
            **extra,
        }
        return call(
            "POST",
            "/api/v1/proposals",
            self.token,
            body,
            Idempotency_Key=key or f"key-{next(_numbers)}",
        )

    def post_raw(self, data: bytes, *, key: str = "", **headers: Any) -> Answer:
        key = key or f"key-{next(_numbers)}"
        return call("POST", "/api/v1/proposals", self.token, data, Idempotency_Key=key, **headers)

    def read(self, proposal_id: object) -> Answer:
        return call("GET", f"/api/v1/proposals/{proposal_id}", self.token)

    def do(self, proposal_id: object, verb: str, **body: Any) -> Answer:
        return call("POST", f"/api/v1/proposals/{proposal_id}/{verb}", self.token, body)


def together(*calls: Callable[[], Any]) -> list[Any]:
    """Run all at once in threads of their own; results in order, an exception where one was raised."""
    barrier = threading.Barrier(len(calls))
    results: list[Any] = [None] * len(calls)

    def run(position: int, one: Callable[[], Any]) -> None:
        try:
            connection.ensure_connection()
            barrier.wait(60)
            results[position] = one()
        except Exception as error:  # noqa: BLE001 - what a thread raises is a result like another
            results[position] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=pair, daemon=True) for pair in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    return results


def history(proposal_id: object) -> list[str]:
    """Kinds of a proposal's state changes in order, after checking that they fit together (I2, I6):

    one event per version, each a step of the table (or an edit), ending where the proposal is; at most one final
    decision, and a grant only for an approved revision."""
    proposal = Proposal.objects.get(pk=str(proposal_id))
    events = AuditEvent.objects.filter(
        object_type="proposal", object_id=str(proposal.pk), object_version__isnull=False
    ).order_by("object_version")
    assert [event.object_version for event in events] == list(range(1, proposal.version + 1))
    assert [event.pk for event in events] == sorted(event.pk for event in events)
    before: str | None = None
    for event in events:
        data = event.data
        if event.kind in ("proposal.edited", "proposal.rollback_asked", "proposal.rollback_answered"):
            continue
        after = data["after"]["state"]
        assert event.kind == f"proposal.{after}"
        if before is None:
            assert after in states.INITIAL
        else:
            assert data["before"]["state"] == before
            assert states.may(before, after), (before, after)
        before = after
    assert before == proposal.state
    final = Decision.objects.filter(proposal=proposal).exclude(verdict="return")
    assert final.count() <= 1
    assert final.count() == (
        proposal.state not in {*states.OPEN, State.DENIED, State.EXPIRED, State.WITHDRAWN}
    )
    grant = Grant.objects.filter(proposal=proposal).first()
    if grant is not None:
        assert final.get().verdict in ("approve", "edit")
        assert (grant.revision.number, grant.digest) == (proposal.revision, proposal.digest)
        assert (grant.redeemed_at is not None) == (proposal.state in states.RAN)
    return [event.kind.removeprefix("proposal.") for event in events]
