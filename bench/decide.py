"""Decisions per second through the reviewers' endpoints, and how soon a waiting agent has one.

    make bench ARGS=decide           (BENCH_WAITERS=1000 by default)

Latency: that many agents long-poll one web process, each its own proposal; decisions are made by the use case in this
process at a steady pace, and the clock runs from the return of the commit to the last byte at the agent. Goal: p99 at
most 50 ms at 1,000 waiters. Throughput: reviewers post decisions with session and CSRF token, as a browser does, as a
ratio to pgbench running the statements that one decision runs."""

import os
import re
import resource
import selectors
import threading
import time
from http.cookiejar import CookieJar

import httpx
import psutil

from bench import stage

WAITERS = int(os.environ.get("BENCH_WAITERS", "1000"))
PACE = float(os.environ.get("BENCH_PACE", "40"))
REVIEWERS = 4
DECISIONS = int(os.environ.get("BENCH_DECISIONS", "400"))


def main() -> None:
    var = stage.prepare("decide")
    try:
        from tests.factories import desk

        the = desk()
        with stage.web(1) as address:
            waiting(address, the)
        with stage.web(2) as address:
            throughput(address, the)
    finally:
        stage.clean_up(var)


def waiting(address: tuple[str, int], the: object) -> None:
    """Print the latency from commit to agent."""
    from tests.factories import Desk

    assert isinstance(the, Desk)
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    proposals = [the.propose() for _ in range(WAITERS)]
    web = _listening_process(address[1])
    before = web.memory_info().rss
    selector = selectors.DefaultSelector()
    for proposal in proposals:
        one = stage.Connection(address)
        request = _wait_request(address, str(proposal.pk), the.token)
        one.send(request)
        selector.register(one.socket, selectors.EVENT_READ, (one, str(proposal.pk), request))
    _until_quiet(web)
    grown = web.memory_info().rss - before
    decided: dict[str, float] = {}
    some = proposals[: min(WAITERS, int(PACE * 10))]
    decider = threading.Thread(target=_decide, args=(the, some, decided))
    decider.start()
    told: dict[str, float] = {}
    deadline = time.monotonic() + 60
    while len(told) < len(some) and time.monotonic() < deadline:
        for key, _ in selector.select(timeout=1):
            one, proposal_id, request = key.data
            status = one.status()
            if status == b"200" and b'"status":"pending"' in one.received:
                one.send(request)  # its minute was up: ask again, as agents do
            elif status == b"200":
                told[proposal_id] = time.perf_counter()
                selector.unregister(one.socket)
                one.socket.close()
    decider.join()
    for key in list(selector.get_map().values()):
        key.data[0].socket.close()
    latencies = sorted(told[pk] - decided[pk] for pk in told)
    if len(latencies) < len(some):
        raise SystemExit(f"{len(some) - len(latencies)} agents never heard of their decision")
    p50, p99 = latencies[len(latencies) // 2], latencies[int(len(latencies) * 0.99)]
    verdict = "" if WAITERS > 1000 else f"  goal ≤ 50 ms {'met' if p99 <= 0.05 else 'MISSED'}"
    print(
        f"{WAITERS} waiting agents, {len(some)} decisions at {PACE:g}/s: commit → agent "
        f"p50 {stage.milliseconds(p50)} ms, p99 {stage.milliseconds(p99)} ms, "
        f"max {stage.milliseconds(latencies[-1])} ms{verdict}; {grown / WAITERS / 1000:.1f} kB per waiter",
        flush=True,
    )


def _wait_request(address: tuple[str, int], proposal_id: str, token: str) -> bytes:
    return (
        f"GET /api/v1/proposals/{proposal_id}?wait=60&after_version=1 HTTP/1.1\r\n"
        f"Host: {address[0]}:{address[1]}\r\nAuthorization: Bearer {token}\r\n\r\n"
    ).encode()


def _until_quiet(web: psutil.Process) -> None:
    """Every agent has read its proposal once, and the process only waits."""
    deadline = time.monotonic() + 40
    quiet = 0
    while quiet < 3 and time.monotonic() < deadline:
        quiet = quiet + 1 if web.cpu_percent(interval=0.3) < 10 else 0


def _decide(the: object, proposals: list[object], decided: dict[str, float]) -> None:
    from django.db import connection

    from approvals.models import Proposal, Verdict
    from tests.factories import Desk

    assert isinstance(the, Desk)
    begun = time.perf_counter()
    for number, proposal in enumerate(proposals):
        assert isinstance(proposal, Proposal)
        time.sleep(max(0.0, begun + number / PACE - time.perf_counter()))
        the.decide(proposal, Verdict.APPROVE)
        decided[str(proposal.pk)] = time.perf_counter()
    connection.close()


def _listening_process(port: int) -> psutil.Process:
    for child in psutil.Process().children(recursive=True):
        if child.name().startswith("python") and "config.web" in child.cmdline():
            return child
    raise RuntimeError(f"no web process on port {port}")


def throughput(address: tuple[str, int], the: object) -> None:
    """Print decisions per second over HTTP, and the share of it that the database could do by itself."""
    from tests.factories import Desk, reviewer

    assert isinstance(the, Desk)
    reference = stage.pgbench(_reference(the), clients=REVIEWERS, seconds=5)
    sessions = [_sign_in(address, reviewer(the.queue)) for _ in range(REVIEWERS)]
    batches = [[the.propose() for _ in range(DECISIONS // REVIEWERS)] for _ in range(REVIEWERS)]
    latencies: list[float] = []
    threads = [
        threading.Thread(target=_post_decisions, args=(session, batch, latencies))
        for session, batch in zip(sessions, batches, strict=True)
    ]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rate = len(latencies) / (time.perf_counter() - begun)
    latencies.sort()
    p50, p99 = latencies[len(latencies) // 2], latencies[int(len(latencies) * 0.99)]
    print(
        f"{REVIEWERS} reviewers, {len(latencies)} decisions: {rate:.0f}/s, p50 {stage.milliseconds(p50)} ms, "
        f"p99 {stage.milliseconds(p99)} ms; pgbench with the same statements {reference:.0f}/s, "
        f"ratio {rate / reference:.2f}"
    )


def _sign_in(address: tuple[str, int], person: object) -> httpx.Client:
    from accounts.models import User

    assert isinstance(person, User)
    client = httpx.Client(base_url=f"http://{address[0]}:{address[1]}", timeout=30, cookies=CookieJar())
    form = client.get("/account/login/").text
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', form)
    assert token is not None
    answer = client.post(
        "/account/login/",
        data={"csrfmiddlewaretoken": token[1], "login": person.email, "password": "a long password"},
        headers={"Referer": str(client.base_url)},
    )
    if answer.status_code != 302:
        raise SystemExit(f"signing in answered {answer.status_code}")
    return client


def _post_decisions(client: httpx.Client, proposals: list[object], latencies: list[float]) -> None:
    from approvals.models import Proposal

    token = client.cookies.get("csrftoken")
    for proposal in proposals:
        assert isinstance(proposal, Proposal)
        begun = time.perf_counter()
        answer = client.post(
            f"/proposals/{proposal.pk}/approve/",
            data={"csrfmiddlewaretoken": token, "revision": 1, "version": 1, "seen": "on"},
            headers={"Referer": str(client.base_url)},
        )
        if answer.status_code not in (200, 302, 303):
            raise SystemExit(f"a decision answered {answer.status_code}: {answer.text[:300]}")
        latencies.append(time.perf_counter() - begun)


def _reference(the: object) -> str:
    """The statements of one real decision, run in a transaction that is rolled back, so that it can be repeated."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    from approvals.models import Verdict
    from tests.factories import Desk

    assert isinstance(the, Desk)
    proposal = the.propose()
    with CaptureQueriesContext(connection) as captured:
        the.decide(proposal, Verdict.APPROVE)
    statements = [
        query["sql"]
        for query in captured.captured_queries
        if query["sql"].split(" ")[0] in ("SELECT", "UPDATE")
    ]
    return "BEGIN;\n" + "\n".join(sql.replace("\n", " ") + ";" for sql in statements) + "\nCOMMIT;\n"


if __name__ == "__main__":
    main()
