"""The lines of an export against the leaves: what every event says, and that none is missing. Pure.

One file of events is read at a time, so that several processes can share the work. The straight way through is written
out in one loop: at a million events each microsecond in it is a second."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from audit.tlog import blobs, leaves, stretches, tiles
from audit.tlog.findings import Findings, shown, upper
from audit.tlog.folder import Damaged, Folder
from audit.tlog.merkle import leaf_hash

PER_FILE = 10_000
_scan = json.JSONDecoder().scan_once
"""What json.loads calls; the rest of json.loads would cost two of a million events' fifteen seconds."""
COLUMNS = (
    ("kind", ("kind",)),
    ("actor_kind", ("actor", "kind")),
    ("actor_id", ("actor", "id")),
    ("object_type", ("object", "type")),
    ("object_id", ("object", "id")),
    ("object_version", ("object", "version")),
)
"""Columns that repeat what the content says, and where it says it."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The lines of leaves `first` up to, not including, `end`, which stand in one file; `size` is the tree's."""

    path: Path
    size: int
    first: int
    end: int
    with_content: bool = False

    @property
    def name(self) -> str:
        return file_name(self.first // PER_FILE)


@dataclass(slots=True)
class Checked:
    findings: Findings = field(default_factory=Findings)
    events: int = 0
    contents: set[str] = field(default_factory=set)
    gone: int = 0


def file_name(number: int) -> str:
    return f"events/{number:06}.jsonl"


def check(wanted: Wanted) -> Checked:
    """Every line of one file."""
    result = Checked()
    try:
        lines = (wanted.path / wanted.name).read_bytes().decode().split("\n")
    except OSError:
        lines = [""]
    except UnicodeDecodeError as error:
        result.findings.add("extra", f"The file {wanted.name} is not UTF-8.", error, "JSON lines")
        lines = [""]
    if lines and lines[-1] == "":
        lines.pop()
    sealed = _leaves(wanted)
    expected = wanted.first
    for number, raw in enumerate(lines, 1):
        expected = _line(result, wanted, sealed, expected, f"{wanted.name} line {number}", raw)
    _missing(result.findings, sealed, wanted.first, expected, wanted.end)
    return result


def _leaves(wanted: Wanted) -> list[bytes]:
    """The sealed leaves of these lines; what is wrong with their files is told by stretches.py."""
    found: list[bytes] = []
    start = wanted.first // tiles.WIDTH
    for bundle in range(start, -(-wanted.end // tiles.WIDTH)):
        part = stretches.entries(wanted.path, wanted.size, bundle)
        width = min(tiles.WIDTH, wanted.size - bundle * tiles.WIDTH)
        found += part + [b""] * (width - len(part))
    offset = wanted.first - start * tiles.WIDTH
    return found[offset : offset + wanted.end - wanted.first]


def _line(
    result: Checked, wanted: Wanted, sealed: Sequence[bytes], expected: int, where: str, raw: str
) -> int:
    """Check one line; returns the leaf that has to come next."""
    try:
        row, length = _scan(raw, 0)
        number, event, text = row["leaf"], row["event"], row["content"]
        data = text.encode()
        digest = hashlib.sha256(bytes.fromhex(row["salt"]) + data).hexdigest()
        said, extent = _scan(text, 0)
        actor, target = said["actor"], said["object"]
        is_whole = (
            number == expected
            and length == len(raw)
            and extent == len(text)
            and type(event) is int
            and number < wanted.end
            and sealed[number - wanted.first]
            == (
                f'{{"commitment":"{digest}","event":{event},"kind":"{row["kind"]}","time":"{row["recorded_at"]}",'
                f'"transaction":"{row["transaction"]}","v":1}}'
            ).encode()
            and digest == row["commitment"]
            and said["kind"] == row["kind"]
            and actor["kind"] == row["actor_kind"]
            and actor["id"] == row["actor_id"]
            and target["type"] == row["object_type"]
            and target["id"] == row["object_id"]
            and target.get("version") == row["object_version"]
        )
    except (StopIteration, ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError):
        is_whole = False
    if is_whole:
        result.events += 1
        if wanted.with_content and '"commitment":"' in text:
            _contents(result, wanted, said, f"event {event} ({shown(row['kind'])}, leaf {number})")
        return expected + 1
    return _explain(result, wanted, sealed, expected, where, raw)


def _explain(
    result: Checked, wanted: Wanted, sealed: Sequence[bytes], expected: int, where: str, raw: str
) -> int:
    """The same questions once more, one by one, for the sentence."""
    try:
        row = json.loads(raw)
        number = row["leaf"]
        if not isinstance(row, dict) or type(number) is not int or type(row["event"]) is not int:
            raise ValueError("leaf and event have to be numbers")
        if not all(isinstance(row[name], str) for name in ("content", "salt", "commitment", "transaction")):
            raise ValueError("content, salt, commitment and transaction have to be texts")
        data, salt = row["content"].encode(), bytes.fromhex(row["salt"])
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        result.findings.add("extra", f"The line at {where} is not the line of an event.", repr(error))
        return expected
    if not wanted.first <= number < wanted.end or number < expected:
        span = f"a leaf from {expected} to {wanted.end - 1}"
        name = f"event {row['event']} ({shown(row.get('kind'))})"
        result.findings.add(
            "extra", f"The line at {where}, {name}, stands there without a place.", number, span
        )
        return expected
    _missing(result.findings, sealed, wanted.first, expected, number)
    result.events += 1
    name = f"event {row['event']} ({shown(row.get('kind'))}, leaf {number})"
    _against_leaf(result.findings, wanted, sealed[number - wanted.first], row, salt + data, name)
    _against_content(result, wanted, row, name)
    return int(number) + 1


def _against_leaf(
    findings: Findings, wanted: Wanted, entry: bytes, row: dict[str, Any], opened: bytes, name: str
) -> None:
    digest = hashlib.sha256(opened).hexdigest()
    ours = leaves.Leaf(
        row["event"], str(row.get("kind")), str(row.get("recorded_at")), _number(row["transaction"]), digest
    )
    if digest != row["commitment"]:
        findings.add(
            "commitment",
            f"Of {name}, the row's own commitment does not fit its content.",
            row["commitment"],
            digest,
        )
    if ours.data == entry or _tile_says(wanted, row["leaf"], ours.data):
        return  # in the second case the bundle is wrong, and is told as such
    try:
        leaf = leaves.read(entry)
    except leaves.BadLeaf:
        return  # told by stretches.py
    if leaf.event != row["event"]:
        findings.add(
            "sealed", f"Leaf {row['leaf']} is another event's than the line says.", row["event"], leaf.event
        )
        return
    if leaf.commitment != digest:
        findings.add(
            "commitment",
            f"{upper(name)} was changed after it was sealed: its content no longer fits the commitment in the leaf.",
            digest,
            leaf.commitment,
        )
    for column, found, expected in (
        ("kind", ours.kind, leaf.kind),
        ("recorded_at", ours.time, leaf.time),
        ("transaction", ours.transaction, leaf.transaction),
    ):
        if found != expected:
            findings.add("sealed", f"Of {name}, the column {column} is not what was sealed.", found, expected)


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else -1


def _tile_says(wanted: Wanted, number: int, data: bytes) -> bool:
    """Whether the tile, and so the signed root, knows this leaf although the bundle holds another."""
    try:
        return Folder(wanted.path, wanted.size).node(0, number) == leaf_hash(data)
    except Damaged:
        return False


def _against_content(result: Checked, wanted: Wanted, row: dict[str, Any], name: str) -> None:
    try:
        said = json.loads(row["content"])
    except (ValueError, RecursionError) as error:
        result.findings.add("columns", f"The content of {name} is not JSON.", error)
        return
    for column, path in COLUMNS:
        value: Any = said
        for step in path:
            value = value.get(step) if isinstance(value, dict) else None
        if column == "object_id" and isinstance(value, str):
            value = value.replace("\x00", "\N{REPLACEMENT CHARACTER}")  # PostgreSQL's text has no NUL
        if row.get(column) != value:
            result.findings.add(
                "columns",
                f"Of {name}, the column {column} is not what the content says.",
                row.get(column),
                value,
            )
    if wanted.with_content:
        _contents(result, wanted, said, name)


def _contents(result: Checked, wanted: Wanted, said: object, name: str) -> None:
    for named in blobs.named(said):
        result.contents.add(named.id)
        if blobs.check(wanted.path, named, name, result.findings):
            result.gone += 1


def _missing(findings: Findings, sealed: Sequence[bytes], first: int, start: int, end: int) -> None:
    """Leaves from `start` up to `end` have no line. Each of the first ones is named, a long rest is one finding."""
    for number in range(start, min(end, start + 5)):
        findings.add(
            "missing", f"{_named(sealed[number - first], number)} is sealed, and its row is not here."
        )
    if end - start > 5:
        text = f"Leaves {start + 5} to {end - 1} are sealed, and none of their rows is here."
        findings.add("missing", text, times=end - start - 5)


def _named(entry: bytes, number: int) -> str:
    try:
        leaf = leaves.read(entry)
    except leaves.BadLeaf:
        return f"Leaf {number}"
    return f"Event {leaf.event} ({shown(leaf.kind)}, leaf {number}, of {leaf.time})"


def unsealed(path: Path, findings: Findings) -> int:
    """The rows that the export found older than the last leaf and without one of their own."""
    try:
        lines: Iterable[str] = (path / "events" / "unsealed.jsonl").read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return 0
    count = 0
    for raw in lines:
        count += 1
        try:
            row = json.loads(raw)
            name = f"Event {row['event']} ({shown(row['kind'])}, said to be of {shown(row['recorded_at'])})"
        except (ValueError, TypeError, KeyError, RecursionError):
            name = f"Line {count} of events/unsealed.jsonl"
        findings.add("unsealed", f"{name} is in the table and in no leaf, though later events are sealed.")
    return count
