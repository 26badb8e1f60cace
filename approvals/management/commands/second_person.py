"""`manage.py second_person`: let one person be enough again, where no second admin is left who could agree."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts import second_person
from accounts.exceptions import DomainError
from accounts.models import User
from accounts.second_person import What
from approvals.services import second_person as services


class Command(BaseCommand):
    help = (
        "Show which changes need a second person, or take kinds off that list by whoever sits at the server."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--off", nargs="+", choices=[str(what) for what in What], metavar="KIND",
                            help=f"of {', '.join(What)}: one person is enough from now on")  # fmt: skip
        parser.add_argument("--by", metavar="EMAIL", help="the admin in whose name it is done")
        parser.add_argument("--reason", default="", help="why; it stands in the audit log")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["off"]:
            self._off(options)
        now = second_person.level()
        for what in What:
            self.stdout.write(f"{what}\t{'two people' if what in now else 'one person'}\t{what.covers}")

    def _off(self, options: dict[str, Any]) -> None:
        by = User.objects.filter(email__iexact=options["by"] or "", is_active=True).first()
        if by is None or not options["reason"].strip():
            raise CommandError(
                "Say who does it (--by EMAIL, an admin) and why (--reason '…'). Nothing was changed."
            )
        try:
            services.lower_by_command(
                kinds=[What(kind) for kind in options["off"]], by=by, reason=options["reason"]
            )
        except DomainError as error:
            raise CommandError(f"{error.detail} Nothing was changed.") from error
