"""What an MCP tool asks of the API: a request of the same agent, from the same address, through the API's own door.

Nothing is decided here. Body, key and token are parsed, limited, refused and recorded where every request of an agent
is; an MCP client can do what its credential can do over HTTP, and nothing else."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from config.bridge import Message, Receive, Scope, Send

Door = Callable[[Scope, Receive, Send], Awaitable[None]]
_CARRIED = (b"authorization", b"host", b"x-request-id", b"user-agent")


@dataclass(frozen=True, slots=True)
class Answer:
    """What the API said: a proposal, a list, or a problem document."""

    status: int
    content: dict[str, Any]

    @property
    def is_refused(self) -> bool:
        return self.status >= 400


class Inner:
    """Requests on behalf of whoever sent the MCP message whose `scope` this is."""

    def __init__(self, api: Door, scope: Scope) -> None:
        self._api = api
        self._scope = scope

    async def get(self, path: str, *, query: str = "") -> Answer:
        return await self._ask("GET", path, query, b"", {})

    async def post(self, path: str, body: dict[str, Any], *, key: str = "") -> Answer:
        """Raises `ValueError` for what has no JSON of its own, which a message that was read strictly cannot hold."""
        data = json.dumps(body, allow_nan=False, ensure_ascii=False).encode()
        return await self._ask("POST", path, "", data, {b"idempotency-key": key.encode()} if key else {})

    async def _ask(self, method: str, path: str, query: str, data: bytes, more: dict[bytes, bytes]) -> Answer:
        headers = [(name, value) for name, value in self._scope["headers"] if name in _CARRIED]
        headers += [(b"content-type", b"application/json"), *more.items()]
        scope = {
            **{
                name: self._scope.get(name) for name in ("type", "http_version", "scheme", "server", "client")
            },
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": headers,
        }
        status, parts = 500, []
        given = False

        async def receive() -> Message:
            nonlocal given
            if given:
                await (
                    asyncio.Event().wait()
                )  # whoever asks has not gone as long as this task is not cancelled
            given = True
            return {"type": "http.request", "body": data, "more_body": False}

        async def send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            else:
                parts.append(message.get("body", b""))

        await self._api(scope, receive, send)
        return Answer(status, json.loads(b"".join(parts)))
