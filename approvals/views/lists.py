"""Lists of open proposals: one queue or all of mine, narrowed by what stands in the address."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import urlencode
from uuid import UUID
from zlib import crc32

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_safe

from accounts.http import person
from approvals import filters, lists, selectors, separation
from approvals.filters import Filters, Parsed
from approvals.forms.lists import FilterForm, SaveViewForm, chips
from approvals.lists import Cursor, mark_of
from approvals.models import Proposal, Queue, SavedView

PAGE = 50
SHOWN_AT_MOST = 120


@login_required
@require_safe
def proposal_list(request: HttpRequest) -> HttpResponse:
    """All my queues together."""
    return _list(request, _parsed(request), selectors.queues_of(person(request)), None)


@login_required
@require_safe
def queue(request: HttpRequest, slug: str) -> HttpResponse:
    """The same list of one queue."""
    found = selectors.queue_for(person(request), slug)
    return _list(request, _parsed(request, one=True), [found], found)


def _list(request: HttpRequest, parsed: Parsed, mine: list[Queue], one: Queue | None) -> HttpResponse:
    if any(value == "" for _, values in request.GET.lists() for value in values):
        return redirect(_tidied(request))
    me, chosen = person(request), parsed.filters
    after = parse_cursor(request.GET.get("after", ""))
    page = lists.page(me, _chosen_queues(mine, chosen), chosen, after=after, limit=PAGE)
    apart = after is None and not chosen.held and chosen.state in ("waiting", "open")
    holding = lists.mine_in(me, mine) if apart else []
    held = {row.pk for row in holding}
    form = FilterForm(chosen, lists.choices(mine, selectors.tallies([each.pk for each in mine]).values()))
    query = filters.query(chosen)
    kept = filters.query(replace(chosen, queue=(one.slug,))) if one else query
    end = write_cursor(page.after) if page.after else ""
    context = {
        "queue": one,
        "queues": mine,
        "page": page,
        "rows": [row for row in page.rows if row.pk not in held],
        "holding": holding,
        "next_query": _query(query, after=end) if end else "",
        "is_first": after is None,
        "pulse": _pulse_address(one, query, first="" if after else "1", until=end),
        "filters": chosen,
        "is_narrowed": chosen.narrows or bool(chosen.queue),
        "ignored": parsed.ignored,
        "form": form,
        "chips": chips(chosen, form),
        "states": [
            (state, words, filters.query(replace(chosen, state=state)))
            for state, words in filters.STATES.items()
        ],
        "query": query,
        "query_without_q": filters.query(replace(chosen, q="")),
        "show_queue": one is None,
        "label": dict(filters.STATES)[chosen.state],
        "kept": kept,
        "views": list(SavedView.objects.filter(owner=me).order_by("name")),
        "save_form": SaveViewForm(initial={"query": kept}, auto_id="view_%s"),
        "conflicted": set(separation.conflicted_agent_ids(me)),
    }
    return render(request, "approvals/list.html", context)


@login_required
@require_safe
def proposal_list_pulse(request: HttpRequest) -> HttpResponse:
    return _pulse(request, _parsed(request).filters, selectors.queues_of(person(request)), None)


@login_required
@require_safe
def queue_pulse(request: HttpRequest, slug: str) -> HttpResponse:
    found = selectors.queue_for(person(request), slug)
    return _pulse(request, _parsed(request, one=True).filters, [found], found)


@dataclass(frozen=True, slots=True)
class Mark:
    """One row on a screen: what it is now (None: no longer in these queues) and whether it still belongs there."""

    id: UUID
    row: Proposal | None
    is_listed: bool
    has_changed: bool


def _pulse(request: HttpRequest, chosen: Filters, mine: list[Queue], one: Queue | None) -> HttpResponse:
    """What has become of the rows on a reviewer's screen, and whether others belong among them by now.

    204 while nothing differs from what was told last."""
    shown = _shown(request.GET.getlist("shown"))
    marks = _marks(shown, mine)
    fresh = _fresh(request, chosen, mine, shown) if request.GET.get("first") == "1" else 0
    changed = [f"{mark.id}{mark.row and mark_of(mark.row)}" for mark in marks if mark.has_changed]
    telling = f"{fresh}.{crc32(''.join(changed).encode()):x}"
    if telling == request.GET.get("told", "0.0"):
        return HttpResponse(status=204)
    query = filters.query(chosen)
    place = reverse("approvals:queue", args=[one.slug]) if one else reverse("approvals:proposal_list")
    kept = {name: request.GET.get(name, "")[:120] for name in ("first", "until")}
    context = {
        "fresh": fresh,
        "changed": len(changed),
        "marks": marks,
        "list": f"{place}?{query}" if query else place,
        "pulse": _pulse_address(one, query, **kept, told=telling),
    }
    return render(request, "approvals/_list_pulse.html", context)


def _marks(shown: dict[UUID, str], mine: Sequence[Queue]) -> list[Mark]:
    now = {row.pk: row for row in lists.rows().filter(pk__in=list(shown), queue__in=list(mine))}
    found = []
    for pk, before in shown.items():
        row = now.get(pk)
        is_listed = row is not None and row.state == before.partition("~")[0]
        found.append(Mark(pk, row, is_listed, row is None or mark_of(row) != before))
    return found


def _fresh(request: HttpRequest, chosen: Filters, mine: list[Queue], shown: dict[UUID, str]) -> int:
    """How many rows of the first page as it is now are not on the screen. What only moved up from the second page
    does not count: it lies behind the last row of the screen."""
    until = parse_cursor(request.GET.get("until", ""))
    page = lists.page(person(request), _chosen_queues(mine, chosen), chosen, limit=PAGE)
    return sum(key.id not in shown and (until is None or key <= until) for key in page.keys)


def write_cursor(key: Cursor) -> str:
    return f"{key.priority}~{key.moment.isoformat()}~{key.id}"


def parse_cursor(text: str) -> Cursor | None:
    """The cursor of a link; anything else is the beginning."""
    try:
        priority, moment, pk = text.split("~")
        cursor = Cursor(int(priority), datetime.fromisoformat(moment), UUID(pk))
    except ValueError:
        return None
    return cursor if 0 <= cursor.priority <= 9 and cursor.moment.tzinfo else None


def _parsed(request: HttpRequest, *, one: bool = False) -> Parsed:
    """The filters of the address; within one queue it is not a matter of choice which."""
    parsed = filters.parse(dict(request.GET.lists()))
    return replace(parsed, filters=replace(parsed.filters, queue=())) if one else parsed


def _chosen_queues(mine: list[Queue], chosen: Filters) -> list[Queue]:
    """Those of my queues that the address names; what is not mine is not among them."""
    return [each for each in mine if each.slug in chosen.queue] if chosen.queue else mine


def _tidied(request: HttpRequest) -> str:
    """The address that a form sent, less what was left empty."""
    pairs = [(name, value) for name, values in request.GET.lists() for value in values if value]
    return f"{request.path}?{urlencode(pairs)}" if pairs else request.path


def _query(query: str, **more: str) -> str:
    return "&".join(part for part in (query, urlencode({k: v for k, v in more.items() if v})) if part)


def _pulse_address(one: Queue | None, query: str, **more: str) -> str:
    address = (
        reverse("approvals:queue_pulse", args=[one.slug]) if one else reverse("approvals:proposal_list_pulse")
    )
    return f"{address}?{_query(query, **more)}"


def _shown(texts: Sequence[str]) -> dict[UUID, str]:
    """Rows on a screen, each with its mark as it was written there: `id~mark`."""
    found = {}
    for text in texts[:SHOWN_AT_MOST]:
        name, _, mark = text.partition("~")
        try:
            found[UUID(name)] = mark
        except ValueError:
            continue
    return found
