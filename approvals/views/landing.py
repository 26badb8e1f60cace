"""Where a GET of an address that only takes decisions goes."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

View = Callable[..., HttpResponse]


def posted(view: View) -> View:
    """Only a POST acts. A GET (an ended session, a reload, a mail scanner) shows the page and changes nothing."""

    @wraps(view)
    def inner(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.method == "POST":
            return view(request, *args, **kwargs)
        if "proposal_id" in kwargs:
            return redirect("approvals:proposal", proposal_id=kwargs["proposal_id"])
        if "incident_id" in kwargs:
            return redirect("approvals:incident", incident_id=kwargs["incident_id"])
        if "review_id" in kwargs:
            return redirect("approvals:blind_review", review_id=kwargs["review_id"])
        return redirect("approvals:queue_list")

    return inner
