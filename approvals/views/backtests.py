"""Backtests by upload: what one's own files came to. The file is stored here and run elsewhere."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from accounts.http import person as me
from agents.autonomy import Tier
from agents.backtest import ON, OUT
from approvals.forms.backtest import UploadForm
from approvals.models import Backtest
from approvals.services import backtest

_OPEN = (Backtest.State.WAITING, Backtest.State.RUNNING)


@login_required
def backtest_list(request: HttpRequest) -> HttpResponse:
    """One's own uploads, and the form for the next one."""
    backtest.check_may_backtest(me(request))
    size = int(request.META.get("CONTENT_LENGTH") or 0)
    form = UploadForm(request.POST or None, request.FILES or None, size=size)
    if request.method == "POST" and form.is_valid():
        file = form.cleaned_data["file"]
        made = backtest.upload(
            name=file.name or "", content=file.read(), options=form.options(), actor=me(request)
        )
        return redirect("approvals:backtest", backtest_id=made.pk)
    mine = Backtest.objects.filter(owner=me(request)).defer("content", "result").order_by("-id")
    context = {"form": form, "backtests": mine[: backtest.MOST_KEPT], "days": backtest.KEPT.days}
    status = 422 if request.method == "POST" else 200
    return render(request, "approvals/backtest_list.html", context, status=status)


@login_required
@require_safe
def backtest_page(request: HttpRequest, backtest_id: int) -> HttpResponse:
    found = backtest.own(me(request), backtest_id)
    context = {**_going(found), "rows": _rows(found), "days": backtest.KEPT.days}
    return render(request, "approvals/backtest.html", context)


@login_required
@require_safe
def backtest_progress(request: HttpRequest, backtest_id: int) -> HttpResponse:
    """The bar as it is now. Once it has ended, the page is asked to come again as a whole."""
    found = backtest.own(me(request), backtest_id)
    response = render(request, "approvals/_backtest_progress.html", _going(found))
    if found.state not in _OPEN:
        response["HX-Refresh"] = "true"
    return response


@login_required
@require_safe
def backtest_json(request: HttpRequest, backtest_id: int) -> HttpResponse:
    """Everything there is to the result, for machines."""
    found = backtest.own(me(request), backtest_id)
    headers = {"Content-Disposition": f'attachment; filename="backtest-{found.pk}.json"'}
    return JsonResponse(found.result or {}, headers=headers)


@login_required
@require_POST
def backtest_remove(request: HttpRequest, backtest_id: int) -> HttpResponse:
    backtest.remove(backtest_id=backtest_id, actor=me(request))
    messages.success(request, "The backtest and its file are gone.")
    return redirect("approvals:backtest_list")


def _going(found: Backtest) -> dict[str, Any]:
    share = found.progress / found.total if found.total else 0.0
    return {
        "backtest": found,
        "percent": 100 if found.state == Backtest.State.DONE else min(99, int(100 * share)),
        "is_open": found.state in _OPEN,
    }


def _rows(found: Backtest) -> list[dict[str, Any]]:
    """The stored result as the table shows it: figures with their ranges, tiers by their names."""
    keys = (found.result or {}).get("keys", [])
    seeds = found.options.get("seeds", 1)
    return [
        {
            **key,
            "correct": f"{100 * (1 - key['share_wrong']):.1f} %",
            "on": _reached(key["reached"][ON], seeds),
            "out": _reached(key["reached"][OUT], seeds),
            "figures": {
                name: _parts(key[name]) for name in ("reviews", "audits", "probes", "unreviewed", "ran_wrong")
            },
            "changes": [
                {**change, "before": Tier(change["before"]).label, "after": Tier(change["after"]).label}
                for change in key["changes"]
            ],
            "stages": [{**stage, "tier": Tier(stage["tier"]).label} for stage in key["stages"]],
        }
        for key in keys
    ]


def _reached(found: dict[str, Any], seeds: int) -> str:
    if not found["line"]:
        return "never"
    where = f"after line {_figure(found['line'])}"
    return where if found["seeds"] == seeds else f"{where}, in {found['seeds']} of {seeds} draws"


def _figure(spread: dict[str, float]) -> str:
    """A mean with its range, where there is one."""
    mean, around = _parts(spread)
    return f"{mean} ({around})" if around else mean


def _parts(spread: dict[str, float]) -> tuple[str, str]:
    mean = spread["mean"]
    shown = f"{mean:,.0f}" if mean >= 10 or mean == int(mean) else f"{mean:.1f}"
    same = spread["low"] == spread["high"]
    return shown, "" if same else f"{spread['low']:,.0f}–{spread['high']:,.0f}"
