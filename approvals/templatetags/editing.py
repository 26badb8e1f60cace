"""What the edit form's templates need: the attributes of its steps, and agents' words where no markup can stand."""

from typing import Any

from django import template
from django.template.context import Context
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from approvals.reading.untrusted import runs

register = template.Library()


@register.simple_tag(takes_context=True)
def step(context: Context) -> SafeString:
    """A button that submits the form without sending the edit; a browser without htmx does the same by itself."""
    address = reverse("approvals:proposal_edit", args=[context["proposal"].pk])
    return format_html('hx-post="{}"', address)


@register.simple_tag
def in_place() -> SafeString:
    """Around such buttons: the answer's form takes the place of this one, and the page does not scroll."""
    return mark_safe('hx-target="#editing" hx-select="#editing" hx-swap="outerHTML" hx-disabled-elt="unset"')


@register.filter
def plainly(value: Any) -> str:
    """As `untrusted`, as text alone: for options and spoken names."""
    return "".join(
        piece.text if piece.kind == "text" else f"[{piece.text}]"
        for run in runs(str(value))
        for piece in run.pieces
    )
