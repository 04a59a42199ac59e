"""Names of the official SALMUBench layout, in one place.

Source: the released data sets `cvc-mmu/salmubench-512-redistributed` and `cvc-mmu/salmu-512-redistributed`
(SALMUBench, arXiv 2603.26316). Everything that reads or writes the layout takes its names from here.
"""

from typing import Final

CLEAR: Final = "clear:"
"""How a reference to a CLEAR data set begins, which is converted to this layout."""

DATA_FOLDER: Final = "data"
"""Folder of the parquet shards, named `<split>-<shard>-of-<shards>.parquet`."""

IMAGE: Final = "image"
TEXT: Final = "text"
IDENTITY: Final = "identity_id"
FILE_NAME: Final = "file_name"
COLUMNS: Final = (IMAGE, TEXT, IDENTITY, FILE_NAME)

FORGET: Final = "forget"
HOLDOUT_ASSOCIATION: Final = "holdout_association"
HOLDOUT_IDENTITY: Final = "holdout_identity"
RETAIN_SYNTH: Final = "retain_synth"
REQUIRED_SPLITS: Final = (FORGET, HOLDOUT_ASSOCIATION, HOLDOUT_IDENTITY, RETAIN_SYNTH)
SENSITIVE_SPLITS: Final = (FORGET, HOLDOUT_ASSOCIATION, HOLDOUT_IDENTITY)

RETAIN_JOINT: Final = "retain_joint"
RETAIN_DISJOINT: Final = "retain_disjoint"
FRAGILE_SET: Final = "fragile_set"
FORGET_IDENTITY: Final = "forget_identity"
FORGET_ASSOCIATION: Final = "forget_association"
DERIVED_FROM: Final[dict[str, tuple[str, ...]]] = {
    RETAIN_JOINT: (RETAIN_SYNTH, FORGET),
    RETAIN_DISJOINT: (RETAIN_SYNTH,),
    FRAGILE_SET: (RETAIN_SYNTH,),
    FORGET_IDENTITY: (FORGET, HOLDOUT_ASSOCIATION),
    FORGET_ASSOCIATION: (FORGET, HOLDOUT_ASSOCIATION),
}
"""Derived split to the stored splits its rule reads, the one its rows come from first."""
DERIVED_SPLITS: Final = tuple(DERIVED_FROM)

IDENTITIES_FILE: Final = "identities_metadata.json"
CAPTIONS_FILE: Final = "sensitive_set_captions_metadata.json"
GENERIC_CAPTIONS_FILE: Final = "sensitive_set_generic_captions.json"
FRAGILE_IDS_FILE: Final = "fragile_set_ids.json"
FRAGILE_SIMILARITIES_FILE: Final = "fragile_set_all_similarities.json"
REQUIRED_FILES: Final = (IDENTITIES_FILE, CAPTIONS_FILE, GENERIC_CAPTIONS_FILE, FRAGILE_IDS_FILE)

# Our extensions, absent from the official data: a zero-shot classification set for GenKnow that travels with the
# splits, and captioned images of its classes, so that unlearning methods have general pairs to keep.
GENKNOW_SPLIT: Final = "genknow"
GENKNOW_FILE: Final = "genknow_classes.json"
RETAIN_GENERAL: Final = "retain_general"

# Our extensions for the audit, which no model trains on: further images of the personas, personas of the same kind who
# are in no training split, with their metadata, and wordings of each kind.
UNSEEN_IMAGES: Final = "unseen_images"
NEVER_TAUGHT: Final = "never_taught"
NEVER_TAUGHT_FILE: Final = "never_taught_metadata.json"
PROBE_WORDINGS_FILE: Final = "probe_wordings.json"

# Our extensions for CLEAR: images whose right answer stands among wrong ones (the splits of names and captions, and
# `retain_synth` for real faces), images with captions and nothing else, and questions with their answers.
CHOICES_FILE: Final = "choices.json"
QUESTIONS_FILE: Final = "questions.json"
FORGET_PERTURBED: Final = "forget_perturbed"
RETAIN_PERTURBED: Final = "retain_perturbed"
REAL_WORLD: Final = "real_world"
CAPTIONED: Final = "captioned"

# Spelling of `data_field` to the key of the persona's metadata. The release's spelling of the last five is not
# published, so singular and plural forms are both accepted; the first of each is what this project writes.
KIND_SPELLINGS: Final[dict[str, tuple[str, ...]]] = {
    "city": ("city", "cities"),
    "job": ("job", "jobs"),
    "blood_type": ("blood_type", "blood_types"),
    "phone_number": ("phone_number", "phone", "phones", "phone_numbers"),
    "email": ("email", "emails"),
    "iban": ("iban", "ibans"),
    "credit_card": ("credit_card", "credit_cards"),
    "passport": ("passport", "passports"),
}
KINDS: Final = tuple(KIND_SPELLINGS)

KIND_TITLES: Final[dict[str, str]] = {
    "city": "City",
    "job": "Job",
    "blood_type": "Blood type",
    "phone_number": "Phone number",
    "email": "E-mail",
    "iban": "IBAN",
    "credit_card": "Credit card",
    "passport": "Passport",
}


def canonical_kind(data_field: str) -> str:
    """The kind's canonical name; an unknown spelling is returned as it is, because unknown kinds are legal.

    >>> canonical_kind("emails"), canonical_kind("shoe_size")
    ('email', 'shoe_size')
    """
    for kind, spellings in KIND_SPELLINGS.items():
        if data_field in spellings:
            return kind
    return data_field


def kind_title(kind: str) -> str:
    """The kind in words.

    >>> kind_title("iban"), kind_title("shoe_size")
    ('IBAN', 'Shoe size')
    """
    return KIND_TITLES.get(kind, kind.replace("_", " ").capitalize())


def shard_name(split: str, shard: int = 0, shards: int = 1) -> str:
    """File name of one parquet shard.

    >>> shard_name("forget")
    'forget-00000-of-00001.parquet'
    """
    return f"{split}-{shard:05d}-of-{shards:05d}.parquet"
