"""How much of what agents did can be recorded, over HTTP, everything on: items per second by batch size.

    make bench ARGS=activity         (BENCH_SECONDS=5 BENCH_ROUNDS=3 by default)

Two web processes, synchronous_commit on; a trace of its own per request and 600 bytes of content per item, encrypted,
with the event that seals it. One connection, since an agent's requests take turns. Then 4 MiB of empty spans, the most
that decompression yields: what the worst request costs."""

import gzip
import json
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from bench import stage

SECONDS = float(os.environ.get("BENCH_SECONDS", "5"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
SIZES = (1, 50, 500)


def requests(address: tuple[str, int], token: str, size: int) -> Iterator[bytes]:
    """Batches of one trace each, about one of a thousand subjects."""
    number = 0
    while True:
        number += 1
        trace, now = uuid.uuid4().hex, datetime.now(UTC).isoformat()
        items: list[dict[str, Any]] = [
            {
                "kind": "prompt", "trace_id": trace, "span_id": str(one), "name": "chat m-large", "model": "m-large",
                "started_at": now, "content": f"{one} " + "The parcel has not arrived. " * 21,
                "facts": {"input_tokens": 412}, "subject": {"type": "customer", "id": f"c-{number % 1000}"},
            }
            for one in range(size)
        ]  # fmt: skip
        body = json.dumps({"items": items}).encode()
        yield stage.post(address, "/api/v1/activity", {"Authorization": f"Bearer {token}"}, body)


def worst() -> float:
    """Seconds for the dearest bodies that are read: as many parts as are taken, and nothing but empty messages."""
    from agents import otlp
    from tests.agents.spans import request, span

    full = request(span("s", 1, {"a": [None] * (otlp.MOST_PARTS - 10)})).SerializeToString()
    empty = b"\x0a\x00" * (otlp.MOST_BYTES // 2)
    longest = 0.0
    for body in (full, empty):
        packed = gzip.compress(body)
        begun = time.perf_counter()
        with suppress(otlp.TooMuch):
            otlp.read_protobuf(otlp.inflate(packed))
        longest = max(longest, time.perf_counter() - begun)
    return longest


def main() -> None:
    var = stage.prepare("activity")
    try:
        from tests.factories import desk

        token = desk().token
        print(f"{'items':>6} {'requests/s':>11} {'items/s':>8} {'p50 ms':>8} {'p99 ms':>8}")
        with stage.web(2) as address:
            for size in SIZES:
                runs = [
                    stage.load(
                        address, requests(address, token, size), connections=1, seconds=SECONDS, expect=b"200"
                    )
                    for _ in range(ROUNDS)
                ]
                rate = stage.median([run.per_second for run in runs])
                print(
                    f"{size:>6} {rate:>11.1f} {rate * size:>8.0f} "
                    f"{stage.milliseconds(stage.median([run.quantile(0.5) for run in runs])):>8} "
                    f"{stage.milliseconds(stage.median([run.quantile(0.99) for run in runs])):>8}",
                    flush=True,
                )
        print(f"\nthe dearest body of /v1/traces is read or refused in {worst():.2f} s")
    finally:
        stage.clean_up(var)


if __name__ == "__main__":
    main()
