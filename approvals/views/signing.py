"""The question that a page puts to a passkey before it sends an approval of high risk."""

from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from accounts.http import person
from approvals import selectors, signing
from approvals.ballots import Ballot
from approvals.models import Proposal, Verdict
from approvals.services import sign
from approvals.views import edit
from audit.tlog.assertions import text_of

PATIENCE = 120_000
"""Milliseconds that the browser gives a person to find his key."""


@login_required
@never_cache
@require_POST
def proposal_challenge(request: HttpRequest, proposal_id: UUID) -> HttpResponse:
    """What to sign for the form as it stands: `{"sign": false}` where nothing is, and where the form is not yet fit to
    be sent, so that sending it says what is wrong."""
    me = person(request)
    found = selectors.proposal_for(me, proposal_id)
    ballot = _ballot(request, found)
    if ballot is None:
        return JsonResponse({"sign": False})
    session = signing.session_of(request.session.session_key)
    asked = sign.ask(proposal_id=proposal_id, person=me, session=session, ballot=ballot)
    if asked is None:
        return JsonResponse({"sign": False})
    return JsonResponse(
        {
            "sign": True,
            "nonce": text_of(asked.nonce),
            "options": {
                "challenge": text_of(asked.challenge),
                "rpId": asked.host,
                "credentials": [text_of(one) for one in asked.credentials],
                "timeout": PATIENCE,
            },
        }
    )


def _ballot(request: HttpRequest, found: Proposal) -> Ballot | None:
    """What would be approved; None for an edit that is not whole."""
    if request.POST.get("verdict") == Verdict.EDIT:
        return edit.ballot_sent(request, person(request), found)
    return Ballot(
        verdict=Verdict.APPROVE,
        revision=edit.number(request.POST.get("revision", "")),
        version=edit.number(request.POST.get("version", "")),
        host=request.get_host(),
    )
