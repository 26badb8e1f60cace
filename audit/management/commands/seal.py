"""`manage.py seal`: the sealer (a process of its own), its public key, and what a person tells it."""

import signal
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
from django.conf import settings
from django.core.management import BaseCommand, CommandError, CommandParser
from django.db import connection

from audit import anchoring, rebuilding, restoring
from audit.sealer_files import Refused, SealerFiles
from audit.sealer_process import Process
from audit.tlog.folder import Damaged


def origin() -> str:
    """The log's name where it has none yet; afterwards the sealer's directory says it."""
    return f"{urlsplit(settings.PUBLIC_URL).hostname or 'localhost'}/log"


def connect() -> psycopg.Connection[Any]:
    """A session of our own beside Django's, by Django's own parameters; a dead peer is noticed within a minute."""
    given = connection.get_connection_params()
    parameters = {name: value for name, value in given.items() if name not in ("context", "cursor_factory")}
    found: psycopg.Connection[Any] = psycopg.connect(
        **{**parameters, "keepalives_idle": 15, "keepalives_interval": 5, "keepalives_count": 3},
        autocommit=True,
    )
    found.execute("SET TIME ZONE 'UTC'")
    return found


def _public_key(log: Path) -> str:
    """As the sealer has put it beside the log; the private half is not opened for that."""
    try:
        return (log / "key").read_text(encoding="utf-8").strip()
    except FileNotFoundError as error:
        raise Refused(
            f"There is no log in {log} yet: its key is made when the sealer first starts."
        ) from error


class Command(BaseCommand):
    help = (
        "Seal the audit log until stopped: events become leaves of signed checkpoints in COUNTERSIGN_LOG_DIR. "
        "Exactly one process seals; another one waits until that ends."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        one = parser.add_mutually_exclusive_group()
        one.add_argument("--key", action="store_true", help="print the log's public key and end")
        one.add_argument(
            "--after-restore",
            metavar="WHO_AND_WHY",
            help="the database was restored from a backup: record what the log has and it has not, and go on",
        )
        one.add_argument(
            "--rebuild-files",
            action="store_true",
            help="make the log's tiles again from the database; succeeds only with the root that was signed last",
        )

    def handle(
        self, *args: Any, key: bool, after_restore: str | None, rebuild_files: bool, **options: Any
    ) -> None:
        files, log = SealerFiles(settings.SEALER_DIR), settings.LOG_DIR
        try:
            if key:
                self.stdout.write(_public_key(log))
            elif after_restore is not None:
                self._after_restore(files, after_restore)
            elif rebuild_files:
                with connect() as session:
                    self.stdout.write(rebuilding.rebuild(session, files=files, log=log))
            else:
                self._run(files)
        except (Refused, Damaged) as error:
            raise CommandError(str(error)) from error

    def _after_restore(self, files: SealerFiles, why: str) -> None:
        told = restoring.after_restore(files=files, log=settings.LOG_DIR, why=why)
        self.stdout.write(told)

    def _run(self, files: SealerFiles) -> None:
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        Process(
            connect=connect,
            files=files,
            log=settings.LOG_DIR,
            origin=origin(),
            stop=stop,
            beside=anchoring.attend,
        ).run()
