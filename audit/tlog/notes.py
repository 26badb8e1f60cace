"""Signed notes, checkpoints and cosignatures: C2SP signed-note, tlog-checkpoint, tlog-cosignature. Ed25519 only.

A note is a text that ends in a newline, an empty line, and signature lines `— <name> <base64>`."""

import base64
import binascii
import hashlib
import re
import struct
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

SIGNED_NOTE = 1
COSIGNATURE = 4
"""Kinds of key: who signs the note itself, and a witness, whose signature carries its time."""

_SIGNATURE_LINE = re.compile(r"— (\S+) ([A-Za-z0-9+/]+=*)\Z")
_NAME = re.compile(r"[^\s+]+\Z")


class BadNote(ValueError):
    """Its text says, for a person, what is wrong with the note or key."""


@dataclass(frozen=True, slots=True)
class Verifier:
    """A name with its public key, written as `name+hash+base64` (a "vkey")."""

    name: str
    public: bytes
    kind: int = SIGNED_NOTE

    @property
    def key_id(self) -> bytes:
        """Four bytes that lead from a signature line to its key."""
        named = self.name.encode() + b"\n" + bytes([self.kind]) + self.public
        return hashlib.sha256(named).digest()[:4]

    def __str__(self) -> str:
        key = base64.b64encode(bytes([self.kind]) + self.public).decode()
        return f"{self.name}+{self.key_id.hex()}+{key}"


def verifier(vkey: str) -> Verifier:
    """Read a vkey. Raises BadNote."""
    name, _, rest = vkey.strip().partition("+")
    key_id, _, key = rest.partition("+")
    try:
        raw = base64.b64decode(key, validate=True)
    except binascii.Error as error:
        raise BadNote(f"the key {name!r} is not base64") from error
    if not _NAME.match(name) or len(raw) != 33 or raw[0] not in (SIGNED_NOTE, COSIGNATURE):
        raise BadNote("a public key reads name+hash+key, with an Ed25519 key for notes or cosignatures")
    found = Verifier(name, raw[1:], raw[0])
    if found.key_id.hex() != key_id:
        raise BadNote(f"the key {name!r} was mistyped: its hash is {found.key_id.hex()}, not {key_id}")
    return found


@dataclass(frozen=True, slots=True)
class Signer:
    """A private key with its name. `kind` decides what its signature covers."""

    name: str
    private: Ed25519PrivateKey
    kind: int = SIGNED_NOTE

    @property
    def verifier(self) -> Verifier:
        public = self.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return Verifier(self.name, public, self.kind)

    def line(self, text: str, *, time: int = 0) -> str:
        """The signature line over a note's text; `time` (seconds since the epoch) is a witness's only."""
        stamp = struct.pack(">Q", time) if self.kind == COSIGNATURE else b""
        signature = self.private.sign(_signed(text, self.kind, time))
        return f"— {self.name} {base64.b64encode(self.verifier.key_id + stamp + signature).decode()}\n"

    def note(self, text: str) -> str:
        """The text with this one signature."""
        return f"{_checked(text)}\n{self.line(text)}"


@dataclass(frozen=True, slots=True)
class Signature:
    """One line that was checked: by whom, and for a witness when (seconds since the epoch)."""

    name: str
    time: int | None


def split(note: str) -> tuple[str, list[str]]:
    """A note's text and its signature lines, unchecked. Raises BadNote."""
    text, gap, signatures = note.rpartition("\n\n")
    lines = [f"{line}\n" for line in signatures.split("\n")[:-1]]
    if not gap or not lines or not signatures.endswith("\n"):
        raise BadNote("there is no signature below the text")
    return text + "\n", lines


def check(note: str, *known: Verifier) -> tuple[str, list[Signature]]:
    """The text and who of the known ones signed it.

    Raises BadNote where none did, or where a signature in a known one's name is wrong. Lines of others are passed over,
    as the format wants."""
    text, lines = split(note)
    found = [signature for line in lines if (signature := check_line(text, line, *known))]
    if not found:
        raise BadNote("no known key signed it")
    return text, found


def check_line(text: str, line: str, *known: Verifier) -> Signature | None:
    """None for somebody unknown. Raises BadNote for a wrong signature."""
    parts = _SIGNATURE_LINE.match(line.removesuffix("\n"))
    if parts is None:
        raise BadNote(f"this is no signature line: {line.strip()[:80]!r}")
    try:
        raw = base64.b64decode(parts[2], validate=True)
    except binascii.Error as error:
        raise BadNote(f"the signature of {parts[1]!r} is not base64") from error
    for key in known:
        if key.name == parts[1] and raw[:4] == key.key_id:
            return _check_signature(text, raw[4:], key)
    return None


def _check_signature(text: str, raw: bytes, key: Verifier) -> Signature:
    time: int | None = None
    if key.kind == COSIGNATURE:
        if len(raw) != 72:
            raise BadNote(f"the cosignature of {key.name!r} has {len(raw)} bytes, not 72")
        time, raw = struct.unpack(">Q", raw[:8])[0], raw[8:]
    try:
        Ed25519PublicKey.from_public_bytes(key.public).verify(raw, _signed(text, key.kind, time or 0))
    except InvalidSignature as error:
        raise BadNote(f"the signature of {key.name!r} does not fit the text") from error
    return Signature(key.name, time)


def _signed(text: str, kind: int, time: int) -> bytes:
    prefix = f"cosignature/v1\ntime {time}\n" if kind == COSIGNATURE else ""
    return (prefix + text).encode()


def _checked(text: str) -> str:
    if not text.endswith("\n") or any(ord(sign) < 32 and sign != "\n" for sign in text):
        raise BadNote("a note's text ends in a newline and holds no control characters")
    return text


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One state of one log: how many leaves, and the root over them."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def checkpoint(text: str) -> Checkpoint:
    """Read a checkpoint's text; further lines are extensions and are kept out. Raises BadNote."""
    lines = text.split("\n")
    try:
        origin, size, root = lines[:3]
        count, digest = int(size), base64.b64decode(root, validate=True)
    except ValueError as error:
        raise BadNote("a checkpoint has three lines: origin, number of leaves, root in base64") from error
    if not origin or str(count) != size or count < 0 or len(digest) != 32:
        raise BadNote("a checkpoint has an origin, a plain number of leaves and a root of 32 bytes")
    return Checkpoint(origin, count, digest)


def opened(note: str, *known: Verifier) -> Checkpoint:
    """The checkpoint of a note that a known key signed. Raises BadNote."""
    text, _ = check(note, *known)
    return checkpoint(text)
