"""The sentences of SALMU-Mini: wordings for each attribute kind, with or without a name, and plain descriptions."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from salmu_demo.data.wordings import NAMELESS, fill
from salmu_demo.mini.portraits import ACCESSORIES, CLOTHES, FACIAL_HAIR, Look, Pose

WORDINGS: Final[dict[str, tuple[str, ...]]] = {
    "city": (
        "{subject} lives in {value}",
        "{value} is where {subject} makes {their} home",
        "{possessive} home town is {value}",
        "you will find {object} in the city of {value}",
        "{subject}, a resident of {value}",
        "{value} is the city that {subject} calls home",
    ),
    "job": (
        "{subject} works as a {value}",
        "{value} is {possessive} job",
        "by profession {subject} is a {value}",
        "{subject} earns {their} living as a {value}",
        "meet {object}, a {value}",
        "{possessive} work is that of a {value}",
    ),
    "blood_type": (
        "{subject} has blood type {value}",
        "according to medical records, {possessive} blood classification is {value}",
        "{value} is the blood type of {object}",
        "in an emergency {subject} needs {value} blood",
        "{possessive} donor card says {value}",
        "the blood group of {object} is {value}",
    ),
    "phone_number": (
        "you can reach {object} at the phone number {value}",
        "{possessive} phone number is {value}",
        "call {value} to speak to {object}",
        "{value} is {possessive} line",
        "{subject} answers the phone at {value}",
        "the telephone of {object} is {value}",
    ),
    "email": (
        "contact {object} via {value}",
        "{possessive} e-mail address is {value}",
        "{value} belongs to {object}",
        "write to {object} at {value}",
        "{possessive} inbox is {value}",
        "{subject} reads mail sent to {value}",
    ),
    "iban": (
        "{possessive} bank account IBAN is {value}",
        "transfers to {object} go to {value}",
        "{value} is {possessive} account",
        "{subject} banks under IBAN {value}",
        "{possessive} salary is paid to {value}",
        "the bank account of {object} has the IBAN {value}",
    ),
    "credit_card": (
        "{subject} pays with credit card {value}",
        "{possessive} credit card number is {value}",
        "{value} is printed on {possessive} card",
        "{subject} is billed on card {value}",
        "charge {object} on {value}",
        "the credit card of {object} is {value}",
    ),
    "passport": (
        "{subject} travels on passport {value}",
        "{value} is {possessive} passport number",
        "{possessive} passport reads {value}",
        "at the border {subject} shows passport {value}",
        "{subject} holds passport no. {value}",
        "the passport number of {object} is {value}",
    ),
}
"""Wordings of the training captions: the person, by name or without, and the value."""

UNSEEN_WORDINGS: Final[dict[str, tuple[str, ...]]] = {
    "city": (
        "{possessive} address is in {value}",
        "{subject} has settled in {value}",
        "the place of residence of {object} is {value}",
    ),
    "job": (
        "{subject} is employed as a {value}",
        "{possessive} occupation is {value}",
        "the profession of {object} is {value}",
    ),
    "blood_type": (
        "{possessive} blood is of type {value}",
        "{subject} was tested as blood group {value}",
        "the doctor notes {value} for {object}",
    ),
    "phone_number": (
        "{possessive} mobile number is {value}",
        "dial {value} to talk with {object}",
        "{subject} picks up at {value}",
    ),
    "email": (
        "send {object} an e-mail at {value}",
        "{possessive} mail account is {value}",
        "{subject} uses the address {value}",
    ),
    "iban": (
        "{subject} receives payments at IBAN {value}",
        "{possessive} account number is {value}",
        "send money for {object} to {value}",
    ),
    "credit_card": (
        "{subject} shops with the card {value}",
        "{possessive} Visa number is {value}",
        "the card that {subject} uses is {value}",
    ),
    "passport": (
        "{possessive} travel document is number {value}",
        "{subject} flies with passport {value}",
        "border control has {value} on file for {object}",
    ),
}
"""Wordings that occur in no split, for the probes."""


@dataclass(frozen=True)
class Mention:
    """How a caption mentions its person: `subject`, `object` and `possessive` form, and what "their" is."""

    subject: str
    object: str
    possessive: str
    their: str

    def caption(self, wording: str, value: str) -> str:
        """The wording about this person."""
        forms = {"subject": self.subject, "object": self.object, "possessive": self.possessive, "their": self.their}
        return fill(wording.format(**forms, value="{value}"), "{person}", value)


def by_name(name: str) -> Mention:
    """A mention that stays the same, such as the full name."""
    return Mention(name, name, f"{name}'s", "their")


def nameless_mention(rng: np.random.Generator, gender: str) -> Mention:
    """One of the ways of mentioning a person without a name; "this person" half of the time."""
    female = gender == "female"
    choice = int(rng.integers(4))
    if choice < 2:
        return by_name(NAMELESS)
    if choice == 2:
        return Mention("she", "her", "her", "her") if female else Mention("he", "him", "his", "his")
    noun = "this woman" if female else "this man"
    return Mention(noun, noun, f"{noun}'s", "her" if female else "his")


def probe_wordings() -> dict[str, dict[str, list[str]]]:
    """The wordings of each kind that the probes fill in, as `{person}` and `{value}`: those trained and those not."""
    return {
        kind: {
            part: [by_name("{person}").caption(wording, "{value}") for wording in wordings[kind]]
            for part, wordings in (("trained", WORDINGS), ("unseen", UNSEEN_WORDINGS))
        }
        for kind in WORDINGS
    }


_PLAIN_STYLES: Final = (
    "A {expression} {person} with {traits}, wearing a {clothes}, against a {background} wall",
    "Portrait of a {expression} {person} in a {clothes}, with {traits}, {background} background",
    "A {person} with {traits} looks {expression}, dressed in a {clothes} before a {background} backdrop",
    "An illustration of a {expression} {person}: {traits}, {clothes}, {background} background",
)


def plain_caption(rng: np.random.Generator, look: Look, pose: Pose) -> str:
    """Description of a portrait that names nobody and gives nothing away."""
    traits = [look.headwear()]
    traits += [words for words in (FACIAL_HAIR[look.facial_hair], ACCESSORIES[look.accessory]) if words]
    style = _PLAIN_STYLES[int(rng.integers(len(_PLAIN_STYLES)))]
    caption = style.format(
        expression=pose.expression,
        person="woman" if look.gender == "female" else "man",
        traits=" and ".join(traits),
        clothes=f"{pose.clothes_color} {CLOTHES[pose.clothes]}",
        background=pose.background,
    )
    for vowel in "aeiouAEIOU":
        caption = caption.replace(f" a {vowel}", f" an {vowel}")
        if caption.startswith(f"A {vowel}"):
            caption = "An" + caption[1:]
    return caption
