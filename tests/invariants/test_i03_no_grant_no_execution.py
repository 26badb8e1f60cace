"""I3 and I4: nothing executes without a valid grant for exactly those arguments, and at most once."""

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone
from joserfc import jws, jwt
from joserfc.jwk import OKPKey

from agents.services import credentials
from approvals import grants, keys
from approvals.exceptions import GrantRefused
from approvals.models import Grant, Proposal, SigningKey, Verdict
from approvals.states import State
from tests.factories import ARGUMENTS, Desk, desk, policy
from tests.invariants.calls import AgentCalls, Answer, call, history, together

pytestmark = pytest.mark.django_db(transaction=True)


def encoded(part: bytes | dict[str, Any]) -> str:
    raw = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decoded(part: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


def still_approved(proposal: Proposal) -> bool:
    now = Proposal.objects.get(pk=proposal.pk)
    return now.state == State.APPROVED and now.grant.redeemed_at is None


def redeem(the: Desk, proposal: Proposal, **body: Any) -> Answer:
    return AgentCalls(the).do(proposal.pk, "redeem", **{"digest": proposal.digest, **body})


def forgeries(token: str, other: str) -> dict[str, str]:
    """Tokens that look like the grant and are not."""
    head, claims, signature = token.split(".")
    header, content = decoded(head), decoded(claims)
    public = SigningKey.objects.get().public_jwk
    raw_key = base64.urlsafe_b64decode(public["x"] + "=")
    stranger = OKPKey.generate_key("Ed25519")

    def hs256(secret: bytes, **extra: str) -> str:
        signed = f"{encoded({**header, 'alg': 'HS256', **extra})}.{claims}"
        return f"{signed}.{encoded(hmac.new(secret, signed.encode(), hashlib.sha256).digest())}"

    def by_stranger(**changed: Any) -> str:
        return jwt.encode({**header, **changed}, content, stranger, algorithms=["EdDSA"])

    def by_us(**changed: Any) -> str:
        _, key = keys.active()
        values = {name: value for name, value in {**content, **changed}.items() if value is not None}
        return jwt.encode(header, values, key, algorithms=["EdDSA"])

    now = int(time.time())
    return {
        "alg none": f"{encoded({**header, 'alg': 'none'})}.{claims}.",
        "alg None": f"{encoded({**header, 'alg': 'None'})}.{claims}.{signature}",
        "alg missing": f"{encoded({'kid': header['kid']})}.{claims}.{signature}",
        "HS256 with the public key": hs256(raw_key),
        "HS256 with the public key as text": hs256(public["x"].encode()),
        "HS256 with the JWK": hs256(json.dumps(public).encode()),
        "a stranger's key": by_stranger(),
        "a stranger's key, its own kid": by_stranger(kid=stranger.thumbprint()),
        "a stranger's key, sent along": by_stranger(jwk=dict(stranger.as_dict(private=False))),
        "a stranger's key, no kid": jwt.encode({"alg": "EdDSA"}, content, stranger, algorithms=["EdDSA"]),
        "no signature": f"{head}.{claims}.",
        "signature of another": f"{head}.{claims}.{other.split('.')[2]}",
        "claims of another": f"{head}.{other.split('.')[1]}.{signature}",
        "another proposal's grant": other,
        "other audience": by_us(aud="executor:somebody_else"),
        "no audience": by_us(aud=None),
        "other issuer": by_us(iss="https://evil.example"),
        "no issuer": by_us(iss=None),
        "expired": by_us(exp=now - 1),
        "no expiry": by_us(exp=None),
        "not yet valid": by_us(nbf=now + 3600),
        "other jti": by_us(jti="0198f000-0000-7000-8000-000000000000"),
        "cut": token[:-1],
        "empty parts": "..",
        "nested": encoded(b"[" * 5000) + "." + claims + "." + signature,
        "deep claims": head + "." + encoded(b"[" * 3000) + "." + signature,
        "text": "é.é.é",
        "NUL": "a.b.c",
    }


def test_a30_no_forged_grant_is_redeemed() -> None:
    the = desk()
    proposal, other = the.approved(), the.approved()
    token, foreign = Grant.objects.get(proposal=proposal).token, Grant.objects.get(proposal=other).token
    for name, forged in forgeries(token, foreign).items():
        answer = redeem(the, proposal, grant=forged)
        assert (name, answer.status, answer.code) == (name, 409, "grant_refused")
    assert still_approved(proposal)
    assert redeem(the, proposal, grant=token).status == 200


def test_the_grant_says_what_it_allows() -> None:
    the = desk()
    proposal = the.approved()
    token = AgentCalls(the).read(proposal.pk).body["grant"]["token"]
    published = call("GET", "/.well-known/jwks.json").body["keys"]
    assert all("d" not in key and key["alg"] == "EdDSA" for key in published)
    claims = jwt.decode(token, OKPKey.import_key(published[0]), algorithms=["EdDSA"]).claims
    assert {
        name: claims[name] for name in ("iss", "aud", "sub", "proposal", "revision", "digest", "tier")
    } == {
        "iss": settings.PUBLIC_URL,
        "aud": f"executor:{the.action_type.name}",
        "sub": the.agent.slug,
        "proposal": str(proposal.pk),
        "revision": 1,
        "digest": proposal.digest,
        "tier": "in_the_loop",
    }
    assert claims["exp"] - time.time() <= 300
    assert claims["nbf"] <= time.time()


@pytest.mark.parametrize(
    "payload",
    [b"[]", b"5", b"null", b'{"a":1}', b"{", b'{"exp":"x","nbf":0,"iss":5,"aud":"a","jti":1,"digest":1}'],
)
def test_even_our_own_signature_over_nonsense_is_refused(payload: bytes) -> None:
    kid, key = keys.active()
    token = jws.serialize_compact({"alg": "EdDSA", "kid": kid}, payload, key, algorithms=["EdDSA"])
    with pytest.raises(GrantRefused):
        grants.verify(token, audience="a", now=timezone.now())


def test_a32_swapped_arguments_do_not_run() -> None:
    the = desk()
    proposal, other = the.approved(), the.approved(arguments={**ARGUMENTS, "amount": 9999})
    swapped = "sha256:" + hashlib.sha256(b"other arguments").hexdigest()
    for digest in (other.digest, swapped):
        answer = redeem(the, proposal, digest=digest)
        assert (answer.status, answer.code, answer.body["approved"]) == (
            409,
            "digest_mismatch",
            proposal.digest,
        )
    assert still_approved(proposal)


@pytest.mark.parametrize(
    "digest",
    ["", "sha256:", "SHA256:" + "0" * 64, "sha256:" + "g" * 64, "sha256:" + "0" * 64 + "\n", None, 5],
)
def test_a_digest_that_is_none_is_refused(digest: Any) -> None:
    the = desk()
    proposal = the.approved()
    answer = redeem(the, proposal, digest=digest)
    assert (answer.status, answer.body["errors"][0]["field"]) == (422, "/digest")
    assert still_approved(proposal)


def test_the_digest_of_the_revision_before_the_edit_is_refused() -> None:
    the = desk()
    proposal = the.propose()
    the.decide(proposal, Verdict.EDIT, arguments={**ARGUMENTS, "amount": 1})
    assert redeem(the, proposal, digest=proposal.digest).code == "digest_mismatch"
    read = AgentCalls(the).read(proposal.pk).body
    assert (read["arguments"]["amount"], read["revision"], read["decision"]["verdict"]) == (1, 2, "edit")
    assert redeem(the, proposal, digest=read["digest"]).status == 200


@pytest.mark.parametrize("state", ["pending", "returned", "rejected", "withdrawn", "denied"])
def test_nothing_runs_in_another_state(state: str) -> None:
    the = desk()
    proposal = the.propose()
    if state == "withdrawn":
        AgentCalls(the).do(proposal.pk, "withdraw")
    elif state == "denied":
        policy([{"name": "no", "when": "true", "deny": "No."}], the.queue)
        proposal = the.propose()
    elif state != "pending":
        the.decide(proposal, Verdict.RETURN if state == "returned" else Verdict.REJECT)
    answer = redeem(the, proposal)
    assert (answer.status, answer.code) == (409, "grant_refused")
    assert AgentCalls(the).do(proposal.pk, "outcome", status="succeeded").code == "wrong_state"


def test_a31_a_grant_redeemed_in_parallel_is_redeemed_once() -> None:
    """I4."""
    the = desk()
    for _ in range(4):
        proposal = the.approved()
        answers = together(*[lambda: redeem(the, proposal)] * 5)  # noqa: B023 - run at once
        assert sorted(answer.status for answer in answers) == [200, 409, 409, 409, 409]
        assert {answer.code for answer in answers if answer.status == 409} == {"grant_refused"}
        assert history(proposal.pk) == ["pending", "approved", "executing"]


def test_two_credentials_of_one_agent_redeem_once() -> None:
    the = desk()
    _, second = credentials.issue(agent_id=the.agent.pk, actor=the.agent.owner)
    proposal = the.approved()
    answers = together(
        lambda: AgentCalls(the).do(proposal.pk, "redeem", digest=proposal.digest),
        lambda: AgentCalls(the, second).do(proposal.pk, "redeem", digest=proposal.digest),
    )
    assert sorted(answer.status for answer in answers) == [200, 409]


def test_the_grant_is_told_only_while_it_can_be_used() -> None:
    the = desk()
    agent = AgentCalls(the)
    proposal = the.approved()
    assert agent.read(proposal.pk).body["grant"] is not None
    redeem(the, proposal)
    assert agent.read(proposal.pk).body["grant"] is None
