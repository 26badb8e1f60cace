"""`manage.py database_roles` on a database of one's own, and the embedded server's roles."""

import base64
import hashlib
import hmac
import os
import subprocess
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import psycopg
import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from audit import roles
from audit.roles import VARIABLES
from config import addresses
from config.preflight import Installation
from config.supervisor import Supervisor
from tests import database
from tests.services import SUPERUSER_URL

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def elsewhere(django_db_setup: None) -> Iterator[str]:
    """The address of a second database on the same server; its owner makes roles, and owns everything."""
    name = f"other_{os.getpid()}"
    server = os.environ[SUPERUSER_URL]
    here = roles.names(name)
    with psycopg.connect(server, autocommit=True) as superuser:
        superuser.execute(f"CREATE ROLE {name} LOGIN CREATEROLE".encode())
        superuser.execute(f"CREATE DATABASE {name} OWNER {name}".encode())
        at = urlsplit(server).netloc.rpartition("@")[2]
        try:
            yield urlsplit(server)._replace(netloc=f"{name}@{at}", path=f"/{name}").geturl()
        finally:
            superuser.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
            for role in (here.app, here.sealer, here.auditor, name):
                superuser.execute(f"DROP ROLE IF EXISTS {role}".encode())


def run(command: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """As somebody with one DATABASE_URL, or with what he names, calls it."""
    return subprocess.run(
        [sys.executable, "manage.py", command, *arguments],
        cwd=ROOT,
        env={
            **addresses.without_addresses(os.environ),
            "DJANGO_SETTINGS_MODULE": "config.settings",
            **environment,
        },
        capture_output=True,
        text=True,
        check=False,
    )


def make(url: str, **options: Any) -> tuple[dict[str, str], str]:
    """The command's lines for an environment file, and what else it says."""
    out, err = StringIO(), StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(settings, "DATABASE_URL", url)
        for variable in VARIABLES.values():
            if variable not in options.get("given", {}):
                patch.delenv(variable)
        for variable, value in options.pop("given", {}).items():
            patch.setenv(variable, value)
        call_command("database_roles", stdout=out, stderr=err, **options)
    return dict(line.split("=", 1) for line in out.getvalue().splitlines()), err.getvalue()


def opens(url: str) -> bool:
    """Whether the address's password is that of its role; the tests' server itself asks for none."""
    parts = urlsplit(url)
    with psycopg.connect(os.environ[SUPERUSER_URL]) as superuser:
        row = superuser.execute(
            "SELECT rolpassword FROM pg_authid WHERE rolname = %s", [parts.username]
        ).fetchone()
    assert row is not None
    rounds, salt, stored = row[0].replace("SCRAM-SHA-256$", "").replace("$", ":").split(":")[:3]
    key = hashlib.pbkdf2_hmac(
        "sha256", unquote(parts.password or "").encode(), base64.b64decode(salt), int(rounds)
    )
    client = hmac.digest(key, b"Client Key", "sha256")
    return bool(base64.b64encode(hashlib.sha256(client).digest()).decode() == stored)


def weaknesses(url: str) -> list[str]:
    with psycopg.connect(url) as connection:
        return roles.weaknesses(connection)


def test_one_address_is_told_apart_into_four_and_again_without_harm(elsewhere: str) -> None:
    migrated = run("migrate", "audit", DATABASE_URL=elsewhere)
    assert migrated.returncode == 0, migrated.stderr
    assert "audit.W001" not in migrated.stderr, "there was nothing to keep yet"
    warned = run("check", "--database", "default", DATABASE_URL=elsewhere)
    assert "owns the log's tables" in warned.stderr and "manage.py database_roles" in warned.stderr

    made, said = make(elsewhere)
    assert list(made) == ["DATABASE_URL", "DATABASE_SEALER_URL", "DATABASE_AUDITOR_URL"]
    assert all(opens(url) for url in made.values()) and "DATABASE_OWNER_URL" in said
    assert weaknesses(made["DATABASE_URL"]) == []

    again, said = make(elsewhere)
    assert (again, said.count("keeps its password")) == ({}, 3)
    assert all(opens(url) for url in made.values())
    given = made["DATABASE_URL"].replace(urlsplit(made["DATABASE_URL"]).password or "", "my%20own")
    changed, _ = make(elsewhere, new_passwords=True, given={"DATABASE_URL": given})
    assert changed["DATABASE_URL"] == given and opens(given)
    assert opens(changed["DATABASE_SEALER_URL"]) and not opens(made["DATABASE_SEALER_URL"])


def test_roles_before_the_first_migration_and_by_an_administrator(elsewhere: str) -> None:
    name = urlsplit(elsewhere).username
    with database.as_superuser() as superuser:
        superuser.execute(f"ALTER ROLE {name} NOCREATEROLE".encode())
    with pytest.raises(CommandError, match=f"{name} may not make roles.*--admin-url"):
        make(elsewhere)
    made, said = make(elsewhere, admin_url=os.environ[SUPERUSER_URL])
    assert len(made) == 3 and "no tables yet" in said
    migrated = run("migrate", "audit", DATABASE_OWNER_URL=elsewhere, **made)
    assert migrated.returncode == 0 and "may do what they should" in migrated.stdout, migrated.stderr
    assert weaknesses(made["DATABASE_URL"]) == []
    with pytest.raises(CommandError, match=r"tables are owned by .*Set DATABASE_OWNER_URL"):
        make(made["DATABASE_URL"])


@pytest.mark.django_db
def test_who_does_not_own_the_tables_cannot_migrate_them() -> None:
    with pytest.raises(CommandError, match=r"owned by .*Set DATABASE_OWNER_URL"):
        call_command("migrate", verbosity=0)


@pytest.mark.parametrize("might", ["SUPERUSER", "CREATEROLE"])
def test_a_role_that_is_too_mighty_is_not_taken(elsewhere: str, might: str) -> None:
    app = roles.names(urlsplit(elsewhere).username or "").app
    with database.as_superuser() as superuser:
        superuser.execute(f"CREATE ROLE {app} LOGIN {might}".encode())
    with pytest.raises(CommandError, match=f"{app} is a superuser, may make roles, or may become"):
        make(elsewhere, admin_url=os.environ[SUPERUSER_URL])


def test_each_program_of_a_start_is_told_its_own_address(monkeypatch: pytest.MonkeyPatch) -> None:
    supervisor = Supervisor(Installation())
    told = {role: supervisor._environment_of(role) for role in roles.ROLES}
    for role, environment in told.items():
        assert {name for name in environment if name in VARIABLES.values()} == {VARIABLES[role]}
        assert environment[addresses.ROLE] == role
        assert environment[VARIABLES[role]] == os.environ[VARIABLES[role]]


@pytest.mark.parametrize(
    ("line", "role"),
    [
        ("migrate", "owner"),
        ("prepare --url x", "owner"),
        ("database_roles", "owner"),
        ("demo_seed", "owner"),
        ("flush", "owner"),
        ("seal", "sealer"),
        ("seal --key", "sealer"),
        ("seal --after-restore because", "owner"),
        ("seal --after-restore=because", "owner"),
        ("stop --list", "app"),
        ("rebuild_evidence --repair", "app"),
        ("shell", "app"),
        ("dbshell", "app"),
        ("", "app"),
    ],
)
def test_a_command_is_who_it_has_to_be(line: str, role: str) -> None:
    assert addresses.for_command(line.split()) == role
