"""The operator's commands: what is pinned, what is shown of a change, and that nothing is accepted by accident."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from mcp import types
from mcp_behind import Behind

from countersign.mcp import commands, main, pins


@pytest.fixture
def behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Behind:
    found = Behind(tmp_path, monkeypatch)
    monkeypatch.setattr(commands, "Upstream", found.upstream)
    found.settings.lock.unlink()
    document = {
        "server": {"command": "in process"},
        "domain": "shop",
        "label": "Shop",
        "reads": ["list_*"],
        "blocked": ["fatal_*"],
        "agent": {"slug": "shop-agent", "name": "Shop agent", "owner": "ann@example.com"},
    }
    found.settings.path.write_text(json.dumps(document))
    return found


def run(behind: Behind, *arguments: str) -> int:
    return main(["--config", str(behind.settings.path), *arguments])


def test_import_pins_everything_and_writes_a_blueprint_of_what_is_proposed(
    behind: Behind, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(behind, "import") == 0
    assert set(pins.load(behind.settings.lock)) == set(behind.shop.tools)
    document = yaml.safe_load((behind.folder / "shop.blueprint.yaml").read_text())
    names = [kind["name"] for kind in document["action_types"]]
    assert names == ["shop_refund_order", "shop_slow_refund"]
    assert [mandate["action_type"] for mandate in document["agents"][0]["mandates"]] == names
    said = capsys.readouterr().out
    assert "read      list_orders" in said and "blocked   fatal_refund" in said
    assert "load_blueprint shop.blueprint.yaml --dry-run" in said
    assert run(behind, "check") == 0


def test_import_does_not_accept_what_has_changed(behind: Behind, capsys: pytest.CaptureFixture[str]) -> None:
    run(behind, "import")
    before = behind.settings.lock.read_bytes()
    behind.shop.says("refundOrder", description="Pays twice.")
    behind.shop.tools["steal"] = types.Tool(name="steal", input_schema={"type": "object"})
    assert run(behind, "import") == 0
    assert behind.settings.lock.read_bytes() == before
    assert "Pays twice." not in (behind.folder / "shop.blueprint.yaml").read_text()
    said = capsys.readouterr().out
    assert "refundOrder: description; left as it was accepted" in said and "steal: it is new" in said


def test_a_person_sees_the_change_with_what_hides_in_it_and_accepts(
    behind: Behind, capsys: pytest.CaptureFixture[str]
) -> None:
    run(behind, "import")
    behind.shop.says("refundOrder", description="Pays money back.\u200b\U000e0041\u202e")
    capsys.readouterr()
    assert run(behind, "check") == 1
    said = capsys.readouterr().out
    assert "== refundOrder: description" in said
    assert "+ " in said and "<U+200B><U+E0041><U+202E>" in said
    assert "1 tool of 4 not as accepted" in said
    assert run(behind, "accept") == 1, "there is nobody to ask"
    assert run(behind, "check") == 1
    assert run(behind, "accept", "list_orders", "--yes") == 1
    assert "is as it was accepted" in capsys.readouterr().err
    assert run(behind, "accept", "refundOrder", "--yes") == 0
    assert run(behind, "check") == 0
    assert "let an admin load" not in capsys.readouterr().out, "its arguments are the same"


def test_new_arguments_have_to_be_loaded_and_a_tool_that_is_gone_can_be_dropped(
    behind: Behind, capsys: pytest.CaptureFixture[str]
) -> None:
    run(behind, "import")
    behind.shop.says("refundOrder", input_schema={"type": "object"})
    del behind.shop.tools["slow_refund"]
    assert run(behind, "accept", "--yes") == 0
    assert "Arguments of refundOrder are new" in capsys.readouterr().out
    assert set(pins.load(behind.settings.lock)) == {"fatal_refund", "list_orders", "refundOrder"}


@pytest.mark.parametrize(
    ("answer", "status", "accepted"),
    [("y", 0, True), ("", 1, False), ("no", 1, False)],
    ids=["y", "none", "no"],
)
def test_it_is_asked_at_the_terminal(
    behind: Behind, monkeypatch: pytest.MonkeyPatch, answer: str, status: int, accepted: bool
) -> None:
    run(behind, "import")
    behind.shop.says("refundOrder", description="Other words.")
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda question: answer)
    assert run(behind, "accept") == status
    found = pins.load(behind.settings.lock)["refundOrder"].definition["description"]
    assert (found == "Other words.") is accepted


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("run",), "run `countersign mcp-gateway import` first"),
        (("run", "--http", "8931"), "HOST:PORT"),
        (("run", "--http", "127.0.0.1:8931"), "COUNTERSIGN_GATEWAY_TOKEN"),
        (("check",), "run `countersign mcp-gateway import` first"),
    ],
)
def test_what_is_missing_is_said(
    behind: Behind,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    words: str,
) -> None:
    monkeypatch.delenv("COUNTERSIGN_GATEWAY_TOKEN", raising=False)
    assert run(behind, *arguments) == 1
    assert words in capsys.readouterr().err


def test_a_name_that_is_not_ours_is_told_with_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--config", str(tmp_path / "none.json"), "check"]) == 1
    assert "none.json cannot be read" in capsys.readouterr().err
