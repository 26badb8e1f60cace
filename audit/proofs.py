"""Whether an event is in the log, and the proof of it, computed anew from the row and the log's files."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

import msgspec

from audit import chain, log_reader
from audit.models import AuditEvent, AuditLeaf
from audit.search import LATE
from audit.tlog import folder, leaves, merkle

State = Literal["sealed", "waiting", "late", "broken"]


@dataclass(frozen=True, slots=True)
class Seal:
    """Where one event stands. `fault` says of a broken one what does not fit."""

    state: State
    number: int | None = None
    age: timedelta = timedelta(0)
    fault: str = ""

    @property
    def is_alarm(self) -> bool:
        return self.state in ("late", "broken")

    @property
    def waits(self) -> str:
        """How long it has waited, in one unit."""
        seconds = max(0, int(self.age.total_seconds()))
        for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
            if seconds >= size:
                return f"{seconds // size} {unit}"
        return f"{seconds} s"


def seals(events: Iterable[AuditEvent], now: datetime) -> dict[int, Seal]:
    """By event; one query, whatever their number. Each row is hashed again and compared with its leaf."""
    rows = list(events)
    found = {leaf.event: leaf for leaf in AuditLeaf.objects.filter(event__in=[row.pk for row in rows])}
    return {row.pk: _seal(row, found.get(row.pk), now) for row in rows}


def _seal(event: AuditEvent, leaf: AuditLeaf | None, now: datetime) -> Seal:
    if leaf is None:
        fault, age = row_fault(event), now - event.recorded_at
        if fault:
            return Seal("broken", fault=fault)
        return Seal("late" if age > LATE else "waiting", age=age)
    fault = row_fault(event)
    if not fault and merkle.leaf_hash(leaf_of(event).data) != bytes(leaf.hash):
        fault = "the row's number, kind, time or commitment is not what was sealed"
    return Seal("broken" if fault else "sealed", leaf.number, fault=fault)


def leaf_of(event: AuditEvent) -> leaves.Leaf:
    """The leaf that this row has to have. Raises leaves.BadLeaf."""
    return leaves.leaf(
        event=event.pk,
        kind=event.kind,
        time=event.recorded_at,
        transaction=event.transaction,
        commitment=bytes(event.commitment),
    )


def row_fault(event: AuditEvent) -> str:
    """What of a row contradicts itself: the content against its commitment, the columns against the content."""
    if chain.commitment(bytes(event.salt), event.content.encode()) != bytes(event.commitment):
        return "the content is not what the commitment was made of"
    try:
        leaf_of(event)
        content = event.data
        actor, target = content["actor"], content["object"]
        told = (content["kind"], actor["kind"], actor["id"], target["type"], target.get("version"))
        name = target["id"].replace("\x00", "\N{REPLACEMENT CHARACTER}")
    except (leaves.BadLeaf, msgspec.DecodeError, KeyError, TypeError, AttributeError):
        return "the content cannot be read"
    columns = (event.kind, event.actor_kind, event.actor_id, event.object_type, event.object_version)
    if (*told, name) != (*columns, event.object_id):
        return "a column says something else than the content"
    return ""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a check: what is computed, what came out, and whether it is what it has to be (None: no check)."""

    words: str
    value: str
    holds: bool | None = None


@dataclass(slots=True)
class Proof:
    """Everything by which somebody else can check one event. `missing` says why it is not complete."""

    steps: list[Step] = field(default_factory=list)
    leaf: bytes = b""
    number: int | None = None
    path: list[tuple[str, bytes]] = field(default_factory=list)
    missing: str = ""

    @property
    def holds(self) -> bool:
        return not self.missing and all(step.holds is not False for step in self.steps)

    @property
    def has_failed(self) -> bool:
        return any(step.holds is False for step in self.steps)


def prove(event: AuditEvent, number: int | None, log: log_reader.OpenLog | None) -> Proof:
    """The proof step by step, from the exact text up to the signed checkpoint. Never raises: a step fails."""
    proof = Proof(number=number)
    salt, text = bytes(event.salt), event.content.encode()
    made = hashlib.sha256(salt + text).digest()
    proof.steps.append(
        Step(
            "SHA-256 of salt and exact content is the commitment", made.hex(), made == bytes(event.commitment)
        )
    )
    fault = row_fault(event)
    if not proof.has_failed:
        proof.steps.append(Step("The columns say what the content says", fault or "all of them", not fault))
    try:
        proof.leaf = leaf_of(event).data
    except leaves.BadLeaf as error:
        proof.steps.append(Step("The row makes a leaf", str(error), False))
        return proof
    if number is None:
        proof.missing = "It has no leaf yet, so there is nothing to prove it by."
    elif log is None:
        proof.missing = "The log's files are not on this host, so only the row itself was checked."
    elif number >= log.checkpoint.size:
        proof.missing = (
            f"Leaf {number} is newer than the newest checkpoint, which has {log.checkpoint.size} leaves."
        )
    else:
        try:
            _up_to_the_checkpoint(proof, number, log)
        except (folder.Damaged, log_reader.NotReadable, OSError, ValueError) as error:
            proof.steps.append(Step("The log's files can be read", str(error), False))
    return proof


def _up_to_the_checkpoint(proof: Proof, number: int, log: log_reader.OpenLog) -> None:
    _, entry = next(log.folder.entries(number))
    proof.steps.append(Step(f"The row makes the bytes of leaf {number}", entry.decode(), entry == proof.leaf))
    found = merkle.leaf_hash(proof.leaf)
    proof.steps.append(Step("SHA-256 of a zero byte and the leaf", found.hex()))
    size = log.checkpoint.size
    hashes = log.folder.inclusion_proof(number)
    proof.path = list(zip(sides(number, size), hashes, strict=True))
    for side, other in proof.path:
        left, right = (other, found) if side == "left" else (found, other)
        found = merkle.node_hash(left, right)
        proof.steps.append(Step(f"with {other.hex()} on its {side}", found.hex()))
    proof.steps.append(Step("is the root of the newest checkpoint", log.root, found == log.checkpoint.root))
    included = merkle.is_included(merkle.leaf_hash(proof.leaf), number, size, hashes, log.checkpoint.root)
    proof.steps.append(Step(f"Leaf {number} is one of {size} (RFC 9162, 2.1.3.2)", "checked again", included))
    proof.steps.append(Step(f"The checkpoint is signed by {log.key.name}", log.vkey, True))
    _consistency(proof, log)


def _consistency(proof: Proof, log: log_reader.OpenLog) -> None:
    first, last = log_reader.earliest(log), log.checkpoint
    if first is None:
        proof.steps.append(Step("No older checkpoint is kept here to compare with", "checkpoints/ is empty"))
        return
    hashes = log.folder.consistency_proof(first.size) if first.size <= last.size else []
    holds = merkle.is_consistent(first.size, first.root, last.size, last.root, hashes)
    words = f"The tree still begins with the {first.size} leaves of the oldest checkpoint kept"
    proof.steps.append(Step(words, first.root.hex(), holds))


def sides(number: int, size: int) -> list[str]:
    """On which side each hash of an inclusion proof stands, from the leaf upwards (RFC 9162 §2.1.3.2)."""
    found: list[str] = []
    low, high = 0, size
    while high - low > 1:
        middle = low + (1 << (high - low - 1).bit_length() - 1)
        found.append("right" if number < middle else "left")
        low, high = (low, middle) if number < middle else (middle, high)
    return found[::-1]
