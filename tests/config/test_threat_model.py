"""What docs/threat-model.md says is shown by a test is shown by a test that exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
TEXT = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`([\w/]+\.py)::(test_\w+)`", TEXT)))


def test_every_test_that_is_named_exists() -> None:
    assert len(NAMED) > 80
    missing = []
    for path, name in NAMED:
        file = ROOT / "tests" / path
        if not file.exists() or not re.search(rf"^(async )?def {name}\(", file.read_text(), re.MULTILINE):
            missing.append(f"{path}::{name}")
    assert missing == []


@pytest.mark.parametrize("section", ["C9.2", "C9.6"])
def test_every_requirement_of_the_section_has_a_row(section: str) -> None:
    number = section[1:]
    assert re.findall(rf"^\| ({re.escape(number)}\.\d) \|", TEXT, re.MULTILINE) == [
        f"{number}.{position}" for position in range(1, 7)
    ]


def test_every_row_names_a_test_or_says_why_there_is_none() -> None:
    rows = re.findall(r"^\| (?:\d+\.\d|ASI|V\d)[^\n]*\|$", TEXT, re.MULTILINE)
    assert len(rows) > 60
    silent = [
        row
        for row in rows
        if "::test_" not in row
        and not re.search(r"not met|partly|nothing to show|not shown|host:|docs/", row)
    ]
    assert silent == []
