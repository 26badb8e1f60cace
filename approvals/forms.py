"""What a reviewer sends: which revision and version he looked at, and what he says of it."""

from typing import Any

from django import forms

from approvals.models import Proposal, Verdict
from approvals.services.decide import Ballot


class SeenForm(forms.Form):
    """Every decision names the revision and the version of the page it was taken on."""

    revision = forms.IntegerField(widget=forms.HiddenInput)
    version = forms.IntegerField(widget=forms.HiddenInput)

    def __init__(self, data: Any = None, *, proposal: Proposal, verdict: Verdict) -> None:
        seen = {"revision": proposal.revision, "version": proposal.version}
        super().__init__(data, initial=seen, auto_id=f"{verdict}_%s")
        self.proposal = proposal
        self.verdict = verdict

    @property
    def ballot(self) -> Ballot:
        """The valid form as the use case takes it."""
        return Ballot(
            verdict=self.verdict,
            revision=self.cleaned_data["revision"],
            version=self.cleaned_data["version"],
            reason=self.cleaned_data.get("reason", ""),
            comment=self.cleaned_data.get("comment", ""),
        )


class ApproveForm(SeenForm):
    """Approval of exactly what was shown. Where blank lines were folded, only a page that had them open may send it."""

    shown = forms.BooleanField(required=False, widget=forms.HiddenInput)

    def __init__(self, data: Any = None, *, proposal: Proposal, folds: int, folds_open: bool) -> None:
        super().__init__(data, proposal=proposal, verdict=Verdict.APPROVE)
        self.folds = folds
        self.initial["shown"] = folds_open

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if self.folds and not cleaned.get("shown"):
            raise forms.ValidationError("Blank lines are folded in it. Open them first, then approve.")
        return cleaned


class ReasonForm(SeenForm):
    """Reject or veto: a code of the queue's list, and words where the code is not enough."""

    reason = forms.ChoiceField(label="Reason", required=False)
    comment = forms.CharField(
        label="In your words",
        required=False,
        max_length=4000,
        help_text="The agent reads it.",
        widget=forms.Textarea(attrs={"rows": 3}),
    )

    def __init__(self, data: Any = None, *, proposal: Proposal, verdict: Verdict) -> None:
        super().__init__(data, proposal=proposal, verdict=verdict)
        codes = proposal.queue.reasons if proposal.queue else []
        field = self.fields["reason"]
        assert isinstance(field, forms.ChoiceField)
        if codes:
            field.choices = [("", "Choose a reason"), *codes]
            field.required = True
            field.error_messages["required"] = "Choose a reason."
        else:
            del self.fields["reason"]
            self.fields["comment"].required = True


class ReturnForm(SeenForm):
    """Back to the agent with a question; it answers with new arguments."""

    comment = forms.CharField(
        label="Your question",
        max_length=4000,
        help_text="The agent reads it and answers with a new revision.",
        error_messages={"required": "Ask your question."},
        widget=forms.Textarea(attrs={"rows": 3}),
    )

    def __init__(self, data: Any = None, *, proposal: Proposal) -> None:
        super().__init__(data, proposal=proposal, verdict=Verdict.RETURN)
