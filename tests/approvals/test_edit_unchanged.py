"""A form that nobody touched changes nothing: for any schema, any arguments that fit it, byte for byte."""

import json
from datetime import UTC, tzinfo
from types import SimpleNamespace
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from django.template.loader import render_to_string
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents import schemas
from approvals import canonical
from approvals.editing.form import EditForm
from tests.html_forms import sent

PROPOSAL = SimpleNamespace(pk=UUID(int=1))
PAGE = '<form id="edit">{}</form>'
ZONES: list[tzinfo] = [
    UTC,
    ZoneInfo("Europe/Amsterdam"),
    ZoneInfo("Asia/Kathmandu"),
    ZoneInfo("America/New_York"),
]


def rendered(form: EditForm) -> str:
    nodes = [
        render_to_string("approvals/_node.html", {"node": node, "proposal": PROPOSAL}) for node in form.fields
    ]
    return PAGE.format("".join(nodes))


def posted_back(schema: dict[str, Any], arguments: dict[str, Any], zone: tzinfo = UTC) -> EditForm:
    """The form rendered, read by a browser, sent as it is."""
    shown = EditForm(schema=schema, arguments=arguments, material=[], zone=zone)
    data = sent(rendered(shown), "edit")
    return EditForm(schema=schema, arguments=arguments, material=[], data=data, zone=zone)


# Schemas with arguments that fit them.

NASTY = [
    *"\r\n\t <>&\"'{}[]",
    "\r\n",
    "\u200b",
    "\u202e",
    "\u2028",
    "\ufeff",
    "\u00ad",
    "e\u0301",
    "\u0430",
    "\x1b[31m",
    "\x85",
]
TEXTS = st.lists(
    st.characters(exclude_categories=["Cs"], exclude_characters="\x00") | st.sampled_from(NASTY), max_size=10
).map("".join)
NAMES = st.sampled_from(["a", "b_c", "B-c", "d/e", "f~g", "%0A", "h\ni", "ü", "v:x", "", "__x", "0", "type"])
NUMBERS = st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(
    allow_nan=False, allow_infinity=False, min_value=-1e15, max_value=1e15
).map(lambda value: 0.0 if value == 0 else value)
ANYTHING = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=5,
)
MOMENTS = st.datetimes().map(lambda moment: moment.isoformat() + "Z") | st.sampled_from(
    [
        "2026-10-25T02:30:00+02:00",
        "2026-10-25T01:30:00Z",
        "2026-03-29T01:59:59.999999Z",
        "2026-01-01T00:00:00.5+05:45",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "2016-12-31T23:59:60Z",
        "2026-01-01t00:00:00z",
    ]
)
Pair = tuple[dict[str, Any], Any]


def scalar() -> st.SearchStrategy[Pair]:
    options = st.lists(
        ANYTHING, min_size=1, max_size=8, unique_by=lambda value: json.dumps(value, sort_keys=True)
    )
    return st.one_of(
        TEXTS.map(lambda text: ({"type": "string"}, text)),
        TEXTS.map(lambda text: ({"type": ["string", "null"], "maxLength": 900}, text)),
        st.just(({"type": ["string", "null"]}, None)),
        NUMBERS.map(lambda number: ({"type": "number"}, number)),
        st.integers(-9, 9).map(lambda number: ({"type": ["integer", "null"], "minimum": -9}, number)),
        st.just(({"type": ["number", "null"]}, None)),
        st.booleans().map(lambda value: ({"type": "boolean"}, value)),
        st.sampled_from([True, False, None]).map(lambda value: ({"type": ["boolean", "null"]}, value)),
        st.dates().map(lambda day: ({"type": "string", "format": "date"}, day.isoformat())),
        MOMENTS.map(lambda text: ({"type": "string", "format": "date-time"}, text)),
        st.sampled_from(["12:00:00Z", "23:59:59.25+02:00"]).map(
            lambda text: ({"type": "string", "format": "time"}, text)
        ),
        st.sampled_from(["a@example.com", "ü@exämple.com"]).map(
            lambda text: ({"type": "string", "format": "idn-email"}, text)
        ),
        st.just(({"type": "string", "format": "uri"}, "https://bank.com@evil.io/%20x")),
        options.flatmap(lambda found: st.sampled_from(found).map(lambda one: ({"enum": found}, one))),
        ANYTHING.map(lambda value: ({"const": value}, value)),
        ANYTHING.map(lambda value: ({}, value)),
        ANYTHING.map(lambda value: ({"title": "Locked", "readOnly": True}, value)),
        TEXTS.map(lambda text: ({"anyOf": [{"type": "string"}, {"type": "null"}]}, text)),
        st.just(({"anyOf": [{"type": "string"}, {"type": "null"}]}, None)),
    )


def objects(inner: st.SearchStrategy[Pair]) -> st.SearchStrategy[Pair]:
    """Some members required, some optional and left out, some that the schema does not name."""

    @st.composite
    def made(draw: st.DrawFn) -> Pair:
        members = draw(st.dictionaries(NAMES, inner, max_size=4))
        required = [name for name in members if draw(st.booleans())]
        value = {name: one for name, (_, one) in members.items() if name in required or draw(st.booleans())}
        schema: dict[str, Any] = {
            "type": "object",
            "properties": {name: part for name, (part, _) in members.items()},
            "required": required,
        }
        if draw(st.booleans()):
            part, one = draw(inner)
            schema["additionalProperties"] = part
            value |= {"extra one": one}
        elif draw(st.booleans()):
            schema["additionalProperties"] = False
        elif draw(st.booleans()):
            value |= {name: draw(ANYTHING) for name in ["unnamed"] if name not in members}
        return schema, value

    return made()


def lists(inner: st.SearchStrategy[Pair]) -> st.SearchStrategy[Pair]:
    return inner.flatmap(
        lambda pair: st.integers(0, 3).map(
            lambda number: ({"type": "array", "items": pair[0]}, [pair[1]] * number)
        )
    )


def unions(inner: st.SearchStrategy[Pair]) -> st.SearchStrategy[Pair]:
    """One of several shapes, told apart by a constant."""

    @st.composite
    def made(draw: st.DrawFn) -> Pair:
        shapes, values = [], []
        for kind in ("card", "bank", 3)[: draw(st.integers(2, 3))]:
            schema, value = draw(objects(inner))
            schema["properties"] |= {"kind": {"const": kind}}
            schema["required"] = [*schema["required"], "kind"]
            shapes.append(schema)
            values.append(value | {"kind": kind})
        return {draw(st.sampled_from(["oneOf", "anyOf"])): shapes}, draw(st.sampled_from(values))

    return made()


PARTS = st.recursive(scalar(), lambda inner: objects(inner) | lists(inner) | unions(inner), max_leaves=6)


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(pair=objects(PARTS), zone=st.sampled_from(ZONES))
def test_what_nobody_touched_keeps_its_bytes(pair: Pair, zone: tzinfo) -> None:
    schema, arguments = pair
    before = canonical.arguments_bytes(arguments)
    form = posted_back(schema, json.loads(before), zone)
    assert canonical.arguments_bytes(form.arguments) == before
    if not schemas.errors(schema, json.loads(before)):
        assert form.is_valid(), form.faults
    assert not [node.pointer for node in form.nodes.values() if node.changed]


@pytest.mark.parametrize("count", [199, 201, 1500])
def test_more_than_a_form_can_hold_is_kept_too(count: int) -> None:
    """A list of many rows, an object of many members: whatever cannot have controls of its own stays whole."""
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {
            "rows": {"type": "array", "items": {"type": "object", "properties": {"n": {"type": "integer"}}}}
        },
    }
    for arguments in (
        {"rows": [{"n": number} for number in range(count)]},
        {str(n): n for n in range(count)},
    ):
        shown = EditForm(schema=schema, arguments=arguments, material=[])
        data = sent(rendered(shown), "edit")
        assert sum(len(values) for _, values in data.lists()) < 990
        form = EditForm(schema=schema, arguments=arguments, material=[], data=data)
        assert canonical.arguments_bytes(form.arguments) == canonical.arguments_bytes(arguments)
