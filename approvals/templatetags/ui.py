"""Small pieces every page uses: icons, places in the bar, times, badges."""

import json
import math
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from django import template
from django.http import HttpRequest
from django.template.context import Context
from django.templatetags.static import static
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from accounts import shortcuts
from approvals.models import Queue
from approvals.reading import figures

register = template.Library()

_STEPS = (
    (timedelta(days=365), "y"),
    (timedelta(days=30), "mo"),
    (timedelta(days=1), "d"),
    (timedelta(hours=1), "h"),
    (timedelta(minutes=1), "min"),
)


@cache
def _sprite() -> str:
    """Its address, which a process does not change; a list of fifty rows asks for it some hundred times."""
    return static("icons/sprite.svg")


@register.simple_tag
def icon(name: str, label: str = "") -> SafeString:
    """An icon of the sprite; without a label it is decoration and hidden from assistive technology."""
    reference = f"{_sprite()}#{name}"
    if label:
        return format_html(
            '<svg class="icon" role="img" aria-label="{}"><use href="{}"/></svg>', label, reference
        )
    return format_html('<svg class="icon" aria-hidden="true"><use href="{}"/></svg>', reference)


@register.simple_tag(takes_context=True)
def place(
    context: Context, url: str, icon_name: str, name: str, count: int = 0, also: str = ""
) -> SafeString:
    """One place of the bar, marked as current below its URL or one of `also`; nothing when the URL does not exist."""
    if not url:
        return mark_safe("")
    request: HttpRequest | None = context.get("request")
    current = request is not None and request.path.startswith((url, *also.split()))
    return format_html(
        '<a href="{}"{}>{}<span class="places__name">{}</span>{}</a>',
        url,
        mark_safe(' aria-current="page"') if current else "",
        icon(icon_name),
        name,
        format_html('<span class="places__count">{}</span>', count) if count else "",
    )


def span(delta: timedelta) -> str:
    """The two most telling units at most, in words short enough for a table: ``3 h 20 min``, ``4 d``."""
    delta = abs(delta)
    parts: list[str] = []
    for size, unit in _STEPS:
        amount, delta = divmod(delta, size)
        if amount:
            parts.append(f"{amount} {unit}")
        if len(parts) == 2 or (parts and unit in ("y", "mo", "d")):
            break
    return " ".join(parts) or "less than a minute"


@register.simple_tag
def ago(moment: datetime | None, style: str = "ago") -> SafeString:
    """A relative time that carries the exact one; the page's script keeps it current.

    Styles: ``ago`` (2 h ago, in 5 min), ``due`` (5 min left, 2 h overdue), ``plain`` (the length alone).
    """
    if moment is None:
        return mark_safe("")
    return format_html(
        '<time datetime="{}" title="{}" data-relative="{}">{}</time>',
        moment.astimezone(UTC).isoformat(timespec="seconds"),
        exact(moment),
        style,
        relative(moment, timezone.now(), style),
    )


def relative(moment: datetime, now: datetime, style: str) -> str:
    """The words of `ago`, apart from it so that a table of cases can test them."""
    length = span(moment - now)
    if style == "plain":
        return length
    if style == "due":
        return f"{length} left" if moment >= now else f"{length} overdue"
    return f"in {length}" if moment > now else f"{length} ago"


def _chosen(context: Context) -> dict[str, str]:
    """Action → the person's key, from config/context.py."""
    found: dict[str, str] = context.get("ui_key_map") or {}
    return found


@register.simple_tag(takes_context=True)
def hint(context: Context, name: str) -> SafeString:
    """The key this person presses for the action that is usually on `name`; seen only where keys act."""
    key = _chosen(context).get(name, name)
    held = "Alt+" if context.get("ui_keys") == "alt" else ""
    return format_html('<kbd class="key key--hint">{}{}</kbd>', held, key)


@register.simple_tag(takes_context=True)
def keys(context: Context) -> list[tuple[str, str]]:
    """Key and words of every action, for the list of keys."""
    chosen = _chosen(context)
    return [(chosen.get(action.key, action.key), action.words) for action in shortcuts.ACTIONS]


@register.simple_tag(takes_context=True)
def key_map(context: Context) -> str:
    """What of the person's keys differs from the usual ones, as JSON: key → the action's usual key."""
    chosen = _chosen(context)
    return json.dumps({key: name for name, key in chosen.items()}) if shortcuts.different(chosen) else ""


@register.simple_tag
def state_badge(state: Any) -> SafeString:
    """A proposal's (or an agent's) state as a coloured word."""
    value = str(state)
    return format_html('<span class="badge badge--state-{}">{}</span>', value, value.replace("_", " "))


_TIERS = {
    "advisory": "advisory",
    "in_the_loop": "in the loop",
    "on_the_loop": "on the loop",
    "out_of_the_loop": "out of the loop",
}


@register.simple_tag
def tier_badge(tier: Any) -> SafeString:
    """The tier of autonomy under which something was routed."""
    value = str(tier)
    return format_html('<span class="badge badge--tier-{}">{}</span>', value, _TIERS.get(value, value))


@register.simple_tag
def risk_badge(risk: Any) -> SafeString:
    """The risk of an action type; critical carries an icon as well as its colour."""
    value = str(risk)
    mark = icon("shield-alert") if value in ("high", "critical") else ""
    return format_html('<span class="badge badge--risk-{}">{}{} risk</span>', value, mark, value)


@register.simple_tag
def due_badge(moment: datetime) -> SafeString:
    """When a decision is due: plain while there is time, marked when it is soon or past."""
    left = moment - timezone.now()
    words = ago(moment, "due")
    if left < timedelta(0):
        return format_html('<span class="badge badge--late">{}{}</span>', icon("timer-off"), words)
    if left < timedelta(minutes=30):
        return format_html('<span class="badge badge--due">{}{}</span>', icon("timer"), words)
    return format_html('<span class="badge">{}{}</span>', icon("clock"), words)


@register.simple_tag
def exactly(moment: datetime | None) -> SafeString:
    """The exact time alone, on the reader's clock: for what is printed or compared."""
    if moment is None:
        return mark_safe("")
    return format_html(
        '<time datetime="{}">{}</time>', moment.astimezone(UTC).isoformat(timespec="seconds"), exact(moment)
    )


def exact(moment: datetime) -> str:
    """`Sun 22 Nov 2026, 14:05:09 CET`, in the zone of whoever reads."""
    local = timezone.localtime(moment)
    return f"{local:%a} {local.day} {local:%b %Y, %H:%M:%S} {figures.zone_name(local.tzinfo, local)}"


@register.simple_tag
def zone() -> str:
    """The time zone that all times on this page are in."""
    return timezone.get_current_timezone_name()


@register.filter
def money(value: Any, currency: str = "") -> str:
    """An amount with its thousands parted and its currency's decimals (two where none is named)."""
    return figures.money(str(value), currency)


@register.filter
def floor_percent(value: float) -> str:
    """A share that is promised: rounded down, with a decimal where that makes a difference."""
    return f"{math.floor(value * 1000) / 10:.1f} %" if value >= 0.9 else f"{math.floor(value * 100)} %"


@register.filter
def percent(value: float) -> str:
    return f"{value * 100:.0f} %"


@register.filter
def reason(code: str, queue: Queue | None) -> str:
    """The queue's words for a reason code; the code itself where the list has changed since."""
    return dict(queue.reasons).get(code, code) if queue else code


@register.simple_tag
def boost() -> SafeString:
    """A form that htmx sends: the answer's main part replaces this one, exactly as a plain submit would look."""
    return mark_safe(
        'hx-boost="true" hx-target="#main" hx-select="#main" hx-swap="outerHTML show:window:top" '
        'hx-disabled-elt="find button"'
    )
