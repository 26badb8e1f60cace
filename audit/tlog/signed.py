"""What was signed about a log: its checkpoints, and the timestamps and cosignatures under them. Pure.

Everything here ends in claims, "a tree of this size has this root", which verify.py compares with the leaves."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

from cryptography import x509

from audit.tlog import leaves, notes, timestamps
from audit.tlog.findings import Findings, shown

_NOTE = re.compile(r"((?:[^\n]+\n)+)\n((?:— [^\n]+\n)+)")
_LONGEST_FILE = 1 << 30


@dataclass(frozen=True, slots=True)
class Claim:
    """`check` is the kind of finding that it becomes where the leaves say otherwise, `where` tells a person."""

    size: int
    root: bytes
    check: str
    where: str


@dataclass(slots=True)
class Read:
    """`times` are (size, time) that an outsider vouched for, `names` who they were."""

    findings: Findings = field(default_factory=Findings)
    claims: list[Claim] = field(default_factory=list)
    times: list[tuple[int, str]] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    unknown: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class File:
    """A file of checkpoints and the keys that may have signed it."""

    path: Path
    name: str
    keys: tuple[notes.Verifier, ...]
    check: str = "history"


@dataclass(frozen=True, slots=True)
class Anchors:
    """Timestamps or cosignatures of these sizes. `roots` is PEM, None where nobody is to be believed."""

    path: Path
    sizes: tuple[int, ...]
    keys: tuple[notes.Verifier, ...] = ()
    roots: bytes | None = None


def one(note: str, keys: Sequence[notes.Verifier]) -> notes.Checkpoint:
    """Raises BadNote for a text of other than three lines too: this log writes no extensions."""
    found = notes.opened(note, *keys)
    if found.text != notes.split(note)[0]:
        raise notes.BadNote("a checkpoint of this log has exactly three lines")
    return found


def checkpoints(file: File) -> Read:
    """All notes of one file, in the order in which they were signed."""
    result = Read()
    try:
        with file.path.open("rb") as stream:
            text = stream.read(_LONGEST_FILE).decode()
    except (OSError, UnicodeDecodeError) as error:
        result.findings.add(file.check, f"The file {file.name} cannot be read.", error, "signed checkpoints")
        return result
    at, last = 0, 0
    while at < len(text):
        match = _NOTE.match(text, at)
        if match is None:
            line = text.count("\n", 0, at) + 1
            result.findings.add(
                file.check, f"In {file.name}, line {line}, no checkpoint begins.", text[at : at + 60]
            )
            break
        at = match.end()
        try:
            found = one(match[0], file.keys)
        except notes.BadNote as error:
            size = shown(match[1].split("\n")[1:2])
            result.findings.add(
                file.check, f"In {file.name}, the checkpoint of size {size} is not signed.", error
            )
            continue
        where = f"the checkpoint of {found.size} leaves in {file.name}"
        if found.size < last:
            text_ = f"In {file.name}, a smaller checkpoint follows a larger one."
            result.findings.add(file.check, text_, found.size, f"at least {last}")
        last = found.size
        result.claims.append(Claim(found.size, found.root, file.check, where))
    return result


def stamps(wanted: Anchors) -> Read:
    """timestamps/<size>.tsr with the text that it is for."""
    result = Read()
    roots = x509.load_pem_x509_certificates(wanted.roots) if wanted.roots is not None else None
    for size in wanted.sizes:
        name = f"timestamps/{size}.tsr"
        try:
            text = (wanted.path / f"timestamps/{size}.txt").read_bytes()
            response = (wanted.path / name).read_bytes()
            found = notes.checkpoint(text.decode())
            if found.size != size or found.text.encode() != text:
                raise notes.BadNote("it is not the text of a checkpoint of that size")
            stamp = timestamps.check(response, text, roots)
        except (OSError, ValueError) as error:
            result.findings.add(
                "timestamp", f"The timestamp {name} does not hold.", error, "a token for its text"
            )
            continue
        where = f"the checkpoint in {name} (stamped at {stamp.time:%Y-%m-%d %H:%M:%S} UTC)"
        result.claims.append(Claim(size, found.root, "timestamp", where))
        result.names.add(shown(stamp.authority))
        result.times.append((size, leaves.written(stamp.time)))
    return result


def cosignatures(wanted: Anchors) -> Read:
    """cosignatures/<size>: lines of the witnesses whose keys are known have to be right, others are named."""
    result = Read()
    for size in wanted.sizes:
        name = f"cosignatures/{size}"
        try:
            text, lines = notes.split((wanted.path / name).read_bytes().decode())
            found = notes.checkpoint(text)
            if found.size != size or found.text != text:
                raise notes.BadNote("it is not the text of a checkpoint of that size")
            signed = [(line, notes.check_line(text, line, *wanted.keys)) for line in lines]
        except (OSError, ValueError) as error:
            result.findings.add(
                "cosignature", f"The file {name} does not hold.", error, "a cosigned checkpoint"
            )
            continue
        known = [signature for _, signature in signed if signature is not None]
        for signature in known:
            result.names.add(shown(signature.name))
            if signature.time is not None:
                result.times.append((size, _written(signature.time)))
        result.unknown |= {shown(line.split(" ")[1]) for line, signature in signed if signature is None}
        by = "signed by a witness you know" if known else "signed by nobody you know"
        result.claims.append(Claim(size, found.root, "cosignature", f"the checkpoint in {name} ({by})"))
    return result


def _written(seconds: int) -> str:
    try:
        return leaves.written(datetime.fromtimestamp(seconds, timezone.utc))  # noqa: UP017 - 3.10
    except (ValueError, OverflowError, OSError):
        return ""


def sizes_in(folder: Path, suffix: str = "") -> list[int]:
    """The tree sizes that files in here are named by."""
    names = [file.name.removesuffix(suffix) for file in folder.glob(f"*{suffix}")] if folder.is_dir() else []
    return sorted(int(name) for name in names if name.isascii() and name.isdigit() and len(name) < 19)


def fingerprint(key: notes.Verifier) -> str:
    """What two people read to each other over the telephone: SHA-256 over the 32 bytes of the key."""
    digest = hashlib.sha256(key.public).hexdigest()
    return " ".join(digest[at : at + 8] for at in range(0, 64, 8))
