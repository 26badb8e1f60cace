"""The log's folder as the pages read it: newest checkpoint, key, timestamps. Nothing is written here."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from audit.tlog import folder, notes


class NotReadable(Exception):
    """What is wrong with the log's files, in a sentence for a person."""


@dataclass(frozen=True, slots=True)
class OpenLog:
    """The log at its newest checkpoint, whose signature by the log's key has been checked."""

    path: Path
    key: notes.Verifier
    note: str
    checkpoint: notes.Checkpoint
    folder: folder.Folder

    @property
    def vkey(self) -> str:
        return str(self.key)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the 32 bytes of the public key, to be compared over another channel."""
        return hashlib.sha256(self.key.public).hexdigest()

    @property
    def root(self) -> str:
        return self.checkpoint.root.hex()


def opened(path: Path) -> OpenLog:
    """Raises NotReadable where a file is missing, or the checkpoint is not signed by the key beside it."""
    try:
        vkey, note = (path / "key").read_text(), (path / "checkpoint").read_text()
    except FileNotFoundError as error:
        name = Path(str(error.filename)).name
        raise NotReadable(f"The log's files are not on this host: {name} is missing.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise NotReadable(f"The log's files cannot be read: {error}") from error
    try:
        key = notes.verifier(vkey)
        checkpoint = notes.opened(note, key)
    except notes.BadNote as error:
        raise NotReadable(f"The newest checkpoint does not hold: {error}.") from error
    return OpenLog(path, key, note, checkpoint, folder.Folder(path, checkpoint.size))


def earliest(log: OpenLog) -> notes.Checkpoint | None:
    """The oldest checkpoint that is kept in the folder and signed by the key, None where none is kept.

    Raises NotReadable for one that does not hold."""
    days = sorted((log.path / "checkpoints").glob("????-??-??"))
    if not days:
        return None
    lines: list[str] = []
    with days[0].open() as file:
        for line in file:
            if lines and lines[-1].startswith("— ") and not line.startswith("— "):
                break
            lines.append(line)
    try:
        return notes.opened("".join(lines), log.key)
    except notes.BadNote as error:
        raise NotReadable(f"The first checkpoint of {days[0].name} does not hold: {error}.") from error


@dataclass(frozen=True, slots=True)
class Stamped:
    """A timestamp file in the folder: for how many leaves, and when it was put there."""

    size: int
    at: datetime


def timestamps(path: Path) -> list[Stamped]:
    """Newest first. Whether a timestamp holds is what `audit_verify` checks, against the authority's roots."""
    found = [file for file in (path / "timestamps").glob("*.tsr") if file.stem.isdigit()]
    stamped = [Stamped(int(file.stem), datetime.fromtimestamp(file.stat().st_mtime, UTC)) for file in found]
    return sorted(stamped, key=lambda one: -one.size)
