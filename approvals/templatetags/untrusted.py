"""The one way by which anything an agent wrote reaches a page: escaped, inert, with nothing hidden."""

from typing import Any

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from approvals.reading import figures
from approvals.reading.signals import Signal
from approvals.reading.untrusted import Piece, Run, findings, runs

register = template.Library()

_CHAR = '<span class="{}" title="{}">{}</span>'


@register.filter(name="untrusted")
def untrusted(value: Any) -> SafeString:
    """The text with every hidden character shown; blank lines stay folded."""
    return render(str(value))


@register.simple_tag(name="said")
def said(value: Any, folds_open: bool = False) -> SafeString:
    """As the filter; with `folds_open` the folded blank lines stand there in full, in a box of their own."""
    return render(str(value), folds_open=folds_open)


@register.filter
def sentence(text: str) -> SafeString:
    """A sentence of ours that quotes the agent: as `untrusted`, but our own narrow spaces in figures stay spaces."""
    return format_html_join(figures.SPACE, "{}", ((render(part),) for part in text.split(figures.SPACE)))


@register.filter
def at(flags: dict[str, list[Signal]], where: str) -> list[Signal]:
    """The signals that belong to one place."""
    return flags.get(where, [])


def render(text: str, *, folds_open: bool = False) -> SafeString:
    """Escaped HTML of `approvals.untrusted.runs`; the only place where their pieces become markup."""
    return format_html_join("", "{}", ((_run(run, folds_open),) for run in runs(text)))


def _run(run: Run, folds_open: bool) -> SafeString:
    inner = format_html_join("", "{}", ((_piece(piece, folds_open),) for piece in run.pieces))
    match run.mark:
        case "mixed":
            return format_html(
                '<span class="mixed">{}</span><span class="chip-script" title="letters that pass for others">{}</span>',
                inner,
                run.note,
            )
        case "mail":
            return format_html('<span class="url">{}</span>', inner)
        case "url":
            return format_html('<span class="url">{}</span>', inner)
        case "host":
            host = format_html('<span class="url"><span class="url__host">{}</span></span>', inner)
            return format_html('{}<span class="chip-script">{}</span>', host, run.note) if run.note else host
        case "scheme":
            return format_html('<span class="mixed" title="{}">{}</span>', run.note, inner)
        case _:
            return inner


def _piece(piece: Piece, folds_open: bool) -> SafeString:
    match piece.kind:
        case "char":
            return format_html(_CHAR, "chip-char", piece.title, piece.text)
        case "danger":
            return format_html(_CHAR, "chip-char chip-char--danger", piece.title, piece.text)
        case "gap":
            return format_html(_CHAR, "chip-fold", "shown as their number", f"{piece.text} spaces")
        case "fold":
            return _fold(int(piece.text), folds_open)
        case _:
            return format_html("{}", piece.text)


def _fold(count: int, folds_open: bool) -> SafeString:
    words = f"{count:,} blank lines"
    if not folds_open:
        return format_html('\n<span class="chip-fold">{} folded here</span>\n', words)
    lines = mark_safe("\n" * min(count, 20_000))  # noqa: S308 line ends alone
    return format_html(
        '\n<span class="chip-fold">{}, opened</span>'
        '<span class="fold__lines" tabindex="0" role="region" aria-label="{}">{}</span>',
        words,
        words,
        lines,
    )


@register.filter
def hides(value: Any) -> bool:
    """Whether an input element alone would not show everything that is in the text."""
    return bool(findings(str(value)))
