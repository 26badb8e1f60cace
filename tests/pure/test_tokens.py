"""Tokens: recognisable, checkable without a database, with enough chance in them (DESIGN.md §4)."""

import math

from hypothesis import given
from hypothesis import strategies as st

from agents import tokens


def test_a_new_token_is_well_formed_and_has_178_random_bits() -> None:
    token = tokens.new()
    assert tokens.is_well_formed(token.text)
    assert tokens.digest(token.text) == token.digest
    assert token.text.split("_")[1] == token.key_id
    assert len(token.text.split("_")[2]) * math.log2(62) >= 178


def test_tokens_do_not_repeat() -> None:
    assert len({tokens.new().text for _ in range(200)}) == 200


KNOWN = tokens.new().text


@given(st.integers(0, len(KNOWN) - 1), st.characters(codec="ascii"))
def test_one_changed_character_is_noticed(position: int, character: str) -> None:
    changed = KNOWN[:position] + character + KNOWN[position + 1 :]
    assert tokens.is_well_formed(changed) is (changed == KNOWN)


def test_a_token_cut_short_or_lengthened_is_refused() -> None:
    text = tokens.new().text
    assert [cut for cut in range(len(text)) if tokens.is_well_formed(text[:cut])] == []
    assert not any(tokens.is_well_formed(text + more) for more in ("0", "_", " ", "\n", text))


@given(st.text(max_size=80))
def test_any_text_is_answered(text: str) -> None:
    assert tokens.is_well_formed(text) is False


def test_a_right_checksum_over_a_foreign_alphabet_is_refused() -> None:
    body = f"{tokens.PREFIX}_{'!' * 12}_{'-' * 32}"
    assert not tokens.is_well_formed(f"{body}_{tokens._checksum(body)}")
