"""Passwords that were found in breaches, looked up in a file on this machine: no password, and no part of one's hash,
leaves it.

The file is the public list: one SHA-1 in upper-case hexadecimal, a colon and how often it was seen on each line, sorted
by the hash. It has some forty gigabytes, so it is searched where it lies, by halving: some forty reads."""

import hashlib
import os
from pathlib import Path
from typing import IO

from django.conf import settings
from django.core.exceptions import ValidationError

DIGITS = 40
_LONGEST_LINE = 80


class NotInBreaches:
    """A validator of Django's: refuses a password that is in the file of settings.BREACHED_PASSWORDS, if one is set."""

    def validate(self, password: str, user: object = None) -> None:
        path = settings.BREACHED_PASSWORDS
        if not path:
            return
        try:
            seen = times_seen(Path(path), password)
        except OSError as error:
            raise ValidationError(
                "Passwords cannot be checked against known breaches at the moment, so none can be set. "
                "An admin finds the reason by `manage.py doctor`.",
                code="password_breaches_away",
            ) from error
        if seen:
            raise ValidationError(
                "This password is in lists of stolen passwords, which attackers try first. Choose another one.",
                code="password_breached",
            )

    def get_help_text(self) -> str:
        return (
            "Your password must not be one that was stolen somewhere else."
            if settings.BREACHED_PASSWORDS
            else ""
        )


def times_seen(path: Path, password: str) -> int:
    """How often the password was found in breaches, 0 for never. Raises `OSError` where the file cannot be read."""
    wanted = hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest().upper().encode()
    with path.open("rb") as file:
        low, high = 0, file.seek(0, os.SEEK_END)
        while low < high:
            middle = (low + high) // 2
            start, line = _line_from(file, middle, low)
            found = line[:DIGITS].upper()
            if found == wanted:
                return int(line[DIGITS + 1 :].strip() or b"1")
            if found < wanted:
                low = start + len(line)
            else:
                high = start
    return 0


def check_file(path: Path) -> int:
    """The file's size in bytes. Raises `OSError` where it cannot be read, `ValueError` where it is another file."""
    with path.open("rb") as file:
        first = file.readline(_LONGEST_LINE)
        is_hash = len(first) > DIGITS and not first[:DIGITS].upper().strip(b"0123456789ABCDEF")
        if not is_hash or first[DIGITS : DIGITS + 1] not in (b":", b"\n", b"\r"):
            raise ValueError("its first line is no SHA-1 hash followed by a colon")
        return file.seek(0, os.SEEK_END)


def _line_from(file: IO[bytes], place: int, low: int) -> tuple[int, bytes]:
    """The line that `place` lies in, and where it begins; `low` is known to be the beginning of one."""
    start = max(low, place - _LONGEST_LINE)
    file.seek(start)
    before = file.read(place - start)
    newline = before.rfind(b"\n")
    if newline >= 0:
        start += newline + 1
    file.seek(start)
    return start, file.readline(2 * _LONGEST_LINE)
