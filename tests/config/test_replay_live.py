"""A replay through a live server: agents over the API, reviewers over the pages, counts equal to the truth."""

import json
from collections import Counter
from io import StringIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from agents.models import Credential, Evidence
from approvals.models import Decision, Outcome, Proposal
from approvals.states import State
from tests.config.test_replay import edited, raw, rejected, write

pytestmark = pytest.mark.django_db(transaction=True)

SCHEMA = {
    "type": "object",
    "properties": {
        "recipient": {"type": "string"},
        "amount": {"type": "number"},
        "lines": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"sku": {"type": "string"}, "count": {"type": "integer"}},
            },
        },
        "urgent": {"type": "boolean"},
        "note": {"type": "string"},
        "payload": {"type": "object"},
    },
    "required": ["recipient", "amount"],
    "additionalProperties": False,
}
RICH = {"recipient": "DE1", "amount": 10, "lines": [{"sku": "a", "count": 1}], "note": " two \n lines "}
BETTER = {
    "recipient": "DE2",
    "amount": 10.25,
    "lines": [{"sku": "b", "count": 2}, {"sku": "c"}],
    "urgent": False,
    "payload": {"any": ["thing", 1, None]},
}


@pytest.fixture
def log(tmp_path: Path, settings: Any) -> Path:
    """Seven records of two agents: each kind of decision, and arguments that do not fit the schema."""
    settings.VAR = tmp_path / "var"
    entry = {
        "action_type": "send_money", "title": "Send money", "description": "Sends money.", "parameters": SCHEMA,
        "reversible": "no", "how_to_reverse": None, "amount_argument": "amount", "target_argument": "recipient",
    }  # fmt: skip
    (tmp_path / "action_types.json").write_text(json.dumps({"action_types": [entry]}), "utf-8")
    rich = raw(
        4, arguments=RICH, ground_truth=edited(4, 0)["ground_truth"] | {"expected": [{"arguments": BETTER}]}
    )
    unfit = {**edited(6, 12), "arguments": {"recipient": None, "amount": 1}}
    other = raw(7, agent={"model": "m", "id": "Other / agent"}, episode_id="e7")
    rows = [raw(1), edited(2, 12.5), rejected(3), rich, raw(5, arguments=RICH), unfit, other]
    return write(tmp_path / "log.jsonl.gz", *rows)


def replay(log: Path, url: str, **options: Any) -> str:
    out = StringIO()
    call_command("replay", str(log), url=url, reviewers=2, patience=60, stdout=out, **options)
    return out.getvalue()


def test_replay_equals_the_ground_truth_and_can_be_repeated(
    log: Path, live_server: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    history = tmp_path / "history.jsonl"

    replay(log, live_server.url, setup=True, history=history)

    said = capsys.readouterr().out
    assert "approve 3 + 0 refused = 3 · edit 2 + 1 refused = 3 · reject 1 + 0 refused = 1" in said
    assert "0 unexpected errors" in said
    assert Counter(Proposal.objects.values_list("state", flat=True)) == {
        State.SUCCEEDED: 5,
        State.REJECTED: 1,
    }
    assert Counter(Decision.objects.values_list("verdict", flat=True)) == {
        "approve": 3,
        "edit": 2,
        "reject": 1,
    }
    assert Outcome.objects.filter(status="succeeded").count() == 5
    rich = Proposal.objects.get(idempotency_key="replay:p_4")
    assert rich.current_revision.arguments == BETTER
    assert Credential.objects.count() == 2
    events = Counter(json.loads(line)["event"] for line in history.read_text("utf-8").splitlines())
    assert events == {
        "posted": 7, "acknowledged": 6, "refused": 1, "claimed": 6, "decided": 6, "decision_seen": 6, "redeemed": 5,
        "outcome": 5,
    }  # fmt: skip

    replay(log, live_server.url)

    assert "0 unexpected errors" in capsys.readouterr().out
    assert (Proposal.objects.count(), Decision.objects.count(), Evidence.objects.count()) == (6, 6, 6)


def test_replay_keeps_the_order_of_an_episode(log: Path, live_server: Any) -> None:
    replay(log, live_server.url, setup=True)

    [*mine] = Proposal.objects.filter(trace_id="e1").order_by("id").select_related("outcome")
    assert [proposal.idempotency_key for proposal in mine] == [f"replay:p_{number}" for number in range(1, 6)]
    for earlier, later in pairwise(mine):
        assert earlier.changed_at <= later.created_at


def test_replay_without_deciding_only_posts(
    log: Path, live_server: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    replay(log, live_server.url, setup=True, decide="none")

    assert "all 7 posted: 6 accepted, 1 refused by their schema" in capsys.readouterr().out
    assert Proposal.objects.filter(state=State.PENDING).count() == 6


def test_replay_needs_its_set_up(log: Path) -> None:
    with pytest.raises(CommandError, match="add --setup"):
        replay(log, "http://127.0.0.1:9")


def test_replay_says_when_no_server_answers(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        call_command("replay", str(log), url="http://127.0.0.1:9", setup=True, patience=0.3)

    said = capsys.readouterr().out
    assert "no answer within 0 s" in said
    assert "0 of 7 records went through" in said
