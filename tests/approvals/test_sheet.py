"""Arguments as a person reads them, differences between revisions, and where summary and action disagree."""

from decimal import Decimal
from typing import Any

import pytest

from approvals import mismatch, sheet
from approvals.sheet import Change, Money

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
        ("Amount", "amount", "1,240.50", "EUR", True, False),
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
    assert entries(b'{"when":"2026-11-22"}')[0].note == "Sunday, 22 November 2026"
    assert entries(b'{"when":"soon"}')[0].note == "not a date"


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
        ("1240", "1,240.00"),
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
