"""What an edit changes, argument by argument: rows that came, went or moved, and the very characters in a text. Pure.

Read off the two documents alone, never off what a form says was done."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import Any, Literal

from approvals.editing.node import below
from approvals.editing.schema import extra_part, part_of
from approvals.reading.sheet import Number, ordered

SHORT = 120
"""Up to so many characters a text is shown whole on both sides."""
CONTEXT = 60
MOST_WORDS = 40
"""So many words in a row, one for one, are looked into; a longer stretch was written anew."""
_MOST_PAIRS = 300_000
"""Pairs of equal pieces up to which two sequences are compared piece by piece; beyond, the whole is old and new."""
_TOKEN = re.compile(r"\S+\s*|\s+")


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of text: `same`, `gone`, `new`, or `skip`, whose text is how many characters are left out."""

    kind: Literal["same", "gone", "new", "skip"]
    text: str


@dataclass(frozen=True, slots=True)
class Line:
    """One argument that differs. `before` and `after` for short values, `merged` for long texts."""

    label: str
    pointer: str
    verb: Literal["changed", "added", "removed", "moved"]
    material: bool = False
    before: list[Span] = field(default_factory=list)
    after: list[Span] = field(default_factory=list)
    merged: list[Span] = field(default_factory=list)
    note: str = ""
    unit: str = ""


def lines(schema: dict[str, Any], before: Any, after: Any, *, material: list[str]) -> list[Line]:
    """All differences; both sides as `sheet.parse` gives them, numbers as they are spelled. Material ones first."""
    found = list(_Reader(schema, frozenset(material)).values(schema, before, after, "", []))
    return sorted(found, key=lambda line: not line.material)


class _Reader:
    def __init__(self, root: dict[str, Any], material: frozenset[str]) -> None:
        self.root = root
        self.material = material

    def values(self, schema: Any, old: Any, new: Any, pointer: str, trail: list[str]) -> Iterator[Line]:
        if _plain(old) == _plain(new):
            return
        part = part_of(self.root, schema)
        if isinstance(old, dict) and isinstance(new, dict):
            yield from self.members(part, old, new, pointer, trail)
        elif isinstance(old, list) and isinstance(new, list):
            yield from self.rows(part, old, new, pointer, trail)
        else:
            yield self.line("changed", pointer, trail, old, new)

    def members(
        self, part: dict[str, Any], old: dict[str, Any], new: dict[str, Any], pointer: str, trail: list[str]
    ) -> Iterator[Line]:
        properties = self.properties(part)
        names = [*ordered(part, pointer, self.material), *properties, *old, *new]
        for name in dict.fromkeys(names):
            at, label = below(pointer, name), [*trail, self.label(properties.get(name), name)]
            if name in old and name in new:
                inner = properties.get(name, extra_part(part))
                yield from self.values(inner, old[name], new[name], at, label)
            elif name in new:
                yield self.line("added", at, label, None, new[name])
            elif name in old:
                yield self.line("removed", at, label, old[name], None)

    def properties(self, part: dict[str, Any]) -> dict[str, Any]:
        """Members of all branches too: for labels it does not matter which one holds."""
        found: dict[str, Any] = {}
        for branch in [*part.get("oneOf", []), *part.get("anyOf", [])]:
            found |= part_of(self.root, branch, depth=1).get("properties", {})
        found |= part.get("properties", {})
        return found

    def label(self, schema: Any, name: str) -> str:
        title = part_of(self.root, schema).get("title") if schema is not None else None
        known = name.replace("_", " ").strip().capitalize() if schema is not None else name
        return str(title or known or name)

    def rows(
        self, part: dict[str, Any], old: list[Any], new: list[Any], pointer: str, trail: list[str]
    ) -> Iterator[Line]:
        """Rows aligned by what they hold; a row that is whole elsewhere was moved."""
        old_keys, new_keys = [_plain(one) for one in old], [_plain(one) for one in new]
        gone: list[int] = []
        come: list[int] = []
        pairs: list[tuple[int, int]] = []
        for tag, a, b, c, d in _opcodes(old_keys, new_keys):
            if tag == "equal":
                continue
            kept = min(b - a, d - c)
            pairs += zip(range(a, a + kept), range(c, c + kept), strict=True)
            gone += range(a + kept, b)
            come += range(c + kept, d)
        moved, pairs, gone, come = _moves(old_keys, new_keys, pairs, gone, come)
        title = part_of(self.root, part.get("items", {})).get("title")
        above, name = trail[:-1], str(title or (trail[-1] if trail else "Row"))
        for was, now in pairs:
            row = [*above, f"{name} {now + 1}"]
            yield from self.values(part.get("items"), old[was], new[now], f"{pointer}/{now}", row)
        for was, now in moved:
            row = [*above, f"{name} {now + 1}"]
            note = f"from place {was + 1} to place {now + 1}"
            yield self.line("moved", f"{pointer}/{now}", row, None, new[now], note=note)
        for was in gone:
            row = [*above, f"{name} {was + 1}"]
            yield self.line("removed", f"{pointer}/{was}", row, old[was], None)
        for place in come:
            row = [*above, f"{name} {place + 1}"]
            yield self.line("added", f"{pointer}/{place}", row, None, new[place])

    def line(
        self,
        verb: Literal["changed", "added", "removed", "moved"],
        pointer: str,
        trail: list[str],
        old: Any,
        new: Any,
        note: str = "",
    ) -> Line:
        material = any(
            pointer == one or pointer.startswith(one + "/") or one.startswith(pointer + "/")
            for one in self.material
        )
        label = " › ".join(trail) or "Arguments"
        if verb == "removed":
            return Line(label, pointer, verb, material, before=_whole("gone", text_of(old)))
        if verb in ("added", "moved"):
            kind: Literal["new", "same"] = "new" if verb == "added" else "same"
            return Line(label, pointer, verb, material, after=_whole(kind, text_of(new)), note=note)
        was, now = text_of(old), text_of(new)
        if was == now:
            was, now = f"{was} ({_type(old)})", f"{now} ({_type(new)})"
        merged = spans(was, now)
        if max(len(was), len(now)) > SHORT or "\n" in was + now:
            return Line(label, pointer, verb, material, merged=_shortened(merged))
        before = [span for span in merged if span.kind != "new"]
        after = [span for span in merged if span.kind != "gone"]
        return Line(label, pointer, verb, material, before=before, after=after)


def _moves(
    old: list[str], new: list[str], pairs: list[tuple[int, int]], gone: list[int], come: list[int]
) -> tuple[list[tuple[int, int]], list[tuple[int, int]], list[int], list[int]]:
    """Rows that left one place and stand whole at another; a pair of which one half moved comes apart."""
    left = [was for was, _ in pairs] + gone
    arrived = [now for _, now in pairs] + come
    moved: list[tuple[int, int]] = []
    places: dict[str, list[int]] = {}
    for was in left:
        places.setdefault(old[was], []).append(was)
    for place in arrived:
        if places.get(new[place]):
            moved.append((places[new[place]].pop(0), place))
    from_, to = {was for was, _ in moved}, {now for _, now in moved}
    whole = [(was, now) for was, now in pairs if was not in from_ and now not in to]
    halves = [(was, now) for was, now in pairs if was in from_ or now in to]
    gone = [was for was in gone if was not in from_] + [was for was, _ in halves if was not in from_]
    come = [place for place in come if place not in to] + [place for _, place in halves if place not in to]
    rest = min(len(gone), len(come))
    gone, come = sorted(gone), sorted(come)
    return moved, whole + list(zip(gone[:rest], come[:rest], strict=True)), gone[rest:], come[rest:]


def _plain(value: Any) -> str:
    """A value as one text to compare by; a number and the text of its digits differ."""
    return json.dumps(_typed(value), ensure_ascii=False, sort_keys=True)


def _typed(value: Any) -> Any:
    if isinstance(value, Number):
        return {"number": str(value)}
    if isinstance(value, dict):
        return {"object": {name: _typed(inner) for name, inner in value.items()}}
    return [_typed(inner) for inner in value] if isinstance(value, list) else value


def text_of(value: Any) -> str:
    """A value in words: a part of several members as lines of name and value."""
    match value:
        case bool():
            return "yes" if value else "no"
        case None:
            return "nothing (null)"
        case dict():
            inner = [f"{name}: {_indented(text_of(one))}" for name, one in value.items()]
            return "\n".join(inner) or "(empty group)"
        case list():
            inner = [f"{index}. {_indented(text_of(one))}" for index, one in enumerate(value, 1)]
            return "\n".join(inner) or "(empty list)"
        case _:
            return str(value) or "(empty text)"


def _indented(text: str) -> str:
    return text if "\n" not in text else "\n  " + text.replace("\n", "\n  ")


def _type(value: Any) -> str:
    if isinstance(value, Number):
        return "number"
    names: dict[type, str] = {bool: "yes or no", str: "text", dict: "group", list: "list"}
    return names.get(type(value), "null")


def _whole(kind: Literal["gone", "new", "same"], text: str) -> list[Span]:
    return [Span(kind, text)]


# Inside a text


def spans(before: str, after: str) -> list[Span]:
    """Both texts in one row of spans: words first, then characters inside a word that was replaced by another.

    A word is only taken apart where nothing in it could pass for something else: plain ASCII and no address. Of others
    a page could not say any more what they hide, seeing only a piece of them."""
    old, new = _TOKEN.findall(before), _TOKEN.findall(after)
    found: list[Span] = []
    for tag, a, b, c, d in _opcodes(old, new):
        if tag == "equal":
            found.append(Span("same", "".join(old[a:b])))
        elif b - a == d - c <= MOST_WORDS:
            for was, now in zip(old[a:b], new[c:d], strict=True):
                found += _inside(was, now)
        else:
            found += [Span("gone", "".join(old[a:b])), Span("new", "".join(new[c:d]))]
    return _joined(found)


def _inside(was: str, now: str) -> list[Span]:
    if was == now:
        return [Span("same", was)]
    apart = [Span("gone", was), Span("new", now)]
    if not _is_harmless(was) or not _is_harmless(now) or len(was) * len(now) > 10_000:
        return apart
    found: list[Span] = []
    same = 0
    for tag, a, b, c, d in _opcodes(list(was), list(now)):
        if tag == "equal":
            same += b - a
            found.append(Span("same", was[a:b]))
        else:
            found += [Span("gone", was[a:b]), Span("new", now[c:d])]
    return found if 2 * same >= max(len(was), len(now)) else apart


def _is_harmless(word: str) -> bool:
    return word.isascii() and word.isprintable() and not re.search(r"[@:/\\]|www\.", word, re.IGNORECASE)


def _opcodes(old: list[str], new: list[str]) -> Iterator[tuple[str, int, int, int, int]]:
    """As `SequenceMatcher.get_opcodes`; the common ends are cut off first, and too much in between is one piece."""
    start = 0
    while start < min(len(old), len(new)) and old[start] == new[start]:
        start += 1
    end = 0
    while end < min(len(old), len(new)) - start and old[-1 - end] == new[-1 - end]:
        end += 1
    if start:
        yield "equal", 0, start, 0, start
    a, c = old[start : len(old) - end], new[start : len(new) - end]
    here = Counter(c)
    if sum(number * here[piece] for piece, number in Counter(a).items()) > _MOST_PAIRS:
        yield "replace", start, len(old) - end, start, len(new) - end
    else:
        for tag, i, j, k, m in SequenceMatcher(None, a, c, autojunk=False).get_opcodes():
            yield tag, start + i, start + j, start + k, start + m
    if end:
        yield "equal", len(old) - end, len(old), len(new) - end, len(new)


def _joined(found: list[Span]) -> list[Span]:
    """Neighbours of one kind together, nothing empty; what goes stands before what comes in its place."""
    result: list[Span] = []
    pending: dict[str, str] = {"gone": "", "new": ""}

    def flush() -> None:
        result.extend(Span(kind, pending[kind]) for kind in ("gone", "new") if pending[kind])
        pending.update(gone="", new="")

    for span in found:
        if span.kind != "same":
            pending[span.kind] += span.text
        elif span.text:
            flush()
            if result and result[-1].kind == "same":
                result[-1] = Span("same", result[-1].text + span.text)
            else:
                result.append(span)
    flush()
    return result


def _shortened(found: list[Span]) -> list[Span]:
    """Long stretches that stayed are left out but for their ends, cut between words."""
    result: list[Span] = []
    for index, span in enumerate(found):
        if span.kind != "same" or len(span.text) <= 3 * CONTEXT:
            result.append(span)
            continue
        words = _TOKEN.findall(span.text)
        head = _first(words, CONTEXT) if index else ""
        tail = _first(words[::-1], CONTEXT, backwards=True) if index < len(found) - 1 else ""
        skipped = len(span.text) - len(head) - len(tail)
        parts = [Span("same", head), Span("skip", f"{skipped:,}"), Span("same", tail)]
        result += [part for part in parts if part.text]
    return result


def _first(words: list[str], most: int, *, backwards: bool = False) -> str:
    taken: list[str] = []
    for word in words:
        if sum(map(len, taken)) + len(word) > most:
            break
        taken.append(word)
    return "".join(taken[::-1] if backwards else taken)
