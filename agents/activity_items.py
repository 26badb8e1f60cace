"""One thing that an agent says it did, in the form in which it is kept; and what may be sent of it. Pure.

Two doors lead here: our own JSON (`ActivityItem`, POST /api/v1/activity) and OpenTelemetry's spans (agents/genai.py).
What comes in is the agent's word: every text has a longest form, figures come from a closed list, times must be
near."""

import hashlib
import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, structs

MOST_BYTES = 1024 * 1024
"""Largest body of POST /api/v1/activity: a prompt is longer than anything that a person is asked to decide."""
MOST_ITEMS = 500
LONGEST = 512 * 1024
"""Bytes of one prompt, output, call or result."""
PAST = timedelta(days=90)
AHEAD = timedelta(hours=1)
"""What lies further back or ahead has no clock that could be believed."""
LONG_NAME, LONG_MODEL, LONG_ID, LONG_TRACE, LONG_FACT = 200, 120, 64, 200, 120

Value = int | float | str | bool
POSITIONS = {"step": 0, "prompt": 1, "output": 2, "tool_call": 3, "tool_result": 4}
"""Where a part stands within its span unless the agent says otherwise: in the order in which such parts happen."""

Count = Annotated[int, Meta(ge=0, le=10**12)]
Short = Annotated[str, Meta(min_length=1, max_length=LONG_FACT)]


class BadItem(ValueError):
    """`field` is a JSON Pointer inside the item; the text says what is wrong."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class ActivityFacts(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Figures that say nothing of anybody. Nothing else is kept in the clear."""

    input_tokens: Count | None = None
    output_tokens: Count | None = None
    cache_read_tokens: Count | None = None
    cache_write_tokens: Count | None = None
    reasoning_tokens: Count | None = None
    max_tokens: Count | None = None
    temperature: Annotated[float, Meta(ge=-1000, le=1000)] | None = None
    top_p: Annotated[float, Meta(ge=-1000, le=1000)] | None = None
    finish_reason: Short | None = None
    provider: Short | None = None
    operation: Short | None = None
    tool_call_id: Short | None = None
    error: Short | None = None


class ActivitySubject(Struct, forbid_unknown_fields=True):
    """Whose data is in it, such as {"type": "customer", "id": "c-17"}; it is erased with that subject."""

    type: Annotated[str, Meta(min_length=1, max_length=60, description="such as customer, employee, invoice")]
    id: Annotated[str, Meta(min_length=1, max_length=200, description="its id in your systems")]


class ActivityItem(Struct, forbid_unknown_fields=True):
    """One prompt, output, tool call, tool result or step. `content` is a text or any JSON."""

    kind: Annotated[
        Literal["prompt", "output", "tool_call", "tool_result", "step"], Meta(description="what it is")
    ]
    trace_id: Annotated[
        str, Meta(min_length=1, max_length=LONG_TRACE, description="the run's; the same as in its proposals")
    ]
    name: Annotated[
        str, Meta(min_length=1, max_length=LONG_NAME, description="the model's, tool's or step's")
    ]
    started_at: Annotated[datetime, Meta(tz=True, description="when it began, RFC 3339")]
    span_id: Annotated[
        Annotated[str, Meta(min_length=1, max_length=LONG_ID)] | None,
        Meta(description="names it within the trace; made of the content where it is left out"),
    ] = None
    parent_span_id: Annotated[str, Meta(max_length=LONG_ID, description="what it is a part of")] = ""
    position: Annotated[
        Annotated[int, Meta(ge=0, le=9999)] | None, Meta(description="its place within its span")
    ] = None
    model: Annotated[str, Meta(max_length=LONG_MODEL, description="the model's full name")] = ""
    content: Annotated[Any, Meta(description="a text or any JSON; stored encrypted")] = None
    ended_at: Annotated[
        Annotated[datetime, Meta(tz=True)] | None, Meta(description="when it ended, RFC 3339")
    ] = None
    failed: Annotated[bool, Meta(description="it ended in an error")] = False
    facts: Annotated[ActivityFacts | None, Meta(description="figures about it")] = None
    subject: Annotated[ActivitySubject | None, Meta(description="whose data is in it")] = None


class ActivityBatch(Struct, forbid_unknown_fields=True):
    """A batch of what the agent did; each item is judged by itself."""

    items: Annotated[
        list[Any], Meta(min_length=1, max_length=MOST_ITEMS, description="each an `ActivityItem`")
    ]


@dataclass(frozen=True, slots=True)
class Item:
    """As it is kept. Trace, span and position name it: the same one again is stored once."""

    kind: str
    trace_id: str
    span_id: str
    position: int
    name: str
    started_at: datetime
    parent_span_id: str = ""
    model: str = ""
    failed: bool = False
    ended_at: datetime | None = None
    facts: dict[str, Value] = field(default_factory=dict)
    body: bytes | None = None
    subject: tuple[str, str] | None = None

    @property
    def key(self) -> tuple[str, str, int]:
        return self.trace_id, self.span_id, self.position


def subject_of(agent: str, trace_id: str) -> tuple[str, str]:
    """A trace of which nobody has said whom it is about has a key of its own: once a proposal says it, erasing that
    subject destroys this key too. `agent` is its slug. No agent can name a subject without a type."""
    return "", f"{agent}/{trace_id}"


def item_of(sent: ActivityItem, *, now: datetime) -> Item:
    """What our own JSON says. Raises `BadItem`."""
    check_times(sent.started_at, sent.ended_at, now=now)
    body = body_of(sent.content)
    if body is not None and sent.kind == "step":
        raise BadItem("/content", "a step has no content; send prompt, output, tool_call or tool_result")
    if body is not None and len(body) > LONGEST:
        raise BadItem("/content", f"has {len(body)} bytes; at most {LONGEST} are taken")
    return Item(
        kind=sent.kind,
        trace_id=sent.trace_id,
        span_id=sent.span_id or _span_id(sent, body),
        position=POSITIONS[sent.kind] if sent.position is None else sent.position,
        name=sent.name,
        started_at=sent.started_at,
        parent_span_id=sent.parent_span_id,
        model=sent.model,
        failed=sent.failed,
        ended_at=sent.ended_at,
        facts={key: value for key, value in structs.asdict(sent.facts).items() if value is not None}
        if sent.facts
        else {},
        body=body,
        subject=(sent.subject.type, sent.subject.id) if sent.subject else None,
    )


def check_times(started_at: datetime, ended_at: datetime | None, *, now: datetime) -> None:
    """Raises `BadItem` for times that no working clock would give."""
    if not now - PAST <= started_at <= now + AHEAD:
        raise BadItem("/started_at", f"must be within the last {PAST.days} days, and not ahead of the clock")
    if ended_at is not None and not started_at <= ended_at <= now + AHEAD:
        raise BadItem("/ended_at", "must not be before started_at, nor ahead of the clock")


def body_of(content: Any) -> bytes | None:
    """The bytes that are kept: a text as it is, anything else as compact JSON in the order in which it was sent."""
    if content is None or content == "":
        return None
    if isinstance(content, str):
        return content.encode()
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def cut(body: bytes) -> bytes:
    """At most `LONGEST` bytes, ending with a whole character."""
    return body if len(body) <= LONGEST else body[:LONGEST].decode("utf-8", "ignore").encode()


def _span_id(sent: ActivityItem, body: bytes | None) -> str:
    """Where the agent names no span, what it says is the name: the same item sent again is the same."""
    said = [sent.kind, sent.name, sent.started_at.timestamp(), sent.parent_span_id, sent.position, sent.model]
    digest = hashlib.sha256(json.dumps(said).encode() + b"\x00" + (body or b""))
    return f"~{digest.hexdigest()[:32]}"
