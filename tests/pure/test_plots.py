"""The plots of the owner's page: their numbers are the model's, their geometry is bounded, their words are true."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents import plots, standing_words, tier_model
from agents.plot_frame import HEIGHT, WIDTH, Plot, round_steps, share
from agents.plot_path import MOST_POINTS, Path, lost, retrace, thin
from agents.tier_model import LEVELS, Event, Probe, Review, Second, State, Thresholds, Turn

ON, OUT = "on_the_loop", "out_of_the_loop"
BEGAN = datetime(2026, 3, 2, tzinfo=UTC)


def reviews(losses: list[float], *, each: float = 1.0) -> list[Event]:
    """One review an hour by two people in turn, and a caught probe after every twentieth."""
    found: list[Event] = []
    for place, loss in enumerate(losses):
        at = BEGAN + timedelta(hours=place * each)
        found.append(
            Review(id=2 * place + 1, at=at, period=0, loss=loss, critical=False, reviewer=place % 2 + 1)
        )
        if place % 20 == 19:
            found.append(Probe(id=2 * place + 2, at=at, period=0, caught=True, reviewer=1))
    return found


def begin(tier: str = "in_the_loop", **limits: float) -> State:
    return tier_model.start(tier=tier, thresholds=Thresholds(**limits), at=BEGAN)  # type: ignore[arg-type]


def path_of(losses: list[float], tier: str = "in_the_loop") -> Path:
    states = [begin(tier)]
    for event in reviews(losses):
        states.append(tier_model.step(states[-1], event))
    return Path(tuple(states))


def every_plot(path: Path, target: str | None) -> list[Plot]:
    return [
        plots.staircase(path, target),
        plots.accuracy(path, target),
        plots.detector(path),
        plots.catch_rate(path.now),
    ]


# ── Words and numbers ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("losses", "words"),
    [
        ([], "0 errors: 89 reviews needed, you have 0. With probes that are all caught, 103 are needed."),
        ([1.0] + [0.0] * 9, "1 error: 140 reviews needed, you have 10. With probes that are all caught, 157"),
        (
            [1.0, 1.0] + [0.0] * 138,
            "2 errors: 184 reviews needed, you have 140. With what probes show of the",
        ),
    ],
)
def test_staircase_says_what_is_needed_and_there(losses: list[float], words: str) -> None:
    assert plots.staircase(path_of(losses), ON).says.startswith(words)


@pytest.mark.parametrize(("errors", "alpha"), [(0, 0.05), (1, 0.05), (2, 0.01), (7, 0.05), (30, 0.01)])
def test_boundary_is_the_models_own(errors: int, alpha: float) -> None:
    state = begin(alpha=alpha)
    expected = tier_model.reviews_needed(errors, 0.05, alpha / 2)
    assert plots.needed_if_caught(state, ON, plots.full(errors)) == expected


@given(
    good=st.integers(0, 200),
    faults=st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(0, 2), st.integers(0, 3)),
)
@settings(max_examples=25, deadline=None)
def test_words_and_the_models_next_step_agree(good: int, faults: tuple[int, int, int, int]) -> None:
    """What is needed as probes show, less what is there, is what the model says is to go, give or take that probes
    already served count in one and are expected in the other."""
    losses = [loss for loss, count in zip(LEVELS[1:], faults, strict=True) for _ in range(count)]
    state = path_of(losses + [0.0] * good).now
    needed = plots.needed_as_probed(state, ON, state.counts[1:])
    more = tier_model.reviews_to_go(state, ON)
    assert needed is not None and more is not None
    assert abs(max(needed - state.reviews, 0) - more) <= 25


@pytest.mark.parametrize(
    ("have", "need", "shown"),
    [(None, 3.7, 0), (-2.0, 3.7, 0), (0.0, 3.7, 0), (3.6899, 3.69, 99), (3.69, 3.69, 100), (9.0, 3.69, 100)],
)
def test_evidence_bar_is_full_only_when_it_is_there(have: float | None, need: float, shown: int) -> None:
    assert standing_words.percent(have, need) == shown


def day(moment: datetime) -> str:
    return f"on {moment:%A}"


@pytest.mark.parametrize(
    ("losses", "probed", "words"),
    [
        ([0.0] * 90, False, "waits for probes: none has been served yet"),
        ([], True, "103 more reviews without an error"),
    ],
)
def test_next_step_names_the_first_thing_missing(losses: list[float], probed: bool, words: str) -> None:
    events = [event for event in reviews(losses, each=24) if probed or isinstance(event, Review)]
    state = tier_model.fold(begin(), events)
    hurdles = tier_model.hurdles(state, ON, now=BEGAN + timedelta(days=120), can_be_critical=False)

    assert standing_words.next_step(state, ON, hurdles, day=day).startswith(words)


def test_next_step_says_when_the_cool_down_ends() -> None:
    state = tier_model.fold(
        begin(), reviews([0.0] * 240, each=0.9)
    )  # nine days, so only the cool-down is short
    limits = Thresholds(cool_down_days=12)
    state = tier_model.step(
        state,
        Turn(
            id=9999, at=BEGAN, period=0, tier="in_the_loop", attempts=(1, 1), fresh=False, thresholds=limits
        ),
    )
    hurdles = tier_model.hurdles(state, ON, now=BEGAN + timedelta(days=9), can_be_critical=False)
    assert standing_words.next_step(state, ON, hurdles, day=day) == "cool-down ends on Saturday"


@pytest.mark.parametrize(
    ("new", "before", "takes_an_admin"),
    [
        ({"on_p0": 0.97}, {}, []),
        ({"on_p0": 0.94}, {}, ["on_p0"]),
        ({"on_p0": 0.94}, {"on_p0": 0.94}, []),  # an admin has allowed it
        ({"on_p0": 0.945}, {"on_p0": 0.94}, []),  # stricter than that
        ({"alpha": 0.06}, {}, ["alpha"]),
        ({"alpha": 0.01, "reviewers": 1}, {}, ["reviewers"]),
        ({"alarm_on": 3000.0, "probe_in": 0.04}, {}, ["alarm_on", "probe_in"]),
        ({"maturity_hours": 0.0, "second": 0.0}, {}, ["maturity_hours", "second"]),
    ],
)
def test_what_takes_an_admin(
    new: dict[str, float], before: dict[str, float], takes_an_admin: list[str]
) -> None:
    found = standing_words.weakened(
        Thresholds(**new),  # type: ignore[arg-type]
        Thresholds(**before),  # type: ignore[arg-type]
        Thresholds(),
    )
    assert sorted(found) == takes_an_admin


@pytest.mark.parametrize(
    ("value", "places", "text"),
    [(0.95, 2, "95 %"), (0.9718, 2, "97.18 %"), (0.0005, 3, "0.05 %"), (0, 0, "0 %"), (1.0, 1, "100 %")],
)
def test_shares_read_as_people_say_them(value: float, places: int, text: str) -> None:
    assert share(value, places) == text


# ── Geometry ──────────────────────────────────────────────────────────────────────────────────────────────────────────

NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


@given(st.lists(st.sampled_from(LEVELS), max_size=400), st.sampled_from([ON, None]))
@settings(max_examples=30, deadline=None)
def test_every_plot_stays_in_its_box_and_small(losses: list[float], target: str | None) -> None:
    for plot in every_plot(path_of(losses), target):
        drawn = [*plot.lines, *plot.areas]
        assert plot.says.endswith(".") and plot.title
        for line in drawn:
            numbers = [float(found) for found in NUMBER.findall(line.d)]
            assert all(0 <= found <= WIDTH for found in numbers), (plot.code, line)
            assert line.d.startswith("M") and "nan" not in line.d and "e" not in line.d
        assert all(0 <= mark.x <= WIDTH and 0 <= mark.y <= HEIGHT for mark in plot.marks)
        assert all(0 <= tick.at <= WIDTH for tick in (*plot.x_ticks, *plot.y_ticks))
        assert sum(len(line.d) for line in drawn) < 8_000
        assert all(len(row) == len(plot.head) for row in plot.rows) and len(plot.rows) <= 17


def test_lines_of_one_plot_differ_without_colour() -> None:
    """Each kind has its own dashes in the style sheet; one plot uses a kind once."""
    for plot in every_plot(path_of([0.0] * 30 + [1.0]), ON):
        kinds = [line.kind for line in plot.lines]
        assert len(kinds) == len(set(kinds)), plot.code


def test_a_million_reviews_are_drawn_with_the_same_number_of_points() -> None:
    now = tier_model.fold(begin(OUT), reviews([0.0] * 300))
    many = State.from_json({**now.as_json(), "counts": [994_000, 0, 0, 0, 6_000], "critical": [1_000_000, 0]})
    losses: list[float] = ([0.0] * 166 + [1.0]) * 9
    path = retrace(many, reviews(losses[:1500]), whole=False)

    assert len(path.states) <= 1_100
    for plot in every_plot(path, None):
        assert sum(len(line.d) for line in plot.lines) < 8_000
    assert "6,000 errors in 1,000,000 reviews." in plots.staircase(path, None).says
    assert "Drawn are the last" in plots.detector(path).says


@given(st.integers(0, 10_000))
def test_thinning_keeps_both_ends(size: int) -> None:
    states = [begin()] * size
    assert len(thin(states)) == min(size, MOST_POINTS)


@given(st.floats(0, 1e6), st.floats(0.01, 1e6), st.integers(2, 8))
def test_axis_steps_are_few_and_within(low: float, width: float, most: int) -> None:
    found = round_steps(low, low + width, most)
    assert len(found) <= most + 1
    assert all(low - 1e-6 * (low + width) <= value <= low + width * (1 + 1e-6) + 1e-6 for value in found)
    assert found == sorted(found)


# ── Retracing ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_whole_period_is_retraced_exactly() -> None:
    events = reviews(([0.0] * 39 + [1.0, 0.25]) * 8)
    now = tier_model.fold(begin(), events)

    path = retrace(now, events, whole=True)

    assert path.states[0].reviews == 0 and path.now == now
    states = [begin()]
    for event in events:
        states.append(tier_model.step(states[-1], event))
    assert [(state.counts, state.probes) for state in path.states] == [
        (state.counts, state.probes) for state in states
    ]
    assert [state.detector for state in path.states] == [state.detector for state in states]


@pytest.mark.parametrize("tier", ["in_the_loop", OUT])
def test_a_part_of_a_period_is_retraced_from_where_it_ended(tier: str) -> None:
    """Counts are exact; the detector is as it was to within what nobody sees on a logarithmic scale."""
    losses: list[float] = ([0.0] * 60 + [1.0] + [0.0] * 90 + [0.5]) * 20
    events = reviews(losses)
    states = [begin(tier)]
    for event in events:
        states.append(tier_model.step(states[-1], event))
    last = events[-1500:]

    path = retrace(states[-1], last, whole=False)

    known = states[-len(path.states) :]
    assert [state.counts for state in path.states] == [state.counts for state in known]
    assert path.now == states[-1] and lost(path.now) == lost(states[-1])
    for found, was in zip(path.states, known, strict=True):
        assert tier_model.level(found) == pytest.approx(tier_model.level(was), rel=0.03)


def test_second_reviews_and_turns_do_not_disturb_the_counts() -> None:
    events = [
        *reviews([0.0] * 40),
        Second(id=500, at=BEGAN, period=0, agreed=False),
    ]
    now = tier_model.fold(begin(), events)
    path = retrace(now, events, whole=True)
    assert path.states[0].seconds == (0, 0) and path.now.seconds == (0, 1)
