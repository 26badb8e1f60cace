"""What a reviewer says after the fact."""

from typing import Any

from django import forms

from approvals.models import Judgement, Proposal
from approvals.services.blind_review import FAULTS, HARMFUL, MAX_COMMENT, SPOKEN

WORDS = {
    Judgement.RIGHT: "nothing in it should have been otherwise",
    Judgement.COSMETIC: "wording or form, without consequence",
    Judgement.MINOR: "it should have been corrected first",
    Judgement.SUBSTANTIAL: "much of it had to be done otherwise",
    Judgement.WRONG: "it should not have been done; say why",
    Judgement.NOT_AT_FAULT: "the agent could not know; say why",
}
"""What separates one answer from the next."""
KEYS = {answer: str(number) for number, answer in enumerate(Judgement, 1)}


class JudgeForm(forms.Form):
    """One answer of six, words where something is wrong, and serious harm where the risk makes it thinkable.

    Where blank lines were folded, only a page that had them open may say that all is right."""

    judgement = forms.ChoiceField(
        label="Your judgement",
        choices=Judgement.choices,
        widget=forms.RadioSelect,
        error_messages={"required": "Choose an answer."},
    )
    shown = forms.BooleanField(required=False, widget=forms.HiddenInput)
    critical = forms.BooleanField(label="It could have done serious harm", required=False)
    comment = forms.CharField(
        label="In your words",
        required=False,
        max_length=MAX_COMMENT,
        help_text="Needed where it is wrong. The agent's people read it; the agent does not.",
        widget=forms.Textarea(attrs={"rows": 3, "data-key": "m"}),
    )

    def __init__(
        self, data: Any = None, *, proposal: Proposal, folds: int = 0, folds_open: bool = False
    ) -> None:
        super().__init__(data, initial={"shown": folds_open}, auto_id="judge_%s")
        self.folds = folds
        if proposal.action_type.risk not in HARMFUL:
            del self.fields["critical"]

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        answer = cleaned.get("judgement", "")
        if answer in SPOKEN and "comment" not in self.errors and not cleaned.get("comment", "").strip():
            self.add_error("comment", "Say what is wrong.")
            self.fields["comment"].widget.attrs["data-focus"] = ""  # one goes on writing there
        if answer == Judgement.RIGHT and self.folds and not cleaned.get("shown"):
            self.add_error("judgement", "Blank lines are folded in it. Open them first.")
        if answer and cleaned.get("critical") and answer not in FAULTS:
            self.add_error("critical", "Serious harm goes with a fault of the agent's.")
        return cleaned

    @property
    def answers(self) -> list[tuple[str, str, str, str, bool]]:
        """Key, value, label, note, chosen: one line for each answer."""
        chosen = self["judgement"].value()
        return [
            (KEYS[answer], answer.value, answer.label, WORDS[answer], chosen == answer.value)
            for answer in Judgement
        ]
