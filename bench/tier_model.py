"""The eleven points of TIERS.md, each figure beside its bound, through the public functions of `agents.tier_model`.

    make bench ARGS=tier_model
    .venv/bin/python -m bench.tier_model [--share 1.0] [--seed 1] [--only 9 10]

`--share` scales the number of random streams; exact figures are always exact. MISSED is a bound that this model cannot
meet, with the reason below it; FAIL is a fault, and ends with 1."""

import argparse
import os
import sys
import time
from collections import defaultdict
from multiprocessing import Pool

from bench import tier_detector, tier_evidence
from bench.tier_figures import Check, Figure, plain

CHECKS = sorted((*tier_evidence.CHECKS, *tier_detector.CHECKS), key=lambda check: check.number)
Job = tuple[int, int, float, int]


def _run(job: Job) -> tuple[int, int, float, list[Figure]]:
    """One part of one check, in a process of its own."""
    number, part, share, seed = job
    check = next(check for check in CHECKS if check.number == number)
    started = time.perf_counter()
    figures = check.parts[part](share, seed)
    return number, part, time.perf_counter() - started, figures


def show(check: Check, figures: list[Figure], seconds: float) -> None:
    print(f"\n{check.number:2}. {check.title}  ({seconds:.0f} s)")
    for figure in figures:
        print(f"    {figure.verdict:6}  {plain(figure.value):>10}  {figure.bound:>16}   {figure.what}")
        if figure.verdict == "MISSED":
            print(f"{'':42}{figure.known}.")
    print(f"    Would miss: {check.misses}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--share", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, nargs="*", default=[])
    given = parser.parse_args()
    chosen = [check for check in CHECKS if not given.only or check.number in given.only]
    jobs = [
        (check.number, part, given.share, given.seed) for check in chosen for part in range(len(check.parts))
    ]
    started = time.perf_counter()
    print(f"    {'':6}  {'figure':>10}  {'bound':>16}")
    found: dict[int, dict[int, list[Figure]]] = defaultdict(dict)
    took: dict[int, float] = defaultdict(float)
    waiting = list(chosen)
    with Pool(os.cpu_count()) as pool:
        for number, part, seconds, figures in pool.imap_unordered(_run, jobs):
            found[number][part] = figures
            took[number] += seconds
            while waiting and len(found[waiting[0].number]) == len(waiting[0].parts):
                check = waiting.pop(0)
                parts = found[check.number]
                show(check, [one for key in sorted(parts) for one in parts[key]], took[check.number])
    every = [figure for parts in found.values() for figures in parts.values() for figure in figures]
    verdicts = [figure.verdict for figure in every]
    print(
        f"\n{verdicts.count('PASS')} figures within their bounds, {verdicts.count('MISSED')} bounds missed for a "
        f"reason given, {verdicts.count('FAIL')} faults; {time.perf_counter() - started:.0f} s"
    )
    if "FAIL" in verdicts:
        sys.exit("The tier model does not keep its promise")


if __name__ == "__main__":
    main()
