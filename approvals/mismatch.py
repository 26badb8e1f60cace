"""Where the agent's summary and the action disagree (attack A20). Pure, and only ever a hint to look twice."""

import re
from decimal import Decimal, InvalidOperation
from typing import Any

_READ = 2000
"""So many characters of a summary are compared; the expressions below are not linear."""

_LOOKING = (
    r"read|reads|view|check|look up|looks up|list|fetch|show|inspect|verify|search|open|display|preview"
)
_ACTING = (
    r"delete|remove|cancel|send|pay|transfer|refund|update|change|modify|create|add|grant|revoke|book|order|approve|"
    r"disable|enable|close|drop|purge|erase|wipe|reset|invite|share|post|publish|move|exchange|return|schedule|issue|"
    r"replace|credit|reimburse|compensate|buy|purchase|release|settle|set|assign|charge|block|unlock|extend|write"
)
_LOOKING_RE = re.compile(rf"\b(?:{_LOOKING})(?:s|ing|ed)?\b", re.IGNORECASE)
_ACTING_RE = re.compile(rf"\b(?:{_ACTING})(?:s|es|ing|d|ed|ment|al|ation)?\b", re.IGNORECASE)
_MONEY_RE = re.compile(
    r"(?:[€$£¥]\s?(?P<a>\d[\d,]*(?:\.\d+)?))|(?:(?P<b>\d[\d,]*(?:\.\d+)?)\s?(?:[€£]|EUR|USD|GBP|CHF|SEK|NOK|DKK|PLN)\b)"
)
_NAMED_RE = re.compile(
    r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+|\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,4})?\b"
)


def hints(*, summary: str, action: str, amount: Decimal | None, arguments: Any) -> list[str]:
    """Sentences about what the summary says and the action does not, or the other way round."""
    summary = summary[:_READ]
    found = []
    verb = _ACTING_RE.search(action.replace("_", " "))
    if verb and _LOOKING_RE.search(summary) and not _ACTING_RE.search(summary):
        found.append(f"The summary only speaks of looking; the action is “{action}”.")
    spoken = [value for value in map(_money, _MONEY_RE.finditer(summary)) if value is not None]
    if amount is not None and spoken and amount not in spoken:
        found.append(
            f"The summary speaks of {', '.join(f'{value:,}' for value in spoken[:3])}; the amount is {amount:,}."
        )
    given = re.sub(r"\s", "", " ".join(_texts(arguments))).lower()
    for name in dict.fromkeys(_NAMED_RE.findall(summary)):
        if re.sub(r"\s", "", name).lower() not in given:
            found.append(f"The summary names {name}, which is nowhere in the arguments.")
    return found[:6]


def _money(match: re.Match[str]) -> Decimal | None:
    try:
        return Decimal((match["a"] or match["b"]).replace(",", ""))
    except InvalidOperation:
        return None


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for item in value.values() for text in _texts(item)]
    if isinstance(value, list):
        return [text for item in value for text in _texts(item)]
    return [str(value)]
