"""An agent's versions: what it announced, whose evidence each goes on, and two signatures where a change makes none."""

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from accounts.http import person as me
from agents import permissions, selectors
from agents import versions as steps
from agents.forms_versions import AnswerForm, DeclareForm, EquivalenceForm
from agents.models import SecondSignature
from agents.services import versions
from agents.versions import Announced


@login_required
@require_safe
def version_list(request: HttpRequest, slug: str) -> HttpResponse:
    return _page(request, slug)


@login_required
@require_POST
def version_declare(request: HttpRequest, slug: str) -> HttpResponse:
    agent = selectors.managed_agent(me(request), slug)
    form = DeclareForm(request.POST, prefix="declare")
    if not form.is_valid():
        return _page(request, slug, declare=form)
    values = form.cleaned_data
    version = versions.declare(
        agent_id=agent.pk,
        label=values["label"],
        said=Announced(values["model"], values["prompt_digest"], values["tools_digest"]),
        actor=me(request),
        reason=values["reason"],
    )
    messages.success(
        request, f"The agent is version {version.label} from now on, and has to earn its tiers anew."
    )
    return redirect("agents:version_list", slug=slug)


@login_required
@require_POST
def version_equivalence(request: HttpRequest, slug: str) -> HttpResponse:
    agent = selectors.managed_agent(me(request), slug)
    form = EquivalenceForm(request.POST, agent=agent, prefix="equivalence")
    if not form.is_valid():
        return _page(request, slug, equivalence=form)
    versions.ask_equivalence(
        agent_id=agent.pk,
        continues_id=form.cleaned_data["continues"].pk,
        actor=me(request),
        reason=form.cleaned_data["reason"],
    )
    messages.success(request, "Asked. An admin who is somebody else has to sign it.")
    return redirect("agents:version_list", slug=slug)


@login_required
@require_POST
def version_answer(request: HttpRequest, slug: str, signature_id: int) -> HttpResponse:
    selectors.agent_for(me(request), slug)
    permissions.check_is_admin(me(request))
    form = AnswerForm(request.POST, prefix=f"answer-{signature_id}")
    if not form.is_valid():
        return _page(request, slug, answers={signature_id: form})
    act = versions.sign_equivalence if "sign" in request.POST else versions.decline_equivalence
    act(signature_id=signature_id, actor=me(request), reason=form.cleaned_data["reason"])
    messages.success(request, "Signed." if "sign" in request.POST else "Declined.")
    return redirect("agents:version_list", slug=slug)


def _page(
    request: HttpRequest,
    slug: str,
    *,
    declare: forms.Form | None = None,
    equivalence: forms.Form | None = None,
    answers: dict[int, AnswerForm] | None = None,
) -> HttpResponse:
    agent = selectors.agent_for(me(request), slug)
    may_manage = permissions.can_manage(me(request), agent)
    rows = list(agent.versions.select_related("registered_by").order_by("-began_at", "-pk"))
    asked = SecondSignature.objects.filter(agent=agent, kind=SecondSignature.Kind.EQUIVALENCE).select_related(
        "version", "continues", "asked_by", "signed_by"
    )
    signatures = [
        (
            one,
            (answers or {}).get(one.pk) or AnswerForm(prefix=f"answer-{one.pk}"),
            one.signed_at is None and one.declined_at is None,
        )
        for one in asked.order_by("-pk")[:20]
    ]
    context = {
        "agent": agent,
        "rows": rows,
        "present": next((row for row in rows if row.label == agent.version), None),
        "signatures": signatures,
        "may_sign": me(request).is_admin and agent.owner_id != me(request).pk,
        "declare": declare or (DeclareForm(prefix="declare") if may_manage else None),
        "equivalence": equivalence
        or (EquivalenceForm(agent=agent, prefix="equivalence") if may_manage and len(rows) > 1 else None),
        "known_blank": bool(rows) and steps.said_by(rows[0]).is_blank,
    }
    return render(request, "agents/versions.html", context, status=422 if request.method == "POST" else 200)
