"""Make the virtual environment and install the locked requirements: the first step of every `make` target.

Runs under the system's Python before anything is installed, so it uses the standard library only, and no syntax
that would keep an older Python from reaching the sentence that says which one is needed.

uv installs several times faster, but does not read pip's configuration, which is where a company names its own
index. So uv comes first, itself installed by pip from a locked wheel, and pip does the work where uv cannot.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ROOT / "config" / "locks"
KINDS = ("runtime", "dev")
NEEDED_BYTES = 1_000_000_000  # the environment with both lock files, wheels while they are unpacked included


class EnvironmentProblem(Exception):
    """Its text is a sentence for the person at the terminal."""


def main(kind: str, venv: Path) -> None:
    """Bring the environment to what the lock file of this kind says; quick when it is there already."""
    if sys.version_info < (3, 11):  # noqa: UP036  this file is what an older Python is to run
        raise EnvironmentProblem(
            "Countersign needs Python 3.11 or later, and this is {}.{}. Install one, or name it: "
            "make run PYTHON=/path/to/python3".format(*sys.version_info)
        )
    if _is_current(kind, venv):
        return
    venv.parent.mkdir(parents=True, exist_ok=True)
    lock_file = venv.parent / f"{venv.name}.lock"
    with lock_file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two `make` at once: the second waits, then finds the work done
        if not _is_current(kind, venv):
            _make(kind, venv)
    lock_file.unlink(missing_ok=True)


def _make(kind: str, venv: Path) -> None:
    _check_room(venv)
    unfinished = venv / ".unfinished"
    if venv.exists() and (unfinished.exists() or not _python_runs(venv)):
        _say(f"The environment {venv.name} is half-made or broken; making it anew")
        shutil.rmtree(venv)
    if not venv.exists():
        _say(f"Making the Python environment {venv.name}")
        venv.mkdir(parents=True)
        unfinished.touch()
        _create(venv)
    unfinished.touch()
    _say(f"Installing the locked packages ({kind}); the first time takes a minute")
    _install(venv, LOCKS / f"{kind}.txt")
    _stamp(kind, venv).write_text(_fingerprint(kind), encoding="utf-8")
    unfinished.unlink()


def _is_current(kind: str, venv: Path) -> bool:
    """The dev lock file holds every runtime package at the same version, so its stamp counts for both."""
    if (venv / ".unfinished").exists() or not (venv / "bin" / "python").exists():
        return False
    return any(matches(enough, venv) for enough in {kind, "dev"})


def matches(kind: str, venv: Path) -> bool:
    """Whether what was installed last is what the lock file says now."""
    stamp = _stamp(kind, venv)
    return stamp.is_file() and stamp.read_text(encoding="utf-8") == _fingerprint(kind)


def _stamp(kind: str, venv: Path) -> Path:
    return venv / f".installed-{kind}"


def _fingerprint(kind: str) -> str:
    return hashlib.sha256((LOCKS / f"{kind}.txt").read_bytes()).hexdigest()


def _check_room(venv: Path) -> None:
    free = shutil.disk_usage(venv.parent).free
    if free < NEEDED_BYTES and not any(_stamp(kind, venv).exists() for kind in KINDS):
        raise EnvironmentProblem(
            f"Only {free // 1_000_000} MB are free on the disk of {venv.parent}; the environment needs "
            f"{NEEDED_BYTES // 1_000_000} MB. Free some space, or put it elsewhere: make run VENV=/other/disk/venv"
        )


def _python_runs(venv: Path) -> bool:
    """False for an environment whose Python was removed or upgraded away, or was made by an older one."""
    check = "import sys, pip; sys.exit(sys.version_info < (3, 11))"
    try:
        return (
            subprocess.run(
                [venv / "bin" / "python", "-c", check], capture_output=True, check=False
            ).returncode
            == 0
        )
    except OSError:
        return False


def _create(venv: Path) -> None:
    result = subprocess.run([sys.executable, "-m", "venv", venv], capture_output=True, text=True, check=False)
    if result.returncode != 0:
        shutil.rmtree(venv, ignore_errors=True)
        said = (result.stdout + result.stderr).strip()
        raise EnvironmentProblem(
            f"{sys.executable} could not make a virtual environment. On Debian and Ubuntu its module is a package "
            f"of its own: apt install python3-venv. It said:\n{said}"
        )


def _install(venv: Path, lock_file: Path) -> None:
    python = str(venv / "bin" / "python")
    pip = [
        python,
        "-m",
        "pip",
        "--disable-pip-version-check",
        "--no-input",
        "install",
        "--quiet",
        "--require-hashes",
    ]
    uv = [
        *(python, "-m", "uv", "pip", "install", "--quiet", "--python", python, "--require-hashes"),
        *("--no-deps", "--compile-bytecode", "-r", str(lock_file)),
    ]
    # The system's certificates, among which a company's proxy has its own; one retry, since pip is there too.
    environment = {"UV_SYSTEM_CERTS": "1", "UV_HTTP_RETRIES": "1", "UV_NO_PROGRESS": "1", **os.environ}
    if _quietly([*pip, "-r", str(LOCKS / "installer.txt")]) and _quietly(uv, environment):
        return
    _say("uv could not do it here; installing the same packages with pip, which takes longer")
    result = subprocess.run(
        [*pip, "--no-deps", "-r", str(lock_file)], check=False, capture_output=True, text=True
    )
    if result.returncode != 0:
        raise EnvironmentProblem(
            "The packages could not be installed. Check the network, and pip's configuration if your company has an "
            f"index of its own; then run the same command again. pip said:\n{result.stderr.strip()}"
        )


def _quietly(command: list[str], environment: dict[str, str] | None = None) -> bool:
    return subprocess.run(command, check=False, capture_output=True, env=environment).returncode == 0


def _say(text: str) -> None:
    print(f"· {text} …", flush=True)


if __name__ == "__main__":
    try:
        main(sys.argv[1], Path(sys.argv[2]).absolute())
    except (EnvironmentProblem, OSError) as problem:
        sys.exit(f"✗ {problem}")
    except KeyboardInterrupt:
        sys.exit("✗ Interrupted; the same command goes on from here.")
