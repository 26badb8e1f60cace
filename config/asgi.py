"""Four doors, one process: who waits and who listens is served by plain ASGI, the rest by Django's WSGI handler."""

from config import wsgi  # first: it sets Django up, which everything below needs  # isort: skip
import structlog

from config import doors, events, headers, mcp_door, streaming, waiting
from config.bridge import Bridge, Message, Receive, Scope, Send

log = structlog.get_logger(__name__)
_bridge = Bridge(wsgi.application)
_FAULT = (
    b'{"type":"/api/docs#server_error","title":"A fault of ours","status":500,"code":"server_error",'
    b'"detail":"Something went wrong here. Send the same request again; if it persists, tell the operators."}'
)


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Whatever is answered here or below leaves with the headers of config/headers.py, faults too."""
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
        return
    has_begun = False

    async def sent(message: Message) -> None:
        nonlocal has_begun
        has_begun = True
        await completing(message)

    completing = headers.completing(send)
    try:
        await _answer(scope, receive, sent)
    except Exception:
        if has_begun:
            raise
        log.exception("unanswered", path=str(scope["path"])[:200])
        kind = (b"content-type", b"application/problem+json")
        length = (b"content-length", str(len(_FAULT)).encode())
        await sent({"type": "http.response.start", "status": 500, "headers": [kind, length]})
        await sent({"type": "http.response.body", "body": _FAULT})


async def _answer(scope: Scope, receive: Receive, send: Send) -> None:
    if waiting.matches(scope):
        await waiting.application(scope, receive, send)
    elif events.matches(scope):
        await events.application(scope, receive, send)
    elif streaming.matches(scope):
        await streaming.application(scope, receive, send)
    elif mcp_door.matches(scope):
        await mcp_door.application(scope, receive, send, api=_answer)
    else:
        await _bridge(scope, receive, send)


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        else:
            await mcp_door.close()  # first: its calls go through the others
            await events.close()
            await waiting.close()
            await streaming.close()
            doors.close()
            _bridge.close()
            await send({"type": "lifespan.shutdown.complete"})
            return
