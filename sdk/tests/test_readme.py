"""The README's Python, run as it is printed."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from countersign import AlreadyRedeemed
from countersign.testing import FakeServer

README = (Path(__file__).resolve().parent.parent / "README.md").read_text(encoding="utf-8")
FUNCTION, ONCE, STEPS, VERIFY, FIXTURE = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def run(code: str, **names: Any) -> dict[str, Any]:
    exec(compile(code, "README.md", "exec"), names)
    return names


def test_in_front_of_a_function(countersign_server: FakeServer, capsys: pytest.CaptureFixture[str]) -> None:
    countersign_server.answer(countersign_server.approve)
    run(FUNCTION)
    assert capsys.readouterr().out == "{'refund': 're_A-1001', 'amount': 42.5}\n"
    assert countersign_server.proposals[0].arguments["reason"] == "damaged"


def test_a_repeat_gives_what_was_reported(countersign_server: FakeServer) -> None:
    countersign_server.answer(countersign_server.approve)
    refund: Callable[..., Any] = run(FUNCTION + ONCE)["refund_once"]
    assert refund("A-1", 2.0) == refund("A-1", 2.0) == {"refund": "re_A-1", "amount": 2}
    key = countersign_server.key(countersign_server.proposals[-1])
    assert (key, len(countersign_server.proposals)) == ("refund-A-1", 2)
    countersign_server.become(countersign_server.proposals[-1], "unknown")
    with pytest.raises(AlreadyRedeemed):
        refund("A-1", 2.0)


def test_step_by_step(countersign_server: FakeServer, capsys: pytest.CaptureFixture[str]) -> None:
    countersign_server.answer(countersign_server.approve)
    run(STEPS, refund_at_bank=lambda order_id, amount: f"re_{order_id}")
    outcome = countersign_server.proposals[0].outcome
    assert outcome is not None
    assert (outcome.status, outcome.external_id) == ("succeeded", "re_A-1001")
    assert capsys.readouterr().out == "Approved by Rita Reviewer.\n"


def test_in_an_executor(countersign_server: FakeServer) -> None:
    with countersign_server.client() as client:
        proposal = client.propose("refund_order", {"amount": 1})
        countersign_server.approve(proposal)
        grant = client.wait(proposal).grant
    assert grant is not None
    code = VERIFY.replace("https://countersign.example.com", countersign_server.url)
    names = run(code, token=grant.token, keys=countersign_server.keys, arguments={"amount": 1})
    assert names["claims"].proposal == proposal.id


def test_in_tests(countersign_server: FakeServer) -> None:
    names = run(FUNCTION.rpartition("print")[0] + FIXTURE)
    names["test_refund_takes_the_edited_amount"](countersign_server)
