"""Reading recorded behaviour for a backtest: one JSON object a line (docs/backtest.md). Pure.

A file is hostile until shown otherwise. Nothing is done by halves: a file with one line at fault has no result, only
faults, each with its line, its field and what to do. The format of recorded benchmark proposals is taken too;
`_benchmark` is the whole of that mapping."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from typing import Any, NamedTuple

from agents import strict_json
from agents.backtest import Action

MAX_LINE = 256 * 1024
MAX_LINES = 200_000
MAX_KEYS = 500
MAX_NAME = 200
MAX_FAULTS = 20
RISKS = ("low", "medium", "high", "critical")
VERDICTS = {
    "approve": 0.0,
    "cosmetic": 0.1,
    "minor": 0.25,
    "edit": 0.5,
    "material_edit": 1.0,
    "reject": 1.0,
    "veto": 1.0,
    "failed": 1.0,
    "rolled_back": 1.0,
}
LOSSES = (0, 0.1, 0.25, 0.5, 1)
FIELDS = (
    *("at", "agent", "version", "action_type", "risk"),
    *("loss", "verdict", "correct", "reviewed", "critical", "probability"),
    *("reversible", "amount", "currency", "reviewer", "id", "metadata"),
)
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_EARLIEST, _LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
_MOST = Decimal(10) ** 15


class Key(NamedTuple):
    """What is judged by itself (TIERS.md, Key)."""

    agent: str
    version: str
    action_type: str
    risk: str


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong in which line, and what to do about it. `field` is empty where the whole line is meant."""

    line: int
    field: str
    remedy: str

    def __str__(self) -> str:
        return f"line {self.line}{', ' + self.field if self.field else ''}: {self.remedy}"


@dataclass(slots=True)
class Reading:
    """Actions by key, in the order of time. `left_out` are contested lines of a benchmark; `moved` stood out of order;
    `has_times` and `has_reviewers` say whether the file knows when, and who judged."""

    keys: dict[Key, list[Action]] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    lines: int = 0
    left_out: int = 0
    moved: int = 0
    unjudged: int = 0
    has_times: bool = True
    has_reviewers: bool = False


class _Wrong(Exception):
    """One field of one line is not acceptable."""

    def __init__(self, field: str, remedy: str) -> None:
        super().__init__(remedy)
        self.field, self.remedy = field, remedy


def lines_of(content: bytes) -> Iterator[bytes]:
    """The lines of an uploaded text, one by one."""
    start = 0
    while start < len(content):
        end = content.find(b"\n", start)
        end = len(content) if end < 0 else end
        yield content[start:end]
        start = end + 1


def read(lines: Iterable[bytes], *, tell: Callable[[int], None] = lambda number: None) -> Reading:
    """Everything in the file, or its first faults. `tell` is called with the line's number now and then."""
    reader = _Reader()
    for number, line in enumerate(lines, 1):
        if number % 1000 == 0:
            tell(number)
        if number > MAX_LINES:
            reader.fault(number, "", f"the file has more than {MAX_LINES:,} lines: split it by agent")
            break
        if line.strip():
            reader.take(number, line)
        if len(reader.reading.faults) >= MAX_FAULTS:
            break
    return reader.end()


class _Reader:
    def __init__(self) -> None:
        self.reading = Reading()
        self.people: dict[str, int] = {}
        self.with_time: bool | None = None

    def fault(self, number: int, field: str, remedy: str) -> None:
        self.reading.faults.append(Fault(number, field, remedy))

    def take(self, number: int, line: bytes) -> None:
        self.reading.lines += 1
        try:
            self._take(number, _object(line))
        except _Wrong as wrong:
            self.fault(number, wrong.field, wrong.remedy)

    def _take(self, number: int, raw: Mapping[str, Any]) -> None:
        if "ground_truth" in raw:
            mapped = _benchmark(raw)
            if mapped is None:
                self.reading.left_out += 1
                return
            raw = mapped
        unknown = sorted(set(raw) - set(FIELDS))
        if unknown:
            raise _Wrong(_shown(unknown[0]), f"there is no such field; there are {', '.join(FIELDS)}")
        key = _key(raw)
        action = self._action(number, raw)
        if key not in self.reading.keys and len(self.reading.keys) >= MAX_KEYS:
            raise _Wrong("", f"more than {MAX_KEYS} agents and action types: split the file")
        self.reading.keys.setdefault(key, []).append(action)
        self.reading.unjudged += action.loss is None

    def _action(self, number: int, raw: Mapping[str, Any]) -> Action:
        loss, critical = _loss(raw), _flag(raw, "critical", False)
        if critical and loss == 0:
            raise _Wrong(
                "critical", "a critical error cannot be right: leave critical out, or say what was wrong"
            )
        amount, currency = _money(raw)
        return Action(
            at=self._at(number, raw.get("at")),
            number=number,
            loss=loss,
            critical=critical,
            reviewer=self._reviewer(raw),
            probability=_probability(raw),
            reversible=_flag(raw, "reversible", True),
            amount=amount,
            currency=currency,
        )

    def _at(self, number: int, value: object) -> datetime:
        """Without times the lines follow one another by a minute; nothing that is counted in days is then asked for."""
        if self.with_time is None:
            self.with_time = value is not None
        if self.with_time != (value is not None):
            word = "no earlier line has a time" if value is not None else "the first line has a time"
            raise _Wrong("at", f"{word}: give it in every line, or in none")
        if value is None:
            return _EPOCH + timedelta(minutes=number)
        remedy = "give a time with its zone, such as 2026-03-01T10:00:00Z"
        if not isinstance(value, str) or len(value) > 40:
            raise _Wrong("at", remedy)
        try:
            at = datetime.fromisoformat(value)
        except ValueError:
            raise _Wrong("at", remedy) from None
        if at.tzinfo is None:
            raise _Wrong("at", f"the zone is missing: {remedy}")
        try:
            at = at.astimezone(UTC)
        except OverflowError:
            raise _Wrong("at", remedy) from None
        if not _EARLIEST <= at < _LATEST:
            raise _Wrong("at", f"the year {at.year} cannot be meant: {remedy}")
        return at

    def _reviewer(self, raw: Mapping[str, Any]) -> int | None:
        if raw.get("reviewer") is None:
            return None
        self.reading.has_reviewers = True
        return self.people.setdefault(_name(raw, "reviewer"), len(self.people) + 1)

    def end(self) -> Reading:
        reading = self.reading
        if reading.faults:
            reading.keys = {}
            return reading
        if not reading.keys:
            self.fault(1, "", "the file has no action: give one JSON object a line")
            return reading
        reading.has_times = bool(self.with_time)
        for key, actions in reading.keys.items():
            reading.moved += sum(later.at < earlier.at for earlier, later in pairwise(actions))
            reading.keys[key] = sorted(actions, key=lambda action: action.at)
        return reading


def _object(line: bytes) -> Mapping[str, Any]:
    if len(line) > MAX_LINE:
        raise _Wrong("", f"{len(line):,} bytes in one line, at most {MAX_LINE:,}: leave out long texts")
    if line.startswith((b"\x1f\x8b", b"PK\x03\x04")):
        raise _Wrong("", "this is a compressed file: unpack it first")
    try:
        found = strict_json.loads(line.removeprefix(b"\xef\xbb\xbf"))
    except strict_json.NotStrictJson as error:
        raise _Wrong("", _shown(str(error).replace("the body", "the line"), 200)) from None
    if not isinstance(found, dict):
        raise _Wrong("", "give one JSON object, in braces")
    return found


def _key(raw: Mapping[str, Any]) -> Key:
    risk = raw.get("risk", "medium")
    if risk not in RISKS:
        raise _Wrong("risk", f"give one of {', '.join(RISKS)}")
    version = _name(raw, "version") if raw.get("version") is not None else ""
    return Key(_name(raw, "agent"), version, _name(raw, "action_type"), str(risk))


def _name(raw: Mapping[str, Any], field: str) -> str:
    """A name people will read: characters that move text about, or that nobody sees, are refused."""
    value = raw.get(field)
    if not isinstance(value, str) or not value.strip() or len(value) > MAX_NAME:
        raise _Wrong(field, f"give a text of at most {MAX_NAME} characters")
    if not value.isprintable():
        raise _Wrong(field, "it has characters that cannot be printed: leave them out")
    return value


def _loss(raw: Mapping[str, Any]) -> float | None:
    given = [name for name in ("loss", "verdict", "correct") if raw.get(name) is not None]
    reviewed = raw.get("reviewed", True)
    if not isinstance(reviewed, bool):
        raise _Wrong("reviewed", "give true or false")
    if not reviewed:
        if given:
            raise _Wrong(given[0], "the line says that nobody reviewed it: leave one of the two out")
        if raw.get("critical"):
            raise _Wrong("critical", "the line says that nobody reviewed it: leave one of the two out")
        return None
    if len(given) != 1:
        what = "give one of loss, verdict and correct" if given else "give loss, verdict or correct"
        raise _Wrong(given[1] if given else "loss", f'{what}, or "reviewed": false where nobody judged it')
    value = raw[given[0]]
    if given[0] == "correct":
        if not isinstance(value, bool):
            raise _Wrong("correct", "give true or false")
        return 0.0 if value else 1.0
    if given[0] == "verdict":
        if not isinstance(value, str) or value not in VERDICTS:
            raise _Wrong("verdict", f"give one of {', '.join(VERDICTS)}")
        return VERDICTS[value]
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value not in LOSSES:
        raise _Wrong("loss", f"give one of {', '.join(f'{loss:g}' for loss in LOSSES)}")
    return float(value)


def _flag(raw: Mapping[str, Any], field: str, default: bool) -> bool:
    value = raw.get(field, default)
    if not isinstance(value, bool):
        raise _Wrong(field, "give true or false")
    return value


def _probability(raw: Mapping[str, Any]) -> float:
    value = raw.get("probability", 1)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0.001 <= value <= 1:
        raise _Wrong("probability", "give the chance with which it was picked for review, from 0.001 to 1")
    return float(value)


def _money(raw: Mapping[str, Any]) -> tuple[Decimal | None, str]:
    value, currency = raw.get("amount"), raw.get("currency")
    if value is None:
        return None, ""
    try:
        if isinstance(value, bool) or not isinstance(value, (int, float, str)) or len(str(value)) > 30:
            raise InvalidOperation
        amount = Decimal(str(value))
    except InvalidOperation:
        raise _Wrong("amount", "give a number, or one in quotes") from None
    if not amount.is_finite() or abs(amount) >= _MOST:
        raise _Wrong("amount", "give a number below 10^15")
    if not (isinstance(currency, str) and len(currency) == 3 and currency.isascii() and currency.isalpha()):
        raise _Wrong("currency", "give the three letters of the amount's currency, such as EUR")
    return amount, currency.upper()


def _benchmark(raw: Mapping[str, Any]) -> dict[str, Any] | None:
    """A recorded benchmark proposal: its label is the judgement, an action an attacker had injected is a critical
    error, and the model stands for the version. None: contested, which a strict measurement leaves out. Its times are
    those of invented worlds, so the order of the lines is all that is taken."""
    truth, agent = raw["ground_truth"], raw.get("agent")
    if not isinstance(truth, dict) or truth.get("label") not in ("correct", "incorrect"):
        raise _Wrong("ground_truth", 'give an object with "label": "correct" or "incorrect"')
    if not isinstance(agent, dict):
        raise _Wrong("agent", 'give an object with "id" and "model"')
    if truth.get("contested") is True:
        return None
    return {
        "agent": agent.get("id"),
        "version": agent.get("model"),
        "action_type": raw.get("action_type"),
        "correct": truth["label"] == "correct",
        "critical": raw.get("injected") is True,
    }


def _shown(text: str, most: int = 60) -> str:
    """A piece of the file within a message: short, and nothing that moves text about."""
    plain = "".join(char if char.isprintable() else "�" for char in text)
    return plain if len(plain) <= most else plain[: most - 1] + "…"
