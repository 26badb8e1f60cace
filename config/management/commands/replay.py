"""`manage.py replay FILE.jsonl.gz…`: recorded agents through a running server (docs/replay.md)."""

import asyncio
import contextlib
import signal
import sys
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from approvals.blueprint import BlueprintRefused
from config.replay import records, report, setup, types
from config.replay.drive import Options, Replay
from config.replay.history import History
from config.replay.tally import Tally


class Command(BaseCommand):
    help = "Post recorded agent actions through the HTTP API, and play reviewers who decide by the recorded truth."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("files", nargs="+", type=Path, metavar="FILE.jsonl.gz")
        parser.add_argument("--url", required=True, help="the running server")
        parser.add_argument("--decide", choices=["truth", "none"], default="truth")
        parser.add_argument(
            "--reviewers", type=int, default=4, metavar="N", help="how many decide (default 4)"
        )
        parser.add_argument(
            "--speed", type=float, default=0, metavar="N", help="proposals a second (default: all it can)"
        )
        parser.add_argument(
            "--at-once", type=int, default=4, metavar="N", help="episodes an agent has open (default 4)"
        )
        parser.add_argument("--order", choices=["recorded", "mixed"], default="recorded")
        parser.add_argument("--limit", type=int, metavar="N", help="only the first N episodes of each file")
        parser.add_argument(
            "--setup", action="store_true", help="create what is missing first, on this database"
        )
        parser.add_argument(
            "--run", default="replay", help="name of the run; the same name goes on where it ended"
        )
        parser.add_argument("--history", type=Path, metavar="FILE.jsonl", help="write what the clients saw")
        parser.add_argument(
            "--patience", type=float, default=120, metavar="S", help="seconds to wait for a server"
        )
        parser.add_argument(
            "--faults", action="store_true", help="5xx answers are expected: repeat without counting"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
        try:
            found = records.read(options["files"], mixed=options["order"] == "mixed")
            described = types.load(sorted({path.parent for path in options["files"]}))
        except records.UnusableRecords as error:
            raise CommandError(str(error)) from error
        found = _first(found, options["limit"])
        access = self._access(found, described, options, console)
        tally, history = Tally(found), History(options["history"])
        started = time.monotonic()
        with _progress(console) as progress:
            task = progress.add_task("replay", total=len(found))
            replay = Replay(
                found,
                described,
                access,
                Options(
                    url=options["url"].rstrip("/"),
                    decide=options["decide"] == "truth",
                    speed=options["speed"],
                    at_once=options["at_once"],
                    run=options["run"],
                    patience=options["patience"],
                    faults=options["faults"],
                ),
                tally,
                history,
                lambda record: progress.advance(task),
            )
            with contextlib.suppress(asyncio.CancelledError):
                asyncio.run(_until_stopped(replay))
        history.close()
        fine = report.show(
            tally,
            console,
            deciding=options["decide"] == "truth",
            seconds=time.monotonic() - started,
            repeats=replay.line.repeats,
        )
        if not fine:
            sys.exit(1)

    def _access(
        self,
        found: list[records.Record],
        described: dict[str, dict[str, Any]],
        options: dict[str, Any],
        console: Console,
    ) -> setup.Access:
        reviewers = max(1, options["reviewers"])
        if options["setup"]:
            with console.status("Setting up agents, action types, queues, reviewers"):
                try:
                    return setup.set_up(found, described, reviewers)
                except BlueprintRefused as refused:
                    raise CommandError("\n".join(map(str, refused.faults))) from refused
        access = setup.read()
        missing = sorted({record.agent for record in found} - set(access.tokens if access else ()))
        if access is None or missing or len(access.reviewers) < reviewers:
            what = (
                f"no credential for {', '.join(missing[:3])}"
                if missing
                else "not set up for that many reviewers"
            )
            raise CommandError(f"{what}; add --setup, on the database of the server at {options['url']}.")
        access.reviewers = access.reviewers[:reviewers]
        return access


async def _until_stopped(replay: Replay) -> None:
    """Ctrl-C and SIGTERM end the run in order; the table then says how far it came."""
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    await replay.run()


def _first(found: list[records.Record], limit: int | None) -> list[records.Record]:
    """The first `limit` episodes of each domain, whole."""
    if limit is None:
        return found
    taken: dict[str, set[str]] = {}
    for record in found:
        episodes = taken.setdefault(record.domain, set())
        if len(episodes) < limit:
            episodes.add(record.episode)
    return [record for record in found if record.episode in taken[record.domain]]


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )
