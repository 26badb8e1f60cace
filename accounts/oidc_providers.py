"""Identity providers that people sign in at, as the environment names them (docs/directory.md). Pure.

`COUNTERSIGN_OIDC_ISSUER`, `…_CLIENT_ID`, `…_CLIENT_SECRET`, `…_NAME` and so on are the first one; a second has the
same names with its number, `COUNTERSIGN_OIDC_2_ISSUER`, up to nine."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

PREFIX = "COUNTERSIGN_OIDC"
MOST = 9
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """One provider, found by discovery from its issuer.

    `creates`: whom nobody has invited gets an account, without any role. `trusts_email`: its addresses are taken for
    verified although it does not say so. `trusts_mfa`: where it says that somebody showed two factors, we ask for no
    more (`mfa_values` are what it says so by, in `amr` or as `acr`)."""

    key: str
    issuer: str
    client_id: str
    client_secret: str = ""
    name: str = "single sign-on"
    groups_claim: str = "groups"
    scopes: tuple[str, ...] = ("openid", "email", "profile")
    creates: bool = False
    trusts_email: bool = False
    trusts_mfa: bool = False
    mfa_values: frozenset[str] = frozenset({"mfa"})

    @property
    def link_id(self) -> str:
        """Names the issuer in the table of links: another issuer under the same key knows nobody's `sub`."""
        return f"oidc-{hashlib.sha256(self.issuer.encode()).hexdigest()[:32]}"

    @property
    def discovery_url(self) -> str:
        return f"{self.issuer.rstrip('/')}/.well-known/openid-configuration"


def from_environment(env: Mapping[str, str]) -> tuple[Provider, ...]:
    """Every provider that has an issuer. Raises `ValueError` saying which variable is wrong."""
    found = []
    for number in range(1, MOST + 1):
        prefix = PREFIX if number == 1 else f"{PREFIX}_{number}"
        if issuer := env.get(f"{prefix}_ISSUER", "").strip():
            found.append(_read(env, prefix, issuer, key="main" if number == 1 else str(number)))
    if len({one.link_id for one in found}) != len(found):
        raise ValueError(f"Two {PREFIX}…_ISSUER name the same issuer.")
    return tuple(found)


def is_safe_address(url: str) -> bool:
    """Whether what goes there is protected on its way: TLS, or this very machine."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return bool(parts.hostname) and (
        parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
    )


def _read(env: Mapping[str, str], prefix: str, issuer: str, *, key: str) -> Provider:
    def value(name: str, otherwise: str = "") -> str:
        return env.get(f"{prefix}_{name}", "").strip() or otherwise

    if not is_safe_address(issuer) or urlsplit(issuer).query or urlsplit(issuer).fragment:
        raise ValueError(f"{prefix}_ISSUER={issuer} has to be an https address without a query.")
    if not value("CLIENT_ID"):
        raise ValueError(f"{prefix}_ISSUER is set, and {prefix}_CLIENT_ID is not.")
    scopes = value("SCOPES", "openid email profile").split()
    if "openid" not in scopes:
        raise ValueError(f"{prefix}_SCOPES has to contain openid.")
    return Provider(
        key=key,
        issuer=issuer,
        client_id=value("CLIENT_ID"),
        client_secret=value("CLIENT_SECRET"),
        name=value("NAME", urlsplit(issuer).hostname or "single sign-on"),
        groups_claim=value("GROUPS_CLAIM", "groups"),
        scopes=tuple(scopes),
        creates=value("CREATES") == "1",
        trusts_email=value("TRUSTS_EMAIL") == "1",
        trusts_mfa=value("TRUSTS_MFA") == "1",
        mfa_values=frozenset(value("MFA_VALUES", "mfa").split()),
    )
