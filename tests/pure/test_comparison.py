"""A proposal beside the approved ones: what is changed, new, beyond them or done before, and no alarm without it."""

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from approvals.reading import comparison
from approvals.reading.comparison import Earlier, Present, beyond

START = datetime(2026, 1, 1, tzinfo=UTC)
IBAN, OTHER = "DE89370400440532013000", "NL91ABNA0417164300"


def earlier(number: int, arguments: dict[str, Any], **extra: Any) -> Earlier:
    values: dict[str, Any] = {
        "id": UUID(int=number),
        "arguments": arguments,
        "subject": ("vendor", "V1"),
        "amount": Decimal(arguments.get("amount", 0)) or None,
        "currency": "EUR",
        "changed_at": START + timedelta(days=number),
    }
    return Earlier(**{**values, **extra})


def present(arguments: dict[str, Any], **extra: Any) -> Present:
    values: dict[str, Any] = {
        "arguments": arguments,
        "subject": ("vendor", "V1"),
        "amount": Decimal(arguments.get("amount", 0)) or None,
        "currency": "EUR",
        "material": ["/amount", "/iban", "/invoice_number"],
        "labels": {"/iban": "Account"},
        "amount_pointer": "/amount",
    }
    return Present(**{**values, **extra})


def kinds(now: Present, past: list[Earlier]) -> list[tuple[str, str]]:
    return [(one.kind, one.where) for one in comparison.signals(now, past)]


PAID = [earlier(n, {"invoice_number": f"I-{n}", "amount": 100 + n, "iban": IBAN}) for n in range(12)]


def test_an_ordinary_proposal_raises_nothing() -> None:
    assert kinds(present({"invoice_number": "I-77", "amount": 107, "iban": IBAN}), PAID) == []
    assert kinds(present({"invoice_number": "I-77", "amount": 9_999_999, "iban": OTHER}), []) == []


def test_a_changed_recipient_of_the_same_subject_is_told_with_the_old_one() -> None:
    (signal,) = comparison.signals(present({"invoice_number": "I-77", "amount": 107, "iban": OTHER}), PAID)
    assert (signal.kind, signal.where) == ("recipient", "/iban")
    assert signal.text == f"Account was “{IBAN}” when this was approved before for vendor V1 (12 times)."


def test_the_recipient_of_another_party_is_named_as_that() -> None:
    past = [*PAID, earlier(50, {"invoice_number": "I-50", "iban": OTHER}, subject=("vendor", "V2"))]
    (signal,) = comparison.signals(present({"invoice_number": "I-77", "iban": OTHER}), past)
    assert "approved for somebody else" in signal.text


def test_a_party_named_in_the_arguments_counts_as_well_as_the_subject() -> None:
    past = [earlier(n, {"vendor": {"id": "V9"}, "iban": IBAN}, subject=("", "")) for n in range(3)]
    now = present({"vendor": {"id": "V9"}, "iban": OTHER}, subject=("", ""))
    assert kinds(now, past) == [("recipient", "/iban")]
    assert kinds(present({"vendor": {"id": "V8"}, "iban": OTHER}, subject=("", "")), past) == []


def test_items_of_a_list_are_compared_with_their_own_party() -> None:
    past = [
        earlier(n, {"payments": [{"vendor_id": "V1", "iban": IBAN}, {"vendor_id": "V2", "iban": OTHER}]})
        for n in range(3)
    ]
    same = {"payments": [{"vendor_id": "V2", "iban": OTHER}, {"vendor_id": "V1", "iban": IBAN}]}
    swapped = {"payments": [{"vendor_id": "V2", "iban": IBAN}, {"vendor_id": "V1", "iban": IBAN}]}
    assert kinds(present(same), past) == []
    assert kinds(present(swapped), past) == [("recipient", "/payments/0/iban")]


def test_a_field_that_changes_by_design_is_no_news() -> None:
    past = [earlier(n, {"new_address": f"Street {n}"}, subject=("customer", f"c{n % 4}")) for n in range(12)]
    assert kinds(present({"new_address": "Street 99"}, subject=("customer", "c1")), past) == []


def test_a_twin_is_told_once_and_not_as_a_change_too() -> None:
    now = present({"invoice_number": "I-77", "amount": 107, "iban": "DE89370400440532013001"})
    assert kinds(now, PAID) == [("twin", "/iban")]


def test_a_material_value_that_was_never_there_is_told() -> None:
    past = [earlier(n, {"account": "4711-001", "n": n}, subject=("", "")) for n in range(12)]
    now = present({"account": "0815-999"}, subject=("", ""), material=["/account"])
    assert kinds(now, past) == [("new_value", "/account")]
    assert kinds(present({"account": "0815-999"}, subject=("", ""), material=[]), past) == []
    assert kinds(now, past[:5]) == []


def test_the_same_invoice_again_points_to_the_one_that_stands() -> None:
    now = present({"invoice_number": "I-3", "amount": 103, "iban": IBAN})
    (signal,) = comparison.signals(now, PAID)
    assert (signal.kind, signal.earlier) == ("repeated", UUID(int=3))
    undone = [earlier(3, {"invoice_number": "I-3", "amount": 103, "iban": IBAN}, stands=False)]
    assert kinds(now, undone) == []
    assert kinds(present({"invoice_number": "I-3", "amount": 104, "iban": IBAN}), PAID) == []


@pytest.mark.parametrize(
    ("amount", "past", "far"),
    [
        (4900, [40, 45, 50, 55, 60, 65, 70, 75, 80], True),
        (85, [40, 45, 50, 55, 60, 65, 70, 75, 80], False),
        (500, [100] * 20, True),
        (105, [100] * 20, False),
        (10_000, [50] * 30 + [9000], True),
        (4900, [40, 45, 50], False),
        (-4900, [40, 45, 50, 55, 60, 65, 70, 75, 80], True),
        (0, [40] * 20, False),
    ],
)
def test_an_amount_beyond_the_customary(amount: int, past: list[int], far: bool) -> None:
    assert (beyond(Decimal(amount), [Decimal(one) for one in past]) is not None) is far


amounts = st.lists(st.integers(1, 10_000).map(Decimal), min_size=8, max_size=20)


@given(amounts, st.integers(1, 10**9).map(Decimal), st.integers(2, 1000))
def test_unusual_does_not_depend_on_the_unit(past: list[Decimal], amount: Decimal, factor: int) -> None:
    scaled = beyond(amount * factor, [one * factor for one in past])
    assert (beyond(amount, past) is None) == (scaled is None)


@given(amounts, st.integers(1, 10**6).map(Decimal))
def test_more_is_never_less_unusual(past: list[Decimal], amount: Decimal) -> None:
    assume(beyond(amount, past) is not None)
    assert beyond(amount * 2, past) is not None


@given(amounts)
def test_nothing_up_to_the_ninth_tenth_is_unusual(past: list[Decimal]) -> None:
    ordinary = sorted(past)[len(past) // 2]
    assert beyond(ordinary, past) is None


def test_a_lognormal_past_raises_few_alarms_and_finds_a_slipped_decimal_point() -> None:
    rng = random.Random(3)
    past = [Decimal(round(rng.lognormvariate(4, 0.6), 2)) for _ in range(200)]
    fresh = [Decimal(round(rng.lognormvariate(4, 0.6), 2)) for _ in range(1000)]
    assert sum(beyond(one, past) is not None for one in fresh) <= 10
    assert sum(beyond(one * 10, past) is not None for one in fresh) >= 700


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)


objects = st.dictionaries(st.text(max_size=10), json_values, max_size=4)


@given(objects, objects)
def test_whatever_an_agent_sends_is_compared_without_a_fault(one: Any, other: Any) -> None:
    now = Present(one, ("a", "b"), None, "", ())
    for signal in comparison.signals(now, [Earlier(UUID(int=1), other, ("a", "b"), None, "", START)]):
        assert signal.label and signal.text
    same = Earlier(UUID(int=1), one, ("a", "b"), None, "", START, stands=False)
    assert comparison.signals(now, [same]) == []
