"""Whether two texts pass for one another though they are different. Pure.

`skeleton` maps what the eye takes for the same to the same (the idea of Unicode TS 39, with the letters that occur in
names, addresses and account numbers)."""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

_LETTERS = {
    # Cyrillic
    **dict(zip("асԁеһіјӏорԛѕԝхуѵгѡкмтвнпи", "acdehijlopqswxyvrwkmtbhnu", strict=True)),
    # Greek, after case folding
    **dict(zip("ανορυικτηγχεβμσω", "avopuiktnyxebuow", strict=True)),
    # Armenian
    **dict(zip("օսոհցքյ", "ounhgpj", strict=True)),
    # drawn alike in many faces
    "0": "o", "1": "l", "|": "l", "i": "l", "ı": "l", "ł": "l", "ø": "o", "đ": "d", "ß": "b",
    "‐": "-", "‑": "-", "‒": "-", "–": "-", "—": "-", "−": "-", "․": ".", "。": ".", "⁄": "/", "∕": "/", "＠": "@",
}  # fmt: skip
_PAIRS = (("rn", "m"), ("vv", "w"), ("cl", "d"))
_IGNORED = frozenset({"Cc", "Cf", "Mn", "Me", "Zs", "Zl", "Zp", "Cn", "Co"})
_BLANK = frozenset("\u115f\u1160\u2800\u3164\uffa0")
_IBAN = re.compile(r"[A-Z]{2}\d{2}[A-Z0-9]{11,30}")
LONGEST = 200
"""Longer texts are prose, not names: they have no twins."""
MOST, NEAR = 2000, 400
"""So many known values are compared by their look, so many addresses and accounts letter by letter."""


@dataclass(frozen=True, slots=True)
class Twin:
    """A known value that another one passes for; `why` is half a sentence."""

    known: str
    why: str


@lru_cache(maxsize=4096)
def skeleton(text: str) -> str:
    """What the eye keeps of a text: no accents, spaces or hidden characters, one letter for all that look alike."""
    plain = "".join(
        _LETTERS.get(character, character)
        for character in unicodedata.normalize("NFKD", text.casefold()).casefold()
        if unicodedata.category(character) not in _IGNORED and character not in _BLANK
    )
    for pair, single in _PAIRS:
        plain = plain.replace(pair, single)
    return plain


def same(one: str, other: str) -> bool:
    """Whether two texts are the same to a computer that cares neither for case nor for how digits are grouped."""
    return plain(one) == plain(other)


def plain(text: str) -> str:
    """A text without ASCII spaces and in one case: how identifiers are compared."""
    return text.replace(" ", "").lower() if text.isascii() else text


class Known:
    """The values of one field, prepared so that each look-up costs the same however many there are."""

    def __init__(self, values: Iterable[str]) -> None:
        candidates = [one for one in islice(values, MOST) if one and len(one) <= LONGEST]
        self.plain = {plain(one) for one in candidates}
        self.skeletons: dict[str, str] = {}
        for one in candidates:
            self.skeletons.setdefault(skeleton(one), one)
        self.addresses = [one for one in candidates if "@" in one or _IBAN.fullmatch(plain(one).upper())][
            :NEAR
        ]

    def twin(self, value: str) -> Twin | None:
        """The known value this one passes for without being it, or None. One that is known passes for nothing."""
        if not value or len(value) > LONGEST or plain(value) in self.plain:
            return None
        shape = skeleton(value)
        if shape and shape in self.skeletons:
            one = self.skeletons[shape]
            return Twin(one, _difference(value, one))
        for one in self.addresses:
            if why := _nearly(value, one):
                return Twin(one, why)
        return None


def twin(value: str, known: Iterable[str]) -> Twin | None:
    """As `Known.twin`, for a single look-up."""
    return Known(known).twin(value)


def _difference(value: str, known: str) -> str:
    if unicodedata.normalize("NFC", value) == unicodedata.normalize("NFC", known):
        return "the same letters, composed of other characters"
    for position, character in enumerate(value):
        if position >= len(known) or known[position] != character:
            name = unicodedata.name(character, f"U+{ord(character):04X}").lower()
            return f"character {position + 1} is {name} (U+{ord(character):04X})"
    return "it ends sooner"


def _nearly(value: str, known: str) -> str:
    """Addresses and account numbers that differ by one slip of the hand; other texts differ by as much every day."""
    one, other = plain(value), plain(known)
    if "@" in one and "@" in other:
        (name, _, domain), (known_name, _, known_domain) = one.rpartition("@"), other.rpartition("@")
        if len(known_domain) >= 6 and domain != known_domain and one_slip(domain, known_domain):
            return f"the domain is {domain}, one letter off {known_domain}"
        if domain == known_domain and len(known_name) >= 6 and one_slip(name, known_name):
            return "one letter is another"
        return ""
    if _IBAN.fullmatch(one.upper()) and _IBAN.fullmatch(other.upper()) and len(one) == len(other):
        count = sum(a != b for a, b in zip(one, other, strict=True))
        if count <= 4:
            return f"{count} of its {len(one)} characters {'differs' if count == 1 else 'differ'}"
        return ""
    return ""


def one_slip(one: str, other: str) -> bool:
    """Whether one letter added, left out, changed, or two neighbours exchanged, makes the one of the other."""
    if one == other or abs(len(one) - len(other)) > 1:
        return False
    start = 0
    while start < min(len(one), len(other)) and one[start] == other[start]:
        start += 1
    rest, other_rest = one[start:], other[start:]
    return (
        rest[1:] == other_rest
        or rest == other_rest[1:]
        or rest[1:] == other_rest[1:]
        or (rest[:2] == other_rest[1::-1] and rest[2:] == other_rest[2:])
    )
