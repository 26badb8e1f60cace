"""`manage.py rotate_signing_key`: sign new grants with a new key, keep publishing the old ones."""

from typing import Any

from django.core.management.base import BaseCommand

from approvals.services.rotate_key import rotate_key


class Command(BaseCommand):
    help = "Makes a new key for signing grants; the old ones stay published at /.well-known/jwks.json."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(f"Grants are now signed with {rotate_key().kid}.")
