"""Numbers, money and days as a person reads them: exact, and never to be misread."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from approvals.reading import figures

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=ZoneInfo("Europe/Vienna"))


@pytest.mark.parametrize(
    ("spelled", "currency", "shown"),
    [
        ("42.5", "EUR", "42.50"),
        ("1240", "EUR", "1 240.00"),
        ("1240", "JPY", "1 240"),
        ("1240.5", "JPY", "1 240.5"),
        ("1.5", "KWD", "1.500"),
        ("0.00012", "CLF", "0.00012"),
        ("-1234567.8", "USD", "-1 234 567.80"),
        ("1e3", "EUR", "1 000.00"),
        ("0.005", "", "0.005"),
        ("9007199254740991.99", "EUR", "9 007 199 254 740 991.99"),
        ("1e999", "EUR", "1e999"),
        ("1e18", "EUR", "1e18"),
        ("1,240", "EUR", "1,240"),
        ("١٢٣", "EUR", "١٢٣"),
        ("NaN", "EUR", "NaN"),
    ],
)
def test_money_has_its_currencys_decimals_and_parted_thousands(
    spelled: str, currency: str, shown: str
) -> None:
    assert figures.money(spelled, currency) == shown.replace(" ", figures.SPACE)


@given(
    st.decimals(min_value=-(10**15), max_value=10**15, places=4, allow_nan=False, allow_infinity=False),
    st.sampled_from(["EUR", "JPY", "KWD", "CLF", ""]),
)
def test_money_never_changes_the_amount(value: Decimal, currency: str) -> None:
    shown = figures.money(f"{value:f}", currency)
    assert Decimal(shown.replace(figures.SPACE, "")) == value
    whole, _, decimals = shown.lstrip("-").partition(".")
    assert len(decimals) >= figures.minor_units(currency)
    assert all(len(group) == 3 for group in whole.split(figures.SPACE)[1:])


@pytest.mark.parametrize(
    ("spelled", "words"),
    [
        ("999999.99", ""),
        ("1250000", "1.25 million"),
        ("1234567.89", "about 1.23 million"),
        ("-2000000000", "-2 billion"),
        ("x", ""),
    ],
)
def test_large_amounts_are_said_once_more(spelled: str, words: str) -> None:
    assert figures.magnitude(spelled) == words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("2026-11-30", "Monday, 30 November 2026, in 8 days"),
        ("2026-11-22", "Sunday, 22 November 2026, today"),
        ("2026-11-23", "Monday, 23 November 2026, tomorrow"),
        ("2026-11-02", "Monday, 2 November 2026, 20 days ago"),
        ("2062-11-30", "Thursday, 30 November 2062, in 36 years"),
        ("2026-02-30", None),
        ("26-11-30", None),
        ("２０２６-11-30", None),
    ],
)
def test_days_carry_weekday_and_distance(text: str, words: str | None) -> None:
    assert figures.day(text, NOW) == words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("2026-11-22T14:00:00Z", "Sunday, 22 November 2026, 15:00 CET, in 3 h 0 min"),
        ("2026-11-22T10:30:00+01:00", "Sunday, 22 November 2026, 10:30 CET, 1 h 30 min ago"),
        ("2026-11-25T23:30:00Z", "Thursday, 26 November 2026, 00:30 CET, in 4 days"),
        ("2026-11-22T14:00", "Sunday, 22 November 2026, 14:00, no time zone given"),
        ("0001-01-01T00:00:00+14:00", None),
        ("soon", None),
    ],
)
def test_moments_are_told_on_the_readers_clock(text: str, words: str | None) -> None:
    assert figures.moment(text, NOW) == words


def test_zones_without_a_name_are_told_as_offsets() -> None:
    assert figures.zone_name(ZoneInfo("America/Sao_Paulo"), NOW) == "UTC-03"
    assert figures.zone_name(UTC, NOW) == "UTC"
    assert figures.zone_name(timezone(timedelta(hours=2)), NOW) == "UTC+02:00"


@given(st.text(max_size=60))
def test_no_text_breaks_the_reading_of_figures(text: str) -> None:
    figures.money(text, "EUR")
    figures.magnitude(text)
    figures.day(text, NOW)
    figures.moment(text, NOW)
