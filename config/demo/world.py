"""Customers, goods, vendors and colleagues of the made-up company, and the odds and ends of plausible data. Pure."""

import random
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TypeVar

T = TypeVar("T")


def _words(text: str) -> list[str]:
    return text.split()


_FIRST = _words(
    "Anneke Bram Carlijn Daan Eline Femke Gijs Hanneke Ivo Jasmijn Karel Lotte Maarten Nienke Oscar Pieter Quirine "
    "Roos Sander Tess Ursula Vera Wouter Xander Yara Zoë Ada Bjarne Cecilie Dagny Erlend Freja Gro Håkon Inès Joëlle"
)
_LAST = _words(
    "Vermeer Dijkstra Postma Janssens Wouters Claes Hofmann Lindner Brauer Moreau Lefèvre Girard Nyström Ekdahl "
    "Sørensen Kjær Byrne Gallagher Steiner Gruber Molenaar Kuipers Timmer Aalders Bosman Veenstra"
)
_PLACES = (
    ("Kerkstraat", "3581 AB", "Utrecht", "NL"),
    ("Noordsingel", "3035 EG", "Rotterdam", "NL"),
    ("Lange Nieuwstraat", "2000", "Antwerpen", "BE"),
    ("Veldstraat", "9000", "Gent", "BE"),
    ("Lindenallee", "50968", "Köln", "DE"),
    ("Torstraße", "10119", "Berlin", "DE"),
    ("Rue des Teinturiers", "84000", "Avignon", "FR"),
    ("Quai Saint-Michel", "75005", "Paris", "FR"),
    ("Nørrebrogade", "2200", "København", "DK"),
    ("Storgatan", "211 42", "Malmö", "SE"),
    ("Mariahilfer Straße", "1060", "Wien", "AT"),
    ("Dorset Street", "D01 X2P6", "Dublin", "IE"),
)
GOODS = (
    ("LMP-1180", "Reading lamp Fyr, brass", 89.0),
    ("CHR-2204", "Lounge chair Havn, oak", 449.0),
    ("TNT-3071", "Tent Skärgård, four persons", 329.0),
    ("RUG-1542", "Wool rug Lav, 170 × 240", 279.0),
    ("SHF-4410", "Wall shelf Stige, walnut", 159.0),
    ("BAG-0907", "Rucksack Dal, 45 litres", 139.0),
    ("DSK-5102", "Desk Kontor, ash", 389.0),
    ("PLT-2280", "Plant pot Ler, set of three", 54.0),
    ("SLP-3140", "Sleeping bag Natt, down", 219.0),
    ("CUP-1033", "Enamel cups Bål, set of four", 32.0),
    ("BED-6001", "Bed frame Sov, 160 cm", 599.0),
    ("BLK-1220", "Blanket Sjal, grey", 74.0),
    ("GRL-2711", "Camping stove Glöd", 99.0),
    ("MIR-3307", "Mirror Måne, round", 119.0),
    ("SOF-7003", "Sofa Vik, three seats, green", 1290.0),
    ("TBL-4019", "Dining table Bord, extendable", 749.0),
    ("HMK-1088", "Hammock Lund, cotton", 69.0),
    ("KIT-5514", "Knife set Egg, five pieces", 145.0),
)


@dataclass(frozen=True, slots=True)
class Customer:
    id: str
    name: str
    email: str
    street: str
    postcode: str
    city: str
    country: str


@dataclass(frozen=True, slots=True)
class Vendor:
    id: str
    name: str
    email: str
    iban: str
    country: str
    sells: tuple[tuple[str, str, float], ...]
    """(what, unit, unit price)"""
    currency: str = "EUR"


def iban(country: str, rng: random.Random) -> str:
    """An IBAN with right check digits over a made-up account."""
    account = {
        "NL": lambda: "LHBK" + _digits(rng, 10),
        "DE": lambda: _digits(rng, 18),
        "BE": lambda: _digits(rng, 12),
        "FR": lambda: _digits(rng, 23),
        "DK": lambda: _digits(rng, 14),
        "SE": lambda: _digits(rng, 20),
        "LT": lambda: _digits(rng, 16),
    }[country]()
    return country + check_digits(country, account) + account


def check_digits(country: str, account: str) -> str:
    """ISO 13616: 98 minus the number (letters as 10 to 35) modulo 97."""
    number = int("".join(str(int(letter, 36)) for letter in account + country + "00"))
    return f"{98 - number % 97:02d}"


def _digits(rng: random.Random, count: int) -> str:
    return "".join(rng.choice("0123456789") for _ in range(count))


def _customers() -> list[Customer]:
    rng = random.Random("customers")  # noqa: S311 the same customers every time, not a secret
    found = []
    for number in range(240):
        first, last = rng.choice(_FIRST), rng.choice(_LAST)
        street, postcode, city, country = rng.choice(_PLACES)
        plain = _ascii(f"{first}.{last}{rng.choice(['', '', str(rng.randint(2, 89))])}").lower()
        mail = rng.choice(["posteo.example", "mail.example", "brief.example", "web.example"])
        found.append(
            Customer(
                f"c-{10400 + number * 7}",
                f"{first} {last}",
                f"{plain}@{mail}",
                f"{street} {rng.randint(1, 190)}",
                postcode,
                city,
                country,
            )
        )
    return found


def _ascii(text: str) -> str:
    return text.translate(str.maketrans("éèëïøåæäöüØÅ", "eeeioaaaouOA"))


_VENDORS = (
    ("Kampen Timber BV", "NL", (("Oak boards, planed", "m2", 48.5), ("Ash boards, planed", "m2", 41.2))),
    (
        "Holzwerk Ahlbeck GmbH",
        "DE",
        (("Table tops, beech", "piece", 86.0), ("Chair legs, turned", "box", 64.0)),
    ),
    ("Wolspinnerij De Vries", "NL", (("Wool felt, grey", "m2", 22.4), ("Wool yarn, dyed", "box", 118.0))),
    ("Nordkarton A/S", "DK", (("Folding boxes, large", "pallet", 412.0), ("Edge protectors", "box", 36.5))),
    (
        "Malmö Speditions AB",
        "SE",
        (("Transport Malmö–Rotterdam", "piece", 980.0), ("Storage, week", "pallet", 14.2)),
    ),
    ("Lux et Fils SARL", "FR", (("Lamp sockets E27", "box", 73.0), ("Textile cable, 50 m", "piece", 38.0))),
    ("Metaalgieterij Boxtel", "NL", (("Brass fittings", "box", 155.0), ("Steel brackets", "box", 48.0))),
    ("Papeterie du Canal", "BE", (("Catalogue printing", "piece", 2.35), ("Shipping labels", "box", 19.8))),
    (
        "Reinigung Sauber & Söhne",
        "DE",
        (("Cleaning, showroom", "hour", 34.0), ("Window cleaning", "hour", 41.0)),
    ),
    ("Baltic Canvas UAB", "LT", (("Tent fabric, coated", "m2", 9.8), ("Cotton canvas", "m2", 6.4))),
    (
        "Delta Energie NV",
        "NL",
        (("Electricity, warehouse", "piece", 4120.0), ("Heat, office", "piece", 890.0)),
    ),
    ("Kantoor & Co", "NL", (("Paper A4", "box", 24.9), ("Toner", "piece", 87.0))),
    ("Glashütte Ostheim", "DE", (("Mirror glass, cut", "m2", 58.0), ("Lamp shades, opal", "piece", 17.5))),
    (
        "Softline Licences BV",
        "NL",
        (("Helpdesk seats", "licence", 29.0), ("Design software", "licence", 58.0)),
    ),
    ("Trädgård Import AB", "SE", (("Clay pots, mixed", "pallet", 365.0), ("Hammock rope", "box", 52.0))),
    ("Bureau Peeters", "BE", (("Legal advice", "hour", 195.0), ("Trademark renewal", "piece", 1450.0))),
)


def _vendors() -> list[Vendor]:
    rng = random.Random("vendors")  # noqa: S311 the same vendors every time, not a secret
    found = []
    for number, (name, country, sells) in enumerate(_VENDORS):
        host = "".join(letter for letter in _ascii(name).lower() if letter.isalnum())[:18]
        found.append(
            Vendor(
                f"V{1010 + number * 13}", name, f"billing@{host}.example", iban(country, rng), country, sells
            )
        )
    return found


CUSTOMERS = _customers()
VENDORS = _vendors()
COLLEAGUES = tuple(
    (name, name.lower().replace(" ", ".") + "@lindgren-hale.example", department)
    for name, department in (
        ("Noor Bakker", "warehouse"),
        ("Piet Hoekstra", "warehouse"),
        ("Elif Yilmaz", "marketing"),
        ("Ruben Cohen", "marketing"),
        ("Sofie Maes", "finance"),
        ("Lars Mikkelsen", "finance"),
        ("Amara Diallo", "care"),
        ("Jelle Visser", "care"),
        ("Helen Walsh", "people"),
        ("Marek Kowalski", "it"),
        ("Aisha Rahman", "purchasing"),
        ("Bob Stuyvesant", "purchasing"),
        ("Grace Obi", "warehouse"),
        ("Victor Laurent", "marketing"),
        ("Mila Jansen", "care"),
        ("Tariq Aziz", "it"),
        ("Anna Lund", "finance"),
    )
)
MANAGERS = (
    "hanna.kok@lindgren-hale.example",
    "stefan.roos@lindgren-hale.example",
    "lucia.mora@lindgren-hale.example",
)


@dataclass(slots=True)
class Moment:
    """A point in the company's time that a case is told at, with its own stream of choices."""

    now: datetime
    rng: random.Random

    def day(self, offset: int) -> str:
        return (self.now + timedelta(days=offset)).date().isoformat()

    def weekday(self, least: int) -> str:
        """The first working day at least that many days ahead."""
        day: date = (self.now + timedelta(days=least)).date()
        while day.weekday() > 4:
            day += timedelta(days=1)
        return day.isoformat()

    def order(self) -> str:
        return f"LH-{self.rng.randint(2041000, 2987999)}"

    def digits(self, count: int) -> str:
        return str(self.rng.randint(10 ** (count - 1), 10**count - 1))

    def pick(self, *options: T) -> T:
        return self.rng.choice(options)
