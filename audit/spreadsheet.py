"""Events as lines of a CSV file that a spreadsheet can open without being harmed or deceived. Pure.

A cell that a spreadsheet would take for a formula gets an apostrophe before it (OWASP ASVS 1.2.10; `=`, `+`, `-`, `@`,
tab, carriage return, also behind blanks and in their wide forms), and characters that cannot be seen are written as
their code points. So a cell is for reading; the exact bytes are in the JSON lines."""

import csv
import io
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator
from datetime import UTC
from typing import Any, Protocol

FORMULA = "=+-@\t\r\n＝＋－＠"
_SELECTORS = re.compile("[\ufe00-\ufe0f]")
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
COLUMNS = (
    *("event", "leaf", "recorded_at_utc", "kind", "actor_kind", "actor_id", "actor", "on_behalf_of"),
    *("object_type", "object_id", "object_version", "policy_version", "request_id", "address", "session"),
    *("before", "after", "detail", "commitment"),
)


class Row(Protocol):
    """What is needed of an audit event."""

    pk: Any
    recorded_at: Any
    kind: str
    actor_kind: str
    actor_id: str
    object_type: str
    object_id: str
    object_version: int | None
    commitment: Any

    @property
    def data(self) -> dict[str, Any]: ...


def cell(value: Any) -> str:
    """One value as a text that stays a text."""
    text = "" if value is None else value if isinstance(value, str) else _written(value)
    begins = text.lstrip(" \u00a0\u3000")[:1]
    is_plain = text.isprintable() and not _SELECTORS.search(text)  # nearly every cell, and fast to see
    shown = text if is_plain else "".join(_shown(sign) for sign in text)
    return f"'{shown}" if begins and begins in FORMULA else shown


def _shown(sign: str) -> str:
    hidden = unicodedata.category(sign) in _HIDDEN or "\ufe00" <= sign <= "\ufe0f" or sign == "\u00a0"
    return f"<U+{ord(sign):04X}>" if hidden else sign


def _written(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")) if value not in ({}, []) else ""


def header() -> str:
    """With a byte order mark, without which Excel takes UTF-8 for something else."""
    return "\ufeff" + _lines([COLUMNS])


def lines(rows: Iterable[tuple[Row, int | None]]) -> str:
    """RFC 4180: every cell quoted, lines ended by CR LF. With each event the number of its leaf."""
    return _lines(_cells(event, leaf) for event, leaf in rows)


def _lines(rows: Iterable[Iterable[Any]]) -> str:
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\r\n").writerows(rows)
    return out.getvalue()


def _cells(event: Row, leaf: int | None) -> Iterator[str]:
    data = event.data
    source, actor = data.get("source") or {}, data.get("actor") or {}
    values = (
        *(event.pk, leaf, f"{event.recorded_at.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}", event.kind),
        *(event.actor_kind, event.actor_id, actor.get("label"), data.get("on_behalf_of")),
        *(event.object_type, event.object_id, event.object_version, data.get("policy_version")),
        *(source.get("request_id"), source.get("address"), source.get("session")),
        *(data.get("before"), data.get("after"), data.get("detail"), bytes(event.commitment).hex()),
    )
    return (cell(value) for value in values)
