"""`manage.py rebuild_evidence`: recompute every standing from the stored evidence and compare."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from approvals.services.rebuild import rebuild


class Command(BaseCommand):
    help = "Rebuilds every standing from its evidence and compares; ends with an error where one differs."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--repair", action="store_true", help="replace what differs by what was found")

    def handle(self, *args: Any, **options: Any) -> None:
        count = rows = wrong = 0
        for checked in rebuild(repair=options["repair"]):
            count, rows = count + 1, rows + checked.evidence
            if checked.differences:
                wrong += 1
                self.stderr.write(f"✗ {checked.standing}")
                for difference in checked.differences:
                    self.stderr.write(f"    {difference}")
        if wrong and not options["repair"]:
            raise CommandError(f"{wrong} of {count} standings are not what their evidence adds up to.")
        done = f", {wrong} repaired" if wrong else ""
        self.stdout.write(f"✓ {count} standings rebuilt from {rows} pieces of evidence{done}")
