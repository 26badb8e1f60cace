"""A real identity provider over HTTP on loopback, and a browser that signs in there."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
from django.test import Client
from oidc_provider_mock import run_server_in_thread

from accounts import oidc_client
from accounts.oidc_providers import Provider


@dataclass(frozen=True)
class Idp:
    """The provider: what it says of whom is set over its own addresses."""

    provider: Provider

    def knows(self, subject: str, **claims: Any) -> None:
        answer = httpx.put(f"{self.provider.issuer}/users/{subject}", json=claims)
        assert answer.status_code == 204, answer.text

    def approves(self, address: str, subject: str) -> str:
        """Sign in there; the address it sends the browser back to, with its query."""
        answer = httpx.post(address, data={"sub": subject})
        assert answer.status_code == 302, answer.text
        return answer.headers["Location"]

    def declines(self, address: str) -> str:
        return httpx.post(address, data={"action": "deny"}).headers["Location"]


@contextmanager
def running(settings: Any, **extra: Any) -> Iterator[Idp]:
    """A provider, and the settings that lead there."""
    with run_server_in_thread() as server:
        issuer = f"http://localhost:{server.server_port}"
        provider = Provider(
            key="main", issuer=issuer, client_id="countersign", client_secret="a secret", name="Acme ID"
        )
        settings.OIDC_PROVIDERS = (replace(provider, **extra),)
        oidc_client.forget()
        yield Idp(settings.OIDC_PROVIDERS[0])
    oidc_client.forget()


def leave(client: Client, after: str = "") -> str:
    """Press the button on the sign-in page; the provider's address that it leads to."""
    page = client.post("/account/oidc/main/begin/", {"next": after} if after else {})
    assert page.status_code == 200, page.content
    found = re.fullmatch(r"0; url=(.+)", page["Refresh"])
    assert found
    return found[1]


def come_back(client: Client, address: str) -> Any:
    parts = urlsplit(address)
    return client.get(parts.path, dict(parse_qsl(parts.query)))


def sign_in(client: Client, idp: Idp, subject: str, after: str = "") -> Any:
    return come_back(client, idp.approves(leave(client, after), subject))
