"""A CoCa model loads by every kind of reference, and writes what one step after another gives."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from torch.nn import functional

import salmu_demo
from salmu_demo.core.errors import ModelError, QueryError
from salmu_demo.features.store import ArrayStore
from salmu_demo.models.captioner import CAPTION_BATCH, Captioner
from salmu_demo.models.encoder import Encoder
from salmu_demo.models.formats import export_model
from salmu_demo.models.made import MADE, MODEL_FOLDER
from salmu_demo.models.references import find_model
from salmu_demo.models.source import MERGES_FILE, ModelSource
from tests.fixtures.hub import run_hub, speak_to
from tests.fixtures.tiny import COCA_CONFIG, IMAGE_SIZE, write_model

TEXTS = ["a portrait of a person", "Zoë lives in Malmö!", "a", "the name is not known to anybody here"]


@pytest.fixture(scope="module")
def coca(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a captioning model whose texts sometimes end."""
    folder = write_model(tmp_path_factory.mktemp("coca") / "writer", COCA_CONFIG)
    weights = folder / "open_clip_model.safetensors"
    tensors = load_file(weights)
    # The column of the end of a text, a little longer than others.
    tensors["text_decoder.text_projection"][:, -1] *= 2.2
    save_file(tensors, weights)
    return folder


@pytest.fixture(scope="module")
def captioner(coca: Path) -> Captioner:
    return Captioner(Encoder(find_model(f"local-dir:{coca}")))


@pytest.fixture(scope="module")
def pixels() -> NDArray[np.uint8]:
    """More than a batch of images."""
    generator = np.random.default_rng(5)
    return generator.integers(0, 255, (CAPTION_BATCH + 9, IMAGE_SIZE, IMAGE_SIZE, 3)).astype(np.uint8)


def next_token(model: Any, image: torch.Tensor, tokens: list[int]) -> int:
    """The likeliest by a forward of everything, where the last of the labels is a stand-in."""
    return int(model(image, torch.tensor([[*tokens, 1]]))["logits"][0, -1].argmax())


@torch.inference_mode()
def slow_caption(captioner: Captioner, pixels: NDArray[np.uint8], beginning: str = "") -> str:
    """One image, one token after another."""
    tokenizer = captioner.encoder.tokenizer
    image = captioner.encoder.inputs(torch.from_numpy(pixels[None].copy()))
    tokens = [tokenizer.sot_token_id, *tokenizer.encode(beginning)]
    begun = len(tokens)
    while len(tokens) < captioner.context:
        following = next_token(captioner.encoder.model, image, tokens)
        if following == tokenizer.eot_token_id:
            break
        tokens.append(following)
    return str(tokenizer.decode(tokens[begun:])).strip()


@torch.inference_mode()
def slow_loss(captioner: Captioner, pixels: NDArray[np.uint8], text: str) -> float:
    """The loss per token as open_clip trains on it: padding is left out."""
    found = captioner.encoder.model(
        captioner.encoder.inputs(torch.from_numpy(pixels[None].copy())), captioner.encoder.tokens([text])
    )
    return float(functional.cross_entropy(found["logits"].transpose(1, 2), found["labels"], ignore_index=0))


def test_greedy_captions_equal_step_by_step_decoding(captioner: Captioner, pixels: NDArray[np.uint8]):
    written = captioner.write(captioner.look(pixels))
    assert written == [slow_caption(captioner, image) for image in pixels]
    lengths = {len(captioner.encoder.tokenizer.encode(text)) for text in written}
    assert len(set(written)) > 5
    assert min(lengths) < captioner.context - 1  # some end, and not all at once
    assert len(lengths) > 1


def test_beginnings_of_any_lengths_are_continued(captioner: Captioner, pixels: NDArray[np.uint8]):
    beginnings = ["the", "", "a", "the name is"]
    written = captioner.write(captioner.look(pixels[:4]), beginnings)
    assert written == [slow_caption(captioner, *pair) for pair in zip(pixels, beginnings, strict=False)]


def test_a_text_that_grows_is_the_one_that_is_read_anew(
    captioner: Captioner, pixels: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
):
    assert captioner.grows
    seen = captioner.look(pixels)
    beginnings = ["the name is"] * len(seen)
    expected = captioner.write(seen, beginnings)
    decoder = captioner.encoder.model.text_decoder
    with monkeypatch.context() as patch:
        patch.setattr(decoder, "forward", None)
        assert captioner.write(seen, beginnings) == expected
    # A decoder that does something else is not taken for open_clip's.
    handle = decoder.register_forward_hook(lambda module, inputs, output: output.flip(2))
    try:
        other = Captioner(captioner.encoder)
        assert not other.grows
        assert (
            other.write(seen, beginnings) == [slow_caption(other, image, beginnings[0]) for image in pixels] != expected
        )
    finally:
        handle.remove()


def test_likelihoods_are_those_that_training_minimises(captioner: Captioner, pixels: NDArray[np.uint8]):
    found = captioner.log_likelihoods(captioner.look(pixels[:4]), TEXTS)
    losses = [slow_loss(captioner, *pair) for pair in zip(pixels, TEXTS, strict=False)]
    assert [-row.mean() for row in found] == pytest.approx(losses, rel=1e-5)
    encode = captioner.encoder.tokenizer.encode
    assert [len(row) for row in found] == [len(encode(text)) + 1 for text in TEXTS]


def test_what_a_text_begins_with_is_given_and_not_counted(captioner: Captioner, pixels: NDArray[np.uint8]):
    seen = captioner.look(pixels[:1])
    [whole] = captioner.log_likelihoods(seen, ["the name is zoe"])
    [rest] = captioner.log_likelihoods(seen, ["zoe"], ["the name is"])
    assert len(rest) < len(whole)
    assert rest.tolist() == pytest.approx(whole[-len(rest) :].tolist(), abs=1e-5)


def test_a_row_has_the_same_bits_in_any_company(captioner: Captioner, pixels: NDArray[np.uint8]):
    seen = captioner.look(pixels)
    texts = [TEXTS[row % len(TEXTS)] for row in range(len(seen))]
    together = captioner.log_likelihoods(seen, texts)
    for row in (0, 5, len(seen) - 1):
        alone = captioner.look(pixels[row : row + 1])
        assert captioner.log_likelihoods(alone, [texts[row]])[0].tolist() == together[row].tolist()
    picked = captioner.log_likelihoods(seen.take([7, 7, 2]), [texts[7], texts[7], texts[2]])
    assert [row.tolist() for row in picked] == [together[row].tolist() for row in (7, 7, 2)]
    quick = captioner.log_likelihoods(captioner.look(pixels[:1], fill=False), texts[:1], fill=False)
    assert quick[0] == pytest.approx(together[0], abs=1e-5)


def test_what_cannot_be_written_or_counted_gets_a_sentence(captioner: Captioner, pixels: NDArray[np.uint8]):
    seen = captioner.look(pixels[:1])
    with pytest.raises(QueryError, match=r"An empty text has no likelihood"):
        captioner.log_likelihoods(seen, [" "])
    long = "one two three " * 9
    with pytest.raises(QueryError, match=r'"one two .*" has \d+ tokens after 0 .* reads 20 tokens, start and end'):
        captioner.log_likelihoods(seen, [long])
    with pytest.raises(QueryError, match=r"leaves no room to go on: .* reads 20 tokens"):
        captioner.write(seen, [long])


def test_an_empty_list_of_images_is_nothing_to_write(captioner: Captioner, pixels: NDArray[np.uint8]):
    none = captioner.look(pixels[:1]).take([])
    assert captioner.write(none) == []
    assert captioner.log_likelihoods(none, []) == []


# Every kind of reference


def captions(source: ModelSource, pixels: NDArray[np.uint8]) -> list[str]:
    captioner = Captioner(Encoder(source))
    assert captioner.context == COCA_CONFIG["model_cfg"]["text_cfg"]["context_length"]
    return captioner.write(captioner.look(pixels[:5]))


def test_every_reference_leads_to_the_same_writer(
    coca: Path, pixels: NDArray[np.uint8], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    wanted = captions(find_model(f"local-dir:{coca}"), pixels)
    monkeypatch.setenv("SALMU_ASSETS_DIR", str(tmp_path / "assets"))
    monkeypatch.setenv("SALMU_RUNS_DIR", str(tmp_path / "runs"))
    shutil.copytree(coca, tmp_path / "assets" / "models" / "writer")
    shutil.copytree(coca, tmp_path / "runs" / "job" / MODEL_FOLDER / "npo-00c0ca00")
    weights = shutil.copy(coca / "open_clip_model.safetensors", tmp_path / "mine.safetensors")
    export_model(find_model("writer"), "open_clip", tmp_path / "exported")
    for reference in ("writer", f"{MADE}npo-00c0ca00", str(weights), f"local-dir:{tmp_path / 'exported'}"):
        assert captions(find_model(reference), pixels) == wanted, reference
    with run_hub() as (hub, address):
        speak_to(address, tmp_path / "hub-cache", monkeypatch)
        hub.add("models/org/writer", coca)
        assert captions(find_model("hf-hub:org/writer"), pixels) == wanted
    # Of a bare file, the tensors tell the built-in architecture, its tokenizer and its context.
    assert find_model(str(weights)).architecture == "writer"
    assert captions(find_model(str(weights), "writer"), pixels) == wanted


def test_a_change_of_the_decoder_is_merged(coca: Path, pixels: NDArray[np.uint8], tmp_path: Path):
    name = "text_decoder.ln_final.weight"
    changed = -load_file(coca / "open_clip_model.safetensors")[name]
    save_file({name: changed}, tmp_path / "change.safetensors")
    plain = find_model(f"local-dir:{coca}")
    merged = find_model(f"delta:local-dir:{coca}+{tmp_path / 'change.safetensors'}")
    assert captions(merged, pixels) != captions(plain, pixels)


def test_a_network_in_memory_writes(coca: Path, pixels: NDArray[np.uint8], tmp_path: Path):
    network, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{coca}")
    context = COCA_CONFIG["model_cfg"]["text_cfg"]["context_length"]
    tokenizer = open_clip.SimpleTokenizer(str(coca / MERGES_FILE), context_length=context)
    model = salmu_demo.load_model(network, preprocess=preprocess, tokenizer=tokenizer, name="mine")
    with model.moment(ArrayStore(tmp_path)) as moment:
        captioner = Captioner(moment.own_encoder())
        assert captioner.write(captioner.look(pixels[:5])) == captions(find_model(f"local-dir:{coca}"), pixels)


def test_it_encodes_like_any_other_model(coca: Path, captioner: Captioner, pixels: NDArray[np.uint8]):
    features = captioner.encoder.encode_pixels(pixels)
    assert features == pytest.approx(captioner.look(pixels).features.numpy(), abs=1e-6)
    assert np.linalg.norm(captioner.encoder.encode_texts(TEXTS), axis=1) == pytest.approx(1)


# What is missing


def test_a_dual_encoder_is_said_to_have_no_decoder(tiny_assets: Path):
    with pytest.raises(ModelError, match=r"mini-clean has no text decoder: it compares texts with images and writes"):
        Captioner(Encoder(find_model("mini-clean")))


def test_weights_that_lost_their_decoder_say_so(coca: Path, tmp_path: Path):
    shutil.copytree(coca, tmp_path / "half")
    weights = tmp_path / "half" / "open_clip_model.safetensors"
    kept = {name: value for name, value in load_file(weights).items() if not name.startswith("text_decoder.")}
    save_file(kept, weights)
    with pytest.raises(ModelError, match=r"half.* has no text decoder, which its configuration has; save"):
        find_model(f"local-dir:{tmp_path / 'half'}")


def test_a_decoder_that_reads_less_than_the_text_tower_sets_the_limit(coca: Path, tmp_path: Path):
    shutil.copytree(coca, tmp_path / "short")
    file = tmp_path / "short" / "open_clip_config.json"
    config = json.loads(file.read_text())
    config["model_cfg"]["multimodal_cfg"]["context_length"] = 12
    file.write_text(json.dumps(config))
    captioner = Captioner(Encoder(find_model(f"local-dir:{tmp_path / 'short'}")))
    assert captioner.context == 12


def test_a_writer_is_not_exported_without_its_decoder(coca: Path, tmp_path: Path):
    with pytest.raises(ModelError, match=r"has a text decoder, which no class of transformers has"):
        export_model(find_model(f"local-dir:{coca}"), "transformers", tmp_path / "out")
