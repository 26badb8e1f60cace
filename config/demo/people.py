"""The people of Lindgren & Hale: who works where, and what the sign-in page says of each in demo mode."""

from dataclasses import dataclass

DOMAIN = "lindgren-hale.example"
PASSWORD = "countersign-demo"  # noqa: S105 public by intent
"""One password for all, shown at sign-in in demo mode; these people exist nowhere else."""

CARE, PAYABLE, PURCHASING, DESK = "Customer care", "Accounts payable", "Purchasing", "IT service desk"
SENIOR, OWNERS, AUDITORS = "Senior reviewers", "Automation owners", "Auditors"
TEAMS = (CARE, PAYABLE, PURCHASING, DESK, SENIOR, OWNERS, AUDITORS)


@dataclass(frozen=True, slots=True)
class Person:
    """`role` is the line beside the name at sign-in; `pace` is how many decisions a working day has room for."""

    name: str
    role: str
    teams: tuple[str, ...]
    is_admin: bool = False
    pace: int = 40

    @property
    def email(self) -> str:
        return self.name.lower().replace(" ", ".") + "@" + DOMAIN


PEOPLE = (
    Person("Leonie Brandt", "Reviews refunds, orders and letters", (CARE,), pace=60),
    Person("Samuel Adeyemi", "Reviews refunds, orders and letters", (CARE,), pace=45),
    Person("Chiara Fontana", "Reviews refunds, orders and letters", (CARE,), pace=35),
    Person("Priya Raman", "Reviews invoices, payments and bookkeeping", (PAYABLE,), pace=50),
    Person("Jonas Weber", "Reviews invoices, payments and bookkeeping", (PAYABLE,), pace=40),
    Person("Klara Novak", "Reviews purchase orders and suppliers", (PURCHASING,), pace=40),
    Person("Emeka Nwosu", "Reviews purchase orders and suppliers", (PURCHASING,), pace=30),
    Person("Yuki Tanaka", "Reviews access, changes and tickets", (DESK,), pace=50),
    Person("Owen Griffiths", "Reviews access, changes and tickets", (DESK,), pace=40),
    Person(
        "Henrik Dahl", "Senior reviewer, customer care and purchasing", (SENIOR, CARE, PURCHASING), pace=20
    ),
    Person("Margaret Doyle", "Senior reviewer, finance and IT", (SENIOR, PAYABLE, DESK), pace=20),
    Person("Ingrid Solheim", "Owns the customer care agents", (OWNERS,)),
    Person("Daniel Okafor", "Owns the finance agents", (OWNERS,)),
    Person("Beatriz Nunes", "Owns the purchasing and IT agents", (OWNERS,)),
    Person("Tomasz Wrona", "Auditor: sees everything, decides nothing", (AUDITORS,)),
    Person("Astrid Hale", "Admin: people, queues, policies", (), is_admin=True),
)

REVIEWED_BY: dict[str, tuple[str, ...]] = {
    "refunds": (CARE,),
    "senior-refunds": (CARE, SENIOR),
    "orders-and-letters": (CARE,),
    "invoices": (PAYABLE,),
    "payment-control": (PAYABLE, SENIOR),
    "bookkeeping": (PAYABLE,),
    "purchase-orders": (PURCHASING,),
    "suppliers-and-contracts": (PURCHASING, SENIOR),
    "access": (DESK,),
    "changes": (DESK, SENIOR),
    "tickets": (DESK,),
}
"""Which teams decide in which queue."""

AWAY: tuple[tuple[str, str, int, int, str], ...] = (
    ("Jonas Weber", "Priya Raman", 0, 4, "Training in Utrecht"),
    ("Emeka Nwosu", "Klara Novak", 6, 13, "On leave"),
)
"""Who is away: (person, delegate, from and until in days from the seeding, note)."""
