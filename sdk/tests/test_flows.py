"""What calls do between request and answer: retries, waiting, patience. Nothing is sent and no time passes."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from email.utils import format_datetime
from typing import Any, TypeVar

import pytest

from countersign import AlreadyRedeemed, CountersignError, Draft, Undecided, Unreachable, flows, wire
from countersign.flows import Flow
from countersign.proposals import Proposal
from countersign.settings import Settings
from countersign.testing import FakeServer
from countersign.wire import Answer, Lost, Request

T = TypeVar("T")
CUT, AWAY = Lost("cut", was_sent=True), Lost("refused", was_sent=False)
REQUEST = wire.get("/x")


def answer(status: int = 200, document: Any = None, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, named, json.dumps({} if document is None else document).encode())


def problem(status: int, code: str, **more: Any) -> Answer:
    return answer(status, {"status": status, "code": code, "title": code, "detail": code, **more})


@dataclass
class Script:
    """Drives a flow with prepared answers on a clock of its own, and remembers what was asked."""

    answers: Iterable[Answer | Lost]
    now: float = 1000.0
    each: float = 0.0
    """Seconds that each answer takes."""
    waits: bool = True
    """Whether a long-poll takes as long as was asked."""
    asked: list[Request] = field(default_factory=list)

    def settings(self, **more: Any) -> Settings:
        return Settings(token="t", clock=lambda: self.now, chance=lambda: 1.0, **more)

    def run(self, flow: Flow[T]) -> T:
        answers = iter(self.answers)
        try:
            request = next(flow)
            while True:
                self.asked.append(request)
                self.now += request.after + (request.timeout if self.waits else 0.0) + self.each
                request = flow.send(next(answers))
        except StopIteration as stop:
            value: T = stop.value
            return value

    @property
    def pauses(self) -> list[float]:
        return [request.after for request in self.asked]


@pytest.fixture
def pending(countersign_server: FakeServer) -> Proposal:
    with countersign_server.client() as client:
        return client.propose("refund", {"amount": 1})


@pytest.mark.parametrize(
    "first",
    [
        CUT,
        AWAY,
        answer(502),
        problem(503, "unavailable"),
        problem(429, "too_many_requests"),
        problem(409, "request_in_flight"),
        problem(500, "server_error"),
    ],
    ids=["cut", "away", "gateway", "unavailable", "too many", "in flight", "fault"],
)
def test_what_may_heal_is_asked_again(first: Answer | Lost) -> None:
    script = Script([first, first, answer(document={"ok": 1})])
    assert script.run(flows.exchange(REQUEST, script.settings())) == {"ok": 1}
    assert script.pauses == [0.0, 0.25, 0.5]


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "bad_request"),
        (401, "bad_credential"),
        (404, "not_found"),
        (409, "wrong_state"),
        (422, "invalid"),
    ],
)
def test_what_will_not_heal_is_told_at_once(status: int, code: str) -> None:
    errors = [{"field": "/a", "message": "must be b"}]
    script = Script([problem(status, code, errors=errors)])
    with pytest.raises(CountersignError) as caught:
        script.run(flows.exchange(REQUEST, script.settings()))
    assert (caught.value.status, caught.value.code, caught.value.errors) == (status, code, errors)
    assert "must be b" in str(caught.value)
    assert caught.value.unsure is False


def test_the_server_says_when_to_come_again() -> None:
    script = Script([answer(429, retry_after="7"), answer(503, retry_after="0"), answer()])
    script.run(flows.exchange(REQUEST, script.settings()))
    assert script.pauses == [0.0, 8.0, 0.0]


def test_the_server_may_say_it_as_a_date() -> None:
    long_ago = format_datetime(datetime(2020, 1, 1, tzinfo=timezone.utc), usegmt=True)
    script = Script([answer(503, retry_after=long_ago), answer(503, retry_after="soon"), answer()])
    script.run(flows.exchange(REQUEST, script.settings()))
    assert script.pauses == [0.0, 0.0, 0.5]


def test_patience_ends_without_sleeping_for_nothing() -> None:
    refused = problem(429, "too_many_open")
    script = Script([Answer(429, {"retry-after": "3600"}, refused.content)])
    with pytest.raises(CountersignError) as caught:
        script.run(flows.exchange(REQUEST, script.settings(patience=60)))
    assert (caught.value.code, caught.value.retry_after) == ("too_many_open", 3600)
    assert script.now == 1000


def test_attempts_are_bounded() -> None:
    script = Script([AWAY] * 100)
    with pytest.raises(Unreachable) as caught:
        script.run(flows.exchange(REQUEST, script.settings(attempts=5)))
    assert script.pauses == [0.0, 0.25, 0.5, 1.0, 2.0]
    assert caught.value.unsure is False


def test_slow_answers_use_patience_up_as_well() -> None:
    script = Script([CUT] * 100, each=25)
    with pytest.raises(Unreachable) as caught:
        script.run(flows.exchange(REQUEST, script.settings(attempts=100)))
    assert len(script.asked) == 3
    assert caught.value.unsure is True


def test_a_fault_of_the_server_is_not_asked_for_long() -> None:
    script = Script([problem(500, "server_error")] * 100)
    with pytest.raises(CountersignError, match="server_error"):
        script.run(flows.exchange(REQUEST, script.settings()))
    assert len(script.asked) == 3


@pytest.mark.parametrize("content", [b"<html>hello</html>", b""], ids=["page", "nothing"])
def test_what_is_not_countersign_is_said_so(content: bytes) -> None:
    for status in (200, 302, 404):
        script = Script([Answer(status, {}, content)])
        with pytest.raises(CountersignError, match="COUNTERSIGN_URL") as caught:
            script.run(flows.exchange(REQUEST, script.settings()))
        assert caught.value.code == "not_countersign"


def test_a_repeat_has_the_same_key_and_bytes(pending: Proposal) -> None:
    script = Script([CUT, problem(503, "unavailable"), answer(200, pending.raw)])
    draft = Draft("refund", {"b": 1.0, "a": 2}, summary="why")
    script.run(flows.propose(draft, script.settings()))
    assert len({(request.content, request.headers["Idempotency-Key"]) for request in script.asked}) == 1
    assert script.asked[0].content == (b'{"action_type":"refund","arguments":{"a":2,"b":1},"summary":"why"}')


def test_waiting_asks_from_the_version_it_knows(pending: Proposal) -> None:
    decided = pending.raw | {"status": "rejected", "version": 3}
    script = Script([answer(document=pending.raw | {"version": 2}), answer(document=decided)])
    found = script.run(flows.wait(pending, script.settings(), None))
    assert found.status == "rejected"
    assert [request.path.partition("?")[2] for request in script.asked] == [
        "wait=55&after_version=1",
        "wait=55&after_version=2",
    ]
    assert script.pauses == [0.0, 0.0]


def test_waiting_goes_on_through_any_outage(pending: Proposal) -> None:
    decided = pending.raw | {"status": "approved", "version": 2}
    ill: list[Answer | Lost] = [answer(502), problem(503, "unavailable"), CUT]
    script = Script([*[AWAY] * 20, *ill * 20, answer(document=decided)])
    assert script.run(flows.wait(pending, script.settings(), None)).status == "approved"
    assert len(script.asked) == 81
    assert max(script.pauses) == 10.0


def test_waiting_ends_with_its_time(pending: Proposal) -> None:
    script = Script([answer(document=pending.raw)] * 9)
    with pytest.raises(Undecided) as caught:
        script.run(flows.wait(pending, script.settings(), 120))
    assert isinstance(caught.value, TimeoutError)
    assert caught.value.proposal == pending
    assert [request.path.partition("wait=")[2].partition("&")[0] for request in script.asked] == [
        "55",
        "55",
        "10",
    ]
    assert script.now == 1120


def test_waiting_for_no_time_looks_once(pending: Proposal) -> None:
    script = Script([answer(document=pending.raw)] * 2)
    with pytest.raises(Undecided):
        script.run(flows.wait(pending, script.settings(), 0))
    assert len(script.asked) == 1


def test_waiting_ends_with_a_refusal(pending: Proposal) -> None:
    script = Script([problem(401, "bad_credential")])
    with pytest.raises(CountersignError, match="bad_credential"):
        script.run(flows.wait(pending, script.settings(), None))


def test_waiting_does_not_press_a_server_that_answers_before_the_time(pending: Proposal) -> None:
    still, over = answer(document=pending.raw), answer(document=pending.raw | {"status": "expired"})
    script = Script([still, over], waits=False)
    script.run(flows.wait(pending, script.settings(), None))
    assert script.pauses == [0.0, pytest.approx(0.6)]


def test_a_redemption_whose_answer_was_lost_is_not_taken_for_a_permission(pending: Proposal) -> None:
    approved = pending.raw | {"status": "approved", "grant": {"token": "a.b.c", "expires_at": None}}
    proposal = wire.proposal_in(approved)
    refused = problem(409, "grant_refused")
    executing = answer(document=approved | {"status": "executing", "grant": None, "version": 3})
    script = Script([CUT, refused, executing])
    with pytest.raises(AlreadyRedeemed) as caught:
        script.run(flows.redeem(proposal, script.settings()))
    assert (caught.value.is_known, caught.value.unsure) == (False, True)
    assert [one.timeout for one in script.asked if one.path.endswith("/redeem")] == [60.0, 60.0]


def test_a_grant_that_is_used_up_is_told_from_one_that_is_not_there(pending: Proposal) -> None:
    proposal = wire.proposal_in(
        pending.raw | {"status": "approved", "grant": {"token": "a.b.c", "expires_at": None}}
    )
    refused = problem(409, "grant_refused")
    script = Script([AWAY, refused, answer(document=pending.raw | {"status": "succeeded"})])
    with pytest.raises(AlreadyRedeemed, match="succeeded") as used:
        script.run(flows.redeem(proposal, script.settings()))
    assert (used.value.is_known, used.value.unsure) == (True, False)
    script = Script([AWAY, refused, answer(document=pending.raw | {"status": "revoked"})])
    with pytest.raises(CountersignError) as caught:
        script.run(flows.redeem(proposal, script.settings()))
    assert caught.value.code == "grant_refused"


def test_batches_are_kept_within_the_servers_bounds(pending: Proposal) -> None:
    def results(number: int) -> Answer:
        return answer(document={"results": [{"status": 201, "proposal": pending.raw}] * number})

    script = Script([results(500), results(2)])
    found = script.run(flows.propose_many([Draft("a", {"n": n}) for n in range(502)], script.settings()))
    assert len(found) == 502
    large = [Draft("a", {"text": "x" * 200_000}) for _ in range(7)]
    script = Script([results(5), results(2)])
    assert len(script.run(flows.propose_many(large, script.settings()))) == 7
    assert all(len(request.content or b"") <= 1024 * 1024 + 100 for request in script.asked)
