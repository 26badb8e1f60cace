"""Public keys of passkeys (COSE, RFC 9052 and 9053) and the signatures made with them. Pure.

Only the shape that WebAuthn prescribes is read: one CBOR map of small integers to integers and byte strings."""

from collections.abc import Callable

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

LONGEST = 1100
"""Bytes of a key: RSA of 8192 bits has some 1,040."""
_WEAKEST_RSA = 2048
_KIND, _ALGORITHM, _CURVE, _X, _Y = 1, 3, -1, -2, -3
_MODULUS, _EXPONENT = -1, -2
_OCTET_KEY, _EC, _RSA = 1, 2, 3
_CURVES: dict[int, tuple[int, ec.EllipticCurve, hashes.HashAlgorithm]] = {
    -7: (1, ec.SECP256R1(), hashes.SHA256()),
    -35: (2, ec.SECP384R1(), hashes.SHA384()),
    -36: (3, ec.SECP521R1(), hashes.SHA512()),
    -47: (8, ec.SECP256K1(), hashes.SHA256()),
}
_ED25519 = 6
NAMES = {
    -7: "ES256",
    -8: "EdDSA",
    -35: "ES384",
    -36: "ES512",
    -37: "PS256",
    -47: "ES256K",
    -257: "RS256",
}
"""The algorithms that are known here, by their COSE numbers."""

Members = dict[int, int | bytes]
_Verifies = Callable[[bytes, bytes], None]


class BadKey(ValueError):
    """Its text says, as a sentence, why no signature can be checked with this key."""


def algorithm(key: bytes) -> str:
    """The name of what a key signs with. Raises BadKey."""
    found = _read(key).get(_ALGORITHM)
    if not isinstance(found, int) or found not in NAMES:
        raise BadKey("Its key is of a kind that is not known here.")
    return NAMES[found]


def fits(key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether this key signed this message. Raises BadKey."""
    try:
        verify = _verifier(_read(key))
    except BadKey:
        raise
    except ValueError as error:  # numbers that are no point of the curve, or no modulus
        raise BadKey("Its key is none.") from error
    try:
        verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def _verifier(members: Members) -> _Verifies:
    kind, name = members.get(_KIND), members.get(_ALGORITHM)
    if kind == _EC and isinstance(name, int) and name in _CURVES:
        return _elliptic(members, *_CURVES[name])
    if kind == _OCTET_KEY and name == -8 and members.get(_CURVE) == _ED25519:
        return ed25519.Ed25519PublicKey.from_public_bytes(_bytes(members, _X)).verify
    if kind == _RSA and name in (-257, -37):
        return _rsa(members, pss=name == -37)
    raise BadKey("Its key is of a kind that is not known here.")


def _elliptic(
    members: Members, number: int, curve: ec.EllipticCurve, hash_: hashes.HashAlgorithm
) -> _Verifies:
    if members.get(_CURVE) != number:
        raise BadKey("Its key's curve is not the one of its algorithm.")
    x, y = (int.from_bytes(_bytes(members, one)) for one in (_X, _Y))
    key = ec.EllipticCurvePublicNumbers(x, y, curve).public_key()
    return lambda signature, message: key.verify(signature, message, ec.ECDSA(hash_))


def _rsa(members: Members, *, pss: bool) -> _Verifies:
    exponent, modulus = (int.from_bytes(_bytes(members, one)) for one in (_EXPONENT, _MODULUS))
    if modulus.bit_length() < _WEAKEST_RSA:
        raise BadKey(f"Its key is RSA of less than {_WEAKEST_RSA} bits.")
    key = rsa.RSAPublicNumbers(exponent, modulus).public_key()
    how: padding.AsymmetricPadding = padding.PKCS1v15()
    if pss:
        how = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)
    return lambda signature, message: key.verify(signature, message, how, hashes.SHA256())


def _bytes(members: Members, name: int) -> bytes:
    found = members.get(name)
    if not isinstance(found, bytes):
        raise BadKey("Its key lacks a part.")
    return found


def _read(data: bytes) -> Members:
    """The members of the map; nothing may follow it. Raises BadKey."""
    if len(data) > LONGEST:
        raise BadKey("Its key is too long.")
    try:
        kind, count, at = _head(data, 0)
        if kind != 5:
            raise BadKey("Its key is no COSE key.")
        members: Members = {}
        for _ in range(count):
            name, at = _value(data, at)
            value, at = _value(data, at)
            if not isinstance(name, int) or name in members:
                raise BadKey("Its key is no COSE key.")
            members[name] = value
    except IndexError as error:
        raise BadKey("Its key breaks off.") from error
    if at != len(data):
        raise BadKey("Something follows its key.")
    return members


def _value(data: bytes, at: int) -> tuple[int | bytes, int]:
    kind, number, at = _head(data, at)
    if kind == 0:
        return number, at
    if kind == 1:
        return -1 - number, at
    if kind != 2:
        raise BadKey("Its key holds what no key of a passkey holds.")
    if at + number > len(data):
        raise BadKey("Its key breaks off.")
    return data[at : at + number], at + number


def _head(data: bytes, at: int) -> tuple[int, int, int]:
    """Major type, argument, and where what follows begins (RFC 8949 §3); no argument needs more than four bytes."""
    kind, short = data[at] >> 5, data[at] & 31
    if short < 24:
        return kind, short, at + 1
    width = {24: 1, 25: 2, 26: 4}.get(short)
    if width is None or at + 1 + width > len(data):
        raise BadKey("Its key is no COSE key.")
    return kind, int.from_bytes(data[at + 1 : at + 1 + width]), at + 1 + width
