"""`manage.py database_roles`: separate roles for web, sealer and auditor, on a PostgreSQL of one's own."""

import os
import secrets
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import psycopg
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from audit import roles
from audit.roles import VARIABLES, Names, Role

Connection = psycopg.Connection[tuple[Any, ...]]
_MADE: tuple[Role, ...] = ("app", "sealer", "auditor")
_OLDEST = 150000


class Command(BaseCommand):
    help = (
        "Make the roles of web, sealer and auditor, and set what each may do. Connects by DATABASE_OWNER_URL (else "
        "DATABASE_URL), which stays the address of the owner. Harmless when repeated."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--admin-url",
            default="",
            help="address of somebody who may make roles, where the owner may not; used now and kept nowhere",
        )
        parser.add_argument(
            "--new-passwords", action="store_true", help="give roles that are there already new passwords too"
        )

    def handle(self, *args: Any, admin_url: str, new_passwords: bool, **options: Any) -> None:
        url = settings.DATABASE_URL
        try:
            with psycopg.connect(url) as owner, psycopg.connect(_same_database(admin_url, url)) as admin:
                names = roles.names(_checked_owner(owner))
                passwords = _passwords(admin, names, everybody=new_passwords)
                _make(admin, names, passwords)
                admin.commit()
                is_migrated = roles.grant(owner)
                owner.commit()
                roles.close_to_public(admin, names.owner)
        except roles.NotPossible as reason:
            raise CommandError(str(reason)) from reason
        except psycopg.Error as error:
            raise CommandError(str(error).strip()) from error
        self._tell(names, passwords, url, is_migrated=is_migrated)

    def _tell(self, names: Names, passwords: dict[str, str], url: str, *, is_migrated: bool) -> None:
        """Standard output is lines for an environment file, each password on it for the only time."""
        for role in _MADE:
            name = names.of(role)
            if name in passwords:
                self.stdout.write(f"{VARIABLES[role]}={_address(url, name, passwords[name])}")
            else:
                self.stderr.write(f"{name} was there already and keeps its password.")
        self.stderr.write(
            f"The owner {names.owner} keeps its address, as {VARIABLES['owner']}. It is for migrations: "
            "no web process needs to know it."
        )
        if not is_migrated:
            self.stderr.write(
                "There are no tables yet; `manage.py migrate` says what each role may do with them."
            )


def _checked_owner(owner: Connection) -> str:
    """Who we are, if the tables are ours or yet to be made. Raises `NotPossible`."""
    if owner.info.server_version < _OLDEST:
        raise roles.NotPossible("Countersign needs PostgreSQL 15 or later.")
    if reason := roles.why_not_ours(owner):
        raise roles.NotPossible(reason)
    return roles.owner_of_tables(owner) or owner.info.user


def _passwords(admin: Connection, names: Names, *, everybody: bool) -> dict[str, str]:
    """By role, those to be set: as the environment's own addresses have them, otherwise made up."""
    present = roles.existing(admin, names)
    wanted = [names.of(role) for role in _MADE if everybody or names.of(role) not in present]
    given = {}
    for role in _MADE:
        parts = urlsplit(os.environ.get(VARIABLES[role], ""))
        if parts.password:
            given[unquote(parts.username or "")] = unquote(parts.password)
    return {name: given.get(name) or secrets.token_urlsafe(24) for name in wanted}


def _make(admin: Connection, names: Names, passwords: dict[str, str]) -> None:
    """Passwords travel as SCRAM verifiers, so that no server's log of statements has one. Raises `NotPossible`."""
    if passwords and not roles.may_make_roles(admin):
        raise roles.NotPossible(
            f"The role {admin.info.user} may not make roles. Name an administrator once: "
            "--admin-url postgresql://postgres:…@host/name"
        )
    verifiers = {
        name: admin.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256").decode()
        for name, password in passwords.items()
    }
    roles.make(admin, names, verifiers)


def _same_database(admin_url: str, url: str) -> str:
    """An administrator's address may name any database of the server."""
    if not admin_url:
        return url
    return urlsplit(admin_url)._replace(path=urlsplit(url).path).geturl()


def _address(url: str, name: str, password: str) -> str:
    parts = urlsplit(url)
    at = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=f"{quote(name, safe='')}:{quote(password, safe='')}@{at}").geturl()
