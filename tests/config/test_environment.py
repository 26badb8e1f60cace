"""The environment that `make` builds: locked, whole, and made anew where it is not."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from config import environment

REQUIREMENT = re.compile(
    r"^([a-z0-9._-]+)(?:\[[a-z,]+\])?==([^ ]+)((?:.*\\\n)?(?:    --hash=sha256:[0-9a-f]{64}.*\n)+)", re.M
)


def locked(kind: str) -> dict[str, str]:
    text = (environment.LOCKS / f"{kind}.txt").read_text(encoding="utf-8")
    return {name: version for name, version, _ in REQUIREMENT.findall(text)}


@pytest.mark.parametrize("kind", ["runtime", "dev", "installer"])
def test_lock_files_hash_everything_and_name_no_host(kind: str) -> None:
    text = (environment.LOCKS / f"{kind}.txt").read_text(encoding="utf-8")
    assert len(REQUIREMENT.findall(text)) == len(re.findall(r"^[a-z]", text, re.M))
    assert re.findall(r"://|file:|index-url|find-links|^\s*# .*\s/", text, re.M) == []


def test_the_dev_lock_holds_every_runtime_package_at_the_same_version() -> None:
    assert locked("runtime").items() <= locked("dev").items()


@pytest.fixture
def installs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What would have been installed; an environment is a directory with a Python that runs."""
    done: list[str] = []

    def create(venv: Path) -> None:
        (venv / "bin").mkdir()
        (venv / "bin" / "python").write_text("#!/bin/sh\nexit 0\n")
        (venv / "bin" / "python").chmod(0o755)

    monkeypatch.setattr(environment, "_create", create)
    monkeypatch.setattr(environment, "_install", lambda venv, lock_file: done.append(lock_file.stem))
    return done


def test_an_environment_is_made_once(tmp_path: Path, installs: list[str]) -> None:
    for _ in range(2):
        environment.main("runtime", tmp_path / "venv")
    assert installs == ["runtime"]


def test_the_dev_environment_is_enough_to_run(tmp_path: Path, installs: list[str]) -> None:
    environment.main("dev", tmp_path / "venv")
    environment.main("runtime", tmp_path / "venv")
    assert installs == ["dev"]


def test_a_changed_lock_file_is_installed_on_top(tmp_path: Path, installs: list[str]) -> None:
    environment.main("runtime", tmp_path / "venv")
    (tmp_path / "venv" / ".installed-runtime").write_text("an earlier lock file")
    (tmp_path / "venv" / "kept").touch()
    environment.main("runtime", tmp_path / "venv")
    assert installs == ["runtime", "runtime"]
    assert (tmp_path / "venv" / "kept").exists()


@pytest.mark.parametrize("damage", ["unfinished", "python gone", "python broken"])
def test_a_half_made_environment_is_made_anew(
    tmp_path: Path, installs: list[str], damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    venv = tmp_path / "venv"
    environment.main("runtime", venv)
    (venv / "leftover").touch()
    if damage == "unfinished":
        (venv / ".unfinished").touch()
    elif damage == "python gone":
        (venv / "bin" / "python").unlink()
    else:
        (venv / "bin" / "python").write_text("#!/bin/sh\nexit 1\n")
        (venv / ".installed-runtime").write_text("an earlier lock file")
    environment.main("runtime", venv)
    assert installs == ["runtime", "runtime"]
    assert not (venv / "leftover").exists()
    assert "half-made or broken; making it anew" in capsys.readouterr().out


def test_a_disk_without_room_is_named_before_anything_is_downloaded(
    tmp_path: Path, installs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=5_000_000))
    with pytest.raises(environment.EnvironmentProblem, match="Only 5 MB are free"):
        environment.main("runtime", tmp_path / "venv")
    assert installs == []


def test_an_old_python_is_told_which_one_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.version_info", (3, 9, 2))
    with pytest.raises(environment.EnvironmentProblem, match=r"needs Python 3.11 or later, and this is 3.9"):
        environment.main("runtime", tmp_path / "venv")
