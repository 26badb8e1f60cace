"""The tree of a log's folder, recomputed from its leaves, one stretch of 65,536 leaves at a time. Pure.

A stretch is what one tile of level 1 covers, so stretches can be read by several processes; only their roots have to
come together. Roots at every checkpoint's size fall out of the same pass."""

import hashlib
import re
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from audit.tlog import leaves, merkle, tiles
from audit.tlog.findings import KEPT, Findings, shown

LENGTH = tiles.WIDTH**2
_LEAF = re.compile(
    rb'\{"commitment":"[0-9a-f]{64}","event":(0|[1-9][0-9]{0,17}),"kind":"[ !#-\[\]-~]*",'
    rb'"time":"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z)",'
    rb'"transaction":"(0|[1-9][0-9]{0,17})","v":1\}'
)
"""Exactly what leaves.Leaf.data writes for a kind without quotes; reading it as JSON takes four times as long."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One stretch. `sizes`: the checkpoints that end inside it. `anchors`: (size, time) in order, where an outsider
    saw `size` leaves at `time`, written as in a leaf."""

    path: Path
    size: int
    number: int
    sizes: tuple[int, ...] = ()
    anchors: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Difference:
    """A hash in a tile is not the one that the leaves below it have. Who is right, only the signed root tells."""

    level: int
    index: int
    computed: bytes
    held: bytes


@dataclass(slots=True)
class Stretch:
    """`peaks` are the roots of the complete subtrees at its end, `at` those at each wanted size; `events` the rows'
    numbers, `turns` the leaves before which (transaction, event) falls."""

    first_leaf: int
    hashed: int = 0
    findings: Findings = field(default_factory=Findings)
    differences: list[Difference] = field(default_factory=list)
    differing: int = 0
    peaks: list[bytes] = field(default_factory=list)
    at: dict[int, list[bytes]] = field(default_factory=dict)
    events: "array[int]" = field(default_factory=lambda: array("q"))
    first: tuple[int, int] = (0, 0)
    last: tuple[int, int] = (0, 0)
    turns: list[int] = field(default_factory=list)
    earliest: str = ""
    latest: str = ""
    late: int = 0
    late_example: str = ""

    def differ(self, found: "Sequence[Difference]") -> None:
        self.differing += len(found)
        self.differences += found[: KEPT - len(self.differences)]


def rows_above(hashes: Sequence[bytes]) -> list[list[bytes]]:
    """All levels of complete nodes over these hashes; level k holds len // 2^k of them."""
    sha = hashlib.sha256
    rows = [list(hashes)]
    while len(rows[-1]) > 1:
        pairs = iter(rows[-1])
        rows.append([sha(b"\x01" + left + right).digest() for left, right in zip(pairs, pairs, strict=False)])
    return rows


def peaks(rows: Sequence[Sequence[bytes]], count: int) -> list[bytes]:
    """The roots of the complete subtrees that `count` hashes fall into, the largest first."""
    found, at = [], 0
    for level in range(len(rows) - 1, -1, -1):
        if count >> level & 1:
            found.append(rows[level][at >> level])
            at += 1 << level
    return found


def root(found: Sequence[bytes]) -> bytes:
    """The root over peaks (RFC 6962 §2.1)."""
    if not found:
        return merkle.EMPTY
    result = found[-1]
    for left in reversed(found[:-1]):
        result = merkle.node_hash(left, result)
    return result


def read(path: Path, width: int) -> bytes | None:
    """A tile or bundle of `width`, or the wider one that has taken its place; None where neither is there."""
    full = path.parent.with_suffix("") if width < tiles.WIDTH else path
    for place in (path, full):
        try:
            return place.read_bytes()
        except OSError:
            continue
    return None


def entries(path: Path, size: int, number: int, findings: Findings | None = None) -> list[bytes]:
    """The leaves of one bundle; fewer than there should be where the file is missing or damaged."""
    width = min(tiles.WIDTH, size - number * tiles.WIDTH)
    name = tiles.entries_path(number, width)
    span = f"leaves {number * tiles.WIDTH} to {number * tiles.WIDTH + width - 1}"
    data = read(path / name, width)
    found: list[bytes] = []
    problem = "there is no such file" if data is None else ""
    try:
        for entry in tiles.unbundle(data or b""):
            found.append(entry)
    except ValueError as error:
        problem = str(error)
    if not problem and len(found) < width:
        problem = f"{len(found)} leaves"
    if problem and findings is not None:
        findings.add("bundle", f"The file {name} with {span} cannot be used.", problem, f"{width} leaves")
    return found[:width]


def check(wanted: Wanted) -> Stretch:
    """Read the bundles and the tiles of levels 0 and 1, and hash everything. Ends at the first bundle that is not
    whole: without it nothing after it has a known hash."""
    result = Stretch(wanted.number * LENGTH)
    first = wanted.number * tiles.WIDTH
    sizes, tops = list(wanted.sizes), list[bytes]()
    pending: dict[int, tuple[int, list[bytes]]] = {}
    last_rows: list[list[bytes]] = [[]]
    sha = hashlib.sha256
    for bundle in range(first, min(first + tiles.WIDTH, -(-wanted.size // tiles.WIDTH))):
        width = min(tiles.WIDTH, wanted.size - bundle * tiles.WIDTH)
        found = entries(wanted.path, wanted.size, bundle, result.findings)
        hashes = [sha(b"\x00" + entry).digest() for entry in found]
        _read_leaves(result, wanted, bundle * tiles.WIDTH, found)
        _compare_tile(result, wanted, 0, bundle, hashes, width)
        result.hashed += len(hashes)
        last_rows = rows_above(hashes)
        while sizes and sizes[0] <= bundle * tiles.WIDTH + len(hashes):
            at = sizes.pop(0)
            pending[at] = (len(tops), peaks(last_rows, at - bundle * tiles.WIDTH))
        if len(hashes) < width:
            break
        if width == tiles.WIDTH:
            tops.append(last_rows[8][0])
            last_rows = [[]]
    above = rows_above(tops)
    result.at = {at: peaks(above, count) + rest for at, (count, rest) in pending.items()}
    result.peaks = peaks(above, len(tops)) + peaks(last_rows, len(last_rows[0]))
    width = min(tiles.WIDTH, (wanted.size >> tiles.HEIGHT) - first)
    if width > 0 and len(tops) == width:
        _compare_tile(result, wanted, 1, wanted.number, tops, width)
    return result


def differences(
    path: Path, level: int, number: int, hashes: Sequence[bytes], findings: Findings
) -> list[Difference]:
    """Where a tile holds something else than the hashes that it has to hold. A missing one is told at once."""
    name = tiles.tile_path(level, number, len(hashes))
    data = read(path / name, len(hashes))
    if data is None:
        findings.add("tile", f"The file {name} is missing.", "no such file", f"{len(hashes)} hashes")
        return []
    expected = b"".join(hashes)
    if data[: len(expected)] == expected:
        return []
    held = [data[at : at + tiles.HASH] for at in range(0, len(expected), tiles.HASH)]
    pairs = enumerate(zip(hashes, held, strict=True), number * tiles.WIDTH)
    return [Difference(level, at, ours, theirs) for at, (ours, theirs) in pairs if ours != theirs]


def _compare_tile(
    result: Stretch, wanted: Wanted, level: int, number: int, hashes: list[bytes], width: int
) -> None:
    if len(hashes) == width:
        result.differ(differences(wanted.path, level, number, hashes, result.findings))


def _read_leaves(result: Stretch, wanted: Wanted, start: int, found: Sequence[bytes]) -> None:
    """Numbers, order and times. A leaf that is not written as leaves.py writes it is told."""
    anchors = [anchor for anchor in wanted.anchors if anchor[0] < start + len(found)]
    bound, last = "", result.last
    for number, entry in enumerate(found, start):
        while anchors and anchors[0][0] <= number:
            bound = max(bound, anchors.pop(0)[1])
        match = _LEAF.fullmatch(entry)
        if match is not None:
            event, time, transaction = match.groups()
            key, at = (int(transaction), int(event)), time.decode()
        elif (leaf := _odd_leaf(result.findings, number, entry)) is not None:
            key, at = (leaf.transaction, leaf.event), leaf.time
        else:
            result.events.append(-1)
            continue
        if not result.earliest:
            result.first = key
            result.earliest = result.latest = at
        elif key <= last:
            result.turns.append(number)
        last = key
        result.events.append(key[1])
        if at < result.earliest:
            result.earliest = at
        if at > result.latest:
            result.latest = at
        if at < bound:
            result.late += 1
            result.late_example = result.late_example or f"event {key[1]} (leaf {number}) of {shown(at)}"
    result.last = last


def _odd_leaf(findings: Findings, number: int, entry: bytes) -> leaves.Leaf | None:
    """A leaf whose kind has characters that JSON escapes, or one that is told as damaged."""
    try:
        leaf = leaves.read(entry)
    except leaves.BadLeaf as error:
        findings.add("bundle", f"Leaf {number} is no leaf of this log.", error, "a leaf of version 1")
        return None
    if max(leaf.event, leaf.transaction) >= 1 << 63 or min(leaf.event, leaf.transaction) < 0:
        findings.add(
            "bundle", f"Leaf {number} names a number no database has.", leaf.event, "a 64-bit number"
        )
        return None
    return leaf
