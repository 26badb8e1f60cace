"""Which accounts are known to be one human being's."""

from dataclasses import dataclass

from django.db.models import Q

from accounts.models import LinkedAccount, User


@dataclass(frozen=True, slots=True)
class Linked:
    """One link, seen from a person: the other account."""

    link: LinkedAccount
    other: User


def linked_accounts(person: User) -> list[Linked]:
    """The person's other accounts, the latest link first."""
    found = LinkedAccount.objects.filter(Q(first=person) | Q(second=person))
    rows = found.select_related("first", "second", "linked_by").order_by("-linked_at")
    return [Linked(row, row.second if row.first_id == person.pk else row.first) for row in rows]
