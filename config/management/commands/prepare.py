"""The part of a start that needs Django, as one process: `make run` calls it before web."""

import contextlib
import json
import sys
from typing import Any

from django.conf import settings
from django.core.management import BaseCommand, CommandParser, call_command

from accounts.services.first_admin import setup_link
from config import static


class Command(BaseCommand):
    help = (
        "Migrate, collect static files, fill the demo in demo mode, and print the first admin's link as JSON."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--url", required=True, help="the public address, with which the link begins")

    def handle(self, *args: Any, url: str, **options: Any) -> None:
        with contextlib.redirect_stdout(sys.stderr):  # standard output carries the answer alone
            call_command("migrate", interactive=False, verbosity=1, stdout=sys.stderr)
            static.collect_if_changed()
            if settings.DEMO:
                call_command("demo_seed", stdout=sys.stderr)
            link = setup_link(url)
        self.stdout.write(json.dumps({"setup_link": link}))
