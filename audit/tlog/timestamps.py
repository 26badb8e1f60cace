"""RFC 3161 timestamps, checked with `cryptography` alone: what an authority signed, when, and whether it is believed.

A response is a status and a token: signed data (audit/tlog/cms.py) over a TSTInfo. Pure."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from audit.tlog import chains, cms, der
from audit.tlog.der import OCTETS, OID, SEQUENCE, BadDER, Fields, Value, context

LONGEST = 64 * 1024
"""Bytes of a response; real ones have 1 to 8 KiB."""
_TST_INFO = der.oid("1.2.840.113549.1.9.16.1.4")
_SIGNING_CERTIFICATE = der.oid("1.2.840.113549.1.9.16.2.12")
_SIGNING_CERTIFICATE_V2 = der.oid("1.2.840.113549.1.9.16.2.47")
_STATUS = {2: "it refused", 3: "it is still waiting", 4: "a revocation is near", 5: "it was revoked"}
_TIME = re.compile(rb"([0-9]{14})(?:\.([0-9]{1,12}))?Z")
_UNREADABLE = (
    ValueError,
    TypeError,
    OverflowError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
"""What `cryptography` raises for certificates that it cannot read."""


class BadTimestamp(ValueError):
    """Its text says, as a sentence for a person, why this is no timestamp of that text."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """`time` in UTC as the authority wrote it, `authority` the name in its certificate.

    `is_trusted` is False where nobody said which roots to believe: name and time are then only claimed."""

    time: datetime
    authority: str
    is_trusted: bool


def check(response: bytes, text: bytes, roots: Sequence[x509.Certificate] | None) -> Stamp:
    """The timestamp that `response` (a whole TimeStampResp, DER) puts on `text`.

    With `roots`, the authority's certificate has to lead to one of them, all valid at the time stamped; None leaves
    the authority unjudged. Raises BadTimestamp for everything else, whatever the bytes are."""
    try:
        return _check(response, text, roots)
    except (BadTimestamp, cms.BadSignature) as error:
        raise BadTimestamp(str(error)) from error
    except chains.Untrusted as error:
        raise BadTimestamp(f"The authority is not to be believed: {error}") from error
    except BadDER as error:
        raise BadTimestamp(f"The response cannot be read: {error}.") from error
    except _UNREADABLE as error:
        raise BadTimestamp("A certificate in the response cannot be read.") from error


def _check(response: bytes, text: bytes, roots: Sequence[x509.Certificate] | None) -> Stamp:
    if len(response) > LONGEST:
        raise BadTimestamp(f"The response is longer than {LONGEST} bytes.")
    signed = cms.read(_token(response))
    if signed.kind != _TST_INFO:
        raise BadTimestamp("What is signed is no timestamp.")
    time = _stamped(signed.content, text)
    certificate = cms.check(signed)
    _check_named(certificate, signed.attributes)
    _check_purpose(certificate, time)
    if roots is not None:
        chains.check(certificate, signed.certificates, roots, time)
    return Stamp(time, _name(certificate), roots is not None)


def _token(response: bytes) -> Value:
    fields = Fields(der.one(response, SEQUENCE))
    code = der.integer(Fields(fields.take(SEQUENCE)).take(der.INTEGER))
    if code not in (0, 1):
        raise BadTimestamp(f"The authority gave no timestamp: {_STATUS.get(code, f'status {code}')}.")
    token = fields.maybe(SEQUENCE)
    fields.end()
    if token is None:
        raise BadTimestamp("The authority says yes and gives no timestamp.")
    return token


def _stamped(content: bytes, text: bytes) -> datetime:
    """The time in a TSTInfo for this text."""
    fields = Fields(der.one(content, SEQUENCE))
    if der.integer(fields.take(der.INTEGER)) != 1:
        raise BadTimestamp("The timestamp is of an unknown version.")
    fields.take(OID)
    imprint = Fields(fields.take(SEQUENCE))
    hash_, digest = cms.hash_named(imprint.take(SEQUENCE)), imprint.take(OCTETS).body
    imprint.end()
    der.integer(fields.take(der.INTEGER))
    time = _time(fields.take(der.TIME).body)
    for tag in (SEQUENCE, der.BOOLEAN, der.INTEGER, context(0), context(1)):
        fields.maybe(tag)  # accuracy, ordering, nonce, name, extensions
    fields.end()
    if hash_.name != "sha256" or digest != hashlib.sha256(text).digest():
        raise BadTimestamp("The timestamp is for another text.")
    return time


def _time(body: bytes) -> datetime:
    parts = _TIME.fullmatch(body)
    if parts is None:
        raise BadTimestamp("The time stamped is not written as RFC 3161 wants it.")
    try:
        whole = datetime.strptime(parts[1].decode(), "%Y%m%d%H%M%S")
    except ValueError as error:
        raise BadTimestamp("The time stamped does not exist.") from error
    fraction = timedelta(microseconds=int((parts[2] or b"0").ljust(6, b"0")[:6]))
    return whole.replace(tzinfo=timezone.utc) + fraction  # noqa: UP017 - datetime.UTC is not in Python 3.10


def _check_named(certificate: x509.Certificate, attributes: dict[bytes, Value]) -> None:
    """That the signature names this certificate (RFC 5816), and not another with the same key or name."""
    newer = attributes.get(_SIGNING_CERTIFICATE_V2)
    named = newer or attributes.get(_SIGNING_CERTIFICATE)
    if named is None:
        raise BadTimestamp("The signature does not say which certificate it belongs to.")
    first = Fields(Fields(Fields(named).take(SEQUENCE)).take(SEQUENCE))
    whole = certificate.public_bytes(Encoding.DER)
    if newer is None:
        expected = hashlib.sha1(whole, usedforsecurity=False).digest()  # RFC 2634 knows no other
    else:
        algorithm = first.maybe(SEQUENCE)
        expected = cms.digest(cms.hash_named(algorithm) if algorithm else hashes.SHA256(), whole)
    if first.take(OCTETS).body != expected:
        raise BadTimestamp("The signature belongs to another certificate.")


def _check_purpose(certificate: x509.Certificate, time: datetime) -> None:
    """RFC 3161 §2.3: for timestamps alone, marked critical; and it was valid then."""
    try:
        purposes = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    except x509.ExtensionNotFound:
        purposes = None
    if (
        purposes is None
        or not purposes.critical
        or list(purposes.value) != [ExtendedKeyUsageOID.TIME_STAMPING]
    ):
        raise BadTimestamp("The certificate is not one for timestamps alone.")
    if not certificate.not_valid_before_utc <= time <= certificate.not_valid_after_utc:
        raise BadTimestamp(
            f"The authority's certificate was valid from {certificate.not_valid_before_utc:%Y-%m-%d} to"
            f" {certificate.not_valid_after_utc:%Y-%m-%d} only."
        )


def _name(certificate: x509.Certificate) -> str:
    name = certificate.subject.rfc4514_string()
    return "".join(sign if sign.isprintable() else "?" for sign in name)[:200]
