"""The verifier at a terminal: `manage.py audit_verify DIR`, or the one file `python verifier.pyz DIR`.

Exit codes: 0 it holds, 1 something was found, 2 it was asked wrongly."""

import argparse
import sys
import time
from pathlib import Path
from typing import TextIO

from cryptography import x509

from audit.tlog import findings, notes, signed, verify
from audit.tlog.report import Report, Trust

_DESCRIPTION = """Verify an exported audit log: every event, every leaf, every signature. Needs the files and the log's
public key; no database, no settings, no network."""


def main(arguments: list[str], *, program: str, out: TextIO = sys.stdout) -> int:
    """Read the arguments, verify, tell."""
    parser = _parser(program)
    given = parser.parse_args(arguments)
    try:
        trust = Trust(
            keys=tuple(_key(text) for text in given.key),
            witnesses=tuple(_key(text) for text in given.witness),
            roots=_roots(given.timestamp_roots),
            older=given.since,
        )
    except ValueError as error:
        parser.error(str(error))
    if not given.directory.is_dir():
        parser.error(
            f"{given.directory} is no directory. Name one that `manage.py audit_export` has written."
        )
    if given.since is not None and not given.since.exists():
        parser.error(
            f"{given.since} is not there. Name an older export, or the file of one of its checkpoints."
        )
    started = time.perf_counter()
    report = verify.verify(given.directory, trust, processes=given.processes)
    tell(report, time.perf_counter() - started, out)
    return 0 if report.holds else 1


def _parser(program: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=program, description=_DESCRIPTION)
    parser.add_argument("directory", type=Path, metavar="DIR", help="the export")
    parser.add_argument(
        "--key",
        action="append",
        default=[],
        metavar="VKEY",
        help="the log's public key, name+hash+base64, or a file that holds it; got in another way than the export",
    )
    parser.add_argument(
        "--witness",
        action="append",
        default=[],
        metavar="VKEY",
        help="a witness's public key, or a file; repeatable",
    )
    parser.add_argument(
        "--timestamp-roots",
        type=Path,
        metavar="PEM",
        help="the root certificates of timestamp authorities you trust",
    )
    parser.add_argument(
        "--since",
        type=Path,
        metavar="OLD",
        help="an older export, or a checkpoint's file, that this one must continue",
    )
    parser.add_argument(
        "--processes", type=int, default=2, metavar="N", help="how many to use for large logs"
    )
    return parser


def _key(text: str) -> notes.Verifier:
    """Raises BadNote or ValueError, in words."""
    file = Path(text)
    if "+" not in text or file.is_file():
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(
                f"{file} is neither a public key (name+hash+base64) nor a file with one."
            ) from error
    return notes.verifier(text)


def _roots(path: Path | None) -> bytes | None:
    if path is None:
        return None
    try:
        pem = path.read_bytes()
        x509.load_pem_x509_certificates(pem)
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} holds no certificates in PEM: {error}") from error
    return pem


def tell(report: Report, seconds: float, out: TextIO) -> None:
    """Findings first, then what could not be checked, the verdict last."""
    for finding in report.findings.kept:
        print(f"✗ {finding.check}: {finding.text}", file=out)
        if finding.found or finding.expected:
            print(f"    found     {finding.found or 'nothing'}", file=out)
            print(f"    expected  {finding.expected or 'nothing'}", file=out)
        print(f"    meaning   {findings.MEANING[finding.check]}", file=out)
    for check, count in report.findings.untold():
        print(f"✗ {check}: {count:,} more like that.", file=out)
    for line in report.remarks:
        print(f"! {line}", file=out)
    for line in report.unchecked:
        print(f"? Not checked: {line}", file=out)
    for line in _facts(report):
        print(f"  {line}", file=out)
    verdict = "VERIFIED" if report.holds else f"NOT VERIFIED: {report.findings.total:,} findings"
    span = f", {report.earliest} to {report.latest}" if report.earliest else ""
    print(f"{verdict}. {report.events:,} events in {report.size:,} leaves{span}; {seconds:.1f} s.", file=out)


def _facts(report: Report) -> list[str]:
    if report.key is None:
        return []
    lines = [
        f"log          {findings.shown(report.origin)}, signed with the key {report.key.key_id.hex()}",
        f"key's hash   {signed.fingerprint(report.key)}",
        f"tree         {report.size:,} leaves, root {report.root.hex()}",
        f"checkpoints  {report.checkpoints:,} signed, every one a beginning of this tree"
        if report.holds
        else f"checkpoints  {report.checkpoints:,} signed",
    ]
    if report.stamps:
        size, moment = max(report.stamps)
        authorities = ", ".join(sorted(report.authorities))
        lines.append(
            f"timestamps   {len(report.stamps):,}, the newest at {moment} for {size:,} leaves, by {authorities}"
        )
    if report.cosigned:
        size, moment = max(report.cosigned)
        witnesses = ", ".join(sorted(report.witnesses))
        lines.append(f"witnesses    {witnesses}; the newest signature at {moment} for {size:,} leaves")
    if report.older:
        lines.append(f"continues    {report.older:,} older checkpoints that you brought along")
    if report.contents:
        lines.append(f"texts        {report.contents:,} kept, {report.gone:,} of them lawfully gone")
    if report.signatures:
        places = ", ".join(findings.shown(place) for place in sorted(report.origins))
        lines.append(f"signatures   {report.signatures:,} approvals signed with passkeys, at {places}")
    if report.unsigned:
        lines.append(f"unsigned     {report.unsigned:,} approvals of high risk without a passkey's signature")
    if report.pending:
        lines.append(
            f"pending      {report.pending:,} events were too new to be sealed when this was exported"
        )
    return lines
