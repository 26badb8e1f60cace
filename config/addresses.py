"""As whom a process speaks to the database, and under which address (docs/operations.md, "Database roles")."""

from collections.abc import Mapping, Sequence
from urllib.parse import unquote, urlsplit

from audit.roles import ROLES, VARIABLES, Role
from config.problem import Problem

__all__ = ["ROLE", "VARIABLES", "entry", "for_command", "named", "role", "without_addresses"]

ROLE = "COUNTERSIGN_DATABASE_ROLE"
_OWNERS = {"migrate", "prepare", "database_roles", "demo_seed", "flush", "createcachetable"}
"""Commands of manage.py that make or empty tables, or write a past of their own."""


def for_command(arguments: Sequence[str]) -> Role:
    """Who a command of manage.py is, where nobody has said it: the application, but for the few that cannot be."""
    command = "".join(arguments[:1])
    if command in _OWNERS or (command == "seal" and "--after-restore" in "".join(arguments)):
        return "owner"
    return "sealer" if command == "seal" else "app"


def role(environment: Mapping[str, str]) -> Role:
    """Raises Problem for a word that names no role."""
    word = environment.get(ROLE) or "app"
    if word not in ROLES:
        raise Problem(f"{ROLE}={word} is no role. Choose one of: {', '.join(ROLES)}.")
    return word


def named(environment: Mapping[str, str]) -> dict[Role, str]:
    """The addresses that the environment names, those without one of their own by DATABASE_URL; empty: embedded."""
    everybody = environment.get(VARIABLES["app"])
    found = {role: environment.get(variable) or everybody for role, variable in VARIABLES.items()}
    return {role: url for role, url in found.items() if url}


def without_addresses(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment of a process that is to be told one address and no other."""
    ours = {*VARIABLES.values(), ROLE}
    return {name: value for name, value in environment.items() if name not in ours}


def entry(url: str) -> dict[str, object]:
    """Django's database entry for a postgresql:// address; a `host` query parameter names a socket directory."""
    parts = urlsplit(url)
    query = dict(pair.split("=", 1) for pair in parts.query.split("&") if "=" in pair)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")) or "countersign",
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": unquote(query.get("host", "")) or parts.hostname or "",
        "PORT": str(parts.port or query.get("port", "")),
        "CONN_MAX_AGE": None,
        "OPTIONS": {
            "options": "-c idle_in_transaction_session_timeout=30000 -c lock_timeout=10000",
            **({"sslmode": query["sslmode"]} if "sslmode" in query else {}),
        },
    }
