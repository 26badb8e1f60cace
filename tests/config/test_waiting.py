"""Long-polls over a real port: told at the commit, told nothing of others, robust against a lost LISTEN."""

import threading
import time
from collections.abc import Callable, Iterator

import httpx
import pytest
from django.db import connection

from approvals.models import Verdict
from config import waiting
from tests.factories import desk
from tests.live import serving

pytestmark = pytest.mark.django_db(transaction=True)
PATIENCE = 20
"""Seconds: less than the waits below, so that an answer within them was told and not found out at the end."""


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def is_waiting() -> bool:
    return bool(waiting.hub._waiting)


def listeners() -> list[int]:
    """The database's processes that listen for this test's server; others' have databases of their own."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname = current_database()"
        )
        return [pid for (pid,) in cursor.fetchall()]


@pytest.fixture
def url() -> Iterator[str]:
    with serving() as address:
        yield address


def test_wait_ends_with_the_decision(url: str) -> None:
    the = desk()
    proposal = the.propose()
    answers: list[tuple[float, httpx.Response]] = []

    def wait() -> None:
        response = httpx.get(
            f"{url}/api/v1/proposals/{proposal.pk}?wait=50&after_version=1", headers=the.headers, timeout=60
        )
        answers.append((time.monotonic(), response))

    waiter = threading.Thread(target=wait)
    waiter.start()
    until(is_waiting)
    time.sleep(0.5)
    assert answers == []
    the.decide(proposal, Verdict.APPROVE)
    decided = time.monotonic()
    waiter.join(60)
    [(told, response)] = answers
    assert (response.status_code, response.json()["status"]) == (200, "approved")
    assert told - decided < PATIENCE


def test_wait_returns_at_once_when_the_version_is_older(url: str) -> None:
    the = desk()
    proposal = the.propose()
    the.decide(proposal, Verdict.REJECT)
    response = httpx.get(
        f"{url}/api/v1/proposals/{proposal.pk}?wait=20&after_version=1", headers=the.headers, timeout=30
    )
    assert (response.json()["status"], response.json()["version"]) == ("rejected", 2)


def test_wait_runs_out_with_the_present_state(url: str) -> None:
    the = desk()
    proposal = the.propose()
    response = httpx.get(f"{url}/api/v1/proposals/{proposal.pk}?wait=0.5", headers=the.headers, timeout=30)
    assert (response.status_code, response.json()["status"]) == (200, "pending")


def test_wait_on_another_agents_proposal_is_not_found(url: str) -> None:
    mine, other = desk(), desk()
    proposal = other.propose()
    response = httpx.get(f"{url}/api/v1/proposals/{proposal.pk}?wait=5", headers=mine.headers, timeout=30)
    assert (response.status_code, response.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize("wait", ["61", "-1", "x", "nan"])
def test_wait_beyond_its_range_is_refused(url: str, wait: str) -> None:
    the = desk()
    proposal = the.propose()
    response = httpx.get(f"{url}/api/v1/proposals/{proposal.pk}?wait={wait}", headers=the.headers, timeout=30)
    assert (response.status_code, response.json()["errors"][0]["field"]) == (422, "wait")


def test_wait_survives_a_lost_listener(url: str) -> None:
    the = desk()
    proposal = the.propose()
    answers: list[httpx.Response] = []
    waiter = threading.Thread(
        target=lambda: answers.append(
            httpx.get(f"{url}/api/v1/proposals/{proposal.pk}?wait=50", headers=the.headers, timeout=60)
        )
    )
    waiter.start()
    until(lambda: is_waiting() and len(listeners()) == 1)
    [lost] = listeners()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", [lost])
        assert cursor.fetchone() == (True,)
    the.decide(proposal, Verdict.APPROVE)
    decided = time.monotonic()
    waiter.join(60)
    assert time.monotonic() - decided < PATIENCE
    assert [answer.json()["status"] for answer in answers] == ["approved"]


def test_stopping_server_lets_waiting_agents_go_with_an_answer() -> None:
    the = desk()
    proposal = the.propose()
    answers: list[httpx.Response] = []
    with serving() as address:
        waiter = threading.Thread(
            target=lambda: answers.append(
                httpx.get(
                    f"{address}/api/v1/proposals/{proposal.pk}?wait=50", headers=the.headers, timeout=60
                )
            )
        )
        waiter.start()
        until(is_waiting)
        begun = time.monotonic()
    waiter.join(60)
    assert [(answer.status_code, answer.json()["status"]) for answer in answers] == [(200, "pending")]
    assert time.monotonic() - begun < PATIENCE
