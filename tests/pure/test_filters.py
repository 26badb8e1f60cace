"""The filters of a list: every address gives some, and each has one way to be written."""

from decimal import Decimal
from urllib.parse import parse_qs

from hypothesis import given
from hypothesis import strategies as st

from approvals import filters
from approvals.filters import Filters

NAMES = [*Filters.__dataclass_fields__, "after", "x"]
PLAUSIBLE = st.sampled_from(
    [
        "waiting",
        "open",
        "low",
        "critical",
        "rule:a b",
        "limit",
        "in_the_loop",
        "12.5",
        "1,000",
        "4h",
        "me",
        "17",
        "eur",
        "a-1",
    ]
)
VALUES = st.one_of(PLAUSIBLE, st.text(max_size=300))


@given(st.dictionaries(st.sampled_from(NAMES), st.lists(VALUES, max_size=60)))
def test_any_address_gives_filters_that_come_back_from_their_own_address(
    values: dict[str, list[str]],
) -> None:
    parsed = filters.parse(values)
    again = filters.parse(parse_qs(filters.query(parsed.filters)))
    assert again.filters == parsed.filters
    assert again.ignored == []
    for name, value in filters.chosen(parsed.filters):
        less = filters.without(parsed.filters, name, value)
        assert (name, value) not in filters.chosen(less)
        assert len(filters.chosen(less)) == len(filters.chosen(parsed.filters)) - 1


@given(
    st.sampled_from(["min", "max", "age", "held", "risk", "tier", "why", "due", "state", "currency"]),
    st.text(min_size=1),
)
def test_what_means_nothing_is_named(name: str, text: str) -> None:
    parsed = filters.parse({name: [text]})
    understood = parsed.filters != Filters() or text.replace("\x00", "").strip() in ("", "waiting")
    assert understood != bool(parsed.ignored)


def test_the_address_is_short_and_in_one_order() -> None:
    assert filters.query(Filters()) == ""
    parsed = filters.parse(
        {"max": ["1,200.50"], "agent": ["b", "a", "b"], "q": [" two  words "], "state": ["waiting"]}
    )
    assert filters.query(parsed.filters) == "q=two++words&agent=b&agent=a&max=1200.50"
    assert parsed.filters.max == Decimal("1200.50")
    assert parsed.filters.narrows and not Filters(state="open", queue=("a",)).narrows


def test_ages_are_read_in_minutes_hours_days_and_weeks() -> None:
    minutes = [text and filters.age(text) for text in ("90m", "4h", "3d", "1w")]
    assert [each and each.total_seconds() / 60 for each in minutes] == [90, 240, 4320, 10080]
    assert [filters.age(text) for text in ("", "4", "0h", "-1h", "4 h", "h", "٣h", "99999h")] == [None] * 8


def test_reasons_are_said_shortly_and_once() -> None:
    reasons = [
        {"code": "limit_amount", "rule": "", "detail": "More than 5."},
        {"code": "limit_window_count", "rule": "", "detail": "9 today."},
        {"code": "rule", "rule": "big", "detail": "amount > 5"},
        {"code": "cap", "rule": "night", "detail": ""},
        {"code": "something_new", "rule": "", "detail": ""},
    ]
    assert filters.short_reasons(reasons) == [
        "over a limit",
        "rule big",
        "tier capped by night",
        "something new",
    ]
    assert filters.short_reasons([{"code": "rule", "rule": "{0}{x.__class__}"}]) == ["rule {0}{x.__class__}"]
