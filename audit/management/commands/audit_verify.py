"""`manage.py audit_verify DIR`: see audit/tlog/command.py. manage.py goes there before Django is set up."""

import sys
from typing import Any

from django.core.management.base import BaseCommand

from audit.tlog import command


class Command(BaseCommand):
    help = (
        "Verifies an export of the audit log from its files and the public key, without database or settings."
    )

    def run_from_argv(self, argv: list[str]) -> None:
        sys.exit(command.main(argv[2:], program="manage.py audit_verify"))

    def handle(self, *args: Any, **options: Any) -> None:
        sys.exit(command.main(sys.argv[2:], program="manage.py audit_verify"))
