"""A witness: looks at a log from outside, remembers what it saw, and cosigns only what continues it (tlog-cosignature).

It runs on a customer's machine and trusts nothing that the log's server says except the log's signatures. What it saw
is on its disk before anybody gets its signature, so a kill between any two steps forgets nothing and signs nothing
twice: one size gets one signature, ever."""

import base64
import fcntl
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from audit.tlog import folder, merkle, notes, sources
from audit.tlog.folder import Damaged
from audit.tlog.notes import BadNote, Checkpoint, Signer, Verifier
from audit.tlog.sources import Source

Publish = Callable[[int, str], None]
"""Takes the number of leaves and the cosigned note."""


class NotNow(Exception):
    """It could not look or not judge: unreachable, damaged, misconfigured. Nothing is proven; try again."""


class Contradiction(Exception):
    """The log contradicts what it signed before. Its text says how; `evidence` is the file with both notes."""

    def __init__(self, text: str, evidence: Path) -> None:
        super().__init__(text)
        self.evidence = evidence


@dataclass(frozen=True, slots=True)
class State:
    """What was seen last: the log's signed note, our line below it, and whether that was handed in."""

    note: str
    line: str
    is_published: bool


@dataclass(frozen=True, slots=True)
class Evidence:
    """What shows that a log was split or rewritten: two notes that it signed.

    Of two different sizes: `root` is the root over the older number of leaves in the tree that the newer note signs,
    and `proof` is the RFC 6962 consistency proof from there to it; a log that only grew would have the older note's.
    Base64; empty where both notes have the same size, or the later one has fewer leaves."""

    why: str
    before: str
    now: str
    root: str = ""
    proof: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Seen:
    """What one look found: how many leaves there were before and are now."""

    before: int | None
    size: int


@dataclass(frozen=True, slots=True)
class Witness:
    """One witness of one log. `directory` is its own: key, vkey, state, evidence, lock."""

    directory: Path
    log: Verifier
    signer: Signer

    def look(self, source: Source, publish: Publish, *, time: int) -> Seen:
        """Look once; `time` in seconds since the epoch. Raises NotNow, Contradiction."""
        with self._alone():
            found = self._evidence
            if found.exists():
                raise Contradiction("Something was found here before. Look into it, then move it away", found)
            last = self._last()
            try:
                note, now = self._signed(source)
                if last is not None:
                    self._check_growth(source, last, note, now)
            except (sources.Unreachable, Damaged, BadNote) as error:
                raise NotNow(str(error)) from error
            before = None if last is None else self._opened(last.note).size
            if last is None or now.size != before:
                text, _ = notes.split(note)
                last = State(note, self.signer.line(text, time=time), is_published=False)
                self._save(last)
            if not last.is_published:
                self._publish(last, publish)
            return Seen(before, now.size)

    def _signed(self, source: Source) -> tuple[str, Checkpoint]:
        note = source.read("checkpoint", sources.LONGEST_NOTE).decode(errors="replace")
        return note, self._opened(note)

    def _opened(self, note: str) -> Checkpoint:
        found = notes.opened(note, self.log)
        if found.origin != self.log.name:
            raise BadNote(f"the checkpoint is of the log {found.origin!r}, not {self.log.name!r}")
        return found

    def _check_growth(self, source: Source, last: State, note: str, now: Checkpoint) -> None:
        """That the tree of `note` begins with the tree seen last."""
        before = self._opened(last.note)
        if now.size == before.size and now.root == before.root:
            return
        if now.size < before.size:
            why = f"The log shows {now.size} leaves; it has signed {before.size} before"
            raise self._contradiction("went-back.json", Evidence(why, last.note, note))
        if now.size == before.size:
            why = f"The log has signed two different trees of {now.size} leaves"
            raise self._contradiction("evidence.json", Evidence(why, last.note, note))
        tree = sources.Fetched(source, now.size)
        root, proof = tree.root(before.size), tree.consistency_proof(before.size)
        if not merkle.is_consistent(before.size, root, now.size, now.root, proof):
            raise Damaged("the tiles do not fit the checkpoint that is signed over them")
        if root != before.root:
            why = f"The log's first {before.size} leaves are not the ones that it has signed before"
            told = Evidence(why, last.note, note, _text(root), tuple(_text(one) for one in proof))
            raise self._contradiction("evidence.json", told)

    def _contradiction(self, name: str, evidence: Evidence) -> Contradiction:
        file = self.directory / name
        folder.write(file, json.dumps(asdict(evidence), indent=1).encode())
        return Contradiction(evidence.why, file)

    def _publish(self, state: State, publish: Publish) -> None:
        text, _ = notes.split(state.note)
        try:
            publish(notes.checkpoint(text).size, f"{text}\n{state.line}")
        except (sources.Unreachable, OSError) as error:
            raise NotNow(f"Seen and signed, but not handed in: {error}") from error
        self._save(replace(state, is_published=True))

    def _last(self) -> State | None:
        """Raises NotNow where the state was changed or belongs to another log or key: better nothing than anew."""
        try:
            values = json.loads((self.directory / "state").read_text(encoding="utf-8"))
            state = State(str(values["note"]), str(values["line"]), bool(values["is_published"]))
            self._opened(state.note)
            text, _ = notes.split(state.note)
            if notes.check_line(text, state.line, self.signer.verifier) is None:
                raise BadNote("its line is by another key")
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise NotNow(f"The state in {self.directory} does not hold: {error}") from error
        return state

    def _save(self, state: State) -> None:
        folder.write(self.directory / "state", json.dumps(asdict(state), indent=1).encode())

    @property
    def _evidence(self) -> Path:
        return self.directory / "evidence.json"

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Two that run at once would both believe to know the last state."""
        with (self.directory / "lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise NotNow(f"Another one is at work in {self.directory}") from error
            yield


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def proves(data: bytes, log: Verifier) -> str | None:
    """What a file of evidence proves to anybody who has the log's public key; None where it proves nothing."""
    try:
        values: dict[str, Any] = json.loads(data)
        before, now = (notes.opened(str(values[name]), log) for name in ("before", "now"))
        root, *proof = (base64.b64decode(one, validate=True) for one in (values["root"], *values["proof"]))
    except (ValueError, KeyError, TypeError):
        return None
    if before.size == now.size and before.root != now.root:
        return f"{log.name} has signed two different trees of {now.size} leaves."
    is_authentic = merkle.is_consistent(before.size, root, now.size, now.root, proof)
    if before.size < now.size and is_authentic and root != before.root:
        return f"{log.name} has signed {now.size} leaves of which the first {before.size} are not those it signed."
    return None


def prepared(directory: Path, log: Verifier, name: str) -> Witness:
    """The witness of this directory, with a key of its own that is made once. Raises NotNow."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not (directory / "key").exists():
        _make_key(directory)
    private = load_pem_private_key((directory / "key").read_bytes(), password=None)
    if not isinstance(private, Ed25519PrivateKey):
        raise NotNow(f"{directory / 'key'} is no Ed25519 key")
    signer = Signer(name, private, notes.COSIGNATURE)
    try:
        notes.verifier(str(signer.verifier))
    except BadNote as error:
        raise NotNow(f"{name!r} is no name for a witness: it has no spaces and no +") from error
    try:
        folder.write_once(directory / "vkey", f"{signer.verifier}\n".encode())
    except Damaged as error:
        raise NotNow(f"This witness has another name or key: see {directory / 'vkey'}") from error
    return Witness(directory, log, signer)


def _make_key(directory: Path) -> None:
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    draft = directory / ".key.new"
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(pem)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(directory / "key")
