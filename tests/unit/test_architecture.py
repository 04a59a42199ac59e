"""The architecture of a checkpoint is told from its tensors, for what open_clip really builds."""

import json
import logging

import pytest

from salmu_demo.core.errors import ModelError
from salmu_demo.models.architecture import guess_architecture
from salmu_demo.models.configuration import architecture_configuration, open_clip_architectures
from salmu_demo.models.header import Shape
from salmu_demo.models.network import expected_tensors
from tests.fixtures.tiny import MODEL_CONFIG


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)


def shapes_of(name: str) -> dict[str, Shape]:
    built = expected_tensors(architecture_configuration(name), name)
    return {tensor: expected.shape for tensor, expected in built.items()}


@pytest.mark.parametrize(
    ("name", "guess", "twins"),
    [
        ("ViT-B-16", "ViT-B-16", ("ViT-B-16-quickgelu",)),
        ("ViT-B-16-quickgelu", "ViT-B-16", ("ViT-B-16-quickgelu",)),
        ("ViT-B-32", "ViT-B-32", ("ViT-B-32-quickgelu",)),
        ("ViT-B-32-256", "ViT-B-32-256", ()),
        ("ViT-L-14", "ViT-L-14", ("ViT-L-14-quickgelu",)),
        ("ViT-L-14-336", "ViT-L-14-336", ("ViT-L-14-336-quickgelu",)),
        ("RN50", "RN50", ("RN50-quickgelu",)),
        ("RN50x4", "RN50x4", ("RN50x4-quickgelu",)),
        ("ViT-B-16-SigLIP", "ViT-B-16-SigLIP", ()),
        ("ViT-B-16-SigLIP-384", "ViT-B-16-SigLIP-384", ()),
        ("ViT-B-16-SigLIP2", "ViT-B-16-SigLIP2", ()),
        ("coca_ViT-B-32", "coca_ViT-B-32", ()),
        ("convnext_base", "convnext_base", ()),
    ],
)
def test_an_architecture_is_recognised(name: str, guess: str, twins: tuple[str, ...]):
    found = guess_architecture(shapes_of(name), {}, "a checkpoint")
    assert (found.name, found.twins) == (guess, twins)


def test_an_architecture_of_our_own_is_recognised_and_comes_first():
    config = json.loads(json.dumps(MODEL_CONFIG))
    shapes = {name: tensor.shape for name, tensor in expected_tensors(config, "tiny").items()}
    assert guess_architecture(shapes, {"tiny": config["model_cfg"]}, "a checkpoint").name == "tiny"
    bigger = {"mine": open_clip_architectures()["ViT-B-32"]}
    found = guess_architecture(shapes_of("ViT-B-32"), bigger, "a checkpoint")
    assert (found.name, found.twins) == ("mine", ("ViT-B-32", "ViT-B-32-quickgelu"))


@pytest.mark.parametrize(
    "change",
    [
        {"token_embedding.weight": (50000, 512)},
        {"visual.conv1.weight": (768, 3, 20, 20)},
        {"visual.positional_embedding": (99, 768)},
        {"transformer.resblocks.12.ln_1.weight": (512,)},
        {"text_projection": (512, 513)},
    ],
)
def test_tensors_of_no_architecture_are_refused_with_what_they_tell(change: dict[str, Shape]):
    with pytest.raises(ModelError, match=r"The tensors of a checkpoint fit no architecture of open_clip \(vocabulary"):
        guess_architecture({**shapes_of("ViT-B-16"), **change}, {}, "a checkpoint")


@pytest.mark.parametrize(
    "shapes", [{"x": (1,)}, {"visual.trunk.pos_embed": (1, 0, 0), "visual.conv1.weight": (0,) * 4}]
)
def test_tensors_that_are_no_clip_model_fit_nothing(shapes: dict[str, Shape]):
    with pytest.raises(ModelError, match="fit no architecture"):
        guess_architecture(shapes, {}, "a checkpoint")
