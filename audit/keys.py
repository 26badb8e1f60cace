"""The keys of content: one per data subject, in files apart from the database.

    CONTENT_KEYS_DIR/
      lock                    held shared while a key is made, alone while keys are rewrapped or destroyed
      master                  Fernet keys, newest first, one a line
      index                   the secret under which references are made, wrapped by the master
      subjects/ab/abcd…       "<key id> <data key, wrapped by the master>"; the file's name is the reference

Destroying the file is the erasure: nothing in the database opens what was written under it. A subject that is written
about again afterwards gets a new key under the same reference; its id differs, and what was erased stays so. Every
use looks at the file's inode and time, so a key that another process destroyed is not used again, on a shared file
system within its cache of attributes (seconds). Several hosts need this directory shared."""

import fcntl
import hashlib
import hmac
import os
import secrets
import unicodedata
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings

INSTALLATION = ""
"""The reference of what belongs to no known subject."""
KEY_BYTES, ID_BYTES = 32, 8
_CACHED = 8192
_Seen = tuple[int, int, int]


class Unreadable(RuntimeError):
    """A key file is there and cannot be opened: its master is gone, or it is damaged."""


@dataclass(frozen=True, slots=True)
class Key:
    """`id` tells two keys of one subject apart and says nothing else."""

    id: bytes
    secret: bytes


@dataclass(slots=True)
class _Cached:
    seen: _Seen
    key: Key


_cache: OrderedDict[Path, _Cached] = OrderedDict()
_masters: dict[Path, tuple[_Seen, list[Fernet]]] = {}
_index: dict[Path, tuple[_Seen, bytes]] = {}


def reference(subject: tuple[str, str] | None) -> str:
    """The name of a subject's key: HMAC-SHA256(index secret, type ‖ 0 ‖ id), hex; empty for nobody.

    Who has no access to this directory can neither read it nor try names on it. Case, spaces and compatibility forms
    do not make another person of one."""
    if subject is None or not subject[1].strip():
        return INSTALLATION
    plain = "\x00".join(_plain(part) for part in subject)
    return hmac.new(_index_secret(), plain.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().replace("\x00", " ").split())


def writing(name: str) -> Key:
    """The key to encrypt under, made where there is none; when this returns, it survives a power cut.

    Raises `Unreadable`, `OSError`: then nothing may be stored."""
    path = _path(name)
    known = _cache.get(path)
    if known is not None and known.seen == _seen(path):
        _cache.move_to_end(path)
        return known.key
    found = _load(path)
    if found is None:
        return _make(path)
    _sync(path.parent)  # whoever made it may not have come so far
    return found


def reading(name: str) -> Key | None:
    """The key to decrypt with; None where it was destroyed or lost. Raises `Unreadable`."""
    path = _path(name)
    known = _cache.get(path)
    if known is not None and known.seen == _seen(path):
        _cache.move_to_end(path)
        return known.key
    return _load(path)


def identity(name: str) -> bytes | None:
    """The id of a subject's key, even where the key itself cannot be opened."""
    try:
        return bytes.fromhex(_path(name).read_text().split(" ")[0])
    except (FileNotFoundError, ValueError):
        return None


def destroy(name: str, key_id: bytes) -> None:
    """Overwrite and remove this key and no later one. Repeated after an interruption, it ends what was begun."""
    path = _path(name)
    doomed = path.with_name(f"{path.name}.{key_id.hex()}.gone")
    with _locked(fcntl.LOCK_EX):
        _cache.pop(path, None)
        if identity(name) == key_id:
            path.rename(doomed)
            _sync(path.parent)
        if doomed.exists():
            with doomed.open("r+b") as file:
                file.write(secrets.token_bytes(doomed.stat().st_size))
                file.flush()
                os.fsync(file.fileno())
            doomed.unlink()
            _sync(path.parent)


def rotate() -> int:
    """A new master, everything wrapped anew, the old masters dropped; how many keys were rewrapped.

    Killed in between, the next call goes on with the master that was made: more than one in the file says so."""
    root = _root()
    with _locked(fcntl.LOCK_EX):
        secrets_now = _master_lines(root)
        if len(secrets_now) < 2:
            secrets_now.insert(0, Fernet.generate_key().decode())
            _replace(root / "master", _lines(secrets_now))
    done = 0
    for path in [root / "index", *_key_files(root)]:
        with _locked(fcntl.LOCK_EX):
            done += _rewrap(path)
    with _locked(fcntl.LOCK_EX):
        _replace(root / "master", _lines(_master_lines(root)[:1]))
    return done


def _rewrap(path: Path) -> bool:
    """Wrap one file under the newest master, unless it is already or somebody destroyed it meanwhile."""
    masters = _boxes()
    try:
        *prefix, token = path.read_text().strip().split(" ")
    except FileNotFoundError:
        return False
    try:
        masters[0].decrypt(token)
        return False
    except InvalidToken:
        pass
    try:
        wrapped = MultiFernet(masters).rotate(token.encode()).decode()
    except InvalidToken as error:
        raise Unreadable(f"{path}: no master opens it; nothing was dropped") from error
    _replace(path, " ".join([*prefix, wrapped]) + "\n")
    return True


def _make(path: Path) -> Key:
    """A new key, written whole; of two processes that make one at once, one wins and both use it."""
    made = Key(secrets.token_bytes(ID_BYTES), secrets.token_bytes(KEY_BYTES))
    for folder in (_root(), path.parent.parent, path.parent):
        if not folder.is_dir():
            folder.mkdir(mode=0o700, exist_ok=True)
            _sync(folder.parent)
    with _locked(fcntl.LOCK_SH):
        wrapped = _boxes()[0].encrypt(made.secret).decode()
        _create(path, f"{made.id.hex()} {wrapped}\n")
    found = _load(path)
    return found or _make(path)  # destroyed again within a moment


def _load(path: Path) -> Key | None:
    try:
        seen = _seen(path)
        key_id, token = path.read_text().strip().split(" ")
        key = Key(bytes.fromhex(key_id), MultiFernet(_boxes()).decrypt(token))
    except FileNotFoundError:
        _cache.pop(path, None)
        return None
    except (ValueError, InvalidToken) as error:
        raise Unreadable(f"{path}: no master opens this key") from error
    if seen is None or seen != _seen(path):
        return _load(path)
    _cache[path] = _Cached(seen, key)
    while len(_cache) > _CACHED:
        _cache.popitem(last=False)
    return key


def _index_secret() -> bytes:
    path = _root() / "index"
    known = _index.get(path)
    seen = _seen(path)
    if known is not None and known[0] == seen:
        return known[1]
    if seen is None:
        with _locked(fcntl.LOCK_SH):
            _create(path, _boxes()[0].encrypt(secrets.token_bytes(KEY_BYTES)).decode() + "\n")
        return _index_secret()
    try:
        opened = MultiFernet(_boxes()).decrypt(path.read_text().strip())
    except InvalidToken as error:
        raise Unreadable(f"{path}: no master opens it") from error
    _index[path] = (seen, opened)
    return opened


def _boxes() -> list[Fernet]:
    """The masters, newest first; the first one is made on first use."""
    path = _root() / "master"
    known = _masters.get(path)
    seen = _seen(path)
    if known is not None and known[0] == seen:
        return known[1]
    if seen is None:
        if (path.parent / "index").exists():
            raise Unreadable(f"{path} is missing, and what it wrapped is there: restore it")
        _create(path, _lines([Fernet.generate_key().decode()]))
        return _boxes()
    boxes = [Fernet(line) for line in _master_lines(path.parent)]
    _masters[path] = (seen, boxes)
    return boxes


def _root() -> Path:
    root = Path(settings.CONTENT_KEYS_DIR)
    if not root.is_dir():
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
    return root


def _path(name: str) -> Path:
    return Path(settings.CONTENT_KEYS_DIR) / "subjects" / (name[:2] or "00") / (name or "installation")


def _key_files(root: Path) -> Iterator[Path]:
    for shard in sorted((root / "subjects").glob("??")):
        yield from sorted(path for path in shard.iterdir() if "." not in path.name)


def _master_lines(root: Path) -> list[str]:
    return (root / "master").read_text().split()


def _lines(parts: list[str]) -> str:
    return "".join(part + "\n" for part in parts)


def _seen(path: Path) -> _Seen | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _create(path: Path, text: str) -> None:
    """Write a file whole, or leave the one that is there."""
    draft = _draft(path, text)
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    _sync(path.parent)


def _replace(path: Path, text: str) -> None:
    _draft(path, text).replace(path)
    _sync(path.parent)


def _draft(path: Path, text: str) -> Path:
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}.new")
    with os.fdopen(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    return draft


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _locked(how: int) -> Iterator[None]:
    """The directory's lock, which the system gives back when a process dies."""
    handle = os.open(_root() / "lock", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(handle, how)
        yield
    finally:
        os.close(handle)
