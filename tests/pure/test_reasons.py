"""Why a proposal is where it is, read aloud; what the reader has no words for stays as it is written."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from approvals.reading import reasons


def label(pointer: str) -> str:
    return {"/purchase_order": "Purchase order", "/to": "Recipient"}.get(pointer, pointer)


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("amount > 500", "the amount is more than 500"),
        ("amount >= 12000.50", "the amount is at least 12 000.5"),
        ("amount != null && amount < -5", "the amount is given and the amount is less than -5"),
        ("action.name == 'pay' && amount > 10000.0", "the amount is more than 10 000"),
        ("action.name == 'pay'", "every proposal of this kind is reviewed"),
        ("true", "every proposal of this kind is reviewed"),
        ("action.name == 'other' || amount == 0", "the amount is 0"),
        (
            "!has(args.purchase_order) && amount > 500",
            "“Purchase order” is not given and the amount is more than 500",
        ),
        ("args.to in ['a', 'b']", "“Recipient” is one of “a”, “b”"),
        ("args.to.endsWith('@evil.io')", "“Recipient” ends with “@evil.io”"),
        ("size(args.to) > 3", "the length of “Recipient” is more than 3"),
        ("!action.reversible", "it cannot be undone"),
        ("action.reversible == false", "it cannot be undone"),
        ("args.ok == true || !args.to", "“/ok” is yes or “Recipient” is no"),
        ("(args.to == 'x' || amount > 1)", "“Recipient” is “x” or the amount is more than 1"),
        ("history.subject_count >= 3", "the number about the same subject in 24 hours is at least 3"),
    ],
)
def test_simple_conditions_are_read_aloud(expression: str, words: str) -> None:
    spelled = reasons.spelled(expression, action="pay", label=label)
    assert spelled.replace("\u202f", " ") == words


@pytest.mark.parametrize(
    "expression",
    [
        "args.lines.all(l, l.price > 0)",
        "amount > args.limit",
        "!(amount > 5)",
        "amount > 5 ? true : false",
        "amount >",
        "((",
        "",
        "unknown.thing == 1",
        r"args.to == 'it\'s'",
    ],
)
def test_what_it_has_no_words_for_is_not_guessed_at(expression: str) -> None:
    assert reasons.spelled(expression, action="pay", label=label) == ""


@given(st.text(alphabet="amountrgs.>=<&|!()[]'\"x1 ,-", max_size=40))
def test_no_expression_breaks_the_reader(expression: str) -> None:
    assert isinstance(reasons.spelled(expression, action="pay", label=label), str)


RULES: list[dict[str, Any]] = [
    {
        "name": "large",
        "when": "amount > 500",
        "note": "Finance looks.",
        "review": {"queue": "finance", "quorum": 2},
    },
    {"name": "odd", "when": "args.x.all(y, y > 1)", "note": "Odd ones.", "review": {}},
    {"name": "careful", "when": "amount > 5", "cap": "in_the_loop"},
]


def test_rules_come_with_note_effect_and_condition() -> None:
    stored = [
        {"code": "rule", "rule": "large", "detail": "amount > 500"},
        {"code": "rule", "rule": "odd", "detail": "args.x.all(y, y > 1)"},
        {"code": "rule", "rule": "gone", "detail": "weird ? 1 : 2"},
        {"code": "cap", "rule": "careful", "detail": "The rule caps the tier at in the loop."},
        {"code": "limit_amount", "rule": "", "detail": "More than the mandate's 12000.00 per action."},
    ]
    large, odd, gone, cap, limit = reasons.in_words(stored, RULES, action="pay", label=label)
    assert (large.sentence, large.note, large.effect, large.expression) == (
        "The amount is more than 500.",
        "Finance looks.",
        "Review in finance by 2 people",
        "amount > 500",
    )
    assert (odd.sentence, odd.note, odd.expression) == ("Odd ones.", "", "args.x.all(y, y > 1)")
    assert (gone.sentence, gone.expression) == ("The rule gone asks for a review.", "weird ? 1 : 2")
    assert cap.sentence == "The rule caps the tier at in the loop because the amount is more than 5."
    assert limit.sentence == "More than the mandate's 12\u202f000.00 per action."


def test_the_draw_is_told_where_it_fell_on_this_one() -> None:
    drawn = reasons.sampling(0.2, drawn=True)
    assert drawn is not None and "20 % of its kind" in drawn.sentence
    assert reasons.sampling(0.2, drawn=False) is None
    assert reasons.sampling(None, drawn=True) is None
