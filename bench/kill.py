"""Kill -9 of web, worker, Valkey and PostgreSQL during a replay, at random, and what is left afterwards.

    make bench ARGS=kill             (BENCH_KILLS=50, BENCH_SEED=1, BENCH_EPISODES=60 a domain by default)

A real `manage.py run` on a data directory of its own is killed piece by piece while `manage.py replay` drives recorded
agents and reviewers through it; Valkey is also flushed half-way. The replay writes what its clients saw; at the end
that history and the database must agree: nothing acknowledged is lost, nothing is decided twice, no grant is redeemed
twice, every change of state has exactly one audit event. Without ../shared/data there is nothing to replay, and it says
so."""

import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import psutil

from bench import stage

KILLS = int(os.environ.get("BENCH_KILLS", "50"))
SEED = int(os.environ.get("BENCH_SEED", "1"))
EPISODES = int(os.environ.get("BENCH_EPISODES", "60"))
PAUSE = (1.5, 4.5)
"""Seconds between two kills."""
VICTIMS = ("web", "worker", "valkey", "postgres")
DATA = stage.ROOT.parent / "shared" / "data" / "proposals"


def main() -> None:
    files = sorted(DATA.glob("*.jsonl.gz"))
    if not files:
        raise SystemExit("There is no ../shared/data/proposals: nothing to replay, nothing measured.")
    with tempfile.TemporaryDirectory(
        prefix="countersign-bench-kill-", ignore_cleanup_errors=True
    ) as directory:
        Path(directory).chmod(0o755)
        run(Path(directory), files)


def run(directory: Path, files: list[Path]) -> None:
    var, history = directory / "var", directory / "history.jsonl"
    port = _free_port()
    url = f"http://127.0.0.1:{port}"
    environment = {
        **{
            name: value
            for name, value in os.environ.items()
            if name != "REDIS_URL" and not name.startswith("DATABASE_")
        },
        "COUNTERSIGN_VAR": str(var),
        "PORT": str(port),
        "COUNTERSIGN_LOG_LEVEL": "WARNING",
    }
    log = (directory / "run.log").open("w")
    server = subprocess.Popen(
        [sys.executable, "manage.py", "run"], cwd=stage.ROOT, env=environment, stdout=log, stderr=log
    )
    try:
        _until_ready(url, server)
        begun = time.monotonic()
        killed = _replay_under_fire(var, url, files, history, environment)
        took = time.monotonic() - begun
        counts = ", ".join(f"{name} {killed[name]}" for name in VICTIMS)
        print(
            f"{sum(killed.values())} kills in {took:.0f} s ({counts}), Valkey flushed {killed['flush']} times"
        )
        _until_ready(url, server)
        os.environ.update(environment)
        verify(history, files)
    finally:
        server.terminate()
        try:
            server.wait(60)
        except subprocess.TimeoutExpired:
            server.kill()
        log.close()


def _replay_under_fire(
    var: Path, url: str, files: list[Path], history: Path, environment: dict[str, str]
) -> Counter[str]:
    """Replay until the kills are done, in as many runs as that takes; the last one runs to its end in peace."""
    chance = random.Random(SEED)
    killed: Counter[str] = Counter()
    number = 0
    while number == 0 or sum(killed[name] for name in VICTIMS) < KILLS:
        number += 1
        command = [
            sys.executable, "manage.py", "replay", *map(str, files), "--url", url, "--setup", "--faults",
            "--limit", str(EPISODES), "--run", f"kill-{number}", "--history", str(history), "--patience", "300",
        ]  # fmt: skip
        with (history.parent / f"replay-{number}.log").open("w") as log:
            replay = subprocess.Popen(command, cwd=stage.ROOT, env=environment, stdout=log, stderr=log)
            _until_first_answer(history, replay)
            while replay.poll() is None:
                done = sum(killed[name] for name in VICTIMS)
                if done >= KILLS:
                    replay.wait(1800)
                    break
                time.sleep(chance.uniform(*PAUSE))
                _kill(var, chance.choice(VICTIMS), killed)
                if done == KILLS // 2 and not killed["flush"]:
                    killed["flush"] += _flush(var)
        print(
            f"replay {number} ended with {replay.returncode}; {_last_line(history.parent / f'replay-{number}.log')}"
        )
        if replay.returncode:
            print((history.parent / f"replay-{number}.log").read_text()[-3000:])
            raise SystemExit("the replay did not end as the ground truth says")
    return killed


def _kill(var: Path, name: str, killed: Counter[str]) -> None:
    """Kill -9 one member as the supervisor's own list names it, if it is there at the moment."""
    try:
        listed = json.loads((var / "run" / "processes.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return
    for row in listed:
        if row["name"].startswith(name) and psutil.pid_exists(row["pid"]):
            psutil.Process(row["pid"]).kill()
            killed[name] += 1
            return


def _flush(var: Path) -> int:
    """FLUSHALL: hints are gone, nothing else may be."""
    import redis

    from config import embedded

    try:
        return int(bool(redis.Redis.from_url(embedded.ensure(var).redis_url).flushall()))
    except redis.RedisError:
        return 0


def verify(history: Path, files: list[Path]) -> None:
    """Hold what the clients saw against the database; exit with 1 where they differ."""
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    from approvals.models import Decision, Grant, Proposal
    from audit.models import AuditEvent

    seen: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for line in history.read_text(encoding="utf-8").splitlines():
        event = json.loads(line)
        seen[event["event"]].append(event)
    faults: list[str] = []
    stored = {str(one.pk): one for one in Proposal.objects.prefetch_related("revisions")}
    for event in seen["acknowledged"]:
        if event["proposal"] not in stored:
            faults.append(f"{event['record']}: acknowledged and lost")
        elif event["digest"] not in {
            revision.digest for revision in stored[event["proposal"]].revisions.all()
        }:
            faults.append(f"{event['record']}: acknowledged with another digest than is stored")
    verdicts: dict[str, list[str]] = defaultdict(list)
    for decision in Decision.objects.exclude(verdict="return"):
        verdicts[str(decision.proposal_id)].append(decision.verdict)
    faults += [f"{pk}: decided {len(found)} times" for pk, found in verdicts.items() if len(found) > 1]
    for event in seen["decision_seen"]:
        if verdicts[event["proposal"]] != [event["verdict"]]:
            faults.append(f"{event['record']}: told {event['verdict']}, stored {verdicts[event['proposal']]}")
    firsts = Counter(event["proposal"] for event in seen["redeemed"] if event["first"])
    faults += [f"{pk}: redeemed {count} times" for pk, count in firsts.items() if count > 1]
    redeemed = {
        str(pk) for pk in Grant.objects.exclude(redeemed_at=None).values_list("proposal_id", flat=True)
    }
    faults += [
        f"{event['record']}: redeemed and lost"
        for event in seen["redeemed"]
        if event["proposal"] not in redeemed
    ]
    for event in seen["outcome"]:
        if stored[event["proposal"]].state != "succeeded":
            faults.append(f"{event['record']}: outcome reported, state {stored[event['proposal']].state}")
    versions: dict[str, list[int]] = defaultdict(list)
    rows = AuditEvent.objects.filter(object_type="proposal", object_version__isnull=False).order_by("id")
    for pk, version in rows.values_list("object_id", "object_version"):
        versions[pk].append(version or 0)
    for pk, one in stored.items():
        if versions[pk] != list(range(1, one.version + 1)):
            faults.append(f"{pk}: audit events {versions[pk]} for version {one.version}")
    print(
        f"{len(seen['acknowledged'])} acknowledged, {len(seen['decision_seen'])} decisions seen, "
        f"{len(seen['redeemed'])} redeemed, {len(seen['outcome'])} outcomes; {len(stored)} proposals stored, "
        f"{len(rows)} audit events of state"
    )
    for fault in faults[:20]:
        print(f"  ✗ {fault}")
    if faults:
        raise SystemExit(f"{len(faults)} disagreements between the clients' history and the database")
    print(
        "nothing acknowledged was lost, nothing decided twice, no grant redeemed twice, one audit event a change"
    )


def _until_ready(url: str, server: subprocess.Popen[bytes]) -> None:
    import urllib.request

    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise SystemExit(f"the server ended with {server.returncode}")
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=5) as answer:
                if answer.status == 200:
                    return
        except OSError:
            pass
        time.sleep(0.3)
    raise SystemExit("the server did not become ready within two minutes")


def _until_first_answer(history: Path, replay: subprocess.Popen[bytes]) -> None:
    """Faults begin when the first proposal of this run is on its way: setting up is not what is tested."""
    before = history.stat().st_size if history.exists() else 0
    while replay.poll() is None:
        if history.exists() and history.stat().st_size > before + 2000:
            return
        time.sleep(0.2)


def _last_line(path: Path) -> str:
    lines = [line for line in path.read_text().splitlines() if line.strip()]
    return lines[-1].strip() if lines else ""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
