"""`scripts/check-gpu`: what it says without a GPU, and what it compares, with the CPU in a GPU's place."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from salmu_demo.models.encoder import Encoder
from salmu_demo.models.references import find_model
from tests.fixtures.scripts import load_script

PIXELS = np.arange(3 * 32 * 32 * 3, dtype=np.uint32).astype(np.uint8).reshape(3, 32, 32, 3)
TEXTS = ["a cat", "a dog at night", "somebody"]


@pytest.fixture(scope="module")
def script() -> Any:
    return load_script("check-gpu")


def test_a_machine_without_a_gpu_is_told_so(
    script: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("sys.argv", ["check-gpu"])
    with pytest.raises(SystemExit) as ended:
        script.main()
    said = "check-gpu: torch finds no GPU on this machine; everything is computed on the CPU.\n"
    assert (ended.value.code, *capsys.readouterr()) == (2, "", said)


def test_features_are_compared_with_the_cpu(
    script: Any, tiny_assets: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr("salmu_demo.models.half.half_precision", lambda *_: torch.bfloat16)
    model = find_model("mini-clean")
    assert script.compare(Encoder(model), model, PIXELS, TEXTS)
    single, *halves = [line.split(" | ") for line in capsys.readouterr().out.splitlines() if line.startswith("| ")][1:]
    assert single[:3] == ["| float32", "0.0e+00", "0.0e+00"]
    assert [line[0] for line in halves] == ["| bfloat16", "| float16"]
    assert all(1e-5 < float(number) < 0.02 for line in halves for number in line[1:3])
    # Another model in the GPU's place.
    assert not script.compare(Encoder(find_model("mini-compromised")), model, PIXELS, TEXTS)


def test_bits_that_depend_on_the_order_are_noticed(
    script: Any, tiny_assets: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr("salmu_demo.models.half.half_precision", lambda *_: torch.bfloat16)
    model, encoder = find_model("mini-clean"), Encoder(find_model("mini-clean"))
    plain = encoder.encode_pixels
    slope = np.linspace(0, 1e-6, len(PIXELS), dtype=np.float32)[:, None]
    monkeypatch.setattr(encoder, "encode_pixels", lambda pixels: plain(pixels) + slope)
    assert not script.compare(encoder, model, PIXELS, TEXTS)
    assert "In another order the features have OTHER bits." in capsys.readouterr().out


def test_search_says_what_searches_and_that_it_finds_the_best(script: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(script, "ITEMS", 500)
    said = script.search()
    assert said.startswith("Galleries are searched by FAISS on the CPU: 500 items in ")
    assert said.endswith(" ms a query, the ten best as numpy finds.")
