"""An issuer of tokens over HTTP on loopback, with keys that change and a switch that takes it down."""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from joserfc import jwk, jwt
from joserfc.jws import JWSRegistry

from agents import identity, issuers
from agents.models import Agent, Credential
from agents.services import identities
from agents.services.identities import Trust

AUDIENCE = "https://countersign.example"
SUBJECT = "repo:acme/agents:environment:prod"
_MAKERS: dict[str, Callable[[str], Any]] = {
    "RS256": lambda kid: jwk.RSAKey.generate_key(2048, {"kid": kid}),
    "PS256": lambda kid: jwk.RSAKey.generate_key(2048, {"kid": kid}),
    "ES256": lambda kid: jwk.ECKey.generate_key("P-256", {"kid": kid}),
    "EdDSA": lambda kid: jwk.OKPKey.generate_key("Ed25519", {"kid": kid}),
}
_ALL = JWSRegistry(algorithms=list(JWSRegistry.algorithms), strict_check_header=False)


class Issuer:
    """`asked` counts requests by path; `answers` replaces one path's answer: (status, headers, body)."""

    def __init__(self) -> None:
        self.keys: dict[str, Any] = {}
        self.asked: Counter[str] = Counter()
        self.answers: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self.cache_control = "max-age=3600"
        self.is_down = False
        self.wait = threading.Event()
        self.wait.set()
        self.url = ""

    def rotate(self, kid: str, alg: str = "EdDSA") -> None:
        """From now on this is the only key."""
        self.keys = {kid: _MAKERS[alg](kid)}

    def token(
        self, *, kid: str = "", alg: str = "EdDSA", key: Any = None, header: Any = None, **claims: Any
    ) -> str:
        """Good, unless `claims` say otherwise; None leaves a claim out."""
        kid = kid or next(iter(self.keys))
        now = int(time.time())
        said = {"iss": self.url, "aud": AUDIENCE, "sub": SUBJECT, "iat": now, "exp": now + 600, **claims}
        said = {name: value for name, value in said.items() if value is not None}
        return jwt.encode(
            {"alg": alg, "kid": kid, **(header or {})}, said, key or self.keys[kid], registry=_ALL
        )

    def answer(self, path: str) -> tuple[int, dict[str, str], bytes]:
        self.asked[path] += 1
        self.wait.wait(30)
        if self.is_down:
            return 503, {}, b"{}"
        if path in self.answers:
            return self.answers[path]
        if path == "/.well-known/openid-configuration":
            return 200, {}, json.dumps({"issuer": self.url, "jwks_uri": f"{self.url}/keys"}).encode()
        public = [key.as_dict(private=False) for key in self.keys.values()]
        return 200, {"Cache-Control": self.cache_control}, json.dumps({"keys": public}).encode()


@contextmanager
def issuing() -> Iterator[Issuer]:
    """A running issuer with one key, and nothing remembered of any other."""
    issuer = Issuer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = issuer.answer(self.path)
            with suppress(OSError):  # who was cut off hears nothing more
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            """Quiet."""

    issuers.forget()
    identity.forget()
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        issuer.url = f"http://127.0.0.1:{server.server_address[1]}"
        issuer.rotate("first")
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield issuer
        finally:
            issuer.wait.set()
            server.shutdown()
    issuers.forget()
    identity.forget()


def trusting(
    agent: Agent, issuer: Issuer, *, subject: str = SUBJECT, audience: str = AUDIENCE, **extra: Any
) -> Credential:
    """An identity of the agent, registered by its owner."""
    trust = Trust(issuer.url, audience, subject, extra.pop("claims", {}))
    return identities.register(agent_id=agent.pk, trust=trust, actor=agent.owner, **extra)
