"""Fixed sentences of the line-up: only the value varies, and no name gives the answer away."""

from typing import Final

from salmu_demo.data.layout import kind_title

LINEUP_SENTENCES: Final[dict[str, tuple[str, ...]]] = {
    "city": ("This person lives in {value}", "A resident of {value}", "{value} is this person's home"),
    "job": ("This person works as a {value}", "A {value} by profession", "{value} is this person's job"),
    "blood_type": (
        "This person has blood type {value}",
        "{value} is this person's blood type",
        "The blood type in the records is {value}",
    ),
    "phone_number": (
        "This person's phone number is {value}",
        "Reach this person at the phone number {value}",
        "{value} is the phone number to call",
    ),
    "email": (
        "This person's e-mail address is {value}",
        "Contact this person via {value}",
        "{value} is the address to write to",
    ),
    "iban": (
        "This person's bank account IBAN is {value}",
        "Transfers to this person go to {value}",
        "{value} is the IBAN of the account",
    ),
    "credit_card": (
        "This person's credit card number is {value}",
        "This person pays with card {value}",
        "{value} is the number of the credit card",
    ),
    "passport": (
        "This person's passport number is {value}",
        "This person travels on passport {value}",
        "{value} is the number of the passport",
    ),
}


def lineup_sentences(kind: str) -> tuple[str, ...]:
    """The sentences of a kind; an unknown kind gets plain ones.

    >>> lineup_sentences("shoe_size")[0].format(value=43)
    "This person's shoe size is 43"
    """
    # The kind is the data set's own word, and may hold braces.
    words = kind_title(kind).lower().replace("{", "{{").replace("}", "}}")
    return LINEUP_SENTENCES.get(kind, (f"This person's {words} is {{value}}", f"{{value}} is the {words}"))
