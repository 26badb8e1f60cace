"""Grants verified without a server: the good one holds, and every way to make a bad one is refused."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from countersign import GrantInvalid, Proposal
from countersign.grants import Claims, verify, verify_proposal
from countersign.testing import FakeServer
from countersign.testing.signing import KID, Signer

ARGUMENTS = {"order_id": "A-1", "amount": 42.5}


@pytest.fixture
def approved(countersign_server: FakeServer) -> Proposal:
    with countersign_server.client() as client:
        proposal = client.propose("refund", ARGUMENTS)
        countersign_server.approve(proposal)
        return client.wait(proposal)


@pytest.fixture
def checked(countersign_server: FakeServer, approved: Proposal) -> Callable[..., Claims]:
    """`verify` with what belongs to the proposal, except for what a test gives."""

    def check(**other: Any) -> Claims:
        assert approved.grant is not None
        given: dict[str, Any] = {
            "token": approved.grant.token,
            "keys": countersign_server.keys,
            "audience": "executor:refund",
            "issuer": countersign_server.url,
            "action_type": "refund",
            "arguments": ARGUMENTS,
        }
        return verify(**given | other)

    return check


def encoded(value: Any) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decoded(token: str, part: int) -> dict[str, Any]:
    text = token.split(".")[part]
    value: dict[str, Any] = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    return value


def test_a_good_grant_holds(
    checked: Callable[..., Claims], approved: Proposal, countersign_server: FakeServer
) -> None:
    claims = checked()
    assert (claims.proposal, claims.agent, claims.revision) == (approved.id, "fake-agent", 1)
    assert (claims.digest, claims.audience) == (approved.digest, "executor:refund")
    same = verify_proposal(
        approved, countersign_server.keys, "executor:refund", issuer=countersign_server.url
    )
    assert same == claims


@pytest.mark.parametrize(
    "other",
    [
        {"audience": "executor:wipe"},
        {"issuer": "https://elsewhere.example"},
        {"action_type": "refund_all"},
        {"arguments": ARGUMENTS | {"amount": 42.51}},
        {"arguments": ARGUMENTS | {"note": ""}},
        {"arguments": ARGUMENTS | {"amount": float("nan")}},
        {"keys": {"keys": []}},
        {"keys": {}},
        {"token": ""},
        {"token": "a.b"},
        {"token": "a.b.c"},
        {"token": "x" * 9000},
    ],
    ids=lambda other: "-".join(f"{name}={str(value)[:12]}" for name, value in other.items()),
)
def test_a_grant_for_something_else_is_refused(checked: Callable[..., Claims], other: dict[str, Any]) -> None:
    with pytest.raises(GrantInvalid):
        checked(**other)


def test_it_is_good_for_its_time_only(checked: Callable[..., Claims]) -> None:
    ends = checked().expires_at
    assert checked(now=ends - 1, leeway=0)
    assert checked(now=ends + 4)
    for moment in (ends + 6, ends - 86400):
        with pytest.raises(GrantInvalid):
            checked(now=moment)
    with pytest.raises(GrantInvalid):
        checked(now=ends, leeway=0)


def test_no_other_algorithm_is_tried(
    checked: Callable[..., Claims], approved: Proposal, countersign_server: FakeServer
) -> None:
    """A30: `none`, and HMAC with the public key as its secret."""
    assert approved.grant is not None
    _, payload, signature = approved.grant.token.split(".")
    public = base64.urlsafe_b64decode(countersign_server.keys["keys"][0]["x"] + "=")
    for algorithm in ("none", "None", "HS256", "RS256", ""):
        header = encoded({"alg": algorithm, "kid": KID, "typ": "JWT"})
        mac = encoded(hmac.digest(public, f"{header}.{payload}".encode(), hashlib.sha256))
        for forged in ("", signature, mac):
            with pytest.raises(GrantInvalid, match="only EdDSA"):
                checked(token=f"{header}.{payload}.{forged}")


@pytest.mark.parametrize(
    "more",
    [{"kid": "unknown"}, {"kid": None}, {"crit": ["exp"]}, {"b64": False}, {"typ": "at+jwt"}],
    ids=["unknown key", "no key", "crit", "b64", "another type"],
)
def test_a_header_that_asks_for_more_is_refused(
    checked: Callable[..., Claims], approved: Proposal, more: dict[str, Any]
) -> None:
    assert approved.grant is not None
    _, payload, signature = approved.grant.token.split(".")
    header = encoded({"alg": "EdDSA", "kid": KID, "typ": "JWT"} | more)
    with pytest.raises(GrantInvalid):
        checked(token=f"{header}.{payload}.{signature}")


def test_a_key_in_the_token_is_not_looked_at(checked: Callable[..., Claims], approved: Proposal) -> None:
    assert approved.grant is not None
    thief = Signer()
    forged = thief.token(decoded(approved.grant.token, 1))
    [own] = thief.published()["keys"]
    header = encoded({"alg": "EdDSA", "kid": KID, "typ": "JWT", "jwk": own})
    with pytest.raises(GrantInvalid, match="signature"):
        checked(token=forged)
    with pytest.raises(GrantInvalid, match="signature"):
        checked(token=".".join([header, *forged.split(".")[1:]]))


def test_each_flipped_bit_is_found(checked: Callable[..., Claims], approved: Proposal) -> None:
    assert approved.grant is not None
    token = approved.grant.token
    for place in range(0, len(token), 7):
        other = "A" if token[place] != "A" else "B"
        with pytest.raises(GrantInvalid):
            checked(token=token[:place] + other + token[place + 1 :])


@pytest.mark.parametrize("name", ["iss", "aud", "sub", "jti", "proposal", "revision", "digest", "nbf", "exp"])
@pytest.mark.parametrize("value", [None, True, [], "missing"], ids=["null", "true", "list", "missing"])
def test_a_claim_that_is_missing_or_another_kind_is_refused(
    checked: Callable[..., Claims], approved: Proposal, name: str, value: Any
) -> None:
    """Even when it is signed."""
    assert approved.grant is not None
    signer = Signer()
    claims = decoded(approved.grant.token, 1)
    checked(token=signer.token(claims), keys=signer.published())
    if value == "missing":
        del claims[name]
    else:
        claims[name] = value
    with pytest.raises(GrantInvalid):
        checked(token=signer.token(claims), keys=signer.published())


def test_a_key_of_another_kind_is_refused(
    checked: Callable[..., Claims], countersign_server: FakeServer
) -> None:
    [key] = countersign_server.keys["keys"]
    for other in ({"kty": "oct"}, {"crv": "X25519"}, {"use": "enc"}, {"x": "short"}, {"x": 5}):
        with pytest.raises(GrantInvalid):
            checked(keys={"keys": [key | other]})


def test_the_grant_of_another_proposal_is_refused(approved: Proposal, countersign_server: FakeServer) -> None:
    """The same arguments twice are two permissions."""
    import dataclasses

    with countersign_server.client() as client:
        other = client.propose("refund", ARGUMENTS)
    with pytest.raises(GrantInvalid, match="no grant"):
        verify_proposal(other, countersign_server.keys, "executor:refund", issuer=countersign_server.url)
    forged = dataclasses.replace(other, grant=approved.grant)
    with pytest.raises(GrantInvalid, match="another proposal"):
        verify_proposal(forged, countersign_server.keys, "executor:refund", issuer=countersign_server.url)


def test_times_are_those_of_this_machine(
    checked: Callable[..., Claims], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 1000)
    with pytest.raises(GrantInvalid, match="expired"):
        checked()
