"""An agent's credentials and identities: issued, rotated, kept to networks, revoked. A token is in one response and
nowhere else."""

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from accounts.http import person as me
from agents import selectors
from agents.forms import CredentialForm, IdentityForm, NetworksForm, RotateForm
from agents.models import Agent, Credential
from agents.services import credentials, identities
from audit import recording


@login_required
@never_cache
def credential_issue(request: HttpRequest, slug: str) -> HttpResponse:
    agent = selectors.managed_agent(me(request), slug)
    form = CredentialForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        credential, token = credentials.issue(agent_id=agent.pk, actor=me(request), **form.cleaned_data)
        return _token_page(request, agent, credential, token)
    return render(request, "agents/credential_issue.html", {"form": form, "agent": agent})


@login_required
@never_cache
def credential_rotate(request: HttpRequest, slug: str, credential_id: int) -> HttpResponse:
    agent = selectors.managed_agent(me(request), slug)
    old = selectors.credential_of(agent, credential_id)
    form = RotateForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        credential, token = credentials.rotate(
            credential_id=old.pk, actor=me(request), overlap=form.cleaned_data["overlap"]
        )
        return _token_page(request, agent, credential, token)
    context = {"form": form, "agent": agent, "credential": old}
    return render(request, "agents/credential_rotate.html", context)


@login_required
def credential_networks(request: HttpRequest, slug: str, credential_id: int) -> HttpResponse:
    agent = selectors.managed_agent(me(request), slug)
    credential = selectors.credential_of(agent, credential_id)
    form = NetworksForm(request.POST or None, credential=credential)
    if request.method == "POST" and form.is_valid():
        credentials.restrict(credential_id=credential.pk, actor=me(request), **form.cleaned_data)
        messages.success(request, "Saved. It holds from the next request on.")
        return redirect("approvals:agent", slug=slug)
    context = {"form": form, "agent": agent, "credential": credential, "address": recording.present().address}
    return render(request, "agents/credential_networks.html", context)


@login_required
def identity_register(request: HttpRequest, slug: str) -> HttpResponse:
    agent = selectors.managed_agent(me(request), slug)
    form = IdentityForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        values = form.cleaned_data
        identities.register(
            agent_id=agent.pk,
            trust=form.trust(),
            actor=me(request),
            label=values["label"],
            networks=values["networks"],
            days=values["days"],
        )
        messages.success(request, "Registered. Tokens that fit are the agent's from now on.")
        return redirect("approvals:agent", slug=slug)
    return render(request, "agents/identity_register.html", {"form": form, "agent": agent})


@login_required
@require_POST
def credential_revoke(request: HttpRequest, slug: str, credential_id: int) -> HttpResponse:
    agent = selectors.managed_agent(me(request), slug)
    credential = credentials.revoke(
        credential_id=selectors.credential_of(agent, credential_id).pk, actor=me(request)
    )
    messages.success(request, f"Credential {credential.key_id} is revoked. It is refused from now on.")
    return redirect("approvals:agent", slug=slug)


def _token_page(request: HttpRequest, agent: Agent, credential: Credential, token: str) -> HttpResponse:
    """Rendered as the answer to the POST and marked not to be stored, so the token stays out of every cache."""
    return render(
        request,
        "agents/credential_token.html",
        {"agent": agent, "credential": credential, "token": token, "base_url": settings.PUBLIC_URL},
    )
