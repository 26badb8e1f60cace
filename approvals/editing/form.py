"""A form for arguments, generated from the action type's JSON Schema, that works as plain HTML.

What was not touched keeps its exact former value: browsers change line ends and drop what they cannot show, and an edit
must never change more than the reviewer did. So every control is compared with what it showed, and a row knows which of
the agent's rows it was, wherever it has been moved."""

import json
import re
from datetime import UTC, tzinfo
from typing import Any

from django.http import QueryDict

from agents import schemas
from approvals.editing import rows as edit_rows
from approvals.editing import schema as edit_schema
from approvals.editing import values as edit_values
from approvals.editing.node import Node, below, choices, member, too_large, walk
from approvals.editing.rows import key_below
from approvals.editing.schema import ABSENT
from approvals.editing.values import Unreadable
from approvals.reading.sheet import Money, ordered


class EditForm:
    """The form's tree from the arguments (or from what was sent), the arguments it stands for, its errors."""

    def __init__(
        self,
        *,
        schema: dict[str, Any],
        arguments: dict[str, Any],
        material: list[str],
        data: QueryDict | None = None,
        zone: tzinfo = UTC,
        money: Money | None = None,
        focus: str = "",
        is_step: bool = False,
    ) -> None:
        """`is_step`: rows are being added or moved, nothing is sent, so that no fault is told beside its field yet."""
        self.schema = schema
        self.before = arguments
        self.material = frozenset(material)
        self.data = data
        self.zone = zone
        self.money = money or Money()
        self.focus = focus
        self.is_step = is_step
        self.faults: dict[str, list[str]] = {}
        self.as_json = too_large(arguments)
        self.root = self._node(schema, arguments, "", "", "Arguments", required=True, depth=0)
        self.nodes = {node.pointer: node for node in walk(self.root)}
        self.arguments: Any = arguments
        if data is not None:
            value = self._value(self.root, arguments)
            self.arguments = {} if value is ABSENT else value
            self._check()
        self._place_focus()

    @property
    def fields(self) -> list[Node]:
        """What stands in the form: the arguments one by one, or all of them as one text where they are too many."""
        return self.root.children if self.root.kind == "group" else [self.root]

    def is_valid(self) -> bool:
        """Whether the arguments could be read and fit the schema; every fault stands beside its field."""
        return not self.faults

    @property
    def errors(self) -> list[tuple[Node | None, str]]:
        """Every fault with the control it stands beside, for the list above the form."""
        return [(self._nearest(pointer), text) for pointer, texts in self.faults.items() for text in texts]

    # Building the tree

    def _node(
        self,
        schema: Any,
        value: Any,
        pointer: str,
        key: str,
        label: str,
        *,
        required: bool,
        depth: int,
        row: int = 0,
    ) -> Node:
        part = edit_schema.part_of(self.schema, schema)
        kind = "json" if pointer in self.as_json else edit_schema.kind_of(self.schema, part, value, depth)
        title = str(part.get("title", ""))
        if row:
            label = f"{title or label} {row}"
        node = Node(
            kind=kind,
            pointer=pointer,
            key=key,
            label=label if row else title or label,
            part=part,
            help=str(part.get("description", "")),
            bounds=edit_schema.bounds(part) if kind not in ("json", "fixed") else [],
            unit=edit_schema.unit(part),
            required=required,
            material=pointer in self.material,
            is_new=value is ABSENT,
        )
        if pointer and pointer == self.money.pointer:
            node.unit = self.money.currency
        if node.is_control:
            self._fill_control(node, value)
        else:
            self._fill_presence(node, value)
            if node.presence == "given":
                fill = {"group": self._fill_group, "list": self._fill_list, "union": self._fill_union}[kind]
                fill(node, value, depth)
        return node

    def _sent(self, prefix: str, node: Node) -> str | None:
        return None if self.data is None else self.data.get(f"{prefix}:{node.key}")

    def _fill_presence(self, node: Node, value: Any) -> None:
        node.removable = bool(node.key) and not node.required
        node.nullable = "null" in edit_schema.types(node.part)
        before = "null" if value is None else "absent" if value is ABSENT and node.removable else "given"
        sent = self._sent("has", node)
        allowed = {before, "given"} | ({"absent"} if node.removable else set())
        node.presence = sent if sent in allowed | ({"null"} if node.nullable else set()) else before
        node.changed = node.presence != before

    def _fill_group(self, node: Node, value: Any, depth: int) -> None:
        given = value if isinstance(value, dict) else {}
        self._fill_members(node, node.part, given, depth)

    def _fill_members(self, node: Node, part: dict[str, Any], given: dict[str, Any], depth: int) -> None:
        properties = part.get("properties", {})
        node.nameable = edit_schema.is_open(part)
        if self.data is not None and node.nameable:
            node.names = [
                name
                for name in dict.fromkeys(self.data.getlist(f"names:{node.key}"))
                if name not in properties and name not in given and "\x00" not in name
            ][: edit_schema.MAX_ITEMS]
        known = ordered(part, node.pointer, self.material)
        for name in [*known, *(name for name in given if name not in properties), *node.names]:
            extra = name not in properties
            node.children.append(
                self._node(
                    edit_schema.extra_part(part) if extra else properties[name],
                    given.get(name, ABSENT),
                    below(node.pointer, name),
                    key_below(node.key, name),
                    name if extra else name.replace("_", " ").strip().capitalize() or name,
                    required=name in part.get("required", []),
                    depth=depth + 1,
                )
            )

    def _fill_list(self, node: Node, value: Any, depth: int) -> None:
        given = value if isinstance(value, list) else []
        origins = self._origins(node, given)
        node.origins = ",".join(edit_rows.NEW if origin is None else str(origin) for origin in origins)
        node.changed |= origins != list(range(len(given)))
        limit = min(int(node.part.get("maxItems", edit_schema.MAX_ITEMS)), edit_schema.MAX_ITEMS)
        node.can_add = len(origins) < limit
        node.can_remove = len(origins) > int(node.part.get("minItems", 0))
        for index, origin in enumerate(origins):
            child = self._node(
                node.part.get("items", {}),
                ABSENT if origin is None else given[origin],
                f"{node.pointer}/{index}",
                f"{node.key}/{index}",
                node.label,
                required=True,
                depth=depth + 1,
                row=index + 1,
            )
            child.is_row, child.is_first, child.is_last = True, index == 0, index == len(origins) - 1
            node.children.append(child)

    def _origins(self, node: Node, given: list[Any]) -> list[int | None]:
        """Which of the agent's rows stands where; None for a row of the reviewer's own."""
        sent = self._sent("from", node)
        count = self._sent("count", node)
        if sent is not None:
            rows: list[int | None] = [_index(one) for one in sent.split(",") if one]
        elif count is not None and _index(count) is not None:
            rows = list(range(min(int(count), edit_schema.MAX_ITEMS)))
        else:
            return list(range(len(given)))
        known: list[int | None] = [row if row is not None and row < len(given) else None for row in rows]
        return known[: edit_schema.MAX_ITEMS]

    def _fill_union(self, node: Node, value: Any, depth: int) -> None:
        """An object of one of several shapes: a choice of the shape, and the members of the one chosen."""
        found = edit_schema.branches(self.schema, node.part)
        before = edit_schema.branch_of(self.schema, node.part, value)
        node.choices = [(branch.key, branch.label) for branch in found]
        node.was = before.key if before else ""
        sent = self._sent("b", node)
        node.value = sent if sent in dict(node.choices) else node.was
        node.changed |= node.value != node.was
        shape = next((branch for branch in found if branch.key == node.value), None)
        if shape is None:
            return
        name = edit_schema.discriminator(self.schema, node.part)
        given = {key: one for key, one in value.items() if key != name} if isinstance(value, dict) else {}
        if shape.key != node.was:
            given = {key: one for key, one in given.items() if key in shape.part.get("properties", {})}
        properties = {key: one for key, one in shape.part.get("properties", {}).items() if key != name}
        self._fill_members(node, shape.part | {"properties": properties}, given, depth)
        if self.data is not None and self._sent("at", node) not in (None, node.value):
            self._fault(node, "Its fields are others now: look at them, then send again.")

    def _fill_control(self, node: Node, value: Any) -> None:
        node.was = edit_values.shown(node.kind, value, self.zone)
        node.value = node.was
        if node.kind == "fixed":
            if value is ABSENT and node.required and "const" in node.part:
                node.value = edit_values.shown("fixed", node.part["const"], self.zone)
            return
        if node.kind == "choice":
            node.choices = choices(node.part, value, required=node.required)
        self._fill_empties(node, value)
        sent = self._sent("v", node)
        if sent is not None:
            node.value = edit_values.typed(sent)
            node.changed = not edit_values.same(node.kind, node.was, sent)
            node.changed |= node.value == "" and node.was == "" and node.empty != node.was_empty
        node.input_type = edit_values.input_type(node.part, node.kind, node.value)
        node.input_mode = edit_schema.input_mode(node.part, node.kind)
        node.exactly = edit_values.exactly(node.kind, value, self.zone)
        node.zone = str(self.zone) if node.input_type == "datetime-local" else ""

    def _fill_empties(self, node: Node, value: Any) -> None:
        """What an empty control may stand for; asked only where there is more than one answer."""
        if node.kind not in ("text", "lines", "number", "moment"):
            return
        allowed = {}
        if not node.required:
            allowed["absent"] = "not given"
        if "null" in edit_schema.types(node.part):
            allowed["null"] = "nothing (null)"
        if edit_schema.takes_empty_text(node.part):
            allowed["text"] = "empty text"
        now = "absent" if value is ABSENT else "null" if value is None else "text" if value == "" else ""
        if now and now not in allowed and (value is not ABSENT or len(allowed) > 1):
            allowed = {now: "choose" if value is ABSENT else _EMPTY_WORDS[now]} | allowed
        node.empties = list(allowed.items()) if len(allowed) > 1 else []
        node.was_empty = now
        sent = self._sent("e", node)
        node.empty = sent if sent in allowed else now or next(iter(allowed), "")

    # Reading what was sent

    def _value(self, node: Node, before: Any) -> Any:
        if node.is_control:
            return self._control_value(node, before)
        if node.presence != "given":
            return None if node.presence == "null" else ABSENT
        if node.kind == "list":
            return self._list_value(node, before)
        return self._group_value(node, before)

    def _group_value(self, node: Node, before: Any) -> Any:
        given = before if isinstance(before, dict) else {}
        found = {}
        if node.kind == "union":
            shapes = edit_schema.branches(self.schema, node.part)
            shape = next((branch for branch in shapes if branch.key == node.value), None)
            if shape is None:
                self._fault(node, "Choose one.")
                return ABSENT
            name = edit_schema.discriminator(self.schema, node.part)
            found[name] = given[name] if node.value == node.was and name in given else shape.value
        for child in node.children:
            name = member(child.pointer)
            value = self._value(child, given.get(name, ABSENT))
            if value is not ABSENT:
                found[name] = value
        return found

    def _list_value(self, node: Node, before: Any) -> Any:
        given = before if isinstance(before, list) else []
        values = []
        for child, origin in zip(node.children, node.origins.split(","), strict=False):
            row = _index(origin)
            value = self._value(child, ABSENT if row is None else given[row])
            if value is ABSENT and child.pointer not in self.faults:
                self._fault(child, "Fill this in, or take the row out.")
            values.append(None if value is ABSENT else value)
        return values

    def _control_value(self, node: Node, before: Any) -> Any:
        if node.kind == "fixed":
            return node.part["const"] if _is_due(node, before) else before
        if not node.changed:
            untyped = before is ABSENT and node.required and node.kind in ("text", "lines")
            return "" if untyped and _may_stay_empty(node.part) else before
        text = node.value
        if node.kind == "choice":
            return edit_values.chosen(node.part, before, text)
        if text.strip() == "" and node.kind in ("number", "json", "moment"):
            return None if node.empty == "null" else "" if node.empty == "text" else ABSENT
        if text == "":
            return {"absent": ABSENT, "null": None}.get(node.empty, "")
        try:
            match node.kind:
                case "number":
                    return edit_values.number(text)
                case "json":
                    return edit_values.from_json(text)
                case "moment":
                    return edit_values.moment(text, before, self.zone)
        except Unreadable as error:
            self._fault(node, str(error))
            return ABSENT
        return edit_values.with_line_ends_of(before, text)

    # Errors

    def _fault(self, node: Node, text: str) -> None:
        self.faults.setdefault(node.pointer, []).append(text)

    def _check(self) -> None:
        """What could not be read, then what the schema says of the rest; one cause is told once."""
        unread = set(self.faults)
        if not isinstance(self.arguments, dict):
            self.faults.setdefault("", []).append("The arguments have to be an object: { … }.")
            return
        for fault in schemas.errors(self.schema, self.arguments):
            pointer, text = _beside(fault.field, fault.message)
            if any(pointer == one or one.startswith(pointer + "/") for one in unread):
                continue
            for at, words in self._inside_union(pointer, text):
                if words not in self.faults.get(at, []):
                    self.faults.setdefault(at, []).append(words)
        for pointer, texts in self.faults.items():
            node = self._nearest(pointer)
            node.errors = [] if self.is_step else [*node.errors, *texts]

    def _inside_union(self, pointer: str, text: str) -> list[tuple[str, str]]:
        """“Not valid under any” helps nobody: say what the chosen shape misses."""
        node = self.nodes.get(pointer)
        if node is None or node.kind != "union" or " valid under " not in text:
            return [(pointer, text)]
        shapes = edit_schema.branches(self.schema, node.part)
        shape = next((branch for branch in shapes if branch.key == node.value), None)
        if shape is None:
            return [(pointer, text)]
        shared = {name: self.schema[name] for name in ("$defs", "definitions") if name in self.schema}
        try:
            found = schemas.errors(shared | shape.part, _at(self.arguments, pointer))
        except ValueError:
            return [(pointer, text)]  # a reference that leads outside of what could be taken along
        inner = [_beside(fault.field, fault.message) for fault in found]
        return [(pointer + at, words) for at, words in inner] or [(pointer, text)]

    def _nearest(self, pointer: str) -> Node:
        while pointer and pointer not in self.nodes:
            pointer = pointer.rpartition("/")[0]
        return self.nodes[pointer]

    def _place_focus(self) -> None:
        """The control that takes the focus: the one a step was about or the first inside it, else the first fault."""
        wanted: Node | None = None
        if self.is_step:
            wanted = next((node for node in self.nodes.values() if node.key == self.focus), None)
        elif self.faults:
            wanted = next((node for node in self.nodes.values() if node.errors and node.key), None)
        while wanted is not None and not wanted.is_control and wanted.children and wanted.presence == "given":
            wanted = wanted.children[0]
        if wanted is not None:
            wanted.focus = True


_EMPTY_WORDS = {"null": "nothing (null)", "text": "empty text"}


def _index(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else None


def _at(value: Any, pointer: str) -> Any:
    for token in pointer.split("/")[1:]:
        name = token.replace("~1", "/").replace("~0", "~")
        value = value[int(name)] if isinstance(value, list) else value[name]
    return value


def _is_due(node: Node, before: Any) -> bool:
    """A constant that has to be there and is not: there is nothing to choose."""
    return before is ABSENT and node.required and "const" in node.part


def _may_stay_empty(part: dict[str, Any]) -> bool:
    return edit_schema.types(part) == ["string"] and edit_schema.takes_empty_text(part)


def _beside(pointer: str, message: str) -> tuple[str, str]:
    """A missing property is reported at its group; show it at the control that is empty."""
    match = re.match(r'(".+") is a required property\Z', message, re.DOTALL)
    if match:
        return below(pointer, str(json.loads(match[1]))), "This is needed."
    return pointer, message
