"""The filters of a list, as they stand in its address. Pure.

What cannot be understood is named and left out; a name that is understood and means nothing (an agent that does not
exist) matches nothing, so that a list never shows more than was asked for without saying so."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import urlencode

from agents.autonomy import Tier

STATES = {
    "waiting": "Waiting",
    "scheduled": "May be vetoed",
    "returned": "Returned to the agent",
    "open": "All open",
}
RISKS = ("low", "medium", "high", "critical")
REASONS = {
    "rule": "A rule",
    "limit": "A limit",
    "tier": "The mandate's tier",
    "cap": "A rule capped the tier",
    "rule_error": "A rule failed",
    "amount_unreadable": "The amount cannot be read",
}
RULE = "rule:"
"""Begins the reason that names one rule."""
DUE = {"overdue": "Overdue", "soon": "Due soon"}
HELD = {"nobody": "Nobody", "me": "Me", "others": "Others"}
ASSIGNED = {"me": "Me", "others": "Somebody else", "nobody": "Nobody"}
MOST_TEXT = 200
MOST_VALUES = 50
_AGE = re.compile(r"([1-9]\d{0,3})([mhdw])\Z", re.ASCII)
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_SLUG = re.compile(r"[-\w.]{1,80}\Z")
_AMOUNT = re.compile(r"\d{1,16}(\.\d{1,2})?\Z", re.ASCII)
_Reader = Callable[[str], object]
"""Text in, value out; `ValueError` for what it cannot mean."""


@dataclass(frozen=True, slots=True)
class Filters:
    """What a list is narrowed to; the names are those of the address. Empty means everything."""

    state: str = "waiting"
    q: str = ""
    queue: tuple[str, ...] = ()
    agent: tuple[str, ...] = ()
    action: tuple[str, ...] = ()
    domain: tuple[str, ...] = ()
    risk: tuple[str, ...] = ()
    tier: tuple[str, ...] = ()
    why: tuple[str, ...] = ()
    min: Decimal | None = None
    max: Decimal | None = None
    currency: str = ""
    age: str = ""
    due: str = ""
    held: str = ""
    assigned: str = ""

    @property
    def older_than(self) -> timedelta | None:
        return age(self.age)

    @property
    def narrows(self) -> bool:
        """Whether anything but the state and the queues is chosen."""
        return replace(self, state="waiting", queue=()) != Filters()


def age(text: str) -> timedelta | None:
    """90m, 4h, 3d, 1w."""
    match = _AGE.match(text)
    return timedelta(**{_UNITS[match[2]]: int(match[1])}) if match else None


@dataclass(frozen=True, slots=True)
class Parsed:
    """The filters of an address, and what stood in it that nobody can understand, as `name=value`."""

    filters: Filters
    ignored: list[str]


def parse(values: Mapping[str, Sequence[str]]) -> Parsed:
    """Total: any mapping of names to texts gives filters. Names that are no filter are not looked at."""
    found: dict[str, object] = {}
    ignored: list[str] = []
    for field in fields(Filters):
        given = [_clean(text) for text in values.get(field.name, ())]
        given = list(dict.fromkeys(text for text in given if text))
        if not given:
            continue
        accept = _READERS[field.name]
        good = []
        for text in given[:MOST_VALUES]:
            try:
                good.append(accept(text))
            except ValueError:
                ignored.append(f"{field.name}={text}"[:80])
        ignored += [f"{field.name}=…"] if len(given) > MOST_VALUES else []
        if good:
            found[field.name] = tuple(good) if field.name in MANY else good[-1]
    return Parsed(Filters(**found), ignored)  # type: ignore[arg-type]


def query(filters: Filters) -> str:
    """The one way to write these filters in an address; empty where nothing is chosen."""
    return urlencode(_pairs(filters))


def without(filters: Filters, name: str, value: str = "") -> Filters:
    """The filters less this one; of several values only `value` goes."""
    present = getattr(filters, name)
    left: Any = tuple(one for one in present if one != value) if name in MANY else getattr(Filters(), name)
    return replace(filters, **{name: left})


def _pairs(filters: Filters) -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for field in fields(Filters):
        value = getattr(filters, field.name)
        if value == field.default:
            continue
        pairs += [(field.name, str(one)) for one in (value if field.name in MANY else (value,))]
    return pairs


def chosen(filters: Filters) -> list[tuple[str, str]]:
    """Every single choice as (name, value), for the chips above a list; the state and the words have places of their
    own."""
    return [(name, value) for name, value in _pairs(filters) if name not in ("state", "q")]


def short_reasons(reasons: Sequence[Mapping[str, str]]) -> list[str]:
    """Why a proposal went where it went, in a word or two each, without repeats; rules go by their names.

    That it was drawn for a review after the fact is not among them: who decides must not know."""
    found = []
    for reason in reasons:
        code = reason.get("code", "")
        words = _SHORT.get(code) or ("over a limit" if code.startswith("limit_") else code.replace("_", " "))
        found.append(words.format(rule=reason.get("rule", "")))
    return list(dict.fromkeys(found))


_SHORT = {
    "rule": "rule {rule}",
    "rule_error": "rule {rule} failed",
    "cap": "tier capped by {rule}",
    "tier": "by its mandate",
    "limit_currency": "other currency than its limit",
    "amount_unreadable": "amount cannot be read",
}


def _clean(text: str) -> str:
    return text.replace("\x00", "").strip()[:MOST_TEXT]


def _one_of(known: Mapping[str, str] | Sequence[str]) -> _Reader:
    def read(text: str) -> str:
        if text not in known:
            raise ValueError(text)
        return text

    return read


def _slug(text: str) -> str:
    if not _SLUG.match(text):
        raise ValueError(text)
    return text


def _why(text: str) -> str:
    if text in REASONS or (text.startswith(RULE) and len(text) > len(RULE)):
        return text
    raise ValueError(text)


def _amount(text: str) -> Decimal:
    """12 or 1,234.50; a size, so without a sign."""
    plain = text.replace(",", "").replace(" ", "")
    if not _AMOUNT.match(plain):
        raise ValueError(text)
    try:
        return Decimal(plain)
    except InvalidOperation as error:
        raise ValueError(text) from error


def _age(text: str) -> str:
    if not _AGE.match(text):
        raise ValueError(text)
    return text


def _holder(text: str) -> str:
    if text in HELD or re.fullmatch(r"[1-9]\d{0,17}", text, re.ASCII):
        return text
    raise ValueError(text)


def _currency(text: str) -> str:
    if not re.fullmatch(r"[A-Z]{3}", text.upper()):
        raise ValueError(text)
    return text.upper()


_READERS: Mapping[str, _Reader] = {
    "state": _one_of(STATES),
    "q": str,
    "queue": _slug,
    "agent": _slug,
    "action": _slug,
    "domain": _slug,
    "risk": _one_of(RISKS),
    "tier": _one_of([str(tier) for tier in Tier]),
    "why": _why,
    "min": _amount,
    "max": _amount,
    "currency": _currency,
    "age": _age,
    "due": _one_of(DUE),
    "held": _holder,
    "assigned": _one_of(ASSIGNED),
}
MANY = frozenset({"queue", "agent", "action", "domain", "risk", "tier", "why"})
"""The filters that may hold several values: any of them matches."""
