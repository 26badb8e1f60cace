"""What lets an installation start and yet leaves a door open: secrets, addresses, files, clocks.

Asked by `manage.py doctor`, without Django. Each check returns what it found, or raises a Problem that names the
remedy; what is for people to put in order is in config/good_order.py."""

import ipaddress
import os
import stat
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from config.preflight import Installation
from config.problem import Problem

LEAST_SECRET = 50
LEAST_DIFFERENT = 10
MOST_SKEW = 2.0
"""Seconds. Due times, veto windows and grants of 300 s are set by web's clock and compared with the database's."""
_SAID_EVERYWHERE = (
    "django-insecure",
    "changeme",
    "change-me",
    "secret",
    "for tests only",
    "for measurements only",
)


def is_https(installation: Installation) -> bool:
    return installation.address.startswith("https://")


def is_loopback(host: str) -> bool:
    """Whether only programs on this machine reach it. A name that is no address counts as reachable from elsewhere."""
    if host in ("", "localhost"):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def secret_key(installation: Installation) -> str:
    given = os.environ.get("SECRET_KEY", "")
    if not given:
        return f"The secret key is made at random, in {installation.var / 'secret_key'}"
    known = next((word for word in _SAID_EVERYWHERE if given.lower().startswith(word)), None)
    if known is None and len(given) >= LEAST_SECRET and len(set(given)) >= LEAST_DIFFERENT:
        return f"The secret key has {len(given)} characters"
    why = (
        f"begins with {known!r}"
        if known
        else f"has {len(given)} characters, {len(set(given))} different ones"
    )
    raise Problem(
        f"SECRET_KEY {why}: sessions can be forged and the keys of grants opened by who guesses it. Set one made by "
        "`python3 -c 'import secrets; print(secrets.token_urlsafe(64))'`, or unset it and let Countersign make one."
    )


def debug(installation: Installation) -> str:
    if os.environ.get("DEBUG", "") != "1":
        return "Faults are shown to nobody (DEBUG is off)"
    if is_https(installation) or not is_loopback(installation.host):
        raise Problem("DEBUG=1 shows settings and data to whoever meets a fault. Unset DEBUG.")
    return "DEBUG=1, on this machine alone"


def demo(installation: Installation) -> str:
    if os.environ.get("COUNTERSIGN_DEMO", "") != "1":
        return "No demo"
    if is_https(installation) or not is_loopback(installation.host):
        raise Problem(
            "COUNTERSIGN_DEMO=1 writes everybody's password on the sign-in page, and others can reach it. "
            "Unset COUNTERSIGN_DEMO and start with a data directory of its own."
        )
    return "The demo, on this machine alone"


def public_address(installation: Installation) -> str:
    host = urlsplit(installation.address).hostname or ""
    if is_https(installation) or (is_loopback(host) and is_loopback(installation.host)):
        return f"The address is {installation.address}"
    raise Problem(
        f"{installation.address} (HOST={installation.host}) is reached from elsewhere without TLS: passwords, sessions "
        "and agents' tokens can be read on the way. Put a proxy with a certificate in front, and set "
        "COUNTERSIGN_URL=https://… and HOST=127.0.0.1; docs/operations.md, A proxy in front."
    )


def allowed_hosts(_: Installation) -> str:
    named = [host.strip() for host in os.environ.get("ALLOWED_HOSTS", "").split(",")]
    loose = [host for host in named if host in ("*", ".") or host.startswith("*")]
    if loose:
        raise Problem(
            f"ALLOWED_HOSTS={loose[0]} lets a request name any host, which then stands in links that we send. "
            "Name the hosts, or unset it: the one of COUNTERSIGN_URL is allowed by itself."
        )
    return "Only the named hosts are answered for"


def clock(installation: Installation) -> str:
    if not installation.database_url:
        return "The database has this machine's clock"
    import psycopg  # here, since a start with the embedded server does not need it: it costs memory all the time

    try:
        with psycopg.connect(installation.database_url, connect_timeout=5) as connection:
            before = datetime.now(UTC)
            row = connection.execute("SELECT clock_timestamp()").fetchone()
            after = datetime.now(UTC)
    except psycopg.Error as error:
        raise Problem("DATABASE_URL: the database's clock could not be read; see above.") from error
    assert row is not None
    skew = max((before - row[0]).total_seconds(), (row[0] - after).total_seconds(), 0.0)
    if skew > MOST_SKEW:
        raise Problem(
            f"This machine's clock and the database's are {skew:.1f} s apart: grants and veto windows would begin and "
            "end at the wrong moment. Let both follow a time server (chrony, systemd-timesyncd)."
        )
    return "This machine's clock and the database's agree"


def redis_password(installation: Installation) -> str:
    parts = urlsplit(installation.redis_url)
    if not parts.hostname or is_loopback(parts.hostname):
        return "Redis is reached from this machine alone, or by a socket"
    if not parts.password:
        raise Problem(
            f"REDIS_URL: {parts.hostname} is another machine and asks for no password: whoever reaches it can start "
            "tasks of the worker. Set `requirepass` or an ACL there, and REDIS_URL=rediss://user:password@…"
        )
    if parts.scheme != "rediss":
        raise Problem(
            f"REDIS_URL: the password of {parts.hostname} crosses the net readable. Use TLS: rediss://…"
        )
    return "Redis asks for a password, over TLS"


def key_files(installation: Installation) -> str:
    """Keys and what is encrypted under them are for the user that runs Countersign alone."""
    var = installation.var
    places = (
        var / "secret_key",
        Path(os.environ.get("COUNTERSIGN_SEALER_DIR") or var / "sealer"),
        Path(os.environ.get("COUNTERSIGN_CONTENT_KEYS_DIR") or var / "content-keys"),
    )
    seen = 0
    for place in places:
        for path in _within(place):
            seen += 1
            mode = stat.S_IMODE(path.stat().st_mode)
            if mode & 0o077 and not _is_hidden_by(path, place):
                raise Problem(
                    f"{path} can be read or changed by other users of this machine (mode {mode:o}). "
                    f"Run `chmod -R go= {place}`, and make a new key if somebody may have read it."
                )
    return f"Keys are readable by their owner alone ({seen} files and directories)"


def _within(place: Path) -> Iterable[Path]:
    """The place and, where it is a directory that may be read, the keys directly in it."""
    if not place.exists():
        return
    yield place
    if place.is_dir() and os.access(place, os.R_OK | os.X_OK):
        yield from (path for path in place.iterdir() if path.is_file())


def _is_hidden_by(path: Path, place: Path) -> bool:
    """Whether the directory around it lets nobody else in."""
    return path != place and not stat.S_IMODE(place.stat().st_mode) & 0o011


def stolen_passwords(_: Installation) -> str:
    """The file that new passwords are looked up in, where one is named."""
    path = os.environ.get("COUNTERSIGN_BREACHED_PASSWORDS", "")
    if not path:
        return "New passwords are compared with the common ones (COUNTERSIGN_BREACHED_PASSWORDS names no longer list)"
    from accounts import passwords  # here: it takes Django, which a start loads later

    try:
        size = passwords.check_file(Path(path))
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise Problem(
            f"COUNTERSIGN_BREACHED_PASSWORDS={path} cannot be used ({why}), so nobody can set a password. Name the "
            "public list of SHA-1 hashes, sorted by hash, in a file that web may read; or unset it."
        ) from error
    return f"New passwords are compared with stolen ones ({size / 1e9:.1f} GB)"


EVERYTHING: tuple[Callable[[Installation], str], ...] = (
    stolen_passwords,
    secret_key,
    debug,
    demo,
    public_address,
    allowed_hosts,
    key_files,
    redis_password,
    clock,
)
