"""Offline verification of an export: files and public keys, no database, no settings, no network. Pure.

In one pass: every line fits its leaf, the leaves give the tiles, the tiles give the root, the root is the one that was
signed, and so it was at every older checkpoint, timestamp and cosignature. It goes on after a failure."""

import json
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from audit.tlog import blobs, notes, passkeys, rows, signed, trees
from audit.tlog.findings import Findings, numbered, shown, upper
from audit.tlog.report import Report, Trust

MANIFEST = "manifest.json"
UNFINISHED = "UNFINISHED"
"""A file that stands in an export until it is whole."""
ALONE = 20_000
"""Up to so many leaves one process is faster than two."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What the export says it holds: the lines of `count` leaves from `first` on. `pending` events were not sealed."""

    first: int
    count: int
    with_content: bool
    pending: int


def verify(path: Path, trust: Trust, *, processes: int = 2) -> Report:
    """Check everything in an export. Never raises for what the files say."""
    report = Report()
    manifest = _manifest(path, report.findings)
    keys = _keys(path, trust, report)
    newest = _newest(path, keys, report) if keys else None
    if newest is None:
        return report
    report.origin, report.size, report.root = newest.origin, newest.size, newest.root
    with _workers(1 if newest.size <= ALONE else processes) as each:
        claims = _signed(path, keys, trust, report, each)
        claims.append(signed.Claim(newest.size, newest.root, "root", "the newest checkpoint"))
        leaves = trees.check(path, claims, report, each)
        restores = _rows(path, manifest, leaves.hashed, report, each) if manifest is not None else []
    if manifest is not None:
        _order(leaves, restores, report, is_whole=manifest.count >= report.size)
    return report


@contextmanager
def _workers(processes: int) -> Iterator[Any]:
    """A `map`, over several processes where they are worth it and the machine lets them start."""
    pool = _pool(processes) if processes > 1 else None
    if pool is None:
        yield map
        return
    with pool:
        yield pool.map


def _pool(processes: int) -> ProcessPoolExecutor | None:
    """None where the machine has no semaphores for one, which Python answers by the third error below, or forbids
    processes: the verification then runs in this one."""
    try:
        pool = ProcessPoolExecutor(processes)
        pool.submit(int).result()
    except (OSError, ImportError, NotImplementedError, BrokenProcessPool):
        return None
    return pool


def _manifest(path: Path, findings: Findings) -> Manifest | None:
    if (path / UNFINISHED).exists():
        findings.add("export", "The export was interrupted before it was whole.", UNFINISHED, MANIFEST)
        return None
    try:
        said = json.loads((path / MANIFEST).read_bytes())
        found = Manifest(
            said["events"]["first"], said["events"]["count"], said["with_content"], said["events"]["pending"]
        )
        numbers = (found.first, found.count, found.pending)
        if said["version"] != 1 or any(type(number) is not int or number < 0 for number in numbers):
            raise ValueError("it is not a manifest of version 1")
    except OSError:
        findings.add("export", f"There is no {MANIFEST} in here, so this is no export.", "", MANIFEST)
        return None
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        findings.add("export", f"The file {MANIFEST} cannot be read.", repr(error))
        return None
    return found


def _keys(path: Path, trust: Trust, report: Report) -> tuple[notes.Verifier, ...]:
    """The keys to trust, which best come from elsewhere than the export."""
    try:
        own = notes.verifier((path / "key").read_bytes().decode())
    except (OSError, ValueError) as error:
        own = None
        if not trust.keys:
            report.findings.add(
                "key", "The export has no public key that can be read, and you gave none.", error
            )
    if trust.keys:
        if own is not None and own not in trust.keys:
            names = ", ".join(map(str, trust.keys))
            report.findings.add("key", "The export's own key is not the one that you trust.", own, names)
        return trust.keys
    if own is None:
        return ()
    report.unchecked.append(
        "Who signed this: the key came from the export itself, so this shows that the export agrees with itself. "
        f"Compare the key with one that you got in another way: {own}"
    )
    return (own,)


def _newest(path: Path, keys: tuple[notes.Verifier, ...], report: Report) -> notes.Checkpoint | None:
    try:
        note = (path / "checkpoint").read_bytes().decode()
        found = signed.one(note, keys)
    except (OSError, ValueError) as error:
        report.findings.add(
            "checkpoint", "The newest checkpoint does not hold.", error, "a note signed by the log"
        )
        return None
    report.key = next(key for key in keys if any(s.name == key.name for s in notes.check(note, key)[1]))
    return found


def _signed(
    path: Path, keys: tuple[notes.Verifier, ...], trust: Trust, report: Report, each: Any
) -> list[signed.Claim]:
    """Every signed statement about the log, with its signature checked."""
    days = [
        signed.File(file, f"checkpoints/{file.name}", keys)
        for file in sorted((path / "checkpoints").glob("[0-9]*"))
    ]
    claims: list[signed.Claim] = []
    for found in each(signed.checkpoints, days):
        report.findings.merge(found.findings)
        claims += found.claims
    for before, after in pairwise(claims):
        if after.size < before.size:
            report.findings.add(
                "history", f"{upper(after.where)} follows {before.where}.", after.size, before.size
            )
    report.checkpoints = len(claims)
    own = {claim.size: claim.root for claim in claims}
    if report.size not in own:
        report.findings.add(
            "history", "The newest checkpoint is not among those of any day.", "", report.size
        )
    anchors = _anchors(path, trust, report, each)
    for claim in anchors:
        if claim.size not in own:
            text = f"{upper(claim.where)} is not among those of any day: it was taken out."
            report.findings.add("history", text, "no such checkpoint", claim.size)
    older = _older(trust.older, keys, report)
    for claim in older:
        if claim.size <= report.size and claim.size not in own:
            text = f"{upper(claim.where)} is not among those of this export: it was taken out."
            report.findings.add("history", text, "no such checkpoint", claim.size)
    return claims + anchors + older


def _anchors(path: Path, trust: Trust, report: Report, each: Any) -> list[signed.Claim]:
    stamped = signed.sizes_in(path / "timestamps", ".tsr")
    for size in sorted(set(signed.sizes_in(path / "timestamps", ".txt")) - set(stamped)):
        report.findings.add("timestamp", f"The text timestamps/{size}.txt is there without its timestamp.")
    claims: list[signed.Claim] = []
    parts = [
        signed.Anchors(path, tuple(stamped[at : at + 100]), (), trust.roots)
        for at in range(0, len(stamped), 100)
    ]
    for found in each(signed.stamps, parts):
        report.findings.merge(found.findings)
        claims += found.claims
        report.stamps += found.times
        report.authorities |= found.names
    if stamped and trust.roots is None:
        report.unchecked.append(
            f"Whether the {len(stamped)} timestamps come from an authority that you trust "
            "(--timestamp-roots): that they fit the checkpoints was checked."
        )
    cosigned, unknown = signed.sizes_in(path / "cosignatures"), set()
    parts = [
        signed.Anchors(path, tuple(cosigned[at : at + 500]), trust.witnesses)
        for at in range(0, len(cosigned), 500)
    ]
    for found in each(signed.cosignatures, parts):
        report.findings.merge(found.findings)
        claims += found.claims
        report.cosigned += found.times
        report.witnesses |= found.names
        unknown |= found.unknown
    if unknown:
        report.unchecked.append(
            f"The cosignatures of {', '.join(sorted(unknown))} (--witness with their keys)."
        )
    for key in trust.witnesses:
        if key.name not in report.witnesses:
            report.remarks.append(f"The witness {key.name} has signed nothing in here.")
    if not stamped and not cosigned:
        report.unchecked.append(
            "When the log was in this state: no outsider timestamped or cosigned it. Whoever holds its private "
            "key could have written it anew, unless you compare it with an older checkpoint (--since)."
        )
    return claims


def _older(older: Path | None, keys: tuple[notes.Verifier, ...], report: Report) -> list[signed.Claim]:
    """What an older export, or one checkpoint's file, says."""
    if older is None:
        return []
    files = [older]
    if older.is_dir():
        files = [older / "checkpoint", *sorted((older / "checkpoints").glob("[0-9]*"))]
    claims: list[signed.Claim] = []
    for file in files:
        name = f"the older {file.parent.name}/{file.name}" if older.is_dir() else f"the older {file.name}"
        found = signed.checkpoints(signed.File(file, name, keys, "older"))
        report.findings.merge(found.findings)
        claims += found.claims
    report.older = len(claims)
    return claims


def _rows(path: Path, manifest: Manifest, hashed: int, report: Report, each: Any) -> list[rows.Restore]:
    """The lines of the events, against leaves that the tree has vouched for; returns what they say of restores."""
    report.first, report.pending = manifest.first, manifest.pending
    end = min(manifest.first + manifest.count, report.size, hashed)
    if manifest.first + manifest.count > report.size:
        text = f"The {MANIFEST} speaks of events that the log does not have."
        report.findings.add("export", text, manifest.first + manifest.count, report.size)
    numbers = range(manifest.first // rows.PER_FILE, -(-end // rows.PER_FILE))
    wanted = [
        rows.Wanted(
            path,
            report.size,
            max(manifest.first, number * rows.PER_FILE),
            min(end, (number + 1) * rows.PER_FILE),
            manifest.with_content,
        )
        for number in numbers
    ]
    contents: set[str] = set()
    missing: list[tuple[int, int]] = []
    restores: list[rows.Restore] = []
    noticed = passkeys.Noticed.none()
    for checked in each(rows.check, wanted):
        report.findings.merge(checked.findings)
        report.events += checked.events
        report.gone += checked.gone
        contents |= checked.contents
        missing += checked.missing
        restores += checked.restores
        noticed.merge(checked.noticed)
    passkeys.compare(noticed, report, is_whole=manifest.count >= report.size)
    _missing(path, missing, restores, report)
    names = {part.name for part in wanted}
    for file in sorted((path / "events").glob("*.jsonl")):
        if f"events/{file.name}" not in names and file.name != "unsealed.jsonl":
            report.findings.add(
                "extra", f"The file events/{file.name} holds lines of no leaf in the {MANIFEST}."
            )
    rows.unsealed(path, report.findings)
    if manifest.with_content:
        report.contents = blobs.unnamed(path, contents, report.findings)
    else:
        report.unchecked.append(
            "Prompts, outputs and other kept texts: they are not in this export (--with-content)."
        )
    if manifest.count < report.size:
        outside = report.size - manifest.count
        report.unchecked.append(
            f"The rows of {outside} events outside the exported range: only their leaves."
        )
    return restores


def _missing(
    path: Path, missing: list[tuple[int, int]], restores: list[rows.Restore], report: Report
) -> None:
    """Sealed events without a row. What a sealed event says was lost with a restored backup is a remark, the rest is
    not: the first ones are named, long stretches are one finding."""
    explained = 0
    for start, end in missing:
        bad = [leaf for leaf in range(start, end) if not any(one.explains(leaf) for one in restores)]
        explained += end - start - len(bad)
        for leaf in bad[:5]:
            name = upper(rows.name_of(path, report.size, leaf))
            report.findings.add("missing", f"{name} is sealed, and its row is not here.")
        if rest := bad[5:]:
            text = f"Leaves {rest[0]} to {rest[-1]} are sealed, and none of their {len(rest)} rows is here."
            report.findings.add("missing", text, times=len(rest))
    if explained:
        why = "; ".join(f"leaf {one.leaf}: {shown(one.why)}" for one in restores)
        report.remarks.append(
            f"{explained} sealed events have no row, because the database was set back to a backup. The log itself "
            f"records that ({why}). Ask who ordered it."
        )


def _order(leaves: trees.Leaves, restores: list[rows.Restore], report: Report, *, is_whole: bool) -> None:
    """No event twice, all in the order of their commits; a restored database begins its numbers anew, which only an
    export of all events can tell."""
    if not is_whole and (leaves.turns or leaves.twice):
        text = "Why the order of commits begins anew in the log: a restored database would explain it, but its event"
        report.unchecked.append(f"{text} may be outside the exported range.")
        return
    begins = {place for one in restores for place in (one.size, one.size + one.left)}
    if turns := sorted(turn for turn in leaves.turns if turn not in begins):
        text = f"At leaf {numbered(turns)} an event follows that was committed before the one in front of it."
        report.findings.add("order", text, f"{len(turns)} such places", "none", times=len(turns))
    for event, places in leaves.twice.items():
        kept = [leaf for leaf in places if not any(one.explains(leaf) for one in restores)]
        if len(kept) > 1:
            text = f"Event {event} is sealed more than once, at leaf {numbered(kept)}."
            report.findings.add("twice", text, len(kept), 1)
