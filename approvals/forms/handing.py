"""What a reviewer types besides a verdict: to whom a proposal goes, why it is escalated, what he says to colleagues."""

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms

from accounts.models import User
from approvals.colleagues import Colleague
from approvals.services.comment import MOST
from approvals.services.escalate import MAX_NOTE

NOBODY = "nobody"


class AssignForm(forms.Form):
    """One colleague who may decide it. Whom somebody stands in for is said in the choice and asked once more."""

    to = forms.ChoiceField(label="Colleague", error_messages={"required": "Choose a colleague."})
    away = forms.CharField(required=False, widget=forms.HiddenInput)

    def __init__(
        self,
        data: Mapping[str, Any] | None = None,
        *,
        colleagues: Sequence[Colleague],
        assigned_to: User | None = None,
    ) -> None:
        super().__init__(data, auto_id="assign_%s")
        self.by_id = {str(one.person.pk): one for one in colleagues}
        choices = [("", "Choose a colleague"), *((pk, str(one)) for pk, one in self.by_id.items())]
        if assigned_to is not None:
            choices.append((NOBODY, f"Nobody in particular (now {assigned_to})"))
        field = self.fields["to"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = choices

    def clean(self) -> dict[str, Any]:
        """Somebody who is away is taken only after the page has said so: `away` then repeats his number."""
        cleaned: dict[str, Any] = super().clean() or {}
        chosen = self.by_id.get(cleaned.get("to", ""))
        if chosen is None or chosen.absence is None or cleaned.get("away") == str(chosen.person.pk):
            return cleaned
        text = f"{chosen}. Send it once more to give it to {chosen.person} all the same"
        self.add_error("to", f"{text}, or choose {chosen.stand_in}." if chosen.stand_in else f"{text}.")
        self.data = {**dict(self.data.items()), "away": str(chosen.person.pk)}
        return cleaned

    @property
    def to_id(self) -> int | None:
        to = self.cleaned_data["to"]
        return None if to == NOBODY else int(to)


class EscalateForm(forms.Form):
    """Why somebody with more say should look. `version` is that of the page it was sent from."""

    version = forms.IntegerField(widget=forms.HiddenInput)
    note = forms.CharField(
        label="Why",
        max_length=MAX_NOTE,
        help_text="It stays with the proposal as a comment; the agent does not see it.",
        error_messages={"required": "Say why you escalate it."},
        widget=forms.Textarea(attrs={"rows": 2}),
    )

    def __init__(self, data: Any = None, *, version: int) -> None:
        super().__init__(data, initial={"version": version}, auto_id="escalate_%s")


class CommentForm(forms.Form):
    """Words to colleagues, and whom they are for; "@Name" in the text does the same."""

    text = forms.CharField(
        label="Write to your colleagues",
        max_length=MOST,
        error_messages={"required": "Write something first."},
        help_text="The agent never sees it. Name somebody with @ to tell him.",
        widget=forms.Textarea(attrs={"rows": 3}),
    )
    mentions = forms.TypedMultipleChoiceField(
        label="Tell", required=False, coerce=int, widget=forms.CheckboxSelectMultiple
    )

    def __init__(self, data: Any = None, *, people: Sequence[User]) -> None:
        super().__init__(data, auto_id="comment_%s")
        field = self.fields["mentions"]
        assert isinstance(field, forms.TypedMultipleChoiceField)
        field.choices = [(one.pk, str(one)) for one in people]
