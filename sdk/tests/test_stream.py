"""Server-sent events however the network cuts them, and where a new connection goes on."""

import json

from countersign.proposals import Event, Proposal
from countersign.settings import Settings
from countersign.stream import Stream
from countersign.testing import FakeServer
from countersign.wire import Answer, Lost


def stream(after: str | None = None) -> Stream:
    return Stream(Settings(token="t", chance=lambda: 0.5), after)


def proposal(server: FakeServer) -> Proposal:
    with server.client() as client:
        return client.propose("refund", {"text": "a\u2028b\x85c\x0b"})


def told(one: Proposal, type: str = "proposal.pending") -> bytes:
    return json.dumps({"type": type, "proposal": one.raw}, ensure_ascii=False).encode()


def test_events_are_the_same_however_they_are_cut(countersign_server: FakeServer) -> None:
    one = proposal(countersign_server)
    wire = b"retry: 100\nid: 1\n\n: still\n\nevent: proposal\nid: 2\ndata: " + told(one) + b"\n\n"
    for lines in (b"\n", b"\r\n", b"\r"):
        data = wire.replace(b"\n", lines) + b":"
        for size in (1, 2, 7, len(data)):
            reading = stream()
            found = [
                event for at in range(0, len(data), size) for event in reading.feed(data[at : at + size])
            ]
            assert found == [Event("2", "proposal.pending", one)]
            assert found[0].proposal.arguments == one.arguments
            assert (reading.last_id, reading.retry) == ("2", 0.1)


def test_an_event_that_was_cut_in_the_middle_is_asked_for_again(countersign_server: FakeServer) -> None:
    data = b"id: 7\ndata: " + told(proposal(countersign_server))
    reading = stream("6")
    assert list(reading.feed(data)) == []
    assert reading.request().headers["Last-Event-ID"] == "6"
    [event] = reading.feed(data + b"\n\n")
    assert event.id == "7"
    assert reading.request().headers["Last-Event-ID"] == "7"


def test_a_new_subscription_begins_now() -> None:
    assert "Last-Event-ID" not in stream().request().headers


def test_it_comes_back_as_the_server_asks_and_slower_while_it_is_away() -> None:
    reading = stream()
    list(reading.feed(b"retry: 2000\n\n"))
    ended = Lost("the stream ended", was_sent=True)
    first, second = reading.pause(ended), reading.pause(ended)
    assert (first, second < reading.pause(ended)) == (2.0, True)
    assert reading.pause(Answer(503, {"retry-after": "30"}, b"")) == 30.5
    list(reading.feed(b": here again\n\n"))
    assert reading.pause(ended) == 2.0
