"""A proposal as its reviewers saw it, one page for each vote: what was recorded, or what can be rebuilt."""

from typing import Any
from uuid import UUID

import msgspec
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.http import person
from approvals import blind, reconstruct, selectors
from approvals.models import Proposal
from approvals.reconstruct import Moment, Reconstruction
from approvals.sheet_shape import Sheet
from audit import reading


@login_required
@never_cache
@require_safe
def as_decided(request: HttpRequest, proposal_id: UUID) -> HttpResponse:
    """The moment that `event` names, or the last one. That somebody looked is logged, as every reading of the log."""
    me = person(request)
    found = selectors.proposal_for(me, proposal_id)
    blind.note_peek(me, found)
    moments = reconstruct.moments(me, found)
    moment = _chosen(moments, request.GET.get("event", ""))
    context: dict[str, Any] = {"proposal": found, "moments": moments, "moment": moment}
    if moment is not None:
        made = reconstruct.of(me, found, moment)
        asked = {"proposal": str(found.pk), "event": moment.event.pk}
        context["is_noted"] = reading.note(reader=me.actor(), page="reconstruct", shown=1, asked=asked)
        context |= {"made": made, **(_page_of(found, made, made.sheet) if made.sheet else {})}
    return render(request, "approvals/reconstruct.html", context)


def _chosen(moments: list[Moment], event: str) -> Moment | None:
    if not event:
        return moments[-1] if moments else None
    found = next((one for one in moments if str(one.event.pk) == event), None)
    if found is None:
        raise Http404("Nobody decided this proposal by that event.")
    return found


def _page_of(proposal: Proposal, made: Reconstruction, sheet: Sheet) -> dict[str, Any]:
    """The sheet in the names that the parts of a proposal's own page read."""
    shown = sheet.shown
    subject, lines, said = shown.proposal, shown.lines, shown.said
    texts = {name: one.text for name, one in made.said.items()}
    kind = subject.kind
    return {
        "was": {
            "revision": subject.revision,
            "digest": subject.digest,
            "action_type": {
                "label": kind.label,
                "systems": kind.systems,
                "reversible_by": {"label": kind.undone_by} if kind.undone_by else None,
            },
            "summary": texts.get("summary", ""),
            "reasoning": texts.get("reasoning", ""),
            "context": texts.get("context", []),
            "confidence": said.confidence,
            "subject_type": said.subject_type,
            "subject_id": said.subject_id,
            "agent_version": subject.agent_version,
            "parent_id": proposal.parent_id,
        },
        "revision": {"editor": subject.editor, "reply": texts.get("reply", "")},
        "sheet": {
            "title": lines.title,
            "entries": lines.entries,
            "missing": lines.missing,
            "size": lines.size,
            "outside": lines.outside,
            "signals": lines.above,
            "flags": made.flags,
            "rest": lines.rest,
        },
        "hosts": said.hosts,
        "faults": [(name, one.fault) for name, one in made.said.items() if one.fault],
        "then": sheet,
        **_standing_of(sheet),
    }


def _standing_of(sheet: Sheet) -> dict[str, Any]:
    """The tier's numbers as a page lists them: how many reviews, each threshold, and the stored fold as text."""
    if sheet.tier is None:
        return {}
    standing = sheet.tier.standing
    return {
        "judged": sum(standing.get("counts", [])),
        "thresholds": [(name.replace("_", " "), value) for name, value in sheet.tier.thresholds.items()],
        "standing": msgspec.json.encode(standing).decode() if standing else "",
    }
