"""Digests: everything that differs has another one, and an outsider can compute it."""

import hashlib
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from approvals import canonical
from tests.pure.test_strict_json import VALUES

OBJECTS = st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), VALUES, max_size=4)


def digest(arguments: Any, *, agent: str = "a", action_type: str = "t", revision: int = 1) -> str:
    return canonical.digest(
        agent=agent,
        action_type=action_type,
        revision=revision,
        canonical=canonical.arguments_bytes(arguments),
    )


@given(OBJECTS, st.text(st.characters(exclude_categories=["Cs"]), max_size=8), st.integers(1, 99))
def test_an_outsider_computes_the_same_digest(arguments: Any, agent: str, revision: int) -> None:
    document = {"agent": agent, "action_type": "t", "revision": revision, "arguments": arguments}
    outside = hashlib.sha256(b"countersign/v1/arguments\n" + rfc8785.dumps(document)).hexdigest()
    assert digest(arguments, agent=agent, revision=revision) == f"sha256:{outside}"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"x": "\u00e9"}, {"x": "e\u0301"}),
        ({"x": "paypal"}, {"x": "раypal"}),
        ({"x": "a\u200bb"}, {"x": "ab"}),
        ({"x": 1}, {"x": "1"}),
        ({"x": 1}, {"x": True}),
        ({"x": None}, {}),
        ({"x": []}, {"x": {}}),
        ({"x": [1, 2]}, {"x": [2, 1]}),
        ({"x": 0.1}, {"x": 0.10000000000000002}),
    ],
    ids=str,
)
def test_what_differs_has_another_digest(one: Any, other: Any) -> None:
    """A7 among them: NFC and NFD are different arguments."""
    assert digest(one) != digest(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ({"a": 1.0}, {"a": 1}),
        ({"a": -0.0}, {"a": 0}),
        ({"a": 1e3}, {"a": 1000}),
    ],
    ids=str,
)
def test_what_is_the_same_json_value_has_the_same_digest(one: Any, other: Any) -> None:
    assert digest(one) == digest(other)


def test_parts_cannot_be_shifted_into_one_another() -> None:
    assert (
        len(
            {
                digest({}),
                digest({}, agent="b"),
                digest({}, action_type="b"),
                digest({}, revision=2),
                digest({}, agent='a","arguments":{},"x":"'),
                digest({}, action_type='t","agent":"a'),
            }
        )
        == 6
    )
