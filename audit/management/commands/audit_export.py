"""`manage.py audit_export DIR`: the log and its events as files that anybody can verify."""

from argparse import ArgumentParser
from datetime import date
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from audit import exporting
from audit.events import system


def place(text: str) -> int | date:
    """A leaf's number or a day. Raises ValueError."""
    return int(text) if text.isdigit() else date.fromisoformat(text)


class Command(BaseCommand):
    help = (
        "Exports the audit log into a new directory: the log's files, its events in the order of their leaves, and a "
        "manifest. Verify it anywhere with `manage.py audit_verify DIR` or the one file of `manage.py audit_verifier`."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("directory", type=Path, metavar="DIR", help="a directory that is not there yet")
        parser.add_argument(
            "--from", type=place, dest="first", metavar="N|DAY", help="first leaf, or day in UTC (2026-11-22)"
        )
        parser.add_argument(
            "--to", type=place, dest="last", metavar="N|DAY", help="last leaf, or day, included"
        )
        parser.add_argument(
            "--with-content",
            action="store_true",
            help="prompts, outputs and other kept texts too, in clear, as far as they are not erased",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        first, last = options["first"], options["last"]
        asked = exporting.Asked(
            first=first if isinstance(first, int) else 0,
            last=last if isinstance(last, int) else None,
            since=first if isinstance(first, date) else None,
            until=last if isinstance(last, date) else None,
            content=options["with_content"],
        )
        try:
            done = exporting.export(
                log=settings.LOG_DIR,
                into=options["directory"],
                asked=asked,
                actor=system("manage.py audit_export"),
            )
        except (exporting.Refused, OSError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(
            f"{done.events:,} events, leaves {done.first} to {done.end - 1} of {done.size:,}, "
            f"in {options['directory']}."
        )
        if done.pending:
            self.stdout.write(f"{done.pending:,} newer events are not sealed yet and not in it.")
        if done.unsealed or done.events < done.end - done.first:
            self.stderr.write("Rows and leaves do not match; audit_verify says which.")
