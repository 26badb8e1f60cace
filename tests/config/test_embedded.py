"""The embedded servers, each test in processes of its own, since who leaves last is what matters."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg
import pytest

from config import addresses, embedded
from config.problem import Problem

ROOT = Path(__file__).resolve().parent.parent.parent
USER = """
import sys
from pathlib import Path
from config import embedded
services = embedded.ensure(Path(sys.argv[1]))
urls = services.database_urls
print(services.postgres_pid, services.valkey_pid, urls["app"], urls["owner"], services.redis_url, flush=True)
sys.stdin.read()
"""


class User:
    """A process that uses the servers until it is told to leave."""

    def __init__(self, var: Path, **environment: str) -> None:
        ours = ("REDIS_URL", "COUNTERSIGN_EMBEDDED_FAST")
        outer = addresses.without_addresses({n: v for n, v in os.environ.items() if n not in ours})
        self.process = subprocess.Popen(
            [sys.executable, "-c", USER, str(var)],
            cwd=ROOT,
            env={**outer, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        words = self.process.stdout.readline().split()
        self.postgres, self.valkey = (None if word == "None" else int(word) for word in words[:2])
        self.database_url, self.owner_url, self.redis_url = words[2:]

    def leave(self) -> None:
        self.process.communicate(timeout=30)

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=30)


@pytest.fixture(scope="module")
def var(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    directory = tmp_path_factory.mktemp("embedded") / "var"
    yield directory
    embedded.remove(directory)


def gone(pid: int | None) -> bool:
    assert pid is not None
    with suppress(psutil.NoSuchProcess):
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    return True


def query(url: str, text: str) -> object:
    with psycopg.connect(url) as connection:
        row = connection.execute(text).fetchone()
    assert row is not None
    return row[0]


def test_a_command_that_started_the_servers_stops_them_when_it_ends(var: Path) -> None:
    user = User(var)
    assert (
        query(user.database_url, "SELECT current_database() || '/' || current_user")
        == "countersign/countersign_app"
    )
    user.leave()
    assert gone(user.postgres) and gone(user.valkey)


def test_whoever_leaves_last_stops_them(var: Path) -> None:
    first, second = User(var), User(var)
    assert (second.postgres, second.valkey) == (first.postgres, first.valkey)
    first.leave()
    assert query(second.database_url, "SELECT 1") == 1
    second.leave()
    assert gone(first.postgres) and gone(first.valkey)


def test_servers_of_a_killed_user_are_found_and_stopped_by_the_next(var: Path) -> None:
    killed = User(var)
    killed.kill()
    assert not gone(killed.postgres)
    after = User(var)
    assert after.postgres == killed.postgres
    after.leave()
    assert gone(killed.postgres) and gone(killed.valkey)


def test_a_killed_server_starts_again_on_the_same_address_with_everything_committed(var: Path) -> None:
    user = User(var)
    with psycopg.connect(user.owner_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (number int); INSERT INTO kept VALUES (7)")
    assert user.postgres is not None and user.valkey is not None
    os.kill(user.postgres, signal.SIGKILL)
    os.kill(user.valkey, signal.SIGKILL)
    while not (gone(user.postgres) and gone(user.valkey)):
        time.sleep(0.01)
    again = User(var)
    assert (again.database_url, again.redis_url) == (user.database_url, user.redis_url)
    assert query(again.owner_url, "SELECT max(number) FROM kept") == 7
    user.leave()
    again.leave()


def test_a_stale_pid_file_that_names_another_process_is_no_obstacle(var: Path) -> None:
    User(var).leave()
    lines = [str(os.getpid()), str(var / "postgres"), "1", "5432", str(var / "postgres"), "", "1 1", "ready"]
    for name in ("postmaster.pid", ".s.PGSQL.5432.lock"):
        (var / "postgres" / name).write_text("\n".join(lines))
    user = User(var)
    assert user.postgres != os.getpid()
    assert query(user.database_url, "SELECT 1") == 1
    user.leave()


def roles_of(user: User) -> set[str]:
    with psycopg.connect(user.owner_url) as connection:
        rows = connection.execute("SELECT rolname FROM pg_roles WHERE rolname LIKE 'countersign%'").fetchall()
    return {name for (name,) in rows}


def test_a_directory_of_an_older_release_gets_the_roles_at_its_next_start_or_use(var: Path) -> None:
    wanted = {"countersign", "countersign_app", "countersign_sealer", "countersign_auditor"}
    older = User(var)
    assert roles_of(older) == wanted
    superuser = older.owner_url.replace("countersign@", "postgres@", 1)
    with psycopg.connect(superuser, autocommit=True) as connection:
        connection.execute("DROP ROLE countersign_app, countersign_sealer, countersign_auditor")
    assert roles_of(older) == {"countersign"}
    beside = User(var)
    assert roles_of(beside) == wanted, "it runs still, and a newer command is used beside it"
    with psycopg.connect(superuser, autocommit=True) as connection:
        connection.execute("DROP ROLE countersign_app, countersign_sealer, countersign_auditor")
    beside.leave()
    older.leave()
    newer = User(var)
    assert roles_of(newer) == wanted
    newer.leave()


def test_an_interrupted_first_start_is_begun_again(tmp_path: Path) -> None:
    half = tmp_path / "var" / "postgres.new" / "base"
    half.mkdir(parents=True)
    user = User(tmp_path / "var")
    assert query(user.database_url, "SELECT 1") == 1
    assert not half.exists()
    user.leave()


def test_commits_are_durable(var: Path) -> None:
    user = User(var)
    settings = [query(user.database_url, f"SHOW {name}") for name in ("fsync", "synchronous_commit", "jit")]
    assert settings == ["on", "on", "off"]
    user.leave()


def test_only_what_the_environment_does_not_name_is_started(var: Path) -> None:
    user = User(var, DATABASE_URL="postgresql://elsewhere/one")
    assert (user.postgres, user.database_url) == (None, "postgresql://elsewhere/one")
    assert user.valkey is not None
    user.leave()


def test_nobody_else_on_the_machine_can_reach_the_database(var: Path) -> None:
    user = User(var)
    assert (var / "postgres").stat().st_mode & 0o077 == 0
    assert query(user.database_url, "SHOW listen_addresses") == ""
    assert (var / "run" / "valkey.json").stat().st_mode & 0o077 == 0
    user.leave()


def test_a_directory_that_cannot_be_made_is_named_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in addresses.VARIABLES.values():
        monkeypatch.delenv(variable)
    (tmp_path / "file").touch()
    with pytest.raises(Problem, match=r"file/var cannot be written .*set COUNTERSIGN_VAR"):
        embedded.ensure(tmp_path / "file" / "var")


def test_a_directory_of_something_else_is_not_taken_for_a_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in addresses.VARIABLES.values():
        monkeypatch.delenv(variable)
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "letters.txt").touch()
    with pytest.raises(Problem, match="holds files but no PostgreSQL data"):
        embedded.ensure(tmp_path)
