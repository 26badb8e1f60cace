"""One agent's way over HTTP: in the loop, on the loop, out of the loop, and back at once when it turns bad.

Every step is a request: the agent proposes, redeems and reports; people approve, reject, judge blindly and confirm.
Only time is helped along (probes are planted when the test says so) and the coins fall in a fixed order."""

import itertools
import re
from collections.abc import Iterator
from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import User
from agents import authority, standings, tier_model
from agents.autonomy import Tier
from agents.models import ActionType, Mandate, Promotion, Standing, TierChange
from agents.tier_model import State
from approvals import probing
from approvals.disguise import Content
from approvals.models import BlindReview, Notification, Probe, ProbeServing, Proposal
from approvals.services import probe_library, probe_serve, promote, rebuild, submit
from tests.factories import action_type, admin, desk

pytestmark = pytest.mark.django_db(transaction=True)

WRONG = "XX00"
"""The account of every proposal that must not be approved: reviewers look for it."""


class Coins:
    """Every third toss wins, so that the story is the same every time. (A submission may toss twice.)"""

    def __init__(self) -> None:
        self.tosses = itertools.count(1)

    def random(self) -> float:
        return 0.999 if next(self.tosses) % 3 else 0.0


@pytest.fixture(autouse=True)
def coins(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(submit, "_random", Coins())
    drawn = itertools.count(1)
    monkeypatch.setattr(probing, "is_drawn", lambda probability: next(drawn) % 4 == 0)
    yield


class Story:
    def __init__(self) -> None:
        self.the = desk(veto_seconds=0)
        ActionType.objects.filter(pk=self.the.action_type.pk).update(reversible_by=action_type())
        Mandate.objects.filter(pk=self.the.mandate.pk).update(
            ceiling=Tier.OUT_OF_THE_LOOP,
            thresholds={
                "on_p0": 0.85,
                "out_p0": 0.9,
                "cool_down_days": 0,
                "exposure_days": 0,
                "maturity_hours": 0,
                "second": 0,
                "probe_in": 0.25,
                "probe_audit": 0.25,
                "early_on": 1.0,
            },
        )
        authority.bump()
        self.number = itertools.count(1)
        self.turn = itertools.count()
        self.agent = Client()
        self.people = [signed_in(self.the.reviewer), signed_in(self.the.second)]
        self.owner = signed_in(self.the.agent.owner)
        probe_serve.plan(now=timezone.now())
        for number in range(30):
            content = Content(
                arguments={"order_id": f"P-{number}", "amount": 10 + number, "iban": WRONG}, summary="Refund."
            )
            probe_library.add(
                action_type=self.the.action_type.name,
                draft=probe_library.Draft(content=content, fault="The account is made up.", faulty=["/iban"]),
                actor=admin(),
            )

    # What the agent does

    def propose(self, *, wrong: bool = False) -> dict[str, Any]:
        number = next(self.number)
        arguments: dict[str, Any] = {"order_id": f"A-{number}", "amount": 5}
        if wrong:
            arguments["iban"] = WRONG
        return self.call("", {"action_type": self.the.action_type.name, "arguments": arguments}, str(number))

    def call(self, path: str, body: dict[str, Any], key: str = "", expect: int = 0) -> dict[str, Any]:
        response = self.agent.post(
            f"/api/v1/proposals{path}",
            body,
            content_type="application/json",
            headers={**self.the.headers, **({"Idempotency-Key": f"k-{key}"} if key else {})},
        )
        assert response.status_code == (expect or (201 if key else 200)), response.content
        found: dict[str, Any] = response.json()
        return found

    def act(self, told: dict[str, Any]) -> None:
        """Redeem, act, report."""
        self.call(f"/{told['id']}/redeem", {"digest": told["digest"]})
        self.call(f"/{told['id']}/outcome", {"status": "succeeded"})

    # What people do

    def decide_all(self) -> None:
        """Both reviewers in turn decide whatever waits, probes among it, by the account they see."""
        for number, proposal in enumerate(Proposal.objects.filter(state="pending").order_by("created_at")):
            verdict = "reject" if WRONG in bytes(proposal.current_revision.canonical).decode() else "approve"
            data = {"revision": proposal.revision, "version": proposal.version, "reason": "not_allowed"}
            response = self.people[number % 2].post(f"/proposals/{proposal.pk}/{verdict}/", data)
            assert response.status_code == 302, response.content

    def judge_all(self, *, while_tier: str = "") -> None:
        """One reviewer, the other the next time, judges blindly whatever there is, going on from one to the next."""
        person = self.people[next(self.turn) % 2]
        where = person.post("/reviews/next/").headers["Location"]
        while found := re.fullmatch(r"/reviews/(\d+)/", where):
            review = BlindReview.objects.select_related("revision").get(pk=found[1])
            wrong = WRONG in bytes(review.revision.canonical).decode()
            answer = {"judgement": "wrong" if wrong else "right", "comment": "The account." if wrong else ""}
            response = person.post(f"/reviews/{review.pk}/judge/", answer)
            assert response.status_code == 302, response.content
            where = response.headers["Location"]
            if while_tier and self.tier != while_tier:
                return

    def plant(self) -> None:
        probe_serve.plan(now=timezone.now() + probe_serve.SETTLED * 2)
        ProbeServing.objects.filter(served_at=None).update(serve_at=timezone.now())
        probe_serve.serve_due(now=timezone.now(), wait=lambda seconds: None)

    def confirm(self) -> None:
        promotion = Promotion.objects.get(state="open")
        address = f"/promotions/{promotion.pk}/confirm/"
        data = {"reason": "The numbers are there."}
        preview = self.owner.post(address, data)
        found = re.search(r'name="confirm" value="([^"]+)"', preview.content.decode())
        assert found is not None
        response = self.owner.post(address, {**data, "confirm": unescape(found[1])})
        assert response.status_code == 302, response.content

    def is_earned(self) -> bool:
        promote.assess_due(now=timezone.now())
        return Promotion.objects.filter(state="open").exists()

    @property
    def tier(self) -> str:
        return Mandate.objects.get(pk=self.the.mandate.pk).tier

    @property
    def state(self) -> State:
        return State.from_json(Standing.objects.get(agent=self.the.agent).state)


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.mark.timeout(300)
def test_an_agent_rises_by_evidence_and_falls_at_once() -> None:
    story = Story()
    the = story.the

    # In the loop: every action is decided beforehand, one in a hundred is wrong.
    for batch in itertools.count(1):
        told = [story.propose(wrong=batch == 2 and place == 0) for place in range(12)]
        assert {one["status"] for one in told} == {"pending"}
        story.plant()
        story.decide_all()
        if story.is_earned():
            break
        assert batch < 15
    in_loop = story.state
    assert in_loop.counts[4] == (1 if batch >= 2 else 0)
    assert in_loop.probes[0] > 0
    assert in_loop.probes[1] == 0
    assert len(in_loop.reviewers) == 2
    assert Notification.objects.filter(recipient=the.agent.owner, kind="tier").exists()
    assert story.propose()["status"] == "pending"
    story.decide_all()
    story.confirm()
    assert story.tier == Tier.ON_THE_LOOP

    # On the loop with a window of 0: it runs at once, and all of it is judged afterwards at first.
    for batch in itertools.count(1):
        told = [story.propose() for _ in range(12)]
        assert {(one["status"], one["tier"]) for one in told} == {("approved", "on_the_loop")}
        for one in told[:2]:
            story.act(one)
        story.plant()
        story.judge_all()
        if story.is_earned():
            break
        assert batch < 15
    assert story.state.audits == story.state.reviews > 40
    story.confirm()
    assert story.tier == Tier.OUT_OF_THE_LOOP
    assert story.propose()["tier"] == "out_of_the_loop"

    # It turns bad: audits find it out, and the grant that is still open is worth nothing from then on.
    grants = [story.propose(wrong=True) for _ in range(30)]
    waiting = grants[-1]
    assert waiting["status"] == "approved"
    story.judge_all(while_tier=Tier.OUT_OF_THE_LOOP)
    assert story.tier == Tier.IN_THE_LOOP
    assert story.call(f"/{waiting['id']}/redeem", {"digest": waiting["digest"]}, expect=409)["code"]
    assert story.propose()["status"] == "pending"

    # What remains: a history with the numbers of each change, and a state that its evidence adds up to.
    changes = list(TierChange.objects.order_by("pk").values_list("before", "after", "cause"))
    assert changes == [
        ("in_the_loop", "on_the_loop", "evidence"),
        ("on_the_loop", "out_of_the_loop", "evidence"),
        ("out_of_the_loop", "in_the_loop", "evidence"),
    ]
    assert all(change.numbers for change in TierChange.objects.all())
    assert [checked.differences for checked in rebuild.rebuild()] == [[]]
    assert not Proposal.objects.filter(planted=True, grant__isnull=False).exists()
    assert Probe.objects.count() == 30


def test_what_is_planted_is_not_for_the_agent_to_see() -> None:
    story = Story()
    for _ in range(8):
        story.propose()
    story.plant()
    [planted, *_] = Proposal.objects.filter(planted=True)
    assert story.agent.get(f"/api/v1/proposals/{planted.pk}", headers=story.the.headers).status_code == 404
    listed = story.agent.get("/api/v1/proposals", headers=story.the.headers).json()
    assert str(planted.pk) not in str(listed)
    assert tier_model.TARGETS[0] == "on_the_loop"
    assert standings.of(story.the.agent, story.the.action_type, "1").agent_version == "1"
