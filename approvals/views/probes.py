"""Probes: the library, how one is made, a reviewer's own record, appeals and their answers."""

from random import SystemRandom
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.http import person
from agents import selectors
from agents.models import ActionType
from approvals import disguise, permissions, probe_records
from approvals.disguise import Content, Disguised
from approvals.forms.probes import AnswerForm, AppealForm, ProbeForm, written
from approvals.services import probe_appeal, probe_library

LEAST_SHIFT = -7
"""Days by which dates are moved where the source is of this week: the same dates would be recognised."""


@login_required
@require_safe
def probe_library_list(request: HttpRequest) -> HttpResponse:
    """Every action type with what its library holds."""
    me = person(request)
    permissions.check_can_write_probes(me)
    shelves = [
        one for one in probe_records.shelves() if permissions.can_write_probes(me, one.action_type.domain)
    ]
    context = {"shelves": shelves, "appeals": probe_records.open_appeals(me).count()}
    return render(request, "approvals/probe_library.html", context)


@login_required
@require_safe
def probe_shelf(request: HttpRequest, action_type: str) -> HttpResponse:
    """One action type's probes, and what would make more of them."""
    kind = _kind(request, action_type)
    context = {
        "kind": kind,
        "probes": probe_records.probes_of(kind),
        "suggestions": probe_records.suggestions(kind),
        "appeals": probe_records.open_appeals(person(request)).count(),
    }
    return render(request, "approvals/probe_shelf.html", context)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def probe_add(request: HttpRequest, action_type: str) -> HttpResponse:
    """One written by hand."""
    kind = _kind(request, action_type)
    form = ProbeForm(request.POST or None, action_type=kind)
    return _save(request, kind, form) or _form(request, kind, form)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def probe_make(request: HttpRequest, action_type: str, proposal_id: UUID) -> HttpResponse:
    """One of an earlier proposal: both beside each other, everything that names the case replaced."""
    kind = _kind(request, action_type)
    source, own, final = probe_records.source_for(kind, proposal_id)
    original = probe_records.content_of(source, own, note=probe_records.said_of(source))
    days = disguise.whole_weeks(source.created_at, timezone.now()) or LEAST_SHIFT
    disguised = disguise.disguise(
        original,
        schema=kind.schema,
        amount_pointer=kind.amount_pointer,
        days=days,
        chance=SystemRandom(),
    )
    faulty = probe_records.mended_places(own, final, kind)
    form = ProbeForm(
        request.POST or None,
        action_type=kind,
        source=source,
        original=original,
        initial=_initial(disguised, faulty, source.agent.slug, source.confidence),
    )
    shown = {"source": source, "original": original, "disguised": disguised, "texts": _texts(original)}
    return _save(request, kind, form) or _form(request, kind, form, **shown)


def _kind(request: HttpRequest, name: str) -> ActionType:
    me = person(request)
    permissions.check_can_write_probes(me)
    kind = selectors.action_type_named(name)
    permissions.check_can_write_probes(me, kind.domain)
    return kind


def _initial(disguised: Disguised, faulty: list[str], agent: str, confidence: float | None) -> dict[str, Any]:
    content = disguised.content
    return {
        "arguments": content.arguments,
        "summary": content.summary,
        "reasoning": content.reasoning,
        "subject_type": content.subject_type,
        "subject_id": content.subject_id,
        "context": content.context,
        "current_state": content.current_state,
        "confidence": confidence,
        "agent": agent,
        "fault": content.note,
        "faulty": faulty,
    }


def _texts(original: Content) -> dict[str, str]:
    """The original, field by field, as it stands beside the form."""
    return {
        "arguments": written(original.arguments),
        "summary": original.summary,
        "reasoning": original.reasoning,
        "subject_type": original.subject_type,
        "subject_id": original.subject_id,
        "context": written(original.context) if original.context else "",
        "current_state": written(original.current_state) if original.current_state else "",
        "fault": original.note,
    }


def _save(request: HttpRequest, kind: ActionType, form: ProbeForm) -> HttpResponse | None:
    """The way back to the shelf, or None where there is nothing to save or something is wrong with it."""
    if request.method != "POST" or not form.is_valid() or not form.check():
        return None
    probe_library.add(action_type=kind.name, draft=form.draft(), actor=person(request))
    messages.success(request, "The probe is in the library. From now on it is served by chance.")
    return redirect("approvals:probe_shelf", action_type=kind.name)


def _form(request: HttpRequest, kind: ActionType, form: ProbeForm, **shown: Any) -> HttpResponse:
    texts = shown.get("texts") or {}
    named = ("arguments", "summary", "reasoning", "subject_type", "subject_id", "context", "current_state")
    rows = [
        (form[name], texts.get(name, ""), name in ("arguments", "context", "current_state")) for name in named
    ]
    context = {"kind": kind, "form": form, "rows": rows, **shown}
    return render(request, "approvals/probe_form.html", context, status=422 if form.errors else 200)


@login_required
@require_POST
def probe_retire(request: HttpRequest, probe_id: int) -> HttpResponse:
    probe = probe_library.retire(probe_id=probe_id, actor=person(request))
    messages.success(request, "It is out of use. Its figures stay.")
    return redirect("approvals:probe_shelf", action_type=probe.action_type.name)


@login_required
@require_POST
def probe_restore(request: HttpRequest, probe_id: int) -> HttpResponse:
    probe = probe_library.restore(probe_id=probe_id, actor=person(request))
    messages.success(request, "It is in use again.")
    return redirect("approvals:probe_shelf", action_type=probe.action_type.name)


@login_required
@require_safe
def probe_record(request: HttpRequest) -> HttpResponse:
    """My own record; nobody else's can be asked for."""
    return _record(request)


@login_required
@require_POST
def probe_appeal_send(request: HttpRequest, serving_id: int) -> HttpResponse:
    form = AppealForm(request.POST, prefix=f"appeal-{serving_id}")
    if not form.is_valid():
        probe_records.own_serving(person(request), serving_id)
        return _record(request, refused=(serving_id, form))
    probe_appeal.appeal(serving_id=serving_id, reviewer=person(request), text=form.cleaned_data["text"])
    messages.success(request, "Your appeal is sent. An admin who did not make the probe answers it.")
    return redirect("approvals:probe_record")


def _record(request: HttpRequest, refused: tuple[int, AppealForm] | None = None) -> HttpResponse:
    record = probe_records.own_record(person(request))
    lines = []
    for own in record.servings:
        form = None
        if own.is_open_to_appeal:
            form = AppealForm(prefix=f"appeal-{own.serving.pk}")
        if refused is not None and refused[0] == own.serving.pk:
            form = refused[1]
        lines.append({"own": own, "form": form})
    context = {"record": record, "lines": lines}
    return render(request, "approvals/probe_record.html", context, status=422 if refused else 200)


@login_required
@require_safe
def probe_appeals(request: HttpRequest) -> HttpResponse:
    """Appeals that wait, for admins."""
    return _appeals(request)


@login_required
@require_POST
def probe_answer(request: HttpRequest, serving_id: int) -> HttpResponse:
    form = AnswerForm(request.POST, prefix=f"answer-{serving_id}")
    if not form.is_valid():
        return _appeals(request, refused=(serving_id, form))
    upheld = "uphold" in request.POST
    probe_appeal.answer(
        serving_id=serving_id,
        actor=person(request),
        upheld=upheld,
        words=form.cleaned_data["words"],
        retire=form.cleaned_data["retire"],
    )
    messages.success(request, "Upheld: it counts for nobody." if upheld else "Answered; it goes on counting.")
    return redirect("approvals:probe_appeals")


def _appeals(request: HttpRequest, refused: tuple[int, AnswerForm] | None = None) -> HttpResponse:
    me = person(request)
    permissions.check_can_answer_appeals(me)
    lines = []
    for serving in probe_records.open_appeals(me):
        form = AnswerForm(prefix=f"answer-{serving.pk}")
        if refused is not None and refused[0] == serving.pk:
            form = refused[1]
        lines.append(
            {
                "serving": serving,
                "content": probe_records.probe_content(serving.probe, at=serving.served_at or timezone.now()),
                "form": form,
                "is_mine": me.pk in (serving.probe.author_id, serving.appealed_by_id, serving.reviewer_id),
            }
        )
    return render(request, "approvals/probe_appeals.html", {"lines": lines}, status=422 if refused else 200)
