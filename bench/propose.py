"""Accepted proposals per second over HTTP, everything on, as a ratio to pgbench running the same statement.

    make bench ARGS=propose          (BENCH_SECONDS=5 BENCH_ROUNDS=3 by default)

1.5 kB of arguments and context, two web processes, synchronous_commit on. Each round measures both, one after the
other; the table gives medians over the rounds. Goals (ratio to pgbench): 0.20 at 8 connections, 0.30 at 64, and 1.0
for batches of 100 at 8."""

import json
import os
import uuid
from collections.abc import Iterator
from typing import Any

from bench import stage

SECONDS = float(os.environ.get("BENCH_SECONDS", "5"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
CONNECTIONS = (1, 8, 64)
GOALS = {8: 0.20, 64: 0.30}
BATCH = 100
BATCH_CONNECTIONS = (1, 8)
BATCH_GOALS = {8: 1.0}


def set_up() -> tuple[str, bytes]:
    """(token, body): an agent in the loop under a policy of three rules, and a proposal of 1.5 kB."""
    from tests.factories import desk, policy

    the = desk()
    policy(
        [
            {"name": "large", "when": "amount > 5000", "review": {"quorum": 2}},
            {"name": "odd-hours", "when": "args.order_id.startsWith('X')", "cap": "in_the_loop"},
            {
                "name": "forbidden",
                "when": "args.reason == 'duplicate' && amount > 900.0",
                "deny": "Not like this.",
            },
        ],
        the.queue,
    )
    body = {
        "action_type": the.action_type.name,
        "arguments": {"order_id": "A-1001", "amount": 42.5, "reason": "damaged", "note": "n" * 300},
        "summary": "The customer received a broken lamp and asks for the money back.",
        "reasoning": "The photo shows a broken foot; the order is 4 days old; the policy allows a refund.",
        "confidence": 0.93,
        "context": [
            {"role": "user", "content": "My lamp arrived broken. " + "u" * 220},
            {"role": "assistant", "content": "I am sorry. " + "a" * 180},
            {
                "role": "tool",
                "name": "get_order",
                "content": json.dumps({"order": "A-1001", "total": 42.5}) + "t" * 200,
            },
        ],
        "subject": {"type": "customer", "id": "c-17"},
        "trace_id": "trace-1",
    }
    return the.token, json.dumps(body).encode()


def requests(address: tuple[str, int], token: str, body: bytes) -> Iterator[bytes]:
    while True:
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": uuid.uuid4().hex}
        yield stage.post(address, "/api/v1/proposals", headers, body)


def batches(address: tuple[str, int], token: str, body: bytes) -> Iterator[bytes]:
    """The same proposals, a hundred in a request."""
    one = json.loads(body)
    while True:
        items = [{"key": uuid.uuid4().hex, **one} for _ in range(BATCH)]
        data = json.dumps({"items": items}).encode()
        yield stage.post(address, "/api/v1/proposals/batch", {"Authorization": f"Bearer {token}"}, data)


def reference_script(token: str, body: bytes) -> str:
    """The accepting statement with the values of one real request; only id and key differ between transactions."""
    import hashlib

    from django.db import connection

    from agents import authority
    from agents.http import parse
    from agents.tokens import digest
    from approvals import acceptance
    from approvals.requests import ProposeRequest
    from approvals.services import submit

    request: ProposeRequest = parse(body, ProposeRequest)
    draft, number = submit.draft_of(
        digest(token), "KEY", hashlib.sha256(body).digest(), request, authority.fresh()
    )
    values: dict[str, Any] = acceptance.parameters(draft, number)
    identity, told = f"{draft.proposal.id}", f"{draft.proposal.kept_context_id}"
    with connection.cursor() as cursor:
        statement: str = cursor.mogrify(acceptance.statement(draft), values | {"slot": 424242})
    return (
        "\\set r random(1, 4000000000000000)\n"
        + statement.replace(identity, "' || lpad(to_hex(:r), 32, '0') || E'")
        .replace(told, "' || lpad(to_hex(:r), 32, '0') || E'")
        .replace('"KEY"', "\"k' || :r || E'\"")
        .replace("424242", ":r")
        .replace("\n", " ")
        + ";\n"
    )


def _stored() -> int:
    from approvals.models import Proposal

    return Proposal.objects.count()


def main() -> None:
    var = stage.prepare("propose")
    try:
        token, body = set_up()
        script = reference_script(token, body)
        print(
            f"body {len(body)} bytes, statement {len(script)} characters, {ROUNDS} rounds of {SECONDS:g} s each\n"
        )
        with stage.web(2) as address:
            stage.load(address, requests(address, token, body), connections=8, seconds=3)
            print(
                f"{'connections':>11} {'proposals/s':>12} {'p50 ms':>8} {'p99 ms':>8} {'pgbench/s':>10} ratio  goal"
            )
            for connections in CONNECTIONS:
                report(address, token, body, script, connections)
            print(f"\nin batches of {BATCH}; latencies are of a whole batch")
            for connections in BATCH_CONNECTIONS:
                report(address, token, body, script, connections, batch=BATCH)
    finally:
        stage.clean_up(var)


def report(
    address: tuple[str, int], token: str, body: bytes, script: str, connections: int, *, batch: int = 1
) -> None:
    goals = GOALS if batch == 1 else BATCH_GOALS
    rates, references, ratios, p50, p99 = [], [], [], [], []
    for _ in range(ROUNDS):
        sent = requests(address, token, body) if batch == 1 else batches(address, token, body)
        expect = b"201" if batch == 1 else b"200"
        stored = _stored()
        run = stage.load(address, sent, connections=connections, seconds=SECONDS, expect=expect)
        if run.unexpected:
            raise SystemExit(f"{run.unexpected} answers were not {expect.decode()}")
        if _stored() - stored < len(run.latencies) * batch:
            raise SystemExit("not every item was accepted")
        reference = stage.pgbench(script, clients=connections, seconds=int(SECONDS))
        rates.append(run.per_second * batch)
        references.append(reference)
        ratios.append(run.per_second * batch / reference)
        p50.append(run.quantile(0.5))
        p99.append(run.quantile(0.99))
    goal = goals.get(connections)
    verdict = "" if goal is None else f"≥ {goal:.2f} {'met' if stage.median(ratios) >= goal else 'MISSED'}"
    print(
        f"{connections:>11} {stage.median(rates):>12.0f} {stage.milliseconds(stage.median(p50)):>8} "
        f"{stage.milliseconds(stage.median(p99)):>8} {stage.median(references):>10.0f} "
        f"{stage.median(ratios):>6.2f}  {verdict}",
        flush=True,
    )


if __name__ == "__main__":
    main()
