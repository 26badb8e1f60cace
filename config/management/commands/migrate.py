"""`manage.py migrate`, which then sets what each database role may do: a new table must not be open by oversight."""

from typing import Any

from django.core.management.base import CommandError
from django.core.management.commands import migrate
from django.db import connections, transaction

from audit import roles


class Command(migrate.Command):
    def handle(self, *args: Any, **options: Any) -> None:
        if options["plan"] or options["check_unapplied"]:
            super().handle(*args, **options)
            return
        if reason := roles.why_not_ours(connections[options["database"]]):
            raise CommandError(reason)
        super().handle(*args, **options)
        with transaction.atomic(using=options["database"]):
            is_set = roles.grant(connections[options["database"]])
        if is_set and options["verbosity"] >= 1:
            self.stdout.write("  The database roles may do what they should, and no more.")
