"""`manage.py doctor`, for who looks for it among the commands; manage.py itself goes the short way."""

import sys
from typing import Any

from django.core.management import BaseCommand

from config import doctor


class Command(BaseCommand):
    help = "Check everything a start needs, and say what to do where something is missing."
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        sys.exit(doctor.run())
