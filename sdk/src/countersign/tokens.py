"""A grant's token read without checking anything; whether to believe it is `countersign.grants`' to say."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any


def part(text: str) -> bytes:
    """One part of a compact JWS: base64url without padding. Raises `ValueError`."""
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("it is not base64url") from error
    if base64.urlsafe_b64encode(data).rstrip(b"=").decode() != text:
        raise ValueError("it is not base64url in its one form")
    return data


def member(text: str) -> dict[str, Any]:
    """A part that is a JSON object. Raises `ValueError`, also for a name that stands twice."""
    value = json.loads(part(text), object_pairs_hook=_once)
    if not isinstance(value, dict):
        raise ValueError("it is no JSON object")
    return value


def agent_in(token: str) -> str:
    """Whom the token was made out to; empty where it cannot be read."""
    try:
        return str(member(token.split(".")[1]).get("sub", ""))
    except (ValueError, IndexError):
        return ""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands in it twice")
    return found
