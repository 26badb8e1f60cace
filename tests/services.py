"""Which servers the tests run against; imported by tests.settings before the real settings read the environment.

Without DATABASE_URL and REDIS_URL, tests have embedded servers and a data directory of their own, which write nothing
safely to disk. They are started by the first process of the run and stopped by the last one.
"""

import os
from pathlib import Path
from urllib.parse import urlsplit

from config import embedded

ROOT = Path(__file__).resolve().parent.parent


def prepare() -> None:
    """Change the environment of this process, which the processes that tests start inherit."""
    os.environ.setdefault("COUNTERSIGN_VAR", str(ROOT / "var" / "test"))
    os.environ.setdefault("COUNTERSIGN_EMBEDDED_FAST", "1")
    os.environ.setdefault(
        "SECRET_KEY", "for tests only, and long enough to be taken for a real one by every check"
    )
    services = embedded.ensure(Path(os.environ["COUNTERSIGN_VAR"]))
    os.environ["DATABASE_URL"] = services.database_url
    os.environ["REDIS_URL"] = redis_url_of_this_worker(services.redis_url)


def redis_url_of_this_worker(url: str) -> str:
    """Parallel test processes must not see each other's keys: each has a numbered database of its own.

    Publish and subscribe are shared by all databases of one server, so channels need names of their own.
    """
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    number = 1 + int(worker.removeprefix("gw")) if worker else 0
    return urlsplit(url)._replace(path=f"/{number}").geturl()
