"""Canonical bytes: against another implementation of RFC 8785, and the appendix of the RFC itself."""

import math
import struct
from typing import Any

import pytest
import rfc8785
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from countersign import canonical

NUMBERS = [  # RFC 8785, appendix B
    (0x0000000000000000, "0"),
    (0x8000000000000000, "0"),
    (0x0000000000000001, "5e-324"),
    (0x8000000000000001, "-5e-324"),
    (0x7FEFFFFFFFFFFFFF, "1.7976931348623157e+308"),
    (0x4340000000000000, "9007199254740992"),
    (0x4430000000000000, "295147905179352830000"),
    (0x44B52D02C7E14AF5, "9.999999999999997e+22"),
    (0x44B52D02C7E14AF6, "1e+23"),
    (0x444B1AE4D6E2EF4E, "999999999999999700000"),
    (0x444B1AE4D6E2EF50, "1e+21"),
    (0x3EB0C6F7A0B5ED8C, "9.999999999999997e-7"),
    (0x3EB0C6F7A0B5ED8D, "0.000001"),
    (0x41B3DE4355555553, "333333333.3333332"),
    (0xBECBF647612F3696, "-0.0000033333333333333333"),
    (0x43143FF3C1CB0959, "1424953923781206.2"),
]
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-canonical.MAX_INTEGER, canonical.MAX_INTEGER)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize(("bits", "text"), NUMBERS, ids=[text for _, text in NUMBERS])
def test_numbers_are_written_as_the_rfc_says(bits: int, text: str) -> None:
    [number] = struct.unpack(">d", bits.to_bytes(8, "big"))
    assert canonical.dumps(number) == text.encode()


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # machines are busy
@given(VALUES)
@example({"\U0001f600": 1, "\ufb33": 2, "\r": '\u2028\x7f\x1f\\"/'})
@example([1e21, 1e20, 123456789012345680000.0, 0.1, 1e-6, 1e-7, -1.5, 100.0])
def test_bytes_are_those_of_another_implementation(value: Any) -> None:
    assert canonical.dumps(value) == rfc8785.dumps(value)


@pytest.mark.parametrize(
    ("value", "at"),
    [
        ({"a": [1, math.nan]}, "/a/1"),
        ({"a": math.inf}, "/a"),
        ({"a/b": 2**53}, "/a~1b"),
        ({"a": {1}}, "/a"),
        ({1: "a"}, "/"),
        ({"a": b"bytes"}, "/a"),
    ],
    ids=["nan", "infinity", "large", "set", "number as a name", "bytes"],
)
def test_what_json_does_not_have_is_refused_with_its_place(value: Any, at: str) -> None:
    with pytest.raises(ValueError, match=f"^{at} "):
        canonical.dumps(value)


def test_what_is_too_deep_or_no_text_is_refused() -> None:
    deep: Any = 1
    for _ in range(64):
        deep = [deep]
    with pytest.raises(ValueError, match="deeper"):
        canonical.dumps(deep)
    with pytest.raises(ValueError, match="surrogate"):
        canonical.dumps({"a": "\ud800"})


def test_the_digest_changes_with_each_of_its_parts() -> None:
    given: dict[str, Any] = {"agent": "a", "action_type": "b", "revision": 1, "arguments": {"x": 1}}
    others: list[dict[str, Any]] = [
        {"agent": "c"},
        {"action_type": "c"},
        {"revision": 2},
        {"arguments": {"x": 2}},
    ]
    digests = {canonical.digest(**{**given, **other}) for other in [{}, *others]}
    assert len(digests) == 5
    assert canonical.digest(**{**given, "arguments": {"x": 1.0}}) == canonical.digest(**given)
