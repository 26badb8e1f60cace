"""What is typed about data subjects: whose data, why they go, why they are held, how long kinds are kept."""

from collections.abc import Mapping
from typing import Any

from django import forms

from approvals.redaction import Subject
from approvals.services import retain
from approvals.services.erase import MOST_REASON
from audit.models import ContentKind

_QUIET = {"autocomplete": "off", "spellcheck": "false"}


class FindForm(forms.Form):
    """Sent by POST: a name in an address would stay in histories and in the web server's log."""

    subject_type = forms.CharField(
        label="Kind of subject",
        max_length=60,
        help_text="As agents name it: customer, employee, supplier.",
        widget=forms.TextInput(attrs=_QUIET),
    )
    subject_id = forms.CharField(
        label="Its id",
        max_length=200,
        help_text="Case and spaces around it do not matter.",
        widget=forms.TextInput(attrs=_QUIET),
    )

    def __init__(self, data: Mapping[str, Any] | None = None, **given: Any) -> None:
        super().__init__(data, auto_id="find_%s", **given)

    def subject(self) -> Subject:
        return Subject(self.cleaned_data["subject_type"], self.cleaned_data["subject_id"])


class _About(forms.Form):
    """Carries along whom the page is about."""

    subject_type = forms.CharField(max_length=60, widget=forms.HiddenInput)
    subject_id = forms.CharField(max_length=200, widget=forms.HiddenInput)
    prefix_of_ids = ""

    def __init__(
        self, data: Mapping[str, Any] | None = None, *, subject: Subject | None = None, **given: Any
    ) -> None:
        if subject is not None:
            given["initial"] = {"subject_type": subject.type, "subject_id": subject.id}
        super().__init__(data, auto_id=f"{self.prefix_of_ids}_%s", **given)

    def subject(self) -> Subject:
        return Subject(self.cleaned_data["subject_type"], self.cleaned_data["subject_id"])


class EraseForm(_About):
    prefix_of_ids = "erase"
    typed = forms.CharField(
        label="Type its id once more",
        max_length=200,
        error_messages={"required": "Type the id that stands above."},
        widget=forms.TextInput(attrs=_QUIET),
    )
    reason = forms.CharField(
        label="Why it is erased",
        max_length=MOST_REASON,
        help_text="Stays in the log for good, so name nobody: “asked by letter on 3 March”.",
        error_messages={"required": "Say why, in a few words."},
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )


class _ReasonForm(forms.Form):
    reason = forms.CharField(
        label="Why",
        max_length=MOST_REASON,
        help_text="Stays in the log for good, so name nobody.",
        error_messages={"required": "Say why, in a few words."},
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )


class HoldForm(_About, _ReasonForm):
    prefix_of_ids = "hold"
    field_order = ("subject_type", "subject_id", "reason")


class HoldAllForm(_ReasonForm):
    def __init__(self, data: Mapping[str, Any] | None = None) -> None:
        super().__init__(data, auto_id="hold_all_%s")


class LiftHoldForm(_ReasonForm):
    def __init__(self, data: Mapping[str, Any] | None = None, *, hold_id: int) -> None:
        super().__init__(data, auto_id=f"lift_{hold_id}_%s")


class RetentionForm(forms.Form):
    """One field per kind; empty keeps it until its subject is erased."""

    def __init__(
        self, data: Mapping[str, Any] | None = None, *, days: Mapping[ContentKind, int | None]
    ) -> None:
        initial = {f"days_{kind.value}": many for kind, many in days.items()}
        super().__init__(data, initial=initial, auto_id="retain_%s")
        for kind in days:
            self.fields[f"days_{kind.value}"] = forms.IntegerField(
                label=f"{kind.label}: days",
                required=False,
                error_messages={"invalid": "Write a whole number of days, or leave it empty."},
                widget=forms.NumberInput(attrs={"min": 1, "inputmode": "numeric", "placeholder": "for ever"}),
            )

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        for kind, many in self.days().items():
            if why := retain.fault(kind, many):
                self.add_error(f"days_{kind.value}", why[0].upper() + why[1:] + ".")
        return cleaned

    def days(self) -> dict[ContentKind, int | None]:
        return {kind: self.cleaned_data.get(f"days_{kind.value}") for kind in ContentKind}
