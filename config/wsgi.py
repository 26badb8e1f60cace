"""The WSGI side: everything except waiting. Agents' requests pass fewer middlewares than browsers'."""

import os
from collections.abc import Callable, Iterable
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

import django

django.setup(set_prefix=False)

from django.conf import settings  # noqa: E402 - settings are usable only after setup
from django.core.handlers.wsgi import WSGIHandler  # noqa: E402
from django.test.utils import override_settings  # noqa: E402

Environ = dict[str, Any]
StartResponse = Callable[..., Any]


class AgentHandler(WSGIHandler):
    """Django's handler with the short middleware list of settings.API_MIDDLEWARE."""

    def load_middleware(self, is_async: bool = False) -> None:
        with override_settings(MIDDLEWARE=settings.API_MIDDLEWARE):
            super().load_middleware(is_async)


_agents = AgentHandler()
_people = WSGIHandler()
_AGENT_PATHS = ("/api/v1/", "/v1/traces", "/scim/", "/tlog/", "/.well-known/", "/healthz", "/readyz")


def application(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    handler = _agents if environ["PATH_INFO"].startswith(_AGENT_PATHS) else _people
    return handler(environ, start_response)
