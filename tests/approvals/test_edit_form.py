"""The form generated from a JSON Schema: what it shows, what it reads, and that it changes nothing by itself."""

from typing import Any

import pytest
from django.http import QueryDict

from approvals import edit_rows
from approvals.edit_form import EditForm
from approvals.edit_node import Node

SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["order", "amount", "items"],
    "additionalProperties": False,
    "properties": {
        "order": {"type": "string", "minLength": 1},
        "amount": {"type": "number", "minimum": 0},
        "count": {"type": "integer"},
        "kind": {"enum": ["a", "b", 3]},
        "express": {"type": "boolean"},
        "note": {"type": "string", "maxLength": 1000},
        "address": {"type": "object", "properties": {"city": {"type": "string"}, "zip": {"type": "string"}}},
        "items": {
            "type": "array",
            "minItems": 1,
            "items": {"type": "object", "properties": {"sku": {"type": "string"}, "n": {"type": "integer"}}},
        },
        "tags": {"type": "array", "items": {"type": "string"}},
        "any": {"anyOf": [{"type": "string"}, {"type": "object"}]},
    },
}
ARGUMENTS: dict[str, Any] = {
    "order": "A-1",
    "amount": 10.5,
    "kind": "a",
    "note": "one\r\ntwo\u200b",
    "address": {"city": "Rotterdam"},
    "items": [{"sku": "x", "n": 1}, {"sku": "y", "n": 2}],
    "any": {"odd": [1]},
}


def walk(node: Node) -> list[Node]:
    return [node, *(inner for child in node.children for inner in walk(child))]


def sent(changed: dict[str, str] | None = None, arguments: dict[str, Any] = ARGUMENTS) -> QueryDict:
    """What a browser sends when nothing but `changed` was touched: line ends of text areas become CRLF."""
    form = EditForm(schema=SCHEMA, arguments=arguments, material=[])
    data = QueryDict(mutable=True)
    for node in walk(form.root):
        if node.kind == "list":
            data[f"count:{node.pointer}"] = str(len(node.children))
        elif node.kind != "group":
            value = node.value
            data[f"v:{node.pointer}"] = value.replace("\r\n", "\n").replace("\n", "\r\n")
    for pointer, value in (changed or {}).items():
        data[pointer] = value
    return data


def read(data: QueryDict, arguments: dict[str, Any] = ARGUMENTS) -> EditForm:
    return EditForm(schema=SCHEMA, arguments=arguments, material=["/amount"], data=data)


def test_an_untouched_form_gives_back_the_very_same_arguments() -> None:
    form = read(sent())
    assert form.arguments == ARGUMENTS
    assert form.is_valid()


@pytest.mark.parametrize(
    ("name", "value", "path", "expected"),
    [
        ("v:/order", "B-2", ("order",), "B-2"),
        ("v:/amount", "12.75", ("amount",), 12.75),
        ("v:/amount", "12", ("amount",), 12),
        ("v:/count", "7", ("count",), 7),
        ("v:/kind", '"b"', ("kind",), "b"),
        ("v:/kind", "3", ("kind",), 3),
        ("v:/express", "true", ("express",), True),
        ("v:/address/zip", "3011", ("address", "zip"), "3011"),
        ("v:/items/1/n", "5", ("items", 1, "n"), 5),
        ("v:/any", '"plain"', ("any",), "plain"),
    ],
)
def test_one_changed_control_changes_one_argument(
    name: str, value: str, path: tuple[str | int, ...], expected: object
) -> None:
    form = read(sent({name: value}))
    assert form.is_valid(), form.faults
    found: Any = form.arguments
    for step in path:
        found = found[step]
    assert found == expected


def test_an_emptied_optional_text_is_left_out() -> None:
    assert "note" not in read(sent({"v:/note": ""})).arguments


@pytest.mark.parametrize(
    ("name", "value", "pointer"),
    [
        ("v:/amount", "1,000", "/amount"),
        ("v:/amount", "-1", "/amount"),
        ("v:/amount", "", "/amount"),
        ("v:/amount", "NaN", "/amount"),
        ("v:/amount", "9007199254740993", "/amount"),
        ("v:/count", "1.5", "/count"),
        ("v:/order", "", "/order"),
        ("v:/any", '{"a":1,"a":2}', "/any"),
        ("v:/items/0/n", "x", "/items/0/n"),
    ],
)
def test_faults_stand_beside_their_control(name: str, value: str, pointer: str) -> None:
    form = read(sent({name: value}))
    assert not form.is_valid()
    assert [node.pointer for node in walk(form.root) if node.errors] == [pointer]


def test_rows_are_added_and_removed_by_plain_submits() -> None:
    more = read(edit_rows.after(sent(), "add", "/items")[0])
    items = next(node for node in walk(more.root) if node.pointer == "/items")
    assert len(items.children) == 3

    fewer = read(edit_rows.after(sent(), "remove", "/items/0")[0])
    assert fewer.arguments["items"] == [{"sku": "y", "n": 2}]


def test_a_required_list_may_not_lose_its_last_row() -> None:
    arguments = {**ARGUMENTS, "items": [{"sku": "x"}]}
    form = EditForm(schema=SCHEMA, arguments=arguments, material=[])
    assert next(node for node in walk(form.root) if node.pointer == "/items").can_remove is False


def test_what_the_schema_did_not_expect_is_edited_as_json() -> None:
    form = EditForm(schema=SCHEMA, arguments={**ARGUMENTS, "amount": "ten", "extra": [1]}, material=[])
    kinds = {node.pointer: node.kind for node in walk(form.root)}
    assert (kinds["/amount"], kinds["/extra"]) == ("json", "json")


def test_a_hostile_count_makes_no_endless_form() -> None:
    form = read(sent({"count:/items": "99999999999"}))
    assert (
        sum(node.pointer.count("/") == 2 and node.pointer.startswith("/items") for node in walk(form.root))
        <= 200
    )
