"""Events as the lines of an export: what `manage.py audit_verify` reads, on any machine."""

from typing import TypedDict

from audit.models import AuditEvent
from audit.tlog import leaves

PER_FILE = 10_000
"""Lines in one file of events; leaf N stands in file N ÷ PER_FILE."""


class Line(TypedDict):
    """One event. `leaf` is its number in the tree, None while it has none; `content` is the exact text that
    `commitment` = SHA-256(salt ‖ content) covers; bytes are in hexadecimal, numbers beyond 2^53 in decimal text."""

    leaf: int | None
    event: int
    transaction: str
    recorded_at: str
    kind: str
    actor_kind: str
    actor_id: str
    object_type: str
    object_id: str
    object_version: int | None
    content: str
    salt: str
    commitment: str


def line(event: AuditEvent, leaf: int | None) -> Line:
    """The line of one event; `leaf` is `AuditLeaf.number`."""
    return Line(
        leaf=leaf,
        event=event.pk,
        transaction=str(event.transaction),
        recorded_at=leaves.written(event.recorded_at),
        kind=event.kind,
        actor_kind=event.actor_kind,
        actor_id=event.actor_id,
        object_type=event.object_type,
        object_id=event.object_id,
        object_version=event.object_version,
        content=event.content,
        salt=bytes(event.salt).hex(),
        commitment=bytes(event.commitment).hex(),
    )
