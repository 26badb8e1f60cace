"""Three doors, one process: who waits and who listens is served by plain ASGI, the rest by Django's WSGI handler."""

from config import wsgi  # first: it sets Django up, which everything below needs  # isort: skip
from config import streaming, waiting
from config.bridge import Bridge, Receive, Scope, Send

_bridge = Bridge(wsgi.application)


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
    elif waiting.matches(scope):
        await waiting.application(scope, receive, send)
    elif streaming.matches(scope):
        await streaming.application(scope, receive, send)
    else:
        await _bridge(scope, receive, send)


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        else:
            await waiting.close()
            await streaming.close()
            _bridge.close()
            await send({"type": "lifespan.shutdown.complete"})
            return
