"""All leaves of a log against all that was ever signed about it: roots, tiles, order. Pure.

Where leaves and tiles differ, the signed root tells which of them was changed."""

from array import array
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

from audit.tlog import leaves, merkle, stretches, tiles
from audit.tlog.findings import upper
from audit.tlog.folder import Damaged, Folder
from audit.tlog.report import Report
from audit.tlog.signed import Claim

LATE = timedelta(hours=1)
"""How much older than an outsider's time an event may say it is, and yet be sealed after it, without a remark."""


@dataclass(slots=True)
class Leaves:
    """`hashed` of them were there from the first on. `turns`: before these leaves the order of commits is broken;
    `twice`: event → its leaves, where it has several. What a restored database explains of it, the rows tell."""

    hashed: int = 0
    turns: list[int] = field(default_factory=list)
    twice: dict[int, list[int]] = field(default_factory=dict)


def check(path: Path, claims: Sequence[Claim], report: Report, each: Any) -> Leaves:
    """Hash the leaves once and compare the root at every size that somebody signed.

    `each` is a `map` that may use several processes."""
    sizes = sorted({claim.size for claim in claims if claim.size <= report.size})
    times = sorted((size, _earlier(time)) for size, time in report.stamps + report.cosigned)
    there = _bundles_there(path) // tiles.WIDTH + 1  # a checkpoint may claim any size
    numbers = range(min(-(-report.size // stretches.LENGTH), there))
    wanted = [_stretch(path, report.size, number, sizes, times) for number in numbers]
    roots: dict[int, bytes] = {0: merkle.EMPTY}
    tops: list[bytes] = []
    found: list[stretches.Stretch] = []
    hashed = 0
    for stretch in each(stretches.check, wanted):
        found.append(stretch)
        report.findings.merge(stretch.findings)
        if hashed < stretch.first_leaf:
            continue  # leaves before it are missing, so nothing is known of the roots here
        hashed += stretch.hashed
        above = stretches.peaks(stretches.rows_above(tops), len(tops))
        roots.update({size: stretches.root(above + peaks) for size, peaks in stretch.at.items()})
        if stretch.hashed == stretches.LENGTH:
            tops += stretch.peaks
    if found:
        _upper_tiles(path, report, tops, found[0])
    _judge(path, report, found)
    _compare(path, claims, roots, report)
    _times(report, found)
    return _order(hashed, [stretch for stretch in found if stretch.hashed])


def _earlier(time: str) -> str:
    try:
        return leaves.written(datetime.fromisoformat(time.replace("Z", "+00:00")) - LATE)
    except (ValueError, OverflowError):
        return ""


def _bundles_there(path: Path) -> int:
    return sum(1 for file in (path / "tile" / "entries").rglob("*") if file.is_file())


def _stretch(
    path: Path, size: int, number: int, sizes: Sequence[int], times: Sequence[tuple[int, str]]
) -> stretches.Wanted:
    start, end = number * stretches.LENGTH, (number + 1) * stretches.LENGTH
    before = max((time for at, time in times if at <= start), default="")
    inside = tuple((at, time) for at, time in times if start < at < end)
    anchors = ((start, before), *inside) if before else inside
    return stretches.Wanted(path, size, number, tuple(at for at in sizes if start < at <= end), anchors)


def _upper_tiles(path: Path, report: Report, hashes: list[bytes], into: stretches.Stretch) -> None:
    """Tiles of level 2 and above, over the roots of whole stretches."""
    level = 2
    while hashes and len(hashes) == report.size >> tiles.HEIGHT * level:
        above = []
        for number, at in enumerate(range(0, len(hashes), tiles.WIDTH)):
            part = hashes[at : at + tiles.WIDTH]
            into.differ(stretches.differences(path, level, number, part, report.findings))
            if len(part) == tiles.WIDTH:
                above.append(merkle.perfect_root(part))
        hashes, level = above, level + 1


def _judge(path: Path, report: Report, found: Sequence[stretches.Stretch]) -> None:
    folder = Folder(path, report.size)
    told = [difference for stretch in found for difference in stretch.differences]
    for difference in told:
        _tell(report, folder, difference)
    if rest := sum(stretch.differing for stretch in found) - len(told):
        report.findings.add("tile", f"{rest} more hashes in tiles are not those of the leaves.", times=rest)


def _tell(report: Report, folder: Folder, difference: stretches.Difference) -> None:
    level, index, held = difference.level, difference.index, difference.held
    number, offset = divmod(index, tiles.WIDTH)
    if level == 0 and _leads_to_root(folder, index, held, report.root):
        entry = stretches.entries(folder.path, report.size, number)[offset]
        where = tiles.entries_path(number, _width(report.size, number))
        text = f"Leaf {index} in {where} ({_leaf_name(entry)}) was changed: its hash is not the sealed one."
        report.findings.add("bundle", text, difference.computed, held)
        return
    name = tiles.tile_path(level, number, _width(report.size >> tiles.HEIGHT * level, number))
    what = f"leaf {index}" if level == 0 else f"subtree {index} of height {level * tiles.HEIGHT}"
    text = f"The tile {name} holds for {what} another hash than its leaves have."
    report.findings.add("tile", text, held, difference.computed)


def _width(count: int, number: int) -> int:
    return min(tiles.WIDTH, count - number * tiles.WIDTH)


def _leaf_name(entry: bytes) -> str:
    try:
        leaf = leaves.read(entry)
    except leaves.BadLeaf:
        return "not a leaf any more"
    return f"event {leaf.event}, {leaf.kind}"


def _leads_to_root(folder: Folder, index: int, held: bytes, root: bytes) -> bool:
    try:
        proof = folder.inclusion_proof(index)
    except Damaged:
        return False
    return merkle.is_included(held, index, folder.size, proof, root)


def _compare(path: Path, claims: Sequence[Claim], roots: dict[int, bytes], report: Report) -> None:
    """One finding for each kind of claim that does not hold, about the smallest tree: that is where it begins."""
    wrong: dict[str, list[Claim]] = defaultdict(list)
    fitting = [0]
    tree = _Tiles(path, report)
    for claim in claims:
        if claim.size > report.size:
            text = f"{upper(claim.where)} has more leaves than the log has now: its end was cut off."
            report.findings.add(claim.check, text, report.size, claim.size)
        elif claim.size not in roots:
            report.unfit += 1
        elif roots[claim.size] == claim.root or tree.root(claim.size) == claim.root:
            fitting.append(claim.size)
        else:
            wrong[claim.check].append(claim)
    for kind, bad in wrong.items():
        first = min(bad, key=lambda claim: claim.size)
        more = f" The same holds for {len(bad) - 1} larger ones." if len(bad) > 1 else ""
        good = max(size for size in fitting if size <= first.size)
        text = (
            f"{upper(first.where)} does not fit: its {first.size} leaves give another root. "
            f"The first {good} leaves are as they were signed.{more}"
        )
        report.findings.add(kind, text, roots[first.size], first.root, times=len(bad))
    if report.unfit:
        report.unchecked.append(
            f"{report.unfit} signed statements, because leaves before their end are missing."
        )


class _Tiles:
    """The tree that the tiles speak of, asked only where they still lead to the signed root: then a leaf that was
    changed in its bundle, which is told as that, does not accuse every checkpoint too."""

    def __init__(self, path: Path, report: Report) -> None:
        self._folder = Folder(path, report.size)
        self._size, self._root = report.size, report.root
        self._sound: bool | None = None

    def root(self, size: int) -> bytes | None:
        if self._sound is None:
            self._sound = self._read(self._size) == self._root
        return self._read(size) if self._sound else None

    def _read(self, size: int) -> bytes | None:
        try:
            return self._folder.root(size)
        except Damaged:
            return None


def _order(hashed: int, found: Sequence[stretches.Stretch]) -> Leaves:
    result = Leaves(hashed, [number for stretch in found for number in stretch.turns])
    numbers: array[int] = array("q")
    for before, after in pairwise(found):
        if after.first <= before.last:
            result.turns.append(after.first_leaf)
    for stretch in found:
        numbers.extend(stretch.events)
    again = {after for before, after in pairwise(sorted(numbers)) if before == after and before >= 0}
    if again:
        for number, event in enumerate(numbers):
            if event in again:
                result.twice.setdefault(event, []).append(number)
    return result


def _times(report: Report, found: Sequence[stretches.Stretch]) -> None:
    """From when to when, and whether an event claims to be older than it can be."""
    if late := sum(stretch.late for stretch in found):
        example = next(stretch.late_example for stretch in found if stretch.late)
        report.remarks.append(
            f"{late} events say they are over an hour older than a moment at which an outsider saw the log "
            f"without them: the first is {example}. They were sealed late or dated back; ask why."
        )
    report.earliest = min((stretch.earliest for stretch in found if stretch.earliest), default="")
    report.latest = max((stretch.latest for stretch in found), default="")
