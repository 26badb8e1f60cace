"""A JSON Schema as a person reads it: one row for each argument. Pure."""

from dataclasses import dataclass
from typing import Any

MAX_DEPTH = 4


@dataclass(frozen=True, slots=True)
class Row:
    """One argument. `depth` says how far it stands inside others, `kind` and `bounds` are words for people."""

    pointer: str
    name: str
    label: str
    kind: str
    bounds: str
    help: str
    required: bool
    material: bool
    depth: int


_BOUNDS = (
    ("minimum", "at least {}"),
    ("exclusiveMinimum", "more than {}"),
    ("maximum", "at most {}"),
    ("exclusiveMaximum", "less than {}"),
    ("multipleOf", "a multiple of {}"),
    ("minLength", "at least {} characters"),
    ("maxLength", "at most {} characters"),
    ("pattern", "matching {}"),
    ("format", "in the form of {}"),
    ("minItems", "at least {} items"),
    ("maxItems", "at most {} items"),
    ("const", "always {}"),
)


def fields(schema: dict[str, Any], *, material: list[str]) -> list[Row]:
    """The schema's properties in order, nested ones below the one that holds them."""
    return list(_rows(schema, "", 0, frozenset(material)))


def _rows(schema: Any, pointer: str, depth: int, material: frozenset[str]) -> list[Row]:
    if not isinstance(schema, dict) or depth >= MAX_DEPTH:
        return []
    found = []
    for name, part in schema.get("properties", {}).items():
        part = part if isinstance(part, dict) else {}
        own = f"{pointer}/{name.replace('~', '~0').replace('/', '~1')}"
        found.append(
            Row(
                pointer=own,
                name=name,
                label=str(part.get("title", "")),
                kind=_kind(part),
                bounds=", ".join(words.format(part[key]) for key, words in _BOUNDS if key in part),
                help=str(part.get("description", "")),
                required=name in schema.get("required", []),
                material=own in material,
                depth=depth,
            )
        )
        found += _rows(part, own, depth + 1, material)
        found += _rows(part.get("items"), f"{own}/0", depth + 1, material)
    return found


def _kind(part: dict[str, Any]) -> str:
    if "enum" in part:
        return "one of " + ", ".join(str(value) for value in part["enum"])
    kind = part.get("type", "anything")
    if isinstance(kind, list):
        return " or ".join(str(one) for one in kind)
    if kind == "array":
        items = part.get("items")
        inner = items.get("type", "anything") if isinstance(items, dict) else "anything"
        return f"list of {inner}"
    return {"object": "group", "boolean": "yes or no", "integer": "whole number", "string": "text"}.get(
        str(kind), str(kind)
    )
