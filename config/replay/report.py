"""The replay's table, in words and numbers for a terminal."""

from rich.console import Console
from rich.table import Table

from config.replay.records import TRUTHS
from config.replay.tally import Row, Tally, quantile, sum_of

NOTE = (
    "approved, edited, rejected: what reviewers decided. refused: the arguments do not fit the action type's schema, "
    "so the API answered 422 and nobody saw them; in brackets what the ground truth says of them (approve/edit/"
    "reject). accuracy: approved as proposed, of all. wait: seconds from the accepted post to the agent knowing the "
    "decision."
)


def show(tally: Tally, console: Console, *, deciding: bool, seconds: float, repeats: int) -> bool:
    """Print table, note and check line; whether all is as it should be."""
    table = Table(
        title=f"{len(tally.fates):,} of {len(tally.records):,} records in {seconds:,.1f} s",
        title_justify="left",
    )
    for name in ("agent", "action type"):
        table.add_column(name, overflow="fold")
    for name in ("proposed", "approved", "edited", "rejected", "refused", "accuracy", "wait p50", "wait p95"):
        table.add_column(name, justify="right", no_wrap=True)
    rows = tally.rows()
    agents = sorted({row.agent for row in rows})
    for agent in agents:
        group = [row for row in rows if row.agent == agent]
        for row in group:
            table.add_row(
                *_cells(row, row.agent, row.action_type, deciding),
                style=None if row.agrees or not deciding else "red",
            )
        table.add_row(*_cells(sum_of(group), agent, "all", deciding), style="bold", end_section=True)
    table.add_row(*_cells(tally.total(), "all agents", "all", deciding), style="bold")
    console.print(table)
    console.print(NOTE, highlight=False)
    if repeats:
        console.print(f"{repeats:,} requests were sent again because the server was away or asked to wait.")
    for record, message in tally.errors[:20]:
        console.print(f"[red]error[/] {record}: {message}", highlight=False, markup=True)
    if len(tally.errors) > 20:
        console.print(f"… and {len(tally.errors) - 20:,} more errors")
    right, line = tally.verdict(deciding=deciding)
    fine = right and not tally.errors
    sign = "[green]✓[/]" if fine else "[red]✗[/]"
    console.print(f"{sign} {line}; {len(tally.errors):,} unexpected errors", highlight=False)
    return fine


def _cells(row: Row, agent: str, action_type: str, deciding: bool) -> list[str]:
    refused = [row.refused[truth] for truth in TRUTHS]
    shown = f"{sum(refused)} ({'/'.join(map(str, refused))})" if any(refused) else "0"
    accuracy = row.accuracy if deciding else None
    return [
        agent,
        action_type,
        f"{row.proposed:,}",
        *(f"{row.decided[truth]:,}" for truth in TRUTHS),
        shown,
        "–" if accuracy is None else f"{accuracy:.0%}",
        _seconds(quantile(row.waits, 0.5)),
        _seconds(quantile(row.waits, 0.95)),
    ]


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
