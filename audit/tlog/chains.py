"""From a timestamp authority's certificate up to a root that somebody trusts (RFC 5280, the part that authorities use).

`cryptography`'s own verifiers are for TLS; here every certificate has to be valid at the time stamped. Pure."""

from collections.abc import Sequence
from datetime import datetime
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

LONGEST = 6
"""Certificates between the authority and the root, at most."""
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
    chain = [certificate]
    _check_one(certificate, time)
    while certificate not in roots:
        if len(chain) > LONGEST:
            raise Untrusted("its chain of certificates is too long.")
        above, why = _issuer(
            certificate, [*roots, *(each for each in others if each not in chain)], chain, time
        )
        if above is None:
            raise Untrusted(why or "no root certificate that is trusted here issued it.")
        chain.append(above)
        certificate = above


def _issuer(
    certificate: x509.Certificate,
    known: list[x509.Certificate],
    chain: list[x509.Certificate],
    time: datetime,
) -> tuple[x509.Certificate | None, str]:
    """Who issued it and may, roots first; or nobody, and what is wrong with the last one who did."""
    why = ""
    for above in known:
        if not _is_issued(certificate, above):
            continue
        try:
            _check_one(above, time)
            _check_issuer(above, below=len(chain) - 1)
        except Untrusted as error:
            why = str(error)
        else:
            return above, ""
    return None, why


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
