"""The sealer's own directory: key, name of the log, the last checkpoint it signed, what it was told of restores.

It stands outside the database and apart from the log, so that neither can be set back without contradicting it. One
host's sealers share it (or several hosts', where it is on shared storage that knows `flock`): the lock in it is held
by whoever writes the log's files. Nobody but the sealer reads the key. No Django in here."""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from audit.tlog import folder
from audit.tlog.notes import Signer

PATIENCE = 30.0
"""Seconds that a command waits for a sealer to step aside."""

Ranges = tuple[tuple[int, int], ...]
"""Numbers as (first, last), both included, in rising order."""


class Refused(Exception):
    """The sealer must not go on: its text says what contradicts what, and the remedy."""


@dataclass(frozen=True, slots=True)
class Restore:
    """What the sealer was told of restored databases: the latest in full, the lost leaves of all of them.

    `size` is the number of leaves when it was told. The `count` events in `left` (ids) had no leaf then and come first;
    after them only events above `floor` are new. Leaves in `lost` (numbers) name events that no database has."""

    size: int = 0
    floor: int = 0
    left: Ranges = ()
    count: int = 0
    lost: Ranges = ()

    def has_lost(self, number: int) -> bool:
        return any(first <= number <= last for first, last in self.lost)


@dataclass(frozen=True, slots=True)
class SealerFiles:
    """Reading and writing the directory; every write is whole or not there, and on the disk when it returns."""

    path: Path

    def signer(self, origin: str, *, log_exists: bool) -> Signer:
        """The log's key under the log's name, both made at the first start and kept for ever.

        Raises Refused where a log is there already whose key is gone: a new key would be a new log."""
        if not self._key.exists():
            if log_exists:
                raise Refused(
                    f"The log is there, but its key is not: {self._key} is missing. Bring the sealer's directory back "
                    "from its backup; a log cannot go on under another key."
                )
            self._make(origin)
        private = load_pem_private_key(self._key.read_bytes(), password=None)
        if not isinstance(private, Ed25519PrivateKey):
            raise Refused(f"{self._key} holds no Ed25519 key.")
        return Signer((self.path / "origin").read_text(encoding="ascii").strip(), private)

    def _make(self, origin: str) -> None:
        self.create()
        if not (self.path / "origin").exists():
            folder.write(self.path / "origin", f"{origin}\n".encode("ascii"))
        pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        draft = self.path / ".key.new"
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._key)
        flush_directory(self.path)

    def last(self) -> str | None:
        """The note signed last; None before the first."""
        try:
            return (self.path / "last").read_text(encoding="utf-8")
        except FileNotFoundError:
            return None

    def remember(self, note: str) -> None:
        """Before it is published: what others may have seen must be known here."""
        folder.write(self.path / "last", note.encode())

    def restore(self) -> Restore:
        try:
            values = json.loads((self.path / "state").read_text(encoding="ascii"))
        except FileNotFoundError:
            return Restore()
        except ValueError as error:
            raise Refused(f"{self.path / 'state'} cannot be read ({error}). Bring it back.") from error
        left, lost = (tuple((int(low), int(high)) for low, high in values[name]) for name in ("left", "lost"))
        return Restore(int(values["size"]), int(values["floor"]), left, int(values["count"]), lost)

    def tell(self, restore: Restore) -> None:
        folder.write(self.path / "state", json.dumps(asdict(restore), indent=1).encode())

    @contextmanager
    def locked(self) -> Iterator[bool]:
        """Whether this process now is the one that may write; False where another one is."""
        self.create()
        with (self.path / "lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep every sealer away; one that refuses to go on leaves the lock every few seconds. Raises Refused."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            with self.locked() as is_mine:
                if is_mine:
                    yield
                    return
            time.sleep(0.05)
        raise Refused("A sealer is at work and finds nothing wrong. Stop it first if you mean to go on.")

    def create(self) -> None:
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)

    @property
    def _key(self) -> Path:
        return self.path / "key"


def flush_directory(path: Path) -> None:
    """A new name is on the disk only after this."""
    directory = os.open(path, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def ranges(numbers: list[int]) -> Ranges:
    """Rising numbers, neighbours joined."""
    found: list[tuple[int, int]] = []
    for number in numbers:
        if found and found[-1][1] == number - 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return tuple(found)
