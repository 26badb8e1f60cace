"""Signed notes, checkpoints and cosignatures, against examples of others and against typos."""

import base64
import struct

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.tlog import notes
from audit.tlog.notes import BadNote, Checkpoint, Signature, Signer

LOG = Signer("log.example/log", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
WITNESS = Signer("witness.example", Ed25519PrivateKey.from_private_bytes(bytes(32)), notes.COSIGNATURE)
TEXT = Checkpoint("log.example/log", 5, bytes(range(32))).text

NEUMANN = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
NEUMANN_NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
"""The example of golang.org/x/mod/sumdb/note, which C2SP signed-note describes."""


def test_known_note_of_another_implementation_is_taken() -> None:
    text, signatures = notes.check(NEUMANN_NOTE, notes.verifier(NEUMANN))

    assert text.startswith("If you think cryptography")
    assert signatures == [Signature("PeterNeumann", None)]
    with pytest.raises(BadNote, match="does not fit the text"):
        notes.check(NEUMANN_NOTE.replace("answer", "question"), notes.verifier(NEUMANN))


def test_vkey_comes_back() -> None:
    for signer in (LOG, WITNESS):
        assert notes.verifier(str(signer.verifier)) == signer.verifier
        assert notes.verifier(f" {signer.verifier}\n") == signer.verifier
    assert str(notes.verifier(NEUMANN)) == NEUMANN


@settings(deadline=None)
@given(st.integers(0, len(NEUMANN) - 1), st.characters(min_codepoint=33, max_codepoint=126))
def test_mistyped_vkey_is_refused(at: int, sign: str) -> None:
    """One wrong sign anywhere, whatever it is. Only the hash may be wrong in a name that nobody can check otherwise."""
    typo = NEUMANN[:at] + sign + NEUMANN[at + 1 :]
    if typo != NEUMANN:
        with pytest.raises(BadNote):
            notes.verifier(typo)


@pytest.mark.parametrize(
    "vkey", ["", "name", "a+b+c", "na me+00000000+AAAA", f"{NEUMANN}A", NEUMANN.replace("+AR", "+Ag")]
)
def test_what_is_no_vkey_is_refused(vkey: str) -> None:
    with pytest.raises(BadNote):
        notes.verifier(vkey)


def test_key_of_another_algorithm_is_refused() -> None:
    raw = bytes([2]) + bytes(32)
    with pytest.raises(BadNote, match="Ed25519"):
        notes.verifier(f"name+00000000+{base64.b64encode(raw).decode()}")


def test_note_is_ed25519_over_its_text() -> None:
    note = LOG.note(TEXT)
    line = note.removeprefix(f"{TEXT}\n— log.example/log ")
    raw = base64.b64decode(line)

    assert raw[:4] == LOG.verifier.key_id
    Ed25519PublicKey.from_public_bytes(LOG.verifier.public).verify(raw[4:], TEXT.encode())
    assert notes.opened(note, LOG.verifier) == Checkpoint("log.example/log", 5, bytes(range(32)))


def test_cosignature_is_over_time_and_text() -> None:
    """C2SP tlog-cosignature: `cosignature/v1`, `time N`, then the note's text; the time stands before the signature."""
    raw = base64.b64decode(WITNESS.line(TEXT, time=1_700_000_000).split(" ")[2])
    public = Ed25519PublicKey.from_public_bytes(WITNESS.verifier.public)

    assert raw[:4] == WITNESS.verifier.key_id
    assert struct.unpack(">Q", raw[4:12]) == (1_700_000_000,)
    public.verify(raw[12:], b"cosignature/v1\ntime 1700000000\n" + TEXT.encode())
    with pytest.raises(InvalidSignature):
        public.verify(raw[12:], TEXT.encode())


def test_several_signatures_are_told_apart() -> None:
    stranger = Signer("stranger", Ed25519PrivateKey.generate())
    note = f"{TEXT}\n{stranger.line(TEXT)}{LOG.line(TEXT)}{WITNESS.line(TEXT, time=9)}"

    text, found = notes.check(note, WITNESS.verifier, LOG.verifier)

    assert (text, found) == (TEXT, [Signature("log.example/log", None), Signature("witness.example", 9)])
    assert notes.check(note, LOG.verifier)[1] == [Signature("log.example/log", None)]
    with pytest.raises(BadNote, match="no known key"):
        notes.check(note, Signer("other", Ed25519PrivateKey.generate()).verifier)
    with pytest.raises(BadNote, match="no known key"):
        notes.check(note)


def test_one_wrong_signature_of_a_known_key_spoils_the_note() -> None:
    """A second line in the log's name must not hide behind a good one."""
    good, bad = LOG.line(TEXT), LOG.line(TEXT + "x\n")
    for lines in (good + bad, bad + good):
        with pytest.raises(BadNote, match="does not fit the text"):
            notes.check(f"{TEXT}\n{lines}", LOG.verifier)


def test_same_key_as_log_and_as_witness_is_two() -> None:
    both = Signer("same", LOG.private), Signer("same", LOG.private, notes.COSIGNATURE)
    note = f"{TEXT}\n{both[0].line(TEXT)}"

    assert both[0].verifier.key_id != both[1].verifier.key_id
    with pytest.raises(BadNote, match="no known key"):
        notes.check(note, both[1].verifier)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_every_changed_byte_of_a_note_is_found(data: st.DataObject) -> None:
    note = LOG.note(TEXT).encode()
    at = data.draw(st.integers(0, len(note) - 1))
    changed = note[:at] + bytes([note[at] ^ 1 << data.draw(st.integers(0, 7))]) + note[at + 1 :]
    with pytest.raises(BadNote):
        notes.opened(changed.decode(errors="replace"), LOG.verifier)


@pytest.mark.parametrize(
    "note",
    [
        "",
        TEXT,
        f"{TEXT}\n",
        f"{TEXT}{LOG.line(TEXT)}",
        f"{TEXT}\n{LOG.line(TEXT)}".removesuffix("\n"),
        f"{TEXT}\n{LOG.line(TEXT)}{LOG.line(TEXT)[1:]}",
        f"{TEXT}\n{LOG.line(TEXT).replace('—', '-')}",
        f"{TEXT}\n{LOG.line(TEXT)}\n",
        f"{TEXT}\n— log.example/log {base64.b64encode(LOG.verifier.key_id).decode()}\n",
        f"{TEXT}\n— log.example/log x\n",
    ],
)
def test_what_is_no_note_is_refused(note: str) -> None:
    with pytest.raises(BadNote):
        notes.check(note, LOG.verifier)


def test_text_with_an_empty_line_in_it_stays_one_text() -> None:
    text = "first\n\n— nobody AAAA\n\nlast\n"
    assert notes.check(LOG.note(text), LOG.verifier)[0] == text


def test_text_that_cannot_be_signed_is_refused() -> None:
    for text in ("no end", "a\tb\n", "a\rb\n", "\x00\n"):
        with pytest.raises(BadNote):
            LOG.note(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "origin\n5\n",
        "\n5\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
        "origin\n05\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
        "origin\n+5\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
        "origin\n-5\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
        "origin\n5.0\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
        "origin\n٥\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
        "origin\n1_0\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
        "origin\n5\nAAAA\n",
        "origin\n5\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n",
        "origin\n5\n!AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
    ],
)
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(BadNote):
        notes.checkpoint(text)


def test_extensions_of_a_checkpoint_are_passed_over() -> None:
    assert notes.checkpoint(f"{TEXT}more\n").size == 5
