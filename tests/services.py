"""Which servers the tests run against; imported by tests.settings before the real settings read the environment.

Without DATABASE_URL and REDIS_URL, tests have embedded servers and a data directory of their own, which write nothing
safely to disk. They are started by the first process of the run and stopped by the last one. On a server of your own
name all four roles (`manage.py database_roles`), of which the owner makes the tests' databases, and by
DATABASE_SUPERUSER_URL an administrator, as whom some tests attack the log.
"""

import os
from pathlib import Path
from urllib.parse import urlsplit

from config import addresses, embedded
from config.embedded.postgres import SUPERUSER

ROOT = Path(__file__).resolve().parent.parent
SUPERUSER_URL = "DATABASE_SUPERUSER_URL"


def prepare() -> None:
    """Change the environment of this process, which the processes that tests start inherit."""
    os.environ.setdefault("COUNTERSIGN_VAR", str(ROOT / "var" / "test"))
    os.environ.setdefault("COUNTERSIGN_EMBEDDED_FAST", "1")
    os.environ.setdefault(
        "SECRET_KEY", "for tests only, and long enough to be taken for a real one by every check"
    )
    var = Path(os.environ["COUNTERSIGN_VAR"])
    services = embedded.ensure(var)
    for role, url in services.database_urls.items():
        os.environ[addresses.VARIABLES[role]] = url
    if services.postgres_pid is not None:
        os.environ[SUPERUSER_URL] = embedded.postgres_in(var).url_of(SUPERUSER)
    os.environ["REDIS_URL"] = redis_url_of_this_worker(services.redis_url)


def redis_url_of_this_worker(url: str) -> str:
    """Parallel test processes must not see each other's keys: each has a numbered database of its own.

    Publish and subscribe are shared by all databases of one server, so channels need names of their own.
    """
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    number = 1 + int(worker.removeprefix("gw")) if worker else 0
    return urlsplit(url)._replace(path=f"/{number}").geturl()
