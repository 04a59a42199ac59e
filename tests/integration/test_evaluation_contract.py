"""The ten metrics of the whole pipeline against a plain, slow evaluator that shares no code with it.

`PlainEvaluator` reads the files on disk and knows SALMUBench's contract only: open_clip's own transform and
tokenizer, one image and one text at a time, and loops.
"""

import json
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import cache, cached_property
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pyarrow.parquet as pq
import pytest
import torch
from open_clip.tokenizer import SimpleTokenizer
from PIL import Image
from safetensors.torch import load_file, save_file
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from salmu_demo.core.errors import DataError, MetricError
from salmu_demo.data import imagenet
from salmu_demo.data.dataset import BenchmarkData, load_folder
from salmu_demo.data.sample import Sample
from salmu_demo.features.embedder import Embedder
from salmu_demo.features.store import ArrayStore
from salmu_demo.features.view import FeatureView
from salmu_demo.metrics import (
    DECISIONS,
    Metric,
    MetricResult,
    MetricView,
    all_metrics,
    find_metric,
    official_metrics,
)
from salmu_demo.models.encoder import Encoder
from salmu_demo.models.references import find_model
from salmu_demo.models.registry import EncoderRegistry
from salmu_demo.models.source import ModelSource
from salmu_demo.results.evaluation import evaluate
from salmu_demo.results.kept import KeptMetrics, measuring_key
from salmu_demo.results.official import official_result, write_official
from salmu_demo.results.records import Evaluation
from tests.fixtures.random_data import KEYS, write_random_data

NAMES = [
    "RetFail",
    "AssocStr",
    "ACS",
    "IdZSC",
    "CoreAssoc",
    "GenKnow",
    "InterIdSim",
    "IntraIdSim",
    "VisIdInt",
    "FragSim",
    "LeakRate",
]
SPELLINGS = {**KEYS, **{key: key for key in KEYS.values()}}
EQUAL_WITHIN = 1e-6
"""The same text embedded in another batch gives cosines that differ by 1e-7; scores this close count as equal."""


class PlainEvaluator:
    """SALMUBench by the letter of its contract, for one folder of data and one open_clip `local-dir` model."""

    def __init__(self, data: Path, model: Path) -> None:
        self.data = data
        self.model, self.transform = open_clip.create_model_from_pretrained(f"local-dir:{model}")
        self.model.eval()
        config = json.loads((model / "open_clip_config.json").read_text("utf-8"))
        merges = model / "bpe_merges.txt.gz"
        self.tokenizer = SimpleTokenizer(str(merges), context_length=config["model_cfg"]["text_cfg"]["context_length"])
        self.text_feature = cache(self._text_feature)
        self.image_feature = cache(self._image_feature)

    def json(self, name: str) -> Any:
        return json.loads((self.data / name).read_text("utf-8"))

    @cache  # noqa: B019 - lives as long as the module
    def rows(self, split: str) -> list[dict[str, Any]]:
        """Rows of a split or derived split, by the rules of the data set's card."""
        if split == "retain_joint":
            forgotten = {row["identity_id"] for row in self.rows("forget")}
            return [
                r for r in self.rows("retain_synth") if r["identity_id"] is not None and r["identity_id"] in forgotten
            ]
        if split == "retain_disjoint":
            return [row for row in self.rows("retain_synth") if row["identity_id"] is None]
        if split == "fragile_set":
            fragile = self.json("fragile_set_ids.json")
            return [row for row in self.rows("retain_disjoint") if row["file_name"] in fragile]
        if split in ("forget_identity", "forget_association"):
            shared = {row["identity_id"] for row in self.rows("holdout_association")}
            wanted = split == "forget_association"
            return [row for row in self.rows("forget") if (row["identity_id"] in shared) == wanted]
        tables = [pq.read_table(path) for path in sorted((self.data / "data").glob(f"{split}-*.parquet"))]
        return [{**row, "split": split} for table in tables for row in table.to_pylist()]

    def _image_feature(self, content: bytes) -> np.ndarray:
        image = Image.open(BytesIO(content)).convert("RGB")
        with torch.inference_mode():
            feature = self.model.encode_image(self.transform(image)[None])[0]
            return (feature / feature.norm()).numpy().astype(np.float64)

    def _text_feature(self, text: str) -> np.ndarray:
        with torch.inference_mode():
            feature = self.model.encode_text(self.tokenizer([text]))[0]
            return (feature / feature.norm()).numpy().astype(np.float64)

    @cache  # noqa: B019 - lives as long as the module
    def images(self, split: str) -> list[np.ndarray]:
        return [self.image_feature(row["image"]["bytes"]) for row in self.rows(split)]

    @cache  # noqa: B019 - lives as long as the module
    def captions(self, split: str) -> list[np.ndarray]:
        return [self.text_feature(row["text"]) for row in self.rows(split)]

    def cosines(self, split: str) -> list[float]:
        return [float(i @ t) for i, t in zip(self.images(split), self.captions(split), strict=True)]

    @cached_property
    def distractors(self) -> list[str]:
        generator = np.random.RandomState(42)
        drawn: list[str] = []
        for split in ("forget", "retain_disjoint"):
            texts = np.array([row["text"] for row in self.rows(split)])
            drawn += [str(t) for t in (texts if len(texts) < 1000 else generator.choice(texts, 1000, replace=False))]
        return drawn

    @cached_property
    def ranks(self) -> list[float]:
        features = np.stack([self.text_feature(text) for text in self.distractors])
        ranks = []
        for row, image, caption in zip(
            self.rows("forget"), self.images("forget"), self.captions("forget"), strict=True
        ):
            own, rank = float(image @ caption), 1.0
            for text, score in zip(self.distractors, (features @ image).tolist(), strict=True):
                if text == row["text"]:
                    continue
                if abs(score - own) <= EQUAL_WITHIN:
                    rank += 0.5
                elif score > own:
                    rank += 1
            ranks.append(rank)
        return ranks

    def separability(self, taken: list[int]) -> float:
        images, captions = np.stack(self.images("forget"))[taken], np.stack(self.captions("forget"))[taken]
        count = len(taken)
        order = np.random.RandomState(42).permutation(count)
        positive = [images[i] * captions[i] for i in range(count)]
        negative = [images[i] * captions[order[i]] for i in range(count)]
        samples, labels = np.array(positive + negative), np.array([1] * count + [0] * count)
        train, test, train_labels, test_labels = train_test_split(
            samples, labels, test_size=0.5, stratify=labels, random_state=42
        )
        scaler = StandardScaler().fit(train)
        probe = LogisticRegression(C=1.0, max_iter=1000).fit(scaler.transform(train), train_labels)
        guesses = probe.predict(scaler.transform(test))
        return sum(int(g == t) for g, t in zip(guesses, test_labels, strict=True)) / len(test_labels)

    @cached_property
    def named(self) -> list[float]:
        identities = self.json("identities_metadata.json")
        candidates = sorted({row["identity_id"] for row in self.rows("forget_identity")})
        names = {i: self.text_feature(f"a photo of {identities[i]['name']}") for i in candidates}
        named = []
        for row, image in zip(self.rows("forget_identity"), self.images("forget_identity"), strict=True):
            guess = max(candidates, key=lambda i: float(image @ names[i]))
            named.append(float(guess == row["identity_id"]))
        return named

    @cached_property
    def core_scores(self) -> list[float]:
        identities, captions = self.json("identities_metadata.json"), self.json("sensitive_set_captions_metadata.json")
        scores = []
        for row, image in zip(self.rows("forget"), self.images("forget"), strict=True):
            person = identities[row["identity_id"]]
            values = person[SPELLINGS[captions[row["file_name"]]["data_field"]]]
            best = -2.0
            for value in values if isinstance(values, list) else [values]:
                for text in (f"{person['name']} {value}", f"{value} {person['name']}"):
                    best = max(best, float(image @ self.text_feature(text)))
            scores.append(best)
        return scores

    @cached_property
    def leaks(self) -> list[float]:
        generic = self.json("sensitive_set_generic_captions.json")
        leaks = []
        for row, image, own in zip(self.rows("forget"), self.images("forget"), self.cosines("forget"), strict=True):
            lead = own - float(image @ self.text_feature(generic[row["file_name"]]))
            leaks.append(0.5 if abs(lead) <= EQUAL_WITHIN else float(lead > 0))
        return leaks

    def classify(self, images: list[bytes], classes: list[str], templates: list[Any]) -> list[int]:
        weights = open_clip.build_zero_shot_classifier(self.model, self.tokenizer, classes, templates).numpy()
        return [int(np.argmax(self.image_feature(content) @ weights)) for content in images]

    @cached_property
    def recognised(self) -> list[float]:
        if not (self.data / "genknow_classes.json").is_file():
            return []
        content = self.json("genknow_classes.json")
        images = [row["image"]["bytes"] for row in self.rows("genknow")]
        guesses = self.classify(images, content["classes"], content["templates"])
        guessed = [content["classes"][guess] for guess in guesses]
        return [float(name == row["text"]) for name, row in zip(guessed, self.rows("genknow"), strict=True)]

    def value(self, metric: str, taken: list[int] | None = None) -> float | None:
        """A metric on all rows of its split, or on those taken; distractors and candidates stay the same."""
        if metric == "ACS":
            return self.separability(list(range(len(self.rows("forget")))) if taken is None else taken)
        plain: dict[str, Callable[[], list[float]]] = {
            "RetFail": lambda: [1 / rank for rank in self.ranks],
            "AssocStr": lambda: self.cosines("forget"),
            "IdZSC": lambda: self.named,
            "CoreAssoc": lambda: self.core_scores,
            "GenKnow": lambda: self.recognised,
            "InterIdSim": lambda: self.cosines("holdout_identity"),
            "IntraIdSim": lambda: self.cosines("holdout_association"),
            "VisIdInt": lambda: self.cosines("retain_joint"),
            "FragSim": lambda: self.cosines("fragile_set"),
            "LeakRate": lambda: self.leaks,
        }
        scores = plain[metric]()
        chosen = scores if taken is None else [scores[position] for position in taken]
        return sum(chosen) / len(chosen) if scores else None


class CountingRegistry(EncoderRegistry):
    """Counts how often a loaded model is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def lend(self, source: ModelSource) -> AbstractContextManager[Encoder]:
        self.asked += 1
        return super().lend(source)


class Case:
    """One data set, one model, what the program makes of them, and the plain evaluator of the same files."""

    def __init__(self, data: Path, model: ModelSource, cache_folder: Path) -> None:
        self.data: BenchmarkData = load_folder(data)
        self.model = model
        self.embedder = Embedder(ArrayStore(cache_folder), CountingRegistry())
        self.plain = PlainEvaluator(data, model.weights.parent)
        self.evaluation: Evaluation = evaluate(FeatureView(model, self.data, self.embedder))
        self.document = official_result(self.evaluation)


def write_vivid_model(source: Path, folder: Path) -> ModelSource:
    """A copy of a random model with larger weights: its features differ between images and between names.

    A freshly initialised one gives every image nearly the same feature, so that a wrong prompt or a shuffled row
    would go unnoticed.
    """
    shutil.copytree(source, folder)
    tensors = load_file(folder / "open_clip_model.safetensors")
    for name, tensor in tensors.items():
        if name == "token_embedding.weight":
            tensor *= 20
        elif name == "visual.conv1.weight":
            tensor *= 5
        elif "resblocks" in name and tensor.ndim == 2:
            tensor *= 4
    save_file(tensors, folder / "open_clip_model.safetensors", {"format": "pt"})
    return find_model(f"local-dir:{folder}")


@pytest.fixture(scope="module", params=["random", "tiny"])
def case(request: pytest.FixtureRequest, tiny_assets: Path, tmp_path_factory: pytest.TempPathFactory) -> Case:
    """Random data with drawn distractors and without GenKnow; tiny data with few texts and a zero-shot set."""
    folder = tmp_path_factory.mktemp(request.param)
    data = write_random_data(folder / "data") if request.param == "random" else tiny_assets / "salmu-mini"
    model = write_vivid_model(tiny_assets / "models" / "mini-compromised", folder / "vivid")
    return Case(data, model, folder / "cache")


@pytest.mark.parametrize("metric", NAMES)
def test_headline_value_equals_a_plain_recomputation(case: Case, metric: str):
    assert case.evaluation.results[metric].value == pytest.approx(case.plain.value(metric), abs=1e-5)


def test_every_rank_of_retfail_equals_a_plain_recomputation(case: Case):
    result = case.evaluation.results["RetFail"]
    assert result.ranks is not None
    ranks = result.ranks.tolist()
    differences = np.abs(np.array(ranks) - case.plain.ranks)
    # A score almost exactly as far from the own one as the tolerance may fall on either side of it, with all copies of
    # its caption.
    assert differences.max() <= 5
    assert np.count_nonzero(differences) <= 0.005 * len(ranks)
    assert result.r_at_1 == ranks.count(1.0) / len(ranks)
    assert len(set(ranks)) > 10  # else this would compare nothing


def test_the_fixtures_exercise_what_is_compared(case: Case):
    """Without these cases the comparisons above would not cover them."""
    identities = case.plain.json("identities_metadata.json")
    names = [case.plain.text_feature(f"a photo of {person['name']}") for person in identities.values()]
    images = case.plain.images("forget")
    assert len({max(range(len(names)), key=lambda i: float(p @ names[i])) for p in images}) >= len(names) // 3
    texts = [row["text"] for row in case.plain.rows("forget")]
    if len(texts) < 1000:
        return
    assert len(set(texts)) < len(texts)
    assert set(texts) & {row["text"] for row in case.plain.rows("retain_disjoint")}
    assert any(rank % 1 for rank in case.plain.ranks)
    assert len({row["identity_id"] for row in case.plain.rows("retain_synth")} - {None}) > 2
    named = [r for r in case.plain.rows("retain_synth") if r["file_name"] in case.plain.json("fragile_set_ids.json")]
    assert len(named) > len(case.plain.rows("fragile_set"))


def test_scores_of_every_row_equal_a_plain_recomputation(case: Case):
    results = case.evaluation.results
    np.testing.assert_allclose(results["AssocStr"].scores, case.plain.cosines("forget"), atol=1e-5)
    np.testing.assert_allclose(results["CoreAssoc"].scores, case.plain.core_scores, atol=1e-5)


@pytest.mark.parametrize(
    "split", ["retain_joint", "retain_disjoint", "fragile_set", "forget_identity", "forget_association"]
)
def test_derived_split_follows_the_rule_of_the_card(case: Case, split: str):
    found, wanted = case.data.split(split), case.plain.rows(split)
    assert wanted
    assert found.file_names == [row["file_name"] for row in wanted]
    assert found.texts == [row["text"] for row in wanted]
    assert found.identities == [row["identity_id"] for row in wanted]
    images = [case.data.encoded_image(found.stored, int(row)) for row in found.rows]
    assert images == [row["image"]["bytes"] for row in wanted]


def test_a_further_split_with_other_columns_is_left_out(tmp_path: Path):
    data = load_folder(write_random_data(tmp_path / "data"))
    assert "forget_target" not in data.stored_splits
    assert "lacks the column image" in data.unread_splits["forget_target"]


def test_result_has_exactly_the_official_keys(case: Case):
    document = json.loads(json.dumps(case.document))
    rows = len(case.data.split("forget"))
    assert list(document) == ["efficacy", "utility", "salmu_demo"]
    assert {name: set(entry) for name, entry in document["efficacy"].items()} == {
        "1.1_RetFail": {"MRR", "R@1", "outcomes"},
        "1.2_AssocStr": {"mean", "scores"},
        "1.3_ACS": {"acs_accuracy"},
        "1.4_IdZSC": {"identity_classification_accuracy"},
        "1.5_CoreAssoc": {"mean", "scores"},
    }
    assert {name: set(entry) for name, entry in document["utility"].items()} == {
        "2.1_GenKnow": {"ImageNet1k_Accuracy"},
        "2.2_InterIdSim": {"mean"},
        "2.3_IntraIdSim": {"mean"},
        "2.4_VisIdInt": {"mean"},
        "2.5_FragSim": {"mean"},
    }
    lists = [document["efficacy"][name][key] for name, key in
             [("1.1_RetFail", "outcomes"), ("1.2_AssocStr", "scores"), ("1.5_CoreAssoc", "scores")]]  # fmt: skip
    assert [len(values) for values in lists] == [rows] * 3
    assert document["efficacy"]["1.1_RetFail"]["MRR"] == case.evaluation.results["RetFail"].value


def test_result_says_how_it_was_made(case: Case):
    block = case.document["salmu_demo"]
    assert block["schema_version"] == 2
    assert block["seed"] == 42
    assert block["measured_by"] == measuring_key()
    assert block["model"]["reference"] == case.model.reference
    assert block["model"]["name"] == "vivid"
    assert block["model"]["fingerprint"] == case.model.fingerprint
    assert block["model"]["parameters"] == sum(p.numel() for p in case.plain.model.parameters())
    assert block["data"]["fingerprint"] == case.data.fingerprint
    assert set(block["seconds"]) == {metric.name for metric in all_metrics()}
    assert [row["topic"] for row in block["decisions"]] == [decision.topic for decision in DECISIONS]
    assert {"salmu-demo", "torch", "numpy", "open_clip_torch", "scikit-learn"} <= set(block["versions"])
    is_mini = (case.data.root / "README.md").is_file()
    assert bool(block["data"]["notice"]) == is_mini
    assert (block["genknow_measured_on"] is None) == case.evaluation.results["GenKnow"].skipped


def test_the_leakage_rate_is_no_official_metric_and_is_left_out_without_generic_captions(case: Case, tmp_path: Path):
    assert 0 < case.evaluation.results["LeakRate"].value < 1  # else the comparison above would compare nothing
    assert not any("LeakRate" in name for pillar in ("efficacy", "utility") for name in case.document[pillar])
    assert case.document["salmu_demo"]["leakage_rate"] == case.evaluation.value("LeakRate")
    folder = tmp_path / "data"
    shutil.copytree(case.data.root, folder)
    generic = folder / "sensitive_set_generic_captions.json"
    captions = json.loads(generic.read_text("utf-8"))
    generic.write_text(json.dumps(dict(list(captions.items())[1:])))
    evaluation = evaluate(FeatureView(case.model, load_folder(folder), case.embedder), [find_metric("LeakRate")])
    assert evaluation.value("LeakRate") is None


def test_the_mean_of_the_scores_is_the_value(case: Case):
    for name, result in case.evaluation.results.items():
        if not result.skipped:
            assert result.scores is not None
            assert result.value == pytest.approx(float(result.scores.mean()), abs=1e-12), name


def test_scores_know_the_rows_they_belong_to(case: Case):
    assert case.evaluation.identities("AssocStr") == [row["identity_id"] for row in case.plain.rows("forget")]
    result = case.evaluation.results["ACS"]
    assert result.rows is not None
    assert result.scores is not None
    assert len(result.rows) == len(result.scores) == len(case.plain.rows("forget"))


def test_genknow_without_a_zero_shot_set_is_no_value_and_minus_one_in_the_official_file(case: Case):
    value = case.evaluation.value("GenKnow")
    has_set = (case.data.root / "genknow_classes.json").is_file()
    # Skipped is not a value: comparisons must not show a gap to it.
    assert (value is None) != has_set
    assert case.document["utility"]["2.1_GenKnow"] == {"ImageNet1k_Accuracy": value if has_set else -1.0}


@pytest.mark.parametrize(
    ("reference", "slug"),
    [
        ("mini-clean", "mini-clean"),
        ("hf-hub:cvc-mmu/clip-vit-b-16-salmu-clean", "hf-hub_cvc-mmu_clip-vit-b-16-salmu-clean"),
        ("local-dir:/runs/finetune", "local-dir__runs_finetune"),
        ("/runs/weights.safetensors", "_runs_weights"),
        ("runs/step-1.5", "runs_step-1"),
    ],
)
def test_file_name_follows_the_official_slug_rule(case: Case, tmp_path: Path, reference: str, slug: str):
    evaluation = replace(case.evaluation, model=replace(case.evaluation.model, reference=reference))
    path = write_official(evaluation, tmp_path / "new" / "folder")
    assert path == tmp_path / "new" / "folder" / f"evaluation_{slug}.json"
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    assert json.loads(path.read_text("utf-8"))["efficacy"] == case.document["efficacy"]


def test_a_second_run_computes_nothing_anew(case: Case):
    registry = case.embedder.encoders
    assert isinstance(registry, CountingRegistry)
    assert registry.asked > 0
    registry.asked = 0
    again = evaluate(FeatureView(case.model, case.data, case.embedder))
    assert registry.asked == 0
    assert {name: r.value for name, r in again.results.items()} == {
        n: r.value for n, r in case.evaluation.results.items()
    }


def test_two_runs_are_identical_to_the_last_bit(case: Case, tmp_path: Path):
    view = FeatureView(case.model, load_folder(case.data.root), Embedder(ArrayStore(tmp_path)))
    document = official_result(evaluate(view, official_metrics()))
    assert document["efficacy"] == case.document["efficacy"]
    assert document["utility"] == case.document["utility"]


def test_equal_checkpoints_in_other_folders_give_equal_numbers(case: Case, tmp_path: Path):
    shutil.copytree(case.model.weights.parent, tmp_path / "another-name")
    copy = find_model(f"local-dir:{tmp_path / 'another-name'}")
    view = FeatureView(copy, case.data, Embedder(ArrayStore(tmp_path / "cache")))
    document = official_result(evaluate(view, official_metrics()))
    assert (document["efficacy"], document["utility"]) == (case.document["efficacy"], case.document["utility"])
    # And nothing is computed twice for it: the fingerprint is that of the content, not of the place.
    registry = CountingRegistry()
    evaluate(FeatureView(copy, case.data, Embedder(case.embedder.store, registry)))
    assert registry.asked == 0


def test_other_weights_give_other_numbers(case: Case, tmp_path: Path):
    other = evaluate(
        FeatureView(find_model("mini-clean"), case.data, Embedder(ArrayStore(tmp_path))), [find_metric("AssocStr")]
    )
    assert abs(other.results["AssocStr"].value - case.evaluation.results["AssocStr"].value) > 1e-3


def test_what_was_computed_before_moves_no_metric(case: Case, tmp_path: Path):
    """Probes embed whole splits, metrics parts of them: the same rows in other batches."""
    embedder = Embedder(ArrayStore(tmp_path))
    for name in ("retain_synth", "forget"):
        embedder.images(case.model, case.data, case.data.split(name))
        embedder.captions(case.model, case.data, case.data.split(name))
    names = ("VisIdInt", "FragSim", "IdZSC", "RetFail")
    results = evaluate(FeatureView(case.model, case.data, embedder), [find_metric(name) for name in names]).results
    for name in names:
        assert results[name].value == pytest.approx(case.evaluation.results[name].value, abs=1e-6), name


def test_only_the_chosen_metrics_are_run_in_the_official_order(case: Case):
    specs = [spec for spec in official_metrics() if spec.name in ("FragSim", "AssocStr")]
    document = official_result(evaluate(FeatureView(case.model, case.data, case.embedder), specs))
    assert list(document["efficacy"]) == ["1.2_AssocStr"]
    assert list(document["utility"]) == ["2.5_FragSim"]


@pytest.fixture(scope="module")
def sampled(case: Case) -> tuple[Sample, Evaluation]:
    sample = Sample(len(case.data.split("forget")) * 3 // 5, seed=5)
    return sample, evaluate(FeatureView(case.model, case.data, case.embedder), sample=sample)


@pytest.mark.parametrize("metric", NAMES)
def test_a_sampled_evaluation_equals_a_plain_recomputation_on_the_sampled_rows(
    case: Case, sampled: tuple[Sample, Evaluation], metric: str
):
    sample, evaluation = sampled
    split = evaluation.results[metric].spec.split
    if split == "genknow" and split not in case.data.stored_splits:
        assert evaluation.results[metric].skipped
        return
    taken = set(sample.split(case.data, split).rows.tolist())
    places = [place for place, row in enumerate(case.data.split(split).rows.tolist()) if row in taken]
    assert 0 < len(places) < len(case.plain.rows(split))
    assert evaluation.results[metric].value == pytest.approx(case.plain.value(metric, places), abs=1e-5)
    rows = [case.plain.rows(split)[place] for place in places]
    assert evaluation.rows[split].file_names == [row["file_name"] for row in rows]
    if metric == "RetFail":
        others = [sum(text != row["text"] for text in case.plain.distractors) for row in rows]
        assert evaluation.results[metric].candidates.tolist() == [1 + count for count in others]


def test_a_sample_says_so_and_embeds_nothing_that_the_whole_has(case: Case, sampled: tuple[Sample, Evaluation]):
    sample, evaluation = sampled
    assert evaluation.data.sample == sample.describe(case.data)
    assert evaluation.data.key != case.evaluation.data.key
    registry = CountingRegistry()
    again = evaluate(FeatureView(case.model, case.data, Embedder(case.embedder.store, registry)), sample=sample)
    assert registry.asked == 0
    assert official_result(again)["efficacy"] == official_result(evaluation)["efficacy"]


def test_a_run_that_was_stopped_goes_on_where_it_was_with_the_same_bits(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    measured: list[str] = []
    running: list[str] = []
    for metric in all_metrics():

        def counted(view: MetricView, metric: Metric = metric, compute: Any = metric.compute) -> MetricResult:
            if running:  # A metric that is made of another one.
                return compute(view)
            measured.append(metric.name)
            if measured == NAMES[:5]:
                raise KeyboardInterrupt
            running.append(metric.name)
            try:
                return compute(view)
            finally:
                running.clear()

        monkeypatch.setattr(metric, "compute", counted)
    with pytest.raises(KeyboardInterrupt):
        evaluate(FeatureView(case.model, case.data, case.embedder), kept=KeptMetrics(tmp_path))
    assert measured == NAMES[:5]
    resumed = evaluate(FeatureView(case.model, case.data, case.embedder), kept=KeptMetrics(tmp_path))
    names = [metric.name for metric in all_metrics()]
    assert measured[5:] == [name for name in names[4:] if not case.evaluation.results[name].skipped]
    for name, result in case.evaluation.results.items():
        again = resumed.results[name]
        assert again.value == result.value, name
        for array in ("scores", "rows", "ranks", "candidates"):
            np.testing.assert_array_equal(getattr(again, array), getattr(result, array))
    assert official_result(resumed)["efficacy"] == case.document["efficacy"]


CLASS_NAMES = ["tench", "goldfish", "hen", "ostrich", "kite", "axolotl"]


@pytest.fixture
def imagenet_folder(tmp_path: Path, case: Case, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Six class folders, of which open_clip knows the names for the test, with all its templates.

    Each image lies where the plain evaluator puts it and the accuracy is high, so that a mistake is seen.
    """
    monkeypatch.setattr(imagenet, "CLASSES", len(CLASS_NAMES))
    monkeypatch.setattr(open_clip, "IMAGENET_CLASSNAMES", CLASS_NAMES)
    images = list(dict.fromkeys(row["image"]["bytes"] for row in case.plain.rows("forget")))[:40]
    guesses = case.plain.classify(images, CLASS_NAMES, open_clip.OPENAI_IMAGENET_TEMPLATES)
    for label in reversed(range(len(CLASS_NAMES))):
        folder = tmp_path / "val" / f"n0{label}000000"
        folder.mkdir(parents=True)
        (folder / "notes.txt").write_text("no image")
        (folder / "any.webp").write_bytes(images[label])
    for number, (content, label) in enumerate(zip(images, guesses, strict=True)):
        suffix = ("JPEG", "png", "jpg")[number % 3]
        (tmp_path / "val" / f"n0{label}000000" / f"image_{number}.{suffix}").write_bytes(content)
    (tmp_path / "val" / "readme.txt").write_text("no class")
    # Folders come in any order, by the file system.
    iterdir = Path.iterdir
    monkeypatch.setattr(Path, "iterdir", lambda folder: sorted(iterdir(folder), reverse=True))
    return tmp_path / "val"


def test_genknow_on_an_imagenet_folder_equals_open_clips_classifier(case: Case, imagenet_folder: Path):
    result = evaluate(FeatureView(case.model, case.data, case.embedder), [find_metric("GenKnow")], imagenet_folder)
    images, labels = [], []
    for label, folder in enumerate(sorted(path for path in imagenet_folder.iterdir() if path.is_dir())):
        for path in folder.iterdir():
            if path.suffix != ".txt":
                images.append(path.read_bytes())
                labels.append(label)
    guesses = case.plain.classify(images, CLASS_NAMES, open_clip.OPENAI_IMAGENET_TEMPLATES)
    plain = sum(g == label for g, label in zip(guesses, labels, strict=True)) / len(labels)
    assert plain > 0.8
    assert len(set(guesses)) > 1
    assert result.results["GenKnow"].value == pytest.approx(plain, abs=1e-5)
    assert result.zero_shot == "ImageNet-1k (6 classes, 46 pictures)"


def test_the_names_and_templates_of_imagenet_are_those_of_open_clip():
    assert (len(open_clip.IMAGENET_CLASSNAMES), len(open_clip.OPENAI_IMAGENET_TEMPLATES)) == (imagenet.CLASSES, 80)


def test_an_imagenet_folder_with_missing_classes_is_refused(case: Case, imagenet_folder: Path):
    shutil.rmtree(imagenet_folder / "n05000000")
    with pytest.raises(DataError, match=r"val has 5 class folders; ImageNet-1k needs 6"):
        evaluate(FeatureView(case.model, case.data, case.embedder), [find_metric("GenKnow")], imagenet_folder)


def test_an_empty_derived_split_is_named(case: Case, tmp_path: Path):
    shutil.copytree(case.data.root, tmp_path / "data")
    (tmp_path / "data" / "fragile_set_ids.json").write_text("[]")
    data = load_folder(tmp_path / "data", "odd data")
    with pytest.raises(MetricError, match=r"FragSim cannot be measured: odd data has no rows in fragile_set"):
        evaluate(FeatureView(case.model, data, case.embedder), [find_metric("FragSim")])
