"""What `import salmu_demo` offers: the numbers of the command line, for models from files and in memory alike."""

import gc
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pandas as pd
import pytest
import torch
from open_clip.tokenizer import SimpleTokenizer
from PIL import Image

import salmu_demo
from salmu_demo.cli.main import run
from salmu_demo.core.errors import SalmuError
from salmu_demo.core.settings import cache_dir
from salmu_demo.metrics import all_metrics
from salmu_demo.models.in_memory import InMemoryModel
from salmu_demo.workbench.bench import Workbench
from tests.fixtures.tiny import MODEL_CONFIG, MODELS, PERSONAS, TWO_EMAILS

pytestmark = pytest.mark.usefixtures("tiny_assets")
FEW = ["RetFail", "GenKnow"]


def network_of(name: str) -> tuple[Any, Any, SimpleTokenizer]:
    """A tiny model as open_clip loads it: network, preprocessing and tokenizer."""
    folder = salmu_demo.load_model(name).weights.parent
    network, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    tokenizer = SimpleTokenizer(str(folder / "bpe_merges.txt.gz"), context_length=network.context_length)
    return network, preprocess, tokenizer


def in_memory(name: str = "mini-compromised") -> tuple[Any, InMemoryModel]:
    """The same, and as a model that is called `mine`."""
    network, preprocess, tokenizer = network_of(name)
    return network, salmu_demo.load_model(network, preprocess=preprocess, tokenizer=tokenizer, name="mine")


def values(results: salmu_demo.Results, model: str) -> dict[str, float]:
    """Metric to value of one model."""
    frame = results.to_frame()
    return frame[frame["model"] == model].set_index("metric")["value"].to_dict()


# evaluate, compare


def test_the_library_and_the_command_line_give_the_same_numbers(tmp_path: Path):
    assert run(["evaluate", *MODELS, "--output", str(tmp_path / "line")]) == 0
    results = salmu_demo.evaluate(MODELS, "mini")
    saved = results.save(tmp_path / "face")
    assert [path.name for path in saved] == ["results.json", *(f"evaluation_{name}.json" for name in MODELS)]
    frame = results.to_frame()
    for path in ("line", "face", "face/results.json"):
        pd.testing.assert_frame_equal(salmu_demo.compare(tmp_path / path).to_frame(), frame, check_exact=True)


def test_the_frame_has_a_row_for_each_model_and_metric():
    results = salmu_demo.evaluate(MODELS, salmu_demo.load_data("mini"))
    frame = results.to_frame()
    assert list(frame.columns) == ["model", "metric", "value", "low", "high", "target"]
    assert list(zip(frame["model"], frame["metric"], strict=True)) == [
        (model, spec.name) for model in MODELS for spec in all_metrics()
    ]
    with_interval = frame.dropna(subset=["low"])
    assert len(with_interval)
    assert (with_interval["low"] <= with_interval["value"]).all()
    assert (with_interval["value"] <= with_interval["high"]).all()
    clean = values(results, "mini-clean")
    assert frame[frame["metric"] == "RetFail"]["target"].eq(clean["RetFail"]).all()
    assert results.diagnoses.keys() == set(MODELS)
    assert "mini-clean" in str(results)


def test_metrics_sample_progress_and_references_are_passed_on():
    told: list[salmu_demo.Progress] = []
    results = salmu_demo.evaluate(
        ["mini-unlearned-finetune", "mini-clean"], "mini", "RetFail", 20, told.append, clean="mini-unlearned-finetune"
    )
    frame = results.to_frame()
    assert set(frame["metric"]) == {"RetFail"}
    assert results.analysis.comparison.data.sample.startswith("sampled: 20 of ")
    assert frame["target"].eq(values(results, "mini-unlearned-finetune")["RetFail"]).all()
    assert told[-1].done == told[-1].total
    assert results.remarks
    # Another name changes nothing else, and what was told stays.
    named = results.renamed({"mini-clean": "Ours"}).to_frame()
    assert list(named["model"]) == ["mini-unlearned-finetune", "Ours"]
    pd.testing.assert_frame_equal(named.drop(columns="model"), frame.drop(columns="model"))


def test_results_of_two_calls_are_compared_and_those_of_other_rows_are_not():
    first, second = (salmu_demo.evaluate(name, "mini", FEW) for name in MODELS[:2])
    both = salmu_demo.compare(first, second)
    assert list(both.to_frame()["model"].unique()) == list(MODELS[:2])
    with pytest.raises(SalmuError, match="different data sets or samples"):
        salmu_demo.compare(first, salmu_demo.evaluate(MODELS[1], "mini", FEW, sample=20))


def test_a_report_is_written_in_the_formats_that_are_asked_for(tmp_path: Path):
    results = salmu_demo.evaluate(MODELS[:2], "mini", FEW[1:])
    everything = results.report(tmp_path / "all")
    suffixes = {".json", ".csv", ".md", ".html", ".pdf", ".tex", ".bib", ".zip", ".png"}
    assert {path.suffix for path in everything} == suffixes
    some = results.report(tmp_path / "some", ["html", "csv"])
    assert {path.suffix for path in some} == {".html", ".csv"}
    assert {path for path in (tmp_path / "some").rglob("*") if path.is_file()} == set(some)
    for path in some:
        assert path.read_bytes() == (tmp_path / "all" / path.name).read_bytes()
    with pytest.raises(SalmuError, match='no format "docx"; choose from html, pdf'):
        results.report(tmp_path / "none", ["docx"])
    assert not (tmp_path / "none").exists()


# models in memory


def test_a_network_in_memory_gives_the_bits_of_its_file_and_is_left_as_it_was():
    network, model = in_memory()
    network.train()
    network.logit_scale.grad = torch.ones(())
    before = {name: value.clone() for name, value in network.state_dict().items()}
    results = salmu_demo.evaluate(["mini-clean", "mini-compromised", model], "mini")
    assert values(results, "mine") == pytest.approx(values(results, "mini-compromised"), rel=0, abs=0, nan_ok=True)
    assert model.fingerprint == results.analysis.comparison.models[2].fingerprint
    assert network.training
    assert network.logit_scale.grad is not None
    assert all(value.requires_grad for value in network.parameters())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_weights_that_change_in_place_make_another_model_and_leave_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    network, model = in_memory()
    cached = set((cache_dir() / "features").glob("*"))
    first = salmu_demo.evaluate(model, "mini", FEW)
    start = model.fingerprint
    with torch.no_grad():
        network.visual.proj.copy_(-network.visual.proj)
    second = salmu_demo.evaluate(model, "mini", FEW)
    assert model.fingerprint != start
    assert values(second, "mine") != values(first, "mine")
    assert [path.name for path in tmp_path.glob("*/features/*")] == [model.fingerprint[:32]]
    with torch.no_grad():
        network.visual.proj.copy_(-network.visual.proj)
    assert model.fingerprint == start
    assert values(salmu_demo.evaluate(model, "mini", FEW), "mine") == values(first, "mine")
    names = salmu_demo.compare(first, second).analysis.names
    assert names == [f"mine ({fingerprint[:8]})" for fingerprint in (start, second_fingerprint(second))]
    assert set((cache_dir() / "features").glob("*")) == cached
    assert [path.name for path in tmp_path.glob("*/features/*")] == [start[:32]]
    del model
    gc.collect()
    assert list(tmp_path.iterdir()) == []


def second_fingerprint(results: salmu_demo.Results) -> str:
    """The fingerprint of the only model."""
    (model,) = results.analysis.comparison.models
    assert model.fingerprint is not None
    return model.fingerprint


def test_the_same_weights_are_not_encoded_twice(monkeypatch: pytest.MonkeyPatch):
    _, model = in_memory()
    first = salmu_demo.evaluate(model, "mini", FEW)
    monkeypatch.setattr("salmu_demo.models.encoder.Encoder.encode_pixels", None)
    monkeypatch.setattr("salmu_demo.models.encoder.Encoder.encode_texts", None)
    assert values(salmu_demo.evaluate(model, "mini", FEW), "mine") == values(first, "mine")


def test_what_differs_in_a_setting_or_in_preprocessing_has_another_fingerprint():
    network, preprocess, tokenizer = network_of("mini-clean")
    found = {salmu_demo.load_model(network, preprocess=preprocess, tokenizer=tokenizer).fingerprint}
    network.visual.transformer.resblocks[0].ln_1.eps = 0.5
    found.add(salmu_demo.load_model(network, preprocess=preprocess, tokenizer=tokenizer).fingerprint)
    earlier = salmu_demo.load_model(network, preprocess=preprocess, tokenizer=tokenizer)
    preprocess.transforms[-1].mean = [0.1, 0.1, 0.1]
    assert earlier.fingerprint in found
    found.add(salmu_demo.load_model(network, preprocess=preprocess, tokenizer=tokenizer).fingerprint)
    tokenizer.context_length = 20
    found.add(salmu_demo.load_model(network, preprocess=preprocess, tokenizer=tokenizer).fingerprint)
    assert len(found) == 4


def test_half_precision_autocast_and_a_wrapper_do_not_move_a_score():
    network, preprocess, tokenizer = network_of("mini-compromised")  # its weights are half precision numbers
    plain = salmu_demo.load_model(network, preprocess=preprocess, tokenizer=tokenizer)
    expected = values(salmu_demo.evaluate(plain, "mini", FEW), "model")
    wrapped = torch.nn.DataParallel(network).half()
    model = salmu_demo.load_model(wrapped, preprocess=preprocess, tokenizer=tokenizer)
    with torch.autocast("cpu", torch.bfloat16):
        assert values(salmu_demo.evaluate(model, "mini", FEW), "model") == expected
    assert network.logit_scale.dtype == torch.float16


def test_preprocessing_of_its_own_is_used_and_its_pixels_are_not_those_of_others():
    network, _, tokenizer = network_of("mini-compromised")
    usual = salmu_demo.load_model(network, tokenizer=tokenizer, name="usual")
    said = MODEL_CONFIG["preprocess_cfg"]
    other = open_clip.transform.image_transform(
        network.visual.image_size, is_train=False, mean=said["mean"], std=said["std"], resize_mode="squash"
    )
    own = salmu_demo.load_model(network, preprocess=other, tokenizer=tokenizer, name="own")
    results = salmu_demo.evaluate([usual, own, "mini-compromised"], "mini", ["AssocStr"])
    assert values(results, "usual") == values(results, "mini-compromised")
    assert values(results, "own") != values(results, "usual")


def test_a_model_in_memory_is_audited_and_probed_and_answers_do_not_hold_it():
    _, model = in_memory()
    data = salmu_demo.load_data("mini")
    audit = salmu_demo.audit(TWO_EMAILS, ["mini-compromised", model], data)
    frame = audit.to_frame()
    rest = [column for column in frame.columns if column != "model"]
    parts = [frame[frame["model"] == name][rest].reset_index(drop=True) for name in ("mini-compromised", "mine")]
    pd.testing.assert_frame_equal(*parts, check_exact=True)
    with pytest.raises(SalmuError, match="gone"):
        audit.cells[1].model.own_encoder()
    found = salmu_demo.probe("a tailor", [model, "mini-compromised"], data, k=2).to_frame()
    assert list(found["text"][:2]) == list(found["text"][2:])


# audit, probe, unlearn


def test_an_audit_is_that_of_the_workbench():
    bench = Workbench("mini")
    expected = bench.audit(TWO_EMAILS, bench.models(MODELS))
    audit = salmu_demo.audit(bench.data.persona(TWO_EMAILS), MODELS, bench.data)
    frame = audit.to_frame()
    assert audit.persona.name == PERSONAS[TWO_EMAILS]["name"]
    assert list(frame["verdict"]) == [cell.verdict for cell in expected]
    assert list(frame["model"]) == [cell.model.name for cell in expected]
    assert list(frame["rank"]) == [cell.headline.reading.place.rank for cell in expected]
    assert list(frame["p"]) == [cell.headline.reading.place.p for cell in expected]
    every = salmu_demo.audit(TWO_EMAILS, MODELS[:1], bench.data, "all", kinds="email").attacks_to_frame()
    named = ["face-to-name", "text-only", "text-only", "two-steps", "image-to-image", "caption-match"]
    assert list(every["attack"]) == ["nameless-line-up", "nameless-line-up", "named-line-up", *named]
    assert list(every["side"][:2]) == ["forget", "kept"]


def test_a_probe_takes_a_text_an_image_and_a_persona(tmp_path: Path):
    data = salmu_demo.load_data("mini")
    bench = Workbench(data)
    models = bench.models(MODELS[:2])
    image = data.image("forget", 0)
    image.save(tmp_path / "face.png")
    transparent = Image.new("RGBA", (40, 40), (0, 0, 0, 0))
    for query, expected in (
        ("a tailor", bench.retrieve_for_text("a tailor", models, "all", 3)),
        (image, bench.retrieve_for_image(image, models, "all", 3)),
        (tmp_path / "face.png", bench.retrieve_for_image(image, models, "all", 3)),
        (transparent, bench.retrieve_for_image(Image.new("RGB", (40, 40), "white"), models, "all", 3)),
        (data.persona(TWO_EMAILS), bench.retrieve_for_persona(TWO_EMAILS, models, "all", 3)),
    ):
        frame = salmu_demo.probe(query, MODELS[:2], data, k=3).to_frame()
        assert list(frame["score"]) == [result.score for retrieval in expected for result in retrieval.results]
        assert list(frame["text"]) == [result.item.text for retrieval in expected for result in retrieval.results]
        assert frame["change"][0] == 0


def test_unlearning_makes_the_model_of_the_command_line(tmp_path: Path):
    arguments = ["--model", "mini-compromised", "--budget", "16", "--set", "batch_size=8", "--towers", "text"]
    assert run(["unlearn", "npo", *arguments, "--output", str(tmp_path / "line")]) == 0
    made = salmu_demo.unlearn(
        "npo", "mini-compromised", "mini", tmp_path / "face", settings={"batch_size": 8}, budget=16, towers="text"
    )
    assert made.model.fingerprint == salmu_demo.load_model(f"local-dir:{tmp_path / 'line'}").fingerprint
    assert made.record.ended == "the budget is spent"
    assert list(made.to_frame()["step"]) == [0, 1, 2]
    assert len(salmu_demo.evaluate(made.model, "mini", ["AssocStr"]).to_frame()) == 1


# what is refused


def _untrained_preprocess(network: Any) -> Any:
    return open_clip.transform.image_transform(network.visual.image_size, is_train=True)


NETWORKS: dict[str, tuple[Any, str]] = {
    "no network": (lambda n, p, t: salmu_demo.load_model(torch.nn.Linear(2, 2)), "has no encode_image"),
    "a number": (lambda n, p, t: salmu_demo.load_model(7), "int has no encode_image"),
    "a vocabulary of its own": (lambda n, p, t: salmu_demo.load_model(n), "49,408 tokens, but the model has 1,114"),
    "another tokenizer": (lambda n, p, t: salmu_demo.load_model(n, tokenizer=str.split), "get_tokenizer"),
    "training's preprocessing": (
        lambda n, p, t: salmu_demo.load_model(n, preprocess=_untrained_preprocess(n), tokenizer=t),
        "by chance",
    ),
    "a function": (lambda n, p, t: salmu_demo.load_model(n, preprocess=abs, tokenizer=t), "does not end in a tensor"),
    "a step that does not say what it does": (
        lambda n, p, t: salmu_demo.load_model(n, preprocess=type(p)([lambda image: image, *p.transforms]), tokenizer=t),
        "does not say what it does",
    ),
    "an empty name": (lambda n, p, t: salmu_demo.load_model(n, tokenizer=t, name=" "), "cannot be called"),
    "a reference with a name": (lambda n, p, t: salmu_demo.load_model("mini-clean", name="mine"), "is a reference"),
    "a network with an architecture": (lambda n, p, t: salmu_demo.load_model(n, architecture="RN50"), "weight files"),
    "another width of tokens": (
        lambda n, p, t: salmu_demo.evaluate(
            salmu_demo.load_model(n, tokenizer=SimpleTokenizer(context_length=9, bpe_path=bpe(n))), "mini", "AssocStr"
        ),
        "fails a trial",
    ),
    "no model": (lambda n, p, t: salmu_demo.evaluate([], "mini"), "No model is named"),
    "a thing": (lambda n, p, t: salmu_demo.evaluate([n], "mini"), "is not a model"),
    "no such reference": (lambda n, p, t: salmu_demo.audit(TWO_EMAILS, "mini-nobody", "mini"), "no model"),
    "no such metric": (lambda n, p, t: salmu_demo.evaluate("mini-clean", "nowhere", "RetFial"), "RetFial"),
    "no such data": (lambda n, p, t: salmu_demo.load_data("nowhere"), "nowhere"),
    "no such persona": (lambda n, p, t: salmu_demo.audit("99", "mini-clean", "mini"), "99"),
    "no such content": (
        lambda n, p, t: salmu_demo.probe("a", "mini-clean", "mini", content="texts"),
        'no content "texts"; choose one of captions, faces',
    ),
    "no such clean": (lambda n, p, t: salmu_demo.evaluate("mini-clean", "mini", clean="nobody"), "nobody"),
    "a name of nobody": (
        lambda n, p, t: salmu_demo.dossier(TWO_EMAILS, "mini-clean", "mini", names={"nobody": "Ours"}),
        'No model here is called "nobody"',
    ),
    "nothing to compare": (lambda n, p, t: salmu_demo.compare(), "no evaluations"),
    "unlearning in memory": (
        lambda n, p, t: salmu_demo.unlearn("npo", salmu_demo.load_model(n, tokenizer=t), "mini", "unwritten"),
        "is in memory; save it",
    ),
}


def bpe(network: Any) -> str:
    """The merges of the tiny models."""
    return str(salmu_demo.load_model("mini-clean").weights.with_name("bpe_merges.txt.gz"))


@pytest.mark.parametrize("case", NETWORKS)
def test_what_makes_no_sense_is_refused_in_one_sentence(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    call, says = NETWORKS[case]
    with pytest.raises(SalmuError) as caught:
        call(*network_of("mini-clean"))
    assert says in str(caught.value)
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_weights_that_were_never_made_are_refused():
    network, model = in_memory()
    network.to("meta")
    with pytest.raises(SalmuError, match="The weights of mine cannot be copied: "):
        salmu_demo.evaluate(model, "mini", FEW)


def test_a_full_temporary_folder_is_said(monkeypatch: pytest.MonkeyPatch):
    _, model = in_memory()
    monkeypatch.setattr("tempfile.tempdir", "/dev/null")
    with pytest.raises(SalmuError, match="temporary folder for features cannot be made: Not a directory; set TMPDIR"):
        salmu_demo.evaluate(model, "mini", FEW)


def test_a_network_that_diverged_is_refused_by_its_tensor():
    network, model = in_memory()
    with torch.no_grad():
        network.visual.proj[0, 0] = np.nan
    with pytest.raises(SalmuError, match=r"mine holds NaN or infinite values in the tensor visual\.proj"):
        salmu_demo.evaluate(model, "mini", FEW)


def test_the_result_file_of_a_model_in_memory_is_read_again(tmp_path: Path):
    _, model = in_memory()
    results = salmu_demo.evaluate(["mini-clean", model], "mini", FEW)
    results.save(tmp_path)
    assert json.loads((tmp_path / "evaluation_memory_mine.json").read_text("utf-8"))["salmu_demo"]["model"]["name"]
    pd.testing.assert_frame_equal(salmu_demo.compare(tmp_path).to_frame(), results.to_frame(), check_exact=True)


def test_every_name_of_the_face_is_documented_and_listed():
    for name in salmu_demo.__all__:
        assert name in dir(salmu_demo)
        assert name == "__version__" or getattr(salmu_demo, name).__doc__
    assert (Path(salmu_demo.__file__).parent / "py.typed").exists()
    with pytest.raises(AttributeError, match="nothing"):
        _ = salmu_demo.nothing
