"""Every attack we have a number for has a test that carries it: `test_a13_a14_markup_is_…`, `test_a01_to_a05_…`."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from datetime import date
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
NUMBERS = range(1, 48)
WAITING: dict[int, tuple[str, date]] = {}
"""What there is nothing to attack of yet: whose piece it is, and since when it waits. Nothing that is built waits."""
_RANGE = re.compile(r"test_a(\d+)_to_a(\d+)_")


def numbers(name: str) -> set[int]:
    """The attacks that a test's name carries."""
    whole = _RANGE.match(name)
    if whole:
        return set(range(int(whole[1]), int(whole[2]) + 1))
    found = set()
    for part in name.removeprefix("test_").split("_"):
        one = re.fullmatch(r"a(\d+)", part)
        if one is None:
            break
        found.add(int(one[1]))
    return found


def named_tests() -> Iterator[tuple[str, str]]:
    """Every test there is, with its file; read, not imported, so that one whose tool is missing counts too."""
    for path in sorted(TESTS.rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                yield node.name, str(path.relative_to(TESTS))


def test_every_attack_has_a_test_or_waits_for_what_it_attacks() -> None:
    found: dict[int, list[str]] = defaultdict(list)
    for name, where in named_tests():
        for number in numbers(name):
            found[number].append(f"{where}::{name}")
    missing = {f"A{number}" for number in NUMBERS if number not in found and number not in WAITING}
    assert missing == set(), "write a test whose name carries the number"
    assert {number for number in WAITING if number in found} == set(), "it has a test: it waits no more"
    assert set(found) <= set(NUMBERS), "there is no such attack"


def test_names_are_read_as_they_are_meant() -> None:
    assert numbers("test_a13_a14_markup_is_literal") == {13, 14}
    assert numbers("test_a01_to_a05_bad_json_is_400") == {1, 2, 3, 4, 5}
    assert numbers("test_a_digest_that_is_none") == set()
    assert numbers("test_the_a26_rule") == set()
