"""`manage.py doctor`: every condition of a start, one line each, with the remedy where it does not hold."""

from config import console, preflight
from config.preflight import Installation
from config.problem import Problem


def run() -> int:
    """The exit code: 1 when something has to be mended."""
    installation = Installation()
    faults = 0
    is_running = _says_it_runs(installation)
    for check in preflight.EVERYTHING:
        if is_running and check in (preflight.supervisor, preflight.port):
            continue
        try:
            console.good(check(installation))
        except Problem as problem:
            console.bad(str(problem))
            faults += 1
    return 1 if faults else 0


def _says_it_runs(installation: Installation) -> bool:
    """A running `make run` is no fault, and its port is taken by itself."""
    try:
        pid = installation.lock_file.read_text(encoding="utf-8").strip()
        preflight.supervisor(installation)
    except OSError:
        return False
    except Problem:
        console.good(f"make run is at work (process {pid})")
        return True
    return False
