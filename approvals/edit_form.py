"""A form for arguments, generated from the action type's JSON Schema, that works as plain HTML.

Names of controls are JSON Pointers; how many items a list has is in the form itself, so that adding and removing rows
is an ordinary submit. What was not touched keeps its exact former value: browsers change line ends and drop what they
cannot show, and an edit must never change more than the reviewer did."""

import json
import re
from dataclasses import dataclass, field
from typing import Any

from django.http import QueryDict

from agents import pointers, schemas, strict_json
from approvals.sheet import ordered, resolved

MAX_ITEMS = 200
MAX_DEPTH = 8
_ABSENT = pointers.MISSING
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?\Z")


@dataclass(slots=True)
class Node:
    """One control, or a group of them. `kind`: text, lines, number, choice, group, list, json."""

    kind: str
    pointer: str
    label: str
    help: str = ""
    required: bool = False
    material: bool = False
    value: str = ""
    bounds: str = ""
    choices: list[tuple[str, str]] = field(default_factory=list)
    children: list["Node"] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    changed: bool = False
    was: str = ""
    input_type: str = "text"
    can_add: bool = True
    can_remove: bool = True

    @property
    def id(self) -> str:
        return "f" + re.sub(r"[^A-Za-z0-9]+", "-", self.pointer)


class EditForm:
    """The form's tree from the arguments (or from what was sent), the arguments it stands for, its errors."""

    def __init__(
        self,
        *,
        schema: dict[str, Any],
        arguments: dict[str, Any],
        material: list[str],
        data: QueryDict | None = None,
    ) -> None:
        self.schema = schema
        self.before = arguments
        self.material = frozenset(material)
        self.data = data
        self.faults: dict[str, list[str]] = {}
        self.root = self._node(schema, arguments, "", "Arguments", required=True, depth=0)
        self.arguments: dict[str, Any] = {}
        if data is not None:
            self.arguments = self._value(self.root, schema, arguments)

    @property
    def fields(self) -> list[Node]:
        return self.root.children

    def is_valid(self) -> bool:
        """Whether the arguments fit the schema; every fault stands beside its field."""
        if not self.faults:
            for fault in schemas.errors(self.schema, self.arguments):
                self.faults.setdefault(self._beside(fault.field, fault.message), []).append(fault.message)
        self._put_errors(self.root)
        return not self.faults

    @property
    def errors(self) -> list[tuple[Node | None, str]]:
        """Every fault with the control it stands beside, for the list above the form."""
        nodes = {node.pointer: node for node in _walk(self.root)}
        return [(nodes.get(pointer), text) for pointer, texts in self.faults.items() for text in texts]

    # Building the tree

    def _node(self, schema: Any, value: Any, pointer: str, label: str, *, required: bool, depth: int) -> Node:
        part = resolved(self.schema, schema)
        node = Node(
            kind=_kind(part, value, depth),
            pointer=pointer,
            label=str(part.get("title") or label),
            help=str(part.get("description", "")),
            required=required,
            material=pointer in self.material,
            bounds=_bounds(part),
        )
        match node.kind:
            case "group":
                self._fill_group(node, part, value, depth)
            case "list":
                self._fill_list(node, part, value, depth)
            case _:
                self._fill_control(node, part, value)
        return node

    def _fill_group(self, node: Node, part: dict[str, Any], value: Any, depth: int) -> None:
        given = value if isinstance(value, dict) else {}
        properties = part.get("properties", {})
        needed = part.get("required", [])
        for name in [
            *ordered(part, node.pointer, self.material),
            *(name for name in given if name not in properties),
        ]:
            node.children.append(
                self._node(
                    properties.get(name, {}),
                    given.get(name, _ABSENT),
                    _below(node.pointer, name),
                    name.replace("_", " ").capitalize(),
                    required=name in needed,
                    depth=depth + 1,
                )
            )

    def _fill_list(self, node: Node, part: dict[str, Any], value: Any, depth: int) -> None:
        given = value if isinstance(value, list) else []
        rows = self._rows(node, given)
        node.value = str(len(rows))
        node.can_add = len(rows) < min(int(part.get("maxItems", MAX_ITEMS)), MAX_ITEMS)
        node.can_remove = len(rows) > int(part.get("minItems", 0))
        for index, item in enumerate(rows):
            pointer = f"{node.pointer}/{index}"
            child = self._node(
                part.get("items", {}),
                item,
                pointer,
                f"{node.label} {index + 1}",
                required=True,
                depth=depth + 1,
            )
            node.children.append(child)

    def _rows(self, node: Node, given: list[Any]) -> list[Any]:
        """The items to show: those given, or as many as the form that was sent had, with rows added and removed."""
        if self.data is None:
            return given
        sent = self.data.get(f"count:{node.pointer}", "")
        count = min(int(sent), MAX_ITEMS) if sent.isascii() and sent.isdigit() else len(given)
        rows: list[Any] = [given[index] if index < len(given) else _ABSENT for index in range(count)]
        if self.data.get("add") == node.pointer and count < MAX_ITEMS:
            rows.append(_ABSENT)
        return rows

    def _fill_control(self, node: Node, part: dict[str, Any], value: Any) -> None:
        shown = _shown(node.kind, part, value)
        node.choices = _choices(part, value, required=node.required) if node.kind == "choice" else []
        node.value = shown
        if node.kind == "text":
            node.input_type = {"date": "date", "email": "email", "time": "time"}.get(
                part.get("format", ""), "text"
            )
        if self.data is not None and f"v:{node.pointer}" in self.data:
            node.value = self.data.get(f"v:{node.pointer}", "").replace("\r\n", "\n")
            node.changed = node.value != shown.replace("\r\n", "\n")
            node.was = shown if node.changed and value is not _ABSENT else ""

    # Reading what was sent

    def _value(self, node: Node, schema: Any, before: Any) -> Any:
        part = resolved(self.schema, schema)
        match node.kind:
            case "group":
                given = before if isinstance(before, dict) else {}
                properties = part.get("properties", {})
                found = {}
                for child in node.children:
                    name = pointers.parse(child.pointer)[-1]
                    value = self._value(child, properties.get(name, {}), given.get(name, _ABSENT))
                    if value is not _ABSENT:
                        found[name] = value
                empty_group = not found and before is _ABSENT and not node.required
                return _ABSENT if empty_group else found
            case "list":
                given_items = before if isinstance(before, list) else []
                values = [
                    self._value(
                        child, part.get("items", {}), given_items[i] if i < len(given_items) else _ABSENT
                    )
                    for i, child in enumerate(node.children)
                ]
                kept = [value for value in values if value is not _ABSENT]
                return _ABSENT if not kept and before is _ABSENT and not node.required else kept
            case _:
                return self._control_value(node, part, before)

    def _control_value(self, node: Node, part: dict[str, Any], before: Any) -> Any:
        if not node.changed:
            return before if before is not _ABSENT or not node.required else self._empty(part)
        text = node.value
        if node.kind == "choice":
            return _chosen(part, before, text)
        if node.kind == "number":
            return self._number(node, part, text)
        if node.kind == "json":
            return self._json(node, text)
        if text == "" and not node.required:
            return "" if before == "" else _ABSENT
        return text

    def _number(self, node: Node, part: dict[str, Any], text: str) -> Any:
        text = text.strip()
        if text == "":
            return None if "null" in _types(part) else _ABSENT
        if not _NUMBER.match(text):
            self.faults.setdefault(node.pointer, []).append(
                "Write a number with digits and a point only, like 1240.50"
            )
            return _ABSENT
        return self._json(node, text)

    def _json(self, node: Node, text: str) -> Any:
        if text.strip() == "":
            return _ABSENT
        try:
            return strict_json.loads(text.encode())
        except ValueError as error:
            self.faults.setdefault(node.pointer, []).append(f"Not acceptable JSON: {error}")
            return _ABSENT

    def _empty(self, part: dict[str, Any]) -> Any:
        return "" if _types(part) == ["string"] and "enum" not in part else _ABSENT

    # Errors

    def _beside(self, pointer: str, message: str) -> str:
        """A missing property is reported at its group; show it at the control that is empty."""
        match = re.match(r'"(.+)" is a required property', message)
        if match:
            return _below(pointer, match[1])
        return pointer

    def _put_errors(self, root: Node) -> None:
        nodes = {node.pointer: node for node in _walk(root)}
        for pointer, texts in self.faults.items():
            while pointer not in nodes and pointer:
                pointer = pointer.rpartition("/")[0]
            nodes.get(pointer, root).errors = texts


def _walk(node: Node) -> list[Node]:
    return [node, *(found for child in node.children for found in _walk(child))]


def removed(data: QueryDict) -> QueryDict:
    """The form's data without the row named by its remove button; later rows move up by one."""
    target = data.get("remove", "")
    head, _, last = target.rpartition("/")
    if not last.isdigit():
        return data
    gone = int(last)
    moved = data.copy()
    for key in list(data):
        prefix, _, pointer = key.partition(":")
        if prefix not in ("v", "count") or not pointer.startswith(head + "/"):
            continue
        index, slash, rest = pointer[len(head) + 1 :].partition("/")
        if not index.isdigit() or int(index) < gone:
            continue
        values = data.getlist(key)
        moved.pop(key)
        if int(index) > gone:
            moved.setlist(f"{prefix}:{head}/{int(index) - 1}{slash}{rest}", values)
    count = data.get(f"count:{head}", "0")
    moved[f"count:{head}"] = str(max(int(count) - 1, 0)) if count.isdigit() else "0"
    return moved


def _types(part: dict[str, Any]) -> list[str]:
    kind = part.get("type", [])
    return [kind] if isinstance(kind, str) else [str(one) for one in kind]


def _kind(part: dict[str, Any], value: Any, depth: int) -> str:
    if any(word in part for word in ("oneOf", "anyOf", "allOf", "if", "not")) or depth > MAX_DEPTH:
        return "json" if depth else "group"
    if "enum" in part or "const" in part:
        return "choice"
    plain = [one for one in _types(part) if one != "null"]
    if len(plain) != 1:
        return "json" if depth else "group"
    kind = {
        "object": "group",
        "array": "list",
        "boolean": "choice",
        "number": "number",
        "integer": "number",
    }.get(plain[0], "text")
    if not _fits(kind, value):
        return "json"
    if kind == "group" and not part.get("properties") and depth:
        return "json"
    if kind == "list" and not isinstance(part.get("items", {}), dict):
        return "json"
    if kind == "text" and _is_long(part, value):
        return "lines"
    return kind


def _fits(kind: str, value: Any) -> bool:
    """Whether the control can hold the value as it is; what an agent sent against the schema is edited as JSON."""
    if value is _ABSENT or value is None:
        return value is _ABSENT or kind in ("text", "number", "choice")
    expected: dict[str, type | tuple[type, ...]] = {
        "group": dict, "list": list, "text": str, "number": (int, float), "choice": bool,
    }  # fmt: skip
    return isinstance(value, expected[kind]) and not (kind == "number" and isinstance(value, bool))


def _is_long(part: dict[str, Any], value: Any) -> bool:
    text = value if isinstance(value, str) else ""
    return "\n" in text or len(text) > 80 or int(part.get("maxLength", 0)) > 200


def _shown(kind: str, part: dict[str, Any], value: Any) -> str:
    if value is _ABSENT or (value is None and kind in ("text", "lines", "number")):
        return ""
    if kind == "choice":
        return _key(value)
    if kind in ("number", "json"):
        return json.dumps(value, ensure_ascii=False, indent=2 if isinstance(value, dict | list) else None)
    return str(value)


def _key(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def _options(part: dict[str, Any]) -> list[Any]:
    if "const" in part:
        return [part["const"]]
    return list(part["enum"]) if "enum" in part else [True, False]


def _choices(part: dict[str, Any], value: Any, *, required: bool) -> list[tuple[str, str]]:
    options = _options(part)
    found = [(_key(option), _word(option)) for option in options]
    if value is not _ABSENT and value not in options:
        found.insert(0, (_key(value), f"{_word(value)} (not allowed)"))
    if value is _ABSENT or not required:
        found.insert(0, ("", "—"))
    return found


def _chosen(part: dict[str, Any], before: Any, key: str) -> Any:
    options = [*_options(part), *([] if before is _ABSENT else [before])]
    return next((option for option in options if _key(option) == key), _ABSENT)


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "nothing" if value is None else str(value)


_BOUNDS = (("minimum", "from {}"), ("exclusiveMinimum", "more than {}"), ("maximum", "up to {}"),
           ("exclusiveMaximum", "less than {}"), ("minLength", "at least {} characters"),
           ("maxLength", "at most {} characters"), ("pattern", "in the form {}"), ("minItems", "at least {} items"),
           ("maxItems", "at most {} items"))  # fmt: skip


def _bounds(part: dict[str, Any]) -> str:
    return ", ".join(words.format(part[key]) for key, words in _BOUNDS if key in part)


def _below(pointer: str, name: str) -> str:
    return f"{pointer}/{name.replace('~', '~0').replace('/', '~1')}"
