"""`manage.py audit_witness FILE.pyz`: the witness as one file, for a machine that is not ours."""

import hashlib
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from audit.management.commands import audit_verifier

_MAIN = '''"""Watches Countersign's audit log from outside, and cosigns it while it only grows."""
import sys

if sys.version_info < (3, 10):
    sys.exit("This needs Python 3.10 or newer.")
try:
    import cryptography
except ImportError:
    sys.exit("This needs the Python package cryptography: python3 -m pip install cryptography")

if __name__ == "__main__":
    from audit.tlog import witness_program

    sys.exit(witness_program.main(sys.argv[1:]))
'''


class Command(BaseCommand):
    help = (
        "Writes the witness as one file, to be run where somebody else rules: it watches this log and cosigns it "
        "while it only grows. The same version of Countersign writes the same bytes; compare their SHA-256."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE.pyz")

    def handle(self, *args: Any, **options: Any) -> None:
        file: Path = options["file"]
        try:
            audit_verifier.write(file, _MAIN)
        except OSError as error:
            raise CommandError(f"{file} cannot be written: {error.strerror}.") from error
        self.stdout.write(f"{file}, SHA-256 {hashlib.sha256(file.read_bytes()).hexdigest()}")
