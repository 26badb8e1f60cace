"""`manage.py rotate_content_keys`: a new master for the keys of content."""

from typing import Any

from django.core.management import BaseCommand, CommandError

from audit import keys


class Command(BaseCommand):
    help = (
        "Make a new master key, wrap every data subject's key anew under it and drop the old master. Killed in "
        "between, run it again: it goes on. Nothing stops meanwhile; no content is encrypted anew."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            count = keys.rotate()
        except (keys.Unreadable, OSError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{count} keys are wrapped under the new master; the old one is gone.")
