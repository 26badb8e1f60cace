"""A log of real decisions, made once, for every test that exports, damages or verifies one."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from approvals.services import submit
from audit import exporting
from config.embedded.postgres import Postgres
from tests import sealing
from tests.audit import tampering
from tests.audit.tampering import Log


@pytest.fixture(scope="session")
def server() -> Iterator[Postgres]:
    """PostgreSQL for sealing: it waits for the oldest transaction of the whole server, so it has no neighbours."""
    with sealing.serving() as running:
        yield running


@pytest.fixture(scope="session")
def made(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """The decisions, walked through once in the tests' database, which is empty again afterwards."""
    with django_db_blocker.unblock(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(submit._random, "random", lambda: 0.999999)
        tampering.make()
        call_command("flush", verbosity=0, interactive=False, reset_sequences=False)
    yield
    tampering.forget()


@pytest.fixture
def log(made: None, transactional_db: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Log:
    """Its rows and files, to be changed. No sealer is at work that could still fill the index, so nobody waits."""
    monkeypatch.setattr(exporting, "PATIENCE", 0.0)
    return tampering.laid_out(tmp_path)


@pytest.fixture
def export(made: None, db: None, tmp_path: Path) -> Path:
    """An export of all of it, to be changed. `db` only has pytest make the database that `made` needs."""
    return tampering.exported(tmp_path / "export")
