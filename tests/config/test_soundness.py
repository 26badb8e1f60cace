"""Every open door is a sentence that says how to close it; an installation in order has none."""

import os
import secrets
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from config import preflight, soundness
from config.preflight import ROOT, Installation
from config.problem import Problem

HTTPS = "https://countersign.example.org"
GOOD_KEY = "kS9-_a8Jq2Zx7Vw4Tn1Rb6Ym3Lc5Pd0Gf8Hj2Ks7Wq4Ex9Zt6Bv1Nr"


@pytest.fixture(autouse=True)
def _a_clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SECRET_KEY", "DEBUG", "COUNTERSIGN_DEMO", "COUNTERSIGN_URL", "ALLOWED_HOSTS"):
        monkeypatch.delenv(name, raising=False)


def installed(tmp_path: Path, **fields: Any) -> Installation:
    usual = {"host": "127.0.0.1", "port_text": "8000", "database_url": "", "redis_url": ""}
    made = Installation(var=tmp_path / "var", other_databases={}, **{**usual, **fields})
    preflight.data_directory(made)
    return made


Check = Callable[[Installation], str]


@pytest.mark.parametrize(
    ("check", "environment", "fields", "said"),
    [
        (soundness.secret_key, {"SECRET_KEY": "short"}, {}, "5 characters.*secrets.token_urlsafe"),
        (soundness.secret_key, {"SECRET_KEY": "ab" * 40}, {}, "2 different ones.*unset it"),
        (
            soundness.secret_key,
            {"SECRET_KEY": "django-insecure-" + GOOD_KEY},
            {},
            "begins with 'django-insecure'",
        ),
        (soundness.debug, {"DEBUG": "1", "COUNTERSIGN_URL": HTTPS}, {}, "Unset DEBUG"),
        (soundness.debug, {"DEBUG": "1"}, {"host": "0.0.0.0"}, "Unset DEBUG"),
        (soundness.demo, {"COUNTERSIGN_DEMO": "1", "COUNTERSIGN_URL": HTTPS}, {}, "Unset COUNTERSIGN_DEMO"),
        (soundness.public_address, {}, {"host": "0.0.0.0"}, "without TLS.*COUNTERSIGN_URL=https"),
        (soundness.public_address, {"COUNTERSIGN_URL": "http://agents.example.org"}, {}, "without TLS"),
        (
            soundness.allowed_hosts,
            {"ALLOWED_HOSTS": "a.example.org,*"},
            {},
            r"ALLOWED_HOSTS=\*.*Name the hosts",
        ),
        (soundness.redis_password, {}, {"redis_url": "redis://10.0.0.7:6379/0"}, "requirepass"),
        (soundness.redis_password, {}, {"redis_url": "redis://:p@10.0.0.7:6379/0"}, "rediss://"),
        (soundness.clock, {}, {"database_url": "postgresql://me:hidden@127.0.0.1:1/db"}, "could not be read"),
    ],
)
def test_an_open_door_is_named_with_its_remedy(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    check: Check,
    environment: dict[str, str],
    fields: dict[str, str],
    said: str,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(Problem, match=said) as problem:
        check(installed(tmp_path, **fields))
    assert "hidden" not in str(problem.value) and GOOD_KEY not in str(problem.value)


@pytest.mark.parametrize(
    ("environment", "fields"),
    [
        ({}, {}),
        ({"DEBUG": "1", "COUNTERSIGN_DEMO": "1"}, {}),
        ({"SECRET_KEY": GOOD_KEY, "COUNTERSIGN_URL": HTTPS, "ALLOWED_HOSTS": "a.example.org"}, {}),
        ({"COUNTERSIGN_URL": HTTPS}, {"host": "0.0.0.0", "redis_url": "rediss://u:p@redis.example.org/0"}),
        ({}, {"redis_url": "unix:///run/valkey.sock"}),
        ({}, {"redis_url": "redis://localhost:6379/0"}),
    ],
)
def test_an_installation_in_order_has_nothing_to_mend(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], fields: dict[str, str]
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    the = installed(tmp_path, **fields)
    assert all(check(the) for check in soundness.EVERYTHING)


@pytest.mark.parametrize(
    ("name", "mode", "inside"),
    [("secret_key", 0o640, ""), ("sealer", 0o755, "key"), ("content-keys", 0o750, "subject")],
)
def test_keys_that_others_may_read_are_named_with_the_command_that_closes_them(
    tmp_path: Path, name: str, mode: int, inside: str
) -> None:
    the = installed(tmp_path)
    place = the.var / name
    if inside:
        place.mkdir(exist_ok=True)
        (place / inside).write_text("k")
        (place / inside).chmod(0o600)
    else:
        place.write_text("k")
    place.chmod(mode)
    with pytest.raises(Problem, match=f"chmod -R go= {place}"):
        soundness.key_files(the)
    subprocess.run(["chmod", "-R", "go=", str(place)], check=True)
    assert "readable by their owner alone" in soundness.key_files(the)


def test_a_clock_that_is_off_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    the = installed(tmp_path, database_url=os.environ["DATABASE_URL"])
    assert "agree" in soundness.clock(the)

    class Ahead(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            with psycopg.connect(the.database_url) as connection:
                row = connection.execute("SELECT clock_timestamp() + interval '90 seconds'").fetchone()
            assert row is not None
            return row[0]

    monkeypatch.setattr(soundness, "datetime", Ahead)
    with pytest.raises(Problem, match=r"(89|90)\.\d s apart.*chrony"):
        soundness.clock(the)


def _manage(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command as an operator runs it, on the tests' servers."""
    everything = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    return subprocess.run(
        [sys.executable, "manage.py", *words],
        cwd=ROOT,
        env=everything | environment,
        capture_output=True,
        text=True,
        timeout=100,
    )


def test_the_deployment_check_has_nothing_to_say_of_an_installation_behind_https() -> None:
    """With warnings counted as failures: Django's own checks of cookies, headers, TLS and the secret."""
    key = secrets.token_urlsafe(64)
    answer = _manage("check", "--deploy", "--fail-level", "WARNING", COUNTERSIGN_URL=HTTPS, SECRET_KEY=key)
    assert answer.returncode == 0, answer.stderr
    assert "no issues" in answer.stdout
    loose = _manage("check", "--deploy", "--fail-level", "WARNING", COUNTERSIGN_URL=HTTPS, SECRET_KEY="short")
    assert loose.returncode == 1 and "security.W009" in loose.stderr, "the check itself can fail"


def test_limits_that_cannot_be_read_are_named_before_anything_starts() -> None:
    answer = _manage("check", COUNTERSIGN_LIMITS="propose=fast", SECRET_KEY=GOOD_KEY)
    assert answer.returncode == 1
    assert "COUNTERSIGN_LIMITS: 'propose=fast' cannot be read" in answer.stderr
