"""Recorded real agents, decided by their ground truth: what would each have earned for each kind of action?

    make bench ARGS=recorded            (BENCH_RECORDED names the directory; by default ../shared/data/proposals)

Every key is run by the whole tier model (agents/backtest.py) with the thresholds of TIERS.md, reviewers who catch every
error and five draws, once as recorded and once with episodes shuffled. Cool-down and exposure count for nothing, since
the runs have no times; contested labels are left out, an injected action is a critical error. The table has agents by
action type with at least BENCH_LEAST actions (30); the sums below have all. What it would miss: calls of an episode are
not independent, so a tier earned here says less than one earned in operation."""

import gzip
import json
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from agents.autonomy import Tier
from agents.backtest import ON, OUT
from agents.backtest_lines import Key, Reading, read
from agents.backtest_report import Line, Options, Report, backtest

LOWER = 0.9
"""Asked for instead of 0.95, to show that it is the proof that is missing and not the will to promote."""
FILES = (
    "agentdojo_banking.jsonl.gz",
    "agentdojo_slack.jsonl.gz",
    "agentdojo_workspace.jsonl.gz",
    "airline.jsonl.gz",
    "retail.jsonl.gz",
    "telecom.jsonl.gz",
)
_BESIDE = Path(__file__).resolve().parent.parent.parent / "shared" / "data" / "proposals"


@dataclass(frozen=True)
class Row:
    """One agent and kind of action of one file."""

    file: str
    line: Line


def table(
    folder: Path, *, mixed: bool, seeds: int = 5, overrides: Mapping[str, float] | None = None
) -> list[Row]:
    """All files, each agent and action type by itself, in the order in which they were recorded or shuffled."""
    risks = _risks(folder / "action_types.json")
    rows = []
    for name in FILES:
        reading = read(_lines(folder / name, "mixed_seq" if mixed else "seq"))
        if reading.faults:
            sys.exit(f"{name}: {reading.faults[0]}")
        reading.keys = {_with_risk(key, risks): actions for key, actions in reading.keys.items()}
        report = _report(reading, Options(seeds=seeds, overrides=overrides or {}))
        rows += [Row(name.removesuffix(".jsonl.gz"), line) for line in report.lines]
    return rows


def _report(reading: Reading, options: Options) -> Report:
    going = backtest(reading, options)
    while True:
        try:
            next(going)
        except StopIteration as ended:
            report: Report = ended.value
            return report


def _lines(path: Path, order: str) -> Iterator[bytes]:
    with gzip.open(path, "rb") as file:
        yield from sorted(file, key=lambda line: int(json.loads(line)[order]))


def _risks(path: Path) -> dict[str, str]:
    """What cannot be undone and moves money is of high risk, and judged with alpha = 0.01."""
    kinds = json.loads(path.read_text("utf-8"))["action_types"]
    return {
        kind["action_type"]: "high" if kind["reversible"] == "no" and kind["amount_argument"] else "medium"
        for kind in kinds
    }


def _with_risk(key: Key, risks: dict[str, str]) -> Key:
    return key._replace(risk=risks.get(key.action_type, "medium"))


# ── What is printed ───────────────────────────────────────────────────────────────────────────────────────────────────


def _show(rows: list[Row], title: str, least: int, console: Console) -> None:
    shown = Table(title=title, title_justify="left")
    for name in ("file", "agent", "action type", "risk"):
        shown.add_column(name, overflow="fold")
    for name in ("actions", "correct", "tier", "reviews", "when"):
        shown.add_column(name, justify="right")
    shown.add_column("why", overflow="fold")
    for row in sorted(rows, key=lambda row: (row.line.share_wrong, -row.line.actions)):
        if row.line.actions >= least or row.line.course.changes:
            shown.add_row(*map(Text, _cells(row)))
    console.print(shown)
    good = [row for row in rows if row.line.share_wrong <= 0.05]
    risen = [row for row in rows if row.line.reached[ON].seeds]
    wrong_ones = [row for row in risen if row.line.share_wrong > 0.05]
    console.print(
        Text(
            f"{len(rows)} keys with {sum(row.line.actions for row in rows):,} actions, {len(good)} of them at 0.95 or "
            f"more ({sum(row.line.actions for row in good):,} actions, the largest has "
            f"{max((row.line.actions for row in good), default=0)}). Earned on the loop: {len(risen)}, out of the "
            f"loop: {sum(row.line.reached[OUT].seeds > 0 for row in rows)}; below 0.95 and promoted all the same: "
            f"{len(wrong_ones)}."
        )
    )


def _cells(row: Row) -> list[str]:
    line = row.line
    change = line.course.first(ON)
    why = f"{change.words}." if change else " ".join(line.lacking[:1])
    return [
        row.file,
        line.key.agent,
        line.key.action_type,
        line.key.risk,
        f"{line.actions:,}",
        f"{1 - line.share_wrong:.1%}",
        Tier(line.course.tier).label,
        f"{line.reviews.mean + line.audits.mean:,.0f}",
        f"line {change.number:,}" if change else "–",
        why,
    ]


def main() -> None:
    folder = Path(os.environ.get("BENCH_RECORDED", _BESIDE))
    if not folder.is_dir():
        sys.exit(f"There are no recorded proposals in {folder}; BENCH_RECORDED names another directory.")
    least = int(os.environ.get("BENCH_LEAST", "30"))
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 190)
    _show(table(folder, mixed=False), "In the order of recording", least, console)
    _show(table(folder, mixed=True), "Episodes shuffled", least, console)
    lower = table(folder, mixed=False, overrides={"on_p0": LOWER})
    _show(lower, f"As recorded, with {LOWER} asked for on the loop", 10**9, console)


if __name__ == "__main__":
    main()
