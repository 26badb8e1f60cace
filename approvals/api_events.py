"""GET /api/v1/events as text: what has happened to an agent's own proposals, as server-sent events.

Streams are served by config/events.py, outside Django's handler. Behind a server that has only that handler the view
here answers with what there is and ends; clients of such streams come back by themselves, with Last-Event-ID, after
`retry` milliseconds."""

import msgspec
from django.http import HttpRequest, HttpResponse

from agents.http import agent_endpoint, authenticate
from approvals import feed, representation
from approvals.feed import Cursor, News

CONTENT_TYPE = "text/event-stream; charset=utf-8"
RETRY = 1000
"""Milliseconds after which a client whose stream has ended comes back."""
COMMENT = b": still\n\n"


@agent_endpoint("GET")
def events(request: HttpRequest) -> HttpResponse:
    """One page of what came since Last-Event-ID."""
    bearer = authenticate(request.headers.get("Authorization", ""))
    cursor = opening(request.headers.get("Last-Event-ID", ""), bearer.agent.pk)
    content = greeting(cursor) + text(feed.news(bearer.agent.pk, cursor))
    return HttpResponse(content, content_type=CONTENT_TYPE)


def opening(last_event_id: str, agent_id: int) -> Cursor:
    """Where a stream begins: after the event that was received last, or now."""
    if last_event_id:
        return feed.read_cursor(last_event_id, agent_id=agent_id)
    return feed.now(agent_id)


def greeting(cursor: Cursor) -> bytes:
    """The first of a stream. Its id is no event: it lets who is cut off before the first one miss nothing."""
    return f"retry: {RETRY}\nid: {cursor}\n\n".encode()


def place(cursor: Cursor) -> bytes:
    """A comment for the line's sake, with an id: who resumes from it has less to be searched for."""
    return COMMENT.strip() + f"\nid: {cursor}\n\n".encode()


def text(news: News) -> bytes:
    """The events, in the format of the HTML standard. JSON has no line break outside its strings' escapes, so each
    event's data is one line, whatever agent or reviewer wrote."""
    shown = representation.several([event.proposal for event in news.events])
    return b"".join(
        f"event: proposal\nid: {event.cursor}\ndata: ".encode()
        + msgspec.json.encode({"type": event.type, "proposal": body})
        + b"\n\n"
        for event, body in zip(news.events, shown, strict=True)
    )
