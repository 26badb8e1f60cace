"""Commitments of audit events: hiding and binding."""

import hashlib
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from audit import chain
from tests.pure.test_strict_json import VALUES


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), VALUES, max_size=4))
def test_a_commitment_covers_the_canonical_bytes(content: dict[str, Any]) -> None:
    salt = chain.new_salt()
    expected = hashlib.sha256(salt + rfc8785.dumps(content)).digest()
    assert chain.commitment(salt, chain.canonical(content)) == expected


def test_the_same_content_has_another_commitment_each_time() -> None:
    content = chain.canonical({"approved": True})
    assert len({chain.commitment(chain.new_salt(), content) for _ in range(50)}) == 50
    assert len(chain.new_salt()) == 32


@pytest.mark.parametrize("value", [2**53, float("nan"), "\ud800", b"x", {1: 2}], ids=str)
def test_what_json_cannot_carry_is_refused(value: object) -> None:
    with pytest.raises((rfc8785.CanonicalizationError, ValueError)):
        chain.canonical({"value": value})
