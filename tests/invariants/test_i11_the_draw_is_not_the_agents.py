"""I11: the draw that plants a probe can neither be seen nor influenced by the agent, by any request and any answer."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from approvals import probing
from approvals.disguise import Content
from approvals.models import ProbePosition, ProbeServing, Proposal, Verdict
from approvals.services import probe_library, probe_serve
from approvals.states import State
from tests import factories
from tests.factories import ARGUMENTS, Desk
from tests.invariants.calls import AgentCalls, call

pytestmark = pytest.mark.django_db(transaction=True)
WRONG = {"order_id": "B-7707", "amount": 61.0, "reason": "damaged"}


def stocked() -> Desk:
    the = factories.desk()
    draft = probe_library.Draft(
        content=Content(arguments=WRONG, summary="Refund B-7707."), fault="Not damaged."
    )
    for _ in range(3):
        probe_library.add(action_type=the.action_type.name, draft=draft, actor=factories.admin())
    probe_serve.plan(now=timezone.now() - timedelta(minutes=10))
    return the


def asking(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The chances that are drawn with from now on; nothing comes of them."""
    asked: list[float] = []

    def coin(probability: float) -> bool:
        asked.append(probability)
        return False

    monkeypatch.setattr(probing, "is_drawn", coin)
    return asked


def everything_told(the: Desk) -> str:
    """All that an agent's credential can read."""
    token = the.token
    paths = [
        "/api/v1/me",
        "/api/v1/proposals",
        *(f"/api/v1/proposals?status={state}" for state in State.values),
    ]
    paths += [
        f"/api/v1/proposals/{one['id']}" for one in call("GET", "/api/v1/proposals", token).body["items"]
    ]
    return json.dumps([call("GET", path, token).body for path in paths])


def test_accepting_does_the_same_whatever_the_coin_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is drawn, written or read for probes while an agent waits for its answer."""
    the = stocked()
    AgentCalls(the).propose()  # the first use of a credential is noted
    told = []
    for coin in (False, True):
        monkeypatch.setattr(probing, "is_drawn", lambda probability, coin=coin: coin)
        with CaptureQueriesContext(
            connection,
        ) as queries:
            AgentCalls(the).propose()
        told.append([query["sql"].split(" ")[0] for query in queries])
        assert not any("probe" in query["sql"].lower() for query in queries)
    assert told[0] == told[1]
    assert not ProbeServing.objects.exists()


def test_an_agent_is_told_the_same_with_and_without_a_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probing, "is_drawn", lambda probability: True)
    the = stocked()
    the.propose()
    before = everything_told(the)
    probe_serve.plan(now=timezone.now() + timedelta(minutes=1))
    assert everything_told(the) == before
    serving = ProbeServing.objects.get()
    assert probe_serve.serve_due(now=serving.serve_at + timedelta(seconds=1)) == 1
    assert everything_told(the) == before
    proposal = Proposal.objects.get(planted=True)
    the.decide(proposal, Verdict.APPROVE)
    assert everything_told(the) == before
    assert str(proposal.pk) not in before


@pytest.mark.parametrize(
    "extra",
    [
        {"metadata": {"planted": True, "sampled": False}},
        {"trace_id": "probe:1"},
        {"priority": "urgent", "expires_in": 60},
        {"confidence": 1.0},
    ],
)
def test_nothing_an_agent_sends_changes_the_chance(
    extra: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = asking(monkeypatch)
    the = stocked()
    AgentCalls(the).propose(**extra)
    probe_serve.plan(now=timezone.now() + timedelta(minutes=1))
    assert asked == [0.05]
    assert not Proposal.objects.filter(planted=True).exists()


def test_neither_a_repeat_nor_a_withdrawal_is_another_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    """An agent cannot draw until it likes the result: each proposal is drawn for once, whatever becomes of it."""
    asked = asking(monkeypatch)
    the = stocked()
    agent = AgentCalls(the)
    first = agent.propose(key="one")
    agent.propose(key="one")
    call("POST", f"/api/v1/proposals/{first.body['id']}/withdraw", the.token, {})
    for _ in range(3):
        probe_serve.plan(now=timezone.now() + timedelta(minutes=1))
    assert len(asked) == 1


def test_a_guessed_key_of_a_probe_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys of planted proposals cannot be guessed; and one that is known tells nothing of what it belongs to."""
    monkeypatch.setattr(probing, "is_drawn", lambda probability: True)
    the = stocked()
    the.propose()
    probe_serve.plan(now=timezone.now() + timedelta(minutes=1))
    probe_serve.serve_due(now=ProbeServing.objects.get().serve_at + timedelta(seconds=1))
    key = Proposal.objects.get(planted=True).idempotency_key
    assert len(key) == 48 and str(ProbeServing.objects.get().pk) != key
    for guess in ("probe:1", "probe-1", str(Proposal.objects.get(planted=True).pk)):
        assert AgentCalls(the).propose(ARGUMENTS, key=guess).status == 201


def test_the_position_only_moves_on() -> None:
    the = stocked()
    the.propose()
    later = timezone.now() + timedelta(minutes=5)
    probe_serve.plan(now=later)
    position = ProbePosition.objects.get().proposals
    probe_serve.plan(now=later - timedelta(minutes=30))
    assert ProbePosition.objects.get().proposals == position
