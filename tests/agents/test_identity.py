"""Workload identity: an issuer's tokens open what a secret opens, and nothing but what an identity names."""

import base64
import hmac
import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from django.utils import timezone

from accounts.exceptions import Conflict, Invalid, NotAllowed
from agents import authority, identity
from agents.models import Credential, Identity
from agents.services import credentials, identities
from agents.services.identities import Trust
from approvals.models import Proposal
from audit.models import AuditEvent
from tests.factories import Desk, admin, desk, person
from tests.invariants.calls import AgentCalls, Answer, call
from tests.issuer import AUDIENCE, SUBJECT, Issuer, issuing, trusting
from tests.live import serving

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with issuing() as running:
        yield running


@pytest.fixture
def the() -> Desk:
    return desk()


def me(token: str) -> Answer:
    return call("GET", "/api/v1/me", token)


def outcome(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.code


@pytest.mark.parametrize("alg", ["RS256", "PS256", "ES256", "EdDSA"])
def test_a_token_of_a_trusted_issuer_opens_everything_a_secret_does(
    alg: str, issuer: Issuer, the: Desk
) -> None:
    issuer.rotate("k", alg)
    credential = trusting(the.agent, issuer)
    agent = AgentCalls(the, issuer.token(alg=alg))
    assert me(agent.token).body["agent"] == the.agent.slug
    made = agent.propose()
    assert made.status == 201
    proposal = Proposal.objects.get(pk=made.body["id"])
    assert proposal.credential == credential
    the.decide(proposal, "approve")  # type: ignore[arg-type]
    read = agent.read(proposal.pk)
    assert agent.do(proposal.pk, "redeem", digest=read.body["digest"]).status == 200
    assert agent.do(proposal.pk, "outcome", status="succeeded").status == 200


def test_it_waits_and_is_refused_on_the_waiting_door_too(issuer: Issuer, the: Desk) -> None:
    credential = trusting(the.agent, issuer)
    proposal = the.propose()
    token = issuer.token()
    with serving() as url, httpx.Client(base_url=url, timeout=30) as client:
        path = f"/api/v1/proposals/{proposal.pk}?wait=1&after_version=0"
        headers = {"Authorization": f"Bearer {token}"}
        assert client.get(path, headers=headers).json()["id"] == str(proposal.pk)
        credentials.revoke(credential_id=credential.pk, actor=admin())
        refused = client.get(path, headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (401, "token_no_identity")
        assert refused.headers["content-type"] == "application/problem+json"


def now() -> int:
    return int(time.time())


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"aud": "https://other.example"}, "token_no_identity"),
        ({"aud": [AUDIENCE, "https://other.example"]}, "token_audience"),
        ({"aud": AUDIENCE + "/"}, "token_no_identity"),
        ({"aud": None}, "token_audience"),
        ({"sub": SUBJECT + "x"}, "token_no_identity"),
        ({"sub": ""}, "token_malformed"),
        ({"sub": 7}, "token_malformed"),
        ({"exp": now() - 61}, "token_expired"),
        ({"exp": None}, "token_malformed"),
        ({"exp": True}, "token_malformed"),
        ({"exp": "soon"}, "token_malformed"),
        ({"iat": None}, "token_malformed"),
        ({"nbf": now() + 3600}, "token_not_yet_valid"),
        ({"iat": now() + 3600, "exp": now() + 4000}, "token_not_yet_valid"),
        ({"exp": now() + 100_000}, "token_too_long_lived"),
    ],
)
def test_what_is_not_exactly_right_is_refused(
    claims: dict[str, Any], code: str, issuer: Issuer, the: Desk
) -> None:
    trusting(the.agent, issuer)
    token = issuer.token(**claims)
    assert outcome(me(token)) == (401, code)
    assert outcome(AgentCalls(the, token).propose()) == (401, code)
    assert not Proposal.objects.exists()


def test_a_clock_may_be_off_by_a_minute(issuer: Issuer, the: Desk) -> None:
    trusting(the.agent, issuer)
    assert me(issuer.token(exp=now() - 30, iat=now() - 90)).status == 200
    assert me(issuer.token(iat=now() + 40, nbf=now() + 40)).status == 200
    assert me(issuer.token(aud=[AUDIENCE])).status == 200


def _part(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def test_an_algorithm_is_ours_to_choose(issuer: Issuer, the: Desk) -> None:
    """RFC 8725 §2.1: no signature, and HMAC with the public key as its secret."""
    issuer.rotate("k", "RS256")
    trusting(the.agent, issuer)
    head, body, signature = issuer.token(alg="RS256").split(".")
    for alg in ("none", "None", "NONE", ""):
        for end in ("", signature):
            assert me(f"{_part({'alg': alg, 'kid': 'k'})}.{body}.{end}").code == "token_algorithm"
    public = issuer.keys["k"].as_pem(private=False)
    for alg, algorithm in (("HS256", "sha256"), ("HS512", "sha512")):
        signed = f"{_part({'alg': alg, 'kid': 'k'})}.{body}"
        code = base64.urlsafe_b64encode(hmac.digest(public, signed.encode(), algorithm)).rstrip(b"=").decode()
        assert outcome(me(f"{signed}.{code}")) == (401, "token_algorithm")
    other = Issuer()
    other.rotate("k", "RS256")
    assert me(issuer.token(alg="RS256", key=other.keys["k"])).code == "token_signature"
    assert (
        me(f"{head}.{_part({'iss': issuer.url, 'aud': AUDIENCE, 'sub': SUBJECT})}.{signature}").status == 401
    )
    crossed = f"{_part({'alg': 'ES256', 'kid': 'k'})}.{body}.{signature}"
    assert me(crossed).code == "token_algorithm"
    assert me(issuer.token(alg="RS256", header={"kid": "nobody"})).code == "token_key_unknown"
    assert (
        me(
            issuer.token(
                alg="RS256", header={"jwk": other.keys["k"].as_dict(private=False)}, key=other.keys["k"]
            )
        ).status
        == 401
    )


def test_nobody_is_asked_for_keys_whom_no_identity_names(issuer: Issuer, the: Desk) -> None:
    assert outcome(me(issuer.token())) == (401, "token_issuer")
    credential = trusting(the.agent, issuer)
    assert me(issuer.token(iss="http://169.254.169.254/latest")).code == "token_issuer"
    assert me(issuer.token(iss=issuer.url + "/")).code == "token_issuer"
    assert not issuer.asked
    credentials.revoke(credential_id=credential.pk, actor=admin())
    assert me(issuer.token()).code == "token_issuer"
    assert not issuer.asked


def test_what_is_too_large_or_garbage_is_refused_unparsed(issuer: Issuer, the: Desk) -> None:
    trusting(the.agent, issuer)
    assert me(issuer.token(padding="x" * 9000)).code == "token_too_large"
    assert me("eyJhIjox.eyJhIjox.x").code == "token_malformed"
    twice = base64.urlsafe_b64encode(b'{"iss":"a","iss":"b"}').rstrip(b"=").decode()
    assert me(f"{_part({'alg': 'EdDSA', 'kid': 'first'})}.{twice}.x").code == "token_malformed"
    assert not issuer.asked


def test_a_revoked_identity_bites_at_once_also_where_the_token_was_just_seen(
    issuer: Issuer, the: Desk
) -> None:
    credential = trusting(the.agent, issuer)
    agent = AgentCalls(the, issuer.token())
    granted = the.approved()
    assert agent.propose().status == 201
    credentials.revoke(credential_id=credential.pk, actor=admin())
    for answer in (agent.propose(), me(agent.token), agent.do(granted.pk, "redeem", digest=granted.digest)):
        assert outcome(answer) == (401, "token_no_identity")


def test_a_token_opens_one_agent_and_never_two(issuer: Issuer, the: Desk) -> None:
    other = desk()
    trusting(the.agent, issuer, subject="repo:acme/agents:environment:*")
    trusting(other.agent, issuer, subject="repo:acme/*:environment:test")
    assert me(issuer.token(sub="repo:acme/agents:environment:prod")).body["agent"] == the.agent.slug
    assert me(issuer.token(sub="repo:acme/robots:environment:test")).body["agent"] == other.agent.slug
    both = issuer.token(sub="repo:acme/agents:environment:test")
    assert outcome(me(both)) == (401, "token_no_identity")
    with pytest.raises(Conflict):
        trusting(other.agent, issuer, subject="repo:acme/agents:environment:prod")
    with pytest.raises(Conflict):
        trusting(other.agent, issuer, subject="repo:acme/agents:environment:*")


def test_claims_that_are_asked_for_must_be_there_exactly(issuer: Issuer, the: Desk) -> None:
    trusting(the.agent, issuer, claims={"ref": "refs/heads/main", "run": 1, "protected": True})
    good: dict[str, Any] = {"ref": "refs/heads/main", "run": 1, "protected": True}
    assert me(issuer.token(**good)).status == 200
    wrong: list[tuple[str, Any]] = [
        ("ref", "refs/heads/mainx"),
        ("run", True),
        ("protected", 1),
        ("run", None),
        ("ref", ["refs/heads/main"]),
    ]
    for name, value in wrong:
        assert me(issuer.token(**{**good, name: value})).code == "token_no_identity"


@pytest.mark.parametrize(
    ("pattern", "subject", "fits"),
    [
        ("repo:acme/agents:*", "repo:acme/agents:main", True),
        ("repo:acme/agents:*", "repo:acme/agents:", True),
        ("repo:acme/agents:*", "repo:acme/agents:environment:prod", False),
        ("repo:acme/*:main", "repo:acme/agents:main", True),
        ("repo:acme/*:main", "repo:acme/agents:x/y:main", False),
        ("repo:acme/agents", "repo:acme/agents\n", False),
        ("repo:acme/agents", "xrepo:acme/agents", False),
        ("repo:acme/agents", "repo:acme/agentsx", False),
        ("repo:acme/agent.", "repo:acme/agents", False),
        ("repo:acme/[ab]", "repo:acme/a", False),
        ("repo:acme/agents*", "repo:acme/agents-evil", True),
        ("spiffe://acme/ns/*/sa/refunds", "spiffe://acme/ns/prod/sa/refunds", True),
        ("spiffe://acme/ns/*/sa/refunds", "spiffe://acme/ns/prod/x/sa/refunds", False),
        ("Repo:acme/agents", "repo:acme/agents", False),
    ],
)
def test_a_subject_pattern_is_anchored_and_stays_between_separators(
    pattern: str, subject: str, fits: bool
) -> None:
    assert identity.fits(pattern, subject) is fits


@pytest.mark.parametrize(
    "pattern", ["", "*", "**", "a*", "*:*", "*/*", "repo **", "ab", "repo:a**b", "x" * 301, "répo:acme"]
)
def test_a_pattern_that_anybody_fits_is_not_registered(pattern: str, the: Desk) -> None:
    with pytest.raises(Invalid) as refused:
        identities.register(
            agent_id=the.agent.pk,
            trust=Trust("https://issuer.example", AUDIENCE, pattern),
            actor=the.agent.owner,
        )
    assert [error["field"] for error in refused.value.extra["errors"]] == ["subject"]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "url",
    [
        "",
        "issuer.example",
        "ftp://issuer.example",
        "https://",
        "https://a:b@c.example",
        "https://c.example/?a=b",
    ],
)
def test_an_issuer_is_an_address(url: str, the: Desk) -> None:
    with pytest.raises(Invalid):
        identities.register(agent_id=the.agent.pk, trust=Trust(url, AUDIENCE, SUBJECT), actor=the.agent.owner)


def test_who_registers_an_identity_manages_the_agent_and_may_not_decide(issuer: Issuer, the: Desk) -> None:
    for one in (the.reviewer, person()):
        with pytest.raises(NotAllowed):
            identities.register(agent_id=the.agent.pk, trust=Trust(issuer.url, AUDIENCE, SUBJECT), actor=one)
    boss = the.second
    made = identities.register(
        agent_id=the.agent.pk, trust=Trust(issuer.url, AUDIENCE, SUBJECT), actor=admin()
    )
    Credential.objects.filter(pk=made.pk).update(registered_by=boss)
    refused = AuditEvent.objects.filter(kind="credential.identity_registered").get()
    assert refused.data["after"]["subject"] == SUBJECT
    proposal = the.propose()
    with pytest.raises(NotAllowed, match="registered a credential"):
        the.decide(proposal, "approve", by=boss)  # type: ignore[arg-type]
    assert Identity.objects.count() == 1


def test_a_refusal_names_the_agent_whose_token_it_was(issuer: Issuer, the: Desk) -> None:
    credential = trusting(the.agent, issuer, networks=["203.0.113.0/24"])
    assert outcome(me(issuer.token())) == (401, "bad_credential")
    event = AuditEvent.objects.filter(kind="access.refused").latest("pk")
    assert event.data["actor"]["label"] == the.agent.slug
    assert event.data["detail"]["why"] == "The credential may not be used from 127.0.0.1."
    credentials.restrict(credential_id=credential.pk, networks=["127.0.0.0/8"], actor=the.agent.owner)
    assert me(issuer.token()).status == 200
    me(issuer.token(alg="EdDSA", key=_strange()))
    forged = AuditEvent.objects.filter(kind="access.refused").latest("pk")
    assert (forged.data["actor"]["label"], forged.data["detail"]["code"]) == ("anonymous", "token_signature")


def _strange() -> Any:
    other = Issuer()
    other.rotate("first")
    return other.keys["first"]


def test_an_identity_ends(issuer: Issuer, the: Desk) -> None:
    credential = trusting(the.agent, issuer)
    token = issuer.token()
    assert me(token).status == 200
    Credential.objects.filter(pk=credential.pk).update(expires_at=timezone.now())
    authority.bump()
    assert me(token).status == 401
