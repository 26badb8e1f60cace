"""A small bridge from ASGI to a WSGI application: buffer the body (bounded), run in a thread, send the answer.

Bodies are small here (256 KiB for agents, 1 MiB for pages), so nothing is streamed in. Answers are sent whole, but for
those that say they are made piece by piece: an export of a million events. Each piece takes a thread while it is made
and none while it is sent, so that a slow reader holds up nobody."""

import asyncio
import hashlib
import re
import sys
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any

Scope = dict[str, Any]
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
WSGI = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

THREADS = 4
EACH = THREADS - 1
"""So many of the threads at most work for one agent or person, so that nobody's flood takes the last one."""
ABOUT = 2.0
"""Seconds for which somebody who has asked is taken to be about."""
MOST_WAITING = 200
"""Requests of one party that wait for a thread; their bodies are in memory meanwhile. The next is told to come back."""
MOST_KNOWN = 10_000
CALLER = "countersign.caller"
"""Where the application says in the environment whom it answered: `agent:7`, `person:3`."""
MAX_BODY = 2 * 1024 * 1024
"""Beyond this nothing is read any more; views' own limits are tighter."""
ROOMY = {"/backtests/": 11 * 1024 * 1024}
"""Addresses that take a larger file, few at a time: a body waits in memory, and anybody may send one."""
ROOMY_AT_ONCE = 2
ROOMY_SECONDS = 120
BUSY = (
    b'{"type":"/api/docs#too_many_at_once","title":"Too much at once","status":429,"code":"too_many_at_once",'
    b'"detail":"As many of your requests are waiting as may. Send the same again in 1 s.","retry_after":1}'
)
_SESSION = re.compile(rb"(?:__Host-)?sessionid=[^;]+")


class Bridge:
    """The ASGI face of a WSGI application, with a fixed pool of threads (each keeps its database connection)."""

    def __init__(self, application: WSGI, threads: int = THREADS, each: int = EACH) -> None:
        self._application = application
        self._threads = threads
        self._turns = Turns(threads, each)
        self._callers: dict[bytes, str] = {}
        self._pool = self._new_pool()
        self._roomy = asyncio.Semaphore(ROOMY_AT_ONCE)

    def _new_pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self._threads, thread_name_prefix="wsgi")

    def close(self) -> None:
        """Let the threads and their database connections go, when the process stops."""
        self._pool.shutdown(wait=True)
        self._pool = self._new_pool()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._turns.waiting(self._party(scope)) >= MOST_WAITING:
            await _send_whole(
                send, 429, [(b"content-type", b"application/problem+json"), (b"retry-after", b"1")], BUSY
            )
            return
        most = ROOMY.get(scope["path"], MAX_BODY)
        if most == MAX_BODY or scope["method"] != "POST":
            await self._answer(scope, receive, send, MAX_BODY)
            return
        async with self._roomy:
            await self._answer(scope, receive, send, most)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, most: int) -> None:
        try:
            async with asyncio.timeout(ROOMY_SECONDS if most > MAX_BODY else None):
                body = await _read(receive, most)
        except (_Gone, TimeoutError):
            return
        environ = _environ(scope, body)
        party = self._party(scope)
        status, headers, content = await self._in_turn(party, self._run, environ)
        self._remember(scope, environ.get(CALLER))
        if len(body) > most:
            headers.append((b"connection", b"close"))
        if isinstance(content, bytes):
            await _send_whole(send, status, headers, content)
        else:
            await self._send_pieces(party, receive, send, status, headers, content)

    async def _in_turn(self, party: str, work: Callable[..., Any], *arguments: Any) -> Any:
        """Run it in a thread when it is this party's turn. A thread that was begun is waited for in any case."""
        await self._turns.take(party)
        running = asyncio.get_running_loop().run_in_executor(self._pool, work, *arguments)
        running.add_done_callback(lambda _: self._turns.give_back(party))
        return await running

    def _party(self, scope: Scope) -> str:
        """Who asks, as far as it is known before it is answered: what came with the same credential or session the
        last time; else the address, which all strangers behind one proxy share."""
        return self._callers.get(_secret(scope)) or f"at:{(scope.get('client') or ('',))[0]}"

    def _remember(self, scope: Scope, caller: str | None) -> None:
        if caller is None:
            return
        if len(self._callers) >= MOST_KNOWN:
            self._callers.clear()
        self._callers[_secret(scope)] = caller

    async def _send_pieces(
        self,
        party: str,
        receive: Receive,
        send: Send,
        status: int,
        headers: list[tuple[bytes, bytes]],
        answer: Any,
    ) -> None:
        """Piece after piece, until the end or until nobody takes them any more."""
        loop = asyncio.get_running_loop()
        pieces = iter(answer)
        gone = asyncio.ensure_future(_left(receive))
        try:
            await send({"type": "http.response.start", "status": status, "headers": headers})
            while not gone.done():
                piece = await self._in_turn(party, next, pieces, None)
                if piece is None:
                    await send({"type": "http.response.body", "body": b""})
                    return
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        finally:
            gone.cancel()
            await loop.run_in_executor(self._pool, answer.close)

    def _run(self, environ: dict[str, Any]) -> tuple[int, list[tuple[bytes, bytes]], Any]:
        """Status, headers, and the whole answer as bytes; or the answer itself, if it is made piece by piece."""
        started: list[tuple[int, list[tuple[str, str]]]] = []

        def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> None:
            started[:] = [(int(status.split(" ", 1)[0]), headers)]

        chunks = self._application(environ, start_response)
        content: Any = chunks
        if not (getattr(chunks, "streaming", False) and started and not _has_length(started[0][1])):
            try:
                content = b"".join(chunks)
            finally:
                close = getattr(chunks, "close", None)
                if close is not None:
                    close()
        headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in started[0][1]]
        return started[0][0], headers, content


class Turns:
    """Whose turn it is: a party at a time, round and round, and of each at most `each` at once.

    Threads of one process share one interpreter, so a free thread alone does not help who comes beside a flood: while
    others are about, an agent works on one request at a time. People, who send a page's parts at once, are not many."""

    def __init__(self, places: int, each: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._free, self._each, self._clock = places, each, clock
        self._seen: dict[str, float] = {}
        self._working: Counter[str] = Counter()
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    def waiting(self, party: str) -> int:
        return len(self._waiting.get(party, ()))

    async def take(self, party: str) -> None:
        """Returns when the party has a place, which has to be given back."""
        self._note(party)
        if self._free and self._working[party] < self._most(party):
            self._begin(party)
            return
        place = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(party, deque()).append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self.give_back(party)
            raise

    def give_back(self, party: str) -> None:
        self._free += 1
        self._working[party] -= 1
        if not self._working[party]:
            del self._working[party]
        while self._free and (following := self._following()):
            following.set_result(None)

    def _note(self, party: str) -> None:
        now = self._clock()
        self._seen[party] = now
        if len(self._seen) > 1:
            self._seen = {known: at for known, at in self._seen.items() if now - at < ABOUT}

    def _most(self, party: str) -> int:
        """So many at once now; counted again whenever somebody comes or is done."""
        if not party.startswith("agent:"):
            return self._each
        now = self._clock()
        others = any(known != party and now - at < ABOUT for known, at in self._seen.items())
        return 1 if others else self._each

    def _begin(self, party: str) -> None:
        self._free -= 1
        self._working[party] += 1

    def _following(self) -> "asyncio.Future[None] | None":
        """The next that may begin, its party put at the end of the round; None where all who wait have to."""
        for party in list(self._waiting):
            queue = self._waiting[party]
            while queue and queue[0].done():  # its client has gone
                queue.popleft()
            if queue and self._working[party] < self._most(party):
                place = queue.popleft()
                self._begin(party)
                self._waiting.move_to_end(party)
                if not queue:
                    del self._waiting[party]
                return place
            if not queue:
                del self._waiting[party]
        return None


def _secret(scope: Scope) -> bytes:
    """A digest of the credential or session that came along; what else is in the cookies does not count."""
    found = b""
    for name, value in scope["headers"]:
        if name == b"authorization":
            found = value
            break
        if name == b"cookie":
            session = _SESSION.search(value)
            found = session[0] if session else b""
    return hashlib.sha256(found).digest()


def _has_length(headers: list[tuple[str, str]]) -> bool:
    """A file's, for instance, which is small and whole."""
    return any(name.lower() == "content-length" for name, _ in headers)


class _Gone(Exception):
    """The client left before its body was complete; half a request is not acted upon."""


async def _left(receive: Receive) -> None:
    """Returns when the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _read(receive: Receive, most: int) -> bytes:
    """The body, or a little more than `most` of one that is larger, which every view then refuses as too large."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Gone
        part = message.get("body", b"")
        size += len(part)
        parts.append(part)
        if size > most or not message.get("more_body"):
            return b"".join(parts)


async def _send_whole(send: Send, status: int, headers: list[tuple[bytes, bytes]], content: bytes) -> None:
    if status >= 200 and status not in (204, 304) and all(name != b"content-length" for name, _ in headers):
        headers.append((b"content-length", str(len(content)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})


def _environ(scope: Scope, body: bytes) -> dict[str, Any]:
    """PEP 3333's environment of a request."""
    client = scope.get("client") or ("", 0)
    server = scope.get("server") or ("localhost", 80)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": scope["path"].encode("utf-8").decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": server[0],
        "SERVER_PORT": str(server[1] or 80),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "REMOTE_ADDR": client[0],
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.get("scheme", "http"),
        "wsgi.input": BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "CONTENT_LENGTH": str(len(body)),
    }
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        if name == "content-type":
            environ["CONTENT_TYPE"] = value
        elif name != "content-length" and "_" not in name:
            key = "HTTP_" + name.upper().replace("-", "_")
            environ[key] = f"{environ[key]},{value}" if key in environ else value
    return environ
