"""A proposal beside the approved ones of the same agent and action type: what is new, changed or beyond them. Pure.

Nothing of this is proof. It says what a person would say who remembered the last few hundred."""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from itertools import islice
from statistics import median
from typing import Any
from uuid import UUID

from approvals.reading import figures, lookalikes
from approvals.reading.signals import Signal

FEWEST_AMOUNTS = 8
"""Below so many earlier amounts nothing is customary yet."""
MOST_LEAVES = 400
"""So many texts and numbers of each proposal are compared: a list of thousands is read by nobody line by line."""
FEWEST_FIXED = 10
"""So many earlier values of a field have to be known before a new one is worth a word."""
SHORTEST = 5
"""Shorter accounts and targets are codes of a list (ledger accounts, sites), which change by design."""
LONGEST = 120
"""Longer values are prose, to nobody in particular."""
FEWEST_PARTIES = 3
"""So many parties have to be known with several approvals each before a field is known to change by design."""
_STEP = 0.1
"""Amounts that are all the same still vary by so much, on a logarithmic scale."""

_TO_WHOM = re.compile(
    r"(?:^|_)(?:iban|bic|swift|account|acct|routing|sort_code|wallet|payee|beneficiary|recipients?|e?_?mail|phone|mobile|"
    r"cc|bcc|address|street|url|uri|host|domain|endpoint|webhook|callback|target|destination)(?:_|$)|^to$",
    re.IGNORECASE,
)
_KEY = re.compile(
    r"(?:(?:^|_)(?:id|number|no|code|name)|vendor|supplier|customer|employee|payee|holder)$", re.IGNORECASE
)
_PERIOD = re.compile(r"\d{4}(?:-\d{2}){0,2}(?:T.*)?")
_SHAPES = re.compile(r"[A-Z]{2}\d{2}[A-Z0-9]{11,30}|[^\s@]+@[^\s@]+\.[^\s@]+|https?://\S+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Earlier:
    """One approved proposal: its final arguments, and whether what it did still stands."""

    id: UUID
    arguments: Any
    subject: tuple[str, str]
    amount: Decimal | None
    currency: str
    changed_at: datetime
    stands: bool = True


@dataclass(frozen=True, slots=True)
class Present:
    """The proposal at hand. `labels` names its leaves for people; `material` are the action type's pointers."""

    arguments: Any
    subject: tuple[str, str]
    amount: Decimal | None
    currency: str
    material: Sequence[str]
    labels: Mapping[str, str] = field(default_factory=dict)
    amount_pointer: str = ""


@dataclass(frozen=True, slots=True)
class Leaf:
    """One text or whole number of the arguments. `general` has `*` for places in lists; `scope` is the list item it
    stands in, so that the account of one payment is not compared with the vendor of another."""

    pointer: str
    general: str
    scope: str
    text: str


def signals(present: Present, approved: Sequence[Earlier]) -> list[Signal]:
    """Everything worth a word, the gravest first."""
    if not approved:
        return []
    now = list(islice(leaves(present.arguments), MOST_LEAVES))
    past = [(one, list(islice(leaves(one.arguments), MOST_LEAVES))) for one in approved]
    known: dict[str, Counter[str]] = defaultdict(Counter)
    for _, found in past:
        for leaf in found:
            known[leaf.general][leaf.text] += 1
    twins = _twins(present, now, known)
    taken = {signal.where for signal in twins}
    changed = [one for one in _changed(present, now, past, known) if one.where not in taken]
    taken |= {signal.where for signal in changed}
    new = [one for one in _new(present, now, known) if one.where not in taken]
    return [*twins, *changed, *_amount(present, approved), *_repeated(present, now, past), *new]


def leaves(value: Any, pointer: str = "", general: str = "", scope: str = "") -> Iterator[Leaf]:
    """The texts and whole numbers of a value with their places."""
    if isinstance(value, dict):
        for name, item in value.items():
            step = "/" + name.replace("~", "~0").replace("/", "~1")
            yield from leaves(item, pointer + step, general + step, scope)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            inner = f"{pointer}/{index}"
            yield from leaves(item, inner, general + "/*", inner if isinstance(item, dict) else scope)
    elif isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
        yield Leaf(pointer, general, scope, str(value))


def _twins(present: Present, now: Sequence[Leaf], known: Mapping[str, Counter[str]]) -> list[Signal]:
    found = []
    prepared: dict[str, lookalikes.Known] = {}
    for leaf in now:
        if leaf.general not in prepared:
            prepared[leaf.general] = lookalikes.Known(known.get(leaf.general, ()))
        twin = prepared[leaf.general].twin(leaf.text)
        if twin is not None:
            words = (
                f"{_name(present, leaf)} looks like “{twin.known}”, which was approved before, "
                f"but is another: {twin.why}."
            )
            found.append(Signal("twin", leaf.pointer, words))
    return found


_Party = tuple[str, str]
"""Who or what something is about: the general pointer of the key (empty for the subject), and its value."""


def _parties(subject: tuple[str, str], found: Sequence[Leaf]) -> dict[str, dict[_Party, str]]:
    """The keys of each scope, as they are written: identifying numbers and names in it, and the subject for what stands
    in no list."""
    parties: dict[str, dict[_Party, str]] = defaultdict(dict)
    if subject[1]:
        parties[""][f" {subject[0]}", lookalikes.plain(subject[1])] = " ".join(filter(None, subject))
    for leaf in found:
        name = leaf.general.rpartition("/")[2]
        if len(leaf.text) <= LONGEST // 2 and _KEY.search(name) and not is_recipient(leaf):
            parties[leaf.scope][leaf.general, lookalikes.plain(leaf.text)] = leaf.text
    return parties


def is_recipient(leaf: Leaf) -> bool:
    """Whether a leaf says to whom or whereto: by its name, or because its value is an account or an address."""
    last = leaf.general.rstrip("/*").rpartition("/")[2]
    if len(leaf.text) > LONGEST:
        return False
    if _SHAPES.fullmatch(leaf.text.replace(" ", "")):
        return True
    return bool(_TO_WHOM.search(last)) and len(leaf.text) >= SHORTEST


def _changed(
    present: Present,
    now: Sequence[Leaf],
    past: Sequence[tuple[Earlier, list[Leaf]]],
    known: Mapping[str, Counter[str]],
) -> list[Signal]:
    """Recipients that differ from all that were approved for the same party."""
    used: dict[tuple[_Party, str], Counter[str]] = defaultdict(Counter)
    for one, found in past:
        parties = _parties(one.subject, found)
        for leaf in found:
            if is_recipient(leaf):
                for party in parties.get(leaf.scope) or parties.get("", {}):
                    used[party, leaf.general][leaf.text] += 1
    here = _parties(present.subject, now)
    stays = _staying(used)
    changed = []
    for leaf in now:
        if not is_recipient(leaf):
            continue
        about = here.get(leaf.scope) or here.get("", {})
        histories = [
            (used[party, leaf.general], who) for party, who in about.items() if (party, leaf.general) in used
        ]
        if not histories:
            continue
        history, who = max(histories, key=lambda pair: pair[0].total())
        if any(lookalikes.same(leaf.text, text) for text in history) or not stays.get(leaf.general, True):
            continue
        if len(history) > 3 and history.most_common(1)[0][1] < 3:
            continue  # it is another one each time: nothing has changed
        usual, count = history.most_common(1)[0]
        times = "once" if count == 1 else f"{count} times"
        words = f"{_name(present, leaf)} was “{usual}” when this was approved before for {who} ({times})"
        if known.get(leaf.general, Counter())[leaf.text]:
            words += "; the one given here was approved for somebody else"
        changed.append(Signal("recipient", leaf.pointer, words + "."))
    return changed


def _staying(used: Mapping[tuple[_Party, str], Counter[str]]) -> dict[str, bool]:
    """Which fields as a rule stay the same for one party. Where one changes by design (a new address in a change of
    address, an attachment), a change is no news."""
    several: dict[str, list[bool]] = defaultdict(list)
    for (_, general), values in used.items():
        if values.total() > 1:
            several[general].append(len(values) == 1)
    return {
        general: len(each) < FEWEST_PARTIES or 2 * sum(each) >= len(each) for general, each in several.items()
    }


def _new(present: Present, now: Sequence[Leaf], known: Mapping[str, Counter[str]]) -> list[Signal]:
    """A material field that had few values so far, and now has one that was never there."""
    found = []
    for leaf in now:
        values = known.get(leaf.general, Counter())
        total = values.total()
        if leaf.pointer not in present.material or total < FEWEST_FIXED or len(values) * 5 > total:
            continue
        if _PERIOD.fullmatch(leaf.text):
            continue  # days and months are new by nature
        if not any(lookalikes.same(leaf.text, text) for text in values):
            usual = ", ".join(f"“{text[:40]}”" for text, _ in values.most_common(2))
            words = f"{_name(present, leaf)} was never “{leaf.text[:60]}” in the last {total} approved; usual: {usual}."
            found.append(Signal("new_value", leaf.pointer, words))
    return found


@dataclass(frozen=True, slots=True)
class Customary:
    """Earlier amounts in four figures."""

    count: int
    middle: Decimal
    nine_in_ten: Decimal
    largest: Decimal


def beyond(amount: Decimal, earlier: Sequence[Decimal]) -> Customary | None:
    """What was customary, if this amount is far beyond it; None if it is not, or if too few are known.

    Far is more than three times what nine in ten stayed below, and more than all but two in a hundred; or more than
    four robust standard deviations (median absolute deviation of the logarithms, Hampel 1974) above the middle. One
    large amount among the earlier ones hides nothing: neither figure follows it."""
    sizes = sorted(abs(one) for one in earlier if one)
    size = abs(amount)
    if len(sizes) < FEWEST_AMOUNTS or not size:
        return None
    middle, ninety, most = median(sizes), _rank(sizes, 90), _rank(sizes, 98)
    logs = [math.log(one / middle) for one in sizes]
    spread = max(1.4826 * median(abs(one) for one in logs), _STEP)
    far = (size > 3 * ninety and size >= most) or math.log(size / middle) > 4 * spread
    if not far or size <= ninety:
        return None
    return Customary(len(sizes), middle, ninety, sizes[-1])


def _rank(ordered: Sequence[Decimal], percent: int) -> Decimal:
    """The nearest-rank percentile, short of the largest one where there are enough: one outlier must not set it."""
    position = math.ceil(len(ordered) * percent / 100) - 1
    return ordered[min(position, len(ordered) - 2)]


def _amount(present: Present, approved: Sequence[Earlier]) -> list[Signal]:
    if present.amount is None:
        return []
    earlier = [one.amount for one in approved if one.amount is not None and one.currency == present.currency]
    usual = beyond(present.amount, earlier)
    if usual is None:
        return []

    def words(value: Decimal) -> str:
        return f"{figures.money(str(value.quantize(Decimal('0.01'))), present.currency)} {present.currency}".strip()

    times = abs(present.amount) / usual.middle
    size = f"{times:.1f}" if times < 10 else f"{times:,.0f}".replace(",", figures.SPACE)
    text = (
        f"{words(present.amount)} is {size} times the middle of the last {usual.count} approved "
        f"({words(usual.middle)}); nine in ten were at most {words(usual.nine_in_ten)}, "
        f"the largest {words(usual.largest)}."
    )
    return [Signal("amount", present.amount_pointer, text)]


def _repeated(
    present: Present, now: Sequence[Leaf], past: Sequence[tuple[Earlier, list[Leaf]]]
) -> list[Signal]:
    """The newest approved proposal with the same material fields, if its effect stands: perhaps a second payment."""
    mine = _identity(present, present.amount, present.subject, now)
    if mine is None:
        return []
    for one, found in sorted(past, key=lambda pair: pair[0].changed_at, reverse=True):
        if one.stands and _identity(present, one.amount, one.subject, found) == mine:
            words = "The same was approved before, with the same values in every field that matters."
            return [Signal("repeated", "", words, one.id)]
    return []


def _identity(
    present: Present, amount: Decimal | None, subject: tuple[str, str], found: Sequence[Leaf]
) -> tuple[Any, ...] | None:
    """The material values and whatever names a thing; None where no value of them is the number of an order, an invoice
    or the like: two vouchers for one customer are no repetition."""
    material = tuple(present.material)
    chosen = [
        (leaf.pointer, lookalikes.plain(leaf.text))
        for leaf in found
        if _KEY.search(leaf.general.rpartition("/")[2])
        or any(f"{leaf.pointer}/".startswith(f"{one}/") for one in material)
    ]
    numbered = (text for pointer, text in chosen if _KEY.search(pointer.rpartition("/")[2]))
    if not any(any(character.isdigit() for character in text) for text in numbered):
        return None
    return (amount, subject, tuple(sorted(chosen)))


def _name(present: Present, leaf: Leaf) -> str:
    return present.labels.get(leaf.pointer) or leaf.pointer.rpartition("/")[2]
