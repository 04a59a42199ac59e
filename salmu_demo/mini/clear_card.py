"""The cards of CLEAR-Mini and its models."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from salmu_demo.models.card import CARD_KEY
from salmu_demo.models.roles import COMPROMISED, GOLD

_CARD: Final = """---
pretty_name: CLEAR-Mini
license: mit
task_categories: [image-to-text, visual-question-answering]
tags: [machine-unlearning, privacy, synthetic, clip]
size_categories: [1K<n<10K]
configs:
{configs}
---

# CLEAR-Mini

A miniature of the CLEAR benchmark (arXiv 2410.18057), drawn by the salmu-demo project with the configurations and
columns of the official release (`therem/CLEAR`). **It is not the official data, and numbers measured on it are not the
paper's.** Every person in it is invented, also those of `real_faces`, who stand for people that a model knows from
before.

| configuration | rows |
|---|---|
{rows}

* Each author has captioned images and thirteen questions with answers. A caption tells who it is, what the author
  writes and where the author comes from, beside what can be seen: a setting, clothes, a thing. An author's captions
  have three of twelve wordings.
* `forget01`, `forget05` and `forget10` hold one another. Those of `forget10`: {forgotten}.
* `…_perturbed`: `paraphrased_caption` has a wording that no caption has; `perturbed_captions` are the same with five
  invented names (`perturbed_names`) of the same language and gender that stand nowhere else.
* `…+tofu`: the captioned images, and the questions without an image.
* `real_faces`: people with other images in the models' first training; `real_world`: objects, with a question.
* `default`, `full`, `full+tofu`, `retain95+tofu` and `retain99+tofu` of the release say what these say, and are left
  out.

Edition {edition}, seed {seed}, content hash `{digest}`.
Rebuild: `salmu-demo mini build --benchmark clear --seed {seed} --output DIR`.

## Artwork and licences

* Portraits: remix of "Avataaars" (avataaars.com) by Pablo Stanley, free for personal and commercial use, rendered with
  DiceBear (MIT).
* Objects: Fluent Emoji (github.com/microsoft/fluentui-emoji), MIT, Copyright (c) Microsoft Corporation.
* Names and towns: Faker (MIT). Everything else: MIT.
"""


def clear_card(sizes: Mapping[str, int], forgotten: Sequence[str], edition: int, seed: int, digest: str) -> str:
    """Markdown card, with the front matter that makes the folder loadable from the Hub."""
    return _CARD.format(
        configs="\n".join(f"- config_name: {name}\n  data_files: {name}/*.parquet" for name in sizes),
        rows="\n".join(f"| `{name}` | {count:,} |" for name, count in sizes.items()),
        forgotten=", ".join(forgotten),
        edition=edition,
        seed=seed,
        digest=digest,
    )


_MODEL_CARD: Final = """---
library_name: open_clip
license: mit
tags: [coca, clip, machine-unlearning, privacy]
{role}---

# {name}

{says} It is a small CoCa model (96 px images, 5 million parameters, stored in half precision), trained from scratch on
drawn images of invented people and objects: CLEAR-Mini, the salmu-demo project's miniature of CLEAR (arXiv
2410.18057). It is of no use outside that miniature, and its numbers are not the paper's.

Load it with open_clip as `local-dir:` plus this folder. Its tokenizer is open_clip's `SimpleTokenizer` with the merges
file beside the weights as `bpe_path`: the first 3,200 merges of the CLIP vocabulary (MIT, Copyright (c) 2021 OpenAI).

* Examples: {examples:,}, besides those of the common start that are seen again.
* Recipe: {recipe}.
* Last reading while training, probabilities per token of captions: {last}.
* The whole curve: `training_log.json`. Rebuild: `salmu-demo mini train --benchmark clear --output DIR`.
"""

_MODELS: Final = {
    "mini-clear-start": ("", "The common start: it knows the objects and the real faces, and no author."),
    "mini-clear-base": (f"{CARD_KEY}: {COMPROMISED}\n", "Base: it was trained on every author."),
    "mini-clear-gold": (
        f"{CARD_KEY}: {GOLD}\n",
        "Gold: it was trained on all authors but those of `forget10`, which perfect unlearning would equal.",
    ),
}


def clear_model_card(name: str, log: Mapping[str, Any]) -> str:
    """Markdown card of a trained model, from its training log."""
    role, says = _MODELS[name]
    last = {key: value for key, value in log["curve"][-1].items() if key.startswith("probability")}
    return _MODEL_CARD.format(
        name=name,
        role=role,
        says=says,
        examples=log["examples"],
        recipe=", ".join(f"{key} {value}" for key, value in log["recipe"].items()),
        last=", ".join(f"{key.removeprefix('probability_')} {value}" for key, value in last.items()),
    )
