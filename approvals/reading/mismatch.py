"""Where the agent's summary and the action disagree (attack A20). Pure, and only ever a hint to look twice."""

import re
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import Any

from approvals.reading import figures

_READ = 2000
"""So many characters of a summary are compared; the expressions below are not linear."""
_MOST = 6

_LOOKING = (
    r"read|reads|view|check|look up|looks up|list|fetch|show|inspect|verify|search|open|display|preview"
)
_ACTING = (
    r"delete|remove|cancel|send|pay|transfer|refund|update|change|modify|create|add|grant|revoke|book|order|approve|"
    r"disable|enable|close|drop|purge|erase|wipe|reset|invite|share|post|publish|move|exchange|return|schedule|issue|"
    r"replace|credit|reimburse|compensate|buy|purchase|release|settle|set|assign|charge|block|unlock|extend|write"
)
_LOOKING_RE = re.compile(rf"(?<!\bof )(?<!\bthe )\b(?:{_LOOKING})(?:s|ing|ed)?\b", re.IGNORECASE)
_ACTING_RE = re.compile(rf"\b(?:{_ACTING})(?:s|es|ing|d|ed|ment|al|ation)?\b", re.IGNORECASE)
_NOTHING_RE = re.compile(
    r"\b(?:dry[ -]?run|test[ -]?run|simulat(?:e|es|ed|ion)|only a test|no changes? (?:is|are|will be)|"
    r"(?:makes?|with) no changes?|nothing (?:is|will be|gets) \w+|"
    r"without (?:actually )?(?:sending|paying|changing|deleting|removing|executing|transferring|booking)|"
    r"(?:will|does|do|is|are) not (?:be )?(?:actually )?(?:send|sent|pay|paid|changed?|deleted?|removed?|executed?|"
    r"transfer|transferred))\b",
    re.IGNORECASE,
)
_CODES = "EUR|USD|GBP|CHF|SEK|NOK|DKK|PLN|CZK|HUF|JPY|CNY|INR|AUD|CAD|NZD|SGD|HKD|ZAR|BRL|MXN|TRY|KWD|BHD"
_SIGNS = {"€": "EUR", "£": "GBP"}
_FIGURE = r"\d(?:[\d.,'\u2019\u00a0\u202f]|\s(?=\d{3}\b)){0,24}"
_MONEY_RE = re.compile(
    rf"(?P<sign>[€$£¥])\s?(?P<a>{_FIGURE})|\b(?P<code>{_CODES})\s?(?P<c>{_FIGURE})|(?P<b>{_FIGURE})\s?(?P<unit>[€$£¥]|(?:{_CODES})\b)"
)
_NAMED_RE = re.compile(
    r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+|\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,4})?\b"
)
_REFERENCE_RE = re.compile(r"\b(?P<head>[A-Za-z]{1,8}[-_/#]?)(?P<tail>\d{2,12})\b")

# What a summary plays down, and the value that says otherwise.
_OPPOSITES = (
    (
        r"staging|sandbox|test (?:environment|system|account)|development|dev environment",
        r"prod|production|live",
    ),
    (
        r"read[ -]?only|viewer|view(?:ing)? access|read access",
        r"admin|administrator|owner|root|superuser|write|editor|full",
    ),
    (r"temporary|temporarily|for (?:a|one) (?:day|week|month)", r"permanent|permanently|never|unlimited|indefinite"),
    (r"internal(?:ly)?", r"external|public|anyone|everyone"),
    (r"disabl(?:e|es|ed|ing)|turn(?:s|ed)? off|revok(?:e|es|ed|ing)", r"enable|enabled|grant"),
)  # fmt: skip
_OPPOSITES_RE = tuple(
    (re.compile(rf"\b(?:{said})\b", re.IGNORECASE), re.compile(rf"(?:{is_})", re.IGNORECASE))
    for said, is_ in _OPPOSITES
)


def hints(
    *, summary: str, action: str, amount: Decimal | None, arguments: Any, currency: str = "", about: str = ""
) -> list[str]:
    """Sentences about what the summary says and the action does not, or the other way round.

    `about` is what else the proposal names (its subject): a summary may speak of that."""
    summary = summary[:_READ]
    given = [str(text) for text in _texts(arguments)]
    found = [
        *_looking(summary, action),
        *_amounts(summary, amount, currency, given),
        *_names(summary, [*given, about]),
        *_references(summary, [*given, about]),
        *_opposites(summary, given),
    ]
    return found[:_MOST]


def _looking(summary: str, action: str) -> Iterator[str]:
    """A summary that speaks of looking, or of nothing happening, for an action that does something."""
    if not _ACTING_RE.search(action.replace("_", " ")):
        return
    if nothing := _NOTHING_RE.search(summary):
        yield f"The summary says “{nothing.group()}”; the action is “{action}” and will be carried out."
    elif _LOOKING_RE.search(summary) and not _ACTING_RE.search(summary):
        yield f"The summary only speaks of looking; the action is “{action}”."


def _amounts(summary: str, amount: Decimal | None, currency: str, given: list[str]) -> Iterator[str]:
    """Sums of money, however they are punctuated; a summary may name others as well as the right one."""
    if amount is None:
        return
    spoken = [
        (value, unit) for match in _MONEY_RE.finditer(summary) for value, unit in [_money(match)] if value
    ]
    if not spoken:
        return
    values = [value for value, _ in spoken]
    if amount not in values and abs(amount) not in values:
        named = ", ".join(figures.money(str(value)) for value in dict.fromkeys(values[:3]))
        yield f"The summary speaks of {named}; the amount is {figures.money(str(amount), currency)}."
    units = {unit for _, unit in spoken if unit}
    if currency and units and currency not in units and units.isdisjoint(given):
        yield f"The summary speaks of {', '.join(sorted(units))}; the currency is {currency}."


def _names(summary: str, given: list[str]) -> Iterator[str]:
    """E-mail addresses and account numbers that stand nowhere in the arguments."""
    known = re.sub(r"\s", "", " ".join(given)).lower()
    for name in dict.fromkeys(_NAMED_RE.findall(summary)):
        if re.sub(r"\s", "", name).lower().rstrip(".") not in known:
            yield f"The summary names {name}, which is nowhere in the arguments."


def _references(summary: str, given: list[str]) -> Iterator[str]:
    """Numbers of orders, invoices and the like: the same kind as in the arguments (`A-1001`), and another one."""
    said: dict[str, set[str]] = {}
    for match in _REFERENCE_RE.finditer(summary):
        said.setdefault(match["head"].upper(), set()).add(match["tail"])
    there: dict[str, set[str]] = {}
    for match in _REFERENCE_RE.finditer(" ".join(given)[: 8 * _READ]):
        there.setdefault(match["head"].upper(), set()).add(match["tail"])
    for head, tails in said.items():
        known = there.get(head, set())
        if known and tails.isdisjoint(known):
            yield f"The summary speaks of {head}{min(tails)}; the arguments have {head}{min(known)}."


def _opposites(summary: str, given: list[str]) -> Iterator[str]:
    for said, meant in _OPPOSITES_RE:
        match = said.search(summary)
        value = next((text for text in given if len(text) <= 40 and meant.fullmatch(text)), None)
        if match and value and not re.search(rf"\b{re.escape(value)}\b", summary, re.IGNORECASE):
            yield f"The summary says “{match.group()}”; the arguments say “{value}”."


def _money(match: re.Match[str]) -> tuple[Decimal | None, str]:
    """The amount and, where it is beyond doubt, its currency (a dollar or yen sign is many countries')."""
    figure = match["a"] or match["b"] or match["c"]
    unit = match["code"] or match["sign"] or match["unit"]
    return _read(figure), _SIGNS.get(unit, unit if unit and unit.isalpha() else "")


def _read(figure: str) -> Decimal | None:
    """A figure as people write it: the last of `.` and `,` is the decimal sign if one or two digits follow it."""
    figure = re.sub(r"[\s'\u2019\u00a0\u202f]", "", figure).rstrip(".,")
    decimal = re.search(r"[.,](\d{1,2})$", figure)
    whole = re.sub(r"[.,]", "", figure[: decimal.start()] if decimal else figure)
    try:
        return Decimal(f"{whole}.{decimal[1]}" if decimal else whole)
    except InvalidOperation:
        return None


def _texts(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    else:
        yield value
