"""Linking accounts of one human being, from a person's page."""

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from accounts import permissions
from accounts.http import person as me
from accounts.linked import linked_accounts
from accounts.models import User
from accounts.services import links


class LinkForm(forms.Form):
    """Which other account is the same human being's, and how one knows."""

    other = forms.ModelChoiceField(queryset=User.objects.none(), label="Other account")
    why = forms.CharField(max_length=300, label="How do you know?")

    def __init__(self, data: object = None, *, person: User) -> None:
        super().__init__(data)  # type: ignore[arg-type]
        field = self.fields["other"]
        assert isinstance(field, forms.ModelChoiceField)
        field.queryset = User.objects.exclude(pk=person.pk).order_by("name", "email")
        field.label_from_instance = lambda obj: f"{obj} ({obj.email})"  # type: ignore[method-assign]


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def account_links(request: HttpRequest, person_id: int) -> HttpResponse:
    """Other accounts of this person; admins link one."""
    permissions.check_can_see_people(me(request))
    person = get_object_or_404(User, pk=person_id)
    form = LinkForm(request.POST or None, person=person)
    if request.method == "POST":
        permissions.check_is_admin(me(request))
        if form.is_valid():
            other = form.cleaned_data["other"]
            links.link(
                person_id=person.pk, other_id=other.pk, actor=me(request), why=form.cleaned_data["why"]
            )
            messages.success(request, f"{other} counts as {person} from now on.")
            return redirect("accounts:account_links", person.pk)
    context = {
        "person": person,
        "links": linked_accounts(person),
        "form": form if me(request).is_admin else None,
    }
    return render(request, "accounts/links.html", context, status=422 if form.errors else 200)


@login_required
@require_POST
def account_unlink(request: HttpRequest, person_id: int, link_id: int) -> HttpResponse:
    links.unlink(link_id=link_id, actor=me(request), why=request.POST.get("why", ""))
    messages.success(request, "The accounts are two people's again.")
    return redirect("accounts:account_links", person_id)
