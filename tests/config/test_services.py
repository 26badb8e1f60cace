import pytest
from django.conf import settings
from django.core.cache import cache
from django.db import connection

from audit.roles import weaknesses
from tests.services import redis_url_of_this_worker


@pytest.mark.django_db
def test_tests_run_on_postgresql_as_the_application_does() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('server_version_num')::int >= 150000")
        assert cursor.fetchone() == (True,)
    assert (settings.DATABASE_ROLE, weaknesses(connection)) == ("app", [])


def test_the_cache_answers() -> None:
    cache.set("greeting", "hello")
    assert cache.get("greeting") == "hello"


def test_parallel_workers_have_a_redis_database_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_XDIST_WORKER", "gw2")
    assert redis_url_of_this_worker("redis://:secret@127.0.0.1:6379/0") == "redis://:secret@127.0.0.1:6379/3"
