"""POST /api/v1/activity: an agent tells what it did, in our own JSON. A result per item, order kept.

A body may have 1 MiB, where every other has 256 KiB: nobody decides on a prompt, and prompts are long."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from agents import activity_items
from agents.activity_items import ActivityBatch, ActivityItem, BadItem, Item
from agents.http import FieldsInvalid, agent_endpoint, as_json, authenticate, body, parse, typed
from agents.services import record_activity
from agents.services.record_activity import Recorded
from approvals import traces
from approvals.crowding import beside_proposals

_DIFFERS = "this part of the span was recorded earlier saying something else, and that stands"


@agent_endpoint("POST")
def activity(request: HttpRequest) -> HttpResponse:
    """Record the acceptable items of a batch; the others say which field is wrong."""
    bearer = authenticate(request.headers.get("Authorization", ""))
    with beside_proposals():
        batch = parse(body(request, most=activity_items.MOST_BYTES), ActivityBatch)
        read = [_read(number, value) for number, value in enumerate(batch.items)]
        items = [one for one in read if isinstance(one, Item)]
        recorded = record_activity.record(
            bearer=bearer,
            items=items,
            about=traces.subjects(bearer.agent.pk, {item.trace_id for item in items}),
        )
    answers = iter(recorded)
    return as_json(
        {
            "items": [
                _recorded(number, next(answers)) if isinstance(one, Item) else _refused(one)
                for number, one in enumerate(read)
            ]
        }
    )


def _read(number: int, value: Any) -> Item | list[Any]:
    """The item, or what is wrong with it."""
    at = f"/items/{number}"
    try:
        return activity_items.item_of(typed(value, ActivityItem, at=at), now=timezone.now())
    except FieldsInvalid as error:
        errors = error.extra["errors"]
        assert isinstance(errors, list)
        return errors
    except BadItem as error:
        return [{"field": at + error.field, "message": str(error)}]


def _recorded(number: int, one: Recorded) -> dict[str, Any]:
    """The same answer however often it is sent."""
    if one.differs:
        return _refused([{"field": f"/items/{number}/span_id", "message": _DIFFERS}])
    return {"status": "recorded", "id": str(one.id)}


def _refused(errors: list[Any]) -> dict[str, Any]:
    return {"status": "refused", "errors": errors}
