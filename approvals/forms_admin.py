"""What is typed about queues, their reviewers, policies and unknown outcomes."""

from typing import Any

from django import forms
from django.contrib.auth.models import Group
from django.forms import formset_factory

from accounts.models import User
from agents.models import ActionType
from approvals import policy, strict_yaml
from approvals.models import Outcome, Policy, Queue
from approvals.policy_words import as_yaml
from approvals.services import set_up
from approvals.services.set_up import QueueDefinition

MAX_REASONS = 40


class ReasonForm(forms.Form):
    """One reason offered to reviewers; a row left empty is no reason."""

    code = forms.SlugField(required=False, max_length=60)
    label = forms.CharField(required=False, max_length=120)
    not_agents_fault = forms.BooleanField(required=False, label="Not the agent's fault")

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        if bool(values.get("code")) != bool(values.get("label")):
            self.add_error(
                "code" if not values.get("code") else "label",
                "A reason needs a code and a label; or neither.",
            )
        return values


ReasonFormSet = formset_factory(ReasonForm, extra=3, max_num=MAX_REASONS, validate_max=True)


def reasons_in(formset: Any) -> list[dict[str, Any]]:
    """The reasons of a valid formset in the form in which queues keep them."""
    found = []
    for form in formset.forms:
        values = form.cleaned_data
        if values.get("code"):
            reason: dict[str, Any] = {"code": values["code"], "label": values["label"]}
            found.append(reason | ({"not_agents_fault": True} if values["not_agents_fault"] else {}))
    return found


class QueueForm(forms.Form):
    """A queue. Its slug is named in policies and addresses, so it stays."""

    name = forms.CharField(max_length=120)
    slug = forms.SlugField(max_length=60, label="Short name", help_text="Named in policies, so it stays.")
    domain = forms.SlugField(max_length=60, help_text="The part of the business it belongs to.")
    lease_minutes = forms.IntegerField(
        min_value=1, label="A claim lasts, in minutes", help_text="Then colleagues may take it over."
    )
    due_minutes = forms.IntegerField(min_value=1, label="Due within, in minutes")
    expires_minutes = forms.IntegerField(
        min_value=1, label="Expires after, in minutes", help_text="Unanswered never means approved."
    )
    quorum = forms.IntegerField(
        min_value=1, max_value=9, label="Approvals needed", help_text="A policy can ask for more."
    )

    def __init__(self, data: Any = None, *, existing: Queue | None = None) -> None:
        defaults = (
            set_up.queue_definition(existing) if existing else QueueDefinition(slug="", name="", domain="")
        )
        super().__init__(
            data, initial={name: getattr(defaults, name) for name in QueueDefinition.__dataclass_fields__}
        )
        self.existing = existing
        if existing:
            del self.fields["slug"]

    def clean_slug(self) -> str:
        slug = str(self.cleaned_data["slug"])
        if Queue.objects.filter(slug=slug).exists():
            raise forms.ValidationError("There is a queue of this short name already.")
        return slug

    def definition(self, reasons: list[dict[str, Any]]) -> QueueDefinition:
        slug = self.existing.slug if self.existing else self.cleaned_data.get("slug", "")
        return QueueDefinition(**{**self.cleaned_data, "slug": slug, "reason_codes": reasons})

    def check(self, reasons: list[dict[str, Any]]) -> bool:
        """Whether the use case would take it; its faults are told at their fields."""
        for fault in set_up.queue_faults(self.definition(reasons)):
            self.add_error(
                fault["field"] if fault["field"] in self.fields else None, f"It {fault['message']}."
            )
        return not self.errors


class PolicyForm(forms.Form):
    """The next version of a domain's rules, as YAML or JSON, checked by the rules' own reader."""

    name = forms.CharField(max_length=120)
    default_queue = forms.ModelChoiceField(
        queryset=Queue.objects.none(),
        to_field_name="slug",
        empty_label=None,
        help_text="Where a review goes when no rule names a queue.",
    )
    rules = forms.CharField(
        required=False,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 22, "spellcheck": "false"}),
        help_text="YAML or JSON, in the order in which they apply. No rules: the mandate's tier alone decides.",
    )
    note = forms.CharField(max_length=300, label="Why", help_text="Kept with the version.")

    def __init__(self, data: Any = None, *, existing: Policy | None = None) -> None:
        current = existing.current if existing else None
        super().__init__(
            data,
            initial={
                "name": existing.name if existing else "",
                "default_queue": current.default_queue.slug if current else None,
                "rules": as_yaml(current.rules) if current else "",
            },
        )
        queues = self.fields["default_queue"]
        assert isinstance(queues, forms.ModelChoiceField)
        queues.queryset = Queue.objects.order_by("name")
        self.existing = existing
        if existing is None:
            self.fields = {"domain": _domain_without_policy(), **self.fields}

    @property
    def domain(self) -> str:
        return self.existing.domain if self.existing else str(self.cleaned_data["domain"])

    def clean_rules(self) -> list[dict[str, Any]]:
        text = str(self.cleaned_data["rules"])
        if not text.strip():
            return []
        document = strict_yaml.read(text.encode("utf-8", "replace"))
        if document.faults:
            raise forms.ValidationError([str(fault) for fault in document.faults[:5]])
        rules = document.value
        try:
            policy.check_rules(rules)
        except ValueError as error:
            raise forms.ValidationError(f"{str(error)[0].upper()}{str(error)[1:]}.") from error
        missing = policy.queues_named(rules) - set(Queue.objects.values_list("slug", flat=True))
        if missing:
            raise forms.ValidationError(f"A rule names the queue {min(missing)!r}, which does not exist.")
        return list(rules)


def _domain_without_policy() -> forms.ChoiceField:
    taken = set(Policy.objects.values_list("domain", flat=True))
    found = {
        *ActionType.objects.values_list("domain", flat=True),
        *Queue.objects.values_list("domain", flat=True),
    }
    return forms.ChoiceField(choices=[(domain, domain) for domain in sorted(found - taken)])


class ReviewerForm(forms.Form):
    """A person or a team that does not review the queue yet."""

    to = forms.ChoiceField(label="Person or team")

    def __init__(
        self, data: Any = None, *, people: list[User] | None = None, teams: list[Group] | None = None
    ) -> None:
        super().__init__(data)
        others = Group.objects.exclude(pk__in=[team.pk for team in teams or []]).order_by("name")
        persons = (
            User.objects.filter(is_active=True)
            .exclude(pk__in=[one.pk for one in people or []])
            .order_by("name", "email")
        )
        field = self.fields["to"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [
            ("", "Choose"),
            ("Teams", [(f"team-{team.pk}", team.name) for team in others]),
            ("People", [(f"person-{one.pk}", f"{one} ({one.email})") for one in persons]),
        ]

    def holder(self) -> User | Group:
        """Whom was chosen; call it when the form is valid."""
        kind, _, pk = str(self.cleaned_data["to"]).partition("-")
        return Group.objects.get(pk=pk) if kind == "team" else User.objects.get(pk=pk)


class SettleForm(forms.Form):
    """What really happened after an outcome nobody reported, and how that was found out."""

    status = forms.ChoiceField(
        label="What happened",
        choices=[
            ("", "Choose"),
            (Outcome.Status.SUCCEEDED, "It was done"),
            (Outcome.Status.FAILED, "It was not done"),
        ],
    )
    note = forms.CharField(max_length=500, label="How you found out")
