"""What an executor's answer means, and how an action is put to it. Pure but for reading the stored arguments.

Anything that does not say clearly what became of it is unknown, and a person finds out: a login page that answers 200
must not count as money moved, nor a time-out as money that stayed."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from agents import strict_json
from agents.fetching import Answer
from agents.strict_json import NotStrictJson
from approvals.models import Proposal
from approvals.requests import OutcomeRequest

MOST = 64 * 1024
"""Bytes of an answer that are read."""
FIRST_PAUSE = timedelta(seconds=2)
_SAID = 500
_PASSING = frozenset({408, 425, 429})
_NOT_DONE = frozenset(
    {400, 401, 402, 403, 404, 405, 406, 410, 411, 412, 413, 414, 415, 416, 417, 422, 425, 429}
)
"""Statuses by which a server says that it did not do it. 408 and 409 may come after it did."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What became of it, in the agent's own form of an outcome, and in our words."""

    outcome: OutcomeRequest
    said: str

    @property
    def is_clear(self) -> bool:
        return self.outcome.status != "unknown"


def body_of(proposal: Proposal) -> bytes:
    """What is posted: the approved arguments are the stored canonical bytes."""
    revision = proposal.revisions.get(number=proposal.revision)
    return msgspec.json.encode(
        {
            "proposal": str(proposal.pk),
            "revision": proposal.revision,
            "agent": proposal.agent.slug,
            "action_type": proposal.action_type.name,
            "digest": proposal.digest,
            "arguments": msgspec.Raw(bytes(revision.canonical)),
        }
    )


def headers(token: str, jti: str) -> dict[str, str]:
    """The grant is what an executor trusts; its number is the same in every repetition."""
    return {
        "Authorization": f"Bearer {token}",
        "Idempotency-Key": jti,
        "Content-Type": "application/json",
        "Accept": "application/json",
        "User-Agent": "Countersign-Executor/1",
    }


def meaning(answer: Answer, *, is_repeated: bool = False) -> Meaning:
    """What an answer says became of the action. A refusal after an earlier call that nobody answered says nothing of
    what that one did."""
    status = answer.status
    if status in _NOT_DONE and is_repeated:
        return unknown(f"It answers {status}, and an earlier call had no answer.")
    if status in _NOT_DONE:
        return Meaning(OutcomeRequest(status="failed", result=_excerpt(answer)), f"It answers {status}.")
    if status == 202:
        return unknown("It answers 202: it has begun, and does not say how it ended.")
    if not 200 <= status < 300:
        return unknown(f"It answers {status}.")
    if answer.is_cut:
        return unknown(f"It answers {status} with more than {MOST} bytes.")
    if not answer.body.strip() and not answer.is_framed:
        return unknown(f"It answers {status}, broke off before a body, and said nowhere that there is none.")
    if not answer.body.strip():
        return Meaning(OutcomeRequest(status="succeeded"), f"It answers {status}.")
    try:
        found = strict_json.loads(answer.body)
    except NotStrictJson:
        return unknown(f"It answers {status} with something that is no JSON.")
    if not isinstance(found, dict):
        return unknown(f"It answers {status} with JSON that is no object.")
    return _told(found, status)


def is_passing(status: int) -> bool:
    """Whether the next call may well be answered otherwise, where a call may be repeated at all."""
    return status >= 500 or status in _PASSING


def _told(found: dict[str, Any], status: int) -> Meaning:
    if "status" not in found:
        return Meaning(OutcomeRequest(status="succeeded", result=found), f"It answers {status}.")
    try:
        outcome = msgspec.convert(found, OutcomeRequest)
    except msgspec.ValidationError:
        return unknown(f"It answers {status} with a status that is none of an outcome's.", found)
    if not _can_be_kept(outcome.occurred_at):
        return unknown(f"It answers {status} with a time that is none of the years 1 to 9999 in UTC.", found)
    return Meaning(outcome, f"It answers {status}: {outcome.status}.")


def _can_be_kept(time: datetime | None) -> bool:
    try:
        return time is None or time.astimezone(UTC) is not None
    except OverflowError:
        return False


def unknown(said: str, result: Any = None) -> Meaning:
    """A person has to find out."""
    result = {"error": said[:_SAID]} if result is None else result
    return Meaning(OutcomeRequest(status="unknown", result=result), said)


def never_reached(said: str) -> Meaning:
    """Nothing was sent, so nothing was done."""
    return Meaning(OutcomeRequest(status="failed", result={"error": said[:_SAID]}), said)


def next_attempt(now: datetime, attempt: int, *, end: datetime) -> datetime | None:
    """When to call again: 2 seconds later, then twice as long each time, while the grant is valid."""
    again = now + FIRST_PAUSE * (1 << min(attempt - 1, 10))
    return again if again < end else None


def _excerpt(answer: Answer) -> dict[str, Any]:
    """The beginning of a refusal, as PostgreSQL stores it."""
    text = answer.body[:_SAID].decode("utf-8", "replace").replace("\x00", "\N{REPLACEMENT CHARACTER}")
    return {"status": answer.status, "said": text}
