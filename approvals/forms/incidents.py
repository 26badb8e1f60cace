"""What somebody writes about an incident."""

import re
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django import forms

from accounts.models import User
from approvals.models import Incident
from approvals.services.incident import MAX_TEXT, MAX_TITLE, MOST, Report

_ID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def ids_in(text: str) -> list[UUID]:
    """Every id of a proposal in a text of ids or addresses, once, in its order."""
    return list(dict.fromkeys(UUID(found) for found in _ID.findall(text)))


class ReportForm(forms.Form):
    """What went wrong, how bad it is, with which proposals, and who answers for it."""

    title = forms.CharField(
        label="What went wrong", max_length=MAX_TITLE, error_messages={"required": "Give it a title."}
    )
    severity = forms.ChoiceField(
        label="How bad",
        choices=[
            ("", "Choose how bad it is"),
            (Incident.Severity.MINOR, "Minor: put right with little effort"),
            (Incident.Severity.MAJOR, "Major: somebody was harmed or money lost"),
            (
                Incident.Severity.CRITICAL,
                "Critical: serious harm; the agent loses what it has earned at once",
            ),
        ],
        error_messages={"required": "Say how bad it is."},
    )
    description = forms.CharField(
        label="What happened",
        max_length=MAX_TEXT,
        error_messages={"required": "Say what happened."},
        widget=forms.Textarea(attrs={"rows": 5}),
    )
    proposals = forms.CharField(
        label="Its proposals",
        max_length=20_000,
        help_text="Addresses or ids, one a line. Each that had been approved counts against its agent.",
        error_messages={"required": "Name its proposals."},
        widget=forms.Textarea(attrs={"rows": 2}),
    )
    answers = forms.ChoiceField(
        label="Who answers for it",
        help_text="Finds the root cause, sees to the correction, closes it.",
        error_messages={"required": "Choose who answers for it."},
    )

    def __init__(self, data: Any = None, *, people: Sequence[User], initial: dict[str, Any]) -> None:
        super().__init__(data, initial=initial, auto_id="report_%s")
        field = self.fields["answers"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [("", "Choose a person"), *((str(one.pk), str(one)) for one in people)]

    def clean_proposals(self) -> list[UUID]:
        found = ids_in(self.cleaned_data["proposals"])
        if not 1 <= len(found) <= MOST:
            raise forms.ValidationError(
                f"Give the addresses or ids of 1 to {MOST} proposals; {len(found)} were found."
            )
        return found

    def report(self) -> Report:
        """The valid form as the use case takes it."""
        return Report(**{**self.cleaned_data, "answers": int(self.cleaned_data["answers"])})


class OutcomeForm(forms.Form):
    """Root cause and correction; both are needed to close."""

    root_cause = forms.CharField(
        label="Root cause", required=False, max_length=MAX_TEXT, widget=forms.Textarea(attrs={"rows": 4})
    )
    correction = forms.CharField(
        label="What was done about it",
        required=False,
        max_length=MAX_TEXT,
        widget=forms.Textarea(attrs={"rows": 4}),
    )

    def __init__(self, data: Any = None, *, incident: Incident) -> None:
        known = {"root_cause": incident.root_cause, "correction": incident.correction}
        super().__init__(data, initial=known, auto_id="outcome_%s")
        self.closing = bool(data and data.get("close"))

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        for name, words in (("root_cause", "Say what caused it."), ("correction", "Say what was done.")):
            if self.closing and name not in self.errors and not cleaned.get(name, "").strip():
                self.add_error(name, f"{words} It cannot be closed without.")
        return cleaned
