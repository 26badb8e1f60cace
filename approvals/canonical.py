"""Canonical bytes and digests of proposed arguments. Pure (RFC 8785; DESIGN.md §4)."""

import hashlib
from typing import Any

import rfc8785

_DOMAIN_TAG = b"countersign/v1/arguments\n"


def arguments_bytes(arguments: Any) -> bytes:
    """The RFC 8785 bytes of the arguments alone: what is stored and shown."""
    return rfc8785.dumps(arguments)


def digest(*, agent: str, action_type: str, revision: int, canonical: bytes) -> str:
    """`sha256:<hex>` over the domain tag and the RFC 8785 bytes of (agent, action type, revision, arguments).

    Members are in RFC 8785 order (action_type, agent, arguments, revision), so that an outsider can recompute it
    from {"action_type", "agent", "arguments", "revision"} with any RFC 8785 implementation."""
    document = (
        b'{"action_type":'
        + rfc8785.dumps(action_type)
        + b',"agent":'
        + rfc8785.dumps(agent)
        + b',"arguments":'
        + canonical
        + b',"revision":'
        + str(revision).encode()
        + b"}"
    )
    return "sha256:" + hashlib.sha256(_DOMAIN_TAG + document).hexdigest()
