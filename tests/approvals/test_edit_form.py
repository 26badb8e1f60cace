"""The form generated from a JSON Schema: what it shows, what it reads, and that it changes nothing by itself."""

import re
from datetime import UTC, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.http import QueryDict
from hypothesis import given
from hypothesis import strategies as st

from approvals import canonical
from approvals.editing import rows as edit_rows
from approvals.editing.form import EditForm
from approvals.editing.node import Node

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


# Kinds of arguments beyond the plain ones

KINDS: dict[str, Any] = {
    "type": "object",
    "$defs": {
        "money": {"type": "object", "required": ["value"], "properties": {"value": {"type": "number"}}},
        "tree": {
            "type": "object",
            "required": ["name"],
            "properties": {"name": {"type": "string"}, "child": {"$ref": "#/$defs/tree"}},
        },
    },
    "properties": {
        "maybe": {"anyOf": [{"type": "string"}, {"type": "null"}], "title": "Maybe"},
        "price": {"$ref": "#/$defs/money", "title": "The price"},
        "tree": {"$ref": "#/$defs/tree"},
        "at": {"type": "string", "format": "date-time"},
        "day": {"type": "string", "format": "date"},
        "flag": {"type": ["boolean", "null"]},
        "size": {"type": ["integer", "null"], "minimum": 1},
        "fixed": {"const": "v1"},
        "locked": {"type": "string", "readOnly": True},
        "extra": {"type": "object", "additionalProperties": {"type": "integer"}},
        "way": {
            "oneOf": [
                {
                    "type": "object",
                    "title": "Card",
                    "required": ["kind", "last"],
                    "properties": {"kind": {"const": "card"}, "last": {"type": "string", "minLength": 4}},
                },
                {
                    "type": "object",
                    "required": ["kind", "bank"],
                    "properties": {"kind": {"enum": ["bank"]}, "bank": {"type": "string", "minLength": 1}},
                },
            ]
        },
        "many": {"enum": [1, 2, 3, 4, 5, 6]},
        "few": {"enum": ["x", "y", None]},
        "words": {"allOf": [{"type": "string"}, {"maxLength": 500}], "description": "Free words."},
    },
}


def form_of(arguments: dict[str, Any], data: dict[str, str], zone: tzinfo = UTC) -> EditForm:
    """The form for these arguments; `data` names controls with dots for slashes: `v__way_last` is `v:/way/last`."""
    sent = QueryDict(mutable=True)
    for name, value in data.items():
        prefix, _, rest = name.partition("__")
        sent[f"{prefix}:/{rest.replace('__', '/')}" if rest else prefix] = value
    return EditForm(schema=KINDS, arguments=arguments, material=[], data=sent, zone=zone)


@pytest.mark.parametrize(
    ("arguments", "pointer", "kind"),
    [
        ({"maybe": None}, "/maybe", "text"),
        ({"price": {"value": 1}}, "/price", "group"),
        ({"tree": {"name": "a", "child": {"name": "b"}}}, "/tree/child", "group"),
        ({"at": "2026-01-01T00:00:00Z"}, "/at", "moment"),
        ({"flag": None}, "/flag", "choice"),
        ({"size": None}, "/size", "number"),
        ({"fixed": "v1"}, "/fixed", "fixed"),
        ({"fixed": "v2"}, "/fixed", "choice"),
        ({"locked": "a"}, "/locked", "fixed"),
        ({"extra": {"a": 1}}, "/extra/a", "number"),
        ({"way": {"kind": "card", "last": "4242"}}, "/way", "union"),
        ({"way": {"kind": "cash"}}, "/way", "json"),
        ({"way": "card"}, "/way", "json"),
        ({"words": "x"}, "/words", "lines"),
        ({"unnamed": {"a": 1}}, "/unnamed", "json"),
    ],
)
def test_each_part_of_a_schema_has_its_control(arguments: dict[str, Any], pointer: str, kind: str) -> None:
    form = EditForm(schema=KINDS, arguments=arguments, material=[])
    assert form.nodes[pointer].kind == kind


def test_few_choices_are_radios_and_many_a_list() -> None:
    form = EditForm(schema=KINDS, arguments={}, material=[])
    assert (form.nodes["/few"].is_radio, form.nodes["/many"].is_radio) == (True, False)
    assert form.nodes["/few"].choices == [
        ('"x"', "x"), ('"y"', "y"), ("null", "nothing (null)"), ("", "not given"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("before", "typed", "expected"),
    [
        ({"maybe": "x"}, {"v__maybe": ""}, {}),
        ({"maybe": "x"}, {"v__maybe": "", "e__maybe": "null"}, {"maybe": None}),
        ({"maybe": "x"}, {"v__maybe": "", "e__maybe": "text"}, {"maybe": ""}),
        ({"maybe": None}, {"v__maybe": "", "e__maybe": "null"}, {"maybe": None}),
        ({"maybe": None}, {"v__maybe": "", "e__maybe": "absent"}, {}),
        ({}, {"v__maybe": "", "e__maybe": "absent"}, {}),
        ({}, {"v__maybe": "", "e__maybe": "text"}, {"maybe": ""}),
        ({"size": 3}, {"v__size": "", "e__size": "null"}, {"size": None}),
        ({"size": 3}, {"v__size": ""}, {}),
        ({"flag": True}, {"v__flag": "null"}, {"flag": None}),
        ({"flag": True}, {"v__flag": ""}, {}),
        ({"many": 1}, {"v__many": "2.0"}, {"many": 2}),
        ({"locked": "a"}, {"v__locked": "b"}, {"locked": "a"}),
        ({"fixed": "v1"}, {"v__fixed": '"v2"'}, {"fixed": "v1"}),
        ({}, {"has__price": "given", "v__price__value": "1.10"}, {"price": {"value": 1.1}}),
        ({"price": {"value": 1}}, {"has__price": "absent"}, {}),
        ({"tree": {"name": "a"}}, {"has__tree__child": "given", "v__tree__child__name": "b"},
         {"tree": {"name": "a", "child": {"name": "b"}}}),
        ({"extra": {"a": 1}}, {"v__extra__a": ""}, {"extra": {}}),
        ({"extra": {"a": 1}}, {"names__extra": "b", "v__extra__b": "2"}, {"extra": {"a": 1, "b": 2}}),
        ({"way": {"kind": "card", "last": "4242"}}, {"b__way": '"bank"', "at__way": '"bank"', "v__way__bank": "ABN"},
         {"way": {"kind": "bank", "bank": "ABN"}}),
        ({"day": "2026-01-01"}, {"v__day": "2026-02-28"}, {"day": "2026-02-28"}),
    ],
)  # fmt: skip
def test_what_is_typed_becomes_exactly_that(
    before: dict[str, Any], typed: dict[str, str], expected: dict[str, Any]
) -> None:
    form = form_of(before, typed)
    assert form.is_valid(), form.faults
    assert form.arguments == expected
    assert canonical.arguments_bytes(form.arguments) == canonical.arguments_bytes(expected)


@pytest.mark.parametrize(
    ("before", "typed", "pointer", "words"),
    [
        (
            {"price": {"value": 1}},
            {"v__price__value": "0.1234567890123456789"},
            "/price/value",
            "more digits",
        ),
        ({"price": {"value": 1}}, {"v__price__value": "1_000"}, "/price/value", "digits and a point only"),
        ({"price": {"value": 1}}, {"v__price__value": "١"}, "/price/value", "digits and a point only"),
        ({"price": {"value": 1}}, {"v__price__value": ""}, "/price/value", "This is needed."),
        ({"day": "2026-01-01"}, {"v__day": "2026-02-30"}, "/day", "date"),
        ({}, {"has__way": "given"}, "/way", "Choose one."),
        ({"way": {"kind": "card", "last": "4242"}}, {"v__way__last": "42"}, "/way/last", "shorter than 4"),
        (
            {"way": {"kind": "card", "last": "4242"}},
            {"b__way": '"bank"', "at__way": '"card"'},
            "/way",
            "look at them",
        ),
        (
            {"way": {"kind": "card", "last": "4242"}},
            {"b__way": '"bank"', "at__way": '"bank"'},
            "/way/bank",
            "needed",
        ),
        ({"extra": {"a": 1}}, {"v__extra__a": "1.5"}, "/extra/a", "integer"),
    ],
)
def test_a_fault_is_told_in_words_beside_its_field(
    before: dict[str, Any], typed: dict[str, str], pointer: str, words: str
) -> None:
    form = form_of(before, typed)
    assert not form.is_valid()
    assert words in " ".join(form.nodes[pointer].errors)
    assert [node.pointer for node in form.nodes.values() if node.errors] == [pointer]


AMSTERDAM = ZoneInfo("Europe/Amsterdam")


@pytest.mark.parametrize(
    ("agents", "shown", "typed", "becomes"),
    [
        ("2026-07-01T10:00:00Z", "2026-07-01T12:00", "2026-07-01T13:30", "2026-07-01T11:30:00Z"),
        ("2026-01-01T10:00:00.5Z", "2026-01-01T11:00", "2026-01-01T11:00:01", "2026-01-01T10:00:01Z"),
        ("2026-07-01T10:00:00-04:00", "2026-07-01T16:00", "2026-07-01T17:00", "2026-07-01T11:00:00-04:00"),
        (
            "2026-07-01T10:00:00Z",
            "2026-07-01T12:00",
            "2026-07-01T09:15:00+05:45",
            "2026-07-01T09:15:00+05:45",
        ),
    ],
)
def test_a_moment_is_shown_on_the_readers_clock_and_written_in_the_agents_offset(
    agents: str, shown: str, typed: str, becomes: str
) -> None:
    before = {"at": agents}
    node = EditForm(schema=KINDS, arguments=before, material=[], zone=AMSTERDAM).nodes["/at"]
    assert (node.value, node.zone, node.exactly) == (shown, "Europe/Amsterdam", agents)
    assert form_of(before, {"v__at": shown}, AMSTERDAM).arguments == before
    assert form_of(before, {"v__at": shown + ":00"}, AMSTERDAM).arguments == before
    assert form_of(before, {"v__at": typed}, AMSTERDAM).arguments == {"at": becomes}


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("2026-03-29T02:30", "jump over this time"),
        ("2026-10-25T02:30", "2026-10-25T02:30:00+02:00 or 2026-10-25T02:30:00+01:00"),
    ],
)
def test_a_time_that_the_clocks_skip_or_repeat_is_asked_back(typed: str, words: str) -> None:
    form = form_of({"at": "2026-01-01T00:00:00Z"}, {"v__at": typed}, AMSTERDAM)
    assert words in " ".join(form.nodes["/at"].errors)
    assert form.nodes["/at"].value == typed


def test_what_a_picker_could_not_hold_is_shown_as_text() -> None:
    """A browser empties a date control whose value is no date, and would send that as the reviewer's wish."""
    arguments = {"day": "2026-02-30", "at": "soon"}
    form = EditForm(schema=KINDS, arguments=arguments, material=[])
    assert {form.nodes["/day"].input_type, form.nodes["/at"].input_type} == {"text"}


def test_the_schema_is_explained_beside_the_field() -> None:
    part: dict[str, Any] = {
        "type": "integer", "title": "Weight", "description": "Gross.", "minimum": 1, "multipleOf": 5, "default": 10,
        "examples": [5, 15], "x-unit": "kg",
    }  # fmt: skip
    schema = {"type": "object", "properties": {"weight": part}}
    node = EditForm(schema=schema, arguments={"weight": 5}, material=["/weight"]).nodes["/weight"]
    assert (node.label, node.help, node.unit, node.material, node.input_mode) == (
        "Weight", "Gross.", "kg", True, "numeric",
    )  # fmt: skip
    assert node.bounds == ["a whole number", "at least 1", "in steps of 5", "usually 10", "for example 5, 15"]


@pytest.mark.parametrize(
    ("agents", "typed", "becomes"),
    [
        ("one\r\ntwo\r\nthree", "one\r\nTWO\r\nthree", "one\r\nTWO\r\nthree"),
        ("one\rtwo\r\nthree\n", "one\r\ntwo\r\nnew\r\nthree\r\n", "one\rtwo\r\nnew\rthree\n"),
        ("one\r\ntwo", "one\r\ntwo\r\nthree", "one\r\ntwo\r\nthree"),
        ("one\r\ntwo", "one", "one"),
        ("one\ntwo", "one\r\ntwo!", "one\ntwo!"),
    ],
)
def test_an_edited_text_keeps_the_line_ends_it_had(agents: str, typed: str, becomes: str) -> None:
    assert form_of({"words": agents}, {"v__words": typed}).arguments == {"words": becomes}


# Rows keep what they were


STEPS = st.lists(
    st.tuples(st.sampled_from(["up", "down", "remove", "add"]), st.integers(0, 5)), min_size=1, max_size=6
)


@given(steps=STEPS)
def test_rows_keep_their_bytes_wherever_they_are_moved(steps: list[tuple[str, int]]) -> None:
    """A browser turns the line ends of every area into CR LF; a row knows which of the agent's rows it was."""
    rows: list[Any] = [{"sku": f"{number}\r\nx\ry\u200b", "n": 2.5} for number in range(4)]
    row = {"type": "object", "properties": {"sku": {"type": "string"}}}
    schema = {
        "type": "object",
        "properties": {"rows": {"type": "array", "items": row}},
    }
    expected = list(rows)
    data = QueryDict(mutable=True)
    shown = EditForm(schema=schema, arguments={"rows": rows}, material=[])
    for verb, at in steps:
        data = posted(shown)
        if verb == "add":
            expected.append({})
            data, _ = edit_rows.after(data, verb, "/rows")
        elif at < len(expected):
            data, _ = edit_rows.after(data, verb, f"/rows/{at}")
            to = {"up": at - 1, "down": at + 1, "remove": at}[verb]
            if verb == "remove":
                expected.pop(at)
            elif 0 <= to < len(expected):
                expected[at], expected[to] = expected[to], expected[at]
        shown = EditForm(schema=schema, arguments={"rows": rows}, material=[], data=data)
        assert shown.arguments == {"rows": expected}
    back, _ = edit_rows.after(posted(shown), "undo", "/rows")
    assert EditForm(schema=schema, arguments={"rows": rows}, material=[], data=back).arguments == {
        "rows": rows
    }


def posted(form: EditForm) -> QueryDict:
    """The controls of a form as a browser sends them, as the templates write them (test_edit_unchanged renders)."""
    data = QueryDict(mutable=True)
    for node in form.nodes.values():
        if node.kind == "list":
            data[f"from:{node.key}"] = node.origins
            data[f"count:{node.key}"] = str(len(node.children))
        elif node.is_control and node.key:
            data[f"v:{node.key}"] = re.sub(r"\r\n?|\n", "\r\n", node.value)
    return data
