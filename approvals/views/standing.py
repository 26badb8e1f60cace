"""The page of one mandate: where it stands and why; and every change of it, previewed before it is made.

Seen by owners, managers, admins and auditors; changed by who manages the agent. Nobody raises a tier here by hand: only
a promotion that the evidence has earned is confirmed (I12)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from accounts.http import person as me
from accounts.models import PendingChange
from agents import permissions
from agents import selectors as agents
from agents.models import Mandate, Promotion
from agents.tier_model import Thresholds
from approvals import consequences, standing, threshold_words
from approvals.consequences import Preview
from approvals.forms.standing import (
    AutomaticForm,
    CeilingForm,
    CostsForm,
    EarningForm,
    ReasonForm,
    ThresholdsForm,
    TierForm,
)
from approvals.services import earn, promote, set_thresholds
from approvals.standing import Outlook

asks = require_http_methods(["GET", "HEAD", "POST"])


@login_required
@require_safe
def mandate(request: HttpRequest, slug: str, action_type: str) -> HttpResponse:
    found = agents.mandate_of(agents.agent_for(me(request), slug), action_type)
    context = {
        "agent": found.agent,
        "mandate": found,
        "page": standing.page(found, version=request.GET.get("version", "")),
        "may_manage": permissions.can_manage(me(request), found.agent),
        "is_owner": found.agent.owner_id == me(request).pk,
        "needs_two": promote.needs_two(found.action_type),
        "can_be_lowered": bool(consequences.lower_tiers(found)),
    }
    return render(request, "approvals/standing.html", context)


@login_required
@asks
def mandate_tier(request: HttpRequest, slug: str, action_type: str) -> HttpResponse:
    found = _managed(request, slug, action_type)
    form = TierForm(request.POST or None, tiers=consequences.lower_tiers(found))
    return _act(
        request,
        found,
        form,
        _Act(
            "Lower the tier",
            "Down by hand, for whatever reason, at once. A higher tier is earned by evidence and confirmed then.",
            "Lower it",
            lambda outlook: consequences.of_lowering(outlook, form.cleaned_data["tier"]),
            lambda: promote.lower_tier(mandate_id=found.pk, actor=me(request), **form.cleaned_data),
            "The tier is lowered.",
        ),
    )


@login_required
@asks
def mandate_ceiling(request: HttpRequest, slug: str, action_type: str) -> HttpResponse:
    found = _managed(request, slug, action_type)
    form = CeilingForm(request.POST or None, mandate=found, is_admin=me(request).is_admin)
    return _act(
        request,
        found,
        form,
        _Act(
            "Change the ceiling",
            "How far the evidence can lead. It raises nothing by itself.",
            "Change it",
            lambda outlook: consequences.of_ceiling(outlook, form.cleaned_data["ceiling"]),
            lambda: set_thresholds.set_ceiling(mandate_id=found.pk, actor=me(request), **form.cleaned_data),
            "The ceiling is changed.",
        ),
    )


@login_required
@asks
def mandate_automatic(request: HttpRequest, slug: str, action_type: str) -> HttpResponse:
    found = _managed(request, slug, action_type)
    form = AutomaticForm(request.POST or None, mandate=found)
    return _act(
        request,
        found,
        form,
        _Act(
            "Ask before a promotion, or not",
            "The evidence has to meet the same bound either way.",
            "Change it",
            lambda outlook: consequences.of_automatic(outlook, form.cleaned_data["automatic"]),
            lambda: set_thresholds.set_automatic(mandate_id=found.pk, actor=me(request), **form.cleaned_data),
            "It is changed.",
        ),
    )


@login_required
@asks
def mandate_reset(request: HttpRequest, slug: str, action_type: str) -> HttpResponse:
    found = _managed(request, slug, action_type)
    form = ReasonForm(request.POST or None)
    return _act(
        request,
        found,
        form,
        _Act(
            "Begin a new attempt",
            "For an agent that was mended, or whose reviews went wrong. Each attempt has to show more than the one "
            "before, so that beginning again and again earns nothing by chance.",
            "Begin a new attempt",
            consequences.of_reset,
            lambda: promote.reset(mandate_id=found.pk, actor=me(request), **form.cleaned_data),
            "A new attempt has begun.",
        ),
        always=True,
    )


@login_required
@asks
def mandate_earning(request: HttpRequest, slug: str, action_type: str) -> HttpResponse:
    """The owner asks that it may earn more, or takes the consent back."""
    found = _managed(request, slug, action_type)
    form = EarningForm(request.POST or None)
    if found.may_earn:
        act = _Act(
            "Take back that it may earn more",
            "Owner and admin both said that evidence may raise it. One is enough to take that back.",
            "Take it back",
            consequences.of_withdrawing,
            lambda: earn.withdraw(mandate_id=found.pk, actor=me(request), **form.cleaned_data),
            "It stays in the loop from now on.",
        )
    else:
        act = _Act(
            "Ask that it may earn more",
            "What cannot be undone, or is critical, stays in the loop unless two people say otherwise: the agent's "
            "owner, and an admin who is somebody else.",
            "Ask for it",
            consequences.of_earning,
            lambda: earn.ask(mandate_id=found.pk, actor=me(request), **form.cleaned_data),
            "You have said so. An admin has to sign too.",
        )
    return _act(request, found, form, act, always=True)


@login_required
@asks
def mandate_thresholds(request: HttpRequest, slug: str, action_type: str) -> HttpResponse:
    found = _managed(request, slug, action_type)
    now = standing.current(found).state.thresholds
    costs = CostsForm(request.POST if "calculate" in request.POST else None)
    if "calculate" in request.POST:
        return _calculated(request, found, now, costs)
    form = ThresholdsForm(request.POST or None, mandate=found, now=now)
    return _act(
        request,
        found,
        form,
        _Act(
            "Thresholds",
            "What has to be shown, how much is looked at, and when a tier is taken back. Less than the default takes "
            "an admin; less than before begins a new attempt.",
            "Change them",
            lambda outlook: consequences.of_thresholds(outlook, _limits(found, form)),
            lambda: set_thresholds.set_thresholds(
                mandate_id=found.pk,
                thresholds=form.thresholds(),
                actor=me(request),
                reason=form.cleaned_data["reason"],
            ),
            "The thresholds are changed.",
            template="approvals/standing_thresholds.html",
        ),
        costs=costs,
    )


@login_required
@asks
def promotion_confirm(request: HttpRequest, promotion_id: int) -> HttpResponse:
    promotion, found = _promotion(request, promotion_id)
    form = ReasonForm(request.POST or None)
    return _act(
        request,
        found,
        form,
        _Act(
            f"Confirm: {promotion.get_after_display().lower()}",
            "The evidence has earned it. It is asked once more when you confirm.",
            "Confirm the promotion",
            lambda outlook: consequences.of_promotion(outlook, promotion),
            lambda: promote.confirm(promotion_id=promotion.pk, actor=me(request), **form.cleaned_data),
            f"It works {promotion.get_after_display().lower()} from now on.",
        ),
        always=True,
        promotion=promotion,
    )


@login_required
@asks
def promotion_decline(request: HttpRequest, promotion_id: int) -> HttpResponse:
    promotion, found = _promotion(request, promotion_id)
    form = ReasonForm(request.POST or None)
    return _act(
        request,
        found,
        form,
        _Act(
            f"Decline: {promotion.get_after_display().lower()}",
            "The evidence has earned it. You keep the tier as it is all the same.",
            "Decline the promotion",
            consequences.of_declining,
            lambda: promote.decline(promotion_id=promotion.pk, actor=me(request), **form.cleaned_data),
            "The promotion is declined.",
        ),
        always=True,
        promotion=promotion,
    )


# ── One way for all of them ───────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _Act:
    """One change: what it is called, what it would do, how it is done. `button` is what carries it out."""

    title: str
    note: str
    button: str
    preview: Callable[[Outlook], Preview]
    do: Callable[[], object]
    done: str
    template: str = "approvals/standing_action.html"


def _act(
    request: HttpRequest, found: Mandate, form: ReasonForm, act: _Act, *, always: bool = False, **extra: Any
) -> HttpResponse:
    """Ask, show what it would do, do it. Only what was shown is carried out: a mandate that has changed meanwhile, or
    another choice than the one shown, is shown first. `always`: there is nothing to choose, so it is shown at once."""
    preview, shown, status = None, "", 200
    if request.method == "POST":
        if form.is_valid():
            shown = consequences.token(found, form.values())
            if request.POST.get("confirm") == shown:
                if isinstance(act.do(), PendingChange):
                    messages.success(request, "It waits for a second person. Until then nothing has changed.")
                    return redirect("approvals:pending_changes")
                messages.success(request, f"{found.agent}, {found.action_type}: {act.done}")
                return redirect("approvals:mandate", found.agent.slug, found.action_type.name)
        else:
            status = 422
    if shown or always:
        preview = act.preview(standing.current(found))
        shown = shown or consequences.token(found, {})
    context = {
        "agent": found.agent,
        "mandate": found,
        "form": form,
        "act": act,
        "preview": preview,
        "shown": shown,
        **extra,
    }
    return render(request, act.template, context, status=status)


def _calculated(request: HttpRequest, found: Mandate, now: Thresholds, costs: CostsForm) -> HttpResponse:
    """The thresholds form again with the accuracy that the costs ask for; nothing else of it is touched."""
    form = ThresholdsForm(None, mandate=found, now=now)
    told = threshold_words.costs(costs.q0(), now) if costs.is_valid() else None
    if told:
        form.initial["on_p0"] = told.on_p0
        form.initial["out_p0"] = told.out_p0
    context = {
        "agent": found.agent,
        "mandate": found,
        "form": form,
        "costs": costs,
        "told": told,
        "act": {"title": "Thresholds", "note": "", "button": "Change them"},
    }
    return render(
        request, "approvals/standing_thresholds.html", context, status=200 if costs.is_valid() else 422
    )


def _limits(found: Mandate, form: ThresholdsForm) -> Thresholds:
    return Thresholds.of(form.thresholds(), risk=found.action_type.risk)


def _managed(request: HttpRequest, slug: str, action_type: str) -> Mandate:
    return agents.mandate_of(agents.managed_agent(me(request), slug), action_type)


def _promotion(request: HttpRequest, promotion_id: int) -> tuple[Promotion, Mandate]:
    """An open promotion of an agent this person manages."""
    promotion = standing.promotion(promotion_id)
    found = _managed(request, promotion.mandate.agent.slug, promotion.mandate.action_type.name)
    standing.check_open(promotion)
    return promotion, found


ACTIONS = {
    "tier": mandate_tier,
    "ceiling": mandate_ceiling,
    "thresholds": mandate_thresholds,
    "automatic": mandate_automatic,
    "reset": mandate_reset,
    "earning": mandate_earning,
}
"""Each at its own address below the mandate's, by this word."""
