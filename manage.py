#!/usr/bin/env python
"""Django's command line for Countersign."""

import os
import sys

from config.problem import Problem


def main() -> None:
    """`run` and `doctor` go first: they have to speak when the settings cannot be read."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    if sys.argv[1:] == ["run"]:
        from config import supervisor

        sys.exit(supervisor.run())
    if sys.argv[1:] == ["doctor"]:
        from config import doctor

        sys.exit(doctor.run())
    from django.core.management import execute_from_command_line

    try:
        execute_from_command_line(sys.argv)
    except Problem as problem:
        sys.exit(f"✗ {problem}")


if __name__ == "__main__":
    main()
