"""Django's cache, shared by all processes of a hub: what limits tries from one address is counted once.

Its values are JSON, so that whoever can write to Valkey makes nothing of it run here. While Valkey does not answer each
process counts alone: people can sign in all the same.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeVar

import structlog
from django.core.cache.backends.base import DEFAULT_TIMEOUT
from django.core.cache.backends.locmem import LocMemCache
from django.core.cache.backends.redis import RedisCache, RedisCacheClient

log = structlog.get_logger(__name__)

ANSWER_S = 2.0
_Value = TypeVar("_Value")


class JsonSerializer:
    """Numbers are their digits, which Valkey can add to."""

    def dumps(self, obj: Any) -> bytes:
        return json.dumps(obj).encode()

    def loads(self, data: Any) -> Any:
        return json.loads(data)


@lru_cache
def _client_of(server: str) -> RedisCacheClient:
    """One for all threads: Django makes a cache for each, and requests have a thread each."""
    return RedisCacheClient([server], serializer=JsonSerializer, socket_timeout=ANSWER_S)


class SharedCache(RedisCache):
    """The cache of `CACHES`. Of its operations those that Django's own callers and allauth use."""

    def __init__(self, server: str, params: dict[str, Any]) -> None:
        super().__init__(server, params)
        self._server = server
        self._alone = LocMemCache("while Valkey is away", {})

    @property
    def _cache(self) -> RedisCacheClient:
        return _client_of(self._server)

    def add(
        self, key: Any, value: Any, timeout: float | None = DEFAULT_TIMEOUT, version: int | None = None
    ) -> bool:
        return self._try(
            lambda: super(SharedCache, self).add(key, value, timeout, version),
            lambda: self._alone.add(key, value, timeout, version),
        )

    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        return self._try(
            lambda: super(SharedCache, self).get(key, default, version),
            lambda: self._alone.get(key, default, version),
        )

    def set(
        self, key: Any, value: Any, timeout: float | None = DEFAULT_TIMEOUT, version: int | None = None
    ) -> None:
        self._try(
            lambda: super(SharedCache, self).set(key, value, timeout, version),
            lambda: self._alone.set(key, value, timeout, version),
        )

    def incr(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        """Raises ValueError when there is nothing to add to."""
        return self._try(
            lambda: super(SharedCache, self).incr(key, delta, version),
            lambda: self._alone.incr(key, delta, version),
        )

    def delete(self, key: Any, version: int | None = None) -> bool:
        return self._try(
            lambda: super(SharedCache, self).delete(key, version), lambda: self._alone.delete(key, version)
        )

    def _try(self, shared: Callable[[], _Value], alone: Callable[[], _Value]) -> _Value:
        from redis.exceptions import RedisError

        try:
            return shared()
        except (RedisError, OSError) as error:
            log.warning("limits_are_counted_by_this_process_alone", error=str(error))
            return alone()
