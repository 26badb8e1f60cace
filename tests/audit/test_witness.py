"""The witness: cosigns a log that only grows, proves one that does not, and forgets nothing however it ends."""

import base64
import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audit.tlog import folder, notes, sources
from audit.tlog.sources import Disk, Unreachable
from audit.tlog.witness import Contradiction, NotNow, Witness, prepared, proves
from tests.audit.growing_log import ORIGIN, GrowingLog

NAME = "witness.example/one"
NOW = 1_800_000_000


@pytest.fixture(autouse=True)
def _disk_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is tested here is what is written, not whether it outlives a power cut."""
    monkeypatch.setattr("audit.tlog.folder.os.fsync", lambda _: None)


class Desk:
    """What was handed in, in order."""

    def __init__(self) -> None:
        self.taken: list[tuple[int, str]] = []

    def __call__(self, size: int, note: str) -> None:
        self.taken.append((size, note))


@pytest.fixture
def log(tmp_path: Path) -> GrowingLog:
    return GrowingLog(tmp_path / "log")


@pytest.fixture
def desk() -> Desk:
    return Desk()


def witness_of(log: GrowingLog, directory: Path) -> Witness:
    return prepared(directory, log.signer.verifier, NAME)


def look(log: GrowingLog, desk: Callable[[int, str], None], *, time: int = NOW) -> tuple[int | None, int]:
    seen = witness_of(log, log.path.parent / "witness").look(Disk(log.path), desk, time=time)
    return seen.before, seen.size


def refused(log: GrowingLog, desk: Desk) -> Contradiction:
    with pytest.raises(Contradiction) as caught:
        look(log, desk)
    return caught.value


def rewritten(log: GrowingLog, *sizes: int) -> GrowingLog:
    """The same log's key over other leaves, in the same place."""
    other = GrowingLog(log.path.parent / "other", key=log.signer.private, mark="changed")
    for size in sizes:
        other.grow(size)
    other.path, log.path = log.path, other.path
    return log


def test_first_look_makes_a_key_of_its_own_and_cosigns(log: GrowingLog, desk: Desk, tmp_path: Path) -> None:
    log.grow(5)

    assert look(log, desk) == (None, 5)

    vkey = (tmp_path / "witness" / "vkey").read_text()
    [(size, note)] = desk.taken
    text, [signature] = notes.check(note, notes.verifier(vkey))
    assert (size, text, signature) == (5, log.text, notes.Signature(NAME, NOW))
    assert stat.S_IMODE((tmp_path / "witness" / "key").stat().st_mode) == 0o600


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.integers(0, 400), min_size=2, max_size=5))
def test_log_that_only_grows_is_cosigned_at_every_size_once(
    steps: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    log, desk = GrowingLog(tmp_path_factory.mktemp("growing") / "log"), Desk()
    sizes = []
    for step in steps:
        log.grow(step)
        look(log, desk)
        sizes.append(log.size)

    assert [size for size, _ in desk.taken] == list(dict.fromkeys(sizes))


def test_same_checkpoint_again_is_not_signed_again(log: GrowingLog, desk: Desk) -> None:
    log.grow(5)
    look(log, desk)

    assert look(log, desk, time=NOW + 3600) == (5, 5)
    assert len(desk.taken) == 1


@pytest.mark.parametrize(("seen", "now"), [(1, 2), (4, 9), (5, 300), (256, 257), (255, 1000), (300, 2000)])
def test_a46_rewritten_log_is_refused_and_proven_to_anybody(
    log: GrowingLog, desk: Desk, tmp_path: Path, seen: int, now: int
) -> None:
    log.grow(seen)
    look(log, desk)
    state = (tmp_path / "witness" / "state").read_bytes()

    found = refused(rewritten(log, now), desk)

    evidence = found.evidence.read_bytes()
    assert f"first {seen} leaves" in str(found)
    assert proves(evidence, log.signer.verifier) == (
        f"{ORIGIN} has signed {now} leaves of which the first {seen} are not those it signed."
    )
    assert (tmp_path / "witness" / "state").read_bytes() == state
    assert len(desk.taken) == 1


def test_two_trees_of_one_size_are_refused_and_proven(log: GrowingLog, desk: Desk) -> None:
    log.grow(5)
    look(log, desk)

    found = refused(rewritten(log, 5), desk)

    assert str(found) == "The log has signed two different trees of 5 leaves"
    assert proves(found.evidence.read_bytes(), log.signer.verifier) == (
        f"{ORIGIN} has signed two different trees of 5 leaves."
    )


def test_witness_that_found_something_stays_silent_until_somebody_looked(log: GrowingLog, desk: Desk) -> None:
    log.grow(5)
    look(log, desk)
    honest = log.path
    evidence = refused(rewritten(log, 9), desk).evidence
    log.path = honest

    assert "Something was found here before" in str(refused(log, desk))
    evidence.rename(evidence.with_name("kept.json"))
    log.grow(1)
    assert look(log, desk) == (5, log.size)


def test_log_that_lost_its_tail_is_refused_until_it_is_back(log: GrowingLog, desk: Desk) -> None:
    old = log.grow(5)
    new = log.grow(5)
    look(log, desk)
    folder.write(log.path / "checkpoint", old.encode())

    found = refused(log, desk)

    assert str(found) == "The log shows 5 leaves; it has signed 10 before"
    told = json.loads(found.evidence.read_text())
    assert (told["before"], told["now"], told["root"]) == (new, old, "")
    folder.write(log.path / "checkpoint", new.encode())
    assert look(log, desk) == (10, 10)


def test_evidence_proves_nothing_where_it_was_made_up(log: GrowingLog, desk: Desk, tmp_path: Path) -> None:
    log.grow(5)
    look(log, desk)
    honest: dict[str, Any] = {"before": log.note, "now": log.grow(4), "why": ""}
    tree = folder.Folder(log.path, 9)
    found = json.loads(refused(rewritten(log, 9), desk).evidence.read_text())
    stranger = GrowingLog(tmp_path / "stranger").signer.verifier

    honest |= {
        "root": in_base64(tree.root(5)),
        "proof": [in_base64(one) for one in tree.consistency_proof(5)],
    }
    made_up: list[Any] = [
        honest,
        {**found, "root": honest["root"]},
        {**found, "proof": found["proof"][:-1]},
        {**found, "before": found["before"].replace("5\n", "6\n", 1)},
        {**found, "before": found["now"], "now": found["before"]},
        {},
        [],
    ]
    for made in made_up:
        assert proves(json.dumps(made).encode(), log.signer.verifier) is None
    assert proves(json.dumps(found).encode(), stranger) is None
    assert proves(b"\xff", log.signer.verifier) is None


def in_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_other_logs_and_keys_are_not_looked_at(log: GrowingLog, desk: Desk, tmp_path: Path) -> None:
    log.grow(5)
    other = GrowingLog(tmp_path / "other")
    other.grow(5)
    witness = witness_of(log, tmp_path / "witness")
    renamed = notes.Signer("elsewhere", log.signer.private)

    with pytest.raises(NotNow, match="no known key"):
        witness.look(Disk(other.path), desk, time=NOW)
    folder.write(log.path / "checkpoint", renamed.note(log.text).encode())
    with pytest.raises(NotNow, match="no known key"):
        witness.look(Disk(log.path), desk, time=NOW)
    foreign = log.signer.note(log.text.replace(ORIGIN, "elsewhere"))
    folder.write(log.path / "checkpoint", foreign.encode())
    with pytest.raises(NotNow, match="of the log 'elsewhere'"):
        witness.look(Disk(log.path), desk, time=NOW)
    assert desk.taken == []


def test_damaged_tiles_prove_nothing_and_are_not_cosigned(
    log: GrowingLog, desk: Desk, tmp_path: Path
) -> None:
    log.grow(5)
    look(log, desk)
    log.grow(4)
    tile = log.path / "tile/0/000.p/9"
    whole = tile.read_bytes()

    for data in (bytes([whole[0] ^ 1]) + whole[1:], whole[:-1], whole[:-32], b"", whole + bytes(8192)):
        tile.write_bytes(data)
        with pytest.raises(NotNow):
            look(log, desk)
    tile.unlink()
    with pytest.raises(NotNow, match=r"tile/0/000.p/9 is missing"):
        look(log, desk)

    assert not (tmp_path / "witness" / "evidence.json").exists()
    assert len(desk.taken) == 1
    tile.write_bytes(whole)
    assert look(log, desk) == (5, 9)


def test_line_that_could_not_be_handed_in_is_handed_in_later_unchanged(log: GrowingLog, desk: Desk) -> None:
    log.grow(5)

    def broken(size: int, note: str) -> None:
        desk(size, note)
        raise Unreachable("the answer was lost")

    with pytest.raises(NotNow, match="Seen and signed, but not handed in"):
        look(log, broken)
    look(log, desk, time=NOW + 3600)
    look(log, desk, time=NOW + 7200)

    assert len(desk.taken) == 2
    assert desk.taken[0] == desk.taken[1]


class Killed(BaseException):
    """The process ends here."""


def test_kill_between_any_two_steps_leaves_one_signature_per_size(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before and after every write, every signature and every hand-in, at the first look and at a later one."""
    deaths = 0
    for point in range(30):
        log, desk = GrowingLog(tmp_path_factory.mktemp("killed") / "log"), Desk()
        steps = iter(range(1000))
        write, line = folder.write, notes.Signer.line

        def step(steps=steps, point=point) -> None:  # type: ignore[no-untyped-def]
            if next(steps) == point:
                raise Killed

        def written(path: Path, data: bytes, write=write, step=step) -> None:  # type: ignore[no-untyped-def]
            step()
            write(path, data)
            step()

        def signed(self: notes.Signer, text: str, *, time: int = 0, line=line, step=step) -> str:  # type: ignore[no-untyped-def]
            step()
            return str(line(self, text, time=time))

        def handed(size: int, note: str, desk=desk, step=step) -> None:  # type: ignore[no-untyped-def]
            step()
            desk(size, note)
            step()

        died = False
        for time in range(4):
            if time % 2 == 0:
                log.grow(3)
            with monkeypatch.context() as patch:
                patch.setattr(folder, "write", written)
                patch.setattr(notes.Signer, "line", signed)
                try:
                    look(log, handed, time=NOW + time)
                except Killed:
                    died = True
        look(log, handed, time=NOW + 99)

        handed_in: dict[int, set[str]] = {}
        for size, note in desk.taken:
            handed_in.setdefault(size, set()).add(note)
        assert all(len(notes_of_size) == 1 for notes_of_size in handed_in.values())
        assert 6 in handed_in
        deaths += died

    assert deaths >= 12


def test_two_at_once_are_kept_apart(log: GrowingLog, desk: Desk, tmp_path: Path) -> None:
    log.grow(5)
    witness = witness_of(log, tmp_path / "witness")

    def meanwhile(size: int, note: str) -> None:
        with pytest.raises(NotNow, match="Another one is at work"):
            witness.look(Disk(log.path), desk, time=NOW)
        desk(size, note)

    witness.look(Disk(log.path), meanwhile, time=NOW)
    assert len(desk.taken) == 1


def test_changed_state_is_not_believed_and_not_begun_anew(
    log: GrowingLog, desk: Desk, tmp_path: Path
) -> None:
    log.grow(5)
    look(log, desk)
    file = tmp_path / "witness" / "state"
    state = json.loads(file.read_text())

    changed: list[Any] = [
        {**state, "note": state["note"].replace("\n5\n", "\n6\n")},
        {**state, "line": log.signer.line(log.text)},
        {**state, "line": "nonsense"},
        {"note": state["note"]},
        [],
    ]
    for values in changed:
        file.write_text(json.dumps(values))
        with pytest.raises(NotNow, match="does not hold"):
            look(log, desk)
    file.write_text("{")
    with pytest.raises(NotNow, match="does not hold"):
        look(log, desk)


def test_witness_keeps_its_name_and_a_good_one(log: GrowingLog, tmp_path: Path) -> None:
    witness_of(log, tmp_path / "witness")

    with pytest.raises(NotNow, match="another name or key"):
        prepared(tmp_path / "witness", log.signer.verifier, "somebody.else")
    for name in ("two words", "a+b", ""):
        with pytest.raises(NotNow, match="no name for a witness"):
            prepared(tmp_path / "new", log.signer.verifier, name)


def test_only_encrypted_addresses_are_taken() -> None:
    for address in (
        "http://log.example/tlog/",
        "ftp://log.example/",
        "file:///etc/",
        "https:///tlog/",
        "https://a/?b",
    ):
        with pytest.raises(ValueError, match=r"no address of a log|not encrypted"):
            sources.Web(address)
    assert sources.Web("http://127.0.0.1:80/tlog").address == "http://127.0.0.1:80/tlog/"
