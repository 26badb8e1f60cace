"""Make the log's files again from the database, where they were lost or set back: leaves follow from the rows alone.

What comes out is taken only if it holds every checkpoint that was signed and is still known; rows that were changed
since cannot give the root that was signed. No Django in here."""

import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from audit import log_files
from audit.sealer_database import COLUMNS, Database, Row
from audit.sealer_files import Refused, SealerFiles
from audit.sealing import BATCH
from audit.tlog import folder, merkle, notes
from audit.tlog.folder import Folder
from audit.tlog.notes import BadNote, Checkpoint, Verifier

_BY_LEAF = f"""
SELECT l.number, l.hash, e.id, e.transaction, e.recorded_at, e.kind, e.commitment, e.fits
FROM audit_auditleaf l LEFT JOIN LATERAL ({COLUMNS} WHERE id = l.event) e ON true
WHERE l.number >= %(start)s ORDER BY l.number LIMIT %(limit)s
"""  # noqa: S608  constants only


def rebuild(session: psycopg.Connection[Any], *, files: SealerFiles, log: Path) -> str:
    """What was done, in a sentence; the old tiles stay beside the new ones. Raises Refused, having changed nothing."""
    database = Database(session)
    with files.alone():
        signer = files.signer("", log_exists=True)
        signed = _signed(files, log, signer.verifier)
        newest = database.newest_indexed()
        most = max(signed, key=lambda one: one.size, default=Checkpoint(signer.name, 0, merkle.EMPTY))
        target = max(most.size, newest[0] + 1 if newest else 0)
        if not target:
            raise Refused("Nothing was ever sealed, so there is nothing to make again.")
        made = log / f"rebuilt-{int(time.time())}"
        shutil.rmtree(made, ignore_errors=True)
        try:
            root = _build(database, made, target)
            _check(made, target, signed)
        except BaseException:
            shutil.rmtree(made, ignore_errors=True)
            raise
        files.remember(signer.note(Checkpoint(signer.name, target, root).text))
        kept = _swap(log, made)
        return f"{target} leaves were made again from the database.{kept} The sealer goes on by itself."


def _signed(files: SealerFiles, log: Path, key: Verifier) -> list[Checkpoint]:
    """Every checkpoint of this log that can still be found."""
    found = [note for note in (files.last(), log_files.published(log)) if note]
    found += [
        note for day in sorted((log / "checkpoints").glob("????-??-??")) for note in log_files.in_day(day)
    ]
    checkpoints = []
    for note in found:
        try:
            checkpoints.append(notes.opened(note, key))
        except BadNote as error:
            raise Refused(
                f"There is a checkpoint that is not of this log: {error}. Remove it first."
            ) from error
    return checkpoints


def _build(database: Database, made: Path, target: int) -> bytes:
    root, size = merkle.EMPTY, 0
    batch: list[bytes] = []
    for leaf in _leaves(database, target):
        batch.append(leaf)
        if len(batch) == BATCH or size + len(batch) == target:
            root = folder.append(made, size, batch)
            size, batch = size + len(batch), []
    if size < target:
        raise Refused(f"The database gives {size + len(batch)} leaves, and {target} were signed.")
    return root


def _leaves(database: Database, target: int) -> Iterator[bytes]:
    """By the index as far as it goes, then in the order in which they were sealed."""
    number, last = 0, (0, 0)
    while number < target:
        rows = database.connection.execute(_BY_LEAF, {"start": number, "limit": BATCH}).fetchall()
        for at, wanted, event, transaction, recorded_at, kind, commitment, fits in rows:
            if at != number or event is None:
                raise Refused(f"Leaf {number}: its event is not in the database, so it cannot be made again.")
            row = Row(int(event), int(transaction), recorded_at, str(kind), bytes(commitment), bool(fits))
            leaf = row.leaf()
            if merkle.leaf_hash(leaf) != bytes(wanted):
                raise Refused(f"Leaf {number}: event {event} is not what it was when it was sealed.")
            yield leaf
            number, last = number + 1, (row.transaction, row.event)
        if not rows:
            break
    while number < target:
        behind = database.new(after=last, floor=0, limit=min(BATCH, target - number))
        if not behind:
            return
        for row in behind:
            yield row.leaf()
        number, last = number + len(behind), (behind[-1].transaction, behind[-1].event)


def _check(made: Path, target: int, signed: list[Checkpoint]) -> None:
    tree = Folder(made, target)
    for one in signed:
        if tree.root(one.size) != one.root:
            raise Refused(
                f"The rows of the database give another root than was signed for {one.size} leaves: they are not "
                "what they were when they were sealed. The files were left as they are; bring them, or the rows, back."
            )


def _swap(log: Path, made: Path) -> str:
    """Put the new tiles in place; says where the old ones are."""
    kept = ""
    if (log / "tile").exists():
        aside = log / f"tile-until-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
        (log / "tile").rename(aside)
        kept = f" What was there is in {aside}."
    (made / "tile").rename(log / "tile")
    made.rmdir()
    return kept
