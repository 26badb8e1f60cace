"""What a provider's token says of somebody, read without trusting its shape. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from accounts.oidc_providers import Provider

MOST_SUBJECT = 191
MOST_GROUPS = 2000


class Unusable(ValueError):
    """The claims cannot name anybody; the message is for the person who signs in."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who somebody is at his provider. `groups` is None where the token does not say: nothing is changed then."""

    subject: str
    email: str = ""
    email_verified: bool = False
    name: str = ""
    groups: frozenset[str] | None = None
    is_multifactor: bool = False


def read(claims: Mapping[str, Any], *, provider: Provider, more: Mapping[str, Any] | None = None) -> Identity:
    """The identity in a verified ID token's claims; `more` is what the userinfo address added, of the same subject.

    An address counts with the word about it from the same place: one place's `email_verified` says nothing about the
    other's `email`."""
    subject = claims.get("sub")
    if not isinstance(subject, str) or not subject.isprintable() or not 0 < len(subject) <= MOST_SUBJECT:
        raise Unusable("it does not say who you are (sub)")
    further = more or {}
    source = claims if claims.get("email") else further
    email = source.get("email")
    is_address = isinstance(email, str) and "@" in email and email.isprintable() and len(email) <= 254
    name = next((one for one in (claims.get("name"), further.get("name")) if isinstance(one, str)), "")
    groups = claims.get(provider.groups_claim, further.get(provider.groups_claim))
    return Identity(
        subject=subject,
        email=str(email).strip().lower() if is_address else "",
        email_verified=is_address and (source.get("email_verified") is True or provider.trusts_email),
        name=" ".join("".join(one if one.isprintable() else " " for one in name).split())[:120],
        groups=_groups(groups),
        is_multifactor=_is_multifactor(claims, provider.mfa_values),
    )


def _groups(value: Any) -> frozenset[str] | None:
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list) or len(value) > MOST_GROUPS:
        return None
    if not all(isinstance(one, str) for one in value):
        return None
    return frozenset(value)


def _is_multifactor(claims: Mapping[str, Any], values: frozenset[str]) -> bool:
    """Only the signed token is asked: `amr` is a list of what was used, `acr` one class (OpenID Connect Core 2)."""
    methods = claims.get("amr")
    said = {one for one in methods if isinstance(one, str)} if isinstance(methods, list) else set()
    level = claims.get("acr")
    return bool((said | ({level} if isinstance(level, str) else set())) & values)
