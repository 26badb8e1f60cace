"""From a timestamp authority's certificate up to a root that somebody trusts (RFC 5280, the part that authorities use).

`cryptography`'s own verifiers are for TLS; here every certificate has to be valid at the time stamped. Pure."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

LONGEST = 6
"""Certificates between the authority and the root, at most."""
MOST = 100
"""Signatures of issuers that are looked at, so that nobody keeps a verifier busy with certificates of one name."""
_UNDERSTOOD = {
    ExtensionOID.BASIC_CONSTRAINTS,
    ExtensionOID.KEY_USAGE,
    ExtensionOID.EXTENDED_KEY_USAGE,
    ExtensionOID.CERTIFICATE_POLICIES,  # every policy is good enough here
    ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
}
"""Extensions that may be critical; others mean something that is not checked here."""
_FOR_TIME = {ExtendedKeyUsageOID.TIME_STAMPING, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}

_Kind = TypeVar("_Kind", bound=x509.ExtensionType)


class Untrusted(ValueError):
    """Its text says, as a sentence, why."""


def check(
    certificate: x509.Certificate,
    others: Sequence[x509.Certificate],
    roots: Sequence[x509.Certificate],
    time: datetime,
) -> None:
    """That `certificate` leads to one of `roots`, over `others` if need be, all good at `time`. Raises Untrusted."""
    _check_one(certificate, time)
    why = _lead((certificate,), [*roots, *others], roots, time, iter(range(MOST)))
    if why:
        raise Untrusted(why)


def _lead(
    chain: tuple[x509.Certificate, ...],
    known: list[x509.Certificate],
    roots: Sequence[x509.Certificate],
    time: datetime,
    looks: Iterator[int],
) -> str:
    """Empty where the chain's end leads on to a root; otherwise why not. Every way is tried: where authorities have
    signed each other, not every issuer leads to a root that is trusted here."""
    last = chain[-1]
    if last in roots:
        return ""
    if len(chain) > LONGEST:
        return "its chain of certificates is too long."
    why = ""
    for above in known:
        if above in chain or above.subject != last.issuer:
            continue
        if next(looks, None) is None:
            raise Untrusted("it brings too many certificates.")
        if not _is_issued(last, above):
            continue
        try:
            _check_one(above, time)
            _check_issuer(above, below=len(chain) - 1)
        except Untrusted as error:
            why = str(error)
            continue
        found = _lead((*chain, above), known, roots, time, looks)
        if not found:
            return ""
        why = why or found
    return why or "no root certificate that is trusted here issued it."


def _is_issued(certificate: x509.Certificate, above: x509.Certificate) -> bool:
    if isinstance(certificate.signature_hash_algorithm, hashes.SHA1 | hashes.MD5):
        return False
    try:
        certificate.verify_directly_issued_by(above)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _check_one(certificate: x509.Certificate, time: datetime) -> None:
    if not certificate.not_valid_before_utc <= time <= certificate.not_valid_after_utc:
        raise Untrusted(
            f"a certificate was valid from {certificate.not_valid_before_utc:%Y-%m-%d} to"
            f" {certificate.not_valid_after_utc:%Y-%m-%d} only."
        )
    for extension in certificate.extensions:
        if extension.critical and extension.oid not in _UNDERSTOOD:
            raise Untrusted(f"a certificate has a critical extension {extension.oid.dotted_string}.")


def _check_issuer(certificate: x509.Certificate, *, below: int) -> None:
    """`below`: how many issuing certificates stand between it and the authority's."""
    constraints = _extension(certificate, x509.BasicConstraints)
    if constraints is None or not constraints.ca:
        raise Untrusted("a certificate was issued by somebody who may not issue any.")
    if constraints.path_length is not None and below > constraints.path_length:
        raise Untrusted("its chain of certificates is longer than allowed.")
    usage = _extension(certificate, x509.KeyUsage)
    if usage is not None and not usage.key_cert_sign:
        raise Untrusted("a certificate was issued by somebody who may not issue any.")
    purposes = _extension(certificate, x509.ExtendedKeyUsage)
    if purposes is not None and not _FOR_TIME & set(purposes):
        raise Untrusted("a certificate was issued by somebody who may not issue any for timestamps.")


def _extension(certificate: x509.Certificate, kind: type[_Kind]) -> _Kind | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None
