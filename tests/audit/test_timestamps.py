"""RFC 3161 timestamps as the offline verifier reads them: OpenSSL's are taken, everything else is refused in words."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, ObjectIdentifier
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.tlog import der, timestamps
from audit.tlog.timestamps import BadTimestamp
from tests.audit.authority import (
    CA,
    FOR_TIME,
    NOW,
    PSS,
    RSA,
    SHA1,
    SHA256,
    YEAR,
    Authority,
    Written,
    authority,
    issue,
    number,
    oid,
    openssl_accepts,
    sequence,
    tlv,
)

TEXT = b"log.example\n5\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"
BIG = rsa.generate_private_key(65537, 2048)


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def stamped(ours: Authority) -> bytes:
    return ours.stamp(TEXT)


@pytest.fixture(scope="module")
def written(ours: Authority) -> Written:
    return Written(signer=ours.tsa, text=TEXT)


def refusal(response: bytes, roots: list[x509.Certificate] | None = None, text: bytes = TEXT) -> str:
    with pytest.raises(BadTimestamp) as caught:
        timestamps.check(response, text, roots)
    return str(caught.value)


def test_openssl_stamp_is_taken_with_its_time_and_name(ours: Authority, stamped: bytes) -> None:
    stamp = timestamps.check(stamped, TEXT, [ours.root.certificate])

    assert abs(stamp.time - datetime.now(UTC)) < timedelta(minutes=5)
    assert (stamp.authority, stamp.is_trusted) == ("CN=Clock,O=Tests", True)
    assert openssl_accepts(ours.folder, stamped, TEXT, [ours.root])


def test_stamp_without_roots_is_only_claimed(stamped: bytes) -> None:
    assert not timestamps.check(stamped, TEXT, None).is_trusted


@pytest.mark.parametrize("ess", ["sha1", "sha256", "sha512"])
def test_rsa_stamp_of_openssl_is_taken(tmp_path: Path, ess: str) -> None:
    ours = replace(authority(tmp_path, key=BIG), ess=ess)
    response = ours.stamp(TEXT)

    assert timestamps.check(response, TEXT, [ours.root.certificate]).is_trusted
    assert openssl_accepts(tmp_path, response, TEXT, [ours.root])


def test_other_text_is_refused_as_openssl_does(ours: Authority, stamped: bytes) -> None:
    assert refusal(stamped, text=TEXT + b"x") == "The timestamp is for another text."
    assert not openssl_accepts(ours.folder, stamped, TEXT + b"x", [ours.root])


def test_other_root_is_refused_as_openssl_does(ours: Authority, stamped: bytes) -> None:
    stranger = issue("Root", extensions=CA)

    assert "no root certificate that is trusted here" in refusal(stamped, [stranger.certificate])
    assert "no root certificate that is trusted here" in refusal(stamped, [])
    assert not openssl_accepts(ours.folder, stamped, TEXT, [stranger])


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
def test_every_changed_bit_that_says_something_is_refused(ours: Authority, written: Written) -> None:
    """Nothing is said by granted or granted with changes, CMS's versions, and its list of hashes used."""
    response, [root] = written.data, [ours.root.certificate]
    used, signer = response.index(SHA256), response.index(number(1) + written._sid())
    free = {8, response.index(number(3)) + 2, signer + 2, *range(used, used + len(SHA256))}
    stamp = timestamps.check(response, TEXT, [root])

    for at in range(len(response)):
        for bit in range(8):
            changed = response[:at] + bytes([response[at] ^ 1 << bit]) + response[at + 1 :]
            try:
                assert timestamps.check(changed, TEXT, [root]) == stamp and at in free, (at, bit)
            except BadTimestamp:
                continue


def test_written_stamp_is_taken_and_so_by_openssl(ours: Authority, written: Written) -> None:
    assert timestamps.check(written.data, TEXT, [ours.root.certificate]).time == NOW
    assert openssl_accepts(ours.folder, written.data, TEXT, [ours.root])


GOOD: list[tuple[str, Callable[[Written], bytes]]] = [
    ("granted with changes", lambda w: w.but(status=1)),
    ("a certificate named by SHA-1", lambda w: w.but(names="v1")),
    ("the signer named by its key", lambda w: w.but(by_key=True)),
    ("a fraction of a second", lambda w: w.but(time=NOW.strftime("%Y%m%d%H%M%S.25Z").encode())),
]


@pytest.mark.parametrize(("what", "made"), GOOD, ids=[case[0] for case in GOOD])
def test_variant_is_taken(
    ours: Authority, written: Written, what: str, made: Callable[[Written], bytes]
) -> None:
    assert timestamps.check(made(written), TEXT, [ours.root.certificate]).is_trusted


def test_pss_signature_is_taken_and_a_broken_one_refused(ours: Authority) -> None:
    tsa = issue("Clock", ours.root, key=BIG, extensions=FOR_TIME)
    pss = Written(signer=tsa, text=TEXT, algorithm=PSS)

    assert timestamps.check(pss.data, TEXT, [ours.root.certificate]).is_trusted
    assert timestamps.check(pss.but(algorithm=RSA), TEXT, [ours.root.certificate]).is_trusted
    assert refusal(pss.data[:-1] + bytes([pss.data[-1] ^ 1])) == "The authority's signature does not fit."


BAD: list[tuple[str, Callable[[Written], bytes], str]] = [
    ("refused", lambda w: w.but(status=2), "The authority gave no timestamp: it refused."),
    ("unknown status", lambda w: w.but(status=9), "The authority gave no timestamp: status 9."),
    ("no token", lambda _: sequence(sequence(number(0))), "The authority says yes and gives no timestamp."),
    ("version", lambda w: w.but(version=2), "The timestamp is of an unknown version."),
    ("time", lambda w: w.but(time=b"20261122"), "The time stamped is not written as RFC 3161 wants it."),
    ("no such day", lambda w: w.but(time=b"20261341000000Z"), "The time stamped does not exist."),
    ("SHA-1", lambda w: w.but(imprint_hash=SHA1), "It is made with another hash than SHA-256"),
    ("SHA-1 signed", lambda w: w.but(hash=SHA1), "It is made with another hash than SHA-256"),
    ("two hashes", lambda w: w.but(algorithm=sequence(oid("1.2.840.10045.4.3.4"))), "names two hashes"),
    ("other way", lambda w: w.but(algorithm=RSA), "neither RSA nor ECDSA"),
    ("no timestamp", lambda w: w.but(kind=oid("1.2.3")), "What is signed is no timestamp."),
    ("signed as else", lambda w: w.but(claimed_kind=oid("1.2.3")), "does not say that it is for a timestamp"),
    ("other digest", lambda w: w.but(digest=bytes(32)), "The signature is for another timestamp."),
    ("no name", lambda w: w.but(names=""), "does not say which certificate it belongs to"),
    ("no signer", lambda w: w.but(signers=0), "has one signer, this one has 0"),
    ("two signers", lambda w: w.but(signers=2), "has one signer, this one has 2"),
    ("no certificate", lambda w: w.but(beside=[]), "The authority's certificate is not in the response."),
    ("too long", lambda w: w.data + bytes(timestamps.LONGEST), "longer than 65536 bytes"),
    ("something behind", lambda w: w.data + b"\5\0", "The response cannot be read"),
    ("one field more", lambda w: w.but(extra=b"\5\0"), "a field with tag 0x05 is too many"),
    ("nothing", lambda _: b"", "The response cannot be read"),
    ("text", lambda _: b"<html>busy</html>", "The response cannot be read"),
]


@pytest.mark.parametrize(("what", "made", "words"), BAD, ids=[case[0] for case in BAD])
def test_faulty_stamp_is_refused_in_words(
    ours: Authority, written: Written, what: str, made: Callable[[Written], bytes], words: str
) -> None:
    assert words in refusal(made(written), [ours.root.certificate])


def test_stamp_naming_another_certificate_is_refused(ours: Authority, written: Written) -> None:
    twin = issue("Clock", ours.root, key=ours.tsa.key, extensions=FOR_TIME)

    for names in ("v1", "v2"):
        assert refusal(written.but(names=names, named=twin.certificate)) == (
            "The signature belongs to another certificate."
        )


def eku(*purposes: ObjectIdentifier) -> x509.ExtendedKeyUsage:
    return x509.ExtendedKeyUsage(purposes)


TIME, WEB = ExtendedKeyUsageOID.TIME_STAMPING, ExtendedKeyUsageOID.SERVER_AUTH


@pytest.mark.parametrize(
    "extensions", [(), ((eku(TIME), False),), ((eku(TIME, WEB), True),), ((eku(WEB), True),)]
)
def test_certificate_for_something_else_is_refused(
    ours: Authority, extensions: tuple[tuple[x509.ExtensionType, bool], ...]
) -> None:
    tsa = issue("Clock", ours.root, extensions=extensions)
    response = Written(signer=tsa, text=TEXT).data

    assert refusal(response, [ours.root.certificate]) == "The certificate is not one for timestamps alone."
    assert not openssl_accepts(ours.folder, response, TEXT, [ours.root])


@pytest.mark.parametrize("valid", [(NOW - 2 * YEAR, NOW - YEAR), (NOW + YEAR, NOW + 2 * YEAR)])
def test_certificate_not_valid_at_that_time_is_refused(
    ours: Authority, valid: tuple[datetime, datetime]
) -> None:
    tsa = issue("Clock", ours.root, extensions=FOR_TIME, valid=valid)

    assert "The authority's certificate was valid from" in refusal(Written(signer=tsa, text=TEXT).data)


def test_stamp_outlives_its_certificates(tmp_path: Path) -> None:
    """What counts is that they were valid at the time stamped; an auditor may come years later."""
    past = (NOW - 3 * YEAR, NOW - YEAR)
    root = issue("Root", extensions=CA, valid=past)
    tsa = issue("Clock", root, extensions=FOR_TIME, valid=past)
    then = (NOW - 2 * YEAR).strftime("%Y%m%d%H%M%SZ").encode()
    response = Written(signer=tsa, text=TEXT, time=then)

    assert timestamps.check(response.data, TEXT, [root.certificate]).time == NOW - 2 * YEAR
    assert "valid from" in refusal(
        response.but(time=NOW.strftime("%Y%m%d%H%M%SZ").encode()), [root.certificate]
    )


def test_weak_key_is_refused(ours: Authority) -> None:
    tsa = issue("Clock", ours.root, key=rsa.generate_private_key(65537, 1024), extensions=FOR_TIME)

    assert "has 1024 bits only" in refusal(Written(signer=tsa, text=TEXT, algorithm=RSA).data)


NO_CA = ((x509.BasicConstraints(ca=False, path_length=None), True),)
SHORT = ((x509.BasicConstraints(ca=True, path_length=0), True),)
WEB_ONLY = (*CA, (eku(WEB), False))
STRANGE = (*CA, (x509.UnrecognizedExtension(ObjectIdentifier("1.2.3.4"), b"\5\0"), True))
OLD = (NOW - 2 * YEAR, NOW - YEAR)


def test_chain_over_an_issuer_between_is_taken(ours: Authority) -> None:
    between = issue("Between", ours.root, extensions=CA)
    tsa = issue("Clock", between, extensions=FOR_TIME)
    both = [tsa.certificate, between.certificate]
    written = Written(signer=tsa, text=TEXT, beside=both)

    assert timestamps.check(written.data, TEXT, [ours.root.certificate]).is_trusted
    assert openssl_accepts(ours.folder, written.data, TEXT, [ours.root])
    assert "no root" in refusal(written.but(beside=[tsa.certificate]), [ours.root.certificate])


@pytest.mark.parametrize(
    ("extensions", "valid", "words"),
    [
        ((), None, "may not issue any"),
        (NO_CA, None, "may not issue any"),
        (WEB_ONLY, None, "may not issue any for timestamps"),
        (STRANGE, None, "critical extension 1.2.3.4"),
        (CA, OLD, "was valid from"),
    ],
)
def test_issuer_between_who_may_not_is_refused(
    ours: Authority,
    extensions: tuple[tuple[x509.ExtensionType, bool], ...],
    valid: tuple[datetime, datetime] | None,
    words: str,
) -> None:
    valid = valid or (NOW - YEAR, NOW + YEAR)
    between = issue("Between", ours.root, extensions=extensions, valid=valid)
    tsa = issue("Clock", between, extensions=FOR_TIME)
    written = Written(signer=tsa, text=TEXT, beside=[tsa.certificate, between.certificate])

    assert words in refusal(written.data, [ours.root.certificate])
    if extensions is not WEB_ONLY:  # OpenSSL asks nobody but the authority itself for its purpose
        assert not openssl_accepts(ours.folder, written.data, TEXT, [ours.root])


def test_chain_that_is_longer_than_its_root_allows_is_refused(ours: Authority) -> None:
    root = issue("Short", extensions=SHORT)
    between = issue("Between", root, extensions=CA)
    tsa = issue("Clock", between, extensions=FOR_TIME)
    response = Written(signer=tsa, text=TEXT, beside=[tsa.certificate, between.certificate]).data

    assert "longer than allowed" in refusal(response, [root.certificate])
    assert not openssl_accepts(ours.folder, response, TEXT, [root])


def test_authority_under_a_root_that_another_root_signed_too_is_taken(ours: Authority) -> None:
    """Both certificates of the one key are sent; only one of the ways leads to what is trusted here."""
    middle = issue("Middle", extensions=CA)
    crossed = issue("Middle", ours.root, key=middle.key, extensions=CA)
    tsa = issue("Clock", middle, extensions=FOR_TIME)
    for beside in ([middle, crossed], [crossed, middle]):
        sent = [tsa.certificate, *(each.certificate for each in beside)]
        response = Written(signer=tsa, text=TEXT, beside=sent).data
        assert timestamps.check(response, TEXT, [ours.root.certificate]).is_trusted
        assert timestamps.check(response, TEXT, [middle.certificate]).is_trusted


def test_flood_of_issuers_of_one_name_ends(ours: Authority) -> None:
    one = issue("Same", extensions=CA)
    same = [issue("Same", one, key=one.key, extensions=CA).certificate for _ in range(30)]
    tsa = issue("Clock", one, extensions=FOR_TIME)
    response = Written(signer=tsa, text=TEXT, beside=[tsa.certificate, *same]).data

    assert "it brings too many certificates" in refusal(response, [ours.root.certificate])


def test_circle_of_issuers_ends(ours: Authority) -> None:
    """Two that issued each other lead nowhere, and soon."""
    one = issue("One", extensions=CA)
    two = issue("Two", one, extensions=CA)
    again = issue("One", two, key=one.key, extensions=CA)
    tsa = issue("Clock", again, extensions=FOR_TIME)
    beside = [tsa.certificate, again.certificate, two.certificate, one.certificate]

    assert "not to be believed" in refusal(
        Written(signer=tsa, text=TEXT, beside=beside).data, [ours.root.certificate]
    )


@settings(max_examples=400, deadline=None)
@given(st.binary(max_size=400))
def test_random_bytes_raise_nothing_else(data: bytes) -> None:
    with pytest.raises(BadTimestamp):
        timestamps.check(data, TEXT, None)


def test_truncated_response_raises_nothing_else(stamped: bytes) -> None:
    for length in range(len(stamped)):
        with pytest.raises(BadTimestamp):
            timestamps.check(stamped[:length], TEXT, None)


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_mangled_response_raises_nothing_else(data: st.DataObject, ours: Authority, stamped: bytes) -> None:
    """Bytes replaced, cut out or put in, several at once, inside a response that was good."""
    response = bytearray(stamped)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(response) - 1))
        length = data.draw(st.integers(0, 6))
        response[at : at + length] = data.draw(st.binary(max_size=6))
    try:
        timestamps.check(bytes(response), TEXT, [ours.root.certificate])
    except BadTimestamp as error:
        assert str(error).endswith(".")


def test_deep_nesting_is_not_followed() -> None:
    data = b""
    for _ in range(5000):
        data = tlv(der.SEQUENCE, data)
    assert "cannot be read" in refusal(data)


@pytest.mark.parametrize(
    "data",
    [
        b"\x30\x80\x00\x00",  # indefinite
        b"\x30\x81\x02\x05\x00",  # not shortest
        b"\x30\x82\x00\x81" + bytes(0x81),
        b"\x30\x85\x00\x00\x00\x00\x00",
        b"\x3f\x81\x00\x00",  # a tag of two bytes
        b"\x30\x05\x02",
        b"\x30",
    ],
)
def test_der_that_is_not_strict_is_refused(data: bytes) -> None:
    with pytest.raises(der.BadDER):
        der.one(data, der.SEQUENCE)


@pytest.mark.parametrize("body", [b"", b"\x00\x01", b"\xff\x80"])
def test_integer_that_is_not_shortest_is_refused(body: bytes) -> None:
    with pytest.raises(der.BadDER):
        der.integer(der.Value(der.INTEGER, body, b""))


@given(st.integers(-(2**200), 2**200))
def test_integers_come_back(value: int) -> None:
    body = value.to_bytes((value.bit_length() // 8) + 1, "big", signed=True)
    while len(body) > 1 and int.from_bytes(body[1:], "big", signed=True) == value:
        body = body[1:]
    assert der.integer(der.one(tlv(der.INTEGER, body), der.INTEGER)) == value
