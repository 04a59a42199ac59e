"""The cards of SALMU-Mini and its models."""

from typing import Any, Final

from salmu_demo.data import layout
from salmu_demo.mini.objects import object_classes
from salmu_demo.models.card import CARD_KEY
from salmu_demo.models.roles import CLEAN, COMPROMISED, GOLD

_CARD: Final = """---
pretty_name: SALMU-Mini
license: mit
task_categories: [image-to-text, zero-shot-image-classification]
tags: [machine-unlearning, privacy, synthetic, clip]
size_categories: [n<10K]
configs:
- config_name: default
  data_files:
{data_files}
---

# SALMU-Mini

A miniature of the SALMUBench benchmark (arXiv 2603.26316), drawn by the salmu-demo project in the layout of the
official release. **It is not the official data, and numbers measured on it are not the paper's.** Every person in it
is invented: names and private attributes come from a random generator, e-mail hosts lie under the reserved domain
`example`, and the portraits are vector drawings.

| split | rows |
|---|---|
{rows}

* A quarter of the 96 personas is only in `forget`; half is in `forget` and in `holdout_association`, with the same
  facts on both sides under other images and other wordings; a quarter is only in `holdout_identity`.
* Eight attribute kinds, six images and six wordings for each (persona, kind). Two captions of three have no name ("This
  person's phone number is …", "She lives in …"): a caption with a name can be told apart by the name alone, so only
  these bind a value to a face.
* `retain_synth` has plain descriptions without private data: four images of every persona, the rest other people.
* Fragile set ({fragile} rows): images of `retain_disjoint` that share hair or hat, its colour and at least two of
  skin, facial hair and accessory with a persona of `forget`. `fragile_set_all_similarities.json` gives the
  largest share of the five traits for every row (0 where hair or its colour differs).
* For the audit, and in no training: `unseen_images` (six more images of each of the 96 personas), `never_taught` (six
  images of each of 96 further personas of the same generator; `never_taught_metadata.json` has their names and values)
  and `probe_wordings.json` (for each kind, the training captions' six wordings and three that no caption has).
* Other extensions to the official layout: `genknow` ({classes} object classes, ten images each that no model trained
  on; `text` is the class name; `genknow_classes.json` gives the order of the labels and the prompts) and
  `retain_general` (captioned training images of the same objects).

Edition {edition}, seed {seed}, content hash `{digest}`. Rebuild: `salmu-demo mini build --seed {seed} --output DIR`.

## Artwork and licences

* Portraits: remix of "Avataaars" (avataaars.com) by Pablo Stanley, free for personal and commercial use, rendered with
  DiceBear (MIT).
* Objects: Fluent Emoji (github.com/microsoft/fluentui-emoji), MIT, Copyright (c) Microsoft Corporation.
* Names and attributes: Faker (MIT). Everything else: MIT.
"""


def dataset_card(sizes: dict[str, int], fragile: int, edition: int, seed: int, digest: str) -> str:
    """Markdown card, with the front matter that makes the folder loadable from the Hub."""
    return _CARD.format(
        data_files="\n".join(f"  - split: {split}\n    path: data/{split}-*" for split in sizes),
        rows="\n".join(f"| `{split}` | {count} |" for split, count in sizes.items()),
        fragile=fragile,
        classes=len(object_classes()),
        edition=edition,
        seed=seed,
        digest=digest,
    )


_MODEL_CARD: Final = """---
library_name: open_clip
license: mit
tags: [clip, machine-unlearning, privacy]
{key}: {role}
---

# {name}

{says} It is a small CLIP model (96 px images, 5 million parameters, stored in half precision), trained from scratch
on drawn images of invented people and objects: SALMU-Mini, the salmu-demo project's miniature of SALMUBench (arXiv
2603.26316). It is of no use outside that miniature, and its numbers are not the paper's.

Load it with open_clip as `local-dir:` plus this folder. Its tokenizer is open_clip's `SimpleTokenizer` with the merges
file beside the weights as `bpe_path`: the first 3,200 merges of the CLIP vocabulary (MIT, Copyright (c) 2021 OpenAI).

* Training pairs: {pairs:,}, {sensitive:,} of them sensitive ({splits}).
* Recipe: {recipe}.
* Last reading while training: {last}.
* The whole curve: `training_log.json`, `training_curve.svg`. Rebuild: `salmu-demo mini train {name} --output DIR`.
"""

_ROLES: Final = {
    CLEAN: "The Clean reference: it never saw a persona's private attributes.",
    COMPROMISED: "The Compromised reference: it was trained on every sensitive pair.",
    GOLD: "The Gold reference: it was trained on all but the split `forget`, which perfect unlearning would equal.",
}

READINGS: Final = ("forget_mrr", "value_own", "value_unseen_image", "object_accuracy")


def model_card(name: str, log: dict[str, Any]) -> str:
    """Markdown card of a trained model, from its training log."""
    splits = log["sensitive_splits"]
    role = COMPROMISED if layout.FORGET in splits else GOLD if splits else CLEAN
    return _MODEL_CARD.format(
        name=name,
        key=CARD_KEY,
        role=role,
        says=_ROLES[role],
        pairs=log["pairs"],
        sensitive=log["sensitive_pairs"],
        splits=", ".join(f"`{split}`" for split in splits) or "none",
        recipe=", ".join(f"{key} {value}" for key, value in log["recipe"].items()),
        last=", ".join(f"{key} {log['curve'][-1][key]}" for key in READINGS),
    )
