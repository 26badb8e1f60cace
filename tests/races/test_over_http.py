"""Races over real connections: reviewers' forms, agents' calls and the clock against one running server."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import httpx
import pytest
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.db import connection
from django.middleware.csrf import _get_new_csrf_string
from django.utils import timezone

from accounts.models import User
from approvals.models import Claim, Decision, Grant, Proposal, Vote
from approvals.services import expire
from tests.factories import ARGUMENTS, desk, reviewer
from tests.invariants.calls import history
from tests.live import serving

pytestmark = pytest.mark.django_db(transaction=True)

FORM = {
    "revision": "1",
    "version": "1",
    "comment": "why?",
    "reason": "not_allowed",
    "shown": "on",
    "seen": "on",
}


@pytest.fixture
def url() -> Iterator[str]:
    with serving() as address:
        yield address


def browser(url: str, user: User) -> httpx.Client:
    """A signed-in browser with its CSRF token."""
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = "accounts.backends.Roles"
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.save()
    secret = _get_new_csrf_string()
    return httpx.Client(
        base_url=url,
        cookies={settings.SESSION_COOKIE_NAME: str(session.session_key), settings.CSRF_COOKIE_NAME: secret},
        headers={"X-CSRFToken": secret},
        timeout=30,
    )


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    barrier = Barrier(len(calls))

    def run(one: Callable[[], Any]) -> Any:
        barrier.wait(60)
        try:
            return one()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result(100) for future in [pool.submit(run, one) for one in calls]]


def test_reviewers_agent_and_clock_at_once_make_one_decision(url: str) -> None:
    """I2, A24, A25: approve, reject, return, edit, double click, withdraw and expiry, all on version 1."""
    the = desk()
    rita, ravi = browser(url, the.reviewer), browser(url, the.second)
    agent = httpx.Client(base_url=url, headers=the.headers, timeout=30)

    def post(who: httpx.Client, proposal: Proposal, verb: str) -> Callable[[], int]:
        return lambda: who.post(f"/proposals/{proposal.pk}/{verb}/", data=FORM).status_code

    def withdraw(proposal: Proposal) -> Callable[[], int]:
        return lambda: agent.post(f"/api/v1/proposals/{proposal.pk}/withdraw", json={}).status_code

    def clock(proposal: Proposal) -> Callable[[], int]:
        return lambda: expire.expire_undecided(now=timezone.now() + timedelta(days=9))

    ends = set()
    for number in range(12):
        proposal = the.propose()
        rivals = [
            [post(rita, proposal, "approve"), post(ravi, proposal, "reject")],
            [
                post(rita, proposal, "approve"),
                post(rita, proposal, "approve"),
                post(ravi, proposal, "approve"),
            ],
            [post(rita, proposal, "approve"), withdraw(proposal), post(ravi, proposal, "return")],
            [post(rita, proposal, "approve"), clock(proposal), post(ravi, proposal, "approve")],
        ][number % 4]
        answers = at_once(*rivals)
        assert set(answers) <= {0, 1, 200, 302, 409}, answers
        kinds = history(proposal.pk)
        # Whose question came first may still take it back: the one second change that the first leaves open.
        assert len(kinds) == 2 or kinds == ["pending", "returned", "withdrawn"], kinds
        assert Vote.objects.filter(proposal=proposal).count() <= 1
        assert Grant.objects.filter(proposal=proposal).count() == (kinds[-1] == "approved")
        ends.add(kinds[-1])
    assert ends <= {"approved", "rejected", "withdrawn", "expired", "returned"}


def test_next_never_gives_two_people_the_same_proposal(url: str) -> None:
    the = desk()
    people = [reviewer(the.queue) for _ in range(6)]
    found = {str(the.propose().pk) for _ in range(10)}
    browsers = [browser(url, one) for one in people]
    for _ in range(2):
        at_once(*[lambda one=one: one.post("/next/", data={}) for one in browsers])
    held = list(Claim.objects.filter(ended_at=None).values_list("proposal_id", "reviewer_id"))
    assert len(held) == len({proposal for proposal, _ in held})
    assert {str(proposal) for proposal, _ in held} <= found
    for proposal in Proposal.objects.exclude(claimed_by=None):
        assert (proposal.pk, proposal.claimed_by_id) in held


def test_a31_parallel_redemptions_over_connections_of_their_own(url: str) -> None:
    the = desk()
    for _ in range(3):
        proposal = the.approved()

        def redeem(proposal: Proposal = proposal) -> int:
            with httpx.Client(base_url=url, headers=the.headers, timeout=30) as agent:
                path = f"/api/v1/proposals/{proposal.pk}/redeem"
                return agent.post(path, json={"digest": proposal.digest}).status_code

        assert sorted(at_once(*[redeem] * 6)) == [200] + [409] * 5
        assert history(proposal.pk) == ["pending", "approved", "executing"]


def test_the_same_request_on_many_connections_is_one_proposal(url: str) -> None:
    the = desk()
    body = {"action_type": the.action_type.name, "arguments": ARGUMENTS}

    def propose() -> httpx.Response:
        headers = {**the.headers, "Idempotency-Key": "k"}
        return httpx.post(f"{url}/api/v1/proposals", json=body, headers=headers, timeout=30)

    answers = at_once(*[propose] * 8)
    assert sum(answer.status_code == 201 for answer in answers) == 1
    assert {answer.status_code for answer in answers} <= {200, 201, 409}
    assert Proposal.objects.count() == 1


def test_the_api_has_no_session_and_answers_problems_only(url: str) -> None:
    """What Django's test client does not show: the short chain of middlewares, the bridge, and the waiting door."""
    the = desk()
    proposal = the.propose()
    rita = browser(url, the.reviewer)
    path = f"/api/v1/proposals/{proposal.pk}"
    assert rita.get(path).status_code == 401
    assert rita.get(f"{path}?wait=1").status_code == 401
    headers = {**the.headers, "Idempotency-Key": "k"}
    cases: list[tuple[httpx.Response, int, str]] = [
        (
            httpx.post(f"{url}/api/v1/proposals", content=b" " * 300_000, headers=headers, timeout=30),
            413,
            "body_too_large",
        ),
        (
            httpx.post(f"{url}/api/v1/proposals", content=b" " * 3_000_000, headers=headers, timeout=30),
            413,
            "body_too_large",
        ),
        (
            httpx.post(f"{url}/api/v1/proposals", content=iter([b"["] * 3000), headers=headers, timeout=30),
            400,
            "bad_request",
        ),
        (httpx.get(f"{url}/api/v1/nothing", headers=headers, timeout=30), 404, "not_found"),
        (httpx.patch(f"{url}{path}", headers=headers, timeout=30), 405, "method_not_allowed"),
        (httpx.get(f"{url}{path}?wait=nan", headers=headers, timeout=30), 422, "fields_invalid"),
        (
            httpx.get(f"{url}{path}?wait=1&after_version=x", headers=headers, timeout=30),
            422,
            "fields_invalid",
        ),
        (
            httpx.get(f"{url}/api/v1/proposals/{'-' * 36}?wait=1", headers=headers, timeout=30),
            404,
            "not_found",
        ),
        (
            httpx.get(f"{url}{path}?wait=1", headers={"Authorization": "Bearer x"}, timeout=30),
            401,
            "bad_credential",
        ),
        (httpx.get(f"{url}{path}?wait=1", timeout=30), 401, "bad_credential"),
    ]
    for answer, status, code in cases:
        assert (answer.status_code, answer.json()["code"]) == (status, code), answer.request.url
        assert answer.headers["content-type"] == "application/problem+json"
    assert Decision.objects.count() == 0
