"""Whether the locked packages are ones we would still install: `make audit-deps`.

Three questions, from what needs no network to what does. Every locked file has its SHA-256; no locked version was taken
back by its authors; no advisory is known that nobody here has looked at (.ci/advisories.toml). Where the index or the
advisory database cannot be asked, that is said in large letters and is no failure: a clean clone passes without them,
and whoever reads the log sees that nobody has looked."""

import json
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ("runtime", "dev", "installer")
ADVISORIES = Path(__file__).with_name("advisories.toml")
SECONDS = 120
"""For each question that is asked of somebody else."""
LONGEST = 90
"""Days for which an advisory may be accepted without being looked at again."""
_ENTRY = re.compile(r"(?P<name>[A-Za-z0-9._-]+)(?:\[[^\]]*\])?==(?P<version>\S+)(?P<marker>[^\\#]*)")


@dataclass(frozen=True)
class Locked:
    """One entry of a lock file: `marker` with its semicolon, or empty."""

    name: str
    version: str
    marker: str
    hashes: int


@dataclass(frozen=True)
class Accepted:
    """An advisory that somebody has looked at and lives with for a while."""

    id: str
    package: str
    why: str
    reviewed: date
    until: date


def entries(text: str) -> list[Locked]:
    """Raises ValueError for a requirement that is not pinned."""
    found = []
    for block in re.split(r"\n(?=[A-Za-z0-9])", re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE)):
        if not block.strip():
            continue
        match = _ENTRY.match(block)
        if match is None:
            raise ValueError(f"{block.splitlines()[0]!r} names no version")
        marker = match["marker"].strip()
        found.append(Locked(match["name"].lower(), match["version"], marker, block.count("--hash=sha256:")))
    return found


def unhashed(locked: Iterable[Locked]) -> list[str]:
    return [f"{one.name} {one.version} is locked without a hash" for one in locked if not one.hashes]


def accepted(text: str, today: date) -> tuple[dict[str, Accepted], list[str]]:
    """Accepted advisories by id, and what is wrong with the list of them."""
    found, faults = {}, []
    for entry in tomllib.loads(text).get("accepted", []):
        one = Accepted(**entry)
        if not one.why.strip() or (one.until - one.reviewed).days > LONGEST or one.reviewed > today:
            faults.append(
                f"{one.id}: say why, and accept it for {LONGEST} days at most from the day it was looked at"
            )
        elif one.until < today:
            faults.append(f"{one.id} of {one.package} was accepted until {one.until}: look at it again")
        else:
            found[one.id] = one
    return found, faults


def judged(report: dict[str, Any], known: dict[str, Accepted]) -> tuple[list[str], list[str]]:
    """(faults, what was accepted) in uv's report."""
    faults, lived_with = [], []
    for hole in report["vulnerabilities"]:
        package = hole["dependency"]
        ids = {hole["id"], hole.get("display_id", hole["id"]), *hole.get("aliases", ())}
        said = f"{package['name']} {package['version']}: {hole['id']} {hole.get('summary') or ''}".strip()
        one = next((known[each] for each in sorted(ids) if each in known), None)
        if one is not None and one.package == package["name"]:
            lived_with.append(f"{said}; accepted until {one.until}: {one.why}")
        else:
            mended = ", ".join(hole.get("fix_versions") or ()) or "no version yet"
            faults.append(f"{said}; mended in {mended}")
    faults += [f"marked by the index: {json.dumps(status)}" for status in report.get("adverse_statuses", ())]
    return faults, lived_with


def taken_back(lock: str) -> list[str] | None:
    """Versions that their authors have yanked, as the index tells an installer; None where it could not be asked."""
    with tempfile.TemporaryDirectory() as empty:
        words = ["pip", "install", "--dry-run", "--no-deps", "--require-hashes", "--target", empty]
        answer = _uv([*words, "-r", str(ROOT / "config" / "locks" / f"{lock}.txt")])
    if answer is None or answer.returncode:
        return None
    return re.findall(r"warning: (.*yanked.*)", answer.stderr)


def advisories(locked: Iterable[Locked], service: str = "") -> dict[str, Any] | None:
    """uv's report on exactly these versions; None where the database could not be asked."""
    pinned = sorted({f"{one.name}=={one.version} {one.marker}".strip() for one in locked})
    with tempfile.TemporaryDirectory() as project:
        (Path(project) / "pyproject.toml").write_text(
            '[project]\nname = "what-is-locked"\nversion = "0"\nrequires-python = ">=3.11"\n'
            f"dependencies = {json.dumps(pinned)}\n",
            encoding="utf-8",
        )
        words = ["audit", "--preview-features", "audit-command,json-output", "--output-format", "json"]
        answer = _uv([*words, "--project", project, *(["--service-url", service] if service else [])])
    try:
        report = json.loads(answer.stdout) if answer is not None else None
    except ValueError:
        report = None
    return report if isinstance(report, dict) and "vulnerabilities" in report else None


def _uv(words: list[str]) -> "subprocess.CompletedProcess[str] | None":
    command = [sys.executable, "-m", "uv", *words]
    try:
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return None


def main() -> int:
    """The exit code: 1 when something has to be mended; 0 otherwise, also where nobody could be asked."""
    locked = {name: entries((ROOT / "config" / "locks" / f"{name}.txt").read_text()) for name in LOCKS}
    everything = [one for entries_of in locked.values() for one in entries_of]
    known, faults = accepted(ADVISORIES.read_text(encoding="utf-8"), datetime.now(UTC).date())
    faults += unhashed(everything)
    print(
        f"· {len({(one.name, one.version) for one in everything})} versions locked, each file by its SHA-256"
    )
    unasked = []
    for name in LOCKS:
        yanked = taken_back(name)
        if yanked is None:
            unasked.append(f"whether a version of config/locks/{name}.txt was taken back")
        else:
            faults += [f"config/locks/{name}.txt: {said}" for said in yanked]
    report = advisories(everything)
    if report is None:
        unasked.append("whether advisories are known")
    else:
        found, lived_with = judged(report, known)
        faults += found
        print(f"· {report['summary']['audited_packages']} packages compared with the advisory database")
        for said in lived_with:
            print(f"! {said}")
    for what in unasked:
        print(f"!!! NOT AUDITED, nobody could be asked: {what}", file=sys.stderr)
    for fault in faults:
        print(f"✗ {fault}", file=sys.stderr)
    print(
        "✗ The audit found something"
        if faults
        else "✓ Nothing found" + (" in what could be asked" if unasked else "")
    )
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
