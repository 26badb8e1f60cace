"""What of the other side a page may name all the same, and why; tests/access/table.py says who opens it."""

OPEN_TO_ALL = frozenset(
    {
        "setup/queues/",
        "setup/queues/<slug:slug>/",
        "setup/policies/",
        "setup/policies/<slug:domain>/",
        "setup/action-types/",
        "setup/action-types/<str:name>/",
        "agents/-/register/",
    }
)
"""Pages that name queues and policies to everybody who works here: the rules of the house are no secret, what waits
under them is. No proposal, agent or person's work stands there."""
CHOICES: dict[str, tuple[str, str]] = {
    "absence/": (
        "people",
        "whom one names as delegate, by name: colleagues are no secret, what they decide is",
    ),
    "access/requests/": ("queues", "what one may ask a role on: nobody could ask for what he cannot name"),
    "agents/<slug:slug>/": ("people", "to whom the owner gives his agent to manage"),
    "agents/<slug:slug>/mandates/-/add/": (
        "kinds",
        "what an agent may be given a mandate for; all may read the list",
    ),
    "setup/policies/<slug:domain>/publish/": ("queues", "where a rule may send proposals"),
}
"""Pages that name people, queues or kinds of action of the other side in a choice: what of it, and why. Nothing else
of it stands there, and nothing of it on any other page."""
