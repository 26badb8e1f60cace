"""`manage.py audit_verifier FILE.pyz`: the verifier as one file for a machine that has Python and `cryptography`."""

import stat
import zipfile
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from audit import tlog

_MAIN = '''"""Verifies an export of Countersign's audit log."""
import sys

if sys.version_info < (3, 10):
    sys.exit("This needs Python 3.10 or newer.")
try:
    import cryptography
except ImportError:
    sys.exit("This needs the Python package cryptography: python3 -m pip install cryptography")

if __name__ == "__main__":
    from audit.tlog import command

    sys.exit(command.main(sys.argv[1:], program=sys.argv[0]))
'''
_SHEBANG = b"#!/usr/bin/env python3\n"
_MADE = (1980, 1, 1, 0, 0, 0)
"""Every entry has this time, so that the same code gives the same file, byte for byte."""


def write(target: Path, main: str = _MAIN) -> None:
    """The modules of audit.tlog and a beginning, `main`. Whoever has the source can make the same file and compare."""
    sources = {"__main__.py": main.encode(), "audit/__init__.py": b""}
    for path in sorted(Path(tlog.__file__).parent.glob("*.py")):
        sources[f"audit/tlog/{path.name}"] = path.read_bytes()
    with target.open("wb") as file:
        file.write(_SHEBANG)
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            for name, data in sorted(sources.items()):
                archive.writestr(zipfile.ZipInfo(name, _MADE), data)
    target.chmod(target.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)


class Command(BaseCommand):
    help = (
        "Writes the offline verifier as one file: `python3 FILE.pyz DIR --key …` verifies an export anywhere where "
        "Python 3.10 and the package `cryptography` are. The same version of Countersign writes the same bytes."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE.pyz")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            write(options["file"])
        except OSError as error:
            raise CommandError(f"{options['file']} cannot be written: {error.strerror}.") from error
        self.stdout.write(f"{options['file']}, {options['file'].stat().st_size:,} bytes.")
