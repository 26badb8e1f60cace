"""A timestamp authority of our own: certificates, OpenSSL's `ts -reply`, and tokens written out by hand."""

import hashlib
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from audit.tlog import der

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
NOW = datetime.now(UTC).replace(microsecond=0)
YEAR = timedelta(days=365)
CONFIG = """[tsa]
dir = {folder}
serial = $dir/serial
default_policy = 1.2.3.4.1
digests = sha256, sha384, sha512
signer_digest = sha256
ess_cert_id_alg = {ess}
accuracy = secs:1
ordering = yes
tsa_name = yes
ess_cert_id_chain = no
"""


def name(text: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Tests"),
            x509.NameAttribute(NameOID.COMMON_NAME, text),
        ]
    )


@dataclass(frozen=True)
class Holder:
    """A key and its certificate."""

    key: Key
    certificate: x509.Certificate

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)


def issue(
    subject: str,
    by: Holder | None = None,
    *,
    key: Key | None = None,
    extensions: Sequence[tuple[x509.ExtensionType, bool]] = (),
    valid: tuple[datetime, datetime] = (NOW - YEAR, NOW + YEAR),
    serial: int | None = None,
) -> Holder:
    """A certificate issued by somebody, or by itself."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(by.certificate.subject if by else name(subject))
        .public_key(key.public_key())
        .serial_number(serial or x509.random_serial_number())
        .not_valid_before(valid[0])
        .not_valid_after(valid[1])
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    for extension, is_critical in extensions:
        builder = builder.add_extension(extension, critical=is_critical)
    return Holder(key, builder.sign(by.key if by else key, hashes.SHA256()))


CA = ((x509.BasicConstraints(ca=True, path_length=None), True),)
FOR_TIME = ((x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), True),)


@dataclass(frozen=True)
class Authority:
    """A root and a timestamp authority below it, with a folder for what OpenSSL reads."""

    folder: Path
    root: Holder
    tsa: Holder
    ess: str = "sha256"

    def query(self, text: bytes) -> bytes:
        digest = hashlib.sha256(text).hexdigest()
        return openssl("ts", "-query", "-digest", digest, "-sha256", "-cert")

    def reply(self, query: bytes) -> bytes:
        """OpenSSL's answer to a request."""
        files = {
            "tsa.conf": CONFIG.format(folder=self.folder, ess=self.ess).encode(),
            "query": query,
            "tsa.pem": self.tsa.pem,
            "root.pem": self.root.pem,
            "tsa.key": self.tsa.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        }
        for file, data in files.items():
            (self.folder / file).write_bytes(data)
        (self.folder / "serial").touch()
        if not (self.folder / "serial").read_text():
            (self.folder / "serial").write_text("01\n")
        at = [f"{self.folder}/{file}" for file in ("tsa.conf", "query", "tsa.pem", "root.pem", "tsa.key")]
        return openssl(
            *("ts", "-reply", "-config", at[0], "-section", "tsa", "-queryfile", at[1]),
            *("-signer", at[2], "-chain", at[3], "-inkey", at[4]),
        )

    def stamp(self, text: bytes) -> bytes:
        return self.reply(self.query(text))


def authority(folder: Path, *, key: Key | None = None, root: Holder | None = None) -> Authority:
    root = root or issue("Root", extensions=CA)
    return Authority(folder, root, issue("Clock", root, key=key, extensions=FOR_TIME))


def openssl(*arguments: str) -> bytes:
    return subprocess.run(["openssl", *arguments], capture_output=True, check=True, timeout=30).stdout


def openssl_accepts(folder: Path, response: bytes, text: bytes, roots: Sequence[Holder]) -> bool:
    """Whether `openssl ts -verify` takes the response for this text."""
    (folder / "response.tsr").write_bytes(response)
    (folder / "text").write_bytes(text)
    (folder / "roots.pem").write_bytes(b"".join(root.pem for root in roots))
    found = subprocess.run(
        [
            *("openssl", "ts", "-verify", "-data", folder / "text"),
            *("-in", folder / "response.tsr", "-CAfile", folder / "roots.pem"),
        ],
        capture_output=True,
        check=False,
        timeout=30,
    )
    return found.returncode == 0


def tlv(tag: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    if len(body) < 0x80:
        return bytes([tag, len(body)]) + body
    length = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + body


def number(value: int) -> bytes:
    return tlv(der.INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def oid(dotted: str) -> bytes:
    return tlv(der.OID, der.oid(dotted))


def sequence(*parts: bytes) -> bytes:
    return tlv(der.SEQUENCE, *parts)


SHA1, SHA256 = sequence(oid("1.3.14.3.2.26")), sequence(oid("2.16.840.1.101.3.4.2.1"))
TST_INFO = oid("1.2.840.113549.1.9.16.1.4")
ECDSA, RSA = sequence(oid("1.2.840.10045.4.3.2")), sequence(oid("1.2.840.113549.1.1.11"), b"\5\0")
PSS = sequence(
    oid("1.2.840.113549.1.1.10"),
    sequence(
        tlv(0xA0, SHA256),
        tlv(0xA1, sequence(oid("1.2.840.113549.1.1.8"), SHA256)),
        tlv(0xA2, number(32)),
    ),
)


@dataclass(frozen=True, kw_only=True)
class Written:
    """A response written out by hand; every part can be replaced by a wrong one."""

    signer: Holder
    text: bytes
    status: int = 0
    version: int = 1
    time: bytes = NOW.strftime("%Y%m%d%H%M%SZ").encode()
    imprint_hash: bytes = SHA256
    kind: bytes = TST_INFO
    claimed_kind: bytes = TST_INFO
    digest: bytes | None = None
    names: str = "v2"
    named: x509.Certificate | None = None
    algorithm: bytes = ECDSA
    hash: bytes = SHA256
    by_key: bool = False
    signers: int = 1
    beside: Sequence[x509.Certificate] | None = None
    extra: bytes = b""

    def but(self, **changes: object) -> bytes:
        return replace(self, **changes).data  # type: ignore[arg-type]

    @property
    def data(self) -> bytes:
        info = self._info()
        signers = b"".join(self._signer(info) for _ in range(self.signers))
        beside = [self.signer.certificate] if self.beside is None else self.beside
        signed = sequence(
            number(3),
            tlv(der.SET, SHA256),
            sequence(self.kind, tlv(0xA0, tlv(der.OCTETS, info))),
            tlv(0xA0, *(each.public_bytes(Encoding.DER) for each in beside)),
            tlv(der.SET, signers),
        )
        token = sequence(oid("1.2.840.113549.1.7.2"), tlv(0xA0, signed))
        return sequence(sequence(number(self.status)), token, self.extra)

    def _info(self) -> bytes:
        imprint = sequence(self.imprint_hash, tlv(der.OCTETS, hashlib.sha256(self.text).digest()))
        return sequence(
            number(self.version), oid("1.2.3"), imprint, number(7), tlv(der.TIME, self.time), number(5)
        )

    def _signer(self, info: bytes) -> bytes:
        digest = hashlib.sha256(info).digest() if self.digest is None else self.digest
        attributes = [
            _attribute("1.2.840.113549.1.9.3", self.claimed_kind),
            _attribute("1.2.840.113549.1.9.4", tlv(der.OCTETS, digest)),
        ]
        named = (self.named or self.signer.certificate).public_bytes(Encoding.DER)
        if self.names == "v1":
            hashed = tlv(der.OCTETS, hashlib.sha1(named).digest())
            attributes.append(_attribute("1.2.840.113549.1.9.16.2.12", sequence(sequence(sequence(hashed)))))
        elif self.names == "v2":
            hashed = tlv(der.OCTETS, hashlib.sha256(named).digest())
            attributes.append(_attribute("1.2.840.113549.1.9.16.2.47", sequence(sequence(sequence(hashed)))))
        covered = b"".join(sorted(attributes))
        return sequence(
            number(1),
            self._sid(),
            self.hash,
            tlv(0xA0, covered),
            self.algorithm,
            tlv(der.OCTETS, self._sign(tlv(der.SET, covered))),
        )

    def _sid(self) -> bytes:
        certificate = self.signer.certificate
        if self.by_key:
            return tlv(0x80, x509.SubjectKeyIdentifier.from_public_key(certificate.public_key()).digest)
        return sequence(certificate.issuer.public_bytes(), number(certificate.serial_number))

    def _sign(self, data: bytes) -> bytes:
        key = self.signer.key
        if isinstance(key, ec.EllipticCurvePrivateKey):
            return key.sign(data, ec.ECDSA(hashes.SHA256()))
        if self.algorithm == PSS:
            return key.sign(data, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
        return key.sign(data, padding.PKCS1v15(), hashes.SHA256())


def _attribute(kind: str, value: bytes) -> bytes:
    return sequence(oid(kind), tlv(der.SET, value))
