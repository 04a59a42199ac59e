"""Texts beyond the context length: what a model does not read is counted, and every result says so."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from open_clip.tokenizer import HFTokenizer

from salmu_demo.cli.main import run
from salmu_demo.data import layout
from salmu_demo.data.dataset import load_folder
from salmu_demo.features.embedder import Embedder
from salmu_demo.features.view import FeatureView
from salmu_demo.models import tokenizer as tokenizer_module
from salmu_demo.models.references import find_model
from salmu_demo.models.tokenizer import cut_texts, make_tokenizer
from salmu_demo.results.cuts import count_cuts
from salmu_demo.results.document import read_results
from salmu_demo.results.evaluation import choose_metrics, evaluate
from tests.accepted import Case
from tests.accepted.data import BEFORE, CAPTIONS, CASES, captions

SAYS = "mini-clean reads 48 tokens: {} of {} {} are longer and cut off"


@pytest.fixture
def whole(tiny_assets: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_assets / "salmu-mini", tmp_path / "data set"))


@pytest.fixture
def folder(whole: Path) -> Path:
    """The tiny data, whose forget captions differ beyond the context length only."""
    captions(lambda text: BEFORE + text)(whole)
    return whole


def longer(texts: list[str], context: int = 48) -> list[str]:
    """Counted in another way: with room for all tokens."""
    tokens = make_tokenizer(find_model("mini-clean"))(texts, 1000)
    return [text for text, count in zip(texts, (tokens != 0).sum(dim=1).tolist(), strict=True) if count > context]


@pytest.mark.parametrize("case", [case for case in CASES if case.area == CAPTIONS], ids=lambda case: case.id)
def test_captions_that_are_cut_are_said_in_results(case: Case, whole: Path):
    case.make(whole)
    said = evaluate(
        FeatureView(find_model("mini-clean"), load_folder(whole)), choose_metrics(["AssocStr"])
    ).model.remarks
    assert [case.expected in sentence for sentence in said] == ([] if case.outcome == "accepted" else [True])


def test_results_say_how_many_captions_are_cut_and_how_many_read_the_same(folder: Path, tmp_path: Path):
    data, model = load_folder(folder), find_model("mini-clean")
    texts = data.split(layout.FORGET).texts
    said = evaluate(FeatureView(model, data), choose_metrics(["AssocStr", "InterIdSim"])).model.remarks
    assert f"{SAYS.format(len(texts), len(texts), 'captions of forget')} ({len(set(texts))} different ones " \
           "read as 1), so what stands at their end is not measured." in said  # fmt: skip
    over = longer(data.split(layout.HOLDOUT_IDENTITY).texts)
    assert any("captions of holdout_identity" in sentence for sentence in said) == bool(over)
    out = tmp_path / "out"
    assert run(["evaluate", "mini-clean", "--data", str(folder), "--metrics", "AssocStr", "--output", str(out)]) == 0
    (found,) = read_results(out / "results.json")
    assert any("captions of forget" in sentence for sentence in found.model.remarks)
    assert "captions of forget are longer and cut off" in (out / "evaluation_mini-clean.json").read_text("utf-8")


def test_describe_counts_what_a_model_cuts_off_and_the_captions_that_just_fit_are_whole(
    folder: Path, capfd: pytest.CaptureFixture[str]
):
    assert run(["data", "describe", str(folder), "--model", "mini-clean", "--json"]) == 0
    cuts = {cut["texts"]: cut for cut in json.loads(capfd.readouterr().out)["cut"]}
    data = load_folder(folder)
    for name in ("forget", "holdout_association", "holdout_identity", "retain_synth"):
        texts = data.split(name).texts
        assert cuts.get(f"captions of {name}", {"cut": 0})["cut"] == len(longer(texts))
    assert cuts["captions of forget"]["different"] == len(set(data.split("forget").texts))
    assert cuts["captions of forget"]["read"] == 1
    assert run(["data", "describe", str(folder)]) == 0
    assert f"Cut off: {SAYS.format(*[len(data.split('forget'))] * 2, 'captions of forget')}" in capfd.readouterr().out


def test_a_text_of_exactly_the_context_length_is_whole(tiny_assets: Path):
    model, embedder = find_model("mini-clean"), Embedder()
    texts = ["a " * count for count in range(40, 50)]
    assert sorted(embedder.cut_texts(model, texts)) == sorted(longer(texts))
    assert 0 < len(longer(texts)) < len(texts)


def test_texts_that_were_counted_need_no_tokenizer(folder: Path, monkeypatch: pytest.MonkeyPatch):
    view = FeatureView(find_model("mini-clean"), load_folder(folder))
    texts = view.data.split(layout.FORGET).texts
    first = count_cuts(view, {"captions": texts, "others": view.data.split(layout.RETAIN_SYNTH).texts})
    monkeypatch.delattr(tokenizer_module, "make_tokenizer")
    assert count_cuts(view, {"captions": texts[::-1]}) == first[:1]
    assert first[0].cut == len(texts)


def test_a_tokenizer_of_transformers_whose_padding_is_its_end_is_counted_rightly():
    class Words:
        """As T5 does it, of SigLIP: every text ends in 1, and 1 fills the rest."""

        def __call__(self, texts: list[str], max_length: int = 0, **_: Any) -> Any:
            rows = [[*map(int, text.split()), 1] for text in texts]
            if not max_length:
                return SimpleNamespace(input_ids=rows)
            cut = [[*row[:-1][: max_length - 1], 1] for row in rows]
            return SimpleNamespace(input_ids=torch.tensor([row + [1] * (max_length - len(row)) for row in cut]))

    tokenizer = HFTokenizer.__new__(HFTokenizer)
    tokenizer.context_length, tokenizer.tokenizer_mode, tokenizer.strip_sep_token = 4, "", False
    tokenizer.clean_fn, tokenizer.tokenizer = str.strip, Words()
    cut = cut_texts(tokenizer, ["5 6", "5 6 7", " 5 6 7 8", "5 6 7 9"])
    assert list(cut) == [" 5 6 7 8", "5 6 7 9"]
    assert len(set(cut.values())) == 1
