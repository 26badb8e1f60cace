"""An agent's webhook endpoints, what was sent to them, how it fared. A secret is in one response and nowhere else."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import Exists, OuterRef, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from accounts.exceptions import NotFound
from accounts.http import person as me
from agents import selectors as agents
from agents.forms import RotateForm
from agents.models import Agent
from approvals import webhooks as wire
from approvals.forms.webhooks import EndpointForm
from approvals.models import WebhookDelivery, WebhookEndpoint
from approvals.services import webhooks

PAGE = 50
STATES = (
    (WebhookDelivery.State.QUEUED, "Waiting"),
    (WebhookDelivery.State.SENT, "Delivered"),
    (WebhookDelivery.State.DEAD, "Given up"),
)
_IN_SIGHT = Q(removed_at=None) | Exists(WebhookDelivery.objects.filter(endpoint=OuterRef("pk")))


@login_required
@require_safe
def webhook_list(request: HttpRequest, slug: str) -> HttpResponse:
    agent = agents.managed_agent(me(request), slug)
    found = list(WebhookEndpoint.objects.filter(_IN_SIGHT, agent=agent).order_by("removed_at", "pk"))
    found.sort(key=lambda one: one.removed_at is not None)
    lines = [(one, *_counts(one)) for one in found]
    count = sum(one.removed_at is None for one in found)
    context = {"agent": agent, "lines": lines, "may_add": count < webhooks.MOST}
    return render(request, "approvals/admin/webhooks.html", context)


@login_required
@never_cache
def webhook_add(request: HttpRequest, slug: str) -> HttpResponse:
    agent = agents.managed_agent(me(request), slug)
    form = EndpointForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        endpoint, secret = webhooks.add(agent_id=agent.pk, actor=me(request), **form.cleaned_data)
        return _secret_page(request, agent, endpoint, secret)
    return _form_page(request, agent, form, None)


@login_required
@require_safe
def webhook(request: HttpRequest, slug: str, endpoint_id: int) -> HttpResponse:
    agent, endpoint = _seen(request, slug, endpoint_id)
    state = request.GET.get("state", "")
    found = endpoint.deliveries.select_related("proposal").order_by("-pk")
    chosen = state if state in WebhookDelivery.State.values else ""
    page = Paginator(found.filter(state=chosen) if chosen else found, PAGE).get_page(request.GET.get("page"))
    waiting, dead = _counts(endpoint)
    now = timezone.now()
    context = {
        "agent": agent,
        "endpoint": endpoint,
        "page": page,
        "lines": zip(page, wire.ahead_of(list(page), endpoint, now=now), strict=True),
        "state": chosen,
        "states": [(one.value, words) for one, words in STATES],
        "waiting": waiting,
        "dead": dead,
        "types": wire.types_of(endpoint),
        "secrets": endpoint.secrets.order_by("-pk")[:2],
        "now": now,
    }
    return render(request, "approvals/admin/webhook.html", context)


@login_required
def webhook_edit(request: HttpRequest, slug: str, endpoint_id: int) -> HttpResponse:
    agent, endpoint = _own(request, slug, endpoint_id)
    form = EndpointForm(request.POST or None, endpoint=endpoint)
    if request.method == "POST" and form.is_valid():
        webhooks.change(endpoint_id=endpoint.pk, actor=me(request), **form.cleaned_data)
        messages.success(request, "The endpoint is saved.")
        return redirect("approvals:webhook", slug=slug, endpoint_id=endpoint.pk)
    return _form_page(request, agent, form, endpoint)


@login_required
@never_cache
def webhook_rotate(request: HttpRequest, slug: str, endpoint_id: int) -> HttpResponse:
    agent, endpoint = _own(request, slug, endpoint_id)
    form = RotateForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        secret = webhooks.rotate(
            endpoint_id=endpoint.pk, actor=me(request), overlap=form.cleaned_data["overlap"]
        )
        return _secret_page(request, agent, endpoint, secret)
    context = {"agent": agent, "endpoint": endpoint, "form": form}
    return render(request, "approvals/admin/webhook_rotate.html", context)


@login_required
@require_POST
def webhook_pause(request: HttpRequest, slug: str, endpoint_id: int) -> HttpResponse:
    _, endpoint = _own(request, slug, endpoint_id)
    webhooks.pause(endpoint_id=endpoint.pk, actor=me(request))
    messages.success(request, "It is paused. What happens meanwhile waits.")
    return redirect("approvals:webhook", slug=slug, endpoint_id=endpoint_id)


@login_required
@require_POST
def webhook_resume(request: HttpRequest, slug: str, endpoint_id: int) -> HttpResponse:
    _, endpoint = _own(request, slug, endpoint_id)
    webhooks.resume(endpoint_id=endpoint.pk, actor=me(request))
    messages.success(request, "It is resumed. What has waited leaves now.")
    return redirect("approvals:webhook", slug=slug, endpoint_id=endpoint_id)


@login_required
@require_POST
def webhook_remove(request: HttpRequest, slug: str, endpoint_id: int) -> HttpResponse:
    _, endpoint = _own(request, slug, endpoint_id)
    webhooks.remove(endpoint_id=endpoint.pk, actor=me(request))
    messages.success(request, "The endpoint is removed and its secrets are destroyed.")
    return redirect("approvals:webhook_list", slug=slug)


@login_required
@require_POST
def webhook_test(request: HttpRequest, slug: str, endpoint_id: int) -> HttpResponse:
    _, endpoint = _own(request, slug, endpoint_id)
    delivery = webhooks.test(endpoint_id=endpoint.pk, actor=me(request))
    said = _waits(endpoint) or " Load this page again to see what was answered."
    messages.success(request, f"A test is on its way.{said}")
    return redirect("approvals:webhook_delivery", slug=slug, endpoint_id=endpoint_id, delivery_id=delivery.pk)


@login_required
@require_POST
def webhook_redrive(request: HttpRequest, slug: str, endpoint_id: int) -> HttpResponse:
    _, endpoint = _own(request, slug, endpoint_id)
    count = webhooks.redrive(endpoint_id=endpoint.pk, actor=me(request))
    said = f"{count} dead message{'' if count == 1 else 's'} on the way again."
    messages.success(request, said + _waits(endpoint))
    return redirect("approvals:webhook", slug=slug, endpoint_id=endpoint_id)


@login_required
@require_safe
@never_cache
def webhook_delivery(request: HttpRequest, slug: str, endpoint_id: int, delivery_id: int) -> HttpResponse:
    agent, endpoint = _seen(request, slug, endpoint_id)
    delivery = _sent(endpoint, delivery_id)
    now = timezone.now()
    tries = list(delivery.tries.order_by("-pk"))
    context = {
        "agent": agent,
        "endpoint": endpoint,
        "delivery": delivery,
        "ahead": wire.ahead_of([delivery], endpoint, now=now)[0],
        "tries": [(one, wire.meaning_of(one.status) if one.status else "no answer") for one in tries],
        "body": wire.shown(delivery, now=now),
    }
    return render(request, "approvals/admin/webhook_delivery.html", context)


@login_required
@require_POST
def webhook_resend(request: HttpRequest, slug: str, endpoint_id: int, delivery_id: int) -> HttpResponse:
    _, endpoint = _own(request, slug, endpoint_id)
    delivery = _sent(endpoint, delivery_id)
    if webhooks.redrive(endpoint_id=endpoint.pk, delivery_id=delivery.pk, actor=me(request)):
        messages.success(request, f"It is on its way again.{_waits(endpoint)}")
    else:
        messages.info(request, "It is on its way already.")
    return redirect("approvals:webhook_delivery", slug=slug, endpoint_id=endpoint_id, delivery_id=delivery_id)


def _own(request: HttpRequest, slug: str, endpoint_id: int) -> tuple[Agent, WebhookEndpoint]:
    """Raises `NotFound` for what is another agent's or removed."""
    agent, found = _seen(request, slug, endpoint_id)
    if found.removed_at is not None:
        raise NotFound("This endpoint was removed.")
    return agent, found


def _seen(request: HttpRequest, slug: str, endpoint_id: int) -> tuple[Agent, WebhookEndpoint]:
    """The same to look at: a removed one too, while there are messages that did or did not reach it."""
    agent = agents.managed_agent(me(request), slug)
    found = WebhookEndpoint.objects.filter(_IN_SIGHT, agent=agent, pk=endpoint_id).first()
    if found is None:
        raise NotFound("There is no such endpoint of this agent.")
    return agent, found


def _waits(endpoint: WebhookEndpoint) -> str:
    return "" if endpoint.is_open else " It leaves once the endpoint is resumed."


def _sent(endpoint: WebhookEndpoint, delivery_id: int) -> WebhookDelivery:
    return get_object_or_404(
        endpoint.deliveries.select_related("endpoint__agent", "proposal"), pk=delivery_id
    )


def _counts(endpoint: WebhookEndpoint) -> tuple[int, int]:
    """How many wait and how many are dead."""
    state = WebhookDelivery.State
    return (
        endpoint.deliveries.filter(state=state.QUEUED).count(),
        endpoint.deliveries.filter(state=state.DEAD).count(),
    )


def _form_page(
    request: HttpRequest, agent: Agent, form: EndpointForm, endpoint: WebhookEndpoint | None
) -> HttpResponse:
    context = {"agent": agent, "form": form, "endpoint": endpoint}
    status = 422 if form.errors else 200
    return render(request, "approvals/admin/webhook_form.html", context, status=status)


def _secret_page(request: HttpRequest, agent: Agent, endpoint: WebhookEndpoint, secret: str) -> HttpResponse:
    """Rendered as the answer to the POST and marked not to be stored, so the secret stays out of every cache."""
    context = {"agent": agent, "endpoint": endpoint, "secret": secret}
    return render(request, "approvals/admin/webhook_secret.html", context)
