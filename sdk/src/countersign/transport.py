"""What both clients tell httpx, and what they make of its errors."""

from __future__ import annotations

import httpx

from countersign._version import VERSION
from countersign.errors import CountersignError
from countersign.settings import Settings
from countersign.wire import Answer, Lost, Request

LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=20)
"""Everybody who waits holds a connection; none of them may keep another call from its own."""
_CONNECTING = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)


def prepared(request: Request, settings: Settings) -> httpx.Request:
    """Addressed and signed with the token as they are now. Raises `CountersignError` without a usable one."""
    headers = {
        "Authorization": f"Bearer {settings.bearer()}",
        "Accept": "application/json",
        "User-Agent": f"countersign-python/{VERSION}",
        **request.headers,
    }
    connect = settings.timeout
    try:
        return httpx.Request(
            request.method,
            settings.base_url() + request.path,
            headers=headers,
            content=request.content,
            extensions={
                "timeout": httpx.Timeout(connect, read=settings.timeout + request.timeout).as_dict(),
            },
        )
    except (httpx.InvalidURL, UnicodeEncodeError) as error:
        raise CountersignError(
            f"The address or the token is not usable: {error}", code="bad_settings"
        ) from error


def answer_of(response: httpx.Response) -> Answer:
    """Its body has to be read by now."""
    return Answer(
        response.status_code,
        {name.lower(): value for name, value in response.headers.items()},
        response.content,
    )


def lost(error: httpx.TransportError) -> Lost:
    """Raises `CountersignError` for an address that nothing can ever answer at."""
    if isinstance(error, httpx.UnsupportedProtocol):
        raise CountersignError(f"The address is not usable: {error}", code="bad_settings") from error
    return Lost(str(error) or type(error).__name__, was_sent=not isinstance(error, _CONNECTING))
