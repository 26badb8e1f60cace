"""Kept texts as files of an export, each with the salt that opens its commitment."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from msgspec import json

from audit import content
from audit.models import Content
from audit.tlog import blobs

_AT_ONCE = 200
"""Texts in memory; one has 256 KiB at most."""


def named_in(line: bytes) -> Iterator[str]:
    """The ids of the texts that an event's line names."""
    said = json.decode(json.decode(line)["content"])
    return (named.id for named in blobs.named(said))


def write(into: Path, ids: set[str]) -> int:
    """One file per text; one that is gone says why. Returns how many files there are."""
    into.mkdir()
    ordered = sorted(ids)
    count = 0
    for at in range(0, len(ordered), _AT_ONCE):
        rows = list(Content.objects.filter(pk__in=ordered[at : at + _AT_ONCE]))
        found = {row.pk: content.salted(row) for row in rows}
        gone = content.open_all(row for row in rows if found[row.pk] is None)
        for row in rows:
            opened = _opened(found[row.pk]) or _gone(gone[row.pk])
            said = {
                "id": str(row.pk),
                "kind": row.kind,
                "commitment": bytes(row.commitment).hex(),
                "size": row.size,
            }
            (into / f"{row.pk}.json").write_bytes(json.encode({**said, **opened}) + b"\n")
            count += 1
    return count


def _opened(found: tuple[bytes, bytes] | None) -> dict[str, Any]:
    if found is None:
        return {}
    salt, body = found
    try:
        return {"salt": salt.hex(), "body": body.decode()}
    except UnicodeDecodeError:
        return {"salt": salt.hex(), "body_base64": base64.b64encode(body).decode()}


def _gone(found: bytes | content.Gone) -> dict[str, Any]:
    """A key that came back between the two looks makes it unreadable this once."""
    if isinstance(found, content.Gone):
        return {"gone": found.why, "gone_at": found.at}
    return {"gone": "unreadable", "gone_at": None}
