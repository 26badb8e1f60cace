"""Typed bodies of the agents' API: msgspec structs, also the source of the OpenAPI document."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from msgspec import Meta, Struct

Text = Annotated[str, Meta(max_length=20_000)]
Id = Annotated[str, Meta(min_length=1, max_length=200)]
Digest = Annotated[str, Meta(pattern="^sha256:[0-9a-f]{64}$", max_length=71)]
"""The length closes what Python's `$` leaves open, a newline; `\\Z` is none of JSON Schema's patterns."""


class Turn(Struct, forbid_unknown_fields=True):
    """One turn of the conversation that led to the proposal; shown as unverified text."""

    role: Literal["user", "assistant", "tool", "system"]
    content: Annotated[str, Meta(max_length=100_000)]
    name: Annotated[str, Meta(max_length=200)] = ""


class Subject(Struct, forbid_unknown_fields=True):
    """Whom or what the action concerns, such as {"type": "customer", "id": "c-17"}."""

    type: Annotated[str, Meta(min_length=1, max_length=60)]
    id: Id


class AgentVersion(Struct, forbid_unknown_fields=True):
    """What the agent is at present: its model, and digests of its prompt and tools, in its own words. A change of any
    of them begins a new version, which has to earn its autonomy anew."""

    model: Annotated[str, Meta(min_length=1, max_length=200)]
    prompt_digest: Annotated[str, Meta(max_length=200)] = ""
    tools_digest: Annotated[str, Meta(max_length=200)] = ""


class ProposeRequest(Struct, forbid_unknown_fields=True):
    """One intended action. Only `action_type` and `arguments` are required."""

    action_type: Annotated[str, Meta(min_length=1, max_length=80)]
    arguments: dict[str, Any]
    summary: Text = ""
    reasoning: Annotated[str, Meta(max_length=100_000)] = ""
    confidence: Annotated[float, Meta(ge=0, le=1)] | None = None
    context: Annotated[list[Turn], Meta(max_length=500)] = []
    subject: Subject | None = None
    trace_id: Annotated[str, Meta(max_length=200)] = ""
    parent_id: UUID | None = None
    priority: Literal["low", "normal", "high", "urgent"] = "normal"
    expires_in: Annotated[int, Meta(ge=10, le=30 * 86400)] | None = None
    current_state: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None
    agent_version: AgentVersion | None = None


class BatchItem(ProposeRequest, forbid_unknown_fields=True, kw_only=True):
    """One proposal of a batch, with the idempotency key that stands in a header when it is sent alone."""

    key: Annotated[str, Meta(min_length=1, max_length=200)]


class BatchRequest(Struct, forbid_unknown_fields=True):
    """Proposals that are accepted or refused one by one; each item is a `BatchItem`."""

    items: Annotated[list[Any], Meta(min_length=1, max_length=500)]


class RedeemRequest(Struct, forbid_unknown_fields=True):
    """The digest of the arguments at hand; `grant` lets an executor have the token checked as well."""

    digest: Digest
    grant: Annotated[str, Meta(max_length=8000)] | None = None


class OutcomeRequest(Struct, forbid_unknown_fields=True):
    """What happened after acting. `unknown` asks a person to settle it."""

    status: Literal["succeeded", "failed", "unknown"]
    result: Any = None
    external_id: Annotated[str, Meta(max_length=200)] = ""
    cost: Annotated[float, Meta(ge=0, le=1e9)] | None = None
    occurred_at: Annotated[datetime, Meta(tz=True)] | None = None


class WithdrawRequest(Struct, forbid_unknown_fields=True):
    """Why the proposal is no longer wanted (optional)."""

    reason: Annotated[str, Meta(max_length=2000)] = ""


class ReviseRequest(Struct, forbid_unknown_fields=True):
    """New arguments for a returned proposal, and an answer to the reviewer's question."""

    arguments: dict[str, Any]
    reply: Text = ""
