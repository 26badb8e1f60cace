"""What is new for me, how I want to be told, and what did not arrive. Nothing here decides anything."""

from urllib.parse import urlsplit

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from accounts.exceptions import Invalid
from accounts.http import person as me
from agents import permissions as rights
from approvals import inbox
from approvals.forms.notify import ChatAddressForm, ChoiceForm
from approvals.messages import chat, choices
from approvals.models import Notification
from approvals.services import choose_notifications, deliver

PAGE = 50


@login_required
@require_safe
def notification_list(request: HttpRequest) -> HttpResponse:
    show = "all" if request.GET.get("show") == "all" else "unread"
    before = _number(request.GET.get("before", ""))
    lines = inbox.page(me(request), only_unread=show == "unread", before=before, limit=PAGE + 1)
    context = {
        "lines": lines[:PAGE],
        "show": show,
        "newest": lines[0].notification.pk if lines else 0,
        "next_before": lines[PAGE - 1].notification.pk if len(lines) > PAGE else None,
        "is_first": before is None,
    }
    return render(request, "approvals/notifications.html", context)


@login_required
@require_safe
def notification_bell(request: HttpRequest) -> HttpResponse:
    """The bell of the bar, or 204 while its number is the one on screen."""
    count = inbox.unread_count(me(request))
    told = _number(request.GET.get("told", "")) or 0
    if count == told:
        return HttpResponse(status=204)
    on_page = request.headers.get("HX-Current-URL", "")
    here = urlsplit(on_page).path.startswith(reverse("approvals:notification_list"))
    return render(request, "approvals/_bell.html", {"unread": count, "risen": count > told, "here": here})


@login_required
@require_safe
def notification_arrived(request: HttpRequest) -> HttpResponse:
    """Says above the list that more has come since; 204 while nothing has."""
    after = _number(request.GET.get("after", "")) or 0
    fresh, told = inbox.arrived_since(me(request), after), _number(request.GET.get("told", "")) or 0
    if fresh == told:
        return HttpResponse(status=204)
    return render(
        request, "approvals/_arrived.html", {"fresh": fresh, "newest": after, "show": request.GET.get("show")}
    )


@login_required
@require_POST
def notification_open(request: HttpRequest, notification_id: int) -> HttpResponse:
    """Mark it read and go where it leads. Links in messages lead there directly and mark nothing."""
    found = choose_notifications.mark_read(person=me(request), notification_id=notification_id)
    return redirect(_target(found))


@login_required
@require_POST
def notification_read(request: HttpRequest, notification_id: int) -> HttpResponse:
    choose_notifications.mark_read(person=me(request), notification_id=notification_id)
    return _back_to_list(request)


@login_required
@require_POST
def notification_read_all(request: HttpRequest) -> HttpResponse:
    count = choose_notifications.mark_all_read(
        person=me(request), up_to=_number(request.POST.get("up_to", "")) or 0
    )
    messages.success(request, f"{count} marked as read.")
    return _back_to_list(request)


@login_required
def notification_settings(request: HttpRequest) -> HttpResponse:
    ways = inbox.ways(me(request))
    form = ChoiceForm(request.POST or None, choice=choices.read(me(request).preferences), ways=ways)
    if request.method == "POST" and form.is_valid():
        choose_notifications.save_choice(person=me(request), choice=form.choice())
        messages.success(request, "Your choice is saved.")
        return redirect("approvals:notification_settings")
    return _settings_page(request, ways=ways, form=form)


@login_required
@require_POST
def chat_address_add(request: HttpRequest) -> HttpResponse:
    form = ChatAddressForm(request.POST)
    if form.is_valid():
        try:
            added = choose_notifications.add_chat_address(person=me(request), **form.cleaned_data)
        except Invalid as error:  # told at its field, with the rest of the page in place
            form.add_error("address", error.detail)
        else:
            messages.success(request, f"“{added.label}” is added. Send a test to see whether it works.")
            return redirect(_anchored("chat"))
    ways = inbox.ways(me(request))
    choice_form = ChoiceForm(choice=choices.read(me(request).preferences), ways=ways)
    return _settings_page(request, ways=ways, form=choice_form, chat_form=form)


@login_required
@require_POST
def chat_address_remove(request: HttpRequest, address_id: int) -> HttpResponse:
    label = choose_notifications.remove_chat_address(person=me(request), address_id=address_id)
    messages.success(request, f"“{label}” is removed.")
    return redirect(_anchored("chat"))


@login_required
@require_POST
def notification_test(request: HttpRequest, way: str) -> HttpResponse:
    if choose_notifications.send_test(person=me(request), way=way):
        messages.success(
            request, "A test message is on its way. What becomes of it stands below in a moment."
        )
    else:
        messages.info(request, "A test message went out less than a minute ago.")
    return redirect(_anchored("chat"))


@login_required
@require_safe
def notification_ways(request: HttpRequest) -> HttpResponse:
    """How the last message fared on each way, while one is under way."""
    return render(request, "approvals/_ways.html", _ways(inbox.ways(me(request))))


@login_required
@require_POST
def deliveries_retry(request: HttpRequest) -> HttpResponse:
    """One's own, again: one, or those that were on screen."""
    count = deliver.retry(
        delivery_ids=_numbers(request.POST.getlist("delivery")), by=me(request), person=me(request)
    )
    messages.success(request, f"{count} tried again.")
    return redirect(_anchored("undelivered"))


@login_required
@require_safe
def undelivered(request: HttpRequest) -> HttpResponse:
    """Everybody's messages that did not arrive, for admins."""
    rights.check_is_admin(me(request))
    page = Paginator(inbox.all_undelivered(), PAGE).get_page(request.GET.get("page"))
    names = inbox.way_names([delivery.channel for delivery in page])
    lines = [
        (delivery, choices.words(delivery.notification.kind), names[delivery.channel]) for delivery in page
    ]
    return render(
        request, "approvals/admin/undelivered.html", {"page": page, "lines": lines, "mail": settings.MAIL}
    )


@login_required
@require_POST
def undelivered_retry(request: HttpRequest) -> HttpResponse:
    """Those that were on the admin's screen."""
    rights.check_is_admin(me(request))
    ids = [
        number for text in request.POST.getlist("delivery")[:PAGE] if (number := _number(text)) is not None
    ]
    count = deliver.retry(delivery_ids=ids, by=me(request))
    messages.success(request, f"{count} tried again.")
    return redirect("approvals:undelivered")


def _settings_page(
    request: HttpRequest, *, ways: list[inbox.Way], form: ChoiceForm, chat_form: ChatAddressForm | None = None
) -> HttpResponse:
    zone = choices.zone_of(me(request).time_zone)
    context = {
        "form": form,
        "chat_form": chat_form or ChatAddressForm(),
        **_ways(ways),
        "services": chat.SERVICES,
        "may_add": len(ways) <= choose_notifications.MOST_ADDRESSES,
        "undelivered": inbox.undelivered(me(request)),
        "zone": zone.key,
        "clock": timezone.now().astimezone(zone),
    }
    wrong = form.errors or (chat_form is not None and chat_form.errors)
    return render(request, "approvals/notification_settings.html", context, status=422 if wrong else 200)


def _ways(ways: list[inbox.Way]) -> dict[str, object]:
    """For the fragment that says how messages fared; it looks again soon while the first attempt is still to come."""
    trying = any(
        way.last is not None and way.last.state == "queued" and way.last.attempts < 2 for way in ways
    )
    return {"ways": ways, "trying": trying, "mail": settings.MAIL}


def _target(notification: Notification) -> str:
    if notification.link:
        return notification.link
    if notification.proposal_id is not None:
        return reverse("approvals:proposal", args=[notification.proposal_id])
    return reverse("approvals:notification_list")


def _back_to_list(request: HttpRequest) -> HttpResponse:
    address = reverse("approvals:notification_list")
    return redirect(f"{address}?show=all" if request.POST.get("show") == "all" else address)


def _anchored(part: str) -> str:
    return f"{reverse('approvals:notification_settings')}#{part}"


def _number(text: str) -> int | None:
    """A primary key out of an address; anything else is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def _numbers(texts: list[str]) -> list[int]:
    return [number for text in texts[:PAGE] if (number := _number(text)) is not None]
