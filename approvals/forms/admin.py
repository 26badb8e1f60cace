"""What is typed about reviewers of queues, policies and unknown outcomes."""

from typing import Any

from django import forms
from django.contrib.auth.models import Group

from accounts.models import User
from agents.models import ActionType
from approvals import policy, strict_yaml
from approvals.models import Outcome, Policy, Queue
from approvals.policy_words import as_yaml


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
