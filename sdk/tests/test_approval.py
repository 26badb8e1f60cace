"""`@requires_approval`: what runs, with which arguments, how often, and what is reported; plain and async functions."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any

import anyio
import pytest
from both import KINDS, Caller, beside

from countersign import (
    AlreadyRedeemed,
    ArgumentsUnfit,
    AsyncCountersign,
    Countersign,
    CountersignError,
    NotApproved,
    Undecided,
    requires_approval,
)
from countersign.testing import FakeServer


class Till:
    """Pays, and remembers what it paid."""

    def __init__(self) -> None:
        self.paid: list[tuple[str, float, str]] = []
        self.raises: BaseException | None = None

    def refund(self, order_id: str, amount: float, note: str = "") -> dict[str, Any]:
        self.paid.append((order_id, amount, note))
        if self.raises is not None:
            raise self.raises
        return {"refund": len(self.paid)}


@pytest.fixture
def till() -> Till:
    return Till()


@pytest.fixture(params=KINDS)
def client(request: pytest.FixtureRequest, countersign_server: FakeServer) -> Iterator[Caller]:
    with Caller(request.param, countersign_server.url, countersign_server.token) as caller:
        yield caller


@pytest.fixture
def refund(client: Caller, till: Till) -> Callable[..., Any]:
    """One key per order, as an agent with ids of its own has it."""
    return client.approving(till.refund, "refund", key=lambda order_id, *args, **kwargs: f"refund-{order_id}")


def test_it_runs_what_was_approved_and_reports(
    refund: Callable[..., Any], till: Till, countersign_server: FakeServer
) -> None:
    running = beside(lambda: refund("A-1", amount=42.5))
    proposal = countersign_server.next()
    assert proposal.arguments == {"order_id": "A-1", "amount": 42.5, "note": ""}
    assert till.paid == []
    countersign_server.approve(proposal)
    assert running() == {"refund": 1}
    assert till.paid == [("A-1", 42.5, "")]
    [ended] = countersign_server.proposals
    assert ended.status == "succeeded"
    assert ended.outcome is not None
    assert ended.outcome.result == {"refund": 1}


def test_it_runs_the_edited_arguments(
    refund: Callable[..., Any], till: Till, countersign_server: FakeServer
) -> None:
    edited = {"order_id": "A-2", "amount": 40, "note": "less"}
    countersign_server.answer(lambda one: countersign_server.approve(one, edit=edited))
    refund("A-1", 42.5)
    assert till.paid == [("A-2", 40.0, "less")]
    assert isinstance(till.paid[0][1], float)


def test_it_redeems_before_it_runs(client: Caller, countersign_server: FakeServer) -> None:
    seen: list[str] = []
    countersign_server.answer(countersign_server.approve)
    client.approving(lambda: seen.append(countersign_server.proposals[0].status), "look")()
    assert seen == ["executing"]


@pytest.mark.parametrize(
    "verdict", ["reject", "return", "deny", "expired", "withdrawn", "revoked", "lapsed", "advisory"]
)
def test_without_a_permission_nothing_runs(
    refund: Callable[..., Any], till: Till, countersign_server: FakeServer, verdict: str
) -> None:
    server = countersign_server
    answers: dict[str, Callable[[Any], object]] = {
        "reject": lambda one: server.reject(one, "No."),
        "return": lambda one: server.return_(one, "Why?"),
        "advisory": server.approve,
    }
    if verdict == "deny":
        server.deny("refund")
    if verdict == "advisory":
        server.tier("refund", "advisory")
    server.answer(answers.get(verdict, lambda one: server.become(one, verdict)))
    with pytest.raises(NotApproved) as caught:
        refund("A-1", 1)
    assert till.paid == []
    assert caught.value.proposal.words == caught.value.detail
    assert caught.value.code == f"not_approved_{caught.value.proposal.status}"


def test_what_is_raised_is_reported_as_failed_and_raised(
    refund: Callable[..., Any], till: Till, countersign_server: FakeServer
) -> None:
    countersign_server.answer(countersign_server.approve)
    till.raises = LookupError("no such order")
    with pytest.raises(LookupError, match="no such order"):
        refund("A-1", 1)
    [ended] = countersign_server.proposals
    assert ended.outcome is not None
    assert (ended.status, ended.outcome.result) == (
        "failed",
        {"error": "LookupError", "message": "no such order"},
    )


class Stopped(BaseException):
    """From outside, as by Ctrl-C."""


@pytest.mark.parametrize(
    "error",
    [Stopped("now"), TimeoutError("no answer"), LookupError("unsettled")],
    ids=lambda one: type(one).__name__,
)
def test_what_leaves_it_open_is_reported_as_unknown_and_a_repeat_runs_nothing(
    client: Caller, till: Till, countersign_server: FakeServer, error: BaseException
) -> None:
    countersign_server.answer(countersign_server.approve)
    refund = client.approving(till.refund, "refund", key=lambda *_: "one", unsure=(LookupError,))
    till.raises = error
    with pytest.raises(type(error)):
        refund("A-1", 1)
    [ended] = countersign_server.proposals
    assert ended.outcome is not None
    assert (ended.status, ended.outcome.result) == (
        "unknown",
        {"error": type(error).__name__, "message": str(error)},
    )
    till.raises = None
    with pytest.raises(AlreadyRedeemed, match="unknown") as caught:
        refund("A-1", 1)
    assert caught.value.is_known is False
    assert len(till.paid) == 1


def test_a_cancelled_task_still_reports(countersign_server: FakeServer) -> None:
    """By asyncio, and by a scope of anyio, which cancels again whatever is awaited meanwhile."""
    countersign_server.answer(countersign_server.approve)

    async def cancelled(by: str) -> None:
        begun = asyncio.Event()
        async with countersign_server.async_client() as client:

            @requires_approval("refund", client=client)
            async def refund(order_id: str) -> None:
                begun.set()
                await asyncio.Event().wait()

            if by == "asyncio":
                task = asyncio.create_task(refund("A-1"))
                await begun.wait()
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                return
            async with anyio.create_task_group() as group:
                group.start_soon(refund, "A-2")
                await begun.wait()
                group.cancel_scope.cancel()

    for by in ("asyncio", "anyio"):
        asyncio.run(cancelled(by))
    assert [one.status for one in countersign_server.proposals] == ["unknown", "unknown"]
    assert [one.outcome and one.outcome.result["error"] for one in countersign_server.proposals] == [
        "CancelledError"
    ] * 2


def test_a_crash_before_the_redemption_costs_nothing(
    client: Caller, refund: Callable[..., Any], till: Till, countersign_server: FakeServer
) -> None:
    """The process ended while it waited; its successor makes the same call."""
    client.propose("refund", {"order_id": "A-1", "amount": 1.0, "note": ""}, key="refund-A-1")
    countersign_server.approve(countersign_server.next())
    assert refund("A-1", 1.0) == {"refund": 1}
    assert len(countersign_server.proposals) == 1


def test_a_repeat_of_what_has_succeeded_runs_nothing(
    client: Caller, refund: Callable[..., Any], till: Till, countersign_server: FakeServer
) -> None:
    countersign_server.answer(countersign_server.approve)
    refund("A-1", 1.0)
    with pytest.raises(AlreadyRedeemed, match="succeeded") as caught:
        refund("A-1", 1.0)
    assert caught.value.is_known is True
    again = client.approving(
        till.refund,
        "refund",
        key=lambda order_id, amount: f"refund-{order_id}",
        replay=lambda told: ("again", told),
    )
    assert again("A-1", 1.0) == ("again", {"refund": 1})
    assert len(till.paid) == 1


def test_a_redemption_with_a_lost_answer_runs_nothing(
    refund: Callable[..., Any], till: Till, countersign_server: FakeServer
) -> None:
    """Nobody can tell this redemption from another process's, so nobody acts on it."""
    countersign_server.answer(countersign_server.approve)
    countersign_server.lose(path="/redeem")
    with pytest.raises(AlreadyRedeemed):
        refund("A-1", 1.0)
    assert till.paid == []


def test_a_redemption_that_never_arrived_is_repeated(
    refund: Callable[..., Any], till: Till, countersign_server: FakeServer
) -> None:
    countersign_server.answer(countersign_server.approve)
    countersign_server.fail(503, path="/redeem", times=2)
    refund("A-1", 1.0)
    assert len(till.paid) == 1


def test_two_at_once_with_one_key_run_it_once(countersign_server: FakeServer, till: Till) -> None:
    with countersign_server.client() as client:
        guarded = requires_approval("refund", client=client, key=lambda *_: "one")(till.refund)
        both = [beside(lambda: guarded("A-1", 1.0)) for _ in range(2)]
        countersign_server.approve(countersign_server.next())
        ended: list[Any] = []
        for one in both:
            try:
                ended.append(one())
            except AlreadyRedeemed as error:
                ended.append(error.code)
    assert len(till.paid) == 1
    assert {"refund": 1} in ended
    assert "already_redeemed" in ended


def test_a_report_that_fails_does_not_hide_what_has_run(
    refund: Callable[..., Any], till: Till, countersign_server: FakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    countersign_server.answer(countersign_server.approve)
    countersign_server.fail(409, path="/outcome")
    assert refund("A-1", 1.0) == {"refund": 1}
    assert "could not be reported" in caplog.text
    till.raises = ValueError("broken")
    countersign_server.fail(409, path="/outcome")
    with pytest.raises(ValueError, match="broken"):
        refund("A-2", 1.0)


def test_an_edit_that_does_not_fit_is_not_redeemed(
    refund: Callable[..., Any], till: Till, countersign_server: FakeServer
) -> None:
    edits: Iterator[dict[str, Any]] = iter(
        [{"order_id": "A-1"}, {"order_id": 1, "amount": 1}, {"order_id": "A", "amount": 1, "to": "me"}]
    )
    countersign_server.answer(lambda one: countersign_server.approve(one, edit=next(edits)))
    for number in range(3):
        with pytest.raises(ArgumentsUnfit):
            refund(f"A-{number}", 1.0)
    assert till.paid == []
    assert [one.status for one in countersign_server.proposals] == ["approved"] * 3


def test_time_to_wait_ends_and_nobody_has_to_look_any_more(
    client: Caller, till: Till, countersign_server: FakeServer
) -> None:
    with pytest.raises(Undecided) as caught:
        client.approving(till.refund, "refund", timeout=0.05)("A-1", 1.0)
    assert caught.value.proposal.status == "withdrawn"
    assert till.paid == []


def test_what_can_be_come_back_for_is_left_open(
    client: Caller, till: Till, countersign_server: FakeServer
) -> None:
    guarded = client.approving(till.refund, "refund", timeout=0.05, key=lambda *_: "one")
    with pytest.raises(Undecided) as caught:
        guarded("A-1", 1.0)
    assert caught.value.proposal.status == "pending"
    countersign_server.approve(caught.value.proposal)
    assert guarded("A-1", 1.0) == {"refund": 1}


def test_a_decision_at_the_last_moment_counts(
    client: Caller, till: Till, countersign_server: FakeServer
) -> None:
    """It was approved between the end of the time and the withdrawal."""
    guarded = client.approving(till.refund, "refund", timeout=0.05)
    countersign_server.before(
        "/withdraw", lambda: countersign_server.approve(countersign_server.proposals[0])
    )
    assert guarded("A-1", 1.0) == {"refund": 1}


def test_each_call_is_a_new_one_without_a_key(
    client: Caller, till: Till, countersign_server: FakeServer
) -> None:
    countersign_server.answer(countersign_server.approve)
    guarded = client.approving(till.refund, "refund")
    guarded("A-1", 1.0)
    guarded("A-1", 1.0)
    assert len(till.paid) == 2


def test_what_is_said_along_with_it(client: Caller, till: Till, countersign_server: FakeServer) -> None:
    countersign_server.answer(countersign_server.approve)
    guarded = client.approving(
        till.refund,
        "refund",
        priority="high",
        describe=lambda arguments: {"summary": f"Refund {arguments['order_id']}", "confidence": 0.5},
        result=lambda value: {"number": value["refund"]},
    )
    guarded("A-1", 1.0)
    sent = countersign_server.request(countersign_server.proposals[0])
    assert (sent["summary"], sent["confidence"], sent["priority"]) == ("Refund A-1", 0.5, "high")
    outcome = countersign_server.proposals[0].outcome
    assert outcome is not None
    assert outcome.result == {"number": 1}


@pytest.mark.parametrize("value", [object(), "x" * 70_000, float("nan")], ids=["object", "large", "nan"])
def test_a_result_that_cannot_be_reported_is_left_out(
    client: Caller, countersign_server: FakeServer, value: Any
) -> None:
    countersign_server.answer(countersign_server.approve)
    assert client.approving(lambda: value, "make")() is value
    outcome = countersign_server.proposals[0].outcome
    assert outcome is not None
    assert (outcome.status, outcome.result) == ("succeeded", None)


def test_a_refused_proposal_runs_nothing(client: Caller, till: Till, countersign_server: FakeServer) -> None:
    countersign_server.fail(422, path="/proposals")
    with pytest.raises(CountersignError):
        client.approving(till.refund, "refund")("A-1", 1.0)
    assert till.paid == []


def test_the_environment_is_enough(countersign_server: FakeServer) -> None:
    countersign_server.answer(countersign_server.approve)
    ran: list[int] = []

    @requires_approval("count")
    def count(number: int) -> int:
        """Counts."""
        ran.append(number)
        return number

    assert count(3) == 3
    assert (ran, count.__name__, count.__doc__) == ([3], "count", "Counts.")


async def _nothing() -> None:
    return None


def test_mistakes_are_told_where_the_function_is_defined(countersign_server: FakeServer) -> None:
    def generator() -> Iterator[int]:
        yield 1

    plain, asynchronous = countersign_server.client(), AsyncCountersign(countersign_server.url)
    mistakes: list[Callable[[], object]] = [
        lambda: requires_approval(print),  # type: ignore[arg-type]
        lambda: requires_approval("a", sumary="typo"),
        lambda: requires_approval("a", arguments={}),
        lambda: requires_approval("a", omit="order")(lambda order: None),
        lambda: requires_approval("a", omit=["nothing"])(lambda order: None),
        lambda: requires_approval("a")(generator),
        lambda: requires_approval("a", client=plain)(_nothing),
        lambda: requires_approval("a", client=asynchronous)(print),
    ]
    for mistake in mistakes:
        with pytest.raises(TypeError):
            mistake()
    plain.close()


def test_methods_and_omitted_parameters_are_passed_as_they_are(countersign_server: FakeServer) -> None:
    countersign_server.answer(countersign_server.approve)
    session = threading.Lock()
    seen: list[Any] = []

    class Shop:
        @requires_approval("ship", client=Countersign, omit=["session"])
        def ship(self, order: str, session: Any = None) -> None:
            seen.append((self, order, session))

    shop = Shop()
    shop.ship("A-1", session=session)
    assert seen == [(shop, "A-1", session)]
    assert countersign_server.proposals[0].arguments == {"order": "A-1"}
