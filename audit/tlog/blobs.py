"""Kept texts (prompts, outputs, …) of an export against the commitments that events seal. Pure."""

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from audit.tlog.findings import Findings, shown

_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
GONE = ("retention", "erased", "unreadable")
"""Why a text may lawfully be absent; its commitment stays sealed."""


@dataclass(frozen=True, slots=True)
class Named:
    """A piece of content as an event names it; `commitment` is hexadecimal SHA-256(salt ‖ body)."""

    id: str
    commitment: str
    size: int


def named(said: object) -> Iterator[Named]:
    """Every {"content": id, "commitment": …, "size": …} in an event's content, however deep."""
    pending = [said]
    while pending:
        value = pending.pop()
        if isinstance(value, list):
            pending += value
        elif isinstance(value, dict):
            found, commitment, size = value.get("content"), value.get("commitment"), value.get("size")
            if (
                isinstance(found, str)
                and isinstance(commitment, str)
                and isinstance(size, int)
                and _ID.fullmatch(found)
            ):
                yield Named(found, commitment, size)
            pending += value.values()


def check(path: Path, wanted: Named, event: str, findings: Findings) -> bool:
    """Hash one blob. True where it is said to be gone for a reason, which is no fault."""
    name = f"content/{wanted.id}.json"
    try:
        blob = json.loads((path / name).read_bytes())
        if blob.get("gone") in GONE and "body" not in blob and "body_base64" not in blob:
            return True
        body = (
            blob["body"].encode() if "body" in blob else base64.b64decode(blob["body_base64"], validate=True)
        )
        salt = bytes.fromhex(blob["salt"])
    except OSError:
        findings.add(
            "content", f"The content {wanted.id}, named by {event}, is not here.", "no such file", name
        )
        return False
    except (ValueError, TypeError, KeyError, AttributeError, binascii.Error, RecursionError) as error:
        findings.add("content", f"The content {wanted.id}, named by {event}, cannot be read.", repr(error))
        return False
    digest = hashlib.sha256(salt + body).hexdigest()
    if digest != wanted.commitment or len(body) != wanted.size:
        found, expected = f"{digest} ({len(body)} bytes)", f"{wanted.commitment} ({wanted.size} bytes)"
        findings.add("content", f"The content {wanted.id}, named by {event}, was exchanged.", found, expected)
    return False


def unnamed(path: Path, contents: set[str], findings: Findings) -> int:
    """How many blobs there are; one that no event names is told."""
    count = 0
    for file in sorted((path / "content").glob("*.json")):
        count += 1
        if file.stem not in contents:
            findings.add("content", f"The content {shown(file.stem)} is named by no event of this export.")
    return count
