"""The log only grows: what each role of the database is refused, by its rights and by the triggers."""

from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connection, transaction
from django.utils import timezone
from psycopg import errors

from audit import apps, recording, roles
from audit.events import Actor, Kind, Target
from audit.models import AuditEvent, AuditLeaf, Content, Cosignature
from audit.roles import GUARDED, RIGHTS, Role
from config import preflight
from config.problem import Problem
from tests import database

pytestmark = pytest.mark.django_db(transaction=True)

_VALUES = "'k', 'human', '1', 'x', '1', NULL, '{}', '\\x00', '\\x00'"
_COLUMNS = ", ".join(roles.EVENT_COLUMNS)
_INSERT = f"INSERT INTO audit_auditevent ({_COLUMNS}) VALUES ({_VALUES})"
CHANGES = {
    "audit_auditevent": ("UPDATE {} SET kind = 'other'", "DELETE FROM {}", "TRUNCATE {} CASCADE"),
    "audit_auditleaf": ("UPDATE {} SET number = 7", "DELETE FROM {}", "TRUNCATE {} CASCADE"),
    "audit_cosignature": ("UPDATE {} SET line = ''", "DELETE FROM {}", "TRUNCATE {} CASCADE"),
    "audit_content": ("UPDATE {} SET size = 7", "DELETE FROM {}", "TRUNCATE {} CASCADE"),
}
EVERY_CHANGE = [statement.format(table) for table, changes in CHANGES.items() for statement in changes]
GONE = "UPDATE audit_content SET ciphertext = NULL, gone_at = now(), gone_why = 'retention'"
HELD = """
WITH tables AS (
    SELECT oid, relname::text AS name FROM pg_class
     WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'S')
), held AS (
    SELECT name, right_ FROM tables,
           unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) AS right_
     WHERE has_table_privilege(%(name)s, tables.oid, right_)
)
SELECT name, right_ FROM held
UNION ALL
SELECT name, right_ || ' (' || attname || ')'
  FROM tables JOIN pg_attribute ON attrelid = tables.oid AND attnum > 0,
       unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'REFERENCES']) AS right_
 WHERE has_column_privilege(%(name)s, tables.oid, attnum, right_) AND (name, right_) NOT IN (SELECT * FROM held)
"""
MERGE = """MERGE INTO audit_auditevent AS e USING (SELECT 1) AS one ON true
 WHEN MATCHED THEN DELETE"""
UPSERT = """INSERT INTO audit_auditevent SELECT * FROM audit_auditevent LIMIT 1
 ON CONFLICT (id) DO UPDATE SET kind = 'other'"""
FORBIDDEN_TO_THE_APPLICATION = [
    *EVERY_CHANGE,
    MERGE,
    UPSERT,
    f"INSERT INTO audit_auditevent (id, {_COLUMNS}) VALUES (1, {_VALUES})",
    f"INSERT INTO audit_auditevent (transaction, {_COLUMNS}) VALUES (1, {_VALUES})",
    f"INSERT INTO audit_auditevent (recorded_at, {_COLUMNS}) VALUES (now(), {_VALUES})",
    f"INSERT INTO audit_auditevent (recorded_at, {_COLUMNS}) VALUES (DEFAULT, {_VALUES})",
    "INSERT INTO audit_auditleaf (number, event, hash) VALUES (0, 1, '\\x00')",
    "INSERT INTO audit_sealerstate VALUES (1, 0, '', now(), now())",
    "UPDATE audit_sealerstate SET problem = ''",
    "DELETE FROM django_migrations",
    "COPY audit_auditevent FROM STDIN",
    "COPY audit_auditevent FROM PROGRAM 'true'",
    "COPY audit_auditevent TO '/tmp/events'",
    "DO $$ BEGIN EXECUTE 'DELETE FROM audit_auditevent'; END $$",
    "SELECT * FROM audit_auditevent FOR UPDATE",
    "DO $$ BEGIN LOCK TABLE audit_auditevent IN SHARE MODE; END $$",
    "SELECT setval(pg_get_serial_sequence('audit_auditevent', 'id'), 1)",
    "SELECT nextval(pg_get_serial_sequence('audit_auditevent', 'id'))",
    "ALTER TABLE audit_auditevent DISABLE TRIGGER ALL",
    "ALTER TABLE audit_auditevent DISABLE TRIGGER append_only_rows",
    "ALTER TABLE audit_auditevent ENABLE REPLICA TRIGGER append_only_rows",
    "ALTER TABLE audit_auditevent RENAME TO kept",
    "ALTER TABLE audit_auditevent ALTER COLUMN kind DROP NOT NULL",
    "ALTER TABLE audit_auditevent OWNER TO :app",
    "DROP TRIGGER append_only_rows ON audit_auditevent",
    "DROP TABLE audit_auditevent CASCADE",
    "DROP INDEX audit_by_object",
    "DROP FUNCTION :append_only() CASCADE",
    "CREATE RULE none AS ON INSERT TO audit_auditevent DO INSTEAD NOTHING",
    "CREATE POLICY none ON audit_auditevent USING (false)",
    "CREATE TRIGGER own BEFORE INSERT ON audit_auditevent FOR EACH ROW EXECUTE FUNCTION :append_only()",
    "CREATE OR REPLACE FUNCTION :append_only() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN END'",
    "CREATE FUNCTION public.own() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE TABLE public.own (number int)",
    "CREATE VIEW public.own AS SELECT 1",
    "CREATE TEMPORARY TABLE audit_auditevent (number int)",
    "SELECT 1 AS number INTO TEMPORARY audit_auditevent",
    "CREATE SCHEMA own",
    "CREATE EXTENSION vector",
    "CREATE ROLE own",
    "ALTER ROLE :app SUPERUSER",
    "ALTER DEFAULT PRIVILEGES FOR ROLE :owner GRANT ALL ON TABLES TO :app",
    "SET ROLE :owner",
    "SET ROLE :superuser",
    "SET ROLE :sealer",
    "SET SESSION AUTHORIZATION :owner",
    "SET session_replication_role = replica",
    "SELECT set_config('session_replication_role', 'replica', false)",
    "ALTER SYSTEM SET session_replication_role = replica",
    "UPDATE pg_catalog.pg_trigger SET tgenabled = 'D'",
    "DELETE FROM pg_catalog.pg_trigger",
    "SELECT pg_read_file('postmaster.pid')",
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = ':sealer'",
]


@pytest.fixture(autouse=True)
def _something_in_every_table() -> None:
    """A refusal shows little where there is no row to refuse; the sealer's own connection is there to be killed."""
    with transaction.atomic():
        event = recording.record(
            actor=Actor("human", "1", "Ann"), kind=Kind.LOG_READ, target=Target("log", "1")
        )
    Content.objects.create(
        id="00000000-0000-7000-8000-000000000001",
        kind="prompt",
        commitment=bytes(32),
        size=3,
        ciphertext=b"abc",
        created_at=timezone.now(),
    )
    Cosignature.objects.create(size=1, root=bytes(32), witness="w", line="— w x", signed_at=timezone.now())
    with database.connected("sealer") as sealer:
        sealer.execute(
            "INSERT INTO audit_auditleaf (number, event, hash) VALUES (0, %s, %s)", [event.id, bytes(32)]
        )


def rows() -> list[Any]:
    """Everything in the guarded tables."""
    return [list(model.objects.values_list()) for model in (AuditEvent, AuditLeaf, Cosignature, Content)]


def names() -> roles.Names:
    with database.as_owner() as owner:
        return roles.names(owner.info.user)


def spelled(statement: str) -> bytes:
    """With this installation's names in the place of `:app` and the like."""
    here = names()
    for role in ("app", "owner", "sealer"):
        statement = statement.replace(f":{role}", getattr(here, role))
    with database.as_superuser() as superuser:
        return statement.replace(":superuser", superuser.info.user).encode()


def refused(attacker: psycopg.Connection[Any], statement: str) -> type[Exception] | None:
    """How the database answers; None where it did what it was told."""
    try:
        attacker.execute(spelled(statement) if ":" in statement else statement.encode())
    except psycopg.Error as error:
        return type(error)
    return None


def test_what_the_application_does_it_may_do() -> None:
    with database.connected("app") as app:
        assert app.info.user == names().app
        app.execute(_INSERT.encode())
        app.execute(GONE.encode())
    event = AuditEvent.objects.latest("id")
    assert AuditEvent.objects.count() == 2
    assert (timezone.now() - event.recorded_at).total_seconds() < 60
    assert roles.weaknesses(connection) == []


def test_the_application_can_add_to_the_log_and_nothing_else() -> None:
    before = rows()
    with database.connected("sealer"), database.connected("app") as app:
        done = {statement: refused(app, statement) for statement in FORBIDDEN_TO_THE_APPLICATION}
        app.execute(spelled("GRANT ALL ON audit_auditevent TO :app"))  # PostgreSQL warns, and gives nothing
        assert roles.weaknesses(app) == []
    assert {s: why for s, why in done.items() if why is not errors.InsufficientPrivilege} == {}
    assert rows() == before


def test_owner_and_superuser_are_refused_by_the_triggers() -> None:
    before = rows()
    with database.as_owner() as owner, database.as_superuser() as superuser:
        for statement in (*EVERY_CHANGE, MERGE, UPSERT):
            assert refused(owner, statement) is errors.RestrictViolation, statement
            assert refused(superuser, statement) is errors.RestrictViolation, statement
        superuser.execute("SET session_replication_role = replica")
        for statement in (*EVERY_CHANGE, MERGE, UPSERT):
            assert refused(superuser, statement) is errors.RestrictViolation, statement
    assert rows() == before


def test_content_goes_once_with_time_and_reason_and_does_not_change() -> None:
    with database.as_owner() as owner:
        for change in (
            "ciphertext = 'other'",
            "ciphertext = NULL",
            "ciphertext = NULL, gone_at = now()",
            "ciphertext = NULL, gone_why = 'erased'",
            "gone_at = now(), gone_why = 'erased'",
            "ciphertext = NULL, gone_at = now(), gone_why = 'erased', size = 0",
            "ciphertext = NULL, gone_at = now(), gone_why = 'erased', commitment = sha256('')",
            "ciphertext = NULL, gone_at = now(), gone_why = 'erased', subject = 'other'",
        ):
            assert refused(owner, f"UPDATE audit_content SET {change}") is errors.RestrictViolation, change
        assert refused(owner, GONE) is None
        assert refused(owner, GONE) is errors.RestrictViolation
        assert refused(owner, "UPDATE audit_content SET ciphertext = 'back'") is errors.RestrictViolation
    gone = Content.objects.get()
    assert (gone.ciphertext, gone.gone_why, gone.size) == (None, "retention", 3)


def test_sealer_and_auditor_may_exactly_theirs() -> None:
    with database.as_owner() as owner:
        for role in ("sealer", "auditor"):
            assert held(owner, names().of(role)) == {
                (table, right) for table, rights in RIGHTS[role].items() for right in rights
            }
    seal = "INSERT INTO audit_auditleaf (number, event, hash) VALUES (1, 2, '\\x00')"
    beat = "INSERT INTO audit_sealerstate VALUES (1, 0, '', now(), now()) ON CONFLICT (id) DO UPDATE SET size = 1"
    read = [f"SELECT count(*) FROM {table}" for table in (*GUARDED, "audit_sealerstate")]
    expected: dict[Role, dict[str, bool]] = {
        "sealer": dict.fromkeys([seal, beat, *read], True) | {read[GUARDED.index("audit_content")]: False},
        "auditor": dict.fromkeys(read, True) | {seal: False, beat: False},
    }
    for role, statements in expected.items():
        refusals = dict.fromkeys([*EVERY_CHANGE, _INSERT, "SELECT * FROM accounts_user"], False)
        with database.connected(role) as connected:
            for statement, may in (statements | refusals).items():
                why = refused(connected, statement)
                assert why is (None if may else errors.InsufficientPrivilege), (role, statement)


def held(owner: database.Connection, name: str) -> set[tuple[str, str]]:
    """Every right of a role on every table of ours, by column where it is not on the whole table."""
    found = owner.execute(HELD, {"name": name}).fetchall()
    return {(table, right) for table, right in found}


def test_a_new_table_is_open_to_the_application_and_an_opened_log_is_closed_by_the_next_migration() -> None:
    with database.as_owner() as owner, database.connected("app") as app:
        owner.execute("CREATE TABLE brand_new (number int)")
        try:
            assert refused(app, "INSERT INTO brand_new VALUES (1)") is None
            owner.execute(spelled("GRANT ALL ON audit_auditevent TO :app"))
            owner.execute(
                spelled("GRANT SELECT ON brand_new TO :auditor".replace(":auditor", names().auditor))
            )
            owner.execute("ALTER TABLE audit_auditleaf ENABLE REPLICA TRIGGER append_only_rows")
            assert [words.partition(" ")[2] for words in roles.weaknesses(app)] == [
                "has DELETE on audit_auditevent",
                "has INSERT on audit_auditevent",
                "has TRIGGER on audit_auditevent",
                "has TRUNCATE on audit_auditevent",
                "has UPDATE on audit_auditevent",
                "of the triggers that refuse changes are gone or switched off",
            ]
            with database.acting_as("owner"):
                call_command("migrate", verbosity=0, skip_checks=True)
            assert len(roles.weaknesses(app)) == 1, (
                "rights are set anew, a trigger that somebody took off stays off"
            )
            assert ("brand_new", "SELECT") not in held(owner, names().auditor)
        finally:
            owner.execute("DROP TABLE brand_new")
            owner.execute("ALTER TABLE audit_auditleaf ENABLE ALWAYS TRIGGER append_only_rows")
    assert roles.weaknesses(connection) == []


def test_a_log_that_is_not_kept_from_the_application_is_said_loudly() -> None:
    assert apps.log_is_kept_from_the_application(databases=["default"]) == []
    with database.acting_as("owner"):
        assert apps.log_is_kept_from_the_application(databases=["default"]) == [], (
            "the owner is not the application"
        )
    with database.acting_as("owner"), pytest.MonkeyPatch.context() as patch:
        patch.setattr(settings, "DATABASE_ADDRESS_IS_SHARED", True)
        [warning] = apps.log_is_kept_from_the_application(databases=["default"])
    assert "owns the log's tables" in warning.msg and "database_roles" in str(warning.hint)
    shared = preflight.Installation(database_url=database.url_of("owner"), other_databases={})
    with pytest.raises(Problem, match=r"owns the log's tables.*manage\.py database_roles"):
        preflight.append_only(shared)
    apart = preflight.Installation(database_url=database.url_of("app"), other_databases={})
    assert (
        preflight.append_only(apart) == f"The audit log only grows under web and worker (role {names().app})"
    )
