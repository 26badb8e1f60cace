"""Keys of content: made once, gone for good when destroyed, rewrapped without losing one, in any order of accidents."""

import signal
import subprocess
import sys
import textwrap
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

from audit import content, keys
from audit.content import Gone, New
from audit.models import Content, ContentKind

AT = datetime(2026, 11, 22, 12, tzinfo=UTC)
ANNA = ("customer", "anna@example.org")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, settings: Any) -> Path:
    settings.CONTENT_KEYS_DIR = tmp_path / "keys"
    return tmp_path / "keys"


def made(body: bytes = b"Dear Anna", subject: tuple[str, str] | None = ANNA) -> Content:
    return content.prepare(New(ContentKind.PROMPT, subject, body), at=AT)


@pytest.mark.parametrize("body", [b"", b"short", b"long and dull " * 5000, bytes(range(256)) * 9])
@pytest.mark.parametrize("subject", [None, ANNA, ("", ""), ("customer", "Ünï\x00 \ud800")])
def test_what_is_kept_opens_to_the_same_bytes(body: bytes, subject: tuple[str, str] | None) -> None:
    row = made(body, subject)

    assert content.open_all([row]) == {row.pk: body}
    assert row.size == len(body)


def test_nothing_readable_stands_in_row_or_folder(folder: Path) -> None:
    row = made(b"Dear Anna, your account 4711")

    stored = [bytes(row.ciphertext or b"")] + [
        path.read_bytes() for path in folder.rglob("*") if path.is_file()
    ]
    assert all(b"Anna" not in one and b"anna@" not in one for one in stored)
    assert all(path.stat().st_mode & 0o077 == 0 for path in folder.rglob("*"))
    assert len(row.subject) == 64 and ANNA[1] not in row.subject


def test_a_reference_is_the_same_for_one_person_and_another_under_another_index(
    folder: Path, tmp_path: Path, settings: Any
) -> None:
    assert keys.reference(("Customer", " ANNA@example.org")) == keys.reference(ANNA)
    assert keys.reference(("customer", "bob")) != keys.reference(ANNA)
    here = keys.reference(ANNA)

    settings.CONTENT_KEYS_DIR = tmp_path / "elsewhere"

    assert keys.reference(ANNA) != here


def test_equal_texts_share_nothing() -> None:
    one, other = made(), made()

    assert one.commitment != other.commitment
    assert bytes(one.ciphertext or b"")[:9] == bytes(other.ciphertext or b"")[:9]  # the key's id
    assert bytes(one.ciphertext or b"")[9:] != bytes(other.ciphertext or b"")[9:]


@pytest.mark.parametrize("place", [0, 1, 9, 21, -1])
def test_a_changed_or_moved_ciphertext_says_nothing(place: int) -> None:
    row, other = made(b"long " * 300), made(b"long " * 300)
    changed = bytearray(row.ciphertext or b"")
    changed[place] ^= 3
    whole = row.ciphertext
    row.ciphertext = bytes(changed)

    answer = content._opened(row, bytes(changed))
    assert answer is None
    assert content._opened(other, bytes(whole or b"")) is None


def test_another_commitment_is_not_opened() -> None:
    row = made()
    row.commitment = made().commitment

    assert content._opened(row, bytes(row.ciphertext or b"")) is None


def test_a_destroyed_key_opens_nothing_and_what_comes_later_has_a_new_one() -> None:
    before = made()
    key_id = keys.identity(before.subject)
    assert key_id is not None

    keys.destroy(before.subject, key_id)

    assert keys.reading(before.subject) is None
    after = made(b"again")
    assert after.subject == before.subject
    assert content._opened(before, bytes(before.ciphertext or b"")) is None
    assert content._opened(after, bytes(after.ciphertext or b"")) == b"again"
    keys.destroy(before.subject, key_id)  # a repeat of the old erasure leaves the new key alone
    assert content._opened(after, bytes(after.ciphertext or b"")) == b"again"


def test_an_interrupted_destruction_goes_on(folder: Path) -> None:
    row = made()
    key_id = keys.identity(row.subject)
    assert key_id is not None
    path = keys._path(row.subject)
    path.rename(path.with_name(f"{path.name}.{key_id.hex()}.gone"))  # killed right after the rename
    assert keys.reading(row.subject) is None

    keys.destroy(row.subject, key_id)

    assert [one.name for one in path.parent.iterdir()] == []


_OTHER = """
    import sys
    from django.conf import settings
    settings.configure(CONTENT_KEYS_DIR=sys.argv[1])
    from audit import keys
    name = sys.argv[2]
    print(keys.writing(name).id.hex(), flush=True)
    for line in sys.stdin:
        key = keys.reading(name)
        print("none" if key is None else key.id.hex(), flush=True)
"""


def _other(folder: Path, name: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(_OTHER), str(folder), name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_another_process_notices_an_erasure_at_once(folder: Path) -> None:
    name = keys.reference(ANNA)
    mine = keys.writing(name)
    with _other(folder, name) as other:
        assert other.stdin and other.stdout
        assert other.stdout.readline().strip() == mine.id.hex()

        keys.destroy(name, mine.id)
        other.stdin.write("\n")
        other.stdin.flush()

        assert other.stdout.readline().strip() == "none"
        other.stdin.close()


def test_processes_that_make_one_key_at_once_agree(folder: Path) -> None:
    name = keys.reference(ANNA)
    others = [_other(folder, name) for _ in range(4)]
    found = set()
    for one in others:
        assert one.stdin and one.stdout
        found.add(one.stdout.readline().strip())
        one.stdin.close()
        one.stdout.close()
        one.wait()

    assert found == {keys.writing(name).id.hex()}


def test_rotation_keeps_every_text_and_drops_the_old_master(folder: Path) -> None:
    rows = [made(b"%d" % number, ("customer", str(number))) for number in range(5)]
    old = (folder / "master").read_text()

    assert keys.rotate() == 6  # five subjects and the index

    assert (folder / "master").read_text() != old
    assert len((folder / "master").read_text().split()) == 1
    keys._cache.clear()
    keys._index.clear()
    assert set(content.open_all(rows).values()) == {b"%d" % number for number in range(5)}
    assert keys.reference(("customer", "0")) == rows[0].subject


@pytest.mark.parametrize("survivors", range(4))
def test_a_killed_rotation_goes_on_where_it_was(folder: Path, survivors: int) -> None:
    rows = [made(b"%d" % number, ("customer", str(number))) for number in range(3)]
    killed = f"""
        import os, sys
        from django.conf import settings
        settings.configure(CONTENT_KEYS_DIR={str(folder)!r})
        from audit import keys
        rewrap, left = keys._rewrap, {survivors}
        def some(path):
            global left
            if not left:
                os.kill(os.getpid(), {int(signal.SIGKILL)})
            left -= 1
            return rewrap(path)
        keys._rewrap = some
        keys.rotate()
    """
    process = subprocess.run([sys.executable, "-c", textwrap.dedent(killed)], check=False)
    assert process.returncode == -signal.SIGKILL
    assert len((folder / "master").read_text().split()) == 2
    newest = (folder / "master").read_text().split()[0]
    keys._cache.clear()
    assert set(content.open_all(rows).values()) == {b"0", b"1", b"2"}

    assert keys.rotate() == 4 - survivors

    assert (folder / "master").read_text().split() == [newest]
    keys._cache.clear()
    assert set(content.open_all(rows).values()) == {b"0", b"1", b"2"}


def test_rotation_refuses_to_drop_a_master_that_somebody_needs(folder: Path) -> None:
    row = made()
    path = keys._path(row.subject)
    foreign = Fernet(Fernet.generate_key()).encrypt(b"x" * 32).decode()
    path.write_text(f"{path.read_text().split()[0]} {foreign}\n")
    old = (folder / "master").read_text().split()

    with pytest.raises(keys.Unreadable):
        keys.rotate()

    assert old[0] in (folder / "master").read_text().split()


def test_without_its_master_nothing_is_written_and_nothing_made_up(folder: Path) -> None:
    row = made()
    keys._cache.clear()
    (folder / "master").rename(folder / "away")

    with pytest.raises(keys.Unreadable):
        made(b"more", ("customer", "new"))
    assert content._opened(row, bytes(row.ciphertext or b"")) is None

    (folder / "away").rename(folder / "master")
    assert content.open_all([row]) == {row.pk: b"Dear Anna"}


@pytest.mark.django_db
def test_a_lost_folder_is_told_from_an_erasure(folder: Path) -> None:
    row = made()
    keys._path(row.subject).unlink()

    assert content.open_all([row]) == {row.pk: Gone("unreadable")}
