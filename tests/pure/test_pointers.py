"""JSON Pointers, amounts and titles: a typo or a trick must not switch a limit off."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents import pointers
from agents.pointers import MISSING
from tests.pure.test_strict_json import VALUES

DOCUMENT = {"a": {"b": [10, {"c": 3}]}, "": 1, "x/y": 2, "m~n": 4, "~1": 5, "²": 6}


@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        ("", DOCUMENT),
        ("/a/b/0", 10),
        ("/a/b/1/c", 3),
        ("/", 1),
        ("/x~1y", 2),
        ("/m~0n", 4),
        ("/~01", 5),
        ("/a/b/2", MISSING),
        ("/a/b/-1", MISSING),
        ("/a/b/-", MISSING),
        ("/a/b/00", MISSING),
        ("/a/b/01", MISSING),
        ("/a/b/²", MISSING),
        ("/a/b/٠", MISSING),
        ("/a/b/" + "9" * 190, MISSING),
        ("/a/b/0/c", MISSING),
        ("/zz", MISSING),
    ],
)
def test_resolve(pointer: str, value: Any) -> None:
    assert pointers.resolve(DOCUMENT, pointer) == value


@pytest.mark.parametrize("pointer", ["a", "a/b", "#/a", " /a"])
def test_a_pointer_starts_with_a_slash(pointer: str) -> None:
    with pytest.raises(ValueError, match="JSON Pointer"):
        pointers.parse(pointer)


@given(VALUES, st.text(max_size=20))
def test_resolve_never_fails(document: Any, path: str) -> None:
    pointers.resolve(document, "/" + path)


@pytest.mark.parametrize(
    ("value", "amount"),
    [
        (42.5, "42.50"),
        (0.1 + 0.2, "0.30"),
        (-7, "-7.00"),
        ("1234567890123456.78", "1234567890123456.78"),
        ("1e3", "1000.00"),
        (2**53 - 1, "9007199254740991.00"),
        ("9999999999999999.99", "9999999999999999.99"),
        ("9999999999999999.999", None),
        ("-9999999999999999.999", None),
        ("10000000000000000", None),
        ("1e400", None),
        ("1e-400", "0.00"),
        ("1_000", None),
        (" 12", None),
        ("12\n", None),
        ("１２", None),
        ("٣", None),
        ("0x10", None),
        ("NaN", None),
        ("Infinity", None),
        ("", None),
        ("9" * 100_000, None),
        ("1,000.00", None),
        (True, None),
        (None, None),
        ([5], None),
        ({"amount": 5}, None),
    ],
    ids=lambda value: str(value)[:24],
)
def test_amount_at(value: Any, amount: str | None) -> None:
    found = pointers.amount_at({"amount": value}, "/amount")
    assert found == (None if amount is None else Decimal(amount))


@given(VALUES | st.text(st.sampled_from("0123456789.eE+-_ ٣"), max_size=40))
def test_an_amount_fits_its_column(value: Any) -> None:
    """numeric(18, 2): sixteen digits before the point, two after, or the insert fails."""
    found = pointers.amount_at({"amount": value}, "/amount")
    assert found is None or (abs(found) < Decimal(10) ** 16 and found == round(found, 2))


@given(VALUES)
def test_a_title_is_one_short_text_for_any_arguments(value: Any) -> None:
    title = pointers.title("Refund {amount} for {/a~1b} {a.b} {nothing", {"amount": value, "a/b": value})
    assert len(title) <= 300
    assert "{amount}" not in title or "{amount}" in str(value)


def test_a_title_does_not_expand_what_the_arguments_say() -> None:
    assert pointers.title("Pay {to}", {"to": "{secret}", "secret": "s"}) == "Pay {secret}"


def test_a_title_reads_missing_as_an_ellipsis() -> None:
    assert pointers.title("Pay {to}: {ok} {list} {map}", {"ok": True, "list": [1, 2], "map": {"x": 1}}) == (
        "Pay …: yes 2 items 1 fields"
    )
