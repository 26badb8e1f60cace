"""What is typed about an action type. Its schema is JSON text; every fault is told at its field."""

import json
from dataclasses import replace
from typing import Any

from django import forms

from agents import strict_json
from agents.models import ActionType, Risk
from agents.services import action_types
from agents.services.action_types import Definition
from agents.strict_json import NotStrictJson


class _Lines(forms.CharField):
    """A list of short texts, one in each line."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            required=False, widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false"}), **kwargs
        )

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        return [line.strip() for line in str(value or "").splitlines() if line.strip()]


class _Json(forms.CharField):
    """JSON text, read as strictly as what agents send."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(widget=forms.Textarea(attrs={"rows": 18, "spellcheck": "false"}), **kwargs)

    def prepare_value(self, value: Any) -> Any:
        return value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)

    def to_python(self, value: Any) -> Any:
        text = str(value or "")
        if not text.strip():
            return None
        try:
            return strict_json.loads(text.encode("utf-8", "surrogatepass"))
        except NotStrictJson as error:
            raise forms.ValidationError(f"It cannot be read: {error}.") from error

    def validate(self, value: Any) -> None:
        if value is None:
            raise forms.ValidationError("This field is required.")

    def run_validators(self, value: Any) -> None:
        """The use case's faults are the validators of a schema."""


class ActionTypeForm(forms.Form):
    """Everything an action type says of itself. The name is part of digests and stays."""

    name = forms.CharField(
        max_length=80, help_text="a-z, 0-9 and _, for instance refund_order. It cannot be changed later."
    )
    label = forms.CharField(max_length=120, help_text="What people read, for instance “Refund an order”.")
    domain = forms.SlugField(max_length=60, help_text="The part of the business whose policy applies.")
    description = forms.CharField(required=False, widget=forms.Textarea(attrs={"rows": 2}))
    risk = forms.ChoiceField(choices=Risk.choices, initial=Risk.MEDIUM)
    schema = _Json(
        label="Arguments (JSON Schema)",
        help_text="Draft 2020-12, an object at the top. Titles and descriptions are shown to reviewers.",
    )
    title_template = forms.CharField(
        max_length=300,
        label="Title",
        help_text="With arguments in braces: Refund {amount} for order {order_id}.",
    )
    amount_pointer = forms.CharField(
        required=False, max_length=200, label="Where the amount stands", help_text="A JSON Pointer: /amount."
    )
    currency = forms.CharField(
        required=False, max_length=3, help_text="Three letters, if it is always the same."
    )
    currency_pointer = forms.CharField(
        required=False,
        max_length=200,
        label="Where the currency stands",
        help_text="If it differs: /currency.",
    )
    material = _Lines(
        label="Material fields",
        help_text="JSON Pointers, one in each line. A change of one of these counts as a full error.",
    )
    reversible_by = forms.ChoiceField(required=False, label="Undone by")
    systems = _Lines(label="Systems it touches", help_text="One in each line.")
    success_criteria = forms.CharField(required=False, widget=forms.Textarea(attrs={"rows": 2}))
    executor = forms.CharField(
        required=False,
        max_length=200,
        help_text="Who redeems: the audience of its grants. Empty: executor:<name>.",
    )
    executor_url = forms.CharField(
        required=False,
        max_length=2000,
        label="Address that carries it out",
        help_text="Countersign itself calls it with the grant and the approved arguments. Empty: the agent acts.",
    )
    executor_repeats = forms.BooleanField(
        required=False,
        label="It can be called again",
        help_text="The same idempotency key twice does no more than once. Without it, a person finds out what "
        "became of a call that got no answer.",
    )
    grant_seconds = forms.IntegerField(initial=300, label="A grant is good for, in seconds")
    outcome_minutes = forms.IntegerField(initial=60, label="An outcome is due within, in minutes")

    def __init__(self, data: Any = None, *, existing: ActionType | None = None) -> None:
        definition = action_types.as_definition(existing) if existing else None
        initial = (
            {name: getattr(definition, name) for name in Definition.__dataclass_fields__}
            if definition
            else {"schema": {"type": "object", "properties": {}, "additionalProperties": False}}
        )
        super().__init__(data, initial=initial)
        self.existing = existing
        if existing:
            del self.fields["name"]
        others = ActionType.objects.exclude(name=existing.name if existing else "").order_by("label")
        field = self.fields["reversible_by"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [("", "Nothing undoes it"), *((one.name, str(one)) for one in others)]

    def definition(self) -> Definition:
        names = [name for name in Definition.__dataclass_fields__ if name in self.cleaned_data]
        values = {name: self.cleaned_data[name] for name in names}
        if self.existing:
            return replace(action_types.as_definition(self.existing), **values)
        return Definition(**values)

    def clean_name(self) -> str:
        name = str(self.cleaned_data["name"])
        if ActionType.objects.filter(name=name).exists():
            raise forms.ValidationError("There is an action type of this name already.")
        return name

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        if not self.errors:
            for fault in action_types.faults(self.definition()):
                message = fault["message"]
                self.add_error(fault["field"], message[0].upper() + message[1:] + ".")
        return values
