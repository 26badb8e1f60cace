"""Every reason not to start is a sentence that names what to do."""

import os
import socket
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from config import doctor, preflight, soundness
from config.preflight import Installation
from config.problem import Problem


@pytest.fixture
def installation(tmp_path: Path) -> Callable[..., Installation]:
    def make(**fields: str) -> Installation:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = str(probe.getsockname()[1])
        defaults = {"host": "127.0.0.1", "port_text": port, "database_url": "", "redis_url": ""}
        made = Installation(var=tmp_path / "var", other_databases={}, **{**defaults, **fields})
        preflight.data_directory(made)
        return made

    return make


def test_a_port_in_use_is_named_with_a_free_one(installation: Callable[..., Installation]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Problem, match=rf"Port {port} is in use.*make run PORT=\d+"):
            preflight.listen(installation(port_text=str(port)))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"port_text": "http"}, "PORT=http is no port"),
        ({"port_text": "70000"}, "PORT=70000 is no port"),
        ({"host": "203.0.113.7"}, "no address of this machine"),
        ({"host": "no host"}, "is no address"),
    ],
)
def test_an_impossible_address_is_named(
    installation: Callable[..., Installation], fields: dict[str, str], said: str
) -> None:
    with pytest.raises(Problem, match=said):
        preflight.listen(installation(**fields))


def test_a_second_run_on_the_same_directory_is_told_of_the_first(
    installation: Callable[..., Installation],
) -> None:
    first = installation()
    with preflight.take_lock(first) as lock:
        lock.write("4711")
        lock.flush()
        with pytest.raises(Problem, match=r"Another `make run` \(process 4711\).*kill 4711"):
            preflight.take_lock(first)
    assert preflight.supervisor(first) == "No other make run on it"


def test_a_stale_lock_file_is_taken_over(installation: Callable[..., Installation]) -> None:
    left = installation()
    left.lock_file.write_text("1")
    preflight.take_lock(left).close()


def test_a_full_disk_is_named_before_anything_is_written(
    installation: Callable[..., Installation], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=120_000_000))
    with pytest.raises(Problem, match=r"Only 120 MB are free.*set COUNTERSIGN_VAR"):
        preflight.room(installation())


def test_servers_that_cannot_be_reached_are_named_without_their_passwords(
    installation: Callable[..., Installation],
) -> None:
    away = installation(
        database_url="postgresql://me:hidden@127.0.0.1:1/db", redis_url="redis://:hidden@127.0.0.1:1/0"
    )
    for check, name in ((preflight.database, "DATABASE_URL"), (preflight.broker, "REDIS_URL")):
        with pytest.raises(Problem, match=f"^{name}: .*127.0.0.1:1.* cannot be reached") as problem:
            check(away)
        assert "hidden" not in str(problem.value)


def test_servers_that_are_too_old_are_named(
    installation: Callable[..., Installation], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preflight, "_POSTGRES", 990000)
    monkeypatch.setattr(preflight, "_REDIS", 99)

    ours = installation(database_url=os.environ["DATABASE_URL"], redis_url=os.environ["REDIS_URL"])
    with pytest.raises(Problem, match=r"is PostgreSQL .* needs 15 or later"):
        preflight.database(ours)
    with pytest.raises(Problem, match=r"is Redis .* needs 6 or later"):
        preflight.broker(ours)


def test_the_doctor_says_everything_and_fails_when_one_thing_is_wrong(
    installation: Callable[..., Installation],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(doctor, "Installation", lambda: installation())
    monkeypatch.delenv("SECRET_KEY")
    assert doctor.run() == 0
    assert len(capsys.readouterr().out.splitlines()) == len(preflight.EVERYTHING) + len(soundness.EVERYTHING)
    monkeypatch.setattr(doctor, "Installation", lambda: installation(redis_url="redis://127.0.0.1:1/0"))
    assert doctor.run() == 1
    assert "REDIS_URL" in capsys.readouterr().err


def test_the_doctor_does_not_mind_a_server_at_work(
    installation: Callable[..., Installation],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    working = installation()
    monkeypatch.setattr(doctor, "Installation", lambda: working)
    monkeypatch.setattr(doctor, "_what_is_left_undone", lambda: None)  # tests/config/test_good_order.py
    monkeypatch.delenv("SECRET_KEY")
    with preflight.take_lock(working) as lock, preflight.listen(working):
        lock.write("4711")
        lock.flush()
        assert doctor.run() == 0
    assert "make run is at work (process 4711)" in capsys.readouterr().out
