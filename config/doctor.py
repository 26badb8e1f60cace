"""`manage.py doctor`: every condition of a start, every open door, one line each, with the remedy where something is
amiss. Then, where the database is there, what people have left undone."""

from config import console, preflight, soundness
from config.preflight import Installation
from config.problem import Problem


def run() -> int:
    """The exit code: 1 when something has to be mended."""
    installation = Installation()
    faults = 0
    is_running = _says_it_runs(installation)
    for check in (*preflight.EVERYTHING, *soundness.EVERYTHING):
        if is_running and check in (preflight.supervisor, preflight.port):
            continue
        try:
            console.good(check(installation))
        except Problem as problem:
            console.bad(str(problem))
            faults += 1
    if not faults and (is_running or installation.database_url):
        _what_is_left_undone()
    return 1 if faults else 0


def _what_is_left_undone() -> None:
    """Only of a database that is there by itself: the doctor starts no server."""
    import django

    try:
        django.setup()
    except Problem as problem:
        console.notice(f"What people have left undone could not be asked: {problem}")
        return
    from django.db import DatabaseError

    from config import good_order

    try:
        found = [said for check in good_order.EVERYTHING if (said := check())]
    except DatabaseError as error:
        first = (str(error).strip().splitlines() or [""])[0]
        console.notice(
            f"What people have left undone could not be asked ({first}). Run `manage.py migrate` if it is new."
        )
        return
    for said in found:
        console.notice(said)
    if not found:
        console.good(
            "Two admins, second factors, owners and credentials are in order; no right was set by hand"
        )


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
