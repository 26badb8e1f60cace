"""A38: an agent that floods is told to come back, holds nobody else up, and piles up no more than people can see."""

import secrets
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import redis
import structlog
from django.conf import settings as project
from django.test import Client

from accounts.exceptions import TooManyRequests
from agents.autonomy import Tier
from agents.services import credentials
from approvals import open_items
from approvals.models import Proposal, Verdict
from approvals.states import State
from audit.models import AuditEvent
from config import limits, rates
from config.wsgi import application
from tests.factories import ARGUMENTS, Desk, admin, desk, policy
from tests.live import serving

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _redis_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy the machine is: what is tested is what a bucket says, not how fast."""
    monkeypatch.setattr(limits, "PATIENCE", 30.0)
    monkeypatch.setattr(limits, "_away_until", -1.0)
    monkeypatch.setattr(limits, "_said_at", -1000.0)
    monkeypatch.setattr(project, "SECRET_KEY", secrets.token_hex(32))  # buckets of this test's own


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    with httpx.Client(transport=httpx.WSGITransport(app=application), base_url="http://localhost") as client:
        yield client


def allow(settings: Any, *, open_items: int = 1_000_000, **per_kind: tuple[int, int]) -> None:
    rates_now: dict[rates.Kind, rates.Rate] = {kind: rates.Rate(10**6, 10**6) for kind in rates.KINDS}
    for kind in rates.KINDS:
        if kind in per_kind:
            rates_now[kind] = rates.Rate(*per_kind[kind])
    settings.LIMITS = rates.Limits(rates.Allowance(rates_now, open_items))


def propose(http: httpx.Client, the: Desk, key: str, token: str = "") -> httpx.Response:
    body = {"action_type": the.action_type.name, "arguments": ARGUMENTS}
    headers = {"Authorization": f"Bearer {token or the.token}", "Idempotency-Key": key}
    return http.post("/api/v1/proposals", json=body, headers=headers)


def test_a38_a_thousand_items_are_refused_and_other_queues_are_as_they_were(
    settings: Any, http: httpx.Client
) -> None:
    settings.REFUSALS_EACH = 10
    allow(settings, propose=(1, 50))
    flooding, other = desk(), desk()
    theirs = {"name": "theirs", "when": f"agent.name == '{flooding.agent.slug}'"}
    policy([{**theirs, "review": {"queue": flooding.queue.slug}}], other.queue)
    begun = time.monotonic()
    answers = []
    for number in range(1000):
        answers.append(propose(http, flooding, f"flood-{number}"))
        if number % 100 == 0:
            assert propose(http, other, f"other-{number}").status_code == 201
    took = time.monotonic() - begun

    statuses = Counter(answer.status_code for answer in answers)
    assert set(statuses) == {201, 429}
    assert 50 <= statuses[201] <= 50 + took + 1
    assert Proposal.objects.filter(queue=flooding.queue).count() == statuses[201]
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.json()["code"] == "too_many_requests"
    assert refused.headers["content-type"] == "application/problem+json"
    assert int(refused.headers["retry-after"]) == refused.json()["retry_after"] >= 1

    assert set(Proposal.objects.filter(queue=other.queue).values_list("agent", flat=True)) == {other.agent.pk}
    assert Proposal.objects.filter(queue=other.queue).count() == 10
    other.decide(Proposal.objects.filter(queue=other.queue).earliest("id"), Verdict.APPROVE)
    events = AuditEvent.objects.filter(kind="access.refused")
    assert 10 <= events.count() <= 20, "the flood is told of, and does not flood the log"
    assert set(events.values_list("actor_id", flat=True)) == {str(flooding.agent.actor().id)}


def test_a38_all_credentials_of_an_agent_share_one_bucket(settings: Any, http: httpx.Client) -> None:
    allow(settings, propose=(1, 3))
    the = desk()
    _, second = credentials.issue(agent_id=the.agent.pk, actor=admin())
    tokens = [the.token, second] * 20
    statuses = Counter(propose(http, the, f"k{n}", token).status_code for n, token in enumerate(tokens))
    assert statuses[201] < 20 and statuses[429] > 15


def test_a38_a_refused_request_may_be_sent_again_and_counts_once(settings: Any, http: httpx.Client) -> None:
    allow(settings, propose=(1, 1))
    the = desk()
    assert propose(http, the, "first").status_code == 201
    deadline = time.monotonic() + 60
    while (answer := propose(http, the, "second")).status_code == 429 and time.monotonic() < deadline:
        assert not Proposal.objects.filter(idempotency_key="second").exists()
        time.sleep(0.05)
    assert answer.status_code == 201
    assert Proposal.objects.filter(idempotency_key="second").count() == 1


def test_a38_proposing_leaves_reading_redeeming_and_reporting_alone(
    settings: Any, http: httpx.Client
) -> None:
    allow(settings, propose=(1, 1))
    the = desk()
    proposal = the.approved()
    while propose(http, the, secrets.token_hex(8)).status_code != 429:
        pass
    assert http.get(f"/api/v1/proposals/{proposal.pk}", headers=the.headers).status_code == 200
    redeemed = http.post(
        f"/api/v1/proposals/{proposal.pk}/redeem", json={"digest": proposal.digest}, headers=the.headers
    )
    assert redeemed.status_code == 200
    told = http.post(
        f"/api/v1/proposals/{proposal.pk}/outcome", json={"status": "succeeded"}, headers=the.headers
    )
    assert told.status_code == 200


def test_a38_more_than_may_be_open_is_refused_until_people_have_decided(
    settings: Any, http: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_items, "TIGHT", 0.0)
    allow(settings, open_items=5)
    the, other = desk(), desk()
    answers = [propose(http, the, f"k{number}") for number in range(7)]
    assert [answer.status_code for answer in answers] == [201] * 5 + [429] * 2
    refused = answers[-1]
    assert refused.json()["code"] == "too_many_open"
    assert refused.json()["most"] == refused.json()["open"] == 5
    assert "Withdraw" in refused.json()["detail"] and refused.headers["retry-after"] == "30"
    assert propose(http, other, "k0").status_code == 201

    assert propose(http, the, "k0").status_code == 200, "what was accepted is answered as ever"
    assert propose(http, the, "k0").json()["id"] == answers[0].json()["id"]
    withdrawn = http.post(
        f"/api/v1/proposals/{answers[0].json()['id']}/withdraw", json={}, headers=the.headers
    )
    assert withdrawn.status_code == 200
    assert propose(http, the, "k9").status_code == 201
    assert propose(http, the, "k10").status_code == 429


def test_a38_what_waits_for_nobody_is_not_counted(settings: Any, http: httpx.Client) -> None:
    allow(settings, open_items=1)
    the = desk(Tier.OUT_OF_THE_LOOP)
    assert [propose(http, the, f"k{n}").json()["status"] for n in range(3)] == [State.APPROVED] * 3


def test_a38_an_agent_may_have_limits_of_its_own(settings: Any, http: httpx.Client) -> None:
    the, other = desk(), desk()
    usual = rates.USUAL
    text = f"{the.agent.slug}:propose=1/2,open=1; nobody:open=3"
    settings.LIMITS = rates.from_environment({"COUNTERSIGN_AGENT_LIMITS": text}, usual=usual)
    assert propose(http, the, "a").status_code == 201
    assert propose(http, the, "b").json()["code"] == "too_many_open"
    assert {propose(http, the, "c").json()["code"] for _ in range(10)} >= {"too_many_requests"}
    assert [propose(http, other, f"k{number}").status_code for number in range(5)] == [201] * 5


def test_a38_a_flushed_redis_forgives(settings: Any, http: httpx.Client) -> None:
    allow(settings, propose=(1, 2))
    the = desk()
    while propose(http, the, secrets.token_hex(8)).status_code != 429:
        pass
    client = redis.Redis.from_url(project.REDIS_URL)
    client.delete(*client.keys("countersign:limit:*"))
    client.script_flush()
    assert propose(http, the, "after").status_code == 201


def test_a38_while_redis_is_away_the_cap_still_holds_and_people_pass(
    settings: Any, http: httpx.Client, client: Client
) -> None:
    allow(settings, propose=(1, 1), person=(1, 1), open_items=4)
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    the = desk()
    client.force_login(the.reviewer)
    with structlog.testing.capture_logs() as logs:
        assert [propose(http, the, f"k{n}").status_code for n in range(6)] == [201] * 4 + [429] * 2
        assert [client.get("/queues/").status_code for _ in range(3)] == [200] * 3
    assert [entry["event"] for entry in logs].count("limits_away") == 1, "once a minute is enough"


def test_a38_waiting_counts_as_reading(settings: Any) -> None:
    allow(settings, read=(1, 2))
    the = desk()
    proposal = the.propose()
    with serving() as url, httpx.Client(timeout=60, headers=the.headers) as client:
        answers = [
            client.get(f"{url}/api/v1/proposals/{proposal.pk}?wait=1&after_version=0") for _ in range(20)
        ]
    codes = Counter(answer.status_code for answer in answers)
    assert set(codes) == {200, 429}
    assert all("retry-after" in answer.headers for answer in answers if answer.status_code == 429)


def test_a_hundred_decisions_in_five_minutes_are_never_slowed(settings: Any) -> None:
    """A page, its fragments, the decision and the way back: ten requests each, though all came within a second."""
    usual = rates.USUAL.rates["person"]
    assert usual.per_second * 300 + usual.burst >= 100 * 10 * 5
    settings.LIMITS = rates.Limits()
    for _ in range(usual.burst):
        limits.spend("person", party="person:1")


def test_a_person_is_told_on_a_page_and_in_a_fragment(settings: Any, client: Client) -> None:
    allow(settings, person=(1, 1))
    client.force_login(desk().reviewer)
    deadline = time.monotonic() + 60
    while (page := client.get("/queues/")).status_code == 200 and time.monotonic() < deadline:
        pass
    assert page.status_code == 429 and int(page["Retry-After"]) >= 1
    assert "Too many requests" in page.content.decode() and "<h1" in page.content.decode()
    while (part := client.get("/queues/", headers={"HX-Request": "true"})).status_code == 200:
        assert time.monotonic() < deadline
    assert 'id="refusal"' in part.content.decode() and "<h1" not in part.content.decode()


def test_a_batch_costs_its_items(settings: Any) -> None:
    allow(settings, propose=(1, 100))
    limits.spend("propose", party="agent:x", cost=60)
    with pytest.raises(TooManyRequests) as refusal:
        limits.spend("propose", party="agent:x", cost=60)
    assert 15 <= int(str(refusal.value.extra["retry_after"])) <= 20
    limits.spend("propose", party="agent:y", cost=5000)  # larger than any bucket: all of it, once


def test_keys_in_redis_name_nobody(settings: Any) -> None:
    client = redis.Redis.from_url(project.REDIS_URL)
    before = set(client.keys("countersign:limit:*"))
    limits.spend("propose", party="agent:4711")
    (key,) = set(client.keys("countersign:limit:*")) - before
    assert b"4711" not in key
    assert int(str(client.pttl(key))) > 0, "what nobody uses any more goes by itself"
