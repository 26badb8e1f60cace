"""`manage.py run`, for who looks for it among the commands; manage.py itself goes the short way."""

import sys
from typing import Any

from django.core.management import BaseCommand

from config import supervisor


class Command(BaseCommand):
    help = "Run everything: services, web, worker and beat, until Ctrl-C. `make run` installs the packages first."
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        sys.exit(supervisor.run())
