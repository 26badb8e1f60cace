"""The cache carries hints only: when Redis is away, a miss is the right answer (DESIGN.md §3)."""

from typing import Any

import redis.exceptions
import structlog
from django.core.cache.backends.redis import RedisCache

log = structlog.get_logger(__name__)
_AWAY = (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError)


class HintCache(RedisCache):
    """Django's Redis cache, which answers with misses while the server cannot be reached."""

    def add(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().add(*args, **kwargs)
        except _AWAY:
            return True

    def get(self, key: Any, default: Any = None, version: Any = None) -> Any:
        try:
            return super().get(key, default, version)
        except _AWAY:
            return default

    def set(self, *args: Any, **kwargs: Any) -> None:
        try:
            super().set(*args, **kwargs)
        except _AWAY:
            log.warning("cache_away")

    def get_many(self, keys: Any, version: Any = None) -> dict[Any, Any]:
        try:
            return dict(super().get_many(keys, version))
        except _AWAY:
            return {}

    def delete(self, key: Any, version: Any = None) -> bool:
        try:
            return bool(super().delete(key, version))
        except _AWAY:
            return False
