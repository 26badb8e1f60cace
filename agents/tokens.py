"""Credential tokens: `csgn_<key id>_<secret>_<checksum>`. Pure.

The prefix lets a scanner recognise a leak, the checksum (CRC-32, base 62) lets garbage be refused without a
database hit, the secret has 32 base-62 characters = 190 bits (DESIGN.md §4 asks for ≥ 178)."""

import hashlib
import secrets
import string
import zlib
from dataclasses import dataclass

PREFIX = "csgn"
_ALPHABET = string.digits + string.ascii_letters
_KEY_ID_LENGTH = 12
_SECRET_LENGTH = 32
_CHECKSUM_LENGTH = 6


@dataclass(frozen=True, slots=True)
class Token:
    """A new token: `text` is shown once, `key_id` and `digest` (SHA-256) are stored."""

    text: str
    key_id: str
    digest: bytes


def new() -> Token:
    key_id, secret = _random(_KEY_ID_LENGTH), _random(_SECRET_LENGTH)
    body = f"{PREFIX}_{key_id}_{secret}"
    text = f"{body}_{_checksum(body)}"
    return Token(text, key_id, digest(text))


def digest(text: str) -> bytes:
    """SHA-256 of the whole token, the only form that is stored."""
    return hashlib.sha256(text.encode()).digest()


def is_well_formed(text: str) -> bool:
    """Whether prefix, lengths, alphabet and checksum fit; says nothing about whether it is known."""
    if not text.isascii():
        return False
    body, _, checksum = text.rpartition("_")
    parts = body.split("_")
    return (
        len(parts) == 3
        and parts[0] == PREFIX
        and len(parts[1]) == _KEY_ID_LENGTH
        and len(parts[2]) == _SECRET_LENGTH
        and (parts[1] + parts[2]).isalnum()
        and secrets.compare_digest(checksum, _checksum(body))
    )


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def _checksum(body: str) -> str:
    number, digits = zlib.crc32(body.encode()), ""
    for _ in range(_CHECKSUM_LENGTH):
        number, rest = divmod(number, 62)
        digits = _ALPHABET[rest] + digits
    return digits
