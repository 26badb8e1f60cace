"""The check digits of an IBAN by the rule itself (ISO 13616), to compare with."""


def check_digits(iban: str) -> str:
    """What positions three and four should be."""
    number = int("".join(str(int(one, 36)) for one in iban[4:] + iban[:2] + "00"))
    return f"{98 - number % 97:02}"
