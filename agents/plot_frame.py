"""The frame of a small plot: scales, paths, ticks, and the same in words and numbers. Pure.

A plot is a list of paths and marks in a box of WIDTH × HEIGHT units, with what a person who cannot see it needs beside:
a title, a description in full sentences, and the numbers as a table. Colours are the style sheet's: a line only says
what `kind` it is, and each kind has its dash pattern too."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import floor, log10

WIDTH, HEIGHT = 400, 236
LEFT, RIGHT, TOP, BOTTOM = 46, 20, 12, 40
"""Margins, in units; the left and the lower one hold the labels of the axes."""


@dataclass(frozen=True, slots=True)
class Tick:
    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Line:
    """A path. `kind` is own, bound, guess, limit, quiet or alarm; `name` stands in the key below the plot."""

    kind: str
    name: str
    d: str


@dataclass(frozen=True, slots=True)
class Mark:
    """The present: a point with its words, which lie on the side where there is room."""

    x: float
    y: float
    words: str
    anchor: str
    text_x: float
    text_y: float


@dataclass(frozen=True, slots=True)
class Plot:
    """One picture and the same in words and numbers."""

    code: str
    title: str
    says: str
    x_name: str
    y_name: str
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    lines: tuple[Line, ...]
    areas: tuple[Line, ...]
    marks: tuple[Mark, ...]
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    # The template draws the frame.
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    top: int = TOP
    bottom: int = HEIGHT - BOTTOM


# ── Scales ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Box:
    """Where values lie in the plot."""

    x0: float
    x1: float
    y0: float
    y1: float

    def x(self, value: float) -> float:
        share = (value - self.x0) / (self.x1 - self.x0)
        return LEFT + min(max(share, 0.0), 1.0) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        share = (value - self.y0) / (self.y1 - self.y0)
        return HEIGHT - BOTTOM - min(max(share, 0.0), 1.0) * (HEIGHT - TOP - BOTTOM)

    def path(self, points: Iterable[tuple[float, float]], *, stairs: bool = False) -> str:
        """Lines from point to point; as stairs, first along and then up."""
        parts: list[str] = []
        last: tuple[str, str] | None = None
        for x, y in points:
            here = (short(self.x(x)), short(self.y(y)))
            if here == last:
                continue
            if last is None:
                parts.append(f"M{here[0]} {here[1]}")
            elif stairs:
                parts.append(f"H{here[0]}" + (f"V{here[1]}" if here[1] != last[1] else ""))
            else:
                parts.append(f"L{here[0]} {here[1]}")
            last = here
        return "".join(parts)

    def across(self, y: float) -> str:
        """A line over the whole width."""
        return f"M{LEFT} {short(self.y(y))}H{WIDTH - RIGHT}"

    def mark(self, x: float, y: float, words: str) -> Mark:
        at, height = self.x(x), self.y(y)
        is_left = at > (LEFT + WIDTH - RIGHT) / 2
        above = height > TOP + 26
        return Mark(
            round(at, 1),
            round(height, 1),
            words,
            "end" if is_left else "start",
            round(at - 8 if is_left else at + 8, 1),
            round(height - 9 if above else height + 18, 1),
        )


def short(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def round_steps(low: float, high: float, most: int = 5) -> list[float]:
    """Round values from low to high, at most so many: 1, 2 or 5 times a power of ten apart."""
    if high <= low:
        return [low]
    rough = (high - low) / most
    size = 10.0 ** floor(log10(rough))
    step = next(size * times for times in (1, 2, 5, 10) if size * times >= rough * 0.999)
    first = -floor(-low / step + 1e-9)
    found = []
    while first * step <= high + step * 1e-6:
        found.append(round(first * step, 10))
        first += 1
    return found


def x_ticks(box: Box) -> tuple[Tick, ...]:
    return tuple(
        Tick(round(box.x(value), 1), f"{value:,.0f}")
        for value in round_steps(box.x0, box.x1, 4)
        if value == int(value)
    )


def number(value: float) -> str:
    """Errors in words: whole where they are whole."""
    return f"{value:,.0f}" if abs(value - round(value)) < 1e-9 else f"{value:,.2f}".rstrip("0")


def several(value: float, word: str) -> str:
    return f"{number(value)} {word}" if value == 1 else f"{number(value)} {word}s"


def share(value: float, places: int = 0) -> str:
    """0.9718 as `97.18 %`; trailing noughts are left out."""
    text = f"{value * 100:.{places}f}"
    return f"{text.rstrip('0').rstrip('.') if places else text} %"
