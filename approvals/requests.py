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

    role: Annotated[Literal["user", "assistant", "tool", "system"], Meta(description="who said it")]
    content: Annotated[str, Meta(max_length=100_000, description="what was said, as text")]
    name: Annotated[str, Meta(max_length=200, description="the speaker's or the tool's name")] = ""


class Subject(Struct, forbid_unknown_fields=True):
    """Whom or what the action concerns, such as {"type": "customer", "id": "c-17"}."""

    type: Annotated[str, Meta(min_length=1, max_length=60, description="such as customer, employee, invoice")]
    id: Annotated[Id, Meta(description="its id in your systems")]


class AgentVersion(Struct, forbid_unknown_fields=True):
    """What the agent is at present: its model, and digests of its prompt and tools, in its own words. A change of any
    of them begins a new version, which has to earn its autonomy anew."""

    model: Annotated[str, Meta(min_length=1, max_length=200, description="the model's full name")]
    prompt_digest: Annotated[str, Meta(max_length=200, description="a digest of the system prompt")] = ""
    tools_digest: Annotated[str, Meta(max_length=200, description="a digest of the tools' definitions")] = ""


class ProposeRequest(Struct, forbid_unknown_fields=True):
    """One intended action. Only `action_type` and `arguments` are required."""

    action_type: Annotated[str, Meta(min_length=1, max_length=80, description="its name, as it was set up")]
    arguments: Annotated[
        dict[str, Any],
        Meta(description="what the action would be done with; checked against the type's schema"),
    ]
    summary: Annotated[
        Text, Meta(description="one sentence for the reviewer; shown as the agent's own words")
    ] = ""
    reasoning: Annotated[str, Meta(max_length=100_000, description="why the agent wants it")] = ""
    confidence: Annotated[
        Annotated[float, Meta(ge=0, le=1)] | None,
        Meta(description="how sure the agent is; never a permission"),
    ] = None
    context: Annotated[list[Turn], Meta(max_length=500, description="the conversation that led to it")] = []
    subject: Annotated[
        Subject | None, Meta(description="whom it concerns; limits per subject count by it")
    ] = None
    trace_id: Annotated[str, Meta(max_length=200, description="the run's id in your tracing")] = ""
    parent_id: Annotated[
        UUID | None, Meta(description="one's own earlier proposal that this one follows, or undoes")
    ] = None
    priority: Annotated[
        Literal["low", "normal", "high", "urgent"],
        Meta(description="how much it presses: urgent ones come first"),
    ] = "normal"
    expires_in: Annotated[
        Annotated[int, Meta(ge=10, le=30 * 86400)] | None,
        Meta(description="seconds after which nobody needs to decide it any more"),
    ] = None
    current_state: Annotated[
        dict[str, Any] | None, Meta(description="how things stand now; shown beside what would change")
    ] = None
    metadata: Annotated[dict[str, Any] | None, Meta(description="what else the record should hold")] = None
    agent_version: Annotated[AgentVersion | None, Meta(description="what the agent is at present")] = None


class BatchItem(ProposeRequest, forbid_unknown_fields=True, kw_only=True):
    """One proposal of a batch, with the idempotency key that stands in a header when it is sent alone."""

    key: Annotated[
        str,
        Meta(min_length=1, max_length=200, description="this item's idempotency key, new for each action"),
    ]


class BatchRequest(Struct, forbid_unknown_fields=True):
    """Proposals that are accepted or refused one by one; each item is a `BatchItem`."""

    items: Annotated[list[Any], Meta(min_length=1, max_length=500, description="each a `BatchItem`")]


class RedeemRequest(Struct, forbid_unknown_fields=True):
    """The digest of the arguments at hand; `grant` lets an executor have the token checked as well."""

    digest: Annotated[Digest, Meta(description="of the arguments that will be acted on")]
    grant: Annotated[
        Annotated[str, Meta(max_length=8000)] | None, Meta(description="the grant's token, to be checked too")
    ] = None


class OutcomeRequest(Struct, forbid_unknown_fields=True):
    """What happened after acting. `unknown` asks a person to settle it."""

    status: Annotated[
        Literal["succeeded", "failed", "unknown"], Meta(description="`unknown` where nobody can tell")
    ]
    result: Annotated[Any, Meta(description="what the action returned, or the error; any JSON")] = None
    external_id: Annotated[str, Meta(max_length=200, description="its id where it was done")] = ""
    cost: Annotated[
        Annotated[float, Meta(ge=0, le=1e9)] | None,
        Meta(description="what carrying it out cost; a number without a unit"),
    ] = None
    occurred_at: Annotated[
        Annotated[datetime, Meta(tz=True)] | None, Meta(description="when it happened, where that is known")
    ] = None


class WithdrawRequest(Struct, forbid_unknown_fields=True):
    """Why the proposal is no longer wanted (optional)."""

    reason: Annotated[str, Meta(max_length=2000, description="for the reviewer")] = ""


class ReviseRequest(Struct, forbid_unknown_fields=True):
    """New arguments for a returned proposal, and an answer to the reviewer's question."""

    arguments: Annotated[dict[str, Any], Meta(description="all of them anew, not only what changed")]
    reply: Annotated[Text, Meta(description="the answer to the reviewer's question")] = ""
