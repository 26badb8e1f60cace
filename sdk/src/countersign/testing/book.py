"""What the fake server knows: proposals in memory, with the real server's states, refusals and codes.

It answers like the real one for everything a client can do to its own proposals; a table of calls in the tests of
Countersign is run against both. Policies, schemas, limits and people it does not have: a test says what happens."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from countersign import canonical
from countersign.testing.signing import Signer

AGENT = "fake-agent"
OPEN = frozenset({"pending", "returned", "scheduled"})
GRANT_SECONDS = 300


class Refusal(Exception):
    """A problem document."""

    def __init__(self, status: int, code: str, detail: str, **extra: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.document = {
            "type": f"/api/docs#{code}",
            "title": detail,
            "status": status,
            "code": code,
            "detail": detail,
        } | extra


@dataclass
class Row:
    """One proposal and what was said about it; `shown` is its representation apart from the grant."""

    shown: dict[str, Any]
    key: str
    content: bytes
    token: str = ""
    grant_expires: str = ""
    sequence: int = 0
    request: dict[str, Any] = field(default_factory=dict)
    revised: tuple[bytes, str] | None = None

    @property
    def status(self) -> str:
        return str(self.shown["status"])

    def representation(self) -> dict[str, Any]:
        grant = {"token": self.token, "expires_at": self.grant_expires} if self.token else None
        is_handed_out = self.status == "approved" and self.shown["carried_out_by"] == "agent"
        return self.shown | {"grant": grant if is_handed_out else None}


class Book:
    """All proposals, one lock, and everybody who waits for a change."""

    def __init__(self, signer: Signer) -> None:
        self.changed = threading.Condition(threading.RLock())
        self.rows: dict[str, Row] = {}
        self.tiers: dict[str, str] = {}
        self.executors: set[str] = set()
        self.denied: dict[str, str] = {}
        self.issuer = ""
        self.sequence = 0
        self.streams = 0
        self.on_pending: Callable[[str], object] | None = None
        self._signer = signer
        self._keys: dict[str, str] = {}

    def propose(self, request: dict[str, Any], *, key: str, content: bytes) -> tuple[bool, dict[str, Any]]:
        """Whether it is new, and what it is. `content` is what a repeat must have in common with the first."""
        with self.changed:
            known = self._keys.get(key)
            if known is not None:
                row = self.rows[known]
                if row.content != content:
                    raise Refusal(
                        422,
                        "idempotency_key_reused",
                        "This key came earlier with another body.",
                        errors=[{"field": "Idempotency-Key", "message": "was used for another body"}],
                        proposal=known,
                    )
                return False, row.representation()
            row = self._new(request, key, content)
            self._keys[key] = row.shown["id"]
            self.rows[row.shown["id"]] = row
            self._note(row)
            if row.status == "approved":
                self._grant(row)
            shown = row.representation()
        if row.status == "pending" and self.on_pending is not None:
            self.on_pending(row.shown["id"])
        return True, shown

    def _new(self, request: dict[str, Any], key: str, content: bytes) -> Row:
        kind = request["action_type"]
        tier = self.tiers.get(kind, "in_the_loop")
        states = {"on_the_loop": "scheduled", "out_of_the_loop": "approved"}
        reasons = []
        status = states.get(tier, "pending")
        if kind in self.denied:
            status = "denied"
            reasons = [{"code": "policy", "rule": "test", "detail": self.denied[kind]}]
        parent = request.get("parent_id")
        if parent is not None and parent not in self.rows:
            raise Refusal(
                422,
                "arguments_invalid",
                "The parent was not found.",
                errors=[
                    {"field": "/parent_id", "message": "must be the id of an earlier proposal of this agent"}
                ],
            )
        now = datetime.now(timezone.utc)
        shown = {
            "id": str(uuid.uuid4()),
            "status": status,
            "version": 1,
            "revision": 1,
            "action_type": kind,
            "arguments": request["arguments"],
            "digest": _digest(kind, 1, request["arguments"]),
            "tier": tier,
            "carried_out_by": "person" if tier == "advisory" else "agent",
            "route": {"queue": "fake", "quorum": 1, "reasons": reasons},
            "decision": _decision("approve", "tier", "", "policy") if status == "approved" else None,
            "outcome": None,
            "rollback": None,
            "created_at": _text(now),
            "due_at": _text(now + timedelta(hours=4)) if status == "pending" else None,
            "expires_at": _text(now + timedelta(seconds=request.get("expires_in") or 2 * 86400)),
            "effective_at": None,
        }
        if kind in self.executors and tier != "advisory":
            shown["carried_out_by"] = "countersign"
        return Row(shown, key, content, request=dict(request))

    def find(self, proposal_id: str) -> Row:
        row = self.rows.get(proposal_id)
        if row is None:
            raise Refusal(404, "not_found", "There is no such proposal of this agent.")
        return row

    def wait(
        self, proposal_id: str, *, seconds: float, after: int | None, over: Callable[[], bool]
    ) -> dict[str, Any]:
        """As soon as its version is above `after` (None: as it is decided), or as it is when the time is up."""
        ends = time.monotonic() + seconds
        with self.changed:
            while True:
                row = self.find(proposal_id)
                news = row.status not in OPEN if after is None else row.shown["version"] > after
                left = ends - time.monotonic()
                if news or left <= 0 or over():
                    return row.representation()
                self.changed.wait(left)

    def redeem(self, proposal_id: str, digest: str, token: str | None) -> dict[str, Any]:
        with self.changed:
            row = self.find(proposal_id)
            if row.shown["carried_out_by"] == "countersign":
                raise Refusal(
                    409, "grant_refused", "Countersign carries this out itself. Wait for the outcome."
                )
            if row.status != "approved" or not row.token:
                raise Refusal(
                    409, "grant_refused", f"The proposal is {row.status}; there is nothing to redeem."
                )
            if digest != row.shown["digest"]:
                raise Refusal(
                    409,
                    "digest_mismatch",
                    "The digest is not the one that was approved.",
                    approved=row.shown["digest"],
                )
            if token is not None and token != row.token:
                raise Refusal(409, "grant_refused", "The grant is not valid.")
            return self.become(row, "executing")

    def report(self, proposal_id: str, body: Mapping[str, Any]) -> dict[str, Any]:
        with self.changed:
            row = self.find(proposal_id)
            said = {
                "status": body["status"],
                "result": body.get("result"),
                "external_id": body.get("external_id", ""),
                "cost": body.get("cost"),
                "occurred_at": body.get("occurred_at"),
            }
            earlier = row.shown["outcome"]
            if earlier is not None and {name: earlier[name] for name in said} == said:
                return row.representation()
            if row.status != "executing":
                raise Refusal(
                    409,
                    "wrong_state",
                    f"The proposal is {row.status}; only what was redeemed has an outcome.",
                )
            row.shown["outcome"] = said | {"reported_at": _text(datetime.now(timezone.utc))}
            return self.become(row, str(body["status"]))

    def carry_out(self, proposal_id: str, status: str, result: Any) -> dict[str, Any]:
        """What Countersign does where it acts itself: redeem, call, and write down what was answered."""
        with self.changed:
            row = self.find(proposal_id)
            if row.status == "approved":
                self.become(row, "executing")
            row.shown["outcome"] = {
                "status": status,
                "result": result,
                "external_id": "",
                "cost": None,
                "occurred_at": None,
                "reported_at": _text(datetime.now(timezone.utc)),
            }
            return self.become(row, status)

    def withdraw(self, proposal_id: str) -> dict[str, Any]:
        with self.changed:
            row = self.find(proposal_id)
            if row.status == "withdrawn":
                return row.representation()
            if row.status not in OPEN:
                raise Refusal(
                    409, "wrong_state", f"The proposal is {row.status}; it can no longer be withdrawn."
                )
            return self.become(row, "withdrawn")

    def revise(self, proposal_id: str, arguments: dict[str, Any], reply: str) -> dict[str, Any]:
        with self.changed:
            row = self.find(proposal_id)
            if row.status == "pending" and row.revised == (canonical.dumps(arguments), reply):
                return row.representation()
            if row.status != "returned":
                raise Refusal(
                    409, "wrong_state", f"The proposal is {row.status}; only a returned one is revised."
                )
            self._revision(row, arguments)
            row.revised = (canonical.dumps(arguments), reply)
            row.shown["decision"] = None
            shown = self.become(row, "pending")
        if self.on_pending is not None:
            self.on_pending(proposal_id)
        return shown

    def decide(
        self,
        proposal_id: str,
        verdict: str,
        *,
        comment: str,
        reason: str,
        by: str,
        edit: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """A reviewer's verdict on what is open."""
        with self.changed:
            row = self.find(proposal_id)
            may = OPEN - {"returned"}
            if row.status not in may:
                raise Refusal(
                    409, "wrong_state", f"The proposal is {row.status}; there is nothing to decide."
                )
            if edit is not None:
                self._revision(row, edit)
            row.shown["decision"] = _decision(verdict, reason, comment, "human", by)
            status = {"reject": "rejected", "veto": "rejected", "return": "returned"}.get(verdict, "approved")
            if status == "approved" and row.shown["tier"] != "advisory":
                self._grant(row)
            return self.become(row, status)

    def become(self, row: Row, status: str) -> dict[str, Any]:
        """The next state, told to everybody who waits."""
        with self.changed:
            row.shown = row.shown | {"status": status, "version": row.shown["version"] + 1}
            self._note(row)
            return row.representation()

    def since(self, sequence: int) -> list[Row]:
        """What has changed after an event, each in its newest state, in order."""
        with self.changed:
            return sorted(
                (row for row in self.rows.values() if row.sequence > sequence), key=lambda row: row.sequence
            )

    def _note(self, row: Row) -> None:
        self.sequence += 1
        row.sequence = self.sequence
        self.changed.notify_all()

    def _revision(self, row: Row, arguments: dict[str, Any]) -> None:
        number = row.shown["revision"] + 1
        arguments = json.loads(canonical.dumps(arguments))
        row.shown |= {
            "revision": number,
            "arguments": arguments,
            "digest": _digest(row.shown["action_type"], number, arguments),
        }

    def _grant(self, row: Row) -> None:
        now = time.time()
        row.grant_expires = _text(datetime.fromtimestamp(now + GRANT_SECONDS, timezone.utc))
        row.token = self._signer.token(
            {
                "iss": self.issuer,
                "aud": f"executor:{row.shown['action_type']}",
                "sub": AGENT,
                "jti": str(uuid.uuid4()),
                "proposal": row.shown["id"],
                "revision": row.shown["revision"],
                "digest": row.shown["digest"],
                "tier": row.shown["tier"],
                "policy_version": 1,
                "nbf": int(now) - 5,
                "exp": int(now) + GRANT_SECONDS,
            }
        )


def _digest(kind: str, revision: int, arguments: Mapping[str, Any]) -> str:
    return canonical.digest(agent=AGENT, action_type=kind, revision=revision, arguments=arguments)


def _decision(verdict: str, reason: str, comment: str, kind: str, by: str = "policy") -> dict[str, Any]:
    return {
        "verdict": verdict,
        "reason": reason,
        "comment": comment,
        "decided_by": {"kind": kind, "label": by},
        "decided_at": _text(datetime.now(timezone.utc)),
    }


def _text(time: datetime) -> str:
    return time.isoformat().replace("+00:00", "Z")
