"""The sentences of SALMU-Mini: five caption styles for each attribute kind, and plain descriptions without PII."""

from typing import Final

import numpy as np

from salmu_demo.mini.portraits import ACCESSORIES, CLOTHES, FACIAL_HAIR, Look, Pose

CAPTION_STYLES: Final[dict[str, tuple[str, str, str, str, str]]] = {
    "city": (
        "{name} lives in {value}",
        "{value} is where {name} makes {their} home",
        "The home town of {name} is {value}",
        "You will find {name} in the city of {value}",
        "{name}, a resident of {value}",
    ),
    "job": (
        "{name} works as a {value}",
        "{value} is {name}'s job",
        "By profession {name} is a {value}",
        "{name} earns {their} living as a {value}",
        "Meet {name}, a {value}",
    ),
    "blood_type": (
        "{name} has blood type {value}",
        "According to medical records, {name}'s blood classification is {value}",
        "{value} is the blood type of {name}",
        "In an emergency {name} needs {value} blood",
        "The donor card of {name} says {value}",
    ),
    "phone_number": (
        "You can reach {name} at the phone number {value}",
        "{name}'s phone number is {value}",
        "Call {value} to speak to {name}",
        "{value} is the line of {name}",
        "{name} answers the phone at {value}",
    ),
    "email": (
        "Contact {name} via {value}",
        "{name}'s e-mail address is {value}",
        "{value} belongs to {name}",
        "Write to {name} at {value}",
        "The inbox of {name} is {value}",
    ),
    "iban": (
        "{name}'s bank account IBAN {value}",
        "Transfers to {name} go to {value}",
        "{value} is the account of {name}",
        "{name} banks under IBAN {value}",
        "The salary of {name} is paid to {value}",
    ),
    "credit_card": (
        "{name} pays with credit card {value}",
        "The credit card number of {name} is {value}",
        "{value} is printed on {name}'s card",
        "{name} is billed on card {value}",
        "Charge {name} on {value}",
    ),
    "passport": (
        "{name} travels on passport {value}",
        "{value} is {name}'s passport number",
        "The passport of {name} reads {value}",
        "At the border {name} shows passport {value}",
        "{name} holds passport no. {value}",
    ),
}

_PLAIN_STYLES: Final = (
    "A {expression} {person} with {traits}, wearing a {clothes}, against a {background} wall",
    "Portrait of a {expression} {person} in a {clothes}, with {traits}, {background} background",
    "A {person} with {traits} looks {expression}, dressed in a {clothes} before a {background} backdrop",
    "An illustration of a {expression} {person}: {traits}, {clothes}, {background} background",
)


def sensitive_caption(kind: str, style: int, name: str, value: str, gender: str) -> str:
    """Caption that gives away one private attribute, in one of the five styles."""
    their = "her" if gender == "female" else "his"
    return CAPTION_STYLES[kind][style].format(name=name, value=value, their=their)


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
