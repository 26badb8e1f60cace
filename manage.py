#!/usr/bin/env python
"""Django's command line for Countersign."""

import os
import sys

from config import addresses
from config.problem import Problem


def main() -> None:
    """`run` and `doctor` go first: they have to speak when the settings cannot be read. `audit_verify` reads none."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    os.environ.setdefault(addresses.ROLE, addresses.for_command(sys.argv[1:]))
    if sys.argv[1:] == ["run"]:
        from config import supervisor

        sys.exit(supervisor.run())
    if sys.argv[1:] == ["doctor"]:
        from config import doctor

        sys.exit(doctor.run())
    if sys.argv[1:2] == ["audit_verify"]:
        from audit.tlog import command

        sys.exit(command.main(sys.argv[2:], program="manage.py audit_verify"))
    from django.core.management import execute_from_command_line

    try:
        execute_from_command_line(sys.argv)
    except Problem as problem:
        sys.exit(f"✗ {problem}")


if __name__ == "__main__":
    main()
