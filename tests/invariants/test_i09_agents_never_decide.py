"""I9: an agent's credential can never decide, claim, vote, change a mandate or read what is another agent's."""

import re
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from accounts.models import RoleAssignment, User
from agents.models import Agent, Credential, Mandate
from approvals.models import Claim, Decision, Policy, Proposal, Queue, Vote
from tests.factories import ARGUMENTS, Desk, desk
from tests.invariants.calls import AgentCalls, call

pytestmark = pytest.mark.django_db(transaction=True)

FOR_EVERYBODY = re.compile(
    r"healthz|readyz|\.well-known/jwks\.json|api/docs|api/v1/openapi\.json"
    r"|account/(login|logout|signup|inactive|password/reset.*|confirm-email.*|login/code.*|reauthenticate)/?"
    r"|account/(passkey/(options/)?|session/)|welcome/.*|password/.*|admin/login/|admin/logout/"
)
"""What needs no sign-in at all; an agent sees there what any passer-by sees."""


def addresses(patterns: list[Any], prefix: str = "") -> Iterator[str]:
    """Every address of the URL configuration as a pattern."""
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield from addresses(pattern.url_patterns, prefix + str(pattern.pattern))
        elif isinstance(pattern, URLPattern):
            yield prefix + str(pattern.pattern)


def filled(pattern: str, the: Desk, proposal: Proposal) -> str:
    """An address with values that exist."""
    values = {
        "uuid": str(proposal.pk),
        "slug": the.queue.slug,
        "int": str(the.agent.pk),
        "str": the.agent.slug,
        "path": "x",
    }

    def value(match: re.Match[str]) -> str:
        kind, _, name = match[1].rpartition(":")
        named = {
            "agent_slug": the.agent.slug,
            "action_type": the.action_type.name,
            "domain": the.queue.domain,
        }
        return named.get(name, values.get(kind or "str", "1"))

    path = re.sub(r"<([^>]+)>", value, pattern)
    return "/" + re.sub(r"\(\?P(.*?)\)|[\^$\\]", lambda match: "1" if match[1] else "", path)


def authority() -> list[Any]:
    """Everything that only people may change."""
    return [
        list(Proposal.objects.order_by("pk").values("state", "version", "claimed_by", "queue", "digest")),
        [model.objects.count() for model in (Vote, Decision, Claim)],
        list(Mandate.objects.order_by("pk").values()),
        list(Agent.objects.order_by("pk").values()),
        list(Credential.objects.order_by("pk").values("pk", "expires_at", "revoked_at")),
        list(Queue.objects.order_by("pk").values()),
        list(Policy.objects.order_by("pk").values()),
        list(User.objects.order_by("pk").values("pk", "is_active")),
        list(Group.objects.values()),
        list(RoleAssignment.objects.order_by("pk").values()),
    ]


def test_no_address_takes_an_agents_token_for_a_person() -> None:
    mine = desk()
    other = desk()
    proposal = other.propose()
    before = authority()
    seen, refused = 0, set()
    client = Client(raise_request_exception=False)
    for pattern in sorted(set(addresses(get_resolver().url_patterns))):
        path = filled(pattern, other, proposal)
        methods = ("GET", "POST", "PUT", "DELETE") if path.startswith("/api/") else ("GET", "POST")
        for method in methods:
            response = client.generic(
                method,
                path,
                b'{"verdict":"approve","revision":1,"version":1,"digest":"%s"}' % proposal.digest.encode()
                if path.startswith("/api/")
                else b"verdict=approve&revision=1&version=1&confirm=yes",
                content_type="application/json"
                if path.startswith("/api/")
                else "application/x-www-form-urlencoded",
                headers={"Authorization": f"Bearer {mine.token}", "Idempotency-Key": "k"},
            )
            seen += 1
            assert response.status_code < 500, (method, path, response.content[:300])
            text = response.content.decode("utf-8", "replace")
            if not FOR_EVERYBODY.fullmatch(path.lstrip("/")):
                assert proposal.title not in text, (method, path)
                assert proposal.digest not in text, (method, path)
            if response.status_code == 200:
                assert path.startswith("/api/v1/") or FOR_EVERYBODY.fullmatch(path.lstrip("/")), (
                    method,
                    path,
                )
            else:
                refused.add(response.status_code)
    assert authority() == before
    assert seen > 100
    assert refused <= {301, 302, 303, 400, 401, 403, 404, 405, 409, 413, 415, 422}


@pytest.mark.parametrize("verb", ["", "/redeem", "/outcome", "/withdraw", "/revise"])
def test_another_agents_proposal_does_not_exist(verb: str) -> None:
    mine, other = desk(), desk()
    proposal = other.approved()
    bodies: dict[str, dict[str, Any]] = {
        "/redeem": {"digest": proposal.digest, "grant": proposal.grant.token},
        "/outcome": {"status": "succeeded"},
        "/withdraw": {},
        "/revise": {"arguments": ARGUMENTS},
    }
    method = "POST" if verb else "GET"
    answers = [
        call(method, f"/api/v1/proposals/{one}{verb}", mine.token, bodies.get(verb))
        for one in (proposal.pk, UUID(int=0))
    ]
    assert [(answer.status, answer.code) for answer in answers] == [(404, "not_found")] * 2
    assert answers[0].body == answers[1].body
    assert Proposal.objects.get().state == "approved"


def test_lists_and_parents_show_ones_own_only() -> None:
    mine, other = desk(), desk()
    foreign, own = other.propose(), mine.propose()
    assert [item["id"] for item in call("GET", "/api/v1/proposals", mine.token).body["items"]] == [
        str(own.pk)
    ]
    found = call("GET", f"/api/v1/proposals?cursor={UUID(int=2**128 - 1)}", mine.token).body["items"]
    assert [item["id"] for item in found] == [str(own.pk)]
    answer = AgentCalls(mine).propose(parent_id=str(foreign.pk))
    assert (answer.status, answer.body["errors"][0]["field"]) == (422, "/parent_id")
    assert call("GET", "/api/v1/me", mine.token).body["agent"] == mine.agent.slug


def test_a_session_opens_nothing_for_agents(client: Client) -> None:
    """A signed-in person has no agent's rights, whatever he owns."""
    the = desk()
    proposal = the.propose()
    client.force_login(the.agent.owner)
    for path in ("/api/v1/me", "/api/v1/proposals", f"/api/v1/proposals/{proposal.pk}"):
        assert client.get(path).status_code == 401


def test_a_second_mandate_cannot_be_written_by_fields_of_a_proposal() -> None:
    the = desk()
    for field in (
        "tier",
        "queue",
        "state",
        "status",
        "sampled",
        "sample_probability",
        "quorum",
        "agent",
        "id",
    ):
        answer = AgentCalls(the).propose(**dict[str, Any]({field: "out_of_the_loop"}))
        assert (answer.status, answer.body["errors"][0]["field"]) == (422, f"/{field}")
