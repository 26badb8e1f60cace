"""`manage.py encrypt_contexts`: do at once what the worker does beside its other work."""

from typing import Any

from django.core.management import BaseCommand
from django.utils import timezone

from approvals.services import encrypt


class Command(BaseCommand):
    help = (
        "Encrypt conversations that an earlier version stored in plain. The worker does the same in the background; "
        "killed in between, run it again."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        count = 0
        while moved := encrypt.move(now=timezone.now(), seconds=10):
            count += moved
            self.stdout.write(f"{count} conversations encrypted")
        self.stdout.write("No conversation is stored in plain.")
