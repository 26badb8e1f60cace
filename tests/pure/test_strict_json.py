"""Strict JSON: nothing that two readers could understand differently gets in, and nothing breaks the reader."""

import json
import math
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from agents import strict_json
from agents.strict_json import NotStrictJson

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-strict_json.MAX_INTEGER, strict_json.MAX_INTEGER)
    | st.floats(allow_nan=False, allow_infinity=False).filter(lambda x: abs(x) < 2**53)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=8),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b'{"amount":1,"amount":1000000}', "stands twice"),
        (b'{"a":{"b":1,"b":1}}', "stands twice"),
        (b'{"a":1,"\\u0061":2}', "stands twice"),
        (b"9007199254740992", "string"),
        (b"9007199254740993", "string"),
        (b"-9007199254740993", "string"),
        (b"9007199254740993.0", "string"),
        (b"9.007199254740993e15", "string"),
        (b"9007199254740991.4", "string"),
        (b"1.00000000000000000001", "string"),
        (b"1e-400", "string"),
        (b"9" * 5000, "string"),
        (b"1" + b"0" * 5000 + b".0", "string"),
        (b"1e400", "string"),
        (b"-1e400", "string"),
        (b"NaN", "NaN"),
        (b"[Infinity]", "Infinity"),
        (b"-Infinity", "Infinity"),
        (b'"\\ud800"', "surrogate"),
        (b'{"\\udfff":1}', "surrogate"),
        (b'"\\u0000"', "NUL"),
        (b'{"a\\u0000":1}', "NUL"),
        (b'"\x00"', "not JSON"),
        (b'"\xed\xa0\x80"', "UTF-8"),
        (b"\xff", "UTF-8"),
        (b"\xef\xbb\xbf{}", "not JSON"),
        (b"[" * 100_000, "deeper"),
        (b'{"a":' * 100_000, "deeper"),
        (b"[" * 65 + b"]" * 65, "deeper"),
        (b"{'a':1}", "not JSON"),
        (b'{"a":1,}', "not JSON"),
        (b"{} {}", "not JSON"),
        (b"01", "not JSON"),
        (b"", "not JSON"),
        (b"// c\n1", "not JSON"),
    ],
    ids=lambda value: str(value[:24]),
)
def test_loads_refuses(text: bytes, why: str) -> None:
    with pytest.raises(NotStrictJson, match=why):
        strict_json.loads(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b"9007199254740991", 2**53 - 1),
        (b"-9007199254740991", 1 - 2**53),
        (b"-0", 0),
        (b"-0.0", 0.0),
        (b"1.50", 1.5),
        (b"1.0000000000000000000000", 1.0),
        (b"1e3", 1000.0),
        (b"0.1", 0.1),
        (b'"\\ud83d\\ude00"', "😀"),
        ('"\u00e9"'.encode(), "é"),
        ('"e\u0301"'.encode(), "e\u0301"),
        (b"[" * 64 + b"]" * 64, None),
    ],
    ids=lambda value: str(value)[:24],
)
def test_loads_accepts(text: bytes, value: object) -> None:
    found = strict_json.loads(text)
    if value is not None:
        assert found == value
        assert math.copysign(1, found) == 1 if found == 0 else True


@given(VALUES)
def test_whatever_is_accepted_has_a_canonical_form_that_reads_the_same(value: Any) -> None:
    """The class behind 2^53: what the door lets in, RFC 8785 must be able to write, without changing it."""
    try:
        accepted = strict_json.loads(json.dumps(value).encode())
    except NotStrictJson as refused:
        assert "deeper" in str(refused)
        return
    canonical = rfc8785.dumps(accepted)
    assert rfc8785.dumps(strict_json.loads(canonical)) == canonical


@given(
    st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass"))
)
def test_loads_either_answers_or_says_why(data: bytes) -> None:
    try:
        value = strict_json.loads(data)
    except NotStrictJson:
        return
    rfc8785.dumps(value)


@given(st.text(st.sampled_from("0123456789.eE+-"), min_size=1, max_size=40))
def test_an_accepted_number_is_the_number_that_was_sent(text: str) -> None:
    try:
        value = strict_json.loads(text.encode())
    except NotStrictJson:
        return
    reference = json.loads(text, parse_float=float)
    assert value == reference
    assert isinstance(value, int) or not value.is_integer() or value == int(value)
    rfc8785.dumps(value)
