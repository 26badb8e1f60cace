"""Schemas of action types: what is refused when saved, and that nothing is ever fetched."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents import schemas
from tests.pure.test_strict_json import VALUES


@pytest.fixture
def visited() -> Iterator[list[str]]:
    """An address that notes who connects; its URL is the first item."""
    listener = socket.create_server(("127.0.0.1", 0))
    found = [f"http://127.0.0.1:{listener.getsockname()[1]}/schema"]

    def accept() -> None:
        try:
            while True:
                connection, address = listener.accept()
                found.append(str(address))
                connection.close()
        except OSError:
            return

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    yield found
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(5)


@pytest.mark.parametrize(
    "part",
    [
        {"$schema": "URL"},
        {"properties": {"a": {"$ref": "URL"}}},
        {"properties": {"a": {"$dynamicRef": "URL#x"}}},
        {"$defs": {"x": {"$id": "URL", "$schema": "URL"}}},
        {"properties": {"a": {"$schema": "URL"}}},
        {"allOf": [{"$ref": "URL"}]},
    ],
    ids=str,
)
def test_no_schema_is_ever_fetched(visited: list[str], part: dict[str, Any]) -> None:
    schema = json.loads(json.dumps({"type": "object", **part}).replace("URL", visited[0]))
    try:
        schemas.check(schema)
        schemas.errors(schema, {"a": 1})
    except ValueError:
        pass
    time.sleep(0.1)
    assert visited[1:] == []


@pytest.mark.parametrize(
    "schema",
    [
        None,
        [],
        {},
        {"type": "array"},
        {"type": ["object"]},
        {"type": "object", "$schema": "http://json-schema.org/draft-07/schema#"},
        {"type": "object", "$schema": "http://127.0.0.1:1/x"},
        {"type": "object", "$schema": 5},
        {"type": "object", "properties": {"a": {"type": "money"}}},
        {"type": "object", "properties": {"a": {"format": "iban"}}},
        {"type": "object", "properties": {"a": {"pattern": "("}}},
        {"type": "object", "properties": {"a": {"pattern": "(?<=a)b(?=c)\\1"}}},
        {"type": "object", "properties": {"a": {"$ref": "#/nowhere"}}},
        {"type": "object", "properties": {"a": {"$ref": "file:///etc/passwd"}}},
        {"type": "object", "properties": {"a": {"maximum": 2**64}}},
        {"type": "object", "properties": {"a": {"const": 2**53}}},
        {"type": "object", "properties": {"a": {"maximum": float("nan")}}},
        {"type": "object", "properties": {"a": {"const": "\ud800"}}},
        {"type": "object", "required": "a"},
        {"type": "object", "description": "a\x00b"},
        {"type": "object", "properties": {"a\x00": {}}},
    ],
    ids=str,
)
def test_check_refuses_with_a_sentence(schema: Any) -> None:
    with pytest.raises(ValueError, match=r".") as refusal:
        schemas.check(schema)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object"},
        {"type": "object", "$schema": "https://json-schema.org/draft/2020-12/schema"},
        {"type": "object", "$ref": "#"},
        {"type": "object", "properties": {"a": {"pattern": "^[^\\u0000-\\u001f]*$"}}},
        {"type": "object", "properties": {"a": {"maximum": 1e300}}},
        {"type": "object", "properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"$ref": "#/$defs/a"}}},
    ],
    ids=str,
)
def test_check_accepts_and_references_to_itself_end(schema: dict[str, Any]) -> None:
    schemas.check(schema)
    assert schemas.errors(schema, {"a": {"a": 1}}) == []


def test_a_catastrophic_pattern_is_linear() -> None:
    schema = {"type": "object", "properties": {"a": {"pattern": "^(a+)+$"}}}
    schemas.check(schema)
    begin = time.perf_counter()
    assert len(schemas.errors(schema, {"a": "a" * 50_000 + "!"})) == 1
    assert time.perf_counter() - begin < 1


def test_errors_are_bounded_in_number_and_size() -> None:
    schema = {"type": "object", "additionalProperties": {"type": "integer"}}
    faults = schemas.errors(schema, {f"key{n}": "x" * 10_000 for n in range(100)})
    assert len(faults) == schemas.MAX_ERRORS
    assert max(len(fault.message) for fault in faults) <= schemas.MAX_MESSAGE + 3
    assert (
        schemas.errors_of(schemas.compiled(schema), {f"key{n}": "x" * 10_000 for n in range(100)}) == faults
    )


def test_errors_name_the_field_by_json_pointer() -> None:
    schema = {
        "type": "object",
        "properties": {"a/b": {"items": {"properties": {"m~n": {"type": "integer"}}}}},
    }
    [fault] = schemas.errors(schema, {"a/b": [{}, {"m~n": "x"}]})
    assert fault.field == "/a~1b/1/m~0n"


@given(st.dictionaries(st.sampled_from(["order_id", "amount", "reason", "x"]), VALUES, max_size=4))
def test_errors_never_fail(arguments: dict[str, Any]) -> None:
    schema = {
        "type": "object",
        "properties": {"order_id": {"type": "string", "format": "uuid"}, "amount": {"multipleOf": 0.01}},
        "required": ["order_id"],
    }
    for fault in schemas.errors(schema, arguments):
        assert fault.message


@given(VALUES)
def test_check_answers_any_schema_with_a_sentence_or_nothing(schema: Any) -> None:
    try:
        schemas.check({"type": "object", "properties": {"a": schema}})
    except ValueError:
        return
