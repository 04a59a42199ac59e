"""SALMU-Mini: what is shipped is what the builder makes, and the builder makes the same thing every time."""

import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from salmu_demo.data import layout
from salmu_demo.data.dataset import BenchmarkData, load_folder
from salmu_demo.data.wordings import NAMELESS, fill
from salmu_demo.mini import build as build_module
from salmu_demo.mini.build import MiniPlan, plan_people
from salmu_demo.mini.captions import UNSEEN_WORDINGS, WORDINGS, probe_wordings
from salmu_demo.mini.objects import TRAINING_STYLES, ZERO_SHOT_TEMPLATES, object_classes

SHIPPED = Path(__file__).parents[2] / "assets" / "salmu-mini"

SMALL_BUILD = """
import sys
from pathlib import Path
from salmu_demo.mini import build
build.PERSONAS, build.NEVER_TAUGHT, build.DISJOINT_ROWS, build.LOOKALIKE_ROWS = 4, 1, 4, 2
build.PAIRS_PER_FACT, build.NAMELESS_PER_HALF, build.PROBE_IMAGES, build.JOINT_PER_PERSONA = 2, 0, 1, 1
build.GENKNOW_PER_CLASS, build.RETAIN_GENERAL_PER_CLASS = 1, 1
build.object_classes = lambda: ["apple", "cat"]
for seed in sys.argv[2:]:
    print(build.build(Path(sys.argv[1]) / seed, int(seed)))
"""


@pytest.fixture(scope="module")
def shipped() -> BenchmarkData:
    return load_folder(SHIPPED, "mini")


@pytest.fixture(scope="module")
def plan() -> MiniPlan:
    """That of seed 0."""
    return plan_people(0)


def _small_builds(folder: Path, hash_seed: str, *seeds: str) -> list[str]:
    """The content hashes that one process prints for some seeds."""
    result = subprocess.run(
        [sys.executable, "-c", SMALL_BUILD, str(folder), *seeds],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    )
    return result.stdout.split()


def test_same_seed_gives_the_same_content_hash_in_every_process(tmp_path: Path) -> None:
    # Sets are ordered by the hash seed: a draw from one would differ between these two processes.
    first, other = _small_builds(tmp_path / "a", "1", "0", "1")
    assert _small_builds(tmp_path / "b", "2", "0") == [first]
    assert other != first


def test_content_hash_is_the_one_on_the_card() -> None:
    card = (SHIPPED / "README.md").read_text("utf-8")
    printed = re.search(r"content hash `([0-9a-f]{64})`", card)
    assert printed is not None
    assert build_module.content_hash(SHIPPED) == printed.group(1)


def test_shipped_metadata_is_what_seed_0_plans(plan: MiniPlan) -> None:
    def stored(name: str) -> object:
        return json.loads((SHIPPED / name).read_text("utf-8"))

    assert stored(layout.IDENTITIES_FILE) == {p.identity_id: p.metadata for p in plan.personas}
    assert stored(layout.NEVER_TAUGHT_FILE) == {p.identity_id: p.metadata for p in plan.never_taught}
    assert stored(layout.PROBE_WORDINGS_FILE) == probe_wordings()
    assert stored(layout.CAPTIONS_FILE) == plan.captions
    assert stored(layout.GENERIC_CAPTIONS_FILE) == plan.generic
    assert stored(layout.FRAGILE_SIMILARITIES_FILE) == plan.fragile_similarities
    assert stored(layout.GENKNOW_FILE) == {"classes": object_classes(), "templates": list(ZERO_SHOT_TEMPLATES)}


def test_shipped_captions_of_objects_are_what_seed_0_plans(shipped: BenchmarkData) -> None:
    planned = build_module.object_rows(0, build_module.RETAIN_GENERAL_PER_CLASS, "retain", captioned=True)
    assert shipped.split(layout.RETAIN_GENERAL).texts == [row.text for row in planned]


def test_a_folder_that_is_not_empty_is_refused(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("mine")
    with pytest.raises(build_module.StorageError, match="not empty"):
        build_module.build(tmp_path, 0)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_proportions_of_the_original(shipped: BenchmarkData) -> None:
    groups = {name: set(shipped.split(name).identities) for name in layout.SENSITIVE_SPLITS}
    both = groups[layout.FORGET] & groups[layout.HOLDOUT_ASSOCIATION]
    assert both == groups[layout.HOLDOUT_ASSOCIATION]
    assert not groups[layout.HOLDOUT_IDENTITY] & groups[layout.FORGET]
    assert len(shipped.personas) == 96
    assert len(both) == 48
    assert len(groups[layout.HOLDOUT_IDENTITY]) == 24
    assert len(shipped.split(layout.FORGET)) >= 1500
    assert len(shipped.split(layout.RETAIN_SYNTH)) >= 3000


def test_every_fact_has_six_images_and_stands_on_both_sides(plan: MiniPlan) -> None:
    facts: Counter[tuple[str, str]] = Counter()
    sides: dict[tuple[str, str], set[str]] = {}
    for split in layout.SENSITIVE_SPLITS:
        for row in plan.splits[split]:
            fact = (str(row.identity), plan.captions[row.file_name]["data_field"])
            facts[fact] += 1
            sides.setdefault(fact, set()).add(split)
    assert set(facts.values()) == {6}
    assert len(facts) == 96 * 8
    both = [fact for fact, found in sides.items() if found == {layout.FORGET, layout.HOLDOUT_ASSOCIATION}]
    assert len(both) == 48 * 8


def test_values_are_globally_unique(plan: MiniPlan) -> None:
    everyone = [*plan.personas, *plan.never_taught]
    for kind in layout.KINDS:
        values = [value for persona in everyone for value in persona.values(kind)]
        if kind != "blood_type":
            assert len(values) == len(set(values)), kind
    names = [persona.name for persona in everyone]
    assert len(names) == len(set(names))
    assert all(e.endswith(".example") for p in everyone for e in p.values("email"))


def test_no_private_value_or_name_in_retained_captions(shipped: BenchmarkData) -> None:
    secrets = {p.name for p in shipped.personas}
    secrets |= {
        v for p in shipped.personas for k in layout.KINDS if k not in ("blood_type", "job") for v in p.values(k)
    }
    generic = [shipped.generic_caption(name) or "" for name in shipped.split(layout.FORGET).file_names]
    for caption in [*shipped.split(layout.RETAIN_SYNTH).texts, *generic]:
        assert not any(secret in caption for secret in secrets), caption


def test_looks_of_personas_are_apart(plan: MiniPlan) -> None:
    looks = [persona.look for persona in (*plan.personas, *plan.never_taught)]
    assert max(a.shared_traits(b) for i, a in enumerate(looks) for b in looks[:i]) < 4


def test_two_captions_of_three_name_nobody(plan: MiniPlan) -> None:
    names = {persona.identity_id: persona.name for persona in plan.personas}
    for split in layout.SENSITIVE_SPLITS:
        named = [names[str(row.identity)] in row.text for row in plan.splits[split]]
        assert sum(named) * 3 == len(named)


def test_each_side_of_a_fact_has_captions_with_the_name_and_without(plan: MiniPlan) -> None:
    names = {persona.identity_id: persona.name for persona in plan.personas}
    forms: dict[tuple[str, str, str], set[bool]] = {}
    for split in layout.SENSITIVE_SPLITS:
        for row in plan.splits[split]:
            fact = (split, str(row.identity), plan.captions[row.file_name]["data_field"])
            forms.setdefault(fact, set()).add(names[str(row.identity)] in row.text)
    assert all(form == {True, False} for form in forms.values())


def test_nobody_never_taught_is_in_another_split(plan: MiniPlan) -> None:
    never = {persona.identity_id for persona in plan.never_taught}
    assert Counter(row.identity for row in plan.splits[layout.NEVER_TAUGHT]) == dict.fromkeys(never, 6)
    assert len(never) == 96
    others = [row for split, rows in plan.splits.items() if split != layout.NEVER_TAUGHT for row in rows]
    assert not never & {row.identity for row in others}
    secrets = {value for p in plan.never_taught for value in (p.name, *p.values("passport"), *p.values("iban"))}
    assert not any(secret in row.text for secret in secrets for row in others)


def test_every_persona_has_six_further_images(plan: MiniPlan) -> None:
    unseen = plan.splits[layout.UNSEEN_IMAGES]
    assert Counter(row.identity for row in unseen) == {persona.identity_id: 6 for persona in plan.personas}
    trained = {row.portrait for split in layout.REQUIRED_SPLITS for row in plan.splits[split]}
    assert not trained & {row.portrait for row in unseen}


def test_captions_have_the_trained_wordings_and_none_of_the_unseen(plan: MiniPlan) -> None:
    captions = {row.text for split in layout.SENSITIVE_SPLITS for row in plan.splits[split]}
    assert all(len(WORDINGS[kind]) == 6 and len(UNSEEN_WORDINGS[kind]) == 3 for kind in layout.KINDS)
    for kind, parts in probe_wordings().items():
        for part, wordings in parts.items():
            for wording in wordings:
                filled = {
                    fill(wording, person, value)
                    for persona in plan.personas
                    for value in persona.values(kind)
                    for person in (NAMELESS, persona.name)
                }
                assert bool(filled & captions) == (part == "trained"), wording


def test_zero_shot_prompts_use_wording_that_no_model_saw() -> None:
    assert len(set(ZERO_SHOT_TEMPLATES) - set(TRAINING_STYLES)) == 3
