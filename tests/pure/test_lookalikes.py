"""Texts that pass for one another: found by their look, and not found where two values merely differ."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from approvals.reading import lookalikes


@pytest.mark.parametrize(
    ("value", "known", "why"),
    [
        ("раypal.com", "paypal.com", "cyrillic small letter er (U+0440)"),
        ("pay\u200bpal", "paypal", "zero width space (U+200B)"),
        ("cafe\u0301", "caf\u00e9", "composed of other characters"),
        ("acme\u3164", "acme", "character 5 is hangul filler"),
        ("paypa1.com", "paypal.com", "digit one"),
        ("rnicrosoft.com", "microsoft.com", "character 1"),
        ("ΑCME", "ACME", "greek capital letter alpha"),
        ("A‑1001", "A-1001", "non-breaking hyphen"),
        ("billing@acme-invoice.com", "billing@acme-invoices.com", "one letter off acme-invoices.com"),
        ("jon.smith@acme.example", "john.smith@acme.example", "one letter is another"),
        ("DE89370400440532013001", "DE89 3704 0044 0532 0130 00", "1 of its 22 characters differs"),
        ("DE98370400440532013000", "DE89370400440532013000", "2 of its 22 characters differ"),
    ],
)
def test_a_twin_is_named_with_what_gives_it_away(value: str, known: str, why: str) -> None:
    found = lookalikes.twin(value, ["something else", known])
    assert found is not None and found.known == known
    assert why in found.why


@pytest.mark.parametrize(
    ("value", "known"),
    [
        ("A-1002", "A-1001"),
        ("paypal.com", "paypal.com"),
        ("Billing@Acme.example", "billing@acme.example"),
        ("DE89 3704 0044 0532 0130 00", "DE89370400440532013000"),
        ("NL91ABNA0417164300", "DE89370400440532013000"),
        ("anna@acme.example", "hanna@acme.example"),
        ("late", "damaged"),
        ("", "x"),
        ("x" * 300, "x" * 299 + "y"),
    ],
)
def test_what_is_the_same_or_plainly_another_is_no_twin(value: str, known: str) -> None:
    assert lookalikes.twin(value, [known]) is None


def test_a_value_that_is_known_itself_passes_for_nothing() -> None:
    assert lookalikes.twin("paypa1.com", ["paypal.com", "paypa1.com"]) is None


@given(st.text(alphabet="abcdefgh01l", min_size=1, max_size=30), st.integers(0, 29))
def test_a_hidden_character_anywhere_makes_a_twin(text: str, position: int) -> None:
    other = text[:position] + "\u200b" + text[position:]
    assert lookalikes.skeleton(other) == lookalikes.skeleton(text)
    assert lookalikes.twin(other, [text]) is not None


@given(st.text(max_size=40))
def test_skeletons_are_stable_and_a_text_is_no_twin_of_itself(text: str) -> None:
    assert lookalikes.skeleton(text) == lookalikes.skeleton(text)
    assert lookalikes.twin(text, [text]) is None


@given(st.text(alphabet="abc", min_size=1, max_size=12), st.text(alphabet="abc", min_size=1, max_size=12))
def test_one_slip_is_symmetric_and_never_equality(one: str, other: str) -> None:
    assert lookalikes.one_slip(one, other) == lookalikes.one_slip(other, one)
    assert not lookalikes.one_slip(one, one)
