"""What an agent's text really consists of, so that a page can show all of it. Pure.

`runs` cuts a text into pieces for display. Nothing is dropped and the order is the logical one: characters that have no
look of their own, change the direction of writing or pass for others become pieces that say what they are. Folded blank
lines are the only thing not shown at once, and approval waits until they have been opened (attack A12)."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

Kind = Literal["text", "char", "danger", "fold", "gap"]
Mark = Literal["", "mixed", "url", "mail", "host", "scheme"]

FOLD_LINES = 4
"""From so many line ends with nothing between them, the blank lines are folded."""
GAP = 24
"""From so many spaces in a row, their number is shown instead of them."""
MARKS_IN_A_ROW = 3
"""Combining marks beyond so many on one letter become chips: they would run into the lines above."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of one kind; `char` and `danger` carry the code point as text, `fold` and `gap` the count."""

    kind: Kind
    text: str
    title: str = ""


@dataclass(frozen=True, slots=True)
class Run:
    """Pieces that belong together: plain text, a word of mixed scripts, a part of an address. `note` says why."""

    mark: Mark
    pieces: tuple[Piece, ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Findings:
    """What a whole value contains that a quick eye would miss.

    `benign` of the `hidden` ones belong to ordinary typography (no-break spaces, the parts of an emoji): shown, and no
    cause for alarm. `disguised` hosts hide behind an @ or in punycode."""

    hidden: int = 0
    direction: int = 0
    mixed: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    folds: int = 0
    benign: int = 0
    disguised: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.hidden or self.direction or self.mixed or self.folds)

    def __add__(self, other: "Findings") -> "Findings":
        return Findings(
            self.hidden + other.hidden,
            self.direction + other.direction,
            tuple(dict.fromkeys(self.mixed + other.mixed)),
            tuple(dict.fromkeys(self.hosts + other.hosts)),
            self.folds + other.folds,
            self.benign + other.benign,
            tuple(dict.fromkeys(self.disguised + other.disguised)),
        )


_DIRECTION = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_BLANK_LETTERS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180e\u180f\u2800\u3164\uffa0")
_SHOWN_AS_CODE = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp", "Zs"})
_CONTROL_NAMES = {
    0x1B: "ESCAPE",
    0x08: "BACKSPACE",
    0x07: "BELL",
    0x0D: "CARRIAGE RETURN",
    0x7F: "DELETE",
    0x00: "NULL",
}

# Letters of other scripts that are drawn like Latin ones (the common ones of Unicode's confusables).
_LIKE_LATIN = frozenset(
    "асԁеһіјӏорԛѕԝхуѵгѡАВСЕНІЈКМОРЅТХУԌԚԜ"  # Cyrillic
    "ανορυιτκηγχΑΒΕΖΗΙΚΜΝΟΡΤΥΧ"  # Greek
    "օսոհցքյԼՏՕ"  # Armenian
)
_EAST_ASIAN = frozenset({"HAN", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO", "LATIN"})
_SCRIPT_WORDS = {"CJK": "HAN", "KATAKANA-HIRAGANA": "KATAKANA", "IDEOGRAPHIC": "HAN", "HALFWIDTH": "KATAKANA"}

_BLANK = r"[ \t\r\x0b\x0c\xa0\xad\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f-\u2069\u2800\u3000\u3164\ufeff]"
"""What can stand on a line that still looks empty."""

# Every alternative is possessive or bounded: the time is linear in the length of what an agent sends.
_TOKEN = re.compile(
    rf"(?P<fold>(?<!{_BLANK})(?:{_BLANK}*+\n){{{FOLD_LINES},}}+{_BLANK}*+)"
    rf"|(?P<gap>[ \t]{{{GAP},}}+)"
    r"|(?P<url>(?:[A-Za-z][A-Za-z0-9+.\-]{0,20}:[/\\]{1,3}|\b(?i:www)\.)[^\s<>\"']++)"
    r"|(?P<mail>(?<![^\s<>\"'(),:;\[\]])[^\s<>\"'(),:;\[\]@]{1,64}@[^\s<>\"'(),:;\[\]@/\\]{1,253}(?<![.!?]))"
    r"|(?P<scheme>\b(?i:javascript|data|vbscript|file|blob)[ \t]{0,3}:(?=\S))"
    r"|(?P<word>(?<![A-Za-z0-9._\-])[A-Za-z0-9._\-]*+[^\x00-\x7f\s](?:[A-Za-z0-9._\-]|[^\x00-\x7f\s])*+)"
    r"|(?P<control>(?:[\x00-\x08\x0b-\x1f\x7f]|[^\x00-\x7f])++)"
)


def runs(text: str) -> tuple[Run, ...]:
    """Cut a text into runs for display; joined, their pieces account for every character of it."""
    return tuple(_runs(text.replace("\r\n", "\n")))


def _runs(text: str) -> Iterator[Run]:
    end = 0
    for match in _TOKEN.finditer(text):
        if match.start() > end:
            yield Run("", (Piece("text", text[end : match.start()]),))
        end = match.end()
        found = match.group()
        match match.lastgroup:
            case "fold":
                yield Run("", (Piece("fold", str(found.count("\n") - 1)),))
            case "gap":
                yield Run("", (Piece("gap", str(len(found))),))
            case "url":
                yield from _url(found)
            case "mail":
                yield from _mail(found)
            case "scheme":
                yield Run("scheme", _pieces(found), "an address that a browser would run or open; inert here")
            case "word":
                yield _word(found)
            case _:
                yield Run("", _pieces(found))
    if end < len(text):
        yield Run("", (Piece("text", text[end:]),))


def _word(word: str) -> Run:
    note = _script_note(word)
    return Run("mixed" if note else "", _pieces(word), note)


def _url(address: str) -> Iterator[Run]:
    """An address in parts, as a browser would read it: a backslash is a slash, the host is what follows the last @."""
    head = re.match(r"(?:[A-Za-z][A-Za-z0-9+.\-]*:[/\\]+)?", address)
    start = head.end() if head else 0
    rest = re.split(r"[/\\?#]", address[start:], maxsplit=1)[0]
    host_start = start + rest.rfind("@") + 1
    host = rest[rest.rfind("@") + 1 :]
    name = re.sub(r":\d*$", "", host)
    yield Run("url", _pieces(address[:host_start]), "")
    yield Run("host", _pieces(host), host_note(name, disguised="@" in rest))
    if address[host_start + len(host) :]:
        yield Run("url", _pieces(address[host_start + len(host) :]), "")


def _mail(address: str) -> Iterator[Run]:
    """An e-mail address: its domain says who receives it."""
    name, _, domain = address.rpartition("@")
    yield Run("mixed" if (note := _script_note(name)) else "", _pieces(name), note)
    yield Run("mail", (Piece("text", "@"),))
    yield Run("host", _pieces(domain), host_note(domain))


_NUMERIC_HOST = re.compile(
    r"\[?[0-9a-f:]*:[0-9a-f:.]+\]?|(?:0x[0-9a-f]+|[0-9]+)(?:\.(?:0x[0-9a-f]+|[0-9]+)){0,3}", re.I
)


def host_note(name: str, *, disguised: bool = False) -> str:
    """What has to be known of a host: its ASCII form when it has another, that it is a bare number, and that what
    stands before an @ is not it."""
    notes = []
    if _NUMERIC_HOST.fullmatch(name):
        notes.append("a bare address, no name")
    if not name.isascii():
        notes.append(punycode(name))
    elif "xn--" in name.lower():
        notes.append(f"reads {_unpunycode(name)}")
    if disguised:
        notes.append(f"the host is {name}, not what stands before the @")
    return "; ".join(notes)


def punycode(name: str) -> str:
    """A host name as the network spells it (`xn--…`), label by label."""
    return ".".join(
        label
        if label.isascii()
        else "xn--" + unicodedata.normalize("NFKC", label).lower().encode("punycode").decode()
        for label in name.split(".")
    )


def _unpunycode(name: str) -> str:
    labels = []
    for label in name.split("."):
        try:
            labels.append(
                label[4:].encode().decode("punycode") if label.lower().startswith("xn--") else label
            )
        except UnicodeError:
            labels.append(label)
    return ".".join(labels)


def _script_note(word: str) -> str:
    """Why a word is suspicious, or nothing: letters of several scripts, or foreign letters that pass for Latin ones."""
    letters = [character for character in word if unicodedata.category(character)[0] == "L"]
    scripts = {name for name in map(script, letters) if name}
    if "STYLED" in scripts:
        plain = unicodedata.normalize("NFKC", word)
        return f"styled letters, not “{plain}”"
    if len(scripts) > 1 and not scripts <= _EAST_ASIAN:
        return " + ".join(sorted(name.capitalize() for name in scripts))
    foreign = [letter for letter in letters if not letter.isascii()]
    if (
        len(foreign) > 2
        and scripts
        and "LATIN" not in scripts
        and all(letter in _LIKE_LATIN for letter in foreign)
    ):
        return f"{next(iter(scripts)).capitalize()} letters that look Latin"
    return ""


@lru_cache(maxsize=4096)
def script(character: str) -> str:
    """The script of a letter by its Unicode name; STYLED for variants of plain letters, empty for none."""
    if character.isascii():
        return "LATIN" if character.isalpha() else ""
    if unicodedata.category(character)[0] != "L" or character in "ªºµ":
        return ""
    name = unicodedata.name(character, "")
    plain = unicodedata.normalize("NFKC", character)
    if plain != character and plain.isascii() and not name.startswith("LATIN"):
        return "STYLED"
    first = name.split(" ")[0]
    return _SCRIPT_WORDS.get(first, first)


def _pieces(text: str) -> tuple[Piece, ...]:
    """Text with every character that could not be seen, or not be told apart, replaced by its code point."""
    if text.isascii() and text.isprintable():
        return (Piece("text", text),)
    found: list[Piece] = []
    plain: list[str] = []
    marks = 0
    repeated = 1
    for index, character in enumerate(text):
        marks = marks + 1 if unicodedata.combining(character) else 0
        if character in "\n\t" or not _needs_chip(character, text[index - 1] if index else "", marks):
            plain.append(character)
            continue
        if _is_composable(character, text[index - 1] if index else ""):
            plain.append(character)
        if plain:
            found.append(Piece("text", "".join(plain)))
            plain = []
        chip = _chip(character)
        if found and found[-1].kind == chip.kind and found[-1].text.split(" ")[0] == chip.text:
            repeated += 1
            chip = Piece(chip.kind, f"{chip.text} ×{repeated}", chip.title)
            found[-1] = chip
        else:
            repeated = 1
            found.append(chip)
    if plain:
        found.append(Piece("text", "".join(plain)))
    return tuple(found)


def _needs_chip(character: str, before: str, marks: int) -> bool:
    if character.isascii():
        return not character.isprintable()
    if (
        unicodedata.category(character) in _SHOWN_AS_CODE
        or character in _BLANK_LETTERS
        or _is_selector(character)
    ):
        return True
    if marks > MARKS_IN_A_ROW:
        return True
    return _is_composable(character, before) or unicodedata.normalize("NFC", character) != character


def _is_composable(character: str, before: str) -> bool:
    """A mark that makes one character with the letter before it: same look, other bytes (A7)."""
    if not before or not unicodedata.combining(character):
        return False
    return len(unicodedata.normalize("NFC", before + character)) == 1


def _is_selector(character: str) -> bool:
    return "\ufe00" <= character <= "\ufe0f" or "\U000e0100" <= character <= "\U000e01ef"


def _chip(character: str) -> Piece:
    code = ord(character)
    name = unicodedata.name(character, _CONTROL_NAMES.get(code, "control" if code < 0xA0 else "unassigned"))
    kind: Kind = "danger" if character in _DIRECTION or 0xE0000 <= code <= 0xE007F or code == 0x1B else "char"
    return Piece(kind, f"U+{code:04X}", name.lower())


def findings(value: Any) -> Findings:
    """What a JSON value holds, keys and strings at every depth, that a quick eye would miss."""
    total = Findings()
    for text in _strings(value):
        if text.isascii() and text.isprintable() and ":" not in text and "www." not in text.lower():
            continue
        total += _findings_of(text)
    return total


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield str(key)
            yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)


def _findings_of(text: str) -> Findings:
    hidden = direction = folds = benign = 0
    mixed: list[str] = []
    hosts: list[str] = []
    disguised: list[str] = []
    before = ""
    for run in runs(text):
        for piece in run.pieces:
            hidden += piece.kind == "char"
            benign += piece.kind == "char" and _is_benign(piece.text, before)
            before = piece.text if piece.kind == "text" else before
            direction += piece.kind == "danger"
            folds += piece.kind == "fold"
        if run.mark == "mixed":
            mixed.append("".join(piece.text for piece in run.pieces if piece.kind == "text"))
        if run.mark == "host":
            hosts.append("".join(piece.text for piece in run.pieces))
            if run.note and not all(piece.text.isascii() for piece in run.pieces):
                mixed.append(hosts[-1])
            elif run.note.startswith(("reads", "the host")):
                disguised.append(hosts[-1])
    return Findings(hidden, direction, tuple(mixed), tuple(hosts), folds, benign, tuple(disguised))


def _is_benign(chip: str, before: str) -> bool:
    """No-break spaces, and what joins or colours the emoji before it."""
    if chip in ("U+00A0", "U+202F"):
        return True
    last = before[-1:]
    return chip in ("U+FE0F", "U+200D") and bool(last) and unicodedata.category(last) in ("So", "Sk")
