"""Grants of the fake server: really signed where cryptography is there, which whoever verifies them has."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

try:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
except ModuleNotFoundError:  # nothing can verify either
    Ed25519PrivateKey = None  # type: ignore[assignment, misc]  # the class or nothing

KID = "fake-1"


class Signer:
    """One key pair of Ed25519."""

    def __init__(self) -> None:
        self._key = Ed25519PrivateKey.generate() if Ed25519PrivateKey is not None else None

    def token(self, claims: Mapping[str, Any]) -> str:
        """A compact JWS; without cryptography its signature is nothing, and nobody can tell."""
        signed = f"{_part({'alg': 'EdDSA', 'kid': KID, 'typ': 'JWT'})}.{_part(claims)}"
        signature = self._key.sign(signed.encode()) if self._key is not None else bytes(64)
        return f"{signed}.{_base64(signature)}"

    def published(self) -> dict[str, Any]:
        """The public key as a JWKS."""
        if self._key is None:
            return {"keys": []}
        x = _base64(self._key.public_key().public_bytes_raw())
        return {"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": KID, "use": "sig", "alg": "EdDSA", "x": x}]}


def _part(value: Mapping[str, Any]) -> str:
    return _base64(json.dumps(value, separators=(",", ":")).encode())


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
