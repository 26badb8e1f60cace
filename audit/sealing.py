"""Sealing: events become leaves, leaves a signed checkpoint. One `step` per batch, by one process at a time.

The order of a step, and what a crash right after each part leaves behind:

1. tiles and entries behind the present leaves    not published by anybody; cut away at the next start
2. the new tree holds the old one                 (checked from the files, before anything is signed)
3. `last`, in the sealer's own directory          the checkpoint counts as signed; the next start publishes it
4. the day's file of checkpoints                  a torn note is cut away and written again
5. `checkpoint`                                   published; the rows are missing
6. rows of `audit_auditleaf`                      done

`last` comes before everything that others may see: whatever was published is known in the sealer's own directory, so a
log folder that was set back cannot make it sign a second history. Repeating is harmless: leaves depend on the rows
alone, their order is final below `pg_snapshot_xmin`, and Ed25519 gives one signature for one text. `recover` comes
before the first step and after every failure; it finds where things stand from the files, and refuses what
contradicts itself. No Django in here."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from audit import log_files
from audit.sealer_database import Database, Entry, Row
from audit.sealer_files import Refused, Restore, SealerFiles
from audit.tlog import folder, merkle, notes
from audit.tlog.folder import Damaged, Folder
from audit.tlog.leaves import BadLeaf
from audit.tlog.notes import BadNote, Checkpoint, Signer

BATCH = 4096
"""Leaves of one checkpoint at most; a longer backlog is worked off in several."""
LOOKED_AT = 512
"""Leaves at the end of the log that are compared with the database at a start. A restore loses the newest."""


class Sealer:
    """The log as one leader writes it. `recover` first; after any exception `recover` again."""

    def __init__(self, *, database: Database, files: SealerFiles, log: Path, origin: str) -> None:
        """`origin` is the log's name where it has none yet."""
        self.database = database
        self.files = files
        self.log = log
        self.origin = origin
        self.size = 0
        self._root = merkle.EMPTY
        self._signer: Signer | None = None
        self._cursor = (0, 0)
        self._restore = Restore()

    # ── where things stand ───────────────────────────────────────────────────────────────────────────────────────

    def recover(self) -> None:
        """Find the newest checkpoint, complete what a crash cut short, and compare log, memory and database.

        Raises Refused, Damaged or BadLeaf where something contradicts it, OSError where it cannot be written."""
        self._restore = self.files.restore()
        self._open_key()
        head = self._head()
        self.size, self._root = (head.size, head.root) if head else (0, merkle.EMPTY)
        tail = self._tail()
        self._compare(tail)
        log_files.cut(self.log, self.size)
        if head is not None:
            self._publish_again(self.signer.note(head.text))
        self._index_missing()
        self._cursor = self._next_after(tail)

    def _open_key(self) -> None:
        exists = (self.log / "key").exists() or (self.log / "checkpoint").exists()
        self._signer = self.files.signer(self.origin, log_exists=exists)
        key = f"{self._signer.verifier}\n".encode()
        try:
            folder.write_once(self.log / "key", key)
        except Damaged as error:
            raise Refused(
                f"{self.log / 'key'} is another log's key. Bring the log's files back, or the sealer's directory that "
                "belongs to them."
            ) from error

    @property
    def signer(self) -> Signer:
        assert self._signer is not None, "recover comes first"
        return self._signer

    def _head(self) -> Checkpoint | None:
        """The newest of the notes that were signed, all of them found to be states of the one tree on the disk."""
        known: dict[str, Checkpoint] = {}
        for place, note in self._signed().items():
            try:
                known[place] = notes.opened(note, self.signer.verifier)
            except BadNote as error:
                raise Refused(
                    f"{place} is no checkpoint of this log: {error}. Bring the file back."
                ) from error
        if not known:
            return None
        head = max(known.values(), key=lambda one: one.size)
        tree = Folder(self.log, head.size)
        for place, checkpoint in known.items():
            try:
                is_there = tree.root(checkpoint.size) == checkpoint.root
            except Damaged as error:
                raise Refused(_set_back(place, checkpoint, str(error))) from error
            if not is_there:
                raise Refused(_set_back(place, checkpoint, "the files' root is another one"))
        return head

    def _signed(self) -> dict[str, str]:
        """Where a signed note stands → the note."""
        places = {
            str(self.files.path / "last"): self.files.last(),
            str(self.log / "checkpoint"): log_files.published(self.log),
            str(self.log / "checkpoints"): log_files.newest_kept(self.log, self.signer.verifier),
        }
        return {place: note for place, note in places.items() if note is not None}

    def _tail(self) -> list[Entry]:
        """The last leaves, each checked against the tree."""
        tree = Folder(self.log, self.size)
        tail = [Entry(*one) for one in tree.entries(max(0, self.size - LOOKED_AT))] if self.size else []
        for entry in tail:
            if entry.hash != tree.node(0, entry.number):
                raise Damaged(f"leaf {entry.number} in the entries is not the one in the tree")
        return tail

    def _compare(self, tail: Sequence[Entry]) -> None:
        """Refuse where the database has lost what the log has, or the log what the database has."""
        newest = self.database.newest_indexed()
        if newest is not None and newest[0] >= self.size:
            raise Refused(
                f"The database knows leaf {newest[0]}, the log's files end before it with {self.size} leaves: they and "
                "the sealer's directory were set back. Bring the newest ones back, or make them again from the "
                "database: manage.py seal --rebuild-files"
            )
        leaves = {entry.number: entry.leaf for entry in tail if not self._restore.has_lost(entry.number)}
        stored = self.database.commitments([leaf.event for leaf in leaves.values()])
        for number, leaf in leaves.items():
            if stored.get(leaf.event, b"").hex() != leaf.commitment:
                what = "has another content" if leaf.event in stored else "is gone"
                raise Refused(
                    f"The database is not the one that was sealed: leaf {number} names event {leaf.event} "
                    f"({leaf.kind}, {leaf.time}), which {what}. If a backup was restored, say so: "
                    'manage.py seal --after-restore "who and why"'
                )
        after = self._next_after(tail)[0]
        if self.database.oldest_transaction() <= after:
            raise Refused(
                f"The database numbers its transactions from below {after} again, where the log stands: it is a copy "
                'in another server. Say so: manage.py seal --after-restore "who and why"'
            )

    def _next_after(self, tail: Sequence[Entry]) -> tuple[int, int]:
        """(transaction, event) of the last leaf, unless a restore has begun the numbers anew since."""
        if self.size <= self._restore.size + self._restore.count:
            return (0, 0)
        last = tail[-1].leaf
        return (last.transaction, last.event)

    def _publish_again(self, note: str) -> None:
        if self.files.last() != note:
            self.files.remember(note)
        if log_files.newest_kept(self.log, self.signer.verifier) != note:
            log_files.keep(self.log, note, at=datetime.now(UTC))
        if log_files.published(self.log) != note:
            log_files.publish(self.log, note)

    def _index_missing(self) -> None:
        newest = self.database.newest_indexed()
        batch: list[Entry] = []
        for number, data in Folder(self.log, self.size).entries(newest[0] + 1 if newest else 0):
            if not self._restore.has_lost(number):
                batch.append(Entry(number, data))
            if len(batch) == BATCH:
                self.database.index(batch)
                batch = []
        self.database.index(batch)

    # ── one batch ────────────────────────────────────────────────────────────────────────────────────────────────

    def step(self) -> int:
        """Seal what is final by now, at most `BATCH` events; how many were. After 0 nothing has changed."""
        rows = self._next_rows()
        entries: list[Entry] = []
        for row in rows:
            try:
                entries.append(Entry(self.size + len(entries), row.leaf()))
            except (Refused, BadLeaf):
                if not entries:
                    raise
                rows = rows[: len(entries)]
                break  # what is before it can be sealed; the next step says what is wrong
        if not entries:
            return 0
        new = Checkpoint(self.signer.name, self.size + len(entries), self._append(entries))
        self._check_consistent(new)
        note = self.signer.note(new.text)
        self._remember(note)
        self._keep(note)
        self._publish(note)
        self._index(entries)
        self.size, self._root = new.size, new.root
        if self.size > self._restore.size + self._restore.count:
            self._cursor = (rows[-1].transaction, rows[-1].event)
        return len(entries)

    def _next_rows(self) -> list[Row]:
        done = self.size - self._restore.size
        if done < self._restore.count:
            return self.database.left(self._restore, done=done, limit=min(BATCH, self._restore.count - done))
        return self.database.new(after=self._cursor, floor=self._restore.floor, limit=BATCH)

    def _append(self, entries: Sequence[Entry]) -> bytes:
        return folder.append(self.log, self.size, [entry.data for entry in entries])

    def _check_consistent(self, new: Checkpoint) -> None:
        """I7, from the files alone. Raises Refused."""
        tree = Folder(self.log, new.size)
        proof = tree.consistency_proof(self.size)
        is_so = merkle.is_consistent(self.size, self._root, new.size, new.root, proof)
        if not is_so or (self.size and tree.root(self.size) != self._root):
            raise Refused(
                f"The log's files do not hold the {self.size} leaves that were signed last. Bring them back, or make "
                "them again from the database: manage.py seal --rebuild-files"
            )

    def _remember(self, note: str) -> None:
        self.files.remember(note)

    def _keep(self, note: str) -> None:
        log_files.keep(self.log, note, at=datetime.now(UTC))

    def _publish(self, note: str) -> None:
        log_files.publish(self.log, note)

    def _index(self, entries: Sequence[Entry]) -> None:
        self.database.index(entries)


def _set_back(place: str, checkpoint: Checkpoint, why: str) -> str:
    return (
        f"{place} is signed for {checkpoint.size} leaves, which the log's files do not hold ({why}): they were set "
        "back or damaged. Bring the newest ones back, or make them again from the database: "
        "manage.py seal --rebuild-files"
    )
