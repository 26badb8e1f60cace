"""Who may do what in the database, so that whoever takes over a web process can add to the log and not change it.

Four roles: the owner migrates and owns the tables; `app` is web, worker and beat; the sealer reads events and writes
their places in the tree; an auditor reads. What each may do is `RIGHTS`, set anew after every migration. The triggers
of migration 0005 refuse changes to everybody besides, the owner included; what is left to him is to remove them, which
the sealed log brings to light. No Django here: the supervisor makes the roles of the embedded server.
"""

from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass
from typing import Any, Literal, Protocol, get_args

Role = Literal["app", "owner", "sealer", "auditor"]
ROLES: tuple[Role, ...] = get_args(Role)
VARIABLES: dict[Role, str] = {
    "app": "DATABASE_URL",
    "owner": "DATABASE_OWNER_URL",
    "sealer": "DATABASE_SEALER_URL",
    "auditor": "DATABASE_AUDITOR_URL",
}
"""Where the environment has each role's address."""
_LONGEST_NAME = 63
"""Bytes; PostgreSQL cuts what is longer, and two installations might then share a role."""
_LOCK = 5_004_719
"""Two hosts that migrate at once would trip over each other's catalogue rows."""

EVENT_COLUMNS = (
    *("kind", "actor_kind", "actor_id", "object_type", "object_id", "object_version"),
    *("content", "salt", "commitment"),
)
"""What the application says of an event. Number, transaction and time are the database's to say: who may not name
them can neither backdate an event nor put it before another."""
_GONE = ("ciphertext", "gone_at", "gone_why")

EVENT, LEAF, COSIGNATURE = "audit_auditevent", "audit_auditleaf", "audit_cosignature"
CONTENT, SEALER_STATE, MIGRATIONS = "audit_content", "audit_sealerstate", "django_migrations"
APPEND_ONLY = (EVENT, LEAF, COSIGNATURE)
GUARDED = (*APPEND_ONLY, CONTENT)
"""Tables with the triggers below."""
TRIGGERS = ("append_only_rows", "append_only_table")

RIGHTS: dict[Role, dict[str, tuple[str, ...]]] = {
    "app": {
        EVENT: ("SELECT", f"INSERT ({', '.join(EVENT_COLUMNS)})"),
        LEAF: ("SELECT",),
        COSIGNATURE: ("SELECT", "INSERT"),
        CONTENT: ("SELECT", "INSERT", f"UPDATE ({', '.join(_GONE)})"),
        SEALER_STATE: ("SELECT",),
        MIGRATIONS: ("SELECT",),
    },
    "sealer": {
        EVENT: ("SELECT",),
        LEAF: ("SELECT", "INSERT"),
        COSIGNATURE: ("SELECT",),
        SEALER_STATE: ("SELECT", "INSERT", "UPDATE"),
    },
    "auditor": dict.fromkeys((EVENT, LEAF, COSIGNATURE, CONTENT, SEALER_STATE), ("SELECT",)),
}
"""Everything that the sealer and an auditor may; for the application, what is out of the ordinary: it reads and
changes every table that is not named here."""
_ORDINARY = "SELECT, INSERT, UPDATE, DELETE"


class Connection(Protocol):
    """Django's connection or psycopg's own; both hand out cursors that close by themselves."""

    def cursor(self) -> Any: ...


class NotPossible(Exception):
    """The roles cannot be as they have to be; says why to whoever runs the command."""


@dataclass(frozen=True, slots=True)
class Names:
    """The four roles of one installation; several on one server have owners of different names."""

    owner: str
    app: str
    sealer: str
    auditor: str

    def of(self, role: Role) -> str:
        name: str = getattr(self, role)
        return name


def names(owner: str) -> Names:
    """Raises `NotPossible` for an owner with too long a name."""
    found = Names(owner, f"{owner}_app", f"{owner}_sealer", f"{owner}_auditor")
    if max(len(name.encode()) for name in astuple(found)) > _LONGEST_NAME:
        raise NotPossible(f"The owner's name {owner} is too long: {found.auditor} is no name for a role.")
    return found


def statements_to_make(found: Names) -> list[str]:
    """Make what is missing, without passwords; harmless where all is there. Needs CREATEROLE or a superuser."""
    return [
        f"DO $do$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = {_literal(name)}) "
        f"THEN CREATE ROLE {quoted(name)} LOGIN; END IF; END $do$"
        for name in (found.app, found.sealer, found.auditor)
    ]


def may_make_roles(connection: Connection) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user")
        return bool(cursor.fetchone()[0])


def make(connection: Connection, found: Names, verifiers: Mapping[str, str]) -> None:
    """Make what is missing, and set the passwords of the roles named. A step: needs the caller's transaction.

    Raises `NotPossible` where a role of that name could change the log, whatever we grant it."""
    present = existing(connection, found)
    with connection.cursor() as cursor:
        for name in (found.app, found.sealer, found.auditor):
            verb = "ALTER" if name in present else "CREATE"
            if name in verifiers:
                cursor.execute(f"{verb} ROLE {quoted(name)} LOGIN PASSWORD {_literal(verifiers[name])}")
            elif verb == "CREATE":
                cursor.execute(f"CREATE ROLE {quoted(name)} LOGIN")
        cursor.execute(_TOO_MIGHTY, [[found.app, found.sealer, found.auditor], found.owner])
        for (name,) in cursor.fetchall():
            raise NotPossible(
                f"The role {name} is a superuser, may make roles, or may become {found.owner}: it could change the "
                "log. Take that from it, or drop it and run this again."
            )


_TOO_MIGHTY = """
SELECT rolname FROM pg_roles
 WHERE rolname = ANY(%s) AND (rolsuper OR rolcreaterole OR rolbypassrls OR pg_has_role(oid, %s, 'MEMBER'))
"""


def existing(connection: Connection, found: Names) -> set[str]:
    """Which of the three roles beside the owner are there."""
    wanted = [found.app, found.sealer, found.auditor]
    with connection.cursor() as cursor:
        cursor.execute("SELECT rolname FROM pg_roles WHERE rolname = ANY(%s)", [wanted])
        return {name for (name,) in cursor.fetchall()}


def owner_of_tables(connection: Connection) -> str | None:
    """The role that owns the log's tables; None before the first migration."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = to_regclass(%s)", [EVENT])
        row = cursor.fetchone()
    return str(row[0]) if row else None


def why_not_ours(connection: Connection) -> str | None:
    """Why this connection cannot change the tables, in words; None where it can, or where there are none yet."""
    owner = owner_of_tables(connection)
    if owner is None:
        return None
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user, pg_has_role(current_user, %s, 'MEMBER')", [owner])
        me, is_owner = cursor.fetchone()
    if is_owner:
        return None
    return (
        f"This is the role {me}, but the tables are owned by {owner}. Set {VARIABLES['owner']} to its address, and "
        "call the command by manage.py, which takes it."
    )


def grant(connection: Connection) -> bool:
    """Give each role what it may do and take away everything else; False where there are no roles.

    A step: needs the caller's transaction, so that nobody meets a table that is open for a moment."""
    owner = owner_of_tables(connection)
    if owner is None:
        return False
    found = names(owner)
    present = existing(connection, found)
    if not present:
        return False
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        cursor.execute("SELECT current_schema()")
        schema = str(cursor.fetchone()[0])
        cursor.execute(_TABLES, [owner, schema])
        tables = [name for (name,) in cursor.fetchall()]
        for statement in _statements_to_grant(found, present, schema, tables):
            cursor.execute(statement)
    close_to_public(connection, owner)
    return found.app in present


_TABLES = """
SELECT relname FROM pg_class
 WHERE relkind IN ('r', 'p', 'v', 'm') AND pg_get_userbyid(relowner) = %s AND relnamespace = %s::regnamespace
 ORDER BY relname
"""


def _statements_to_grant(found: Names, present: set[str], schema: str, tables: list[str]) -> Iterable[str]:
    here = quoted(schema)
    for role, rights in RIGHTS.items():
        name = found.of(role)
        if name not in present:
            continue
        yield f"GRANT USAGE ON SCHEMA {here} TO {quoted(name)}"
        special = [table for table in tables if role != "app" or table in rights]
        ordinary = [table for table in tables if table not in special]
        if special:
            yield f"REVOKE ALL ON {_listed(here, special)} FROM {quoted(name)}"
        for table in special:
            if table in rights:
                yield f"GRANT {', '.join(rights[table])} ON {here}.{quoted(table)} TO {quoted(name)}"
        if ordinary:
            yield f"GRANT {_ORDINARY} ON {_listed(here, ordinary)} TO {quoted(name)}"
    if found.app in present:  # a table that the next migration makes is there for web at once
        yield (
            f"ALTER DEFAULT PRIVILEGES FOR ROLE {quoted(found.owner)} IN SCHEMA {here} "
            f"GRANT {_ORDINARY} ON TABLES TO {quoted(found.app)}"
        )


def close_to_public(connection: Connection, owner: str) -> None:
    """Take from everybody what would let a role put a table of its own in the log's place, as far as we may.

    Temporary tables go before all others of the same name: a session that could make one would write its events
    into it and leave none behind."""
    with connection.cursor() as cursor:
        cursor.execute(_PUBLIC_MAY)
        database, may_temp, owns_database, schema, may_create, owns_schema = cursor.fetchone()
        if may_temp and owns_database:
            cursor.execute(f"GRANT TEMPORARY ON DATABASE {quoted(database)} TO {quoted(owner)}")
            cursor.execute(f"REVOKE TEMPORARY ON DATABASE {quoted(database)} FROM PUBLIC")
        if may_create and owns_schema:
            cursor.execute(f"REVOKE CREATE ON SCHEMA {quoted(schema)} FROM PUBLIC")


_PUBLIC_MAY = """
SELECT d.datname::text, has_database_privilege('public', d.oid, 'TEMPORARY'),
       pg_has_role(current_user, d.datdba, 'USAGE'),
       n.nspname::text, has_schema_privilege('public', n.oid, 'CREATE'), pg_has_role(current_user, n.nspowner, 'USAGE')
  FROM pg_database d, pg_namespace n WHERE d.datname = current_database() AND n.nspname = current_schema()
"""


def weaknesses(connection: Connection) -> list[str]:
    """How the role of this connection could change the log, in words; empty when it can only add to it."""
    owner = owner_of_tables(connection)
    if owner is None:
        return []
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user, pg_has_role(current_user, %s, 'MEMBER')", [owner])
        me, is_owner = cursor.fetchone()
        if is_owner:
            return [f"the role {me} owns the log's tables or may become their owner"]
        cursor.execute(_RIGHTS_HELD, [list(RIGHTS["app"])])
        allowed = {right for table, rights in RIGHTS["app"].items() for right in _held(table, rights)}
        held = {(table, right) for table, right in cursor.fetchall()}
        found = [f"{me} has {right} on {table}" for table, right in sorted(held - allowed)]
        cursor.execute(_ELSEWHERE)
        if cursor.fetchone()[0]:
            found.append(f"{me} may make tables that hide the log's")
        cursor.execute(_TRIGGERS_ON, [list(GUARDED), list(TRIGGERS)])
        missing = len(GUARDED) * len(TRIGGERS) - int(cursor.fetchone()[0])
        if missing:
            found.append(f"{missing} of the triggers that refuse changes are gone or switched off")
    return found


def _held(table: str, rights: tuple[str, ...]) -> Iterable[tuple[str, str]]:
    """Rights as `_RIGHTS_HELD` spells them: those by column one by one."""
    for right in rights:
        verb, _, columns = right.partition(" (")
        if columns:
            yield from ((table, f"{verb} ({column})") for column in columns.rstrip(")").split(", "))
        else:
            yield table, verb


_RIGHTS_HELD = """
WITH log AS (SELECT oid, relname::text AS name FROM pg_class WHERE oid IN (SELECT to_regclass(unnest(%s::text[]))))
SELECT name, verb FROM log, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'TRIGGER']) AS verb
 WHERE has_table_privilege(log.oid, verb)
UNION ALL
SELECT name, format('%%s (%%s)', verb, attname)
  FROM log JOIN pg_attribute a ON attrelid = log.oid AND attnum > 0 AND NOT attisdropped,
       unnest(ARRAY['INSERT', 'UPDATE']) AS verb
 WHERE has_column_privilege(log.oid, attnum, verb) AND NOT has_table_privilege(log.oid, verb)
"""
_ELSEWHERE = """
SELECT has_database_privilege(current_database(), 'TEMPORARY') OR has_schema_privilege(current_schema(), 'CREATE')
"""
_TRIGGERS_ON = """
SELECT count(*) FROM pg_trigger
 WHERE tgrelid IN (SELECT to_regclass(unnest(%s::text[]))) AND tgname = ANY(%s) AND tgenabled = 'A'
"""


def quoted(name: str) -> str:
    """An identifier as SQL takes it, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _listed(schema: str, tables: list[str]) -> str:
    return ", ".join(f"{schema}.{quoted(table)}" for table in tables)
