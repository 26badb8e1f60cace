"""Look-alikes by table and by property: what forms a group, what differs in it, and what stands out."""

import json
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from approvals.reading import alike, sheet
from approvals.reading.alike import Item
from approvals.reading.sheet import Entry, Money


def item(number: int, arguments: dict[str, Any], **extra: Any) -> Item:
    content = json.dumps(arguments).encode()
    values: dict[str, Any] = {"agent": 1, "version": "1", "action": 1, "rules": ("rule large",)}
    return Item(id=UUID(int=number), values=alike.values(sheet.parse(content)), **{**values, **extra})


def refund(number: int, **arguments: Any) -> Item:
    return item(
        number, {"order": f"A-{number}", "amount": number, "iban": "DE1", "reason": "late", **arguments}
    )


def members(found: list[alike.Group]) -> list[list[int]]:
    return [[one.id.int for one in group.items] for group in found]


def test_values_keep_types_and_depth_apart() -> None:
    content = b'{"a":{"b":[1,"1",true,null,{}],"c/d~e":"x"},"f":[]}'
    assert alike.values(sheet.parse(content)) == {
        "/a/b/0": "number 1",
        "/a/b/1": "text 1",
        "/a/b/2": "json true",
        "/a/b/3": "json null",
        "/a/b/4": "json {}",
        "/a/c~1d~0e": "text x",
        "/f": "json []",
    }


def test_values_end_where_the_sheet_ends() -> None:
    deep: Any = "bottom"
    for _ in range(40):
        deep = {"n": deep}
    parsed = sheet.parse(json.dumps(deep).encode())
    shown = alike.leaves(sheet.entries({}, parsed, material=[], money=Money()))
    assert set(alike.values(parsed)) == set(shown)


@pytest.mark.parametrize(
    ("other", "grouped"),
    [
        (refund(2), True),
        (refund(2, reason="damaged"), False),  # one of four in common
        (item(2, {"order": "A-2", "amount": 2, "iban": "DE1"}), False),
        (refund(2, note="new"), False),
        (item(2, {"order": "A-1", "amount": 1, "iban": "DE1", "reason": "late"}, agent=2), False),
        (item(2, {"order": "A-1", "amount": 1, "iban": "DE1", "reason": "late"}, version="2"), False),
        (item(2, {"order": "A-1", "amount": 1, "iban": "DE1", "reason": "late"}, action=2), False),
        (item(2, {"order": "A-1", "amount": 1, "iban": "DE1", "reason": "late"}, rules=()), False),
        (item(2, {"order": "A-1", "amount": "1", "iban": "DE1", "reason": "late"}), True),
    ],
)
def test_what_forms_a_group(other: Item, grouped: bool) -> None:
    assert members(alike.groups([refund(1), other])) == ([[1, 2]] if grouped else [])


def test_a_number_and_the_same_text_differ() -> None:
    [group] = alike.groups([refund(1), refund(2, order="A-1", amount="1")])
    assert group.differing == ("/amount",)


def test_one_shape_falls_into_the_groups_that_have_most_in_common() -> None:
    every = [
        refund(n, iban="DE1" if n % 2 else "DE2", reason="late" if n % 2 else "damaged") for n in range(6)
    ]
    found = alike.groups([*every, refund(9, iban="XX", reason="other")])
    assert sorted(members(found)) == [[0, 2, 4], [1, 3, 5]]
    assert all(group.differing == ("/order", "/amount") for group in found)


def test_too_many_arguments_are_not_compared() -> None:
    wide = {f"n{number}": 1 for number in range(alike.MOST_VALUES + 1)}
    assert alike.groups([item(1, wide), item(2, wide)]) == []
    assert alike.groups([item(1, {}), item(2, {})]) == []


def test_many_that_share_a_shape_and_nothing_else_cost_little() -> None:
    every = [item(n, {f"n{k}": n * 100 + k for k in range(60)}) for n in range(600)]
    assert alike.groups(every) == []


_VALUES = st.sampled_from([1, 2, "a", "b", True, None])
_ARGUMENTS = st.fixed_dictionaries(dict.fromkeys("pqrs", _VALUES), optional={"t": _VALUES})


@settings(suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no fault of the grouping
@given(st.lists(st.tuples(_ARGUMENTS, st.sampled_from("xy")), max_size=16))
def test_every_group_keeps_its_promise(several: list[tuple[dict[str, Any], str]]) -> None:
    items = [item(number, one, rules=(rule,)) for number, (one, rule) in enumerate(several)]
    found = alike.groups(items)
    everybody = [one.id for group in found for one in group.items]
    assert len(everybody) == len(set(everybody)), "nobody is in two groups"
    for group in found:
        first = group.items[0]
        assert len(group.items) >= alike.FEWEST
        common = [
            pointer for pointer in first.values if len({one.values[pointer] for one in group.items}) == 1
        ]
        assert all(set(one.values) == set(first.values) and one.rules == first.rules for one in group.items)
        assert 2 * len(common) >= len(first.values)
        assert set(group.differing) == set(first.values) - set(common)
        assert [one.id for one in group.items] == sorted(one.id for one in group.items)
    assert alike.groups(items) == found


@pytest.mark.parametrize(
    ("amounts", "far"),
    [
        ([10, 11, 100], [2]),
        ([10, 11, 12, 3], [3]),
        ([10, 30, 30], []),
        ([10, 100], []),
        ([-10, -11, -100], [2]),
        ([0, 0, 5], [2]),
        ([None, 10, 10, 10, 31], [4]),
    ],
)
def test_amounts_far_off(amounts: list[int | None], far: list[int]) -> None:
    items = [
        refund(n, amount=amount) if amount is None else _with_amount(n, amount)
        for n, amount in enumerate(amounts)
    ]
    assert sorted(pk.int for pk in alike.far_off(items)) == far


def _with_amount(number: int, amount: int, currency: str = "EUR") -> Item:
    return item(number, {"a": amount}, amount=Decimal(amount), currency=currency)


def test_currencies_are_measured_apart_and_the_majority_is_usual() -> None:
    euros = [_with_amount(n, 10) for n in range(3)]
    yen = [_with_amount(n, 1500, "JPY") for n in range(3, 5)]
    assert alike.far_off([*euros, *yen]) == {}
    assert alike.usual_currency([*euros, *yen]) == "EUR"
    assert alike.usual_currency([*euros[:2], *yen]) is None
    assert alike.usual_currency([refund(1)]) == ""


def test_exact_repeats_are_found() -> None:
    assert alike.repeated([refund(1), refund(1), refund(2)]) == {UUID(int=1)}
    twice = [refund(1), item(5, {"reason": "late", "iban": "DE1", "amount": 1, "order": "A-1"}), refund(2)]
    assert alike.repeated(twice) == {UUID(int=1), UUID(int=5)}


@pytest.mark.parametrize(
    ("one", "other", "twins"),
    [
        ("A-1001", "A-1OO1", True),
        ("paypal.com", "p\u0430ypal.com", True),
        ("INV-77", "INV\u200b-77", True),
        ("A-1001", "A-1002", False),
        ("a-1001", "A-1001", False),
    ],
)
def test_values_that_pass_for_another_one(one: str, other: str, twins: bool) -> None:
    items = [refund(1, order=one), refund(2, order=other), refund(3, order="Q-7")]
    found = alike.twins(items, ["/order", "/amount"])
    assert sorted(pk.int for pk, _ in found) == ([1, 2] if twins else [])


def test_the_odd_one_is_seen_where_nearly_all_agree() -> None:
    agreed = [refund(n, iban="DE1") for n in range(5)]
    assert alike.usual_value([*agreed, refund(9, iban="DE9")], "/iban") == "text DE1"
    assert alike.usual_value(agreed, "/iban") is None
    assert alike.usual_value(agreed, "/order") is None


def test_the_common_sheet_leaves_out_what_differs_and_keeps_numbers() -> None:
    value = sheet.parse(b'{"lines":[{"sku":"a","n":1},{"sku":"b","n":2}],"to":"x"}')
    entries = sheet.entries({}, value, material=[], money=Money())
    left = alike.without(entries, ["/lines/0/sku", "/to"])
    assert list(alike.leaves(left)) == ["/lines/0/n", "/lines/1/sku", "/lines/1/n"]
    assert [entry.kind for entry in left] == ["group"], "what is left of a list is labelled by number"
    assert [entry.label for entry in left[0].entries] == ["1", "2"]
    assert alike.without(entries, []) == entries
    everything = list(alike.leaves(entries))
    assert alike.without(entries, everything) == []


@given(
    st.dictionaries(
        st.text(max_size=3), st.recursive(_VALUES, lambda inner: st.lists(inner, max_size=3)), max_size=5
    )
)
def test_leaves_of_the_sheet_are_the_values(arguments: dict[str, Any]) -> None:
    parsed = sheet.parse(json.dumps(arguments).encode())
    shown: list[Entry] = sheet.entries({}, parsed, material=[], money=Money())
    assert set(alike.leaves(shown)) == set(alike.values(parsed))
