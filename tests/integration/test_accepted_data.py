"""What of data sets is accepted, assumed and refused: the tables of tests/accepted/data.py."""

import math
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from salmu_demo.core.errors import DataError
from salmu_demo.data import imagenet, layout
from salmu_demo.data.dataset import load_folder
from salmu_demo.data.describe import describe
from salmu_demo.data.imagenet import load_imagenet
from salmu_demo.metrics.leakage import generic_captions
from salmu_demo.probes.people import People
from salmu_demo.results.inputs import MetricInputs
from salmu_demo.workbench.bench import Workbench
from tests.accepted import Case
from tests.accepted.data import CAPTIONS, CASES, IMAGENET, identities, metadata, people


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.area not in (IMAGENET, CAPTIONS)], ids=lambda case: case.id
)
def test_a_data_set_is_read_rightly_or_refused(case: Case, tiny_assets: Path, tmp_path: Path):
    folder = Path(shutil.copytree(tiny_assets / "salmu-mini", tmp_path / "data set"))
    plain = load_folder(folder)
    case.make(folder)
    if case.outcome == "refused":
        with pytest.raises(DataError, match=re.escape(case.expected)) as error:
            load_folder(folder)
        assert "\n" not in str(error.value)
        return
    data = load_folder(folder)
    for split in plain.stored_splits:
        assert data.split(split).file_names == plain.split(split).file_names
        assert data.split(split).identities == plain.split(split).identities
    if case.expected is not None:
        assert any(case.expected in said for said in describe(data).problems)


@pytest.mark.parametrize("case", [case for case in CASES if case.area == IMAGENET], ids=lambda case: case.id)
def test_image_folders_and_shards_are_read_rightly_or_refused(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    case.make(tmp_path)
    classes = len([path for path in tmp_path.iterdir() if path.is_dir()])
    monkeypatch.setattr(imagenet, "CLASSES", classes or 3)
    if case.outcome == "refused":
        with pytest.raises(DataError, match=re.escape(case.expected)):
            load_imagenet(tmp_path)
        return
    found = load_imagenet(tmp_path)
    if classes:
        for number, label in enumerate(found.labels):
            assert np.asarray(found.image(number))[0, 0, 0] == label * 20
    else:
        assert len(found.names) == 6


@pytest.mark.parametrize("missing", [None, math.nan, "", " ", "None", "nan"])
def test_what_is_missing_is_neither_a_candidate_nor_true(missing: Any, tiny_assets: Path, tmp_path: Path):
    folder = Path(shutil.copytree(tiny_assets / "salmu-mini", tmp_path / "data set"))
    people(city=missing, emails=["zoe@post.example", missing])(folder)
    data = load_folder(folder)
    persona = data.persona("00000001")
    assert persona.values("city") == []
    assert persona.values("email") == ["zoe@post.example"]
    assert People(data).values("city")[0] == ("Brașov", "Dakar", "Malmö", "Łódź", "台北")


def test_values_that_read_the_same_are_one_candidate_and_true_for_all_who_have_them(tiny_assets: Path, tmp_path: Path):
    folder = Path(shutil.copytree(tiny_assets / "salmu-mini", tmp_path / "data set"))
    people(city=" dakar")(folder)
    bench = Workbench(str(folder))
    assert People(bench.data).values("city")[0] == (" dakar", "Brașov", "Malmö", "Łódź", "台北")
    (model,) = bench.models(["mini-clean"])
    for identity in ("00000001", "00000004"):
        (cell,) = [cell for cell in bench.audit(identity, [model]) if cell.kind == "city"]
        assert cell.headline.reading.true_values == (" dakar",)
        assert cell.headline.reading.place.candidates == 5


@pytest.mark.parametrize("missing", [None, math.nan, "", " ", "None", "nan"])
def test_a_kind_or_generic_caption_that_is_missing_is_none(missing: Any, tiny_assets: Path, tmp_path: Path):
    folder = Path(shutil.copytree(tiny_assets / "salmu-mini", tmp_path / "data set"))
    image = load_folder(folder).split("forget").file_names[0]
    metadata(layout.GENERIC_CAPTIONS_FILE, lambda found: {**found, image: missing})(folder)
    metadata(layout.CAPTIONS_FILE, lambda found: {**found, image: {"data_field": missing}})(folder)
    data = load_folder(folder)
    assert (data.kind(image), data.generic_caption(image)) == (None, None)
    assert generic_captions(MetricInputs(data)) is None
    assert set(data.kinds) == set(layout.KINDS)


def test_ids_that_are_floats_in_a_column_with_gaps_are_those_of_the_others(tiny_assets: Path, tmp_path: Path):
    folder = Path(shutil.copytree(tiny_assets / "salmu-mini", tmp_path / "data set"))
    sizes = {name: len(load_folder(folder).split(name)) for name in layout.DERIVED_FROM}
    for split in (*layout.SENSITIVE_SPLITS, layout.RETAIN_SYNTH):
        kind = pa.float64() if split in (layout.HOLDOUT_ASSOCIATION, layout.RETAIN_SYNTH) else pa.int64()
        identities(split, kind, lambda value: None if value is None else int(value))(folder)
    metadata(layout.IDENTITIES_FILE, lambda found: {str(int(key)): entry for key, entry in found.items()})(folder)
    data = load_folder(folder)
    assert {name: len(data.split(name)) for name in layout.DERIVED_FROM} == sizes
    assert [persona.identity_id for persona in data.personas] == [str(number) for number in range(1, 7)]
