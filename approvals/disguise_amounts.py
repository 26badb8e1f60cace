"""Amounts of an earlier proposal, each moved by a few per cent so that sums and products still hold. Pure."""

import re
from collections.abc import Iterator
from decimal import Decimal
from random import Random
from typing import Any

from agents import pointers

Known = dict[Decimal, Decimal]
"""Every amount of the proposal and what it is now."""

_MONEY_KEY = re.compile(
    r"(?:^|_)(?:amount|price|total|subtotal|sum|net|gross|cost|fee|refund|credit|paid|balance|budget|salary|payout|"
    r"discount|deposit|charge|value)s?(?:$|_(?:eur|usd|gbp|due|paid|net|gross|total))"
)
_PLAIN = re.compile(r"\d+(?:\.\d{1,2})?")
_LEAST = 20
"""Smaller whole numbers in a text are counts and days as often as money; they stay unless a currency stands by."""


def rescaled(arguments: Any, state: Any, *, amount_pointer: str, chance: Random) -> Known:
    """Amount → amount, by one factor, each as round as it was. Lines still add up and unit prices still multiply; where
    that cannot be kept, nothing changes."""
    documents = [arguments, state or {}]
    found = {value for document in documents for _, value in _amounts(document, "")}
    main = pointers.amount_at(arguments, amount_pointer)
    if main is not None:
        found.add(abs(main).normalize())
    found.discard(Decimal(0))
    factor = Decimal(str(round(1 + chance.choice((-1, 1)) * chance.uniform(0.03, 0.09), 4)))
    known: Known = {}
    for value in sorted(found):
        made = _near(value, factor)
        while made in known.values():
            made += _grain(value)
        known[value] = made
    relations = [*_products(documents), *_sums(documents, found)]
    for whole, parts in relations:
        known[whole] = sum((known[part] * times for part, times in parts), Decimal(0))
    holds = all(known[whole] == sum((known[part] * times for part, times in parts), Decimal(0))
                for whole, parts in relations)  # fmt: skip
    in_order = [known[value] for value in sorted(known)]
    return known if holds and in_order == sorted(set(in_order)) else {}


def resaid(given: Any, known: Known, key: str) -> Any:
    """A number, or the digits of one in a text, as it reads now; None where it is none of the amounts.

    `key` says what it stands under: only what is money there, or is too odd to be anything else, is replaced."""
    is_money = bool(_MONEY_KEY.search(key.lower()))
    if isinstance(given, str):
        return _resaid_text(given, known, is_money=is_money)
    value = abs(Decimal(str(given))).normalize()
    if value not in known or not (is_money or value >= _LEAST):
        return None
    made = known[value] if given > 0 else -known[value]
    return int(made) if isinstance(given, int) and made == made.to_integral_value() else float(made)


def _resaid_text(digits: str, known: Known, *, is_money: bool) -> str | None:
    """In the writing it had: 1,234.50 or 1.234,50 or 1234.5."""
    found = re.fullmatch(r"(\d+(?:([.,\u202f\u00a0])\d{3}(?:\2\d{3})*)?)(?:([.,])(\d{1,2}))?", digits)
    if found is None or (found[2] and found[2] == found[3]):
        return None
    whole, group, point, cents = found[1], found[2] or "", found[3] or "", found[4] or ""
    value = Decimal(f"{whole.replace(group, '') if group else whole}.{cents or 0}").normalize()
    if value not in known or not (is_money or cents or value >= _LEAST):
        return None
    made = known[value]
    places = max(len(cents), -int(made.normalize().as_tuple().exponent), 0)
    text = f"{made:,.{min(places, 2)}f}" if group or not cents else f"{made:.{min(places, 2)}f}"
    before, _, after = text.partition(".")
    return before.replace(",", group) + (f"{point or '.'}{after}" if after else "")


def _grain(value: Decimal) -> Decimal:
    """How round an amount is: the largest of 1, 5, 10 … times a power of ten that divides it and is ≤ 5 % of it."""
    best = Decimal("0.01")
    for power in range(-2, 12):
        for step in (1, 5):
            grain = Decimal(step).scaleb(power)
            if grain * 20 <= value and value % grain == 0:
                best = grain
    return best


def _near(value: Decimal, factor: Decimal) -> Decimal:
    grain = _grain(value)
    made = (value * factor / grain).to_integral_value() * grain
    if made == value:
        made += grain if factor > 1 or value <= grain else -grain
    return made.normalize()


def _amounts(value: Any, key: str) -> Iterator[tuple[str, Decimal]]:
    """Every number below a key that means money, also one written as a string."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _amounts(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from _amounts(inner, key)
    elif _MONEY_KEY.search(key.lower()) and (amount := _decimal(value)) is not None:
        yield key, amount


def _decimal(value: Any) -> Decimal | None:
    is_text = isinstance(value, str) and _PLAIN.fullmatch(value)
    if isinstance(value, bool) or not (is_text or isinstance(value, int | float)):
        return None
    amount = abs(Decimal(str(value)))
    if not amount.is_finite() or amount >= 10**12:
        return None
    return amount.normalize()


Relation = tuple[Decimal, list[tuple[Decimal, int]]]
"""A whole, and the parts it is the sum of, each so many times."""


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from _objects(inner)


def _products(documents: list[Any]) -> Iterator[Relation]:
    for document in documents:
        for one in _objects(document):
            money = {
                a for name, inner in one.items() if _MONEY_KEY.search(name.lower()) and (a := _decimal(inner))
            }
            counts = {
                inner
                for name, inner in one.items()
                if isinstance(inner, int)
                and not isinstance(inner, bool)
                and inner > 1
                and not _MONEY_KEY.search(name)
            }
            yield from (
                (part * times, [(part, times)])
                for part in sorted(money)
                for times in sorted(counts)
                if (part * times).normalize() in money
            )


def _sums(documents: list[Any], found: set[Decimal]) -> Iterator[Relation]:
    for document in documents:
        for one in _objects(document):
            for lines in one.values():
                rows = [row for row in lines if isinstance(row, dict)] if isinstance(lines, list) else []
                names = sorted({name for row in rows for name in row if _MONEY_KEY.search(name.lower())})
                for name in names:
                    parts = [amount for row in rows if (amount := _decimal(row.get(name)))]
                    whole = sum(parts, Decimal(0)).normalize()
                    if len(parts) > 1 and whole in found:
                        yield whole, [(part, 1) for part in parts]
