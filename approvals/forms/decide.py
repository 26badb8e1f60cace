"""What a reviewer sends: which revision and version he looked at, and what he says of it."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

from django import forms
from django.core import signing

from accounts.models import User
from approvals import pace
from approvals.ballots import Ballot
from approvals.models import Proposal, Verdict

_OPENED = "countersign.opened"
_REMEMBERED = timedelta(days=1)


def opened(proposal: Proposal, person: User) -> str:
    """When this person's page of this revision was made, signed, so that nobody can have opened it earlier."""
    return signing.dumps([str(proposal.pk), proposal.revision, person.pk, time.time()], salt=_OPENED)


def opened_at(text: str, proposal: Proposal, person: User) -> datetime | None:
    """What `opened` signed, or None where it is missing, forged, old, or of another page or person."""
    try:
        pk, revision, who, seconds = signing.loads(text, salt=_OPENED, max_age=_REMEMBERED)
    except (signing.BadSignature, ValueError, TypeError):
        return None
    if [pk, revision, who] != [str(proposal.pk), proposal.revision, person.pk]:
        return None
    return datetime.fromtimestamp(seconds, UTC)


class SeenForm(forms.Form):
    """Every decision names the revision and the version of the page it was taken on, and when that was opened."""

    revision = forms.IntegerField(widget=forms.HiddenInput)
    version = forms.IntegerField(widget=forms.HiddenInput)
    opened = forms.CharField(required=False, max_length=300, widget=forms.HiddenInput)

    def __init__(
        self, data: Any = None, *, proposal: Proposal, verdict: Verdict, person: User | None = None
    ) -> None:
        seen: dict[str, Any] = {"revision": proposal.revision, "version": proposal.version}
        if person is not None and data is None:
            seen["opened"] = opened(proposal, person)
        super().__init__(data, initial=seen, auto_id=f"{verdict}_%s")
        self.proposal = proposal
        self.verdict = verdict

    def ballot(self, person: User) -> Ballot:
        """The valid form as the use case takes it."""
        return Ballot(
            opened_at=opened_at(self.cleaned_data.get("opened", ""), self.proposal, person),
            verdict=self.verdict,
            revision=self.cleaned_data["revision"],
            version=self.cleaned_data["version"],
            reason=self.cleaned_data.get("reason", ""),
            comment=self.cleaned_data.get("comment", ""),
            seen=self.cleaned_data.get("seen", False),
        )


class ApproveForm(SeenForm):
    """Approval of exactly what was shown. Where blank lines were folded, only a page that had them open may send it;
    what cannot be undone or is critical asks for `seen`: all of it was in view."""

    shown = forms.BooleanField(required=False, widget=forms.HiddenInput)
    seen = forms.BooleanField(
        label="I have read all of it", required=False, widget=forms.CheckboxInput(attrs={"required": True})
    )

    def __init__(
        self,
        data: Any = None,
        *,
        proposal: Proposal,
        folds: int,
        folds_open: bool,
        person: User | None = None,
    ) -> None:
        super().__init__(data, proposal=proposal, verdict=Verdict.APPROVE, person=person)
        self.folds = folds
        self.initial["shown"] = folds_open
        if not pace.must_be_seen(proposal):
            del self.fields["seen"]

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
        codes = _reasons(proposal)
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
    reason = forms.ChoiceField(label="Reason", required=False)

    def __init__(self, data: Any = None, *, proposal: Proposal) -> None:
        super().__init__(data, proposal=proposal, verdict=Verdict.RETURN)
        codes = _reasons(proposal)
        field = self.fields["reason"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [("", "None in particular"), *codes]
        if not codes:
            del self.fields["reason"]


def _reasons(proposal: Proposal) -> list[tuple[str, str]]:
    """The queue's codes, each saying where it does not count against the agent."""
    return [
        (item["code"], item["label"] + (" (not the agent’s fault)" if item.get("not_agents_fault") else ""))
        for item in (proposal.queue.reason_codes if proposal.queue else [])
    ]
