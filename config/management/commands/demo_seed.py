"""`manage.py demo_seed`: the made-up company with its past and what waits now. Repeating it adds nothing."""

import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from approvals.models import Proposal
from config.demo import past, setup


class Command(BaseCommand):
    help = "Fill the database with the made-up company of `make demo`."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--proposals", type=int, default=3000, help="how many decided ones (default 3000)"
        )
        parser.add_argument("--waiting", type=int, default=60, help="how many that wait now (default 60)")

    def handle(self, *args: Any, **options: Any) -> None:
        started = time.monotonic()
        setup.set_up_company()
        if Proposal.objects.exists():
            self.stdout.write("The company and its past are here already; nothing was added.")
            return
        counts = past.write(now=timezone.now(), decided=options["proposals"], waiting=options["waiting"])
        parts = ", ".join(f"{count:,} {name}" for name, count in counts.items())
        self.stdout.write(f"Lindgren & Hale is set up: {parts} ({time.monotonic() - started:.1f} s).")
