"""`manage.py load_blueprint FILE.yaml`: set up one domain from a file (docs/blueprints.md)."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.exceptions import DomainError
from accounts.models import User
from approvals.blueprint import BlueprintRefused
from approvals.services import load_blueprint
from approvals.services.load_blueprint import Change
from audit import recording

_SIGNS = {"created": "+", "changed": "~", "unchanged": "="}
_WIDTH = 90


class Command(BaseCommand):
    help = "Check a domain's blueprint, show what it changes, and apply it whole or not at all."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE.yaml")
        parser.add_argument("--dry-run", action="store_true", help="show the changes without making them")
        parser.add_argument(
            "--actor", metavar="EMAIL", help="the admin in whose name the audit log records it"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        path: Path = options["file"]
        try:
            data = path.read_bytes()
        except OSError as error:
            raise CommandError(f"{path}: cannot be read ({error.strerror}); check the path.") from error
        try:
            with recording.by_command("load_blueprint"):
                plan = load_blueprint.load(
                    data=data, name=path.name, actor=_admin(options["actor"]), dry_run=options["dry_run"]
                )
        except BlueprintRefused as refused:
            lines = [f"{path}: {fault}" for fault in refused.faults]
            raise CommandError(
                "\n".join([*lines, f"Nothing was changed: {len(lines)} to mend."])
            ) from refused
        except DomainError as error:
            raise CommandError(f"{path}: {error.detail} Nothing was changed.") from error
        for change in plan.changes:
            self._show(change)
        if not plan.is_needed:
            self.stdout.write(f"{path.name}: nothing changed.")
        elif plan.applied:
            self.stdout.write(f"{path.name}: applied to {plan.domain}.")
        else:
            self.stdout.write(f"{path.name}: only shown, nothing was changed (--dry-run).")

    def _show(self, change: Change) -> None:
        if change.verb == "unchanged" and not change.note:
            return
        self.stdout.write(f"{_SIGNS[change.verb]} {change.thing} {change.name}: {change.verb}")
        for name, before, after in change.fields if change.verb == "changed" else []:
            self.stdout.write(f"    {name}: {_brief(before)} → {_brief(after)}")
        if change.note:
            self.stdout.write(f"    {change.note}")


def _admin(email: str | None) -> User | None:
    if email is None:
        return None
    found = User.objects.filter(email=email.lower()).first()
    if found is None:
        raise CommandError(f"There is no person {email}; give an admin's address.")
    return found


def _brief(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= _WIDTH else text[: _WIDTH - 1] + "…"
