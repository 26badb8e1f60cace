"""A provider's token, claim by claim, and the providers that the environment names; without a database."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from joserfc import jwt
from joserfc.jwk import KeySet, OctKey, RSAKey
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool

from accounts import oidc_client, oidc_identity, oidc_providers
from accounts.oidc_providers import Provider
from approvals.messages import egress
from tests.accounts.oidc import Idp, running


@pytest.fixture(scope="module")
def idp() -> Iterator[Idp]:
    class Settings:
        OIDC_PROVIDERS: tuple[Provider, ...] = ()

    with running(Settings()) as found:
        yield found


def token(idp: Idp, key: Any, alg: str = "RS256", **changes: Any) -> str:
    now = int(time.time())
    claims = {
        "iss": idp.provider.issuer, "aud": "countersign", "sub": "s-1", "iat": now, "exp": now + 60, "nonce": "n",
    }  # fmt: skip
    kept = {name: value for name, value in {**claims, **changes}.items() if value is not None}
    return jwt.encode({"alg": alg, "kid": "k"}, kept, key, algorithms=[alg])


WRONG: list[dict[str, Any]] = [
    {"iss": "https://evil.example"},
    {"aud": "another-application"},
    {"aud": ["countersign", "another-application"]},
    {"azp": "another-application"},
    {"exp": 1},
    {"exp": None},
    {"iat": 1},
    {"iat": None},
    {"iat": "soon"},
    {"nonce": "of another sign-in"},
    {"nonce": None},
    {"sub": None},
]


@pytest.mark.parametrize("changes", WRONG, ids=str)
def test_token_is_checked_claim_by_claim(
    idp: Idp, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    key = RSAKey.generate_key(2048, {"kid": "k"})
    oidc_client.discover(idp.provider)
    monkeypatch.setattr(oidc_client._known[idp.provider.issuer], "keys", KeySet([key]))

    assert oidc_client.verified(token(idp, key), provider=idp.provider, nonce="n")["sub"] == "s-1"
    with pytest.raises(oidc_client.TokenRefused):
        oidc_client.verified(token(idp, key, **changes), provider=idp.provider, nonce="n")


def test_token_signed_by_somebody_else_by_a_shared_secret_or_not_at_all_is_refused(idp: Idp) -> None:
    unsigned = "eyJhbGciOiJub25lIn0." + token(idp, RSAKey.generate_key(2048)).split(".")[1] + "."
    shared = OctKey.import_key("a secret of at least thirty-two bytes")
    for one in (token(idp, RSAKey.generate_key(2048)), token(idp, shared, "HS256"), unsigned, "x", "", None):
        with pytest.raises(oidc_client.TokenRefused):
            oidc_client.verified(one, provider=idp.provider, nonce="n")


def test_provider_in_the_companys_own_network_is_asked_by_a_process_that_sends_chat_messages(
    idp: Idp, monkeypatch: pytest.MonkeyPatch
) -> None:
    for pool in (HTTPConnectionPool, HTTPSConnectionPool):
        monkeypatch.setattr(pool, "ConnectionCls", pool.ConnectionCls)
    egress.guard()
    with pytest.raises(requests.ConnectionError, match="not a public address"):
        requests.get(idp.provider.discovery_url, timeout=5)

    assert oidc_client.discover(idp.provider, fresh=True).token_endpoint.startswith(idp.provider.issuer)


ENV = {"COUNTERSIGN_OIDC_ISSUER": "https://id.example/realms/a", "COUNTERSIGN_OIDC_CLIENT_ID": "c"}


def test_providers_are_read_from_the_environment() -> None:
    second = {"COUNTERSIGN_OIDC_2_ISSUER": "https://b.example", "COUNTERSIGN_OIDC_2_CLIENT_ID": "d"}
    more = {
        "COUNTERSIGN_OIDC_2_NAME": "B",
        "COUNTERSIGN_OIDC_2_CREATES": "1",
        "COUNTERSIGN_OIDC_2_MFA_VALUES": "mfa hwk",
    }
    first, other = oidc_providers.from_environment({**ENV, **second, **more})

    assert (first.key, first.name, first.creates, first.trusts_mfa) == ("main", "id.example", False, False)
    assert (other.key, other.name, other.creates, other.mfa_values) == (
        "2",
        "B",
        True,
        frozenset({"mfa", "hwk"}),
    )
    assert oidc_providers.from_environment({}) == ()


@pytest.mark.parametrize(
    "changes",
    [
        {"COUNTERSIGN_OIDC_ISSUER": "http://id.example"},
        {"COUNTERSIGN_OIDC_ISSUER": "https://id.example/?x=1"},
        {"COUNTERSIGN_OIDC_CLIENT_ID": ""},
        {"COUNTERSIGN_OIDC_SCOPES": "email"},
        {"COUNTERSIGN_OIDC_2_ISSUER": ENV["COUNTERSIGN_OIDC_ISSUER"], "COUNTERSIGN_OIDC_2_CLIENT_ID": "x"},
    ],
)
def test_environment_that_cannot_work_is_refused_at_the_start(changes: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="COUNTERSIGN_OIDC"):
        oidc_providers.from_environment({**ENV, **changes})


PROVIDER = Provider(key="main", issuer="https://id.example", client_id="c")
IDENTITIES: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    ({"email": "A@b.example", "email_verified": True}, {}, {"email": "a@b.example", "email_verified": True}),
    # One place's word about the address says nothing about the other's address.
    ({"email": "a@b.example"}, {"email": "c@d.example", "email_verified": True}, {"email_verified": False}),
    ({"email_verified": True}, {"email": "c@d.example"}, {"email": "c@d.example", "email_verified": False}),
    ({}, {"email": "c@d.example", "email_verified": True}, {"email": "c@d.example", "email_verified": True}),
    ({"email": ["a@b.example"], "email_verified": True}, {}, {"email": "", "email_verified": False}),
    ({"email": "nobody", "email_verified": True}, {}, {"email": "", "email_verified": False}),
    ({"groups": ["a", "b", "a"]}, {}, {"groups": frozenset({"a", "b"})}),
    ({"groups": "a"}, {}, {"groups": frozenset({"a"})}),
    ({"groups": []}, {}, {"groups": frozenset()}),
    ({}, {"groups": ["a"]}, {"groups": frozenset({"a"})}),
    ({}, {}, {"groups": None, "name": "", "is_multifactor": False}),
    ({"groups": [1]}, {}, {"groups": None}),
    ({"groups": {"a": 1}}, {}, {"groups": None}),
    ({"groups": ["a"] * 3000}, {}, {"groups": None}),
    ({"name": "A\u202e\x00\n B" + "c" * 200}, {}, {"name": "A B" + "c" * 117}),
    ({"name": 7}, {"name": "Ann"}, {"name": "Ann"}),
    ({"amr": ["pwd", "mfa"]}, {}, {"is_multifactor": True}),
    ({"amr": "mfa"}, {"amr": ["mfa"]}, {"is_multifactor": False}),
    ({"acr": "mfa"}, {}, {"is_multifactor": True}),
    ({"acr": ["mfa"], "amr": [["mfa"]]}, {}, {"is_multifactor": False}),
]


@pytest.mark.parametrize(("claims", "more", "expected"), IDENTITIES, ids=range(len(IDENTITIES)))
def test_identity_is_read_without_trusting_its_shape(
    claims: dict[str, Any], more: dict[str, Any], expected: dict[str, Any]
) -> None:
    found = oidc_identity.read({"sub": "s-1", **claims}, provider=PROVIDER, more=more)

    assert {name: getattr(found, name) for name in expected} == expected


@pytest.mark.parametrize("subject", [None, "", 7, "x" * 192, "a\x00b", ["s"]])
def test_subject_that_names_nobody_is_refused(subject: object) -> None:
    with pytest.raises(oidc_identity.Unusable):
        oidc_identity.read({"sub": subject}, provider=PROVIDER)
