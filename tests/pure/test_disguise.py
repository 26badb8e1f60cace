"""Disguise: nothing that names the case is left, and whatever held between two things still holds."""

import json
from copy import deepcopy
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from approvals.disguise import Content, Disguised, disguise, moved, names_of, whole_weeks
from tests.pure.iban import check_digits

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"reason": {"enum": ["damaged", "late"]}, "order_id": {"type": "string"}},
}
CASE = Content(
    arguments={
        "order_id": "A-1001",
        "amount": 129.9,
        "iban": "DE89 3704 0044 0532 0130 00",
        "customer": "Anna Jansen",
        "reason": "damaged",
        "lines": [
            {"sku": "TB-331", "name": "Oak Table", "quantity": 2, "price": 50, "amount": 100},
            {"sku": "LM-20", "name": "Desk Lamp", "quantity": 1, "amount": 29.9},
        ],
    },
    summary="Refund 129.90 EUR to Anna Jansen (anna.jansen@example.com) for order A-1001 of 2026-10-03.",
    reasoning="Dear Ms Jansen, paid on 3 October 2026, again on 12.10.2026, invoice INV-2026-0042; limit 500 EUR.",
    context=[
        {
            "role": "user",
            "name": "Anna Jansen",
            "content": "I'm Anna. Order A-1001, 123e4567-e89b-42d3-a456-426614174000",
        }
    ],
    subject_type="customer",
    subject_id="c-17",
    current_state={
        "account": "DE89 3704 0044 0532 0130 01",
        "total": "129.90",
        "ordered_at": "2026-10-03T10:00:00Z",
        "customer_id": "c-17",
    },
    note="The order A-1001 was never damaged.",
)
NAMES = ("A-1001", "Anna", "Jansen", "anna.jansen", "DE89", "0532", "c-17", "INV-2026-0042", "123e4567",
         "2026-10-03", "3 October 2026", "12.10.2026", "129.9", "TB-331")  # fmt: skip


def made(content: Content = CASE, *, seed: int = 1, days: int = -7) -> Disguised:
    return disguise(content, schema=SCHEMA, amount_pointer="/amount", days=days, chance=Random(seed))


def text_of(content: Content) -> str:
    return json.dumps(
        [content.arguments, content.summary, content.reasoning, content.context, content.subject_id,
         content.current_state, content.note],
        ensure_ascii=False,
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(20))
def test_nothing_that_names_the_case_is_left(seed: int) -> None:
    text = text_of(made(seed=seed).content)
    assert [name for name in NAMES if name in text] == []


@pytest.mark.parametrize("seed", range(20))
def test_what_was_the_same_is_the_same(seed: int) -> None:
    content = made(seed=seed).content
    order, name = content.arguments["order_id"], content.arguments["customer"]
    state = content.current_state
    assert state is not None
    assert order in content.summary and order in content.note and order in content.context[0]["content"]
    assert name in content.summary and content.context[0]["name"] == name
    assert name.lower().replace(" ", ".") + "@example.com" in content.summary
    assert content.subject_id == state["customer_id"]
    assert content.context[0]["content"].startswith(f"I'm {name.split()[0]}.")


@pytest.mark.parametrize("seed", range(20))
def test_sums_and_products_hold_and_what_is_said_of_them(seed: int) -> None:
    content = made(seed=seed).content
    lines = content.arguments["lines"]
    total = Decimal(str(content.arguments["amount"]))
    assert sum(Decimal(str(line["amount"])) for line in lines) == total
    assert lines[0]["price"] * lines[0]["quantity"] == lines[0]["amount"]
    assert f"{total:.2f} EUR" in content.summary
    assert content.current_state is not None and Decimal(content.current_state["total"]) == total
    assert Decimal("0.88") < total / Decimal("129.9") < Decimal("1.12")
    assert "limit 500 EUR" in content.reasoning  # no amount of this case


def test_a_fault_of_one_digit_stays_one_of_one_digit() -> None:
    content = made().content
    assert content.current_state is not None
    paid, known = (
        content.arguments["iban"].replace(" ", ""),
        content.current_state["account"].replace(" ", ""),
    )
    assert sum(a != b for a, b in zip(paid[4:], known[4:], strict=True)) == 1
    assert check_digits(paid) == paid[2:4]  # it was valid
    assert check_digits(known) != known[2:4]  # and this one was not


def test_what_the_schema_lists_and_what_nobody_is_stays() -> None:
    content = made().content
    assert content.arguments["reason"] == "damaged"
    assert content.arguments["lines"][0]["name"] == "Oak Table"
    assert content.arguments["lines"][0]["quantity"] == 2
    kept = "See Q3-2026, 3 items, 30 days, A4, 09:00, 10kg, version 2.1, Nordwind Logistik GmbH."
    assert (
        made(Content(arguments={"supplier": "Nordwind Logistik GmbH"}, summary=kept)).content.summary == kept
    )


def test_all_dates_move_together() -> None:
    content = made(days=-14).content
    assert "of 2026-09-19." in content.summary
    assert "on 19 September 2026, again on 28.09.2026" in content.reasoning
    assert content.current_state is not None
    assert content.current_state["ordered_at"] == "2026-09-19T10:00:00Z"


def test_moving_touches_dates_alone() -> None:
    later = moved(CASE, days=7)
    assert "for order A-1001 of 2026-10-10." in later.summary and "129.90 EUR to Anna Jansen" in later.summary
    assert later.arguments == CASE.arguments
    assert moved(later, days=-7) == CASE


def test_the_original_is_not_touched() -> None:
    before = deepcopy(CASE)
    made()
    assert before == CASE


def test_names_are_known_for_the_last_look() -> None:
    found = names_of(CASE, schema=SCHEMA)
    assert {"A-1001", "c-17", "Anna", "Jansen", "anna.jansen@example.com"} <= found


def test_numbers_written_the_other_way_stay_so() -> None:
    arguments = {"amount": 1234.5}
    said = "It is 1.234,50 EUR, that is 1,234.50 or € 1234.5."
    content = made(Content(arguments=arguments, summary=said)).content
    amount = Decimal(str(content.arguments["amount"]))
    english = f"{amount:,.2f}"
    european = english.replace(",", "_").replace(".", ",").replace("_", ".")
    assert f"It is {european} EUR, that is {english} or €" in content.summary


@given(
    numbers=st.lists(st.integers(1000, 10**12), min_size=2, max_size=30, unique=True),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=200, deadline=None)
def test_two_different_ones_never_become_the_same(numbers: list[int], seed: int) -> None:
    arguments = {"refs": [f"R-{number}" for number in numbers]}
    after = made(Content(arguments=arguments), seed=seed).content.arguments["refs"]
    assert len(set(after)) == len(numbers)
    years = ("19", "20")
    for number, one in zip(numbers, after, strict=True):
        is_year = len(str(number)) == 4 and str(number).startswith(years)
        assert (one == f"R-{number}") == is_year
        assert len(one) == len(f"R-{number}")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@given(
    arguments=st.dictionaries(
        st.sampled_from(["amount", "name", "order_id", "x", "total"]), JSON, max_size=5
    ),
    text=st.text(max_size=120),
    state=st.none() | st.dictionaries(st.text(max_size=8), JSON, max_size=3),
)
@settings(max_examples=300, deadline=None)
def test_whatever_comes_keeps_its_shape(arguments: Any, text: str, state: Any) -> None:
    content = Content(arguments=arguments, summary=text, current_state=state)
    after = made(content).content
    assert shape(after.arguments) == shape(arguments) and shape(after.current_state) == shape(state)
    assert json.loads(json.dumps(after.arguments)) == after.arguments


def shape(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [shape(inner) for inner in value]
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value)


@pytest.mark.parametrize(("days", "weeks"), [(0, 0), (6, 0), (7, 7), (64, 63)])
def test_whole_weeks_never_lead_ahead(days: int, weeks: int) -> None:
    from datetime import UTC, datetime, timedelta

    then = datetime(2026, 3, 2, 12, tzinfo=UTC)
    assert whole_weeks(then, then + timedelta(days=days)) == weeks
