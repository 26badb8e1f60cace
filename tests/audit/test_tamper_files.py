"""Files of the log that somebody changed, cut or made anew, with the real key too: found by which check, told how."""

import base64
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit.tlog import folder, leaves, notes, tiles
from audit.tlog.report import Trust
from tests.audit import authority, sealed, tampering
from tests.audit.tampering import WITNESS, Log


@dataclass(frozen=True)
class Tampering:
    """What somebody does to an export (or to the log: that is the same), the check, and a part of the sentence."""

    name: str
    do: Callable[[Path, Log], object]
    check: str
    says: str


def width(log: Log) -> int:
    return log.checkpoints[-1]


def entries_file(path: Path, log: Log) -> Path:
    return path / tiles.entries_path(0, width(log))


def tile_file(path: Path, log: Log) -> Path:
    return path / tiles.tile_path(0, 0, width(log))


def day(path: Path) -> Path:
    return next((path / "checkpoints").iterdir())


def notes_of(path: Path) -> list[str]:
    parts = day(path).read_text().split("\n\n")
    texts = [parts[0], *(part.partition("\n")[2] for part in parts[1:-1])]
    lines = [part.partition("\n")[0] for part in parts[1:]]
    return [f"{text}\n\n{line}\n" for text, line in zip(texts, lines, strict=True)]


def edit_leaf(path: Path, log: Log) -> None:
    sealed_ = tampering.entries(log.path, width(log))
    sealed_[3] = replace(leaves.read(sealed_[3]), kind="proposal.rejected").data
    entries_file(path, log).write_bytes(tiles.bundle(sealed_))


def break_leaf(path: Path, log: Log) -> None:
    sealed_ = tampering.entries(log.path, width(log))
    sealed_[3] = b"{}"
    entries_file(path, log).write_bytes(tiles.bundle(sealed_))


def edit_tile(path: Path, log: Log) -> None:
    data = bytearray(tile_file(path, log).read_bytes())
    data[3 * 32] ^= 1
    tile_file(path, log).write_bytes(data)


def edit_leaf_and_tile(path: Path, log: Log) -> None:
    """Everything but the signature fits again."""
    edit_leaf(path, log)
    shutil.rmtree(path / "tile" / "0")
    found = list(tiles.unbundle(entries_file(path, log).read_bytes()))
    shutil.rmtree(path / "tile" / "entries")
    folder.append(path, 0, found)


def edit_checkpoint(path: Path, log: Log) -> None:
    day(path).write_text(
        day(path).read_text().replace(f"\n{log.checkpoints[2]}\n", f"\n{log.checkpoints[2] - 1}\n")
    )


def delete_checkpoint(number: int) -> Callable[[Path, Log], object]:
    def do(path: Path, log: Log) -> None:
        found = notes_of(path)
        del found[number]
        day(path).write_text("".join(found))

    return do


def checkpoint_of_a_stranger(path: Path, log: Log) -> None:
    text = notes.split((path / "checkpoint").read_text())[0]
    stranger = notes.Signer(sealed.ORIGIN, Ed25519PrivateKey.generate())
    (path / "checkpoint").write_text(stranger.note(text))


def everything_by_a_stranger(path: Path, log: Log) -> None:
    """A whole log of somebody's own, and his key beside it."""
    stranger = notes.Signer(sealed.ORIGIN, Ed25519PrivateKey.generate())
    note = stranger.note(notes.split((path / "checkpoint").read_text())[0])
    (path / "checkpoint").write_text(note)
    (path / "key").write_text(f"{stranger.verifier}\n")


def swap_timestamp(path: Path, log: Log) -> None:
    """A genuine timestamp of the same authority, for another state of the log."""
    stamped, other = log.checkpoints[0], log.checkpoints[1]
    (path / f"timestamps/{stamped}.tsr").rename(path / f"timestamps/{other}.tsr")
    (path / f"timestamps/{stamped}.txt").unlink()
    text = next(notes.split(note)[0] for note in notes_of(path) if f"\n{other}\n" in note)
    (path / f"timestamps/{other}.txt").write_text(text)


def strangers_timestamp(path: Path, log: Log) -> None:
    size = log.checkpoints[0]
    clock = authority.authority(path.parent / "clock")
    clock.folder.mkdir()
    tampering.stamp(path, clock, (path / f"timestamps/{size}.txt").read_text())


def move_cosignature(path: Path, log: Log) -> None:
    """A genuine line under another checkpoint."""
    cosigned, other = log.checkpoints[1], log.checkpoints[2]
    line = (path / f"cosignatures/{cosigned}").read_text().rpartition("\n\n")[2]
    text = next(notes.split(note)[0] for note in notes_of(path) if f"\n{other}\n" in note)
    (path / f"cosignatures/{other}").write_text(f"{text}\n{line}")


def strangers_cosignature(path: Path, log: Log) -> None:
    file = path / f"cosignatures/{log.checkpoints[1]}"
    line = file.read_text().rpartition("\n\n")[2]
    raw = bytearray(base64.b64decode(line.split(" ")[2]))
    raw[-1] ^= 1
    file.write_text(file.read_text().replace(line.split(" ")[2].strip(), base64.b64encode(raw).decode()))


def edit_line(path: Path, log: Log) -> None:
    file = path / "events/000000.jsonl"
    file.write_text(file.read_text().replace("Rita Reviewer", "Mallory", 1))


def drop_line(path: Path, log: Log) -> None:
    file = path / "events/000000.jsonl"
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(lines[:5] + lines[6:]))


def twice_a_line(path: Path, log: Log) -> None:
    file = path / "events/000000.jsonl"
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join([*lines[:6], *lines[5:]]))


def swap_lines(path: Path, log: Log) -> None:
    file = path / "events/000000.jsonl"
    lines = file.read_text().splitlines(keepends=True)
    lines[5], lines[6] = lines[6], lines[5]
    file.write_text("".join(lines))


def junk_line(path: Path, log: Log) -> None:
    file = path / "events/000000.jsonl"
    file.write_text(file.read_text() + '{"leaf": "\\u001b[2J", "event": 1}\n')


def more_in_the_manifest(path: Path, log: Log) -> None:
    manifest = json.loads((path / "manifest.json").read_text())
    manifest["events"]["count"] = 10**12
    (path / "manifest.json").write_text(json.dumps(manifest))


def unlinked(name: str) -> Callable[[Path, Log], object]:
    def do(path: Path, log: Log) -> None:
        (path / name.format(size=width(log), stamped=log.checkpoints[0])).unlink()

    return do


def cut_bundle(path: Path, log: Log) -> None:
    entries_file(path, log).write_bytes(entries_file(path, log).read_bytes()[:-1])


BUNDLE, TILE = "tile/entries/000.p/{size}", "tile/0/000.p/{size}"
TAKEN_OUT = "is not among those of any day: it was taken out"
NEWEST = "The newest checkpoint is not among those of any day"
TAMPERINGS = [
    Tampering("edit a leaf", edit_leaf, "bundle", f"Leaf 3 in {BUNDLE} (event {{event}}, proposal.rejected)"),
    Tampering("break a leaf", break_leaf, "bundle", f"Leaf 3 in {BUNDLE} (not a leaf any more) was changed"),
    Tampering("cut a bundle", cut_bundle, "bundle", "cannot be used"),
    Tampering("delete a bundle", unlinked(BUNDLE), "bundle", "there is no such file"),
    Tampering("edit a tile", edit_tile, "tile", f"The tile {TILE} holds for leaf 3 another hash"),
    Tampering("delete a tile", unlinked(TILE), "tile", f"The file {TILE} is missing"),
    Tampering("edit a leaf and its tile", edit_leaf_and_tile, "root",
              "The newest checkpoint does not fit: its {size} leaves give another root. The first 0 leaves are as"),
    Tampering("edit a checkpoint", edit_checkpoint, "history", "is not signed"),
    Tampering("delete a timestamped checkpoint", delete_checkpoint(0), "history", TAKEN_OUT),
    Tampering("delete a cosigned checkpoint", delete_checkpoint(1), "history",
              "The checkpoint in cosignatures/{cosigned} (signed by a witness you know) is not among those of any day"),
    Tampering("delete the newest of the day", delete_checkpoint(-1), "history", NEWEST),
    Tampering("delete the day", lambda path, log: day(path).unlink(), "history", NEWEST),
    Tampering("a stranger's checkpoint", checkpoint_of_a_stranger, "checkpoint", "The newest checkpoint does not hold"),
    Tampering("a stranger's log", everything_by_a_stranger, "key", "The export's own key is not the one that you"),
    Tampering("another timestamp", swap_timestamp, "timestamp", "The timestamp is for another text"),
    Tampering("a stranger's timestamp", strangers_timestamp, "timestamp", "is not to be believed"),
    Tampering("a timestamp without its token", unlinked("timestamps/{stamped}.tsr"), "timestamp", "without its"),
    Tampering("a moved cosignature", move_cosignature, "cosignature", "does not fit the text"),
    Tampering("a changed cosignature", strangers_cosignature, "cosignature", "does not fit the text"),
    Tampering("edit a line", edit_line, "commitment", "was changed after it was sealed"),
    Tampering("drop a line", drop_line, "missing", "leaf 5, of "),
    Tampering("a line twice", twice_a_line, "extra", "The line 7 of events/000000.jsonl, event "),
    Tampering("swap lines", swap_lines, "missing", "leaf 5, of "),
    Tampering("a line of junk", junk_line, "extra", "is not the line of an event"),
    Tampering("no lines", unlinked("events/000000.jsonl"), "missing", "leaf 0, of "),
    Tampering("a manifest that promises more", more_in_the_manifest, "export", "events that the log does not have"),
    Tampering("no manifest", unlinked("manifest.json"), "export", "There is no manifest.json"),
    Tampering("interrupted", lambda path, log: (path / "UNFINISHED").touch(), "export", "The export was interrupted"),
]  # fmt: skip


@pytest.mark.parametrize("tampering_", TAMPERINGS, ids=lambda one: one.name)
def test_a45_what_somebody_does_to_files_is_found(tampering_: Tampering, export: Path) -> None:
    log = tampering.original()
    tampering_.do(export, log)
    report, text = tampering.found(export, log.trust())
    assert tampering_.check in report.findings.counts, text
    expected = {"size": width(log), "event": log.events[3], "cosigned": log.checkpoints[1]}
    assert tampering_.says.format(**expected) in text
    assert "NOT VERIFIED" in text
    assert "\x1b" not in text


def test_a_changed_leaf_accuses_nobody_else(export: Path) -> None:
    """The row is right, the tiles are right, and so every checkpoint: one finding."""
    log = tampering.original()
    edit_leaf(export, log)
    report, text = tampering.found(export, log.trust())
    assert report.findings.total == 1, text


def shorter(log: Log, into: Path) -> Path:
    """What remains when rows, leaves and files end at the second checkpoint, as after restoring a backup of all."""
    size = log.checkpoints[1]
    with tampering.untriggered() as intruder:
        intruder.execute("DELETE FROM audit_auditevent WHERE id = ANY(%s)", [log.events[size:]])
        intruder.execute("DELETE FROM audit_auditleaf WHERE number >= %s", [size])
    kept, found = notes_of(log.path)[:2], tampering.entries(log.path, width(log))[:size]
    shutil.rmtree(log.path / "tile")
    folder.append(log.path, 0, found)
    day(log.path).write_text("".join(kept))
    (log.path / "checkpoint").write_text(kept[-1])
    return log.export(into)


def test_a_tail_that_was_cut_everywhere_needs_somebody_who_remembers(
    log: Log, export: Path, tmp_path: Path
) -> None:
    cut = shorter(log, tmp_path / "cut")
    alone, _ = tampering.found(cut, log.trust())
    assert alone.holds, "the shorter log is a true state of the log, as it once was"
    for older in (export, export / "checkpoint", day(export)):
        report, text = tampering.found(cut, log.trust(older=older))
        assert "has more leaves than the log has now: its end was cut off" in text
        assert report.findings.counts["older"] >= 1


def test_a_cut_behind_an_anchor_is_found_by_the_anchor(log: Log, tmp_path: Path) -> None:
    """The witness had seen more; his signature is still there."""
    size = width(log)
    text_ = notes.split((log.path / "checkpoint").read_text())[0]
    kept = f"{text_}\n{WITNESS.line(text_, time=1_795_000_000)}"
    cut = shorter(log, tmp_path / "cut")
    (cut / f"cosignatures/{size}").write_text(kept)
    report, text = tampering.found(cut, log.trust())
    assert "cosignature" in report.findings.counts
    assert (
        f"The checkpoint in cosignatures/{size} (signed by a witness you know) has more leaves than the log has"
        in text
    )


@pytest.mark.parametrize("remembers", ["older export", "witness", "timestamp", "nobody"])
def test_a46_a_tree_made_anew_with_the_real_key(
    remembers: str, log: Log, export: Path, tmp_path: Path
) -> None:
    """An insider with database and key writes the history anew: one event less, everything signed and in order."""
    found = tampering.entries(log.path, width(log))
    gone = log.events[5]
    with tampering.untriggered() as intruder:
        intruder.execute("DELETE FROM audit_auditevent WHERE id = %s", [gone])
        intruder.execute("DELETE FROM audit_auditleaf WHERE event = %s", [gone])
        intruder.execute("UPDATE audit_auditleaf SET number = number - 1 WHERE number > 5")
    size = log.checkpoints[1 if remembers == "witness" else 0]
    kind = {"timestamp": "timestamps", "witness": "cosignatures"}.get(remembers, "")
    kept = {file.name: file.read_bytes() for file in (export / kind).glob(f"{size}*")} if kind else {}
    tampering.rebuilt(log.path, found[:5] + found[6:])
    forged = log.export(tmp_path / "forged")
    for name, data in kept.items():
        (forged / kind).mkdir(exist_ok=True)
        (forged / kind / name).write_bytes(data)
    report, text = tampering.found(forged, log.trust(older=export if remembers == "older export" else None))
    if remembers == "nobody":
        assert report.holds
        assert "could have written it anew" in text, "the report says what it cannot know"
        return
    check = {"older export": "older", "witness": "cosignature", "timestamp": "timestamp"}[remembers]
    assert check in report.findings.counts, text
    assert f"its {size} leaves give another root" in text
    assert "The first 0 leaves are as they were signed" in text


def test_without_anything_brought_along_it_says_what_it_cannot_know(export: Path) -> None:
    report, text = tampering.found(export, Trust())
    assert report.holds
    assert "the key came from the export itself" in text
    assert "Whether the 1 timestamps come from an authority that you trust" in text
    assert "The cosignatures of witness.example/w" in text
