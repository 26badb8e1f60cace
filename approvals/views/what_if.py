"""What-if for one mandate: other thresholds over its recorded evidence, other limits over what was proposed lately.

A GET that reads: the address is the question, and can be sent to a colleague."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from accounts.http import person as me
from agents import selectors as agents
from agents import what_if as words
from agents.autonomy import Tier
from agents.backtest import ON, OUT
from agents.what_if import Replay
from approvals.forms.what_if import EvidenceForm, LimitsForm
from approvals.services import what_if as evidence
from approvals.services import what_if_limits as limits


@login_required
@require_safe
def what_if(request: HttpRequest, slug: str, action_type: str) -> HttpResponse:
    mandate = agents.mandate_of(agents.agent_for(me(request), slug), action_type)
    part = request.GET.get("part")
    thresholds = EvidenceForm(request.GET if part == "evidence" else None, mandate=mandate)
    bounds = LimitsForm(request.GET if part == "limits" else None, mandate=mandate)
    context = {
        "agent": mandate.agent,
        "mandate": mandate,
        "evidence_form": thresholds,
        "limits_form": bounds,
        "most": evidence.MOST,
        "most_ruled": limits.MOST_RULED,
    }
    if part == "evidence" and thresholds.is_valid():
        answer = evidence.ask(mandate, thresholds.asked())
        context |= {
            "replay": answer,
            "rows": _rows(answer.now, answer.then) if answer else [],
            "has_asked": True,
        }
    if part == "limits" and bounds.is_valid():
        context["trial"] = limits.ask(mandate, bounds.asked())
    return render(request, "approvals/what_if.html", context)


def _rows(now: Replay, then: Replay) -> list[tuple[str, str, str]]:
    """What, by the thresholds in force, by the other ones."""
    return [
        ("Tier in the end", Tier(now.tier).label, Tier(then.tier).label),
        ("On the loop", _when(now, ON), _when(then, ON)),
        ("Out of the loop", _when(now, OUT), _when(then, OUT)),
        ("Reviews beforehand", words.number(now.reviews), words.number(then.reviews)),
        ("Audits afterwards", words.number(now.audits), words.number(then.audits)),
        ("Ran unreviewed", words.number(now.unreviewed), words.number(then.unreviewed)),
        ("Of these judged wrong", words.number(now.wrong), words.number(then.wrong)),
        ("Of these wrong, estimated", words.number(now.estimated), words.number(then.estimated)),
        ("Tier taken back", words.number(now.demotions), words.number(then.demotions)),
        ("Cannot be known", words.number(now.unknown), words.number(then.unknown)),
    ]


def _when(replay: Replay, tier: str) -> str:
    change = replay.first(tier)
    return f"{words.day(change.at)}, after {change.reviews:,} reviews" if change else "never"
