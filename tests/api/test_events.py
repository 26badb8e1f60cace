"""What an agent hears over GET /api/v1/events, from a real server: everything of its own, nothing of others'."""

import base64
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from django.db import connection, transaction

from agents import identity, issuers
from agents.services import credentials
from approvals import feed
from approvals.exceptions import CursorGone
from approvals.models import Proposal, Verdict
from approvals.services import rollback
from audit import recording
from audit.events import Kind, Target, system
from config import events
from tests.api.listening import PATIENCE, Ear, listening, until
from tests.factories import Desk, desk, undoing
from tests.invariants.calls import AgentCalls
from tests.issuer import issuing, trusting
from tests.live import serving

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes seconds in operation, so that lines stay quiet, takes parts of one here."""
    monkeypatch.setattr(events, "SWEEP", 0.1)


@pytest.fixture
def url() -> Iterator[str]:
    with serving() as address:
        yield address


def newest(ear: Ear) -> dict[str, int]:
    """The latest version of each proposal that came."""
    found: dict[str, int] = {}
    for event in ear.events:
        proposal, version = event.told
        found[proposal] = max(version, found.get(proposal, 0))
    return found


def stored(the: Desk) -> dict[str, int]:
    own = Proposal.objects.filter(agent=the.agent)
    return {str(pk): version for pk, version in own.values_list("pk", "version")}


def test_a_proposal_is_heard_of_from_beginning_to_end(url: str) -> None:
    the = desk()
    with listening(url, the.headers) as ear:
        proposal = the.propose()
        until(lambda: ear.types == ["proposal.pending"])
        the.decide(proposal, Verdict.APPROVE)
        until(lambda: ear.types[1:] == ["proposal.approved"])
        AgentCalls(the).do(proposal.pk, "redeem", digest=proposal.digest)
        until(lambda: ear.types[2:] == ["proposal.executing"])
        AgentCalls(the).do(proposal.pk, "outcome", status="succeeded")
        until(lambda: ear.types[3:] == ["proposal.succeeded"])
    assert [event.name for event in ear.events] == ["proposal"] * 4
    assert [event.told for event in ear.events] == [(str(proposal.pk), n) for n in (1, 2, 3, 4)]
    assert ear.events[1].proposal["grant"]["token"].count(".") == 2
    assert len({event.id for event in ear.events}) == 4
    read = AgentCalls(the).read(proposal.pk).body
    assert ear.events[-1].proposal == read
    assert ear.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert ear.headers["cache-control"] == "no-store, no-transform"


def test_a_rollback_that_is_asked_for_is_an_event(url: str) -> None:
    the = desk()
    undoing(the)
    done = the.approved()
    AgentCalls(the).do(done.pk, "redeem", digest=done.digest)
    AgentCalls(the).do(done.pk, "outcome", status="succeeded")
    with listening(url, the.headers) as ear:
        rollback.ask(proposal_id=done.pk, person=the.agent.owner, reason="The parcel arrived after all.")
        until(lambda: ear.types == ["rollback.requested"])
    assert ear.events[0].proposal["rollback"]["reason"] == "The parcel arrived after all."


def test_another_agent_hears_nothing_of_it(url: str) -> None:
    mine, other = desk(), desk()
    with listening(url, mine.headers) as ear, listening(url, other.headers) as theirs:
        other.decide(other.propose(), Verdict.REJECT)
        mine.propose()
        until(lambda: len(newest(theirs)) == 1 and bool(ear.events))
    assert newest(ear) == stored(mine)
    assert newest(theirs) == stored(other)
    with listening(url, mine.headers, after=theirs.last) as refused:
        assert (refused.status, refused.problem["code"]) == (410, "cursor_gone"), (
            "another's place is none of ours"
        )


def test_what_happened_meanwhile_is_told_on_return(url: str) -> None:
    the = desk()
    with listening(url, the.headers) as ear:
        kept = the.propose()
        until(lambda: len(ear.events) == 1)
    the.decide(kept, Verdict.APPROVE)
    gone = the.propose()
    AgentCalls(the).do(gone.pk, "withdraw")
    with listening(url, the.headers, after=ear.last) as again:
        until(lambda: len(again.events) == 2)
        assert [event.told for event in again.events] == [(str(kept.pk), 2), (str(gone.pk), 2)]
        assert again.types == ["proposal.approved", "proposal.withdrawn"]
    with listening(url, the.headers, after=again.last) as third:
        the.propose()
        until(lambda: bool(third.events))
        assert third.types == ["proposal.pending"], "nothing is told twice to who has it"


def test_a_row_that_commits_late_is_not_skipped(url: str) -> None:
    """Its event's id and its transaction's number are lower than those of what the stream has told already."""
    the = desk()
    late = the.propose()
    begun, finish = threading.Event(), threading.Event()

    def withdraw_slowly() -> None:
        with transaction.atomic():
            from approvals import transitions
            from approvals.states import State

            locked = transitions.locked(late.pk)
            transitions.apply(locked, State.WITHDRAWN, actor=the.agent.actor(), at=locked.created_at)
            begun.set()
            finish.wait(60)
        connection.close()

    writer = threading.Thread(target=withdraw_slowly)
    with listening(url, the.headers) as ear:
        writer.start()
        assert begun.wait(60)
        first, second = the.propose(), the.propose()
        until(lambda: set(newest(ear)) == {str(first.pk), str(second.pk)})
    finish.set()
    writer.join(60)
    with listening(url, the.headers, after=ear.last) as again:
        until(lambda: bool(again.events))
        assert [event.told for event in again.events] == [(str(late.pk), 2)]


def _a_few_more(url: str, the: Desk, last: str, heard: dict[str, int]) -> str:
    """Listen until four events have come, or all that there is, and hang up; returns where to go on."""
    with listening(url, the.headers, after=last) as ear:
        until(lambda: len(ear.events) >= 4 or heard | newest(ear) == stored(the))
    heard |= newest(ear)
    return ear.last


def test_nothing_is_missed_with_many_writers_and_many_cuts(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight writers, pages of three, and a line that is cut after every few events."""
    monkeypatch.setattr(feed, "PAGE", 3)
    the = desk()
    with listening(url, the.headers) as ear:
        last = ear.last

    def write() -> None:
        for _ in range(4):
            proposal = the.propose()
            AgentCalls(the).do(proposal.pk, "withdraw")
        connection.close()

    writers = [threading.Thread(target=write) for _ in range(8)]
    for writer in writers:
        writer.start()
    heard: dict[str, int] = {}
    cuts = 0
    while any(writer.is_alive() for writer in writers) or heard != stored(the):
        last = _a_few_more(url, the, last, heard)
        cuts += 1
        assert cuts < 200
    wanted = stored(the)
    assert len(wanted) == 32
    assert set(wanted.values()) == {2}


def test_a_restarted_server_goes_on_where_the_other_stopped() -> None:
    the = desk()
    with serving() as address, listening(address, the.headers) as ear:
        proposal = the.propose()
        until(lambda: len(ear.events) == 1)
    assert ear.has_ended
    the.decide(proposal, Verdict.REJECT)
    with serving() as address, listening(address, the.headers, after=ear.last) as again:
        until(lambda: bool(again.events))
        assert [event.told for event in again.events] == [(str(proposal.pk), 2)]


def test_a_lost_listening_connection_loses_no_event(url: str) -> None:
    the = desk()
    proposal = the.propose()
    with listening(url, the.headers) as ear:
        until(lambda: len(_listeners()) == 1)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s)", [_listeners()[0]])
        the.decide(proposal, Verdict.APPROVE)
        until(lambda: ear.types == ["proposal.approved"])


def _listeners() -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname = current_database()"
        )
        return [pid for (pid,) in cursor.fetchall()]


def test_a_revoked_credential_ends_the_stream(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "RECHECK", 0.2)
    the = desk()
    with listening(url, the.headers) as ear:
        credentials.revoke(credential_id=the.credential.pk, actor=the.agent.owner)
        until(lambda: ear.has_ended)
    assert ear.events == []
    with listening(url, the.headers) as ear:
        assert (ear.status, ear.problem["code"]) == (401, "bad_credential")


def test_an_issuer_that_is_away_neither_ends_a_stream_nor_holds_the_sweep_up(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[int] = []
    look = events._no_longer_good

    def counted(streams: list[events.Stream]) -> list[events.Stream]:
        looks.append(len(streams))
        return look(streams)

    monkeypatch.setattr(events, "_no_longer_good", counted)
    monkeypatch.setattr(events, "RECHECK", 0.1)
    monkeypatch.setattr(events, "HEARTBEAT", 0.1)
    the = desk()
    with issuing() as issuer:
        credential = trusting(the.agent, issuer)
        headers = {"Authorization": f"Bearer {issuer.token()}"}
        with listening(url, headers) as ear:
            until(lambda: len(looks) >= 2)  # the first look wakes everybody, and who reads is verified anew
            heard = ear.comments
            until(lambda: ear.comments >= heard + 2)
            issuer.is_down = True
            issuers.forget()
            monkeypatch.setattr(identity, "SEEN", 0.0)
            desk()  # authority is another one now, and every process forgets whom it knew
            asked, seen = issuer.asked.total(), len(looks)
            until(lambda: len(looks) >= seen + 3)
            assert (ear.has_ended, issuer.asked.total()) == (False, asked)
            credentials.revoke(credential_id=credential.pk, actor=the.agent.owner)
            until(lambda: ear.has_ended)
            assert issuer.asked.total() == asked


def test_a_revoked_credential_is_told_nothing_more(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also before anybody has looked at the silent streams."""
    monkeypatch.setattr(events, "RECHECK", 3600.0)
    the = desk()
    proposal = the.propose()
    with listening(url, the.headers) as ear:
        credentials.revoke(credential_id=the.credential.pk, actor=the.agent.owner)
        the.decide(proposal, Verdict.REJECT)
        until(lambda: ear.has_ended)
    assert ear.events == []


def test_silence_is_filled_with_comments_that_move_the_place(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that who resumes after a quiet day has little searched for him, though others were busy."""
    monkeypatch.setattr(events, "HEARTBEAT", 0.05)
    monkeypatch.setattr(events, "REREAD", 0.1)
    the, other = desk(), desk()
    with listening(url, the.headers) as ear:
        before = ear.last
        other.propose()
        seen = ear.comments
        until(lambda: ear.comments >= seen + 3 and ear.last != before)
        assert ear.events == []


def test_an_agent_has_so_many_streams_and_no_more(url: str) -> None:
    the = desk()
    with ExitStack() as stack:
        ears = [stack.enter_context(listening(url, the.headers)) for _ in range(events.MOST_PER_AGENT)]
        assert [ear.status for ear in ears] == [200] * events.MOST_PER_AGENT
        one_more = stack.enter_context(listening(url, the.headers))
        assert (one_more.status, one_more.problem["code"]) == (429, "too_many_streams")
        assert one_more.headers["retry-after"] == "30"
        ears[0].hang_up()
        until(lambda: len(events.streams) < events.MOST_PER_AGENT)
        with listening(url, the.headers) as instead:
            assert instead.status == 200


@pytest.mark.parametrize("wrong", ["x", "eHg", "MTox", "MDowOg", "NTozOg", "MToyOjUsNA", "MToyOi8xOjI6L3g"])
def test_a_made_up_cursor_is_refused(url: str, wrong: str) -> None:
    the = desk()
    answer = httpx.get(
        f"{url}/api/v1/events", headers={**the.headers, "Last-Event-ID": wrong}, timeout=PATIENCE
    )
    assert (answer.status_code, answer.json()["code"]) == (422, "fields_invalid")
    assert answer.json()["errors"][0]["field"] == "Last-Event-ID"


def _refusal(url: str, the: Desk, last: str) -> tuple[int, str]:
    with listening(url, the.headers, after=last) as ear:
        return ear.status, str(ear.problem.get("code", ""))


def test_a_well_formed_cursor_that_was_never_handed_out_has_nothing_searched(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the first transaction on, with everything in it seen: the whole log would have to be read to find out."""
    the = desk()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_snapshot_xmax(pg_current_snapshot())::text")
        made_up = f"1:{cursor.fetchone()[0]}:"
    monkeypatch.setattr(feed, "_KNOWN", "SELECT 1 / 0")
    for words in (made_up, f"{made_up}.", f"{made_up}.{'0' * 32}", f"{made_up}/{made_up}/5.{'f' * 32}"):
        wrong = base64.urlsafe_b64encode(words.encode()).decode().rstrip("=")
        assert _refusal(url, the, wrong) == (410, "cursor_gone"), words


def test_a_cursor_holds_in_every_process_and_under_the_key_before(settings: Any) -> None:
    the = desk()
    given = str(feed.now(the.agent.pk))
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "another " * 8, [settings.SECRET_KEY]
    assert feed.read_cursor(given, agent_id=the.agent.pk).agent_id == the.agent.pk
    settings.SECRET_KEY_FALLBACKS = []
    with pytest.raises(CursorGone):
        feed.read_cursor(given, agent_id=the.agent.pk)


def test_a_cursor_from_before_a_restore_is_refused_however_far_transactions_have_come(url: str) -> None:
    """Its numbers are all of the past, so nothing but its seal tells that they count other transactions."""
    the = desk()
    with listening(url, the.headers) as ear:
        before = ear.last
        with transaction.atomic():
            recording.record(actor=system("seal"), kind=Kind.LOG_RESTORED, target=Target("log", "log"))
        the.propose()
        until(lambda: ear.has_ended)
    assert ear.events == [], "a stream that was open ends, too"
    assert _refusal(url, the, before) == (410, "cursor_gone")
    with listening(url, the.headers) as ear:
        assert ear.status == 200


def test_another_database_server_or_timeline_is_another_epoch() -> None:
    server, timeline, database, table = feed.now().epoch.split(".")
    with connection.cursor() as cursor:
        cursor.execute("SELECT system_identifier FROM pg_control_system()")
        assert server == str(cursor.fetchone()[0])
        cursor.execute("SELECT timeline_id FROM pg_control_checkpoint()")
        assert int(timeline, 16) == cursor.fetchone()[0]
        cursor.execute("SELECT oid FROM pg_database WHERE datname = current_database()")
        assert database == str(cursor.fetchone()[0])
        cursor.execute("SELECT 'audit_auditevent'::regclass::oid")
        assert table == str(cursor.fetchone()[0])


def test_who_asks_without_a_token_is_refused(url: str) -> None:
    answer = httpx.get(f"{url}/api/v1/events", timeout=PATIENCE)
    assert (answer.status_code, answer.json()["code"]) == (401, "bad_credential")
    assert httpx.post(f"{url}/api/v1/events", timeout=PATIENCE).status_code == 405
