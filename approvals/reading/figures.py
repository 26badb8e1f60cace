"""Numbers, money and days as a person reads them, straight from their spelling, never through a float. Pure.

Thousands are parted by a narrow no-break space (U+202F), as the SI brochure and ISO 80000-1 do: a comma or a point
would be a decimal sign to half of the readers."""

import re
from datetime import date, datetime, timedelta, tzinfo
from decimal import Decimal, InvalidOperation

SPACE = "\u202f"
_DIGITS = 18
_PLACES = 12

# Currencies with another number of decimals than two (ISO 4217, column "minor unit").
_NO_DECIMALS = frozenset(
    {"BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV"}
    | {"XAF", "XOF", "XPF"}
)
_THREE_DECIMALS = frozenset({"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"})
_FOUR_DECIMALS = frozenset({"CLF", "UYW"})

_PLAIN = re.compile(r"-?[0-9]{1,40}(?:\.[0-9]{1,40})?(?:[eE][+-]?[0-9]{1,3})?")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MOMENT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?(?:[Zz]|[+-][0-9]{2}:?[0-9]{2})?"
)


def number(spelled: str) -> Decimal | None:
    """The exact value of a number's spelling, or None for what every reader would not take for the same number."""
    if not _PLAIN.fullmatch(spelled):
        return None
    try:
        value = Decimal(spelled)
    except InvalidOperation:
        return None
    return value if value.is_finite() and abs(value) < Decimal(10) ** _DIGITS else None


def minor_units(currency: str) -> int:
    """How many decimals an amount of this currency has at least when it is written out."""
    if currency in _NO_DECIMALS:
        return 0
    if currency in _THREE_DECIMALS:
        return 3
    return 4 if currency in _FOUR_DECIMALS else 2


def money(spelled: str, currency: str = "") -> str:
    """An amount with its currency's decimals and parted thousands; further decimals are kept, never rounded.

    What is not a plain number below 10^18 stays as it is spelled."""
    value = number(spelled)
    if value is None:
        return spelled
    exponent = value.normalize().as_tuple().exponent
    given = max(0, -exponent) if isinstance(exponent, int) else 0
    if given > _PLACES:
        return spelled
    return f"{value:,.{max(minor_units(currency), given)}f}".replace(",", SPACE)


def magnitude(spelled: str) -> str:
    """Large amounts once more in words, so that a digit too many is noticed: `1.25 million`; empty below a million."""
    value = number(spelled)
    if value is None or abs(value) < 1_000_000:
        return ""
    size, word = (Decimal(10) ** 9, "billion") if abs(value) >= 10**9 else (Decimal(10) ** 6, "million")
    short = f"{value / size:,.2f}".rstrip("0").rstrip(".").replace(",", SPACE)
    return f"{'' if Decimal(short.replace(SPACE, '')) * size == value else 'about '}{short} {word}"


def day(text: str, now: datetime) -> str | None:
    """`2026-11-30` as a weekday with its distance from today; None where it is no day."""
    if not _DAY.fullmatch(text):
        return None
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return None
    return f"{found:%A}, {found.day} {found:%B %Y}, {_days((found - now.date()).days)}"


def moment(text: str, now: datetime) -> str | None:
    """A date and time on the reader's clock (that of `now`) with its distance; None where it is none.

    One without an offset says so: nobody knows which clock it means."""
    if not _MOMENT.fullmatch(text):
        return None
    try:
        found = datetime.fromisoformat(text.upper())
    except ValueError:
        return None
    if found.tzinfo is None:
        return f"{found:%A}, {found.day} {found:%B %Y}, {found:%H:%M}, no time zone given"
    try:
        local = found.astimezone(now.tzinfo)
    except OverflowError:
        return None
    clock = f"{local:%H:%M} {zone_name(local.tzinfo, local)}"
    return f"{local:%A}, {local.day} {local:%B %Y}, {clock}, {distance(local, now)}"


def zone_name(zone: tzinfo | None, at: datetime) -> str:
    """`CET`, or `UTC+03` for zones whose abbreviation is but an offset."""
    name = at.replace(tzinfo=zone).strftime("%Z")
    return f"UTC{name}" if name[:1] in "+-" else name


def distance(then: datetime, now: datetime) -> str:
    """How far away a moment is: minutes and hours on the same day, days beyond."""
    apart = then - now
    if abs(apart) >= timedelta(days=1):
        return _days((then.date() - now.date()).days)
    minutes = int(abs(apart).total_seconds() // 60)
    words = f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
    return f"in {words}" if apart > timedelta(0) else f"{words} ago"


def _days(count: int) -> str:
    near = {0: "today", 1: "tomorrow", -1: "yesterday"}
    if count in near:
        return near[count]
    size = abs(count)
    words = f"{size} days" if size < 100 else f"{size // 30} months" if size < 730 else f"{size // 365} years"
    return f"in {words}" if count > 0 else f"{words} ago"
