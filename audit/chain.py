"""Pure hashing of audit content. Sealing into a Merkle tree builds on these commitments (DESIGN.md §6)."""

import hashlib
import secrets
from typing import Any

import rfc8785

SALT_BYTES = 32


def canonical(content: dict[str, Any]) -> bytes:
    """RFC 8785 bytes of an event's content.

    Raises `rfc8785.CanonicalizationError` for what JSON numbers cannot carry exactly."""
    return rfc8785.dumps(content)


def new_salt() -> bytes:
    """32 unpredictable bytes, so that a commitment to little content cannot be guessed."""
    return secrets.token_bytes(SALT_BYTES)


def commitment(salt: bytes, content: bytes) -> bytes:
    """SHA-256 of salt ‖ content: what a leaf may publish without publishing personal data."""
    return hashlib.sha256(salt + content).digest()
