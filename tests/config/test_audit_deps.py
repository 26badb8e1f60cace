"""The audit of dependencies finds what it is there to find, and says loudly what it could not ask."""

import importlib.util
import subprocess
import sys
from datetime import date
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
TODAY = date(2026, 11, 22)
HASHED = (
    "one==1.0 ; sys_platform == 'win32' \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb\n    # via it\n"
)
HOLE = {
    "dependency": {"name": "one", "version": "1.0"},
    "id": "GHSA-1",
    "aliases": ["CVE-1"],
    "summary": "A hole",
    "fix_versions": ["1.1"],
}
ACCEPTED = (
    '[[accepted]]\nid = "CVE-1"\npackage = "one"\nwhy = "{why}"\nreviewed = {reviewed}\nuntil = {until}\n'
)


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("audit_deps", ROOT / ".ci" / "audit_deps.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


audit = _load()


def test_locks_are_read_with_markers_and_hashes() -> None:
    one, two = audit.entries("# a comment\n" + HASHED + "two[extra]==2\n")
    assert (one.name, one.version, one.marker, one.hashes) == ("one", "1.0", "; sys_platform == 'win32'", 2)
    assert audit.unhashed([one, two]) == ["two 2 is locked without a hash"]
    with pytest.raises(ValueError, match="names no version"):
        audit.entries("three>=3\n")


@pytest.mark.parametrize("name", audit.LOCKS)
def test_everything_that_is_installed_is_pinned_and_hashed(name: str) -> None:
    locked = audit.entries((ROOT / "config" / "locks" / f"{name}.txt").read_text())
    assert locked and audit.unhashed(locked) == []


def test_locks_name_no_host() -> None:
    """Where packages come from is the installation's affair: a mirror, a cache, a registry of the house."""
    locks = [
        *(ROOT / "config" / "locks").glob("*.txt"),
        ROOT / "tests" / "mcp" / "node" / "package-lock.json",
    ]
    assert len(locks) == 4
    assert [lock.name for lock in locks if "://" in lock.read_text()] == []


def test_a_hole_fails_until_somebody_has_looked_at_it() -> None:
    report = {"vulnerabilities": [HOLE], "adverse_statuses": []}
    assert audit.judged(report, {}) == (["one 1.0: GHSA-1 A hole; mended in 1.1"], [])
    text = ACCEPTED.format(why="never called", reviewed="2026-11-01", until="2026-12-01")
    known, faults = audit.accepted(text, TODAY)
    assert faults == []
    assert audit.judged(report, known) == (
        [],
        ["one 1.0: GHSA-1 A hole; accepted until 2026-12-01: never called"],
    )
    elsewhere: dict[str, Any] = {**HOLE, "dependency": {"name": "two", "version": "1.0"}}
    assert len(audit.judged({"vulnerabilities": [elsewhere]}, known)[0]) == 1


@pytest.mark.parametrize(
    ("why", "reviewed", "until", "said"),
    [
        ("never called", "2026-10-01", "2026-11-21", "look at it again"),
        ("never called", "2026-11-01", "2027-11-01", "90 days at most"),
        ("never called", "2026-11-23", "2026-12-01", "say why"),
        (" ", "2026-11-01", "2026-12-01", "say why"),
    ],
)
def test_an_acceptance_has_a_reason_and_an_end(why: str, reviewed: str, until: str, said: str) -> None:
    known, faults = audit.accepted(ACCEPTED.format(why=why, reviewed=reviewed, until=until), TODAY)
    assert known == {} and len(faults) == 1 and said in faults[0]


def test_our_own_acceptances_are_in_order_on_the_day_they_were_written() -> None:
    text = audit.ADVISORIES.read_text(encoding="utf-8")
    for entry in audit.tomllib.loads(text).get("accepted", []):
        assert audit.accepted(text, entry["reviewed"])[1] == []


def test_what_could_not_be_asked_is_said_loudly_and_fails_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(audit, "_uv", lambda words: None)
    assert audit.main() == 0
    assert capsys.readouterr().err.count("!!! NOT AUDITED") == 4


def test_a_version_that_was_taken_back_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = "warning: `one==1.0` is yanked (reason: broken)\n + one==1.0"
    report = '{"vulnerabilities": [], "adverse_statuses": [], "summary": {"audited_packages": 1}}'

    def uv(words: list[str]) -> "subprocess.CompletedProcess[str]":
        return subprocess.CompletedProcess(words, 0, report if words[0] == "audit" else "", said)

    monkeypatch.setattr(audit, "_uv", uv)
    assert audit.main() == 1
    assert "`one==1.0` is yanked" in capsys.readouterr().err
