"""`make bench ARGS=waiting` runs whole, with few agents: everybody hears of every decision, the table is printed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench import waiting, waiting_clients
from bench.waiting import Row, table, verdicts

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.mark.timeout(900)
def test_twenty_agents_are_measured_by_every_way_of_waiting(tmp_path: Path) -> None:
    settings = {
        "BENCH_VAR": str(tmp_path / "bench"),
        "BENCH_AGENTS": "20",
        "BENCH_DECISIONS": "5",
        "BENCH_REST": "0.2",
    }
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("COUNTERSIGN_")}
    ran = subprocess.run(
        [sys.executable, "-m", "bench", "waiting"],
        cwd=ROOT,
        env=inherited | settings,
        capture_output=True,
        text=True,
        timeout=850,
        check=False,
    )

    assert ran.returncode == 0, ran.stdout + ran.stderr
    lines = [line for line in ran.stdout.splitlines() if line.startswith("| 20 |")]
    assert [line.split("|")[2].strip() for line in lines[-3:]] == ["long-poll", "sse", "webhook"]
    assert all(line.split("|")[8].strip().endswith(" ms") for line in lines)
    assert not (tmp_path / "bench").exists()


def test_a_missed_goal_is_named() -> None:
    late = [0.001] * 99 + [0.060]
    well = Row(10_000, "sse", 20_000.0, 8_000.0, 20_500.0, 12.0, 0.1, [0.004], [0.001])
    heavy = Row(10_000, "long-poll", 31_000.0, 8_000.0, 31_000.0, 12.0, 0.1, late, [0.001])
    assert verdicts([well]) == []
    assert verdicts([well, heavy]) == ["10,000 by long-poll: memory", "10,000 by long-poll: p99"]
    assert table([heavy]).splitlines()[-1] == (
        "| 10,000 | long-poll | 31.0 | 3.88 | 31.0 | 12.0 s | 10% | 1.0 ms | 60.0 ms | 1.0 ms | 1.0 ms | 60.0 |"
    )


def test_more_agents_than_a_process_may_open_files_are_refused_with_the_reason() -> None:
    with pytest.raises(SystemExit, match="ulimit -Hn"):
        waiting_clients.check_files(10**9)


def test_decisions_are_spread_over_all_who_wait() -> None:
    assert waiting.spread([str(number) for number in range(10)], 3) == ["0", "3", "6"]
    assert waiting.spread(["0", "1"], 3) == ["0", "1"]
