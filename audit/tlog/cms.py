"""Signed data (CMS, RFC 5652) with one signer and signed attributes: the envelope of a timestamp. Pure."""

import hashlib
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from audit.tlog import der
from audit.tlog.der import OCTETS, OID, SEQUENCE, SET, Fields, Value, context

WEAKEST_RSA = 2048
"""Bits."""
_SIGNED_DATA = der.oid("1.2.840.113549.1.7.2")
_CONTENT_TYPE = der.oid("1.2.840.113549.1.9.3")
_MESSAGE_DIGEST = der.oid("1.2.840.113549.1.9.4")
_HASHES: dict[bytes, hashes.HashAlgorithm] = {
    der.oid("2.16.840.1.101.3.4.2.1"): hashes.SHA256(),
    der.oid("2.16.840.1.101.3.4.2.2"): hashes.SHA384(),
    der.oid("2.16.840.1.101.3.4.2.3"): hashes.SHA512(),
}
_RSA, _PSS, _EC = (
    der.oid(name) for name in ("1.2.840.113549.1.1.1", "1.2.840.113549.1.1.10", "1.2.840.10045.2.1")
)
_MGF1 = der.oid("1.2.840.113549.1.1.8")
_WITH_HASH = {
    der.oid("1.2.840.113549.1.1.11"): (_RSA, "sha256"),
    der.oid("1.2.840.113549.1.1.12"): (_RSA, "sha384"),
    der.oid("1.2.840.113549.1.1.13"): (_RSA, "sha512"),
    der.oid("1.2.840.10045.4.3.2"): (_EC, "sha256"),
    der.oid("1.2.840.10045.4.3.3"): (_EC, "sha384"),
    der.oid("1.2.840.10045.4.3.4"): (_EC, "sha512"),
}
"""Signature algorithms that name their hash."""


class BadSignature(ValueError):
    """Its text says, as a sentence, what does not fit."""


@dataclass(frozen=True, slots=True)
class Signed:
    """What was signed, of which kind (an object identifier), and by whom.

    `covered` are the bytes under the signature: the signed attributes, which hold the content's digest."""

    kind: bytes
    content: bytes
    certificates: list[x509.Certificate]
    sid: Value
    hash: hashes.HashAlgorithm
    attributes: dict[bytes, Value]
    covered: bytes
    algorithm: Value
    signature: bytes


def read(token: Value) -> Signed:
    """Unchecked. Raises BadDER, BadSignature, and what `cryptography` raises for unreadable certificates."""
    outer = Fields(token)
    if outer.take(OID).body != _SIGNED_DATA:
        raise BadSignature("The response holds no signed data.")
    data = Fields(der.one(outer.take(context(0)).body, SEQUENCE))
    outer.end()
    der.integer(data.take(der.INTEGER))
    data.take(SET)
    inner = Fields(data.take(SEQUENCE))
    kind, content = inner.take(OID).body, der.one(inner.take(context(0)).body, OCTETS).body
    inner.end()
    kept = data.maybe(context(0))
    data.maybe(context(1))
    signers = der.many(data.take(SET).body)
    data.end()
    if len(signers) != 1:
        raise BadSignature(f"A timestamp has one signer, this one has {len(signers)}.")
    beside = [each.whole for each in der.many(kept.body) if each.tag == SEQUENCE] if kept else []
    certificates = [x509.load_der_x509_certificate(each) for each in beside]
    return Signed(kind, content, certificates, *_signer(signers[0]))


_Signer = tuple[Value, hashes.HashAlgorithm, dict[bytes, Value], bytes, Value, bytes]


def _signer(value: Value) -> _Signer:
    fields = Fields(value)
    der.integer(fields.take(der.INTEGER))
    sid, hash_ = fields.any(), hash_named(fields.take(SEQUENCE))
    signed = fields.take(context(0))
    algorithm, signature = fields.take(SEQUENCE), fields.take(OCTETS).body
    fields.maybe(context(1))
    fields.end()
    attributes: dict[bytes, Value] = {}
    for each in der.many(signed.body):
        attribute = Fields(each)
        name, values = attribute.take(OID).body, der.many(attribute.take(SET).body)
        attribute.end()
        if name in attributes or not values:
            raise BadSignature("A signed attribute is empty or stands there twice.")
        attributes[name] = values[0]
    covered = (
        bytes([SET]) + signed.whole[1:]
    )  # RFC 5652 §5.4: signed as a SET, not as the [0] it is written as
    return sid, hash_, attributes, covered, algorithm, signature


def hash_named(algorithm: Value) -> hashes.HashAlgorithm:
    """The hash of an AlgorithmIdentifier. Raises BadSignature for others than the SHA-2 family."""
    found = _HASHES.get(Fields(algorithm).take(OID).body)
    if found is None:
        raise BadSignature("It is made with another hash than SHA-256, SHA-384 or SHA-512.")
    return found


def digest(hash_: hashes.HashAlgorithm, data: bytes) -> bytes:
    return hashlib.new(hash_.name, data).digest()


def check(signed: Signed) -> x509.Certificate:
    """The certificate whose key signed exactly this content as exactly this kind. Raises BadSignature."""
    kind, named = signed.attributes.get(_CONTENT_TYPE), signed.attributes.get(_MESSAGE_DIGEST)
    if kind is None or kind.tag != OID or kind.body != signed.kind:
        raise BadSignature("The signature does not say that it is for a timestamp.")
    if named is None or named.tag != OCTETS or named.body != digest(signed.hash, signed.content):
        raise BadSignature("The signature is for another timestamp.")
    certificate = _certificate(signed)
    try:
        _verify(certificate, signed)
    except InvalidSignature as error:
        raise BadSignature("The authority's signature does not fit.") from error
    return certificate


def _certificate(signed: Signed) -> x509.Certificate:
    """The one that the signer names, by issuer and number or by its key's identifier."""
    for certificate in signed.certificates:
        if signed.sid.tag == SEQUENCE:
            named = Fields(signed.sid)
            issuer, number = named.take(SEQUENCE).whole, der.integer(named.take(der.INTEGER))
            if certificate.serial_number == number and certificate.issuer.public_bytes() == issuer:
                return certificate
        elif signed.sid.tag == context(0, whole=False) and _key_identifier(certificate) == signed.sid.body:
            return certificate
    raise BadSignature("The authority's certificate is not in the response.")


def _key_identifier(certificate: x509.Certificate) -> bytes | None:
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except x509.ExtensionNotFound:
        return None


def _verify(certificate: x509.Certificate, signed: Signed) -> None:
    """Raises InvalidSignature, BadSignature."""
    name = Fields(signed.algorithm).take(OID).body
    way, hash_name = _WITH_HASH.get(name, (name, signed.hash.name))
    key = certificate.public_key()
    if hash_name != signed.hash.name:
        raise BadSignature("The signature names two hashes.")
    if isinstance(key, rsa.RSAPublicKey) and way in (_RSA, _PSS):
        if key.key_size < WEAKEST_RSA:
            raise BadSignature(f"The authority's key has {key.key_size} bits only.")
        key.verify(signed.signature, signed.covered, _padding(way, signed), signed.hash)
    elif isinstance(key, ec.EllipticCurvePublicKey) and way == _EC:
        key.verify(signed.signature, signed.covered, ec.ECDSA(signed.hash))
    else:
        raise BadSignature("It is signed in a way that is neither RSA nor ECDSA.")


def _padding(way: bytes, signed: Signed) -> padding.AsymmetricPadding:
    """RSASSA-PKCS1-v1_5, or RSASSA-PSS with the parameters as written (RFC 4055 §3.1)."""
    if way == _RSA:
        return padding.PKCS1v15()
    algorithm = Fields(signed.algorithm)
    algorithm.take(OID)
    parameters = Fields(algorithm.take(SEQUENCE))
    hash_, mask, salt = (parameters.maybe(context(number)) for number in (0, 1, 2))
    if hash_ is None or mask is None:
        raise BadSignature("It is made with another hash than SHA-256, SHA-384 or SHA-512.")
    generator = Fields(der.one(mask.body, SEQUENCE))
    if (
        generator.take(OID).body != _MGF1
        or hash_named(der.one(hash_.body, SEQUENCE)).name != signed.hash.name
    ):
        raise BadSignature("The signature names two hashes.")
    length = der.integer(der.one(salt.body, der.INTEGER)) if salt else 20
    if not 0 <= length <= 64:
        raise BadSignature("The signature's salt is too long.")
    return padding.PSS(padding.MGF1(hash_named(generator.take(SEQUENCE))), length)
