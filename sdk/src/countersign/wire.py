"""Requests and answers apart from what carries them: built and read here, for the sync and the async client alike."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from countersign import canonical
from countersign.errors import CountersignError
from countersign.proposals import Proposal, proposal_from

PROPOSALS = "/api/v1/proposals"
LONGEST_WAIT = 55.0
"""Seconds of one long-poll; the server takes at most 60, and proxies often cut at 60."""


@dataclass(frozen=True)
class Request:
    """One HTTP request, sent after a pause of `after` seconds. `timeout` are seconds beyond the usual ones."""

    method: str
    path: str
    content: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    timeout: float = 0.0
    after: float = 0.0


@dataclass(frozen=True)
class Answer:
    """What came back, with the names of headers in small letters."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def code(self) -> str:
        """The problem's code; empty where it is none of ours."""
        document = self.document()
        return str(document.get("code", "")) if isinstance(document, dict) else ""

    def document(self) -> Any:
        """The parsed JSON, or None."""
        try:
            return json.loads(self.content)
        except ValueError:
            return None


@dataclass(frozen=True)
class Lost:
    """No answer came. `was_sent`: the server may have seen the request all the same."""

    why: str
    was_sent: bool


def get(path: str, *, timeout: float = 0.0, **query: object) -> Request:
    """A query's None values are left out."""
    said = {name: value for name, value in query.items() if value is not None}
    return Request("GET", f"{path}?{urlencode(said)}" if said else path, timeout=timeout)


def post(path: str, body: Mapping[str, Any], *, key: str = "") -> Request:
    """Canonical bytes: the server compares a repeat with the first request by its bytes. Raises `ValueError`."""
    headers = {"Content-Type": "application/json"} | ({"Idempotency-Key": key} if key else {})
    return Request("POST", path, canonical.dumps(body), headers)


def of_proposal(proposal_id: str, verb: str = "") -> str:
    """The address of one proposal. What is no id of ours cannot lead elsewhere."""
    return f"{PROPOSALS}/{quote(proposal_id, safe='')}" + (f"/{verb}" if verb else "")


def proposal_in(document: Any) -> Proposal:
    """Raises `CountersignError` where something else answers at this address."""
    try:
        return proposal_from(document)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise not_ours(f"no proposal was in it ({error!r})") from error


def not_ours(why: str, *, status: int = 0) -> CountersignError:
    """Something answered that is no Countersign: a proxy's page, another program, a redirect."""
    return CountersignError(
        f"The answer is not one of Countersign's: {why}. Is COUNTERSIGN_URL right?",
        code="not_countersign",
        status=status,
    )


def problem(answer: Answer, *, retry_after: float | None = None) -> CountersignError:
    """The error that a refusal is."""
    document = answer.document()
    if not isinstance(document, dict) or "code" not in document:
        return not_ours(f"status {answer.status}", status=answer.status)
    return problem_of(document, status=answer.status, retry_after=retry_after)


def problem_of(
    document: Mapping[str, Any], *, status: int = 0, retry_after: float | None = None
) -> CountersignError:
    """The error that a problem document (RFC 9457) tells of."""
    errors = document.get("errors")
    given = document.get("retry_after") if retry_after is None else retry_after
    error = CountersignError(
        str(document.get("detail") or document.get("title") or "The request was refused."),
        code=str(document.get("code") or "error"),
        status=int(document.get("status") or status),
        title=str(document.get("title") or ""),
        errors=[dict(one) for one in errors if isinstance(one, dict)] if isinstance(errors, list) else [],
        retry_after=float(given) if isinstance(given, (int, float)) else None,
    )
    error.proposal_id = str(document.get("proposal") or "")
    return error
