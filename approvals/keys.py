"""Signing keys of grants: sealed at rest, the newest signs, older ones stay published (JWKS)."""

from datetime import timedelta
from typing import Any

from cryptography.fernet import Fernet
from django.db.models import Q
from django.utils import timezone
from joserfc.jwk import OKPKey

from approvals.messages import sealing
from approvals.models import SigningKey

KEPT = timedelta(days=1, minutes=5)
"""The longest life of a grant (agents.models, `grant_seconds_in_range`) and some for clocks."""

_opened: dict[str, OKPKey] = {}


def active() -> tuple[str, OKPKey]:
    """(kid, private key) that signs now; made on first use."""
    row = SigningKey.objects.filter(retired_at=None).first() or create()
    if row.kid not in _opened:
        _opened[row.kid] = OKPKey.import_key(_box().decrypt(bytes(row.sealed_private)).decode())
    return row.kid, _opened[row.kid]


def create() -> SigningKey:
    """A new Ed25519 key in the database; its kid is the RFC 7638 thumbprint."""
    key = OKPKey.generate_key("Ed25519")
    public: dict[str, Any] = dict(key.as_dict(private=False))
    kid = key.thumbprint()
    public |= {"kid": kid, "use": "sig", "alg": "EdDSA"}
    sealed = _box().encrypt(key.as_pem(private=True))
    row, _ = SigningKey.objects.get_or_create(
        retired_at=None, defaults={"kid": kid, "public_jwk": public, "sealed_private": sealed}
    )
    return row


def published() -> list[dict[str, Any]]:
    """Public keys, newest first: what /.well-known/jwks.json shows.

    A retired key goes when the last grant it can have signed has expired; who steals it later can forge nothing."""
    if not SigningKey.objects.filter(retired_at=None).exists():
        create()
    in_use = Q(retired_at=None) | Q(retired_at__gt=timezone.now() - KEPT)
    return [row.public_jwk for row in SigningKey.objects.filter(in_use).order_by("-created_at")]


def _box() -> Fernet:
    return sealing.box("countersign signing keys v1")
