"""The steps a form takes between opening and sending: rows added, taken out and moved, parts put in, edits undone.

Each is an ordinary submit of the same form, so that it works without JavaScript; here they are changes to what was
sent. Names of controls are `<prefix>:<key>`, the key a JSON Pointer: `v` a value, `e` what an empty control means,
`has` whether a part is given, `from` which of the agent's rows each row was (`n` for a new one), `count` how many there
are, `b` the branch chosen and `at` the one shown, `names` what was added to an open object."""

from django.http import QueryDict

STEPS = ("add", "remove", "up", "down", "give", "drop", "null", "undo", "switch", "name")
NEW = "n"
_PREFIXES = ("v", "e", "has", "from", "count", "b", "at", "names", "name")


def step_of(data: QueryDict) -> tuple[str, str] | None:
    """The step asked for and the key it is about."""
    return next(((verb, data.get(verb, "")) for verb in STEPS if verb in data), None)


def after(data: QueryDict, verb: str, key: str) -> tuple[QueryDict, str]:
    """The data once the step is done, and the key of the control that takes the focus."""
    moved = data.copy()
    for name in STEPS:
        moved.pop(name, None)
    match verb:
        case "add":
            rows = _origins(moved, key)
            _set_origins(moved, key, [*rows, NEW])
            moved[f"has:{key}"] = "given"
            return moved, f"{key}/{len(rows)}"
        case "remove":
            return _without(moved, key)
        case "up" | "down":
            return _swapped(moved, key, -1 if verb == "up" else 1)
        case "give" | "drop" | "null":
            moved[f"has:{key}"] = {"give": "given", "drop": "absent", "null": "null"}[verb]
        case "undo":
            _forget(moved, key)
        case "name":
            return _named(moved, key)
    return moved, key


def _origins(data: QueryDict, key: str) -> list[str]:
    given = data.get(f"from:{key}")
    if given is not None:
        return [one for one in given.split(",") if one]
    count = data.get(f"count:{key}", "")
    return [str(index) for index in range(min(int(count), 1000))] if _is_index(count) else []


def _set_origins(data: QueryDict, key: str, rows: list[str]) -> None:
    data[f"from:{key}"] = ",".join(rows)
    data[f"count:{key}"] = str(len(rows))


def _is_index(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 9


def _row(key: str) -> tuple[str, int] | None:
    head, _, last = key.rpartition("/")
    return (head, int(last)) if _is_index(last) else None


def _renumbered(data: QueryDict, head: str, places: dict[int, int | None]) -> None:
    """Move the controls of a list's rows to their new places; a row that goes to None is gone."""
    moves: dict[str, list[str]] = {}
    for name in list(data):
        prefix, _, key = name.partition(":")
        if prefix not in _PREFIXES or not key.startswith(head + "/"):
            continue
        index, slash, rest = key[len(head) + 1 :].partition("/")
        if not _is_index(index) or int(index) not in places:
            continue
        values = data.getlist(name)
        data.pop(name)
        place = places[int(index)]
        if place is not None:
            moves[f"{prefix}:{head}/{place}{slash}{rest}"] = values
    for name, values in moves.items():
        data.setlist(name, values)


def _without(data: QueryDict, key: str) -> tuple[QueryDict, str]:
    found = _row(key)
    if found is None:
        return data, key
    head, gone = found
    rows = _origins(data, head)
    if gone >= len(rows):
        return data, head
    _renumbered(data, head, {gone: None} | {place: place - 1 for place in range(gone + 1, len(rows))})
    del rows[gone]
    _set_origins(data, head, rows)
    return data, f"{head}/{min(gone, len(rows) - 1)}" if rows else head


def _swapped(data: QueryDict, key: str, by: int) -> tuple[QueryDict, str]:
    found = _row(key)
    if found is None:
        return data, key
    head, here = found
    rows = _origins(data, head)
    there = here + by
    if here >= len(rows) or not 0 <= there < len(rows):
        return data, key
    _renumbered(data, head, {here: there, there: here})
    rows[here], rows[there] = rows[there], rows[here]
    _set_origins(data, head, rows)
    return data, f"{head}/{there}"


def _forget(data: QueryDict, key: str) -> None:
    """Everything below a key as the agent had it."""
    for name in list(data):
        prefix, _, below = name.partition(":")
        if prefix in _PREFIXES and (below == key or below.startswith(key + "/")):
            data.pop(name)


def _named(data: QueryDict, key: str) -> tuple[QueryDict, str]:
    """A member of the reviewer's own, by the name in the box beside the button."""
    name = data.get(f"name:{key}", "").strip()
    data.pop(f"name:{key}", None)
    if name and name not in data.getlist(f"names:{key}"):
        data.appendlist(f"names:{key}", name)
    return data, key_below(key, name) if name else key


def key_below(key: str, name: str) -> str:
    """The key of a member. Beyond JSON Pointer, what a browser would change in a control's name is escaped."""
    escaped = name.replace("~", "~0").replace("/", "~1")
    return f"{key}/{escaped.replace('%', '%25').replace(chr(13), '%0D').replace(chr(10), '%0A')}"
