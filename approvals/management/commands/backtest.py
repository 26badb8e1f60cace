"""`manage.py backtest FILE.jsonl`: which tiers recorded behaviour would have earned (docs/backtest.md)."""

import gzip
import json
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from io import BufferedIOBase
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from agents import backtest_lines, backtest_report
from agents.autonomy import Tier
from agents.backtest import ON, OUT, TIERS
from agents.backtest_lines import MAX_LINE, Reading
from agents.backtest_report import Line, Options, Report, Spread

THRESHOLDS = {
    "on_p0": "accuracy asked for on the loop",
    "out_p0": "accuracy asked for out of the loop",
    "alpha": "how likely a false promotion may be at most",
    "audit_on": "share of actions audited on the loop",
    "audit_out": "share audited out of the loop",
    "early_on": "share of the first ones audited on the loop",
    "early_out": "share of the first ones audited out of the loop",
    "cool_down_days": "days a tier lasts at least before the next",
    "exposure_days": "days between first and last review at least",
    "maturity_hours": "hours before a small loss counts",
}


class Command(BaseCommand):
    help = "Run the tier model over recorded behaviour: which tier it would have earned, when, why, and what it costs."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "file", type=Path, metavar="FILE.jsonl", help="one JSON object a line; .gz is read too"
        )
        for name, words in THRESHOLDS.items():
            parser.add_argument(f"--{name.replace('_', '-')}", type=float, metavar="N", help=words)
        parser.add_argument("--ceiling", choices=TIERS, default=OUT, help="the highest tier it may earn")
        parser.add_argument(
            "--catch-rate", type=float, default=1.0, metavar="C", help="share of errors reviewers catch"
        )
        parser.add_argument("--seed", type=int, default=1, metavar="N", help="the first seed of the draws")
        parser.add_argument("--seeds", type=int, default=5, metavar="N", help="how many draws (default 5)")
        parser.add_argument(
            "--no-times",
            action="store_true",
            help="cool-down, exposure and maturity are 0 (so too without times)",
        )
        parser.add_argument("--json", action="store_true", help="everything, for machines")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            chosen = Options(
                overrides={name: options[name] for name in THRESHOLDS if options[name] is not None},
                ceiling=options["ceiling"],
                catch_rate=options["catch_rate"],
                seed=options["seed"],
                seeds=options["seeds"],
                no_times=options["no_times"],
            )
        except ValueError as error:
            raise CommandError(str(error)) from error
        errors = Console(stderr=True)
        reading = _read(options["file"])
        if reading.faults:
            raise CommandError("Nothing was computed.\n" + "\n".join(str(fault) for fault in reading.faults))
        report = _run(reading, chosen, errors)
        if options["json"]:
            self.stdout.write(json.dumps(backtest_report.as_json(report), indent=1))
        else:
            wide = None if sys.stdout.isatty() else 170
            out = options.get("stdout") or sys.stdout
            _show(report, reading, Console(file=out, highlight=False, width=wide))


def _read(path: Path) -> Reading:
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            return backtest_lines.read(_lines(file))
    except (OSError, EOFError) as error:
        raise CommandError(f"{path}: cannot be read ({error}); check the path.") from error


def _lines(file: BufferedIOBase) -> Iterator[bytes]:
    """Lines, never more than a little over the longest that is taken: one without an end must not fill the memory."""
    while line := file.readline(MAX_LINE + 2):
        yield line.rstrip(b"\r\n")


def _run(reading: Reading, options: Options, console: Console) -> Report:
    going = backtest_report.backtest(reading, options)
    total = options.seeds * sum(len(actions) for actions in reading.keys.values())
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task("backtest", total=total)
        while True:
            try:
                progress.update(task, completed=next(going))
            except StopIteration as ended:
                report: Report = ended.value
                return report


# ── The table ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _show(report: Report, reading: Reading, console: Console) -> None:
    table = Table(title=f"{reading.lines:,} lines", title_justify="left")
    for name in ("agent", "action type", "risk"):
        table.add_column(name, overflow="fold")
    for name in (
        "actions",
        "wrong",
        "tier",
        "T2 after line",
        "T3 after line",
        "reviews",
        "audits",
        "unreviewed",
    ):
        table.add_column(name, justify="right")
    table.add_column("of these wrong", justify="right")
    for line in report.lines:
        table.add_row(*map(Text, _cells(line, report.options.seeds)))
    console.print(table)
    for line in report.lines:
        if line.course.changes or line.money:
            _why(line, console)
    for note in report.notes:
        console.print(Text(note))


def _cells(line: Line, seeds: int) -> list[str]:
    version = f" ({line.key.version})" if line.key.version not in ("", line.key.agent) else ""
    return [
        line.key.agent + version,
        line.key.action_type,
        line.key.risk,
        f"{line.actions:,}",
        f"{line.share_wrong:.1%}",
        Tier(line.course.tier).label,
        _reached(line, ON, seeds),
        _reached(line, OUT, seeds),
        spread(line.reviews),
        spread(line.audits),
        spread(line.unreviewed),
        spread(line.ran_wrong),
    ]


def _reached(line: Line, tier: str, seeds: int) -> str:
    found = line.reached[tier]
    if found.line is None:
        return "–"
    return spread(found.line) + (f" ({found.seeds} of {seeds})" if found.seeds < seeds else "")


def spread(found: Spread) -> str:
    """A mean, with the range where there is one."""
    mean = f"{found.mean:,.0f}" if found.mean >= 10 or found.mean == int(found.mean) else f"{found.mean:.1f}"
    return mean if found.low == found.high else f"{mean} [{found.low:,.0f}–{found.high:,.0f}]"


def _why(line: Line, console: Console) -> None:
    console.print(Text(f"\n{line.key.agent}, {line.key.action_type}", style="bold"))
    for change in line.course.changes[:12]:
        before, after = Tier(change.before).label, Tier(change.after).label
        console.print(Text(f"  line {change.number:,}: {before} → {after}: {change.words}."))
    if len(line.course.changes) > 12:
        console.print(Text(f"  … and {len(line.course.changes) - 12:,} more changes"))
    for words in line.lacking:
        console.print(Text(f"  still lacking: {words}"))
    for currency, (total, wrong) in line.money.items():
        console.print(
            Text(f"  {total:,} {currency} would have run unreviewed, {wrong:,} {currency} of it wrong.")
        )
    console.print()
