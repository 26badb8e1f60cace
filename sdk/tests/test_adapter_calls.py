"""What all adapters have in common, against the fake server: keys, words, waiting, the gate, reports."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from countersign import Countersign, CountersignError, Proposal, Undecided, canonical
from countersign.adapters import calls
from countersign.adapters.calls import Call, Told
from countersign.testing import FakeServer

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
ODD = JSON | st.binary() | st.floats() | st.decimals() | st.text(st.characters(), min_size=100).map(str)


def call_of(order: str = "fine", **about: Any) -> Call:
    return Call(("test", "t-1", f"call-{order}"), "refund_order", {"order_id": order, "amount": 10}, about)


@pytest.fixture
def client(countersign_server: FakeServer) -> Iterator[Countersign]:
    with countersign_server.client() as found:
        yield found


def test_the_key_is_of_ids_action_type_and_arguments() -> None:
    def key(*ids: str, action: str = "refund", arguments: Any = None) -> str | None:
        return Call(ids, action, arguments or {"a": 1, "b": 2}).draft().key

    same = key("t", "c")
    assert key("t", "c", arguments={"b": 2.0, "a": 1}) == same
    others = [
        key("tc"),
        key("t", "d"),
        key("t", "c", action="pay"),
        key("t", "c", arguments={"a": 1, "b": 3}),
    ]
    assert len({same, *others}) == 5


def test_a_repeat_with_another_conversation_is_the_same_proposal(
    countersign_server: FakeServer, client: Countersign
) -> None:
    first = client.run(calls.proposed(call_of(reasoning="Because."), client.settings))
    countersign_server.approve(countersign_server.proposals[0], edit={"order_id": "fine", "amount": 5})
    again = client.run(calls.proposed(call_of(reasoning="Because of that."), client.settings))
    assert isinstance(first, Proposal) and isinstance(again, Proposal)
    assert (again.id, again.is_approved, again.was_edited) == (first.id, True, True)
    assert len(countersign_server.proposals) == 1


@pytest.mark.parametrize("amount", [float("nan"), 2**53, object()])
def test_what_json_does_not_have_is_told_to_the_model(client: Countersign, amount: Any) -> None:
    call = Call(("t",), "refund_order", {"amount": amount})
    one = client.run(calls.proposed(call, client.settings))
    assert isinstance(one, Told) and "/amount" in one.words and not one.ok


def test_refused_arguments_are_told_and_everything_else_is_raised() -> None:
    def told(field: str) -> Told | Proposal:
        flow = calls.proposed(call_of(), Countersign("http://127.0.0.1:9", "token").settings)
        next(flow)
        error = CountersignError(
            "Refused.",
            code="arguments_invalid",
            status=422,
            errors=[{"field": field, "message": "must be more than 0"}],
        )
        try:
            flow.throw(error)
        except StopIteration as stop:
            found: Told | Proposal = stop.value
            return found
        raise AssertionError("it goes on")

    one = told("/arguments/amount")
    assert isinstance(one, Told) and "/amount must be more than 0" in one.words
    with pytest.raises(CountersignError, match="Refused"):
        told("/action_type")  # for whoever runs the agent, not for the model


def test_waiting_ends_with_the_first_group_that_is_whole(
    countersign_server: FakeServer, client: Countersign, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "_TURN", 0.05)

    def second_is_decided() -> None:
        countersign_server.next()
        countersign_server.approve(countersign_server.next())

    helper = threading.Thread(target=second_is_decided)
    helper.start()
    groups = client.run(
        calls.decided([[call_of("a")], [call_of("b")], [call_of("c"), call_of("d")]], client.settings, 30)
    )
    helper.join()
    assert [calls.are_decided(group) for group in groups] == [False, True, False]


def test_one_redemption_for_two_at_once(countersign_server: FakeServer, client: Countersign) -> None:
    countersign_server.answer(countersign_server.approve)
    ran: list[str] = []

    def work(_: int) -> Any:
        return calls.run(
            client,
            lambda settings: calls.admitted(call_of(), settings),
            lambda proposal: ran.append(proposal.id) or "paid",  # type: ignore[func-returns-value]
            lambda result: ("succeeded", result),
        )

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(work, range(8)))
    assert len(ran) == 1 and results.count("paid") == 1
    assert all(isinstance(one, Told) for one in results if one != "paid")


@pytest.mark.parametrize("fault", ["lost", "refused"])
def test_a_redemption_that_is_not_certain_runs_nothing(
    countersign_server: FakeServer, client: Countersign, fault: str
) -> None:
    countersign_server.answer(countersign_server.approve)
    if fault == "lost":
        countersign_server.lose(path="/redeem")
    else:
        countersign_server.fail(503, times=1, path="/redeem", retry_after=0)
    one = client.run(calls.admitted(call_of(), client.settings))
    if fault == "lost":  # used up by the try whose answer never came
        assert isinstance(one, Told) and "not run again" in one.words
    else:
        assert isinstance(one, Proposal) and one.status == "executing"


def test_a_report_that_gets_lost_does_not_undo_what_was_done(
    countersign_server: FakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    countersign_server.answer(countersign_server.approve)
    countersign_server.fail(400, times=100, path="/outcome")
    with countersign_server.client() as client:
        result = calls.run(
            client,
            lambda settings: calls.admitted(call_of(), settings),
            lambda proposal: "paid",
            lambda result: ("succeeded", result),
        )
    assert result == "paid" and "was not reported" in caplog.text


def test_returned_proposals_are_closed_and_keep_their_words(
    countersign_server: FakeServer, client: Countersign
) -> None:
    countersign_server.answer(lambda one: countersign_server.return_(one, "Which order is meant?"))
    for _ in range(2):
        one = client.run(calls.admitted(call_of(), client.settings))
        assert isinstance(one, Told) and "Which order is meant?" in one.words
        assert countersign_server.proposals[0].status == "withdrawn"


def test_what_time_is_up_for_stays(countersign_server: FakeServer, client: Countersign) -> None:
    with pytest.raises(Undecided):
        client.run(calls.admitted(call_of(), client.settings, 0))
    assert [one.status for one in countersign_server.proposals] == ["pending"]


@settings(deadline=None)
@given(ODD)
def test_any_result_can_be_reported(result: Any) -> None:
    data = canonical.dumps(calls.sendable(result))
    assert len(data) <= calls.MOST_RESULT + 2


@settings(deadline=None)
@given(st.text(st.characters(codec="utf-8"), min_size=1).map(lambda text: text * (70_000 // len(text) + 1)))
def test_long_results_are_cut(result: str) -> None:
    assert len(canonical.dumps(calls.sendable(result))) <= calls.MOST_RESULT + 2


def test_results_keep_their_form() -> None:
    assert calls.sendable({"paid": Decimal("10.5"), "to": ["a"]}) == {"paid": 10.5, "to": ["a"]}
    assert calls.text({"paid": Decimal("10.5")}) == '{"paid": 10.5}'
    assert len(calls.text("x" * 100_000)) == 100_000


@settings(deadline=None)
@given(
    st.lists(st.text(st.characters(), max_size=40).map(lambda text: text * 300), max_size=40),
    st.text(st.characters(), max_size=40).map(lambda text: text * 900),
)
def test_the_conversation_fits_the_servers_bounds(turns: list[str], reasoning: str) -> None:
    told = [calls.turn("user", text, "n" * 300) for text in turns]
    said = calls.about(told, reasoning=reasoning, thread_id="t")
    assert len(canonical.dumps(said)) < 180_000 and b"\\u0000" not in canonical.dumps(said)
    context = said.get("context", [])
    assert context == told[len(told) - len(context) :] and len(context) <= calls.MOST_TURNS
    assert context or not turns


def test_a_conversation_of_the_worst_kind_is_taken(
    countersign_server: FakeServer, client: Countersign
) -> None:
    worst = [calls.turn("user", "\x01\ud800\x00" * 3000)] * 30
    one = client.run(calls.proposed(call_of(**calls.about(worst, reasoning="\x00" * 9)), client.settings))
    assert isinstance(one, Proposal) and len(countersign_server.request(one)["context"]) > 1
