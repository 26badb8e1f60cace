"""Verifiers that are not ours, on a log of real events: each accepts it and refuses the tampered."""

import base64
import os
import shutil
import subprocess
from pathlib import Path

import pymerkle
import pytest
import scitt_cose
from pymerkle.core import _inclusion_path_layout

from audit.tlog import merkle, notes
from audit.tlog.folder import Folder
from tests import toolchains
from tests.audit import sealed, tampering
from tests.audit.authority import openssl
from tests.audit.test_verify import grown

ROOT = Path(__file__).resolve().parents[2]
SIZES = [1, 2, 3, 5, 8, 13, 64, 100]


@pytest.fixture
def made_up(tmp_path: Path) -> Path:
    return grown(tmp_path / "made-up", SIZES)


def tree(path: Path) -> tuple[Folder, list[bytes]]:
    size = notes.opened((path / "checkpoint").read_text(), sealed.SIGNER.verifier).size
    folder = Folder(path, size)
    return folder, [data for _, data in folder.entries()]


def test_pymerkle_has_the_same_roots_and_accepts_every_leaf(export: Path, made_up: Path) -> None:
    for path in (export, made_up):
        ours, entries = tree(path)
        theirs = pymerkle.InmemoryTree(algorithm="sha256")
        theirs.append_entries(entries)
        for size in range(1, ours.size + 1):
            assert theirs.get_root(size) == ours.root(size)
        root = ours.root()
        for number, entry in enumerate(entries):
            path_of_ours = ours.inclusion_proof(number)
            proof = theirs.prove_inclusion(number + 1)
            assert merkle.is_included(merkle.leaf_hash(entry), number, ours.size, proof.path[1:], root)
            rule, _ = _inclusion_path_layout(number + 1, ours.size)
            hashes = [merkle.leaf_hash(entry), *path_of_ours]
            from_ours = pymerkle.InclusionProof("sha256", True, ours.size, number + 1, rule, hashes)
            pymerkle.verify_inclusion(
                merkle.leaf_hash(entry), root, from_ours, index=number + 1, size=ours.size
            )
            with pytest.raises(pymerkle.InvalidProof):
                pymerkle.verify_inclusion(merkle.leaf_hash(entry + b" "), root, from_ours)
        for size in range(1, ours.size):
            proof = theirs.prove_consistency(size, ours.size)
            pymerkle.verify_consistency(ours.root(size), root, proof)
            with pytest.raises(pymerkle.InvalidProof):
                pymerkle.verify_consistency(ours.root(size), merkle.leaf_hash(b"another"), proof)


def test_scitt_cose_and_we_accept_each_others_proofs(export: Path, made_up: Path) -> None:
    for path in (export, made_up):
        ours, entries = tree(path)
        root, texts = ours.root().hex(), [entry.hex() for entry in entries]
        assert scitt_cose.merkle_root(texts) == root
        for number in range(0, ours.size, 7):
            proof = [part.hex() for part in ours.inclusion_proof(number)]
            assert proof == scitt_cose.inclusion_proof(texts, number)
            assert scitt_cose.verify_inclusion(texts[number], number, ours.size, proof, root)
            assert not scitt_cose.verify_inclusion(texts[number] + "00", number, ours.size, proof, root)
        for old in range(1, ours.size, 3):
            proof = [part.hex() for part in ours.consistency_proof(old)]
            assert proof == scitt_cose.consistency_proof(texts, old, ours.size)
            before = ours.root(old).hex()
            assert scitt_cose.verify_consistency(before, root, old, ours.size, proof)
            another = merkle.leaf_hash(b"another").hex()
            assert not scitt_cose.verify_consistency(another, root, old, ours.size, proof)


def documented(name: str) -> str:
    """The shell commands of docs/audit.md between `<!-- name -->` and the end of the block."""
    text = (ROOT / "docs" / "audit.md").read_text()
    return text.partition(f"<!-- {name} -->")[2].partition("```sh\n")[2].partition("```")[0]


def shell(commands: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-euc", commands],
        cwd=cwd, env={"PATH": os.environ["PATH"], "HOME": str(cwd), **environment},
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


def test_openssl_checks_the_checkpoints_signature_as_documented(export: Path) -> None:
    commands = documented("openssl-note")
    assert "openssl pkeyutl -verify" in commands
    done = shell(commands, export)
    assert (done.returncode, done.stdout.strip()) == (0, "Signature Verified Successfully"), done.stderr
    note = (export / "checkpoint").read_text()
    size = note.split("\n")[1]
    (export / "checkpoint").write_text(note.replace(f"\n{size}\n", f"\n{int(size) + 1}\n"))
    done = shell(commands, export)
    assert done.returncode != 0
    assert "Signature Verification Failure" in done.stdout + done.stderr


def test_openssl_checks_a_timestamp_as_documented(export: Path) -> None:
    log = tampering.original()
    (export / "roots.pem").write_bytes(log.roots)
    commands = documented("openssl-timestamp")
    assert "openssl ts -verify" in commands
    done = shell(commands, export, size=str(log.checkpoints[0]))
    assert (done.returncode, "Verification: OK" in done.stdout + done.stderr) == (0, True), done.stderr
    text = export / f"timestamps/{log.checkpoints[0]}.txt"
    text.write_text(text.read_text().replace("\n", " \n", 1))
    done = shell(commands, export, size=str(log.checkpoints[0]))
    assert done.returncode != 0


def test_openssl_and_shell_check_one_event_as_documented(export: Path) -> None:
    """Salt and content of a line give the commitment, and that stands in the leaf."""
    commands = documented("openssl-event")
    done = shell(commands, export)
    found, expected = done.stdout.split()
    assert found == expected, done.stderr
    file = export / "events/000000.jsonl"
    file.write_text(file.read_text().replace("Rita", "Rit@"))
    assert len(set(shell(commands.replace("6p", "/Rit@/{p;q}"), export).stdout.split())) == 2


@pytest.mark.go
def test_gos_own_transparency_log_packages(export: Path, made_up: Path, tmp_path: Path) -> None:
    """golang.org/x/mod/sumdb: note and tlog, as the program in docs/foreign uses them."""
    program = toolchains.built(ROOT / "docs" / "foreign" / "checklog.go", tmp_path)
    key = str(sealed.SIGNER.verifier)
    for path, leaves, checkpoints in (
        (export, len(tampering.original().events), 4),
        (made_up, 100, len(SIZES)),
    ):
        done = subprocess.run([program, path, key], capture_output=True, text=True, timeout=60, check=False)
        assert done.stdout == f"ok: {leaves} leaves, {checkpoints} checkpoints\n", done.stderr
    for damage in (_change_leaf, _change_tile, _change_signature, _forget_the_beginning):
        damaged = tmp_path / damage.__name__
        shutil.copytree(made_up, damaged)
        damage(damaged)
        done = subprocess.run(
            [program, damaged, key], capture_output=True, text=True, timeout=60, check=False
        )
        assert (done.returncode, done.stderr[:8]) == (1, "REFUSED:"), damage.__name__


def _change_leaf(path: Path) -> None:
    file = path / "tile/entries/000.p/100"
    file.write_bytes(file.read_bytes().replace(b"signed_in", b"signed-in", 1))


def _change_tile(path: Path) -> None:
    file = path / "tile/0/000.p/100"
    data = file.read_bytes()
    file.write_bytes(data[:32] + bytes(32) + data[64:])


def _change_signature(path: Path) -> None:
    note = (path / "checkpoint").read_text()
    line = note.split("\n")[-2]
    raw = bytearray(base64.b64decode(line.split(" ")[2]))
    raw[-1] ^= 1
    (path / "checkpoint").write_text(note.replace(line.split(" ")[2], base64.b64encode(raw).decode()))


def _forget_the_beginning(path: Path) -> None:
    """A checkpoint that the real key signed, of another history."""
    other = sealed.SIGNER.note(notes.Checkpoint(sealed.ORIGIN, 13, merkle.leaf_hash(b"another")).text)
    (path / "checkpoints/2026-01-01").write_text(other)


def test_openssl_is_the_one_that_the_tests_mean() -> None:
    assert openssl("version").startswith(b"OpenSSL 3.")
