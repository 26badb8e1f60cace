"""I6, I7 under kill -9: eight writers, a hundred sealers killed and a dozen PostgreSQL servers; one leaf per event."""

import itertools
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from audit.tlog import merkle
from audit.tlog.folder import Folder
from config.embedded.postgres import Postgres
from tests import sealing
from tests.sealing import ORIGIN, ROOT, Log

SEALERS = 100
SERVERS = 12
SEED = 20261122


@pytest.fixture
def server() -> Iterator[Postgres]:
    with sealing.serving() as made:
        yield made


@pytest.fixture
def log(server: Postgres, tmp_path: Path) -> Log:
    return sealing.own_log(server, tmp_path)


@pytest.fixture
def writers(server: Postgres, tmp_path: Path) -> Iterator[Callable[[], set[str]]]:
    """They are at work; calling it ends them and returns what the database has promised them to keep."""
    stop, acknowledged = tmp_path / "stop", tmp_path / "acknowledged"
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.races.sealing_writers", stop, acknowledged, str(SEED)],
        cwd=ROOT,
        env=sealing.environment(server),
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None and process.stdout.readline() == b"ready\n"

    def end() -> set[str]:
        stop.touch()
        assert process.wait(60) == 0
        return set(acknowledged.read_text().split())

    yield end
    process.kill()
    process.wait()


@pytest.fixture
def sealers(log: Log) -> Iterator[Iterator[int]]:
    """The process number of each sealer, as it begins."""
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "tests.races.sealing_child",
            log.urls["sealer"],
            log.files.path,
            log.path,
            ORIGIN,
        ],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdin is not None and process.stdout is not None
    yield (int(line) for line in process.stdout)
    process.stdin.close()
    process.wait(30)


@pytest.mark.timeout(400)
def test_one_leaf_per_event_however_often_sealer_and_database_are_killed(
    server: Postgres, log: Log, writers: Callable[[], set[str]], sealers: Iterator[int]
) -> None:
    chance = random.Random(SEED)
    between = SEALERS // SERVERS
    for number, sealer in zip(range(SEALERS), sealers, strict=False):
        if number % 2:
            _until_grown(log, _size(log))
        time.sleep(chance.uniform(0.0, 0.2))  # not to wait for something: the moment of death is drawn
        if number % between == 1 and number // between < SERVERS:
            _kill_server(server)
            server.start()
        os.kill(sealer, signal.SIGKILL)
    assert next(sealers)
    acknowledged = writers()

    events = log.events()
    _until_sealed(log, len(events))
    sealed = log.check()
    assert sorted(sealed) == sorted(events), "one leaf for each committed event, none lost, none twice"
    assert sealed == events, "in the order of transactions"
    with log.connected() as connection:
        rows = connection.execute("SELECT object_id FROM audit_auditevent").fetchall()
    names = [str(name) for (name,) in rows]
    assert acknowledged <= set(names), "what was acknowledged is there"
    assert len(names) == len(set(names))
    _check_all_consistent(log)
    assert len(acknowledged) > 5 * SEALERS


def _kill_server(server: Postgres) -> None:
    pid = server.running()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)


def _size(log: Log) -> int:
    return log.published().size if (log.path / "checkpoint").exists() else 0


def _until_grown(log: Log, size: int) -> None:
    """Every second sealer seals something before it dies."""
    deadline = time.monotonic() + 60
    while _size(log) == size:
        assert time.monotonic() < deadline, "nothing is sealed any more"
        time.sleep(0.005)


def _until_sealed(log: Log, size: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with log.connected() as connection:
            (rows,) = connection.execute("SELECT count(*) FROM audit_auditleaf").fetchone() or (0,)
        if rows == size == log.published().size:
            return
        time.sleep(0.05)
    pytest.fail(f"{log.published().size} of {size} events are sealed")


def _check_all_consistent(log: Log) -> None:
    """Each checkpoint that was ever signed with the one before it, by proofs as an outsider checks them."""
    history = log.checkpoints()
    for old, new in itertools.pairwise(history):
        proof = Folder(log.path, new.size).consistency_proof(old.size)
        assert merkle.is_consistent(old.size, old.root, new.size, new.root, proof)
