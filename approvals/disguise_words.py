"""By what `approvals.disguise` knows people, ids and things, and the names it gives instead. Pure."""

import re

FIRST = ("Amara", "Bente", "Carlos", "Dilan", "Elif", "Femke", "Goran", "Hanna", "Ivo", "Jelena", "Kofi", "Lucia",
         "Marek", "Nadia", "Oskar", "Priya", "Quentin", "Rosa", "Stefan", "Tomke", "Ulla", "Viktor", "Wanda",
         "Yusuf", "Zofia", "Anselm", "Birgit", "Cedric", "Dorota", "Emil")  # fmt: skip
LAST = ("Almeida", "Bakker", "Castelli", "Dvorak", "Eriksen", "Fontaine", "Grabowski", "Hoekstra", "Ivanov",
        "Jansson", "Kowalski", "Lindqvist", "Moreau", "Novak", "Okafor", "Petersen", "Quispe", "Rossi", "Santos",
        "Tanaka", "Ullmann", "Vermeer", "Weidmann", "Yilmaz", "Zeller", "Albrecht", "Brandt", "Costa", "Dumont",
        "Engel")  # fmt: skip
OFFICES = frozenset({"info", "support", "billing", "office", "sales", "service", "hello", "contact", "accounts",
                      "invoices", "finance", "noreply", "admin", "team", "orders", "help", "mail"})  # fmt: skip
WORD = re.compile(r"[^\W\d_]{3,}")
ID_KEY = re.compile(
    r"(?:^|_)(?:ids?|no|nr|num|number|ref|reference|iban|account|sku|code|ticket|invoice|order)$"
)
NAME_KEY = re.compile(
    r"(?:^|_)(?:name|customer|recipient|beneficiary|holder|contact|employee|person|assignee|sender|payee|manager)$"
)
PERSON = re.compile(r"[A-ZÀ-Þ][\w'’-]+(?:[ ](?:[a-z]{2,3}[ ])?[A-ZÀ-Þ][\w'’-]+){1,3}")
FIRM = re.compile(
    r"(?i)\b(?:gmbh|ag|kg|ug|ltd|llc|inc|plc|corp|co|bv|b\.v|nv|sa|srl|spa|oy|ab|as|bank|group|team|services?|store|"
    r"shop|logisti\w+|systems?|solutions?|supplies|trading|international|account|department)\b"
)
ADDRESSED = re.compile(
    r"(?:\b(?:Dear|Hi|Hello|Mr\.?|Mrs\.?|Ms\.?|Dr\.?|Herr|Frau|Regards,|Best,|Thanks,|Cheers,)\s+)"
    r"([A-ZÀ-Þ][\w'’-]{2,}(?:[ ][A-ZÀ-Þ][\w'’-]{2,})?)"
    r"|([A-ZÀ-Þ][\w'’-]{2,}[ ][A-ZÀ-Þ][\w'’-]{2,})(?=[ ]?[<(][\w.+-]+@)"
)
NO_NAMES = frozenset(
    {"team", "sir", "madam", "all", "there", "support", "everyone", "customer", "the", "and"}
)
GOODS = frozenset({"sku", "price", "quantity", "qty", "product", "unit_price", "item_id", "product_id"})
