"""Change an earlier proposal so that nobody recognises it, and so that what is wrong with it stays wrong. Pure.

Everything is replaced by one rule for the whole proposal, and two different things never become the same one: an
account that differs from the one on file by a digit still differs by that digit, a sum is still the sum of its lines,
what came before is still before. So a fault that lies in how things relate survives; whoever makes a probe of it looks
at both all the same. Chance comes in as an argument."""

import re
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

from approvals.disguise_amounts import Known, resaid, rescaled
from approvals.disguise_words import (
    ADDRESSED,
    FIRM,
    FIRST,
    GOODS,
    ID_KEY,
    LAST,
    NAME_KEY,
    NO_NAMES,
    OFFICES,
    PERSON,
    WORD,
)

_MONTHS = ("january", "february", "march", "april", "may", "june", "july", "august", "september", "october",
           "november", "december")  # fmt: skip
_MONTH = "|".join(f"{name.capitalize()}|{name[:3].capitalize()}" for name in _MONTHS)
_CURRENCY = r"(?:EUR|USD|GBP|CHF|SEK|DKK|NOK|PLN|CZK|JPY|CAD|AUD|€|\$|£)"

_IN_TEXT = re.compile(
    rf"""
    (?P<email>[\w.+-]+@[\w-]+(?:\.[\w-]+)+)
  | (?P<uuid>\b[0-9a-fA-F]{{8}}(?:-[0-9a-fA-F]{{4}}){{3}}-[0-9a-fA-F]{{12}}\b)
  | (?P<iban>\b[A-Z]{{2}}\d{{2}}(?:[ ]?[A-Z0-9]{{4}}){{2,7}}(?:[ ]?[A-Z0-9]{{1,4}})?\b)
  | (?P<iso>(?<!\d)\d{{4}}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?(?!\d))
  | (?P<dotted>(?<![\d.])\d{{1,2}}\.\d{{1,2}}\.\d{{4}}(?!\d))
  | (?P<day_month>\b\d{{1,2}}\.?[ ](?:{_MONTH})\.?,?[ ]\d{{4}}\b)
  | (?P<month_day>\b(?:{_MONTH})\.?[ ]\d{{1,2}}(?:st|nd|rd|th)?,?[ ]\d{{4}}\b)
  | (?P<number>(?<![\w.,-])(?P<before>{_CURRENCY}[ \u00a0\u202f]?)?(?P<digits>\d+(?:[.,\u202f\u00a0]\d+)*)
       (?![\w]|[-/_]\w)(?P<after>[ \u00a0\u202f]?{_CURRENCY})?)
  | (?P<token>\w+(?:[-_/]\w+)*)
    """,
    re.VERBOSE,
)
_YEAR = re.compile(r"(?:19|20)\d\d")
_RUN = re.compile(r"\d+")
_QUARTER = re.compile(r"Q[1-4]\b.*")
_LABELLED = re.compile(r"[A-Za-z]{1,8}[-_/]?\d[\w/-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What a reviewer reads of a proposal; `note` is what somebody says of it, so that it names the same things."""

    arguments: dict[str, Any]
    summary: str = ""
    reasoning: str = ""
    context: list[dict[str, Any]] = field(default_factory=list)
    subject_type: str = ""
    subject_id: str = ""
    current_state: dict[str, Any] | None = None
    note: str = ""


@dataclass(frozen=True, slots=True, order=True)
class Change:
    """One thing that stands there under another name now; `kind` is what it is for people."""

    kind: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Disguised:
    content: Content
    changes: list[Change]


def disguise(
    content: Content, *, schema: Mapping[str, Any], amount_pointer: str, days: int, chance: Random
) -> Disguised:
    """Give everything that names the case another name, move dates by `days`, and amounts by a few per cent.

    Values that the schema lists (`enum`, `const`) stay. So do the names of firms and the hosts of addresses: whether a
    sender is who he should be is what faults are made of."""
    amounts = rescaled(content.arguments, content.current_state, amount_pointer=amount_pointer, chance=chance)
    mask = _Mask(chance=chance, days=days, amounts=amounts)
    mask.learn(content)
    made = Content(
        arguments=mask.value(content.arguments, schema, ""),
        summary=mask.text(content.summary),
        reasoning=mask.text(content.reasoning),
        note=mask.text(content.note),
        context=[
            {
                **turn,
                **{
                    key: mask.text(turn[key]) for key in ("content", "name") if isinstance(turn.get(key), str)
                },
            }
            for turn in content.context
        ],
        subject_type=content.subject_type,
        subject_id=mask.identifier(content.subject_id),
        current_state=mask.value(content.current_state, {}, "")
        if content.current_state
        else content.current_state,
    )
    return Disguised(made, sorted(mask.changes))


def moved(content: Content, *, days: int) -> Content:
    """The same with every date so many days later: a probe made in spring must not speak of spring in autumn."""
    mask = _Mask(chance=Random(0), days=days, amounts={}, only_dates=True)  # noqa: S311 - nothing is left to chance
    return replace(
        content,
        arguments=mask.value(content.arguments, {}, ""),
        summary=mask.text(content.summary),
        reasoning=mask.text(content.reasoning),
        note=mask.text(content.note),
        context=[
            {**turn, "content": mask.text(turn["content"])} if isinstance(turn.get("content"), str) else turn
            for turn in content.context
        ],
        current_state=mask.value(content.current_state, {}, "")
        if content.current_state
        else content.current_state,
    )


def whole_weeks(then: datetime, now: datetime) -> int:
    """Days from then to now in whole weeks, so that a Monday stays a Monday and nothing comes to lie ahead."""
    return (now - then).days // 7 * 7


class _Mask:
    """The one rule by which everything in a proposal is replaced."""

    def __init__(self, *, chance: Random, days: int, amounts: Known, only_dates: bool = False) -> None:
        self._chance = chance
        self._delta = timedelta(days=days)
        self._amounts = amounts
        self._only_dates = only_dates
        self._lead = chance.randint(1, 8)
        self._steps = [chance.randint(1, 9) for _ in range(64)]
        self._hex = [chance.randint(1, 15) for _ in range(32)]
        self._words: dict[str, str] = {}
        self._ids: set[str] = set()
        self._free = {"first": _shuffled(FIRST, chance), "last": _shuffled(LAST, chance)}
        self.changes: set[Change] = set()

    def learn(self, content: Content) -> None:
        """Who and what is named where a key says so; the same is then replaced wherever else it stands."""
        texts: list[str] = [content.summary, content.reasoning, content.note]
        for turn in content.context:
            texts.append(str(turn.get("content") or ""))
            if turn.get("role") == "user" and isinstance(turn.get("name"), str):
                self._learn_person(turn["name"])
        for document in (content.arguments, content.current_state or {}):
            self._walk(document, "", texts)
        if content.subject_id:
            self._ids.add(content.subject_id)
        for text in texts:
            for found in ADDRESSED.finditer(text):
                self._learn_person(found[1] or found[2], addressed=True)
        taken = " ".join([*texts, content.subject_id]).lower()
        for place, free in self._free.items():
            self._free[place] = [name for name in free if name.lower() not in taken]

    def _walk(self, value: Any, key: str, texts: list[str]) -> None:
        if isinstance(value, dict):
            is_thing = not GOODS.isdisjoint(value)
            for name, inner in value.items():
                if NAME_KEY.search(name.lower()) and isinstance(inner, str) and not is_thing:
                    self._learn_person(inner)
                self._walk(inner, name, texts)
        elif isinstance(value, list):
            for inner in value:
                self._walk(inner, key, texts)
        elif isinstance(value, str):
            texts.append(value)
            if ID_KEY.search(key.lower()) and any(map(str.isdigit, value)) and len(value) > 1:
                self._ids.add(value)

    def _learn_person(self, name: str, *, addressed: bool = False) -> None:
        if FIRM.search(name) or not (addressed or PERSON.fullmatch(name)):
            return
        words = WORD.findall(name)
        for place, word in enumerate(words):
            if word.lower() not in NO_NAMES:
                self._words.setdefault(word.lower(), "last" if place and place == len(words) - 1 else "first")

    def value(self, value: Any, schema: Mapping[str, Any], key: str) -> Any:
        """A copy of a JSON value in which everything is replaced."""
        if "enum" in schema or "const" in schema:
            return deepcopy(value)
        if isinstance(value, dict):
            known = schema.get("properties") or {}
            return {name: self.value(inner, _inside(known, name), name) for name, inner in value.items()}
        if isinstance(value, list):
            return [self.value(inner, _inside(schema, "items"), key) for inner in value]
        if isinstance(value, str):
            return self.identifier(value) if value in self._ids else self.text(value)
        if isinstance(value, bool) or value is None or self._only_dates:
            return value
        if resaid(value, self._amounts, key) is not None:
            return self._told("amount", value, resaid(value, self._amounts, key))
        if isinstance(value, int) and ID_KEY.search(key.lower()) and value > 9:
            return self._told("number", value, int(self._run(str(value))))
        return value

    def identifier(self, text: str) -> str:
        """Something that is known to name one case, as a whole."""
        if self._only_dates or not text:
            return text
        if re.fullmatch(r"[\w/-]+", text) and not _YEAR.fullmatch(text):
            return str(self._told("number", text, _RUN.sub(self._runs, text)))
        return self.text(text)

    def text(self, text: str) -> str:
        return _IN_TEXT.sub(self._one, text)

    def _one(self, found: re.Match[str]) -> str:
        kind = found.lastgroup or ""
        for name in ("email", "uuid", "iban", "iso", "dotted", "day_month", "month_day", "number", "token"):
            if found[name] is not None:
                kind = name
                break
        if self._only_dates and kind not in ("iso", "dotted", "day_month", "month_day"):
            return found[0]
        made, said = _HOW[kind](self, found)
        return str(self._told(said, found[0], made))

    def _told(self, kind: str, before: Any, after: Any) -> Any:
        if str(before) != str(after):
            self.changes.add(Change(kind, str(before), str(after)))
        return after

    def _email(self, found: re.Match[str]) -> tuple[str, str]:
        local, _, host = found[0].partition("@")
        parts = re.split(r"([._+-])", local)
        return "".join(map(self._local, parts)) + "@" + host, "address"

    def _local(self, part: str) -> str:
        if part.lower() in OFFICES or not WORD.search(part):
            return _RUN.sub(self._runs, part)
        word = WORD.search(part)
        assert word is not None
        self._words.setdefault(word[0].lower(), "last")
        return _RUN.sub(self._runs, part.replace(word[0], self._name(word[0])))

    def _name(self, word: str) -> str:
        """The other name of a name, in the same case. Where none is left, the word itself."""
        known = self._words[word.lower()]
        if known in self._free:
            free = self._free[known]
            known = self._words[word.lower()] = free.pop() if free else word
        if word.islower():
            return known.lower()
        return known.upper() if word.isupper() else known

    def _uuid(self, found: re.Match[str]) -> tuple[str, str]:
        nibbles = [int(digit, 16) for digit in UUID(found[0]).hex]
        made = "".join(
            f"{nibble if place in (12, 16) else (nibble + self._hex[place]) % 16:x}"
            for place, nibble in enumerate(nibbles)
        )
        return str(UUID(made)), "number"

    def _iban(self, found: re.Match[str]) -> tuple[str, str]:
        """Valid where it was valid, wrong by as much where it was wrong; spaces stay where they were."""
        compact = found[0].replace(" ", "")
        country, given = compact[:2], int(compact[2:4])
        account = _RUN.sub(self._runs, compact[4:])
        off = given - _check(country, compact[4:])
        made = iter(f"{country}{(_check(country, account) + off) % 100:02}{account}")
        return "".join(" " if one == " " else next(made) for one in found[0]), "account"

    def _iso(self, found: re.Match[str]) -> tuple[str, str]:
        made, kind = self._day(found[0][:10], "%Y-%m-%d")
        return made + found[0][10:], kind

    def _dotted(self, found: re.Match[str]) -> tuple[str, str]:
        return self._day(found[0], "%d.%m.%Y")

    def _day(self, text: str, form: str) -> tuple[str, str]:
        try:
            return (datetime.strptime(text, form).date() + self._delta).strftime(form), "date"
        except (ValueError, OverflowError):
            return text, "date"

    def _spoken(self, found: re.Match[str]) -> tuple[str, str]:
        """A date with its month in letters: each part is said as it was said before."""
        day, month, year = (
            re.search(form, found[0]) for form in (r"\d{1,2}(?!\d)", r"[A-Z][a-z]+", r"\d{4}")
        )
        assert day and month and year
        number = next(index for index, name in enumerate(_MONTHS, 1) if name.startswith(month[0].lower()[:3]))
        try:
            then = date(int(year[0]), number, int(day[0])) + self._delta
        except (ValueError, OverflowError):
            return found[0], "date"
        name = _MONTHS[then.month - 1].capitalize()
        made = re.sub(r"\d{4}", f"{then.year:04}", found[0])
        made = made.replace(month[0], name if len(month[0]) > 3 else name[:3])
        made = re.sub(r"(?<!\d)\d{1,2}(?!\d)", str(then.day), made, count=1)
        return re.sub(r"(?<=\d)(?:st|nd|rd|th)", _ordinal(then.day), made), "date"

    def _number(self, found: re.Match[str]) -> tuple[str, str]:
        digits, is_money = found["digits"], bool(found["before"] or found["after"])
        said = resaid(digits, self._amounts, "amount" if is_money else "")
        if said is not None:
            return f"{found['before'] or ''}{said}{found['after'] or ''}", "amount"
        is_known = digits in self._ids
        is_long = digits.isdigit() and len(digits) >= 4 and not digits.endswith("00")
        if not is_money and (is_known or is_long) and not _YEAR.fullmatch(digits):
            return _RUN.sub(self._runs, found[0]), "number"
        return found[0], "number"

    def _token(self, found: re.Match[str]) -> tuple[str, str]:
        text = found[0]
        if text.lower() in self._words and text[:1].isupper():
            return self._name(text), "name"
        digits = 0 if _QUARTER.fullmatch(text) else sum(map(str.isdigit, text))
        is_labelled = bool(_LABELLED.fullmatch(text)) and digits >= 2
        if text in self._ids or is_labelled or (digits >= 4 and len(text) >= 6):
            return _RUN.sub(self._runs, text), "number"
        if not digits and "-" in text:
            return re.sub(r"\w+", self._part, text), "name"
        return text, "name"

    def _part(self, found: re.Match[str]) -> str:
        is_name = found[0].lower() in self._words and found[0][:1].isupper()
        return self._name(found[0]) if is_name else found[0]

    def _runs(self, found: re.Match[str]) -> str:
        return self._run(found[0])

    def _run(self, digits: str) -> str:
        """Another number of as many digits. Each digit is moved by a step of its own place, so two numbers still
        differ where they differed; years stay years, and nothing else becomes one (cycle walking)."""
        if not digits.isascii() or _YEAR.fullmatch(digits):
            return digits
        made = self._shifted(digits)
        while _YEAR.fullmatch(made):
            made = self._shifted(made)
        return made

    def _shifted(self, digits: str) -> str:
        first, rest = int(digits[0]), digits[1:]
        lead = (first - 1 + self._lead) % 9 + 1 if first else 0
        return str(lead) + "".join(
            str((int(digit) + self._steps[(len(rest) - place) % 64]) % 10) for place, digit in enumerate(rest)
        )


_HOW: dict[str, Callable[[_Mask, re.Match[str]], tuple[str, str]]] = {
    "email": _Mask._email,
    "uuid": _Mask._uuid,
    "iban": _Mask._iban,
    "iso": _Mask._iso,
    "dotted": _Mask._dotted,
    "day_month": _Mask._spoken,
    "month_day": _Mask._spoken,
    "number": _Mask._number,
    "token": _Mask._token,
}


def _inside(schema: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = schema.get(name)
    return found if isinstance(found, dict) else {}


def _check(country: str, account: str) -> int:
    """The two check digits of an IBAN (ISO 13616, ISO 7064 mod 97-10)."""
    digits = "".join(str(int(one, 36)) for one in f"{account}{country}00")
    return 98 - int(digits) % 97


def _ordinal(day: int) -> str:
    return "th" if 11 <= day <= 13 else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")


def _shuffled(names: tuple[str, ...], chance: Random) -> list[str]:
    found = list(names)
    chance.shuffle(found)
    return found


def names_of(content: Content, *, schema: Mapping[str, Any]) -> set[str]:
    """What names the case in these words, as far as `disguise` knows: nothing of it should be left in a probe."""
    found = disguise(content, schema=schema, amount_pointer="", days=0, chance=Random(0))  # noqa: S311
    return {one.before for one in found.changes if one.kind != "amount" and len(one.before) > 3}
