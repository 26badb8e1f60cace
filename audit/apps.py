from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core import checks
from django.db import connections

from audit import roles


class AuditConfig(AppConfig):
    name = "audit"

    def ready(self) -> None:
        checks.register(log_is_kept_from_the_application, checks.Tags.database)


def log_is_kept_from_the_application(
    *, databases: Sequence[str] | None = None, **_: Any
) -> list[checks.CheckMessage]:
    """A warning where the application's role can change the log; at every migration, and at `check --database`."""
    if settings.DATABASE_ROLE != "app" and not settings.DATABASE_ADDRESS_IS_SHARED:
        return []
    found = [words for alias in databases or () for words in roles.weaknesses(connections[alias])]
    return [
        checks.Warning(
            f"The audit log is not kept from the web processes: {words}.",
            hint="Run `manage.py database_roles`, then set DATABASE_URL and DATABASE_OWNER_URL as it says "
            "(docs/operations.md, Database roles).",
            id="audit.W001",
        )
        for words in found
    ]
