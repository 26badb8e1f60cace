"""The operating-system account of the embedded servers.

PostgreSQL refuses to run as root. An ordinary user's servers are that user's own processes; root's run under an
account without rights, which is made once.
"""

import os
import pwd
import shutil
import stat
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from config.problem import Problem

NAME = "countersign"


@dataclass(frozen=True)
class Account:
    uid: int
    gid: int


class Identity(TypedDict):
    """The arguments with which `subprocess` starts a program under an account; all None for our own."""

    user: int | None
    group: int | None
    extra_groups: list[int] | None


def identity(account: Account | None) -> Identity:
    if account is None:
        return {"user": None, "group": None, "extra_groups": None}
    return {"user": account.uid, "group": account.gid, "extra_groups": []}


def account_for(data: Path) -> Account | None:
    """Who the servers run as, or None for ourselves.

    Data that belongs to an ordinary user already stay theirs, so that one start as root takes nothing from them.
    """
    if os.geteuid() != 0:
        return None
    with suppress(FileNotFoundError):
        owner = data.stat()
        if owner.st_uid != 0:
            return Account(owner.st_uid, owner.st_gid)
    entry = _entry(NAME) or _created() or _entry("nobody")
    if entry is None:
        raise Problem(
            "PostgreSQL does not run as root, and this system has no other account to run it under. "
            f"Make one (`useradd --system {NAME}`), or start Countersign as an ordinary user."
        )
    return Account(entry.pw_uid, entry.pw_gid)


def open_path(target: Path, account: Account) -> None:
    """Let the account pass through the directories above the target; it may not list them."""
    for directory in target.resolve().parents:
        mode = directory.stat()
        owns = mode.st_uid == account.uid and mode.st_mode & stat.S_IXUSR
        if not owns and not mode.st_mode & stat.S_IXOTH:
            directory.chmod(stat.S_IMODE(mode.st_mode) | stat.S_IXOTH)


def open_programs(root: Path) -> None:
    """Let everybody read and run installed programs, where a strict umask kept them to root."""
    for path in (root, *root.rglob("*")):
        mode = stat.S_IMODE(path.stat().st_mode)
        wanted = mode | stat.S_IROTH | (stat.S_IXOTH if mode & stat.S_IXUSR else 0)
        if wanted != mode:
            path.chmod(wanted)


def _entry(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def _created() -> pwd.struct_passwd | None:
    """None where the system has no `useradd` or it fails; two starts at once may both try, one of them in vain."""
    if useradd := shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin"):
        command = [useradd, "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", NAME]
        subprocess.run(command, check=False, capture_output=True)
    return _entry(NAME)
