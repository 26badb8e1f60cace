"""Asking a timestamp authority (RFC 3161), and believing its answer only after two independent readers took it.

`rfc3161-client` makes the request and checks answer and nonce; audit/tlog/timestamps.py, which auditors run, has to
accept the same bytes, so that nothing is kept that they could not verify. No Django in here."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import httpx
from cryptography import x509
from rfc3161_client import (
    HashAlgorithm,
    TimestampRequestBuilder,
    VerificationError,
    VerifierBuilder,
    decode_timestamp_response,
)
from rfc3161_client.tsp import TimeStampRequest

from audit.tlog import der, timestamps
from audit.tlog.der import OID, SEQUENCE, SET, Fields
from audit.tlog.timestamps import BadTimestamp

SECONDS = 20.0
"""For the whole answer, from the first word to the last."""
_TYPE = "application/timestamp-reply"


class NoTimestamp(Exception):
    """The authority gave none that holds. Its text says why."""


def roots(path: Path) -> list[x509.Certificate]:
    """The certificates that an authority has to lead to. Raises NoTimestamp where the file holds none."""
    try:
        return x509.load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError) as error:
        raise NoTimestamp(f"The authority's root certificates cannot be read from {path}: {error}") from error


def stamp(
    text: bytes, *, url: str, roots: Sequence[x509.Certificate], seconds: float = SECONDS
) -> tuple[bytes, timestamps.Stamp]:
    """A timestamp on `text`: the response as it came, and what it says. Raises NoTimestamp."""
    request = (
        TimestampRequestBuilder()
        .data(text)
        .hash_algorithm(HashAlgorithm.SHA256)
        .nonce(nonce=True)
        .cert_request(cert_request=True)
        .build()
    )
    try:
        response = asyncio.run(_ask(url, request.as_bytes(), seconds))
    except TimeoutError as error:
        raise NoTimestamp(f"The authority did not answer within {seconds:g} seconds.") from error
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        raise NoTimestamp(f"The authority cannot be reached: {error or type(error).__name__}.") from error
    try:
        found = timestamps.check(response, text, roots)
        _check_answer(request, response, text, roots)
    except BadTimestamp as error:
        raise NoTimestamp(str(error)) from error
    return response, found


async def _ask(url: str, request: bytes, seconds: float) -> bytes:
    """The body of the answer. A redirect is no answer: who may stamp is configured, not negotiated."""
    headers = {"Content-Type": "application/timestamp-query", "Accept": _TYPE, "Accept-Encoding": "identity"}
    async with (
        asyncio.timeout(seconds),
        httpx.AsyncClient(timeout=seconds, follow_redirects=False) as client,
        client.stream("POST", url, content=request, headers=headers) as response,
    ):
        kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if response.status_code != 200:
            raise NoTimestamp(f"The authority answers {response.status_code}.")
        if kind != _TYPE:
            raise NoTimestamp(f"The authority answers with {kind[:60] or 'no type'!r}, not with a timestamp.")
        body = b""
        async for part in response.aiter_raw():
            body += part
            if len(body) > timestamps.LONGEST:
                raise NoTimestamp(f"The authority's answer is longer than {timestamps.LONGEST} bytes.")
        return body


def _check_answer(
    request: TimeStampRequest, response: bytes, text: bytes, roots: Sequence[x509.Certificate]
) -> None:
    """That it answers this request and no earlier one: the library compares the nonce too."""
    try:
        verifier = VerifierBuilder.from_request(request)
        for root in roots:
            verifier = verifier.add_root_certificate(root)
        verifier.build().verify_message(decode_timestamp_response(_in_order(response)), text)
    except (VerificationError, ValueError) as error:
        raise NoTimestamp(f"The answer does not fit the question: {error}.") from error


def _in_order(response: bytes) -> bytes:
    """The same with its certificates sorted. OpenSSL's authorities send them as they come, which DER forbids and the
    library refuses; no signature covers their order."""
    outer = Fields(der.one(response, SEQUENCE))
    outer.take(SEQUENCE)
    token = Fields(outer.take(SEQUENCE))
    token.take(OID)
    data = Fields(der.one(token.take(der.context(0)).body, SEQUENCE))
    for tag in (der.INTEGER, SET, SEQUENCE):
        data.take(tag)
    kept = data.maybe(der.context(0))
    if kept is None:
        return response
    return response.replace(kept.body, b"".join(sorted(each.whole for each in der.many(kept.body))), 1)
