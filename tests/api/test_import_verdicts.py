"""What other products' clients are told, as a table over every state; and task statuses, which never go back."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from agents.autonomy import Tier
from approvals.exceptions import ImportUnsupported
from approvals.imports import agent_inbox, authzen, human_layer, verdicts
from approvals.imports.requests import ActionRequest, HumanInterrupt, HumanInterruptConfig
from approvals.imports.verdicts import May, Verdict
from approvals.states import INITIAL, RAN, TRANSITIONS, State

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SENT = b'{"amount":42.5}'
EDITED = b'{"amount":40}'
RITA = {"kind": "human", "label": "Rita Reviewer"}


def shown(
    state: State, *, arguments: bytes = SENT, left: float | None = None, **decision: Any
) -> dict[str, Any]:
    """A proposal as it is represented; `left` are the seconds that its grant is still good for."""
    grant = None
    if left is not None:
        grant = {"token": "x", "expires_at": (NOW + timedelta(seconds=left)).isoformat()}
    decided = {"verdict": "approve", "reason": "", "comment": "", "decided_by": RITA} | decision
    return {
        "id": "019ab0c2-7e11-7c3a-9d53-0a8e5f1f7d10",
        "status": str(state),
        "tier": "in_the_loop",
        "action_type": "refund_order",
        "arguments": msgspec.Raw(arguments),
        "digest": "sha256:" + "0" * 64,
        "route": {"reasons": [{"code": "no_mandate", "rule": "", "detail": "There is no mandate."}]},
        "decision": decided if decision or state not in (State.PENDING, State.DENIED) else None,
        "grant": grant,
        "created_at": "2026-11-22T11:00:00Z",
        "expires_at": "2026-11-24T11:00:00Z",
    }


def told(one: dict[str, Any], *, executed_here: bool = False) -> Verdict:
    return verdicts.of(one, sent=SENT, is_executed_here=executed_here, now=NOW)


@pytest.mark.parametrize("state", State)
def test_only_what_can_still_be_redeemed_is_a_yes(state: State) -> None:
    """Also for a state that is new tomorrow: nothing but a live grant in `approved` lets a client run."""
    wanted = {State.PENDING: May.WAIT, State.SCHEDULED: May.WAIT, State.APPROVED: May.RUN}.get(
        state, May.LEAVE
    )
    found = told(shown(state, left=10))
    assert found.may is wanted
    assert bool(found.words) == (wanted is May.LEAVE), "a no says why"


@pytest.mark.parametrize(
    ("left", "executed_here", "words"),
    [
        (None, False, "Approved as advice: a person carries it out, not you. Comment: Do it by hand."),
        (None, True, "Approved. Countersign carries it out itself; do not run it."),
        (0, False, verdicts._ENDED[State.LAPSED]),
        (-1, False, verdicts._ENDED[State.LAPSED]),
    ],
)
def test_an_approval_without_a_usable_grant_is_no_yes(
    left: float | None, executed_here: bool, words: str
) -> None:
    found = told(shown(State.APPROVED, left=left, comment="Do it by hand."), executed_here=executed_here)
    assert (found.may, found.words) == (May.LEAVE, words)


@pytest.mark.parametrize("state", sorted(RAN))
def test_what_has_run_is_not_run_again(state: State) -> None:
    assert told(shown(state)).may is May.LEAVE
    assert "do not run it" in told(shown(state), executed_here=True).words


def test_a_no_carries_the_reviewers_words() -> None:
    rejected = told(shown(State.REJECTED, verdict="reject", reason="wrong_amount", comment="Ask first."))
    assert rejected.words == (
        "Rejected by Rita Reviewer; nothing was done. Reason: wrong_amount. Comment: Ask first."
    )
    vetoed = told(shown(State.REJECTED, verdict="veto", reason="wrong_amount"))
    assert vetoed.words == "Vetoed by Rita Reviewer; nothing was done. Reason: wrong_amount."
    returned = told(shown(State.RETURNED, verdict="return", comment="Which order?"))
    assert returned.words == (
        "Returned by Rita Reviewer with a question; nothing was done. Comment: Which order?"
    )
    denied = told(shown(State.DENIED))
    assert denied.words == "Denied by policy; nothing was done. Why: There is no mandate."
    by_rule = shown(State.REJECTED, verdict="reject", decided_by={"kind": "policy", "label": "Rule 3"})
    assert told(by_rule).words == "Rejected; nothing was done."


YES = {"accept": "allow_accept", "edit": "allow_edit"}
NO = {"response": "allow_respond", "ignore": "allow_ignore"}
CONFIGS = [HumanInterruptConfig(*(bool(number & bit) for bit in (1, 2, 4, 8))) for number in range(16)]


def interrupt(config: HumanInterruptConfig) -> HumanInterrupt:
    return HumanInterrupt(ActionRequest("refund_order", {"amount": 42.5}), config)


@pytest.mark.parametrize("config", CONFIGS, ids=[str(number) for number in range(16)])
@pytest.mark.parametrize("arguments", [SENT, EDITED], ids=["as-sent", "edited"])
def test_a_response_is_of_a_type_that_the_config_allows(
    config: HumanInterruptConfig, arguments: bytes
) -> None:
    """Every config and every state: refused at the door, or answered in a type it takes; and what runs is approved."""
    allowed = {kind for kind, name in (YES | NO).items() if getattr(config, name)}
    if not (allowed & set(YES) and allowed & set(NO)):
        with pytest.raises(ImportUnsupported) as refused:
            agent_inbox.asked(interrupt(config), at="/3")
        assert msgspec.json.encode(refused.value.extra["errors"]).startswith(b'[{"field":"/3/config"')
        return
    notes = agent_inbox.asked(interrupt(config)).context
    assert [note.name for note in notes] == ([] if config.allow_edit else ["agent-inbox"])
    for state in State:
        one = shown(state, arguments=arguments, left=10, comment="Less.")
        verdict = told(one)
        answer = agent_inbox.response(verdict, config, one)
        if verdict.may is May.WAIT:
            assert answer is None
            continue
        assert answer is not None
        assert answer["type"] in allowed
        is_yes = answer["type"] in YES
        runs = verdict.may is May.RUN and (arguments == SENT or config.allow_edit)
        assert is_yes == runs
        if is_yes:
            assert bytes(answer["args"]["args"]) == arguments
            assert (answer["type"] == "edit") == (arguments != SENT or not config.allow_accept)
        elif answer["type"] == "response":
            assert answer["args"]
            if verdict.may is May.RUN:
                assert '{"amount": 40}' in answer["args"]
                assert "Less." in answer["args"]
        else:
            assert answer["args"] is None


KEPT = {
    "run_id": "run-1",
    "call_id": "call-1",
    "channel": None,
    "reject_options": [{"name": "wrong_amount"}, {"name": "other"}],
    "state": {"turn": 3},
}


def status_of(one: dict[str, Any]) -> dict[str, Any]:
    call = human_layer.call(
        {human_layer.NAME: KEPT}, one, sent=SENT, verdict=told(one), ended_at="2026-11-22T12:00:00Z"
    )
    assert json.loads(msgspec.json.encode(call))["spec"]["kwargs"] == {"amount": 42.5}
    found: dict[str, Any] = call["status"]
    return found


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("arguments", [SENT, EDITED], ids=["as-sent", "edited"])
def test_a_function_call_is_approved_for_the_kwargs_it_came_with_or_not(
    state: State, arguments: bytes
) -> None:
    status = status_of(shown(state, arguments=arguments, left=10))
    wanted: bool | None = state == State.APPROVED and arguments == SENT
    if state in (State.PENDING, State.SCHEDULED):
        wanted = None
    assert status["approved"] is wanted
    assert (status["responded_at"] is None) == (wanted is None)
    if wanted is False:
        assert status["comment"], "its client raises over a refusal without a comment"
        assert ('{"amount": 40}' in status["comment"]) == (state == State.APPROVED)


def test_a_reason_code_of_the_same_name_is_the_reject_option() -> None:
    rejected = shown(State.REJECTED, verdict="reject", reason="wrong_amount", comment="Less")
    assert status_of(rejected)["reject_option_name"] == "wrong_amount"
    assert status_of(shown(State.REJECTED, reason="not_allowed"))["reject_option_name"] is None
    assert status_of(shown(State.APPROVED, left=10, reason="other"))["reject_option_name"] is None


@pytest.mark.parametrize(
    ("call_id", "is_one"),
    [
        ("call-a_B9", True),
        ("a.b:c@d~e=f+g", True),
        ("", False),
        ("a/b", False),
        ("a\n", False),
        ("\0", False),
        ("é", False),
    ],
)
def test_a_call_id_is_what_fits_into_an_address(call_id: str, is_one: bool) -> None:
    assert human_layer.key(call_id) == (f"humanlayer:{call_id}" if is_one else None)


# The AuthZEN draft

TABLE = {
    State.PENDING: "pending",
    State.SCHEDULED: "pending",
    State.RETURNED: "pending",
    State.DENIED: "denied",
    State.REJECTED: "denied",
    State.EXPIRED: "expired",
    State.WITHDRAWN: "cancelled",
    State.APPROVED: "approved",
    State.EXECUTING: "approved",
    State.SUCCEEDED: "approved",
    State.FAILED: "approved",
    State.UNKNOWN: "approved",
    State.ROLLED_BACK: "approved",
    State.LAPSED: "approved",
    State.REVOKED: "approved",
}


@pytest.mark.parametrize("state", State)
def test_every_state_has_a_task_status(state: State) -> None:
    assert authzen.status(state, Tier.IN_THE_LOOP) == TABLE[state]


@pytest.mark.parametrize(("before", "after"), TRANSITIONS)
def test_a_task_leaves_pending_once_and_then_stays(before: State, after: State) -> None:
    """The draft's state machine: its terminal statuses are left by nothing."""
    first, then = (authzen.status(state, Tier.IN_THE_LOOP) for state in (before, after))
    assert first in ("pending", then)


def test_where_a_task_begins_is_known_to_the_draft() -> None:
    assert {authzen.status(state, Tier.ON_THE_LOOP) for state in INITIAL} == {"pending", "denied", "approved"}


def test_advice_is_a_status_that_the_drafts_clients_take_for_not_approved() -> None:
    known = {"pending", "approved", "denied", "expired", "cancelled", "failed", "partial"}
    assert authzen.status(State.APPROVED, Tier.ADVISORY) not in known
    assert authzen.status(State.PENDING, Tier.ADVISORY) == "pending"
    assert set(authzen.STATUSES) - known == {authzen.ADVISED}


@pytest.mark.parametrize("executed_here", [False, True])
def test_an_approved_task_says_until_when_and_how(executed_here: bool) -> None:
    approval = authzen.Approval("a-1", NOW, NOW + timedelta(minutes=5))
    redeem = None if executed_here else {"address": "/api/v1/proposals/x/redeem", "digest": "sha256:00"}
    found = authzen.task(
        shown(State.APPROVED, left=10),
        base="https://approve.example.com",
        approval=approval,
        redeem=redeem,
        is_executed_here=executed_here,
    )
    assert found["task"]["status"] == "approved"
    assert "expires_at" not in found["task"], "it can be read as long as it is kept"
    assert found["result"]["approval"] == {
        "id": "a-1",
        "approved_at": "2026-11-22T12:00:00Z",
        "approved_until": "2026-11-22T12:05:00Z",
    }
    if executed_here:
        assert found["result"]["mode"] == authzen.EXECUTED_HERE
        assert authzen.REDEMPTION not in found["result"]
    else:
        assert found["result"]["mode"] == authzen.REDEEM
        assert found["result"][authzen.REDEMPTION]["address"].startswith(
            "https://approve.example.com/api/v1/"
        )


def test_a_pending_task_has_an_end_and_no_result() -> None:
    found = authzen.task(
        shown(State.PENDING), base="https://a.example", approval=None, redeem=None, is_executed_here=False
    )
    assert found == {
        "task": {
            "id": "019ab0c2-7e11-7c3a-9d53-0a8e5f1f7d10",
            "status": "pending",
            "status_endpoint": (
                "https://a.example/api/v1/import/authzen/tasks/019ab0c2-7e11-7c3a-9d53-0a8e5f1f7d10"
            ),
            "links": {"review": "https://a.example/proposals/019ab0c2-7e11-7c3a-9d53-0a8e5f1f7d10/"},
            "expires_at": "2026-11-24T11:00:00Z",
        }
    }
