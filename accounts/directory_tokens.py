"""Tokens of the company's directory: `csdir_<secret>_<checksum>`. Pure.

As agents' credentials: the prefix lets a scanner recognise a leak, the checksum (CRC-32, base 62) lets garbage be
refused without a database hit, the secret has 40 base-62 characters = 238 bits. The prefix is another one, so neither
kind of token is ever looked up at the other's door."""

import hashlib
import secrets
import string
import zlib

PREFIX = "csdir"
_ALPHABET = string.digits + string.ascii_letters
_SECRET_LENGTH = 40
_CHECKSUM_LENGTH = 6


def new() -> str:
    """A new token, to be shown once; only its `digest` is kept."""
    body = f"{PREFIX}_{''.join(secrets.choice(_ALPHABET) for _ in range(_SECRET_LENGTH))}"
    return f"{body}_{_checksum(body)}"


def digest(text: str) -> bytes:
    """SHA-256 of the whole token, the only form that is stored."""
    return hashlib.sha256(text.encode()).digest()


def is_well_formed(text: str) -> bool:
    """Whether prefix, lengths, alphabet and checksum fit; says nothing about whether it is known."""
    if not text.isascii() or len(text) > 100:
        return False
    body, _, checksum = text.rpartition("_")
    prefix, _, secret = body.partition("_")
    return (
        prefix == PREFIX
        and len(secret) == _SECRET_LENGTH
        and secret.isalnum()
        and secrets.compare_digest(checksum, _checksum(body))
    )


def _checksum(body: str) -> str:
    number, digits = zlib.crc32(body.encode()), ""
    for _ in range(_CHECKSUM_LENGTH):
        number, rest = divmod(number, 62)
        digits = _ALPHABET[rest] + digits
    return digits
