"""The replay's pure parts: reading records, making requests and blueprints, reading pages, counting."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from approvals import blueprint
from config.replay import pages, records, tally, types
from config.replay.records import Record, UnusableRecords
from config.replay.tally import Tally


def raw(number: int = 1, **changes: Any) -> dict[str, Any]:
    made: dict[str, Any] = {
        "proposal_id": f"p_{number}",
        "domain": "banking",
        "agent": {"model": "model-1", "scaffold": "tools", "id": "model-1 / tools, base"},
        "action_type": "send_money",
        "arguments": {"recipient": "DE1", "amount": 10},
        "context": [{"role": "user", "content": "Pay the bill."}],
        "reasoning": None,
        "task_id": "7",
        "trial": 0,
        "step": 3,
        "episode_id": "e1",
        "episode_step": number,
        "episode_writes": 2,
        "seq": number,
        "mixed_seq": 100 - number,
        "ground_truth": {"label": "correct", "decision": "approve", "expected": []},
        "injected": True,
        "recorded_result": {"error": False, "text": "ok"},
    }
    return made | changes


def write(path: Path, *rows: dict[str, Any]) -> Path:
    text = "".join(json.dumps(row) + "\n" for row in rows)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text, "utf-8")
    return path


def edited(number: int, amount: float) -> dict[str, Any]:
    expected = [{"name": "send_money", "arguments": {"recipient": "DE1", "amount": amount}}]
    return raw(number, ground_truth={"label": "incorrect", "decision": "edit", "expected": expected})


def rejected(number: int) -> dict[str, Any]:
    return raw(number, ground_truth={"label": "incorrect", "decision": "reject", "expected": []})


@pytest.fixture
def three(tmp_path: Path) -> list[Record]:
    return records.read([write(tmp_path / "a.jsonl.gz", raw(1), edited(2, 12.5), rejected(3))])


def test_read_plain_and_gzip_in_recorded_or_mixed_order(tmp_path: Path) -> None:
    plain = write(tmp_path / "a.jsonl", raw(2), raw(1))

    assert [record.id for record in records.read([plain])] == ["p_1", "p_2"]
    assert [record.id for record in records.read([plain], mixed=True)] == ["p_2", "p_1"]


def test_episode_keeps_its_order_of_writes_even_when_mixed(tmp_path: Path) -> None:
    found = records.read([write(tmp_path / "a.jsonl", raw(1), raw(2))], mixed=True)

    [steps] = records.episodes(found).values()
    assert [record.step for record in steps] == [1, 2]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([{"proposal_id": "x"}], "line 1: the field 'ground_truth' is missing"),
        ([raw(1), raw(1)], "p_1 was already in"),
        ([raw(1, ground_truth={"decision": "maybe"})], "not of the format"),
        ([raw(1, arguments=[1])], "not of the format"),
        ([raw(1), raw(2, agent={"id": "model 1 tools base"})], "rename one"),
    ],
)
def test_read_refuses_with_file_line_and_field(
    tmp_path: Path, rows: list[dict[str, Any]], words: str
) -> None:
    with pytest.raises(UnusableRecords, match=r".*") as refused:
        records.read([write(tmp_path / "a.jsonl", *rows)])

    assert words in str(refused.value)


def test_read_refuses_what_is_no_json_or_no_file(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("{", "utf-8")
    (tmp_path / "b.jsonl.gz").write_bytes(b"not gzip")

    for name in ("a.jsonl", "b.jsonl.gz", "c.jsonl"):
        with pytest.raises(UnusableRecords, match="cannot be read"):
            records.read([tmp_path / name])


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("gpt-4o / tool calling, base tools", "gpt-4o-tool-calling-base-tools"),
        ("qwen2.5:7b / tau2 llm_agent", "qwen2-5-7b-tau2-llm-agent"),
        ("Ä" * 5, None),
        ("x" * 200, None),
    ],
)
def test_slug_fits_any_recorded_name(name: str, slug: str | None) -> None:
    found = records.slug_of(name)

    assert slug is None or found == slug
    assert 0 < len(found) <= 60
    assert found == records.slug_of(name) != records.slug_of(name + "!x")


def test_request_has_nothing_of_the_ground_truth(three: list[Record]) -> None:
    body = records.body_of(three[1], "recipient")

    assert body["subject"] == {"type": "recipient", "id": "DE1"}
    assert body["trace_id"] == "e1"
    text = json.dumps(body)
    assert not any(word in text for word in ("12.5", "edit", "expected", "injected", "incorrect"))


def test_types_become_blueprints_that_the_product_accepts(three: list[Record]) -> None:
    described = {
        "send_money": {
            "title": "Send money",
            "description": "Sends money.",
            "how_to_reverse": None,
            "reversible": "no",
            "parameters": {
                "type": "object",
                "properties": {"recipient": {"type": "string"}, "amount": {"type": "number"}},
            },
            "amount_argument": "amount",
            "target_argument": "recipient",
        }
    }

    [made] = types.blueprints(three, described)
    found = blueprint.parse(json.dumps(made).encode())

    assert found.domain == "replay_banking"
    assert found.action_types["send_money"]["amount_pointer"] == "/amount"
    assert found.action_types["send_money"]["title_template"] == "Send money: {recipient}"
    assert [agent.slug for agent in found.agents] == ["model-1-tools-base"]
    assert blueprint.parse(json.dumps(types.blueprints(three, {})[0]).encode()).action_types["send_money"][
        "schema"
    ]


def test_tally_is_fine_only_when_each_record_equals_its_truth(three: list[Record]) -> None:
    approve, edit, reject = three
    counted = Tally(three)
    assert counted.verdict(deciding=True)[0] is False

    counted.settle(approve, "approve", waited=1.0)
    counted.settle(edit, "edit", waited=3.0)
    counted.settle(reject, "refused")
    right, line = counted.verdict(deciding=True)
    assert right
    assert "approve 1 + 0 refused = 1 · edit 1 + 0 refused = 1 · reject 0 + 1 refused = 1" in line
    [row] = counted.rows()
    assert (row.proposed, row.accuracy, row.waits) == (3, 1 / 3, [1.0, 3.0])

    counted.settle(approve, "edit")
    counted.settle(edit, "approve")
    right, line = counted.verdict(deciding=True)
    assert not right, "sums are equal, records are not"
    assert "2 records differ" in line


def test_tally_without_decisions_counts_posts(three: list[Record]) -> None:
    counted = Tally(three)
    for record in three[:2]:
        counted.settle(record, "waiting")
    counted.settle(three[2], "refused")

    assert counted.verdict(deciding=False) == (True, "all 3 posted: 2 accepted, 1 refused by their schema")


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [([], 0.5, None), ([5.0], 0.95, 5.0), ([1, 2, 3, 4], 0.5, 2), ([4, 1, 2], 0.95, 4)],
)
def test_quantile_is_the_nearest_rank(values: list[float], share: float, expected: float | None) -> None:
    assert tally.quantile(values, share) == expected


def test_forms_are_read_as_a_browser_reads_them() -> None:
    found = pages.forms(
        """
        <form id="a" action="/x/" method="post">
          <input type="hidden" name="csrfmiddlewaretoken" value="t&amp;1">
          <input name="text" value="ä"> <input type="checkbox" name="yes" checked> <input type="checkbox" name="no">
          <input type="radio" name="r" value="1"><input type="radio" name="r" value="2" checked>
          <textarea name="area">\nline 1\n&lt;b&gt;</textarea>
          <select name="s"><option value="1">one</option><option value="2" selected>two</option></select>
          <select name="first"><option value="f">one</option><option value="g">two</option></select>
          <input name="gone" value="1" disabled> <input type="file" name="file">
          <button name="verdict" value="approve">ok</button>
        </form>
        <input form="a" name="outside" value="o"><form action="/y/"></form>
        """
    )

    assert [(form.action, form.method) for form in found] == [("/x/", "post"), ("/y/", "get")]
    assert found[0].fields == [
        ("csrfmiddlewaretoken", "t&1"), ("text", "ä"), ("yes", "on"), ("r", "2"), ("area", "line 1\n<b>"),
        ("s", "2"), ("first", "f"), ("outside", "o"),
    ]  # fmt: skip
    assert found[0].buttons == [("verdict", "approve")]
