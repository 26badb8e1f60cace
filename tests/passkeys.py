"""A passkey made of software: it registers as allauth keeps one, and signs as an authenticator does."""

import hashlib
import json
import secrets
from dataclasses import dataclass, field
from typing import Any

from allauth.mfa.models import Authenticator
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from django.db import transaction
from fido2 import cbor, cose
from fido2.webauthn import Aaguid, AttestationObject, AttestedCredentialData, AuthenticatorData

from accounts.models import User
from approvals.models import Challenge
from approvals.signing import Answer, session_of
from audit import recording
from audit.events import Kind, Target
from audit.tlog.assertions import challenge, text_of

ORIGIN = "https://desk.example"
SESSION = session_of("a session")
PRESENT, VERIFIED, CREDENTIAL = 0x01, 0x04, 0x40


def _made(algorithm: str) -> Any:
    if algorithm == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    if algorithm == "RS256":
        return rsa.generate_private_key(65537, 2048)
    curve: ec.EllipticCurve = {"ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}.get(
        algorithm, ec.SECP256R1()
    )
    return ec.generate_private_key(curve)


@dataclass
class Passkey:
    """`counter` of 0 is an authenticator that does not count, as those that sync between devices."""

    algorithm: str = "ES256"
    origin: str = ORIGIN
    counter: int = 0
    id: bytes = field(default_factory=lambda: secrets.token_bytes(16))
    private: Any = None

    def __post_init__(self) -> None:
        self.private = self.private or _made(self.algorithm)

    @property
    def key(self) -> bytes:
        """The public key as COSE."""
        kind = getattr(cose, self.algorithm)
        return cbor.encode(kind.from_cryptography_key(self.private.public_key()))

    @property
    def host(self) -> str:
        return self.origin.split("//")[1].split(":")[0]

    def credential(self) -> dict[str, Any]:
        """What a browser tells of a passkey that it has made."""
        public = getattr(cose, self.algorithm).from_cryptography_key(self.private.public_key())
        attested = AttestedCredentialData.create(Aaguid.NONE, self.id, public)
        flags = AuthenticatorData.FLAG(PRESENT | VERIFIED | CREDENTIAL)
        rp = hashlib.sha256(self.host.encode()).digest()
        data = AuthenticatorData.create(rp, flags, self.counter, attested)
        client = {"type": "webauthn.create", "challenge": text_of(b"registered"), "origin": self.origin}
        return {
            "id": text_of(self.id),
            "rawId": text_of(self.id),
            "type": "public-key",
            "clientExtensionResults": {"credProps": {"rk": True}},
            "response": {
                "clientDataJSON": text_of(json.dumps(client).encode()),
                "attestationObject": text_of(AttestationObject.create("none", data, {})),
            },
        }

    def register(self, user: User, name: str = "Key ring", *, is_told: bool = True) -> Authenticator:
        """A row as the page that registers one leaves it, and its event."""
        data = {"name": name, "credential": self.credential()}
        row = Authenticator.objects.create(user=user, type=Authenticator.Type.WEBAUTHN, data=data)
        if is_told:
            with transaction.atomic():
                recording.record(
                    actor=user.actor(),
                    kind=Kind.FACTOR_ADDED,
                    target=Target("person", str(user.pk)),
                    detail={
                        "credential": text_of(self.id),
                        "key_sha256": hashlib.sha256(self.key).hexdigest(),
                    },
                )
        return row

    def sign(self, digest: str, nonce: bytes, **other: Any) -> Answer:
        """An assertion over this; `other` is what the test wants different: type, challenge, origin, host, flags,
        session, more (members of the client data)."""
        self.counter += 1 if self.counter else 0
        client = {
            "type": other.get("type", "webauthn.get"),
            "challenge": text_of(other.get("challenge", challenge(digest, nonce))),
            "origin": other.get("origin", self.origin),
            "crossOrigin": False,
            **other.get("more", {}),
        }
        client_data = json.dumps(client, separators=(",", ":")).encode()
        host = other.get("host", self.host)
        data = (
            hashlib.sha256(host.encode()).digest()
            + bytes([other.get("flags", PRESENT | VERIFIED)])
            + other.get("counter", self.counter).to_bytes(4)
        )
        signature = self._signed(data + hashlib.sha256(client_data).digest())
        return Answer(nonce, self.id, data, client_data, signature, other.get("session", SESSION))

    def _signed(self, message: bytes) -> bytes:
        made: bytes
        if self.algorithm == "EdDSA":
            made = self.private.sign(message)
        elif self.algorithm == "RS256":
            made = self.private.sign(message, padding.PKCS1v15(), hashes.SHA256())
        else:
            size = {"ES384": hashes.SHA384(), "ES512": hashes.SHA512()}.get(self.algorithm, hashes.SHA256())
            made = self.private.sign(message, ec.ECDSA(size))
        return made

    def answer(self, **other: Any) -> Answer:
        """The answer to the latest question that was put to anybody."""
        asked = Challenge.objects.latest("pk")
        return self.sign(asked.digest, bytes(asked.nonce), **other)


def posted(answer: Answer) -> str:
    """The answer as a page sends it."""
    names = ("nonce", "credential", "authenticator_data", "client_data", "signature")
    return json.dumps({name: text_of(getattr(answer, name)) for name in names})
