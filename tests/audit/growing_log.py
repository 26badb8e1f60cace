"""A log in a folder as the sealer writes it, for tests of everybody who only reads it."""

from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit import log_files
from audit.tlog import folder, notes

ORIGIN = "log.example/log"
DAY = datetime(2026, 1, 2, tzinfo=UTC)


class GrowingLog:
    """`mark` makes other leaves than those of a log with another mark."""

    def __init__(self, path: Path, *, key: Ed25519PrivateKey | None = None, mark: str = "") -> None:
        self.path = path
        self.signer = notes.Signer(ORIGIN, key or Ed25519PrivateKey.generate())
        self.size = 0
        self.mark = mark
        folder.write(path / "key", f"{self.signer.verifier}\n".encode())

    def grow(self, count: int, *, mark: str | None = None) -> str:
        """Append so many leaves, sign and publish; returns the note."""
        mark = self.mark if mark is None else mark
        entries = [f'{{"leaf":{self.size + at},"mark":"{mark}"}}'.encode() for at in range(count)]
        root = folder.append(self.path, self.size, entries)
        self.size += count
        note = self.signer.note(notes.Checkpoint(ORIGIN, self.size, root).text)
        log_files.keep(self.path, note, at=DAY)
        log_files.publish(self.path, note)
        return note

    @property
    def note(self) -> str:
        return (self.path / "checkpoint").read_text()

    @property
    def text(self) -> str:
        return notes.split(self.note)[0]
