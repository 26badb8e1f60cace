"""A mail server on loopback that keeps what it takes: real sockets, the few commands that smtplib uses."""

import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage


@dataclass
class MailServer:
    """`answer` replaces the reply to a command (by its first word); `on_message` runs between taking a message and
    saying so."""

    port: int = 0
    raw: list[bytes] = field(default_factory=list)
    answer: dict[str, str] = field(default_factory=dict)
    on_message: Callable[[], None] | None = None

    @property
    def messages(self) -> list[EmailMessage]:
        found = [message_from_bytes(raw, policy=policy.default) for raw in self.raw]
        return [message for message in found if isinstance(message, EmailMessage)]

    @property
    def texts(self) -> list[str]:
        return [message.get_content().replace("\r\n", "\n") for message in self.messages]


@contextmanager
def receiving() -> Iterator[MailServer]:
    """A running mail server; its `port` is on 127.0.0.1."""
    mailbox = MailServer()

    class Handler(socketserver.StreamRequestHandler):
        def say(self, line: str) -> None:
            self.wfile.write(f"{line}\r\n".encode())

        def handle(self) -> None:
            self.say("220 ready")
            while line := self.rfile.readline():
                command = line.decode("ascii", "replace").split(":")[0].strip().upper()
                command = "EHLO" if command.startswith(("EHLO", "HELO")) else command
                if command in mailbox.answer:
                    self.say(mailbox.answer[command])
                elif command == "DATA":
                    self.say("354 go on")
                    self.take()
                elif command == "QUIT":
                    self.say("221 bye")
                    return
                else:
                    self.say("250 fine")

        def take(self) -> None:
            lines = []
            while (line := self.rfile.readline()) not in (b".\r\n", b""):
                lines.append(line[1:] if line.startswith(b".") else line)
            mailbox.raw.append(b"".join(lines))
            if mailbox.on_message is not None:
                mailbox.on_message()
            self.say("250 taken")

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True

        def handle_error(self, request: object, client_address: object) -> None:
            """A client that was killed is part of the test."""

    with Server(("127.0.0.1", 0), Handler) as server:
        mailbox.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield mailbox
        finally:
            server.shutdown()
            thread.join(5)
