"""What somebody says who disputes a judgement."""

from typing import Any

from django import forms

from approvals.models import Judgement
from approvals.services.dispute import MAX_TEXT


class DisputeForm(forms.Form):
    """Which judgement, what it should have been, why."""

    evidence = forms.IntegerField(widget=forms.HiddenInput)
    claim = forms.ChoiceField(
        label="It should have been",
        choices=[("", "Choose an answer"), *Judgement.choices],
        error_messages={"required": "Say what it should have been."},
    )
    text = forms.CharField(
        label="Why",
        max_length=MAX_TEXT,
        help_text="A third person judges without reading this; both sides are told the result.",
        error_messages={"required": "Say why."},
        widget=forms.Textarea(attrs={"rows": 3}),
    )

    def __init__(self, data: Any = None, *, evidence_id: int | None = None) -> None:
        super().__init__(data, initial={"evidence": evidence_id}, auto_id="dispute_%s")
