"""What the OpenAPI document is put together from: operations, their answers, and what several of them take."""

from dataclasses import dataclass, field
from typing import Any

from approvals import openapi_schemas as schemas

JSON, PROBLEM = "application/json", "application/problem+json"


def named(**values: Any) -> dict[str, Any]:
    """Examples by name, as a media type has them."""
    return {name: {"value": value} for name, value in values.items()}


@dataclass(frozen=True)
class Answer:
    """One answer that is no problem."""

    description: str
    schema: dict[str, Any]
    examples: dict[str, Any] = field(default_factory=dict)
    headers: tuple[str, ...] = ()
    media: str = JSON


@dataclass(frozen=True)
class Operation:
    """One method of one address. `conditional`: it has an ETag and takes If-None-Match."""

    name: str
    summary: str
    answers: dict[int, Answer]
    description: str = ""
    body: str = ""
    examples: dict[str, Any] = field(default_factory=dict)
    parameters: tuple[dict[str, Any], ...] = ()
    codes: frozenset[str] = frozenset()
    conditional: bool = False
    public: bool = False


def parameter(name: str, where: str, what: str, schema: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"name": name, "in": where, "description": what, "schema": schema, **more}


ID = parameter("proposal_id", "path", "of one's own proposal", schemas.UUID, required=True)
KEY = parameter(
    "Idempotency-Key",
    "header",
    "1 to 200 printable characters, new for each action: the same key and body are one proposal, however often sent",
    {"type": "string", "maxLength": 200},
    required=True,
    example="order-A-1001",
)
WAIT = parameter(
    "wait", "query", "seconds to wait for a change", {"type": "number", "minimum": 0, "maximum": 60}
)
AFTER = parameter(
    "after_version",
    "query",
    "return at once when the version is above this; without it, when it is decided",
    {"type": "integer", "minimum": 0},
)
SUBMITTED = frozenset(
    {"arguments_invalid", "idempotency_key_reused", "request_in_flight", "too_many_open", "keys_away"}
)
