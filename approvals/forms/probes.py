"""What is typed about probes: one for the library, an appeal, its answer."""

import json
from typing import Any

from django import forms

from agents import strict_json
from agents.models import ActionType, Agent
from agents.strict_json import NotStrictJson
from approvals import disguise
from approvals.disguise import Content
from approvals.models import Proposal
from approvals.services import probe_appeal, probe_library
from approvals.services.probe_library import Draft


class JsonField(forms.CharField):
    """JSON text, read as strictly as what agents send; empty is `empty`."""

    def __init__(self, *, empty: Any, **extra: Any) -> None:
        area = forms.Textarea(attrs={"rows": 8, "spellcheck": "false", "autocomplete": "off"})
        super().__init__(widget=area, **extra)
        self._empty = empty

    def prepare_value(self, value: Any) -> Any:
        if value is None or isinstance(value, str):
            return value
        return written(value)

    def to_python(self, value: Any) -> Any:
        text = str(value or "").strip()
        if not text:
            return self._empty
        try:
            found = strict_json.loads(text.encode("utf-8", "surrogatepass"))
        except NotStrictJson as error:
            raise forms.ValidationError(f"It cannot be read: {error}.") from error
        if not isinstance(found, type(self._empty) if self._empty is not None else dict):
            raise forms.ValidationError(
                "It must be a list." if self._empty == [] else "It must be an object."
            )
        return found

    def validate(self, value: Any) -> None:
        """Empty is a value here."""

    def run_validators(self, value: Any) -> None:
        """The schema is the use case's to ask."""


def written(value: Any) -> str:
    """JSON as a person reads and edits it."""
    return json.dumps(value, indent=2, ensure_ascii=False)


class _Lines(forms.CharField):
    """Short texts, one a line."""

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        return [line.strip() for line in str(value or "").splitlines() if line.strip()]

    def run_validators(self, value: Any) -> None:
        """Each is checked by the use case."""


_TEXT = {"rows": 3}


class ProbeForm(forms.Form):
    """One probe. Made of an earlier proposal, its author has to say that he has compared the two."""

    arguments = JsonField(empty={}, label="Arguments")
    summary = forms.CharField(required=False, widget=forms.Textarea(attrs=_TEXT), label="Summary")
    reasoning = forms.CharField(required=False, widget=forms.Textarea(attrs=_TEXT), label="Reasoning")
    subject_type = forms.CharField(
        required=False, max_length=60, label="About what", help_text="Such as customer."
    )
    subject_id = forms.CharField(required=False, max_length=200, label="Its id")
    context = JsonField(
        empty=[],
        required=False,
        label="Conversation",
        help_text='A list of turns: [{"role": "user", "content": "…"}].',
    )
    current_state = JsonField(empty=None, required=False, label="Present state it reports")
    confidence = forms.FloatField(
        required=False, min_value=0, max_value=1, label="Confidence it claims", help_text="From 0 to 1."
    )
    agent = forms.ModelChoiceField(
        queryset=Agent.objects.none(),
        required=False,
        to_field_name="slug",
        empty_label="Every agent that may do this",
        help_text="Whose proposals it may stand among.",
    )
    fault = forms.CharField(
        max_length=probe_library.MOST_FAULT,
        widget=forms.Textarea(attrs=_TEXT),
        label="What is wrong",
        help_text="In a sentence or two. Whoever has decided it reads this at once.",
    )
    faulty = _Lines(
        required=False,
        widget=forms.Textarea(attrs={"rows": 2, "spellcheck": "false"}),
        label="Where it is wrong",
        help_text="JSON Pointers, one a line. An edit there has caught it. Empty: any material field.",
    )
    sure = forms.BooleanField(
        label="I have read it through",
        help_text="Nobody can tell whom or what it was about, and what is wrong is still wrong.",
    )

    def __init__(
        self,
        data: Any = None,
        *,
        action_type: ActionType,
        source: Proposal | None = None,
        original: Content | None = None,
        initial: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(data, initial=initial or {"arguments": {}, "context": []})
        self._action_type, self._source, self._original = action_type, source, original
        agent = self.fields["agent"]
        assert isinstance(agent, forms.ModelChoiceField)
        mandated = Agent.objects.filter(mandates__action_type=action_type, mandates__active=True)
        agent.queryset = mandated.distinct().order_by("name")
        for name in ("arguments", "summary", "reasoning", "context", "current_state"):
            text = str(self[name].value() or "")
            lines = sum(1 + len(line) // 72 for line in text.splitlines())
            self.fields[name].widget.attrs["rows"] = max(3, min(lines + 1, 24))

    @property
    def material(self) -> list[str]:
        return list(self._action_type.material)

    def draft(self) -> Draft:
        values = self.cleaned_data
        return Draft(
            content=Content(
                arguments=values["arguments"],
                summary=values["summary"],
                reasoning=values["reasoning"],
                context=values["context"],
                subject_type=values["subject_type"],
                subject_id=values["subject_id"],
                current_state=values["current_state"],
                note=values["fault"],
            ),
            fault=values["fault"],
            faulty=values["faulty"],
            agent=values["agent"].slug if values["agent"] else "",
            confidence=values["confidence"],
            source_id=self._source.pk if self._source else None,
        )

    def check(self) -> bool:
        """Whether the library would take it; what names the original is told as well."""
        draft = self.draft()
        for fault in probe_library.argument_faults(self._action_type, draft.content.arguments):
            place = fault["field"].removeprefix("/arguments") or "The whole"
            self.add_error("arguments", f"{place}: {fault['message']}.")
        for fault in probe_library.other_faults(self._action_type, draft):
            self.add_error(fault["field"], f"It {fault['message']}.")
        if left := self._left(draft.content):
            named = ", ".join(f"“{one[:60]}”" for one in left[:5])
            self.add_error(None, f"It still names the original: {named}. Replace that everywhere.")
        return not self.errors

    def _left(self, content: Content) -> list[str]:
        if self._original is None:
            return []
        said = " ".join(
            [
                json.dumps([content.arguments, content.context, content.current_state], ensure_ascii=False),
                content.summary,
                content.reasoning,
                content.subject_id,
                content.note,
            ]
        )
        names = disguise.names_of(self._original, schema=self._action_type.schema)
        return sorted(name for name in names if name in said)


class AppealForm(forms.Form):
    """Why it was right to approve."""

    text = forms.CharField(
        max_length=probe_appeal.MOST,
        widget=forms.Textarea(attrs=_TEXT),
        label="Why it was right to approve",
        help_text="An admin who did not make this probe reads it and answers you.",
    )


class AnswerForm(forms.Form):
    """An answer to an appeal."""

    words = forms.CharField(
        max_length=probe_appeal.MOST, widget=forms.Textarea(attrs=_TEXT), label="Your answer"
    )
    retire = forms.BooleanField(required=False, label="Take this probe out of use as well")
