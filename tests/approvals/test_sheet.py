"""Arguments as a person reads them, differences between revisions, and where summary and action disagree."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from approvals.reading import mismatch, sheet
from approvals.reading.sheet import Beside, Change, Money, Part

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "to": {"type": "string", "title": "Recipient"},
        "amount": {"type": "number", "description": "in full"},
        "lines": {"type": "array", "items": {"$ref": "#/$defs/line"}},
        "when": {"type": "string", "format": "date"},
        "note": {"type": "string"},
    },
    "$defs": {"line": {"type": "object", "properties": {"sku": {"type": "string", "title": "Article"}}}},
}


def entries(canonical: bytes) -> list[sheet.Entry]:
    return sheet.entries(SCHEMA, sheet.parse(canonical), material=["/amount"], money=Money("/amount", "EUR"))


def test_entries_begin_with_what_is_material_and_show_what_it_does_not_know() -> None:
    found = entries(b'{"amount":1240.5,"extra":true,"to":"DE89 3704 0044"}')
    assert [(e.label, e.kind, e.text, e.unit, e.material, e.unexpected) for e in found] == [
        ("Amount", "amount", "1\u202f240.50", "EUR", True, False),
        ("Recipient", "code", "DE89 3704 0044", "", False, False),
        ("extra", "bool", "yes", "", False, True),
    ]


def test_numbers_are_shown_as_the_bytes_spell_them() -> None:
    found = sheet.entries(
        {}, sheet.parse(b'{"a":1e+21,"b":0.1,"c":9007199254740991}'), material=[], money=Money()
    )
    assert [entry.text for entry in found] == ["1e+21", "0.1", "9007199254740991"]


def test_nested_groups_and_lists_are_shown_whole() -> None:
    (lines,) = entries(b'{"lines":[{"sku":"A-1"},{"sku":"","x":null}]}')
    assert (lines.kind, lines.note) == ("list", "2 items")
    assert [[inner.label for inner in item.entries] for item in lines.entries] == [
        ["Article"],
        ["Article", "x"],
    ]
    assert [inner.note for inner in lines.entries[1].entries] == ["empty text", "nothing (null)"]


def test_optional_arguments_that_were_not_given_are_named() -> None:
    assert sheet.missing(SCHEMA, {"to": "x", "amount": "1"}) == ["Lines", "When", "Note"]


def test_dates_carry_the_day_of_the_week() -> None:
    now = datetime(2026, 11, 20, 9, tzinfo=UTC)
    (when,) = sheet.entries(
        SCHEMA, sheet.parse(b'{"when":"2026-11-22"}'), material=[], money=Money(), beside=Beside(now=now)
    )
    assert when.note == "Sunday, 22 November 2026, in 2 days"
    assert entries(b'{"when":"soon"}')[0].note == "not a date"


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ({"to": "DE89", "amount": 10.5}, [("10.50", True), ("DE89", False)]),
        ({"to": "AT61"}, [(None, False), ("AT61", True)]),
        ({"amount": 12}, [("12.00", False), (None, False)]),
        ({"amount": None, "to": ["a"]}, [("null", True), ('["a"]', True)]),
        (None, [(None, False), (None, False)]),
        ("nothing", [(None, False), (None, False)]),
    ],
)
def test_what_the_agent_says_of_the_present_stands_beside_its_argument(
    state: Any, expected: list[tuple[str | None, bool]]
) -> None:
    value = sheet.parse(b'{"amount":12.0,"to":"DE89"}')
    found = sheet.entries(
        SCHEMA, value, material=["/amount"], money=Money("/amount", "EUR"), beside=Beside(state=state)
    )
    assert [(entry.before, entry.is_new) for entry in found] == expected
    assert sheet.outside(value, state) == ([("state", '"nothing"')] if state == "nothing" else [])


def test_what_belongs_to_no_argument_is_told_apart() -> None:
    assert sheet.outside({"to": "x"}, {"to": "y", "balance": 3.0, "note": "z"}) == [
        ("balance", "3"),
        ("note", "z"),
    ]


def test_the_title_sets_values_apart_and_writes_money_as_money() -> None:
    value = sheet.parse(b'{"amount":1240.5,"to":"x and nothing else"}')
    assert sheet.title("Pay {amount} to {to} for {missing}", value, Money("/amount", "EUR")) == [
        Part("Pay ", False),
        Part("1\u202f240.50 EUR", True),
        Part(" to ", False),
        Part("x and nothing else", True),
        Part(" for ", False),
        Part("…", True),
    ]


def test_labels_of_arguments_that_were_not_given_come_from_the_schema() -> None:
    assert [sheet.label(SCHEMA, pointer) for pointer in ("/to", "/lines/0/sku", "/no_such")] == [
        "Recipient",
        "Article",
        "No such",
    ]


def test_changes_name_each_argument_that_differs() -> None:
    before = sheet.parse(b'{"amount":10,"lines":[{"sku":"A"}],"to":"x"}')
    after = sheet.parse(b'{"amount":12.5,"lines":[{"sku":"A"},{"sku":"B"}],"note":"n"}')
    assert sheet.changes(SCHEMA, before, after, material=["/amount"]) == [
        Change("Amount", "10", "12.5", True),
        Change("Lines › 2 › Article", "", "B", False),
        Change("Note", "", "n", False),
        Change("Recipient", "x", "", False),
    ]


@pytest.mark.parametrize(
    ("spelled", "shown"),
    [
        ("42.5", "42.50"),
        ("1240", "1\u202f240.00"),
        ("0.005", "0.005"),
        ("-3", "-3.00"),
        ("1e999", "1e999"),
        ("x", "x"),
    ],
)
def test_amounts_have_separators_and_keep_every_decimal(spelled: str, shown: str) -> None:
    assert sheet.amount(spelled) == shown


@pytest.mark.parametrize(
    ("summary", "action", "count"),
    [
        ("Read the file and show it", "delete_file", 1),
        ("Delete the old file", "delete_file", 0),
        ("Refund 24.00 EUR to the customer", "refund_order", 1),
        ("Refund €240.00 to the customer", "refund_order", 0),
        ("Pay to accounts@vendor.example", "refund_order", 1),
        ("Pay to DE89 3704 0044 0532 0130 00", "refund_order", 0),
        ("", "delete_file", 0),
    ],
)
def test_a_summary_that_says_otherwise_is_noticed(summary: str, action: str, count: int) -> None:
    arguments = {"amount": 240, "iban": "DE89370400440532013000"}
    found = mismatch.hints(summary=summary, action=action, amount=Decimal(240), arguments=arguments)
    assert len(found) == count
