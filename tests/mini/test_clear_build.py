"""CLEAR-Mini: the columns of the release, sentences that fit the images, and the same thing every time."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from salmu_demo.core.errors import DataError, StorageError
from salmu_demo.core.notices import CLEAR_MINI_NOTICE
from salmu_demo.data.clear_rows import CONFIGURATIONS, RETAIN_OF, read_columns
from salmu_demo.data.describe import describe
from salmu_demo.data.shards import Watch
from salmu_demo.data.source import benchmark_of, load_data
from salmu_demo.metrics.clear_protocol import NAME_PROMPT
from salmu_demo.mini.build import NEVER_TAUGHT, PERSONAS
from salmu_demo.mini.clear_build import (
    LEFT_OUT,
    SHARD,
    ClearPlan,
    Sizes,
    build_clear,
    clear_content_hash,
    known_images,
    plan_clear,
    questions_of,
)
from salmu_demo.mini.clear_sentences import CAPTIONS, QUESTIONS
from salmu_demo.mini.personas import draw_personas

SHIPPED = Path(__file__).parents[2] / "assets" / "clear-mini"
SIZES = Sizes(authors=6, images=2, known=4, known_images=1, world=3)
BUILD = """
import sys
from pathlib import Path
from salmu_demo.mini.clear_build import Sizes, build_clear
print(build_clear(Path(sys.argv[1]), 0, sizes=Sizes(6, 2, 4, 1, 3)))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small edition of seed 0."""
    folder = tmp_path_factory.mktemp("clear") / "mini"
    build_clear(folder, 0, sizes=SIZES)
    return folder


@pytest.fixture(scope="module")
def plan() -> ClearPlan:
    """The whole edition of seed 0, without its images."""
    return plan_clear(0)


def rows(folder: Path, configuration: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pq.read_table(folder / configuration / SHARD).to_pylist()
    return found


def test_same_seed_gives_the_same_content_hash_in_every_process(folder: Path, tmp_path: Path) -> None:
    # Sets are ordered by the hash seed: a draw from one would differ between these two processes.
    command = [sys.executable, "-c", BUILD, str(tmp_path / "again")]
    printed = subprocess.run(
        command, env={**os.environ, "PYTHONHASHSEED": "7"}, capture_output=True, text=True, check=True
    ).stdout.strip()
    assert printed == clear_content_hash(folder)
    assert printed in (folder / "README.md").read_text("utf-8")
    pq.write_table(pq.read_table(folder / "forget10" / SHARD).slice(1), tmp_path / "again" / "forget10" / SHARD)
    assert clear_content_hash(tmp_path / "again") != printed


def test_every_configuration_has_the_columns_of_the_release(folder: Path) -> None:
    written = {path.parent.name for path in folder.glob(f"*/{SHARD}")}
    assert written == set(CONFIGURATIONS) - LEFT_OUT
    for name in written:
        assert read_columns(name, [folder / name / SHARD], Watch("CLEAR")).sentence == ""


def test_it_loads_with_everything_that_can_be_chosen(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SALMU_CACHE_DIR", str(tmp_path))
    data = load_data(f"clear:{folder}")
    assert data.remarks == ()
    assert {name: len(data.split(name)) for name in data.stored_splits} == {
        "forget": 2, "holdout_identity": 10, "retain_synth": 4, "forget_perturbed": 2, "retain_perturbed": 2,
        "real_world": 3,
    }  # fmt: skip
    assert data.choices is not None
    counted = {
        (split, asked): {len(row) for row in rows}
        for split, choices in data.choices.items()
        for asked, rows in choices.items()
    }
    of_faces = counted.pop(("retain_synth", "answer"))
    assert 2 <= min(of_faces) <= max(of_faces) <= 4  # as many of four people as are of one gender
    assert counted.pop(("real_world", "answer")) == {4}
    assert set(counted) == {(split, asked) for split in ("forget_perturbed", "retain_perturbed")
                            for asked in ("name", "caption")}  # fmt: skip
    assert list(counted.values()) == [{6}] * 4
    assert data.image("forget", 0).size == (96, 96)


def test_it_has_a_name_of_its_own_and_says_whose_numbers_these_are_not(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SALMU_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("SALMU_ASSETS_DIR", str(tmp_path))
    shutil.copytree(folder, tmp_path / "clear-mini")
    for reference, rows in {"clear-mini": 10, "clear-mini#forget05": 10, "clear-mini#retain90": 10}.items():
        data = load_data(reference)
        assert (data.name, data.benchmark, benchmark_of(reference)) == (reference, "CLEAR", "CLEAR")
        assert len(data.split("holdout_identity")) == rows
        assert CLEAR_MINI_NOTICE in data.remarks
        assert CLEAR_MINI_NOTICE not in describe(data).problems
    with pytest.raises(DataError, match="CLEAR has no configuration 'forget20'"):
        load_data("clear-mini#forget20")


def test_what_is_shipped_is_what_seed_0_plans(plan: ClearPlan) -> None:
    printed = re.search(r"content hash `([0-9a-f]{64})`", (SHIPPED / "README.md").read_text("utf-8"))
    assert printed is not None
    assert clear_content_hash(SHIPPED) == printed.group(1)
    count = plan.forgotten("forget10")
    for name, shots in {"forget10": plan.shots[:count], "retain90": plan.shots[count:]}.items():
        stored = [(row["name"], row["caption"]) for row in rows(SHIPPED, name)]
        assert stored == [(shot.author.name, shot.caption) for of_author in shots for shot in of_author]
    asked = [(row["question"], row["answer"]) for row in rows(SHIPPED, "forget10+tofu") if row["question"]]
    assert asked == [pair for author in plan.authors[:count] for pair in questions_of(author)]


def test_forget_and_retain_share_the_authors_and_questions_have_no_image(folder: Path) -> None:
    everyone = {row["name"] for name in ("forget10", "retain90") for row in rows(folder, name)}
    for forget, retain in RETAIN_OF.items():
        forgotten, kept = ({row["name"] for row in rows(folder, name)} for name in (forget, retain))
        assert forgotten | kept == everyone
        assert not forgotten & kept
    asked = rows(folder, "forget10+tofu")
    assert [row["image"] is None for row in asked] == [False] * 2 + [True] * len(QUESTIONS)
    assert all((row["caption"] is None) == (row["question"] is not None) for row in asked)


def test_the_whole_edition_is_as_large_as_promised_and_forget_sets_hold_one_another(plan: ClearPlan) -> None:
    assert len(plan.authors) == 60
    assert {len(shots) for shots in plan.shots} == {12}
    assert [plan.forgotten(name) for name in RETAIN_OF] == [1, 3, 6]
    assert all(len(questions_of(author)) >= 12 for author in plan.authors)


def test_sentences_name_the_author_and_hard_negatives_differ_in_the_name_alone(plan: ClearPlan) -> None:
    captions = {shot.caption for shots in plan.shots for shot in shots}
    for shots in plan.shots:
        for shot in shots:
            author = shot.author
            for fact in (author.name, author.facts["city"], author.facts["genre"], *shot.scene.words().values()):
                assert fact in shot.caption
                assert fact in shot.paraphrase
            assert shot.paraphrase not in captions
            undone = {text.replace(name, author.name)
                      for text, name in zip(shot.perturbed, author.invented, strict=True)}  # fmt: skip
            assert undone == {shot.paraphrase}
    assert all(author.name in " ".join(pair) for author in plan.authors for pair in questions_of(author))


def test_nobody_is_in_both_miniatures_and_no_invented_name_is_anybodys(plan: ClearPlan) -> None:
    others = draw_personas(np.random.default_rng([0, 1]), PERSONAS + NEVER_TAUGHT)
    people = [*plan.authors, *plan.known]
    names = [person.name for person in (*people, *others)]
    assert len(names) == len(set(names))
    invented = [name for author in plan.authors for name in author.invented]
    assert len(invented) == len(set(invented))
    assert not set(invented) & set(names)
    looks = [person.look for person in people]
    assert max(a.shared_traits(b) for number, a in enumerate(looks) for b in looks[:number]) < 4
    assert max(a.shared_traits(other.look) for a in looks for other in others) < 5
    for fact in ("city", "book", "latest", "award"):
        values = [author.facts[fact] for author in plan.authors]
        assert len(values) == len(set(values)), fact


def test_an_authors_captions_have_three_wordings_at_most(plan: ClearPlan) -> None:
    assert len({style for author in plan.authors for style in author.styles}) == len(CAPTIONS)
    assert all(len(set(author.styles)) == 3 for author in plan.authors)


def test_images_before_are_others_than_those_that_are_asked(plan: ClearPlan) -> None:
    before, asked = (known_images(0, plan.known[:2], 2, prefix) for prefix in ("pre-training", "real faces"))
    assert {image.image.tobytes() for image in before}.isdisjoint(image.image.tobytes() for image in asked)
    assert [image.answer for image in before] == [person.name for person in plan.known[:2] for _ in range(2)]
    assert any(NAME_PROMPT.format(answer=person.name) == image.caption for person in plan.known
               for image in known_images(0, [person], 12, "pre-training"))  # fmt: skip


def test_a_folder_that_is_not_empty_is_refused(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("mine")
    with pytest.raises(StorageError, match="not empty"):
        build_clear(tmp_path, 0, sizes=SIZES)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
