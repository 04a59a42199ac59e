"""Fictitious personas: culturally consistent, globally unique names and private attributes, drawn by Faker."""

import unicodedata
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from salmu_demo.mini.portraits import Look, random_look

LOCALES: Final[dict[str, str]] = {
    "cs_CZ": "CZ",
    "da_DK": "DK",
    "de_AT": "AT",
    "de_DE": "DE",
    "en_GB": "GB",
    "es_ES": "ES",
    "fi_FI": "FI",
    "fr_FR": "FR",
    "it_IT": "IT",
    "nl_NL": "NL",
    "no_NO": "NO",
    "pl_PL": "PL",
    "pt_PT": "PT",
    "ro_RO": "RO",
    "sk_SK": "SK",
    "tr_TR": "TR",
}
"""Faker locale to ISO country code: Latin scripts with their diacritics, and locales whose IBANs Faker knows."""

DIALLING_CODES: Final = {
    "AT": "+43", "CZ": "+420", "DK": "+45", "DE": "+49", "GB": "+44", "ES": "+34", "FI": "+358", "FR": "+33",
    "IT": "+39", "NL": "+31", "NO": "+47", "PL": "+48", "PT": "+351", "RO": "+40", "SK": "+421", "TR": "+90",
}  # fmt: skip
BLOOD_TYPES: Final = ("O+", "A+", "B+", "AB+", "O-", "A-", "B-", "AB-")
MAIL_HOSTS: Final = ("mailhub.example", "postbox.example", "inbox.example", "letters.example")
"""Hosts under the reserved domain `example` (RFC 2606), so that no address can exist."""

ITALIAN_TOWNS: Final = (
    "Abetone", "Agliano", "Alberobello", "Amandola", "Arpino", "Bagolino", "Granozzo", "Barolo", "Bienno", "Bobbio",
    "Camogli", "Canale", "Persi", "Savarna", "Cefalù", "Montesoro", "Cervo", "Cutigliano", "Dozza", "Erice",
    "Martinsicuro", "Farra", "Gerace", "Gradara", "Iseo", "Lazise", "Loano", "Magreglio", "Malcesine", "Matelica",
    "Mondavio", "Nemi", "Norcia", "Offida", "Orta", "Otranto", "Pienza", "Pitigliano", "Ravello", "Scanno",
)  # fmt: skip
"""Faker keeps its Italian towns in a set, whose order changes from process to process; a draw could not be repeated."""


@dataclass(frozen=True)
class MiniPersona:
    """One invented person: metadata in the official shape plus the look that the portraits share."""

    identity_id: str
    look: Look
    metadata: dict[str, Any]

    @property
    def name(self) -> str:
        """Full name."""
        return str(self.metadata["name"])

    def values(self, kind: str) -> list[str]:
        """All values of one attribute kind; only e-mail has more than one."""
        return list(self.metadata["emails"]) if kind == "email" else [str(self.metadata[kind])]


def _digits(rng: np.random.Generator, count: int) -> str:
    return "".join(str(d) for d in rng.integers(0, 10, count))


def _grouped(text: str, size: int = 4) -> str:
    return " ".join(text[i : i + size] for i in range(0, len(text), size))


def draw_personas(rng: np.random.Generator, count: int) -> list[MiniPersona]:
    """Draw personas whose names, values (blood types aside) and looks are all different."""
    from faker import Faker  # noqa: PLC0415 - only the optional extra `mini` installs it

    fakers = {locale: Faker(locale) for locale in (*LOCALES, "en_US")}
    for faker in fakers.values():
        faker.seed_instance(int(rng.integers(2**31)))
    taken: set[str] = set()
    looks: list[Look] = []

    def unique(draw: Any) -> str:
        while True:
            value = str(draw())
            if value not in taken:
                taken.add(value)
                return value

    ids = sorted(rng.choice(10_000, size=count, replace=False))
    personas = []
    for number, identity in enumerate(ids):
        locale = list(LOCALES)[number % len(LOCALES)]
        country, faker = LOCALES[locale], fakers[locale]
        while True:
            look = random_look(rng)
            if all(look.shared_traits(other) < 4 for other in looks):
                looks.append(look)
                break
        female = look.gender == "female"

        def full_name(faker: Any = faker, female: bool = female) -> str:
            first = faker.first_name_female() if female else faker.first_name_male()
            last = faker.last_name_female() if female else faker.last_name_male()
            return f"{first} {last}"

        name = unique(full_name)
        handle = ".".join(_ascii(part) for part in name.lower().split())
        emails = [unique(lambda handle=handle: f"{handle}@{MAIL_HOSTS[int(rng.integers(len(MAIL_HOSTS)))]}")]
        if rng.random() < 0.25:
            short = handle[0] + handle.split(".")[-1]
            emails.append(unique(lambda short=short: f"{short}{rng.integers(10, 99)}@{MAIL_HOSTS[0]}"))
        letters = "".join(chr(65 + int(c)) for c in rng.integers(0, 26, 2))
        metadata = {
            "name": name,
            "city": unique(lambda faker=faker, country=country: _city(faker, country)),
            "country_code": country,
            "job": unique(lambda: _job(fakers["en_US"])),
            "blood_type": BLOOD_TYPES[int(rng.integers(len(BLOOD_TYPES)))],
            "phone_number": unique(lambda code=DIALLING_CODES[country]: f"{code} {_digits(rng, 8)}"),
            "emails": emails,
            "iban": _grouped(unique(faker.iban)),
            "credit_card": _grouped(unique(lambda: fakers["en_US"].credit_card_number("visa16"))),
            "passport": unique(lambda letters=letters: f"{letters}{_digits(rng, 7)}"),
        }
        personas.append(MiniPersona(f"{int(identity):08d}", look, metadata))
    return personas


def _city(faker: Any, country: str) -> str:
    return str(faker.random_element(ITALIAN_TOWNS) if country == "IT" else faker.city())


def _job(faker: Any) -> str:
    """A job title of plain words: Faker's list also holds entries such as "Surveyor, land/geomatics"."""
    while True:
        title = str(faker.job())
        if not set(title) & set(",/()"):
            return title.lower()


def _ascii(text: str) -> str:
    folded = unicodedata.normalize("NFKD", text.replace("ı", "i").replace("ß", "ss").replace("ø", "o"))
    return "".join(c for c in folded if c.isascii() and c.isalnum())
