"""Between a value and the text of its control, both ways. Pure.

What a browser does to text on its way (line ends, times without seconds) must not count as a change: `same` says
whether a control still holds what it showed."""

import json
import re
from collections import Counter
from datetime import UTC, date, datetime, tzinfo
from decimal import Decimal, InvalidOperation
from difflib import SequenceMatcher
from typing import Any

from agents import strict_json
from approvals.editing import schema as edit_schema
from approvals.editing.schema import ABSENT

_MOST_LINE_PAIRS = 1_000_000
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?\Z", re.ASCII)
_LOCAL = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?\Z", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d\Z", re.ASCII)


class Unreadable(ValueError):
    """What was typed is no value of this kind; the message says what to type."""


def shown(kind: str, value: Any, zone: tzinfo) -> str:
    """The text a control shows for a value; nothing for what is not there."""
    if value is ABSENT or (value is None and kind in ("text", "lines", "number", "moment")):
        return ""
    match kind:
        case "choice":
            return edit_schema.key(value)
        case "number":
            return edit_schema.key(value)
        case "json" | "fixed":
            if kind == "fixed" and isinstance(value, str):
                return value
            nested = isinstance(value, dict | list)
            return json.dumps(value, ensure_ascii=False, indent=2) if nested else edit_schema.key(value)
        case "moment":
            return _local_text(str(value), zone)
    return str(value)


def same(kind: str, before: str, sent: str) -> bool:
    """Whether the text that came back is the one that was shown."""
    if _lines(before) == _lines(sent):
        return True
    if kind == "moment" and _LOCAL.match(before) and _LOCAL.match(sent):
        return datetime.fromisoformat(before) == datetime.fromisoformat(sent)
    return False


def _lines(text: str) -> str:
    """A browser makes every line end CR LF, also a lone CR."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def typed(text: str) -> str:
    """Text as it was typed: line ends are LF, whatever the form made of them."""
    return _lines(text)


def with_line_ends_of(before: Any, text: str) -> str:
    """Typed text with the line ends the agent's had: lines that stayed keep theirs, new ones get the usual one."""
    if not isinstance(before, str) or "\r" not in before:
        return text
    old = re.findall(r"([^\r\n]*)(\r\n|\r|\n|\Z)", before)
    lines = text.split("\n")
    usual = Counter(end for _, end in old if end).most_common(1)[0][0]
    ends = [usual] * len(lines)
    if len(old) * len(lines) <= _MOST_LINE_PAIRS:
        matcher = SequenceMatcher(None, [line for line, _ in old], lines, autojunk=False)
        for was, now, length in matcher.get_matching_blocks():
            for step in range(length):
                ends[now + step] = old[was + step][1] or usual
    ends[-1] = ""
    return "".join(line + end for line, end in zip(lines, ends, strict=True))


def number(text: str) -> Any:
    """The number typed, exactly. Raises `Unreadable` where a reader of JSON would see other digits."""
    text = text.strip()
    if not _NUMBER.match(text):
        raise Unreadable("Write a number with digits and a point only, like 1240.50.")
    value = from_json(text)
    try:
        exact = Decimal(text) == Decimal(edit_schema.key(value))
    except InvalidOperation:
        exact = False
    if not exact:
        raise Unreadable("The number has more digits than can be kept exactly. Shorten it.")
    return value


def from_json(text: str) -> Any:
    """The JSON typed, under the same strict rules as an agent's. Raises `Unreadable`."""
    try:
        return strict_json.loads(text.encode())
    except ValueError as error:
        raise Unreadable(f"Not acceptable JSON: {error}.") from error


def chosen(part: dict[str, Any], before: Any, key: str) -> Any:
    """The option whose control carries this key; `ABSENT` where there is none."""
    offered = [*edit_schema.options(part), *([] if before is ABSENT else [before])]
    wanted = _canonical_key(key)
    return next((option for option in offered if edit_schema.key(option) == wanted), ABSENT)


def _canonical_key(key: str) -> str:
    try:
        return edit_schema.key(strict_json.loads(key.encode()))
    except ValueError:
        return key


# Dates and times


def input_type(part: dict[str, Any], kind: str, text: str) -> str:
    """The control of a text. Pickers only where they hold the text unchanged: else a browser would empty it."""
    if kind == "moment" and (not text or _is_local(text)):
        return "datetime-local"
    if kind == "text" and part.get("format") == "date" and (not text or _is_date(text)):
        return "date"
    return "text"


def _is_date(text: str) -> bool:
    try:
        return bool(_DATE.match(text)) and date.fromisoformat(text).year > 0
    except ValueError:
        return False


def _is_local(text: str) -> bool:
    try:
        return bool(_LOCAL.match(text)) and datetime.fromisoformat(text).year > 0
    except ValueError:
        return False


def _moment(text: str) -> datetime | None:
    """An RFC 3339 moment, or None."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


def _local_text(text: str, zone: tzinfo) -> str:
    """A moment on the reader's clock to the second, or the text itself where it is none."""
    found = _moment(text)
    if found is None:
        return text
    try:
        local = found.astimezone(zone).replace(tzinfo=None, microsecond=0)
    except OverflowError:
        return text
    return local.isoformat(timespec="seconds" if local.second else "minutes") if local.year >= 1000 else text


def moment(text: str, before: Any, zone: tzinfo) -> str:
    """The moment typed, in RFC 3339 with the offset the agent used (UTC where it used none). Raises `Unreadable`.

    A full RFC 3339 text is taken as it is."""
    text = text.strip()
    if not _is_local(text):
        return text
    first, second = (datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    if first.utcoffset() != second.utcoffset():
        if first.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != first.replace(tzinfo=None):
            raise Unreadable(f"The clocks in {zone} jump over this time. Choose another.")
        raise Unreadable(
            f"The clocks in {zone} show this time twice. Write {first.isoformat()} or {second.isoformat()}."
        )
    earlier = _moment(before) if isinstance(before, str) else None
    offset = earlier.tzinfo if earlier is not None else UTC
    try:
        return first.astimezone(offset).isoformat().replace("+00:00", "Z")
    except OverflowError as error:
        raise Unreadable("Choose a year between 1 and 9999.") from error


def exactly(kind: str, value: Any, zone: tzinfo) -> str:
    """What the agent wrote, where the control shows it in another form: a time on the reader's clock."""
    if kind != "moment" or not isinstance(value, str):
        return ""
    return "" if _local_text(value, zone) == value else value
