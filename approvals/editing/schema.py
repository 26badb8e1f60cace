"""What a part of a JSON Schema means for a form: which control, which choices, which words of help. Pure.

Only for display: whether arguments fit is always asked of the validator, with the schema as it is stored."""

import json
from dataclasses import dataclass
from typing import Any

from agents import pointers
from approvals import canonical
from approvals.reading.sheet import resolved

ABSENT = pointers.MISSING
MAX_DEPTH = 8
RADIOS = 5
"""Up to so many choices are all shown at once."""
LONG_TEXT = 80
MAX_ITEMS = 200
"""So many rows of a list have controls of their own; longer lists are edited as JSON."""
_ANNOTATIONS = ("title", "description", "default", "examples", "readOnly", "x-unit", "unit")


@dataclass(frozen=True, slots=True)
class Branch:
    """One of several shapes an object may have; `key` is the value that tells it from the others."""

    key: str
    label: str
    value: Any
    part: dict[str, Any]


def part_of(root: dict[str, Any], schema: Any, *, depth: int = 0) -> dict[str, Any]:
    """The schema with its reference followed, a lone `allOf` merged in, and "this or null" made a nullable part."""
    part = _followed(root, schema)
    if depth > MAX_DEPTH:
        return part
    if isinstance(part.get("allOf"), list):
        rest = {key: value for key, value in part.items() if key != "allOf"}
        part = _together(*(part_of(root, one, depth=depth + 1) for one in part["allOf"]), rest)
    for word in ("anyOf", "oneOf"):
        options = part.get(word)
        if not isinstance(options, list) or len(options) != 2:
            continue
        inner = [part_of(root, one, depth=depth + 1) for one in options]
        others = [one for one in inner if not _is_null(one)]
        if len(others) == 1:
            rest = {key: value for key, value in part.items() if key != word}
            return _nullable(_together(others[0], rest))
    return part


def _followed(root: dict[str, Any], schema: Any) -> dict[str, Any]:
    part = resolved(root, schema)
    beside = schema if isinstance(schema, dict) and "$ref" in schema else {}
    return part | {key: beside[key] for key in _ANNOTATIONS if key in beside}


def _together(*parts: dict[str, Any]) -> dict[str, Any]:
    """Several schemas that all hold, as far as a form is concerned; what stands last has the last word."""
    merged: dict[str, Any] = {}
    for part in parts:
        properties = {**merged.get("properties", {}), **part.get("properties", {})}
        needed = [*merged.get("required", []), *part.get("required", [])]
        merged |= part
        if properties:
            merged["properties"] = properties
        if needed:
            merged["required"] = list(dict.fromkeys(needed))
    return merged


def _is_null(part: dict[str, Any]) -> bool:
    return part.get("type") == "null" or ("const" in part and part["const"] is None)


def _nullable(part: dict[str, Any]) -> dict[str, Any]:
    found = dict(part)
    if "const" in found:
        found["enum"] = [found.pop("const"), None]
    elif "enum" in found and None not in found["enum"]:
        found["enum"] = [*found["enum"], None]
    if "type" in found:
        found["type"] = list(dict.fromkeys([*types(found), "null"]))
    return found


def types(part: dict[str, Any]) -> list[str]:
    kind = part.get("type", [])
    return [kind] if isinstance(kind, str) else [str(one) for one in kind]


def kind_of(root: dict[str, Any], part: dict[str, Any], value: Any, depth: int) -> str:
    """The control: text, lines, moment, number, choice, fixed, json, or group, list, union of further controls.

    A value that the control could not hold as it is, is edited as JSON."""
    if depth == 0:
        return "union" if branches(root, part) and branch_of(root, part, value) else "group"
    if depth > MAX_DEPTH:
        return "json"
    if part.get("readOnly") is True or ("const" in part and value in (part["const"], ABSENT)):
        return "fixed"
    if "enum" in part or "const" in part:
        return "choice"
    if branches(root, part):
        fits = value is ABSENT or value is None or branch_of(root, part, value) is not None
        return "union" if fits else "json"
    plain = [one for one in types(part) if one != "null"]
    if len(plain) != 1:
        return "json"
    kind = _BY_TYPE.get(plain[0], "json")
    if not _fits(kind, part, value):
        return "json"
    if kind == "group" and not part.get("properties") and not is_open(part):
        return "json"
    if kind == "list" and isinstance(value, list) and len(value) > MAX_ITEMS:
        return "json"
    if kind == "list" and ("prefixItems" in part or not isinstance(part.get("items", {}), dict)):
        return "json"
    if kind == "text" and part.get("format") == "date-time":
        return "moment"
    return "lines" if kind == "text" and _is_long(part, value) else kind


_BY_TYPE = {
    "object": "group",
    "array": "list",
    "boolean": "choice",
    "number": "number",
    "integer": "number",
    "string": "text",
}


def _fits(kind: str, part: dict[str, Any], value: Any) -> bool:
    if value is ABSENT:
        return True
    if value is None:
        return "null" in types(part)
    expected: dict[str, type | tuple[type, ...]] = {
        "group": dict, "list": list, "text": str, "number": (int, float), "choice": bool,
    }  # fmt: skip
    return isinstance(value, expected.get(kind, object)) and not (
        kind == "number" and isinstance(value, bool)
    )


def _is_long(part: dict[str, Any], value: Any) -> bool:
    """Whether it needs an area of its own: a line end would be dropped by a one-line control."""
    text = value if isinstance(value, str) else ""
    return "\n" in text or "\r" in text or len(text) > LONG_TEXT or int(part.get("maxLength", 0)) > 200


def takes_empty_text(part: dict[str, Any]) -> bool:
    """Whether a text may be there and empty."""
    return "string" in types(part) and not int(part.get("minLength", 0)) and "format" not in part


def is_open(part: dict[str, Any]) -> bool:
    """Whether the schema says outright that names of one's own may be added."""
    extra = part.get("additionalProperties")
    return extra is True or (isinstance(extra, dict) and bool(extra))


def extra_part(part: dict[str, Any]) -> Any:
    """The schema of a member that `properties` does not name."""
    extra = part.get("additionalProperties")
    return extra if isinstance(extra, dict) else {}


def branches(root: dict[str, Any], part: dict[str, Any]) -> list[Branch]:
    """The shapes of a `oneOf` or `anyOf` whose branches are objects told apart by one constant; else none."""
    options = part.get("oneOf", part.get("anyOf"))
    if not isinstance(options, list) or not 2 <= len(options) <= 40:
        return []
    inner = [part_of(root, one, depth=1) for one in options if not _is_null(_followed(root, one))]
    name = _discriminator(inner)
    if not name:
        return []
    rest = {key: value for key, value in part.items() if key not in ("oneOf", "anyOf")}
    found = []
    for one in inner:
        value = _constant(part_of(root, one["properties"][name], depth=1))[0]
        label = str(one.get("title") or word(value).replace("_", " "))
        found.append(Branch(key(value), label, value, _together(rest, one)))
    return found


def discriminator(root: dict[str, Any], part: dict[str, Any]) -> str:
    """The name of the member whose constant tells the branches apart."""
    options = part.get("oneOf", part.get("anyOf", []))
    return _discriminator(
        [part_of(root, one, depth=1) for one in options if not _is_null(_followed(root, one))]
    )


def _discriminator(inner: list[dict[str, Any]]) -> str:
    if not inner or not all(isinstance(one.get("properties"), dict) for one in inner):
        return ""
    for name in inner[0]["properties"]:
        constants = [_constant(one["properties"].get(name)) for one in inner]
        keys = {key(found[0]) for found in constants if found}
        if all(constants) and len(keys) == len(inner):
            return str(name)
    return ""


def _constant(schema: Any) -> list[Any]:
    """The one value a schema allows, in a list; none when it allows several."""
    if not isinstance(schema, dict):
        return []
    if "const" in schema:
        return [schema["const"]]
    options = schema.get("enum")
    return list(options) if isinstance(options, list) and len(options) == 1 else []


def branch_of(root: dict[str, Any], part: dict[str, Any], value: Any) -> Branch | None:
    """The branch that a value takes, by its discriminating member."""
    name = discriminator(root, part)
    if not isinstance(value, dict) or not name or name not in value:
        return None
    return next((one for one in branches(root, part) if one.key == key(value[name])), None)


def key(value: Any) -> str:
    """A value as the control of a choice carries it: its canonical JSON."""
    return canonical.arguments_bytes(value).decode()


def word(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "nothing (null)"
    return value if isinstance(value, str) else key(value)


def options(part: dict[str, Any]) -> list[Any]:
    """What a choice offers, null too where the type allows it."""
    if "const" in part:
        return [part["const"]]
    if "enum" in part:
        return list(part["enum"])
    return [True, False, *([None] if "null" in types(part) else [])]


# Words of help

_BOUNDS = (
    ("minimum", "at least {}"),
    ("exclusiveMinimum", "more than {}"),
    ("maximum", "at most {}"),
    ("exclusiveMaximum", "less than {}"),
    ("multipleOf", "in steps of {}"),
    ("minLength", "at least {} characters"),
    ("maxLength", "at most {} characters"),
    ("pattern", "in the form {}"),
    ("minItems", "at least {} entries"),
    ("maxItems", "at most {} entries"),
    ("minProperties", "at least {} names"),
    ("maxProperties", "at most {} names"),
)
_FORMATS = {
    "date": "a date",
    "time": "a time with its offset, like 14:30:00Z or 14:30:00+02:00",
    "email": "an e-mail address",
    "idn-email": "an e-mail address",
    "uri": "a full address, like https://example.com/",
    "iri": "a full address, like https://example.com/",
    "uuid": "a UUID",
    "ipv4": "an IPv4 address",
    "ipv6": "an IPv6 address",
    "hostname": "a host name",
    "duration": "a duration, like P3D or PT4H",
}


def bounds(part: dict[str, Any]) -> list[str]:
    """What is allowed, in short phrases: limits, form, steps, what is usual."""
    found = [_FORMATS[part["format"]]] if part.get("format") in _FORMATS else []
    if types(part) and types(part)[0] == "integer":
        found.append("a whole number")
    found += [_bound(words, part[name]) for name, words in _BOUNDS if name in part]
    if part.get("uniqueItems") is True:
        found.append("no entry twice")
    if "default" in part:
        found.append(f"usually {_plain(part['default'])}")
    examples = part.get("examples")
    if isinstance(examples, list) and examples:
        found.append("for example " + ", ".join(_plain(one) for one in examples[:3]))
    return found


def _bound(words: str, value: Any) -> str:
    text = words.format(_plain(value))
    return (
        text.removesuffix("ies") + "y"
        if value == 1 and text.endswith("ies")
        else (text.removesuffix("s") if value == 1 and text.endswith("s") else text)
    )


def _plain(value: Any) -> str:
    if isinstance(value, str):
        return value[:200] or "empty"
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)[:200]
    return word(value)


def unit(part: dict[str, Any]) -> str:
    found = part.get("x-unit", part.get("unit", ""))
    return found[:40] if isinstance(found, str) else ""


def input_mode(part: dict[str, Any], kind: str) -> str:
    """The keyboard a telephone should show. Keypads without a minus only where no minus can be meant."""
    if kind == "number":
        floor = part.get("minimum", part.get("exclusiveMinimum", -1))
        if isinstance(floor, int | float) and floor >= 0:
            return "numeric" if "integer" in types(part) else "decimal"
        return "text"
    return {"email": "email", "idn-email": "email", "uri": "url", "iri": "url"}.get(
        part.get("format", ""), "text"
    )
