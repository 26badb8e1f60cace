"""The command line of the witness: `python3 countersign-witness.pyz --log https://… --key … --name … --state DIR`.

Ends with 0 when all is well, 1 when it could not look (try again), 2 when the log contradicts itself, 64 for arguments
that make no sense."""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from audit.tlog import folder, notes, sources
from audit.tlog.notes import BadNote, Verifier
from audit.tlog.witness import Contradiction, NotNow, Publish, Witness, prepared, proves

WELL, NOT_NOW, CONTRADICTION, MISUSED = 0, 1, 2, 64


class _Arguments(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(MISUSED, f"{self.prog}: {message}\n")


def _arguments() -> _Arguments:
    found = _Arguments(prog="witness", description="Watch a Countersign log: cosign it while it only grows.")
    found.add_argument(
        "--key", required=True, metavar="VKEY", help="the log's public key, or a file that holds it"
    )
    found.add_argument("--log", metavar="PLACE", help="https://HOST/tlog/, or a folder with the log's files")
    found.add_argument("--name", help="this witness's name, such as witness.example.com/countersign")
    found.add_argument(
        "--state", type=Path, metavar="DIR", help="where this witness keeps its key and what it saw"
    )
    found.add_argument(
        "--out", type=Path, metavar="DIR", help="write cosignatures there instead of handing them in"
    )
    found.add_argument("--every", type=int, metavar="SECONDS", help="look again and again; without it once")
    found.add_argument(
        "--evidence", type=Path, metavar="FILE", help="only say what a file of evidence proves"
    )
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    parser = _arguments()
    given = parser.parse_args(arguments)
    try:
        log = _key(given.key)
        if given.evidence:
            return _judge(given.evidence, log)
        if not (given.log and given.name and given.state):
            parser.error("--log, --name and --state are needed")
        source = sources.opened(given.log)
        witness = prepared(given.state, log, given.name)
    except (BadNote, ValueError, NotNow, OSError) as error:
        parser.error(str(error))
    print(f"This witness's public key: {witness.signer.verifier}", flush=True)
    publish = _publisher(source, given.out or given.state / "cosignatures", is_told=given.out is not None)
    code = _once(witness, source, publish)
    while given.every and code != CONTRADICTION:
        time.sleep(max(1, given.every))
        code = _once(witness, source, publish)
    return code


def _key(text: str) -> Verifier:
    return notes.verifier(text if "+" in text else Path(text).read_text(encoding="utf-8"))


def _publisher(source: sources.Source, out: Path, *, is_told: bool) -> Publish:
    if isinstance(source, sources.Web) and not is_told:
        web = source
        return lambda _, note: web.publish(note)
    return lambda size, note: folder.write(out / str(size), note.encode())


def _once(witness: Witness, source: sources.Source, publish: Publish) -> int:
    try:
        seen = witness.look(source, publish, time=int(time.time()))
    except NotNow as error:
        print(f"Not now: {error}.", file=sys.stderr, flush=True)
        return NOT_NOW
    except Contradiction as error:
        bar = "!" * 78
        told = f"{bar}\n{error}.\nNothing was cosigned. The evidence: {error.evidence}\n{bar}"
        print(told, file=sys.stderr, flush=True)
        return CONTRADICTION
    if seen.before is None:
        print(f"Seen for the first time, with size {seen.size}. Cosigned.", flush=True)
    elif seen.before == seen.size:
        print(f"Still of size {seen.size}, and cosigned.", flush=True)
    else:
        print(f"Of size {seen.size}, continuing size {seen.before}. Cosigned.", flush=True)
    return WELL


def _judge(file: Path, log: Verifier) -> int:
    found = proves(file.read_bytes(), log)
    print(found or "This proves nothing against the log.")
    return CONTRADICTION if found else WELL
