"""Backtests: reading hostile files, and the whole model run over recorded behaviour."""

import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents import tier_model
from agents.backtest import IN, ON, OUT, Action, Beside, Rules, course, lacking
from agents.backtest_lines import MAX_LINE, Key, Reading, lines_of, read
from agents.backtest_report import Options, Report, as_json, backtest
from agents.tier_model import Thresholds
from bench.recorded import FILES, table

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def line(**changes: Any) -> dict[str, Any]:
    made = {"at": "2026-01-01T08:00:00Z", "agent": "bot", "action_type": "refund", "correct": True}
    return {name: value for name, value in {**made, **changes}.items() if value is not ...}


def as_file(*rows: dict[str, Any]) -> list[bytes]:
    return [json.dumps(row).encode() for row in rows]


def done(reading: Reading, options: Options) -> Report:
    going = backtest(reading, options)
    while True:
        try:
            next(going)
        except StopIteration as ended:
            report: Report = ended.value
            return report


def actions(
    losses: Iterable[float | None], *, every: timedelta = timedelta(hours=1), **more: Any
) -> list[Action]:
    return [
        Action(at=BEGIN + every * number, number=number, loss=loss, reviewer=number % 3, **more)
        for number, loss in enumerate(losses, 1)
    ]


def rules(**overrides: object) -> Rules:
    return Rules(thresholds=Thresholds.of(overrides, risk="medium"))


def stream(rate: float, number: int, seed: int) -> list[float]:
    draw = Random(seed)
    return [1.0 if draw.random() < rate else 0.0 for _ in range(number)]


# ── Reading ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("raw", "field", "words"),
    [
        (line(agent=...), "agent", "at most 200"),
        (line(agent=" "), "agent", "at most 200"),
        (line(agent="a" * 201), "agent", "at most 200"),
        (line(agent="bot\u202egnp"), "agent", "cannot be printed"),
        (line(agent="bot\x1b[31m"), "agent", "cannot be printed"),
        (line(action_type=7), "action_type", "give a text"),
        (line(risk="grave"), "risk", "low, medium, high, critical"),
        (line(correct=...), "loss", "give loss, verdict or correct"),
        (line(correct=1), "correct", "true or false"),
        (line(correct=True, loss=0), "correct", "one of loss"),
        (line(correct=..., loss=0.3), "loss", "0, 0.1, 0.25, 0.5, 1"),
        (line(correct=..., loss=True), "loss", "0, 0.1, 0.25, 0.5, 1"),
        (line(correct=..., verdict="fine"), "verdict", "approve"),
        (line(reviewed=False), "correct", "nobody reviewed"),
        (line(critical=True), "critical", "cannot be right"),
        (line(critical="no"), "critical", "true or false"),
        (line(at="yesterday"), "at", "with its zone"),
        (line(at="2026-01-01T08:00:00"), "at", "zone is missing"),
        (line(at="0001-01-01T00:00:00+14:00"), "at", "with its zone"),
        (line(at="9999-12-31T23:00:00Z"), "at", "year 9999"),
        (line(at=5), "at", "with its zone"),
        (line(probability=0), "probability", "0.001 to 1"),
        (line(amount="much", currency="EUR"), "amount", "number"),
        (line(amount="NaN", currency="EUR"), "amount", "10^15"),
        (line(amount="1e400000", currency="EUR"), "amount", "10^15"),
        (line(amount=5), "currency", "three letters"),
        (line(amount=5, currency="€€€"), "currency", "three letters"),
        (line(crtical=True), "crtical", "no such field"),
    ],
)
def test_fault_names_line_field_and_remedy(raw: dict[str, Any], field: str, words: str) -> None:
    found = read(as_file(line(), raw, line()))
    assert [(fault.line, fault.field) for fault in found.faults] == [(2, field)]
    assert words in found.faults[0].remedy
    assert found.keys == {}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"not json", "not JSON"),
        (b'{"agent": "a", "agent": "b"}', "twice"),
        (b'{"loss": NaN}', "NaN"),
        (b'{"amount": 1e999}', "digits"),
        (b"[1]", "in braces"),
        (b"[" * 100_000, "nested"),
        (b'{"metadata":' * 70 + b"1" + b"}" * 70, "nested"),
        (b"\xff\xfe{", "UTF-8"),
        (b'{"agent": "\\ud800"}', "surrogate"),
        (b'{"agent": "' + b"a" * MAX_LINE, "in one line"),
        (b"\x1f\x8b\x08\x00", "compressed"),
        (b"PK\x03\x04", "compressed"),
    ],
)
def test_hostile_line_is_a_fault(text: bytes, words: str) -> None:
    found = read([text])
    assert len(found.faults) == 1 and words in found.faults[0].remedy
    assert str(found.faults[0]).isprintable()


@given(st.lists(st.binary(max_size=60), max_size=8))
def test_any_bytes_are_read_or_refused(rows: list[bytes]) -> None:
    found = read(rows)
    assert bool(found.faults) != bool(found.keys)
    assert all(fault.remedy and str(fault).isprintable() for fault in found.faults)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    st.dictionaries(st.sampled_from(sorted(line() | {"amount": 1, "risk": 1, "loss": 1})), _JSON),
    st.booleans(),
)
def test_any_values_are_read_or_refused(changes: dict[str, Any], benchmark: bool) -> None:
    row = line(**changes) | ({"ground_truth": changes.get("loss")} if benchmark else {})
    found = read([json.dumps(row).encode()])
    assert bool(found.faults) != bool(found.keys)


def test_times_stand_in_all_lines_or_in_none() -> None:
    assert [fault.field for fault in read(as_file(line(), line(at=...))).faults] == ["at"]
    found = read(as_file(line(at=...), line(at=...)))
    assert not found.faults and not found.has_times


def test_lines_out_of_order_are_sorted_and_told() -> None:
    rows = as_file(line(at="2026-01-02T00:00:00Z"), line(at="2026-01-01T00:00:00+00:00", correct=False))
    found = read(rows)
    assert [action.number for action in found.keys[Key("bot", "", "refund", "medium")]] == [2, 1]
    assert found.moved == 1


def test_at_most_twenty_faults_are_listed() -> None:
    assert len(read([b"x"] * 1000).faults) == 20


def test_empty_file_is_a_fault() -> None:
    assert [fault.remedy for fault in read([b"", b"  "]).faults] == [
        "the file has no action: give one JSON object a line"
    ]


@given(st.binary(max_size=200))
def test_lines_are_those_between_line_feeds(content: bytes) -> None:
    expected = content.split(b"\n")
    assert list(lines_of(content)) == (expected[:-1] if expected[-1] == b"" else expected)


def test_benchmark_record_is_mapped() -> None:
    row = {
        "proposal_id": "p",
        "agent": {"id": "a / tools", "model": "m"},
        "action_type": "send_money",
        "arguments": {"amount": 1},
        "ground_truth": {"label": "incorrect", "contested": False},
        "injected": True,
        "recorded_at": "2024-05-15T10:00:00",
    }
    contested = {**row, "ground_truth": {"label": "incorrect", "contested": True}}
    found = read(as_file(row, contested))
    assert found.left_out == 1 and not found.has_times
    (action,) = found.keys[Key("a / tools", "m", "send_money", "medium")]
    assert (action.loss, action.critical) == (1.0, True)


# ── Running ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_flawless_agent_rises_no_sooner_than_the_boundary() -> None:
    """59 reviews are the least TIERS.md allows at p0 .95; nobody is promoted within the first seven days."""
    quick = course(
        actions([0.0] * 400), rules(cool_down_days=0, exposure_days=0, maturity_hours=0), Random(1)
    )
    first = quick.first(ON)
    assert first is not None and 59 <= first.number <= 130
    slow = course(actions([0.0] * 400), rules(), Random(1))
    later = slow.first(ON)
    assert later is not None and later.at >= BEGIN + timedelta(days=8)


def test_small_losses_count_after_their_maturity_only() -> None:
    """An error is seen at once, what was right a day later: 30 lines within an hour prove nothing within the hour."""
    found = course(
        actions([0.0] * 300, every=timedelta(seconds=10)), rules(cool_down_days=0, exposure_days=0), Random(1)
    )
    first = found.first(ON)
    assert first is not None and first.at >= BEGIN + timedelta(hours=24)
    assert found.reviews == 300 and found.unreviewed == 0


@pytest.mark.parametrize("rate", [0.05, 0.06, 0.1, 0.4])
def test_agent_at_or_beyond_the_tolerated_error_stays(rate: float) -> None:
    """12 streams of 1,200: about alpha of them may rise at 0.05, none above."""
    risen = sum(
        course(actions(stream(rate, 1200, seed)), rules(), Random(seed)).first(ON) is not None
        for seed in range(12)
    )
    assert risen <= (3 if rate == 0.05 else 0)


def test_good_agent_that_turns_bad_falls() -> None:
    losses = [*stream(0.002, 1500, 1), *stream(0.3, 1500, 2)]
    found = course(actions(losses), rules(), Random(5))
    assert [change.after for change in found.changes][:1] == [ON]
    fall = next(change for change in found.changes if change.cause == "detector")
    assert 1500 < fall.number < 1700 and fall.have >= fall.need
    assert found.tier == IN
    assert found.wrong < 60, "nearly all of the 450 errors after the turn were caught beforehand"


def test_critical_error_takes_the_tier_at_once() -> None:
    rows = actions([0.0] * 600)
    rows[500] = Action(at=rows[500].at, number=501, loss=1.0, critical=True, reviewer=1)
    found = course(rows, rules(early_on=1, audit_on=1), Random(1))
    assert [(change.cause, change.number) for change in found.changes][:2] == [
        ("evidence", found.changes[0].number),
        ("critical", 501),
    ]


def test_ceiling_is_not_passed() -> None:
    steady = actions([0.0] * 6000)
    assert course(steady, rules(), Random(1)).tier == OUT
    for ceiling in (IN, ON):
        capped = Rules(thresholds=Thresholds(), ceiling=ceiling)
        assert course(steady, capped, Random(1)).tier == ceiling


def test_reviewers_who_miss_errors_cost_reviews() -> None:
    """With probes caught at 0.7 the corrected evidence needs more reviews than with 1.0 (TIERS.md, 9)."""
    steady = actions([0.0] * 3000)
    plain, tired = (
        course(steady, Rules(thresholds=Thresholds(), catch_rate=rate), Random(3)).first(ON)
        for rate in (1.0, 0.7)
    )
    assert plain is not None and (tired is None or tired.reviews > plain.reviews)
    assert course(steady, Rules(thresholds=Thresholds(), catch_rate=0.0), Random(3)).first(ON) is None


def test_without_probes_nobody_rises() -> None:
    found = course(actions([0.0] * 2000), rules(probe_in=0), Random(1))
    assert found.changes == [] and "without probes" in lacking(found, rules(probe_in=0))[0]


def test_recorded_probes_take_the_place_of_drawn_ones() -> None:
    rows = actions([0.0] * 600)
    as_recorded = Rules(thresholds=Thresholds(), catch_rate=None)
    assert course(rows, as_recorded, Random(1)).changes == []
    served = [Beside(at=row.at, is_probe=True, good=True, reviewer=1) for row in rows[::15]]
    assert course(rows, as_recorded, Random(1), beside=served).first(ON) is not None


def test_what_nobody_judged_is_no_evidence_and_is_counted() -> None:
    rows = actions([None] * 500)
    found = course(rows, rules(), Random(1))
    assert (found.unknown, found.reviews, found.changes) == (500, 0, [])


def test_irreversible_actions_are_held_while_escalated() -> None:
    losses = [*([0.0] * 600), *stream(0.12, 400, 1)]
    free = course(actions(losses), rules(), Random(1))
    held = course(actions(losses, reversible=False), rules(), Random(1))
    assert free.held == 0 and held.held > 0


def test_money_is_summed_by_currency() -> None:
    rows = [
        line(
            at=(BEGIN + timedelta(hours=n)).isoformat(),
            amount=-n if n % 2 else n,
            currency="EUR" if n % 3 else "USD",
        )
        for n in range(1, 500)
    ]
    report = done(read(as_file(*rows)), Options(seeds=3))
    (found,) = report.lines
    at = found.course.first(ON)
    assert at is not None and set(found.money) == {"EUR", "USD"}
    ran = [n for n in range(1, 500) if n > at.number]
    euro = sum((Decimal(n) for n in ran if n % 3), Decimal(0))
    assert abs(found.course.money["EUR"].total - euro) <= Decimal(2 * at.number + 4)
    assert found.course.money["EUR"].wrong == 0


def test_a_report_is_repeatable_and_its_own_key_alone() -> None:
    rows = [line(at=(BEGIN + timedelta(hours=n)).isoformat(), correct=n % 40 != 0) for n in range(800)]
    others = [{**row, "agent": "other", "correct": False} for row in rows]
    options = Options(seeds=2, seed=7)
    alone = as_json(done(read(as_file(*rows)), options))
    among = as_json(done(read(as_file(*rows, *others)), options))
    assert alone["keys"][0] == next(key for key in among["keys"] if key["agent"] == "bot")
    assert as_json(done(read(as_file(*rows)), options)) == alone
    json.dumps(alone, allow_nan=False)


@given(
    st.lists(st.sampled_from([0.0, 0.0, 0.0, 0.0, 0.1, 0.25, 0.5, 1.0, None]), min_size=1, max_size=120),
    st.integers(0, 5),
    st.sampled_from([0.0, 0.6, 1.0]),
    st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_every_action_goes_exactly_one_way(
    losses: list[float | None], seed: int, rate: float, eager: bool
) -> None:
    """Reviewed beforehand, run unreviewed, or not known: nothing is lost, nothing counted twice."""
    overrides: dict[str, object] = {
        "cool_down_days": 0,
        "exposure_days": 0,
        "maturity_hours": 0,
        "reviewers": 1,
    }
    if eager:
        overrides |= {"on_p0": 0.6, "alpha": 0.2, "probe_in": 0.5}
    found = course(
        actions(losses), Rules(thresholds=Thresholds.of(overrides, risk="low"), catch_rate=rate), Random(seed)
    )
    before_unknown = len(losses) - found.reviews - found.unreviewed
    assert 0 <= before_unknown <= found.unknown
    assert found.wrong <= sum(loss is not None and loss >= 0.5 for loss in losses)
    assert found.audits <= found.unreviewed
    if rate == 0:
        assert found.changes == []


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"catch_rate": 1.2}, "catch rate"),
        ({"catch_rate": float("nan")}, "catch rate"),
        ({"seeds": 0}, "seeds"),
        ({"ceiling": "advisory"}, "ceiling"),
        ({"overrides": {"on_p0": 0.2}}, "on_p0"),
        ({"overrides": {"alpha": float("nan")}}, "alpha"),
        ({"overrides": {"audit_on": 0.9}}, "early_on"),
    ],
)
def test_absurd_options_are_refused_by_name(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Options(**values)


def test_the_model_decides_through_its_one_door(monkeypatch: pytest.MonkeyPatch) -> None:
    """No rule of its own: if the model never says yes, nobody rises, whatever the evidence."""
    answer: Callable[..., bool] = lambda *_, **__: False  # noqa: E731
    monkeypatch.setattr(tier_model, "may_promote", answer)
    assert course(actions([0.0] * 800), rules(), Random(1)).changes == []


# ── Recorded agents ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_recorded_agents_earn_what_their_ground_truth_allows(shared_data: Path | None) -> None:
    """No agent below 0.95 rises for any kind of action, in the order of recording or shuffled by episodes; the few
    above it have too few actions for the proof. A strict measurement, contested labels left out."""
    if shared_data is None:
        pytest.skip("there are no recorded proposals beside this directory")
    folder = shared_data / "proposals"
    assert sorted(path.name for path in folder.glob("*.jsonl.gz")) == sorted(FILES)
    for mixed in (False, True):
        rows = table(folder, mixed=mixed, seeds=2)
        assert len(rows) > 200
        assert sum(row.line.actions for row in rows) == 9174 - 272
        below = [row for row in rows if row.line.share_wrong > 0.05]
        assert len(below) > 150
        assert [row.line.key for row in below if row.line.reached[ON].seeds] == []
        assert [row.line.key for row in rows if row.line.reached[OUT].seeds] == []
        for row in rows:
            if row.line.reached[ON].seeds:
                assert row.line.actions >= 59 and row.line.share_wrong < 0.05
            else:
                assert row.line.unreviewed.high == 0
    lower = [row.line for row in table(folder, mixed=False, seeds=2, overrides={"on_p0": 0.9})]
    risen = [line for line in lower if line.reached[ON].seeds]
    assert risen, "where less is asked for, somebody rises: it is the proof that is missing, not the will"
    assert max(line.share_wrong for line in risen) < 0.1
