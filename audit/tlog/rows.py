"""The lines of an export against the leaves: what every event says, and that none is missing. Pure.

One file of events is read at a time, so that several processes can share the work. The straight way through is written
out in one loop: at a million events each microsecond in it is a second."""

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from audit.tlog import blobs, leaves, passkeys, stretches, tiles
from audit.tlog.findings import Findings, shown, upper
from audit.tlog.folder import Damaged, Folder
from audit.tlog.merkle import leaf_hash

PER_FILE = 10_000
_HEAD = re.compile(
    rb'\{"leaf":(0|[1-9][0-9]{0,17}),"event":(0|[1-9][0-9]{0,17}),"transaction":"([0-9]+)",'
    rb'"recorded_at":"([^"\\]*)","kind":"([^"\\]*)","actor_kind":"([^"\\]*)","actor_id":"([^"\\]*)",'
    rb'"object_type":"([^"\\]*)","object_id":"([^"\\]*)","object_version":(null|0|[1-9][0-9]{0,17}),"content":"'
)
_TAIL = len('","salt":"","commitment":""}') + 2 * 64
"""A line as audit.exporting writes it. Reading it as JSON takes three times as long, and a million events have fifteen
seconds; a line that is written in any other way is read as JSON."""
_RESTORED = b"log.restored"
_TOLD = frozenset((_RESTORED, passkeys.ADDED.encode(), passkeys.REMOVED.encode()))
"""Kinds of event that say something about others."""
_scan = json.JSONDecoder().scan_once  # type: ignore[attr-defined]  # typeshed leaves it out

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


@dataclass(frozen=True, slots=True)
class Restore:
    """What a sealed event says of a restored database: at `size` leaves, `left` events without one came next; `lost`
    and `unexplained` are ranges of leaves whose events no database has any more, both ends included."""

    leaf: int
    size: int
    left: int
    lost: tuple[tuple[int, int], ...]
    unexplained: tuple[tuple[int, int], ...]
    why: str

    def explains(self, leaf: int) -> bool:
        return any(low <= leaf <= high for low, high in self.lost) and not any(
            low <= leaf <= high for low, high in self.unexplained
        )


@dataclass(slots=True)
class Checked:
    """`missing` are ranges of leaves without a line, the second number not included."""

    findings: Findings = field(default_factory=Findings)
    events: int = 0
    missing: list[tuple[int, int]] = field(default_factory=list)
    restores: list[Restore] = field(default_factory=list)
    contents: set[str] = field(default_factory=set)
    gone: int = 0
    noticed: passkeys.Noticed = field(default_factory=passkeys.Noticed.none)


def file_name(number: int) -> str:
    return f"events/{number:06}.jsonl"


def check(wanted: Wanted) -> Checked:
    """Every line of one file."""
    result = Checked()
    try:
        lines = (wanted.path / wanted.name).read_bytes().split(b"\n")
    except OSError:
        lines = [b""]
    if lines[-1] == b"":
        lines.pop()
    sealed = _leaves(wanted)
    expected = wanted.first
    for number, raw in enumerate(lines, 1):
        expected = _line(result, wanted, sealed, expected, number, raw)
    if expected < wanted.end:
        result.missing.append((expected, wanted.end))
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
    result: Checked, wanted: Wanted, sealed: Sequence[bytes], expected: int, line: int, raw: bytes
) -> int:
    """Check one line; returns the leaf that has to come next."""
    head = _HEAD.match(raw)
    if head is None or expected >= wanted.end or int(head[1]) != expected:
        return _explain(result, wanted, sealed, expected, line, raw)
    end = len(raw) - _TAIL
    escaped, tail = raw[head.end() : end], raw[end:]
    data = escaped.replace(b'\\"', b'"')
    if b"\\" in data or data.count(b'"') != len(escaped) - len(data):
        return _explain(result, wanted, sealed, expected, line, raw)  # more than quotes is escaped
    event, transaction, time, kind = head.group(2, 3, 4, 5)
    salt = tail[10:74]
    try:
        digest = hashlib.sha256(bytes.fromhex(salt.decode()) + data).hexdigest().encode()
        text = data.decode()
        said, length = _scan(text, 0)
        actor, target = said["actor"], said["object"]
        version = target.get("version")
        is_whole = (
            sealed[expected - wanted.first]
            == b'{"commitment":"%b","event":%b,"kind":"%b","time":"%b","transaction":"%b","v":1}'
            % (digest, event, kind, time, transaction)
            and tail == b'","salt":"%b","commitment":"%b"}' % (salt, digest)
            and length == len(text)
            and (version is None or type(version) is int)
            and head.group(5, 6, 7, 8, 9, 10)
            == (
                said["kind"].encode(),
                actor["kind"].encode(),
                actor["id"].encode(),
                target["type"].encode(),
                target["id"].encode(),
                b"null" if version is None else b"%d" % version,
            )
        )
    except (StopIteration, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        is_whole = False
    if not is_whole:
        return _explain(result, wanted, sealed, expected, line, raw)
    result.events += 1
    if kind in _TOLD or b'"signature":' in data or (wanted.with_content and b'"commitment":"' in data):
        _notice(
            result, wanted, said, expected, f"event {int(event)} ({shown(kind.decode())}, leaf {expected})"
        )
    return expected + 1


def _notice(result: Checked, wanted: Wanted, said: Any, number: int, name: str) -> None:
    """What an event that holds says about others: the texts that it names, what a restore has lost, who signed."""
    if wanted.with_content:
        for named in blobs.named(said):
            result.contents.add(named.id)
            if blobs.check(wanted.path, named, name, result.findings):
                result.gone += 1
    if said.get("kind") == _RESTORED.decode() and (restore := _restore(said, number)):
        result.restores.append(restore)
    if said.get("kind") in passkeys.KINDS:
        passkeys.notice(said, number, name, result.noticed, result.findings)


def _restore(said: Any, number: int) -> Restore | None:
    try:
        detail = said["detail"]
        ranges = [tuple(map(int, pair)) for pair in detail["lost"]]
        unexplained = [tuple(map(int, pair)) for pair in detail["unexplained"]]
        return Restore(
            number,
            int(detail["leaves"]),
            int(detail["left_count"]),
            tuple((low, high) for low, high in ranges),
            tuple((low, high) for low, high in unexplained),
            str(detail["why"]),
        )
    except (KeyError, TypeError, ValueError):
        return None


def _explain(
    result: Checked, wanted: Wanted, sealed: Sequence[bytes], expected: int, line: int, raw: bytes
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
        result.findings.add(
            "extra", f"The line {line} of {wanted.name} is not the line of an event.", repr(error)
        )
        return expected
    if not wanted.first <= number < wanted.end or number < expected:
        span = f"a leaf from {expected} to {wanted.end - 1}"
        name = f"event {row['event']} ({shown(row.get('kind'))})"
        result.findings.add(
            "extra", f"The line {line} of {wanted.name}, {name}, stands there without a place.", number, span
        )
        return expected
    if expected < number:
        result.missing.append((expected, number))
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
    if isinstance(said, dict):
        _notice(result, wanted, said, row["leaf"], name)


def name_of(path: Path, size: int, number: int) -> str:
    """A sealed event, as its leaf calls it."""
    bundle, offset = divmod(number, tiles.WIDTH)
    try:
        leaf = leaves.read(stretches.entries(path, size, bundle)[offset])
    except (leaves.BadLeaf, IndexError):
        return f"leaf {number}"
    return f"event {leaf.event} ({shown(leaf.kind)}, leaf {number}, of {leaf.time})"


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
