"""HTTP for the company's directory: the bearer token, strict bodies, versions, and errors as RFC 7644 3.12 has them."""

import json
from collections.abc import Callable
from functools import wraps
from typing import Any

import structlog
from django.conf import settings
from django.core.cache import cache
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from pydantic import ValidationError
from redis.exceptions import RedisError
from scim2_models import (
    Error,
    InvalidSyntaxException,
    InvalidValueException,
    PayloadTooLargeException,
    PreconditionFailedException,
    SCIMException,
    UnauthorizedException,
)

from accounts import directory_tokens
from accounts.exceptions import DomainError
from accounts.models import DirectoryToken
from accounts.services.provision import Fixed, Taken
from audit import recording

log = structlog.get_logger(__name__)
CONTENT_TYPE = "application/scim+json"
PER_MINUTE = 1200
NOTED_EVERY = 60
"""Seconds: so often it is written down that a token was used."""
_TYPES = {"uniqueness": Taken, "mutability": Fixed}
View = Callable[..., HttpResponse]
Parse = Callable[[bytes], Any]
"""Reads strict JSON and raises `ValueError`; given by an app above."""


class TooManyRequests(SCIMException):
    """The directory asks more often than it may."""

    status = 429

    def __init__(self) -> None:
        super().__init__(
            detail=f"At most {PER_MINUTE} requests a minute. Wait for the time that Retry-After says."
        )


def endpoint(*methods: str) -> Callable[[View], View]:
    """A view for the directory: by its token alone, with no session and no CSRF, only these methods."""

    def decorate(view: View) -> View:
        @csrf_exempt
        @wraps(view)
        def checked(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            try:
                request.directory = authenticated(request)  # type: ignore[attr-defined]
                if request.method not in methods:
                    return _not_this_method(methods)
                return view(request, *args, **kwargs)
            except (SCIMException, ValidationError, DomainError) as error:
                return refusal(error)

        return checked

    return decorate


def authenticated(request: HttpRequest) -> DirectoryToken:
    """The token of the request. A wrong checksum is refused without a look at the database."""
    scheme, _, text = request.headers.get("Authorization", "").partition(" ")
    text = text.strip()
    if scheme.lower() != "bearer" or not text:
        raise UnauthorizedException(detail="Send the header 'Authorization: Bearer <token>'.")
    if not directory_tokens.is_well_formed(text):
        raise UnauthorizedException(detail="The token is malformed: a character is missing or mistyped.")
    token = DirectoryToken.objects.filter(token_hash=directory_tokens.digest(text)).first()
    if token is None or not token.is_usable:
        raise UnauthorizedException(detail="The token is unknown, expired or revoked.")
    _spend(token)
    if _is_due(token):
        _note(token)
    return token


def refusal(error: SCIMException | ValidationError | DomainError) -> HttpResponse:
    """The error document, with the keyword where there is one."""
    if isinstance(error, ValidationError):
        found = Error.from_validation_error(error.errors(include_url=False)[0])
    elif isinstance(error, SCIMException):
        found = error.to_error()
    else:
        keyword = next((name for name, kind in _TYPES.items() if isinstance(error, kind)), None)
        status = {422: 400}.get(error.status, error.status)
        keyword = keyword or ("invalidValue" if status == 400 else None)
        found = Error(
            status=400 if keyword == "mutability" else status, scim_type=keyword, detail=error.detail
        )
    response = answer(found.model_dump(), status=int(found.status or 400))
    if response.status_code == 401:
        response["WWW-Authenticate"] = 'Bearer realm="scim"'
    if response.status_code == 429:
        response["Retry-After"] = "60"
    return response


def answer(document: Any, *, status: int = 200) -> HttpResponse:
    response = HttpResponse(
        json.dumps(document, ensure_ascii=False), status=status, content_type=CONTENT_TYPE
    )
    response["Cache-Control"] = "no-store"
    return response


def body(request: HttpRequest, parse: Parse) -> dict[str, Any]:
    """The request's JSON object. Raises what `refusal` answers: 400, 413."""
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise InvalidSyntaxException(detail="Send the body uncompressed.")
    kind = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind not in (CONTENT_TYPE, "application/json"):
        raise InvalidSyntaxException(detail=f"Send the body as {CONTENT_TYPE}.")
    most: int = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    data = request.read(most + 1)
    if len(data) > most:
        raise PayloadTooLargeException(detail=f"A body has at most {most} bytes.")
    try:
        found = parse(data)
    except ValueError as error:
        raise InvalidSyntaxException(detail=f"The body is not acceptable: {error}."[:300]) from error
    if not isinstance(found, dict):
        raise InvalidSyntaxException(detail="The body has to be a JSON object.")
    return found


def careful(step: Callable[[], Any]) -> Any:
    """What a library makes of a hostile body: whatever it stumbles over is the body's fault (400), never ours (500)."""
    try:
        return step()
    except (SCIMException, ValidationError, DomainError):
        raise
    except (
        ValueError,
        TypeError,
        KeyError,
        IndexError,
        AttributeError,
        RecursionError,
        OverflowError,
    ) as error:
        log.info("scim_body_refused", error=f"{type(error).__name__}: {error}"[:300])
        raise InvalidValueException(detail=f"This cannot be read: {error}"[:300]) from error


def check_version(request: HttpRequest, version: str) -> None:
    """If-Match of RFC 7644 3.14. Raises `PreconditionFailedException`."""
    asked = request.headers.get("If-Match", "")
    if asked and asked.strip() != "*" and version not in _versions(asked):
        raise PreconditionFailedException(detail="It has changed since; read it again.")


def is_known(request: HttpRequest, version: str) -> bool:
    """Whether the reader has this very version already (If-None-Match)."""
    return version in _versions(request.headers.get("If-None-Match", ""))


def _versions(header: str) -> list[str]:
    """Compared weakly, as W/"…" are."""
    found = (one.strip() for one in header.split(","))
    return [one if one.startswith("W/") else f"W/{one}" for one in found if one]


def _not_this_method(methods: tuple[str, ...]) -> HttpResponse:
    response = answer(Error(status=405, detail=f"Use {', '.join(methods)}.").model_dump(), status=405)
    response["Allow"] = ", ".join(methods)
    return response


def _spend(token: DirectoryToken) -> None:
    """Count the request. While Redis is away nothing is counted: it only carries hints."""
    key = f"scim:{token.pk}:{int(timezone.now().timestamp()) // 60}"
    try:
        cache.add(key, 0, 120)
        if int(cache.incr(key)) > PER_MINUTE:
            raise TooManyRequests
    except (RedisError, ValueError):
        return


def _is_due(token: DirectoryToken) -> bool:
    """Whether its use was last written down more than a minute ago, or from elsewhere."""
    now = timezone.now()
    return token.last_used_at is None or (now - token.last_used_at).total_seconds() >= NOTED_EVERY


def _note(token: DirectoryToken) -> None:
    now = timezone.now()
    DirectoryToken.objects.filter(Q(last_used_at=None) | Q(last_used_at__lt=now), pk=token.pk).update(
        last_used_at=now, last_used_from=recording.present().address[:45]
    )
