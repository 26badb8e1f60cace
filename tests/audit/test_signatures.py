"""Approvals that passkeys signed: proved from the exported files alone, by our verifier and by OpenSSL."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from django.db import transaction

from accounts.models import User
from accounts.services import factors
from approvals.models import Verdict
from audit import exporting, recording
from audit.events import Kind, Target, system
from audit.models import AuditLeaf
from audit.tlog import assertions, cose
from audit.tlog.assertions import Assertion, BadAssertion, challenge, text_of
from audit.tlog.report import Report, Trust
from tests import factories
from tests.approvals.test_signing import ask, high
from tests.audit import sealed, tampering
from tests.audit.test_foreign import documented, shell
from tests.passkeys import ORIGIN, PRESENT, VERIFIED, Passkey

DIGEST = "sha256:" + hashlib.sha256(b"what is approved").hexdigest()
OTHER = "sha256:" + hashlib.sha256(b"something else").hexdigest()
NONCE = bytes(range(32))


def made(passkey: Passkey, digest: str = DIGEST, nonce: bytes = NONCE, **other: Any) -> Assertion:
    answer = passkey.sign(digest, nonce, **other)
    return Assertion(
        credential=passkey.id,
        key=passkey.key,
        nonce=nonce,
        origin=other.get("origin", passkey.origin),
        authenticator_data=answer.authenticator_data,
        client_data=answer.client_data,
        signature=answer.signature,
    )


# — The rule itself


@pytest.mark.parametrize("algorithm", ["ES256", "ES384", "ES512", "EdDSA", "RS256"])
def test_every_kind_of_key_is_checked(algorithm: str) -> None:
    one = made(Passkey(algorithm))
    assertions.check(one, DIGEST)
    assert Assertion.read(json.loads(json.dumps(one.said()))) == one
    assert cose.algorithm(one.key) == algorithm
    with pytest.raises(BadAssertion, match="not SHA-256 of this digest and this nonce"):
        assertions.check(one, OTHER)
    with pytest.raises(BadAssertion, match="not SHA-256 of this digest and this nonce"):
        assertions.check(replace(one, nonce=bytes(32)), DIGEST)
    with pytest.raises(BadAssertion, match="not by the passkey's key"):
        assertions.check(replace(one, key=Passkey(algorithm).key), DIGEST)


def test_every_bit_counts() -> None:
    one = made(Passkey())
    for part in ("authenticator_data", "client_data", "signature", "nonce"):
        data = getattr(one, part)
        for at in range(len(data)):
            for changed in (data[:at], data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]):
                with pytest.raises(BadAssertion):
                    assertions.check(replace(one, **{part: changed}), DIGEST)


TWICE = b'{"type":"webauthn.get","type":"webauthn.get"}'


@pytest.mark.parametrize(
    ("other", "why"),
    [
        ({"type": "webauthn.create"}, "no assertion"),
        ({"origin": "http://desk.example"}, "without TLS"),
        ({"origin": "https://10.0.0.1", "host": "10.0.0.1"}, "an IP address"),
        ({"origin": "https://desk.example/", "host": "desk.example"}, "no address"),
        ({"host": "evil.example"}, "another site"),
        ({"flags": VERIFIED}, "Nobody was present"),
        ({"flags": PRESENT}, "did not verify who used it"),
        ({"more": {"crossOrigin": True}}, "inside another site's page"),
        ({"more": {"crossOrigin": 0}}, "inside another site's page"),
    ],
)
def test_what_a_signature_is_for_counts_too(other: dict[str, Any], why: str) -> None:
    with pytest.raises(BadAssertion, match=why):
        assertions.check(made(Passkey(), **other), DIGEST)


@pytest.mark.parametrize(
    "said",
    [
        None,
        [],
        {},
        {"origin": ORIGIN},
        {"key": 1},
        {"signature": "a="},
        {"nonce": "_" * 9},
        {"key": "A" * 9000},
    ],
)
def test_what_is_no_signature_is_refused_in_words(said: Any) -> None:
    whole = made(Passkey()).said()
    told = said if not isinstance(said, dict) or not said else {**whole, **said}
    if said == {"origin": ORIGIN}:
        told = said
    with pytest.raises(BadAssertion):
        Assertion.read(told)


@pytest.mark.parametrize(
    "key",
    [
        b"",
        b"\xa0",
        b"\xa5\x01",
        b"\x01" * 40,
        b"\xbf\xff",
        b"\xa1\x01\x9b" + bytes(8),
        b"\xa2\x01\x02\x01\x02",
        Passkey().key + b"\x00",
        Passkey().key.replace(b"\x20\x01", b"\x20\x02"),
        Passkey().key[:45] + bytes(32),
    ],
    ids=[
        "nothing",
        "empty map",
        "cut short",
        "no map",
        "never ends",
        "longer than all",
        "no coordinates",
        "one byte more",
        "another curve",
        "not on the curve",
    ],
)
def test_what_is_no_key_proves_nothing(key: bytes) -> None:
    with pytest.raises(BadAssertion):
        assertions.check(replace(made(Passkey()), key=key), DIGEST)


def test_a_weak_key_proves_nothing() -> None:
    weak = Passkey("RS256", private=rsa.generate_private_key(65537, 1024))
    with pytest.raises(BadAssertion, match="less than 2048 bits"):
        assertions.check(made(weak), DIGEST)


# — In an export


def person(name: str = "Rita Reviewer") -> User:
    return factories.person(name)


def voted(by: User, told: object, digest: str = DIGEST) -> None:
    """An event as whoever writes the log can make it, honest or not."""
    with transaction.atomic():
        recording.record(
            actor=by.actor(),
            kind=Kind.PROPOSAL_VOTED,
            target=Target("proposal", "p-1"),
            after={"revision": 1, "digest": digest, "verdict": "approve"},
            detail={"signature": told},
        )


def verified(tmp_path: Path, **asked: Any) -> tuple[Report, str, Path]:
    sealed.seal(tmp_path / "log")
    sealed.settled()
    into = tmp_path / "export"
    exporting.export(log=tmp_path / "log", into=into, asked=exporting.Asked(**asked), actor=system("test"))
    return (*tampering.found(into, Trust((sealed.SIGNER.verifier,))), into)


Wrong = Callable[[Passkey, User], object]


def of_another_digest(passkey: Passkey, _: User) -> object:
    return made(passkey, OTHER).said()


def with_another_nonce(passkey: Passkey, _: User) -> object:
    return made(passkey).said() | {"nonce": text_of(bytes(32))}


def with_anothers_signature(passkey: Passkey, _: User) -> object:
    return made(passkey).said() | {"signature": made(Passkey()).said()["signature"]}


def with_a_part_missing(passkey: Passkey, _: User) -> object:
    return {name: part for name, part in made(passkey).said().items() if name != "client_data"}


def with_a_key_of_ones_own(passkey: Passkey, _: User) -> object:
    return made(Passkey(id=passkey.id)).said()


def by_a_passkey_of_nobody(*_: object) -> object:
    return made(Passkey()).said()


def by_a_colleagues_passkey(*_: object) -> object:
    passkey = Passkey()
    passkey.register(person("Ravi Reviewer"))
    return made(passkey).said()


def by_nothing_that_can_be_read(*_: object) -> object:
    return "signed"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (of_another_digest, "does not hold"),
        (with_another_nonce, "does not hold"),
        (with_anothers_signature, "does not hold"),
        (with_a_part_missing, "does not hold"),
        (by_nothing_that_can_be_read, "does not hold"),
        (with_a_key_of_ones_own, "is not the one that its passkey was registered with"),
        (by_a_passkey_of_nobody, "was never registered by whom"),
        (by_a_colleagues_passkey, "was never registered by whom"),
    ],
)
def test_an_insider_who_seals_a_false_signature_is_found(wrong: Wrong, says: str, tmp_path: Path) -> None:
    """The log holds: he wrote it in order, and with its key. The passkey he did not have."""
    rita, passkey = person(), Passkey()
    passkey.register(rita)
    voted(rita, wrong(passkey, rita))
    report, text, _ = verified(tmp_path)
    assert dict(report.findings.counts) == {"signature": 1}, text
    assert says in text


@pytest.mark.django_db(transaction=True)
def test_signed_and_unsigned_approvals_are_counted(tmp_path: Path) -> None:
    rita, passkey = person(), Passkey(counter=4)
    passkey.register(rita)
    voted(rita, made(passkey).said())
    voted(rita, made(passkey, OTHER, bytes(32)).said(), OTHER)
    voted(rita, None)
    report, text, _ = verified(tmp_path)
    assert report.holds, text
    assert (report.signatures, report.unsigned) == (2, 1)
    assert "2 approvals signed with passkeys, at https://desk.example" in text
    assert "1 approvals of high risk without a passkey's signature" in text


@pytest.mark.django_db(transaction=True)
def test_one_signature_cannot_stand_for_two_votes(tmp_path: Path) -> None:
    rita, passkey = person(), Passkey()
    passkey.register(rita)
    told = made(passkey).said()
    voted(rita, told)
    voted(rita, told)
    report, text, _ = verified(tmp_path)
    assert dict(report.findings.counts) == {"signature": 1}
    assert "was used before, in event" in text


@pytest.mark.django_db(transaction=True)
def test_a_passkey_registered_afterwards_explains_nothing(tmp_path: Path) -> None:
    rita, passkey = person(), Passkey()
    voted(rita, made(passkey).said())
    passkey.register(rita)
    report, text, _ = verified(tmp_path)
    assert dict(report.findings.counts) == {"signature": 1}
    assert "was never registered" in text


@pytest.mark.django_db(transaction=True)
def test_a_removed_passkey_is_worth_a_question(tmp_path: Path) -> None:
    rita, passkey = person(), Passkey()
    passkey.register(rita)
    target, detail = Target("person", str(rita.pk)), {"credential": text_of(passkey.id)}
    with transaction.atomic():
        recording.record(actor=rita.actor(), kind=Kind.FACTOR_REMOVED, target=target, detail=detail)
    voted(rita, made(passkey).said())
    report, text, _ = verified(tmp_path)
    assert report.holds and "had been removed at leaf" in text


@pytest.mark.django_db(transaction=True)
def test_a_part_of_the_log_says_what_it_cannot_tell(tmp_path: Path) -> None:
    rita, passkey = person(), Passkey()
    passkey.register(rita)
    voted(rita, made(passkey).said())
    sealed.seal(tmp_path / "log")
    last = AuditLeaf.objects.count() - 1
    report, text, _ = verified(tmp_path, first=last)
    assert report.holds and report.signatures == 1
    assert "Whose the passkeys of 1 signed approvals are" in text


@pytest.mark.django_db(transaction=True)
def test_openssl_checks_a_signed_approval_as_documented(tmp_path: Path) -> None:
    rita, passkey = person(), Passkey()
    assert isinstance(passkey.private.curve, ec.SECP256R1)
    passkey.register(rita)
    voted(rita, made(passkey).said())
    _, _, export = verified(tmp_path)
    file = export / "events/000000.jsonl"
    lines = file.read_text().splitlines()
    [number] = [at for at, line in enumerate(lines, 1) if "proposal.voted" in line]
    commands = documented("openssl-passkey")
    done = shell(commands, export, number=str(number))
    verdict, expected, signed, host, said, key = done.stdout.split("\n")[:6]
    assert verdict == "Signature Verified Successfully", done.stderr
    assert expected == signed == text_of(challenge(DIGEST, NONCE))
    assert host == said == hashlib.sha256(b"desk.example").hexdigest()
    assert key == hashlib.sha256(passkey.key).hexdigest()
    file.write_text(file.read_text().replace(text_of(passkey.key), text_of(Passkey().key)))
    done = shell(commands, export, number=str(number))
    assert "Signature Verification Failure" in done.stdout + done.stderr


@pytest.mark.django_db(transaction=True)
def test_from_the_registration_to_the_verifier(tmp_path: Path, settings: Any) -> None:
    """Every part by its own use case: the one who registers passkeys and the one who verifies agree on their names."""
    settings.PUBLIC_URL = ORIGIN
    the, passkey = high(factories.desk()), Passkey()
    factors.add_passkey(person=the.reviewer, name="Key ring", credential=passkey.credential())
    proposal = the.propose()
    ask(proposal, the.reviewer)
    the.decide(proposal, Verdict.APPROVE, answer=passkey.answer())
    report, text, _ = verified(tmp_path)
    assert report.holds and report.signatures == 1, text
    assert not report.remarks and "passkeys of" not in text
