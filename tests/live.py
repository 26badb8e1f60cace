"""The whole application on a real port, in a thread of the test process, against the test database."""

import gc
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from config.asgi import application
from config.web import Server, forwarding


@contextmanager
def serving(port: int = 0) -> Iterator[str]:
    """Yield the address of a running server; it stops, and lets its connections go, at the end.

    With the `port` of one that has stopped it is a restart of that one."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    config = uvicorn.Config(
        application, log_level="warning", ws="none", timeout_graceful_shutdown=5, **forwarding()
    )
    server = Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    deadline = time.monotonic() + 60
    while not server.started:
        if time.monotonic() > deadline or not thread.is_alive():
            raise RuntimeError("the server did not start")
        time.sleep(0.02)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(20)
        listener.close()
        gc.collect()  # its threads' database connections sit in reference cycles
