"""What keeps Countersign from starting, in sentences for the person at the terminal."""

from pathlib import Path


class Problem(Exception):
    """Its text says what is wrong and what to do about it; show it alone, without a traceback."""


def last_lines(log: Path, count: int = 3) -> str:
    """The end of a log, which says why its program gave up; empty when there is none."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return "\n".join(f"    {line}" for line in lines[-count:])
