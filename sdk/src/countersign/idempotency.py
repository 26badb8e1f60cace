"""Keys by which the server knows a repeat: the same key and content is the same proposal, however often it comes."""

from __future__ import annotations

import hashlib
import uuid

MAX_LENGTH = 200


def new_key() -> str:
    """For one call that nobody will repeat but this client itself."""
    return uuid.uuid4().hex


def stable_key(*parts: str) -> str:
    """The same for the same parts in every process, such as a thread's id and a tool call's id.

    The parts' lengths go in, so that ("ab", "c") and ("a", "bc") are two keys."""
    if not parts or not all(isinstance(part, str) for part in parts):
        raise TypeError("stable_key takes one or more texts")
    told = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        told.update(len(data).to_bytes(8, "big") + data)
    return f"k1-{told.hexdigest()[:48]}"


def checked(key: str | None) -> str:
    """The key, or a new one for None. Raises `ValueError` for one that no header can carry."""
    if key is None:
        return new_key()
    if not 1 <= len(key) <= MAX_LENGTH or not key.isascii() or not key.isprintable() or key != key.strip():
        raise ValueError(
            f"A key has 1 to {MAX_LENGTH} printable ASCII characters: make one with countersign.stable_key(...)"
        )
    return key
