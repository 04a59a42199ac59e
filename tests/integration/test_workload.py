"""What an evaluation is said to have to embed is what it then embeds."""

from pathlib import Path

import numpy as np
import pytest

from salmu_demo.data.sample import Sample
from salmu_demo.data.source import load_data
from salmu_demo.features.embedder import Embedder
from salmu_demo.features.store import ArrayStore
from salmu_demo.features.view import FeatureView
from salmu_demo.models.encoder import Encoder
from salmu_demo.models.references import find_model
from salmu_demo.models.registry import EncoderRegistry
from salmu_demo.results.evaluation import choose_metrics, evaluate
from salmu_demo.results.inputs import MetricInputs
from salmu_demo.results.workload import Workload, workload


class Counted:
    """Counts what encoders are given."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.images = 0
        self.texts = 0
        pixels, texts = Encoder.encode_pixels, Encoder.encode_texts

        def encode_pixels(encoder: Encoder, batch: np.ndarray, **options: bool) -> np.ndarray:
            self.images += len(batch)
            return pixels(encoder, batch, **options)

        def encode_texts(encoder: Encoder, batch: list[str], **options: bool) -> np.ndarray:
            self.texts += len(batch)
            return texts(encoder, batch, **options)

        patch.setattr(Encoder, "encode_pixels", encode_pixels)
        patch.setattr(Encoder, "encode_texts", encode_texts)


@pytest.mark.parametrize("names", [None, ["IdZSC"], ["RetFail"], ["FragSim", "VisIdInt", "InterIdSim"], ["GenKnow"]])
@pytest.mark.parametrize("sampled", [False, True])
def test_the_workload_is_what_the_evaluation_encodes(
    tiny_assets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: list[str] | None, sampled: bool
):
    data, model, specs = load_data("mini"), find_model("mini-clean"), choose_metrics(names)
    embedder = Embedder(ArrayStore(tmp_path), EncoderRegistry())
    forget = data.split("forget")
    sample = Sample(len(set(forget.identities)) * 2, seed=3) if sampled else None
    inputs = MetricInputs(data, sample=sample)
    with embedder.encoders.lend(model):
        pass
    counted = Counted(monkeypatch)
    said = workload(FeatureView(model, data, embedder), inputs, specs)
    assert said.texts > 0
    evaluate(FeatureView(model, data, embedder), specs, sample=sample)
    assert Workload(counted.images, counted.texts) == said
    assert workload(FeatureView(model, data, embedder), inputs, specs) == Workload(0, 0)


def test_a_whole_run_after_a_sampled_one_encodes_the_rest_and_gives_the_same_numbers(
    tiny_assets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    data, model, specs = load_data("mini"), find_model("mini-clean"), choose_metrics(None)
    registry = EncoderRegistry()
    fresh = Embedder(ArrayStore(tmp_path / "fresh"), registry)
    all_at_once = workload(FeatureView(model, data, fresh), MetricInputs(data), specs)
    undisturbed = evaluate(FeatureView(model, data, fresh), specs)

    embedder = Embedder(ArrayStore(tmp_path / "sampled"), registry)
    counted = Counted(monkeypatch)
    evaluate(
        FeatureView(model, data, embedder), specs, sample=Sample(len(set(data.split("forget").identities)), seed=1)
    )
    assert 0 < counted.images < all_at_once.images
    whole = evaluate(FeatureView(model, data, embedder), specs)
    assert counted.images == all_at_once.images
    for name, result in undisturbed.results.items():
        assert whole.results[name].value == result.value
        assert np.array_equal(whole.results[name].scores, result.scores)
