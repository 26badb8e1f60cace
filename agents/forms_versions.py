"""What is typed about versions of an agent."""

from typing import Any

from django import forms

from agents.models import Agent, AgentVersion


class ReasonForm(forms.Form):
    reason = forms.CharField(max_length=300, help_text="It stays in the history and the audit log.")


class DeclareForm(ReasonForm):
    """Another version, by the owner's word, for agents that do not announce it themselves."""

    label = forms.CharField(max_length=80, help_text="Whatever names it, for instance 2026-11 or a build.")
    model = forms.CharField(required=False, max_length=200)
    prompt_digest = forms.CharField(required=False, max_length=200, label="Digest of its prompt")
    tools_digest = forms.CharField(required=False, max_length=200, label="Digest of its tools")
    field_order = ("label", "model", "prompt_digest", "tools_digest", "reason")


class VersionField(forms.ModelChoiceField[AgentVersion]):
    def label_from_instance(self, obj: AgentVersion) -> str:
        return obj.label


class EquivalenceForm(ReasonForm):
    """That the present version makes no difference to the evidence of an earlier one."""

    continues = VersionField(
        queryset=AgentVersion.objects.none(), label="It continues version", empty_label="Choose"
    )
    field_order = ("continues", "reason")

    def __init__(self, data: Any = None, *, agent: Agent, prefix: str) -> None:
        super().__init__(data, prefix=prefix)
        field = self.fields["continues"]
        assert isinstance(field, VersionField)
        field.queryset = AgentVersion.objects.filter(agent=agent).exclude(label=agent.version).order_by("-pk")


class AnswerForm(ReasonForm):
    """An admin's answer."""
