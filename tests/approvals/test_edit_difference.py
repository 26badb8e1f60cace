"""What an edit changes, as the preview tells it: rows that came, went and moved, and the characters inside a text."""

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from approvals import canonical
from approvals.editing import difference as edit_difference
from approvals.editing.difference import Line, Span, spans
from approvals.reading import sheet

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "amount": {"type": "number", "title": "Amount"},
        "iban": {"type": "string", "title": "Account"},
        "note": {"type": "string"},
        "rows": {
            "type": "array",
            "title": "Lines",
            "items": {"type": "object", "title": "Line", "properties": {"sku": {"title": "Article"}}},
        },
        "way": {
            "oneOf": [
                {
                    "type": "object",
                    "properties": {"kind": {"const": "card"}, "last": {"title": "Last digits"}},
                },
                {"type": "object", "properties": {"kind": {"const": "bank"}}},
            ]
        },
    },
}


def lines(before: Any, after: Any, *material: str) -> list[Line]:
    return edit_difference.lines(
        SCHEMA,
        sheet.parse(canonical.arguments_bytes(before)),
        sheet.parse(canonical.arguments_bytes(after)),
        material=list(material),
    )


def told(found: list[Line]) -> list[tuple[str, str, str, str]]:
    """Each line as (verb, label, before, after)."""
    return [
        (
            line.verb,
            line.label,
            "".join(span.text for span in line.before),
            "".join(span.text for span in line.after),
        )
        for line in found
    ]


A, B, C = {"sku": "a", "n": 1}, {"sku": "b", "n": 2}, {"sku": "c", "n": 3}


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"amount": 1}, {"amount": 1}, []),
        ({"amount": 1}, {"amount": 2.5}, [("changed", "Amount", "1", "2.5")]),
        ({"amount": 1}, {}, [("removed", "Amount", "1", "")]),
        ({}, {"note": ""}, [("added", "Note", "", "(empty text)")]),
        ({"note": ""}, {"note": None}, [("changed", "Note", "(empty text)", "nothing (null)")]),
        ({"note": "5"}, {"note": 5}, [("changed", "Note", "5 (text)", "5 (number)")]),
        ({"note": True}, {"note": "yes"}, [("changed", "Note", "yes (yes or no)", "yes (text)")]),
        ({"rows": [A, B]}, {"rows": [B, A]}, [("moved", "Line 1", "", "sku: b\nn: 2")]),
        ({"rows": [A, B, C]}, {"rows": [A, C]}, [("removed", "Line 2", "n: 2\nsku: b", "")]),
        ({"rows": [A]}, {"rows": [B, A]}, [("added", "Line 1", "", "n: 2\nsku: b")]),
        ({"rows": [A, B]}, {"rows": [A, {**B, "sku": "x"}]}, [("changed", "Line 2 › Article", "b", "x")]),
        ({"rows": [A]}, {"rows": []}, [("removed", "Line 1", "n: 1\nsku: a", "")]),
        ({"rows": [A]}, {}, [("removed", "Lines", "1. \n  n: 1\n  sku: a", "")]),
        (
            {"way": {"kind": "card", "last": "42"}},
            {"way": {"kind": "bank"}},
            [("changed", "Way › Kind", "card", "bank"), ("removed", "Way › Last digits", "42", "")],
        ),
        ({"amount": 1e21}, {"amount": 0.1}, [("changed", "Amount", "1e+21", "0.1")]),
    ],
)  # fmt: skip
def test_every_kind_of_change_has_its_line(
    before: dict[str, Any], after: dict[str, Any], expected: list[tuple[str, str, str, str]]
) -> None:
    found = [(verb, label, was, now) for verb, label, was, now in told(lines(before, after))]
    assert [(v, label, _sorted(w), _sorted(n)) for v, label, w, n in found] == [
        (v, label, _sorted(w), _sorted(n)) for v, label, w, n in expected
    ]


def _sorted(text: str) -> str:
    """Members of an object have no order."""
    return "\n".join(sorted(text.split("\n")))


def test_what_is_material_comes_first_and_is_marked_also_as_a_part() -> None:
    found = lines({"note": "a", "iban": "x"}, {"note": "b", "iban": "y"}, "/iban")
    assert [(line.label, line.material) for line in found] == [("Account", True), ("Note", False)]
    found = lines({"rows": [A]}, {"rows": []}, "/rows/0/sku")
    assert [line.material for line in found] == [True]


def test_one_digit_of_an_account_is_marked_alone() -> None:
    (line,) = lines({"iban": "NL91ABNA0417164300"}, {"iban": "NL91ABNA0417164309"})
    assert line.before == [Span("same", "NL91ABNA041716430"), Span("gone", "0")]
    assert line.after == [Span("same", "NL91ABNA041716430"), Span("new", "9")]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("pay paypal now", "pay p\u0430ypal now"),  # a Cyrillic a: alone it would look like ours
        ("caf\u00e9 bar", "cafe\u0301 bar"),
        ("to https://bank.com/x now", "to https://bank.com.evil.io/x now"),
        ("mail a@example.com now", "mail a@example.co now"),
        ("abc\x1b[1m d", "abcd\x1b[1m d"),
    ],
)
def test_a_word_that_could_deceive_is_never_taken_apart(before: str, after: str) -> None:
    """Marks for mixed scripts, hosts and hidden characters need the whole word."""
    found = spans(before, after)
    gone = "".join(span.text for span in found if span.kind == "gone").strip()
    new = "".join(span.text for span in found if span.kind == "new").strip()
    assert gone in before.split() and new in after.split()


def test_a_long_text_shows_its_changes_with_what_stands_around() -> None:
    text = " ".join(f"word{number}" for number in range(3000))
    (line,) = lines({"note": text}, {"note": text.replace("word1500", "other")})
    kinds = [span.kind for span in line.merged]
    assert kinds == ["skip", "same", "gone", "new", "same", "skip"]
    assert sum(len(span.text) for span in line.merged) < 200
    left_out = sum(int(span.text.replace(",", "")) for span in line.merged if span.kind == "skip")
    shown = sum(len(span.text) for span in line.merged if span.kind in ("same", "gone"))
    assert left_out + shown == len(text)


WORDS = st.lists(st.sampled_from(["a", "b", " ", "\n", "\u202e", "Haus", "x1", "€"]), max_size=14).map(
    "".join
)


@given(before=WORDS, after=WORDS)
def test_spans_account_for_both_texts(before: str, after: str) -> None:
    found = spans(before, after)
    assert "".join(span.text for span in found if span.kind != "new") == before
    assert "".join(span.text for span in found if span.kind != "gone") == after
    assert all(span.text for span in found)


ROWS = st.lists(st.sampled_from([A, B, C, 1, "x"]), max_size=6)


@given(before=ROWS, after=ROWS)
def test_rows_account_for_both_lists(before: list[Any], after: list[Any]) -> None:
    """Nothing is told twice and nothing left out: what came less what went is the change in number."""
    found = lines({"rows": before}, {"rows": after})
    verbs = [line.verb for line in found if line.pointer.count("/") == 2]
    assert verbs.count("added") - verbs.count("removed") == len(after) - len(before)
    assert bool(found) == (json.dumps(before) != json.dumps(after))


def test_a_hostile_text_is_compared_in_bounded_time() -> None:
    start = time.thread_time()
    spans("a b " * 30_000 + "x", "b a " * 30_000 + "y")
    spans("ab" * 60_000, "ba" * 60_000 + "c")
    assert time.thread_time() - start < 5
