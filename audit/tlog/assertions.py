"""An approval signed with a passkey: a WebAuthn assertion whose challenge is SHA-256(digest ‖ nonce). Pure.

The server checks with this when the approval is given, every page that shows it does so again, and so does the verifier
of an export. The digest are the 32 bytes behind `sha256:` of the approved revision; an event says bytes in base64url
without padding (RFC 4648 §5), as WebAuthn does."""

import base64
import binascii
import hashlib
import ipaddress
import json
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from audit.tlog import cose
from audit.tlog.cose import BadKey

NONCE = 32
"""Bytes that the server draws for each challenge."""
LONGEST = 1500
"""Bytes of each part; an authenticator that adds extensions stays far below."""
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
_TEXT = re.compile(r"[A-Za-z0-9_-]*")
_PRESENT, _VERIFIED, _CREDENTIAL, _EXTENSIONS = 0x01, 0x04, 0x40, 0x80
_HEAD = 37
"""Bytes of authenticator data before anything optional: RP ID hash (32), flags (1), counter (4)."""
_PARTS = ("credential", "key", "nonce", "authenticator_data", "client_data", "signature")


class BadAssertion(ValueError):
    """Its text says, as a sentence, what does not hold."""


@dataclass(frozen=True, slots=True)
class Assertion:
    """What proves one approval. `key` is the passkey's public key (COSE) as it was registered, `origin` the address at
    which the person signed; the rest is as the authenticator gave it."""

    credential: bytes
    key: bytes
    nonce: bytes
    origin: str
    authenticator_data: bytes
    client_data: bytes
    signature: bytes

    @classmethod
    def read(cls, said: object) -> "Assertion":
        """As an event tells it. Raises BadAssertion."""
        if not isinstance(said, dict):
            raise BadAssertion("The signature is no object.")
        origin = said.get("origin")
        if not isinstance(origin, str):
            raise BadAssertion("The signature lacks its origin.")
        parts = {name: bytes_of(said.get(name), name) for name in _PARTS}
        return cls(origin=origin, **parts)

    def said(self) -> dict[str, str]:
        """As an event tells it."""
        return {**{name: text_of(getattr(self, name)) for name in _PARTS}, "origin": self.origin}

    @property
    def counter(self) -> int:
        """How often the authenticator says to have signed; 0 where it does not count."""
        return int.from_bytes(self.authenticator_data[33:_HEAD])

    @property
    def key_sha256(self) -> str:
        """By which the registration of a passkey names its key, in hexadecimal."""
        return hashlib.sha256(self.key).hexdigest()


def text_of(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def bytes_of(text: object, name: str) -> bytes:
    """Strict: no padding, no other signs, not longer than any such part is. Raises BadAssertion."""
    if not isinstance(text, str) or not text:
        raise BadAssertion(f"The signature lacks its {name.replace('_', ' ')}.")
    if len(text) > LONGEST * 4 // 3 + 4 or not _TEXT.fullmatch(text):
        raise BadAssertion(f"The signature's {name.replace('_', ' ')} cannot be read.")
    try:
        found = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (ValueError, binascii.Error) as error:
        raise BadAssertion(f"The signature's {name.replace('_', ' ')} cannot be read.") from error
    if text_of(found) != text:
        raise BadAssertion(f"The signature's {name.replace('_', ' ')} is written in an unusual way.")
    return found


def challenge(digest: str, nonce: bytes) -> bytes:
    """SHA-256 over the digest's 32 bytes and the nonce. Raises BadAssertion where the digest is none."""
    found = _DIGEST.fullmatch(digest)
    if found is None:
        raise BadAssertion("What was approved has no digest.")
    return hashlib.sha256(bytes.fromhex(found[1]) + nonce).digest()


def host_of(origin: str) -> str:
    """The RP ID that belongs to an address at which passkeys work: its host. Raises BadAssertion."""
    try:
        parts = urlsplit(origin)
        host = parts.hostname or ""
        exact = f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port is not None else "")
    except ValueError as error:
        raise BadAssertion("The origin is no address.") from error
    if exact != origin or not host or parts.scheme not in ("https", "http"):
        raise BadAssertion("The origin is no address.")
    if parts.scheme == "http" and host != "localhost" and not host.endswith(".localhost"):
        raise BadAssertion("The origin is an address without TLS, where no browser signs with a passkey.")
    if _is_number(host):
        raise BadAssertion("The origin is an IP address, at which no browser signs with a passkey.")
    return host


def _is_number(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def check(assertion: Assertion, digest: str) -> None:
    """That the holder of this passkey, verified by it, signed exactly this digest with this nonce at this origin.

    Whose the key is, and whether the nonce was used before, the caller has to know. Raises BadAssertion."""
    if len(assertion.nonce) < 16:
        raise BadAssertion("The nonce is too short.")
    _check_client_data(assertion, challenge(digest, assertion.nonce))
    _check_authenticator_data(assertion)
    signed = assertion.authenticator_data + hashlib.sha256(assertion.client_data).digest()
    try:
        is_authentic = cose.fits(assertion.key, signed, assertion.signature)
    except BadKey as error:
        raise BadAssertion(str(error)) from error
    if not is_authentic:
        raise BadAssertion("The signature is not by the passkey's key, or over something else.")


def _check_client_data(assertion: Assertion, expected: bytes) -> None:
    try:
        said = json.loads(assertion.client_data, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise BadAssertion("What the browser says it was for cannot be read.") from error
    if not isinstance(said, dict) or said.get("type") != "webauthn.get":
        raise BadAssertion("What was signed is no assertion of a passkey.")
    if said.get("challenge") != text_of(expected):
        raise BadAssertion("The challenge is not SHA-256 of this digest and this nonce.")
    if said.get("origin") != assertion.origin:
        raise BadAssertion("It was signed at another address.")
    if said.get("crossOrigin", False) is not False:
        raise BadAssertion("It was signed inside another site's page.")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands there twice")
    return found


def _check_authenticator_data(assertion: Assertion) -> None:
    data = assertion.authenticator_data
    if len(data) < _HEAD:
        raise BadAssertion("What the authenticator says breaks off.")
    flags = data[32]
    if data[:32] != hashlib.sha256(host_of(assertion.origin).encode()).digest():
        raise BadAssertion("The passkey signed for another site.")
    if not flags & _PRESENT:
        raise BadAssertion("Nobody was present when the passkey signed.")
    if not flags & _VERIFIED:
        raise BadAssertion("The passkey did not verify who used it.")
    if len(data) > _HEAD and not flags & (_CREDENTIAL | _EXTENSIONS):
        raise BadAssertion("Something follows what the authenticator says.")
