"""Eight writers of audit events in one process: short, long, aborted and nested transactions, until a file appears.

    python -m tests.races.sealing_writers STOP ACKNOWLEDGED SEED

Each event's name goes to ACKNOWLEDGED once its commit has returned: the database has promised to keep it. A server
that dies in between is waited for; whether an unacknowledged event was committed is for the database to know."""

import os
import random
import sys
import threading
import time
from itertools import count
from pathlib import Path

WRITERS = 8


def main(stop: Path, acknowledged: Path, seed: int) -> None:
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    lock = threading.Lock()
    with acknowledged.open("a", buffering=1) as file:

        def note(names: list[str]) -> None:
            with lock:
                file.write("".join(f"{name}\n" for name in names))

        threads = [
            threading.Thread(target=_write, args=(stop, f"w{number}", random.Random(seed + number), note))
            for number in range(WRITERS)
        ]
        for thread in threads:
            thread.start()
        print("ready", flush=True)
        for thread in threads:
            thread.join()


def _write(stop: Path, writer: str, chance: random.Random, note: object) -> None:
    from django.db import InterfaceError, OperationalError, connection, transaction

    from audit import recording
    from audit.events import Kind, Target, system

    names = (f"{writer}-{number}" for number in count(1))

    class Aborted(Exception):
        pass

    def record() -> str:
        name = next(names)
        recording.record(
            actor=system("race"), kind=Kind.SIGNED_IN, target=Target("race", name), detail={"name": name}
        )
        return name

    def nested() -> list[str]:
        """A savepoint that is taken back inside a transaction that stays."""
        try:
            with transaction.atomic():
                record()
                raise Aborted
        except Aborted:
            return [record()]

    def once() -> None:
        what = chance.random()
        done: list[str] = []
        try:
            with transaction.atomic():
                done += [record() for _ in range(chance.randint(1, 4))]
                if what < 0.15:
                    time.sleep(chance.uniform(0.05, 0.3))  # others begin later and commit before
                    done.append(record())
                elif what < 0.3:
                    done += nested()
                elif what < 0.45:
                    raise Aborted
        except Aborted:
            return
        note(done)  # type: ignore[operator]

    while not stop.exists():
        try:
            once()
        except (OperationalError, InterfaceError):
            connection.close()
            time.sleep(0.05)
        time.sleep(chance.uniform(0.005, 0.03))
    connection.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
