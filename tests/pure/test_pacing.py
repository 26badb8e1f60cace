"""How long to look, and how many in a minute (A40)."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from approvals import pacing

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("risk", "length", "view_seconds", "rate", "least"),
    [
        ("low", 5000, {}, 0, 0),
        ("high", 0, {"high": 4}, 0, 4),
        ("low", 0, {"high": 4}, 0, 0),
        ("low", 101, {}, 50, 3),
        ("critical", 100, {"critical": 8}, 50, 10),
        ("critical", 10**9, {"critical": 8}, 50, pacing.LONGEST),
    ],
)
def test_least_seconds(risk: str, length: int, view_seconds: dict[str, int], rate: int, least: int) -> None:
    found = pacing.least_seconds(risk=risk, length=length, view_seconds=view_seconds, reading_rate=rate)
    assert found == least


@pytest.mark.parametrize(
    ("opened", "left"), [(None, 5), (ago(0), 5), (ago(4.2), 1), (ago(5), 0), (ago(900), 0), (ago(-60), 65)]
)
def test_seconds_left(opened: datetime | None, left: int) -> None:
    assert pacing.seconds_left(opened_at=opened, now=NOW, least=5) == left


@pytest.mark.parametrize(
    ("approvals", "per_minute", "wait"),
    [
        ([], 3, 0),
        ([ago(1), ago(2), ago(3)], 0, 0),
        ([ago(1), ago(2)], 3, 0),
        ([ago(1), ago(2), ago(3)], 3, 57),
        ([ago(50), ago(1), ago(2), ago(3)], 3, 57),
        ([ago(61), ago(2), ago(3)], 3, 0),
    ],
)
def test_wait_for_room(approvals: list[datetime], per_minute: int, wait: int) -> None:
    assert pacing.wait_for_room(approvals=approvals, now=NOW, per_minute=per_minute) == wait


@given(st.lists(st.floats(0, 120), max_size=30), st.integers(1, 20))
def test_whoever_waits_as_told_stays_within_the_pace(seconds: list[float], per_minute: int) -> None:
    approvals = [ago(one) for one in seconds]
    wait = pacing.wait_for_room(approvals=approvals, now=NOW, per_minute=per_minute)
    then = NOW + timedelta(seconds=wait)
    assert sum(moment > then - pacing.MINUTE for moment in approvals) < per_minute


@pytest.mark.parametrize(
    ("risk", "is_reversible", "must"),
    [("low", True, False), ("critical", True, True), ("low", False, True), ("high", True, False)],
)
def test_must_be_seen(risk: str, is_reversible: bool, must: bool) -> None:
    assert pacing.must_be_seen(risk=risk, is_reversible=is_reversible) == must
