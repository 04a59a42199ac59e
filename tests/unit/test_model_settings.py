"""Which activation, preprocessing, tokenizer and precision a model has, and who says so."""

from pathlib import Path
from typing import Any

from salmu_demo.models.preprocessing import AGREED
from salmu_demo.models.settings import (
    ASSUMED,
    DEFAULT,
    FOLDER,
    TABLE,
    ModelSetting,
    Origins,
    preprocessing_origin,
    settings_of,
)

HALVES = "mean 0.500/0.500/0.500, std 0.269/0.261/0.276, interpolation bilinear, resize_mode shortest"


def config(quick_gelu: bool = False, **text: Any) -> dict[str, Any]:
    model = {"quick_gelu": quick_gelu, "text_cfg": text}
    return {"model_cfg": model, "preprocess_cfg": {"mean": [0.5] * 3, "interpolation": "bilinear"}}


def test_the_settings_of_a_model_are_what_its_configuration_and_files_say():
    assert settings_of(config(quick_gelu=True), Path("own/merges.txt"), Origins(preprocessing=ASSUMED)) == (
        ModelSetting("activation", "QuickGELU", FOLDER),
        ModelSetting("preprocessing", HALVES, ASSUMED),
        ModelSetting("tokenizer", "merges.txt", "its folder"),
        ModelSetting("precision", "float32", DEFAULT),
    )
    activation, _, tokenizer, _ = settings_of(config(), None, Origins(ASSUMED))
    assert (activation.value, activation.origin) == ("GELU", ASSUMED)
    assert tokenizer == ModelSetting("tokenizer", "CLIP's own", ASSUMED)
    _, _, tokenizer, _ = settings_of(config(hf_tokenizer_name="timm/ViT-B-16-SigLIP"), None, Origins(TABLE))
    assert tokenizer == ModelSetting("tokenizer", "timm/ViT-B-16-SigLIP", TABLE)


def test_who_says_a_preprocessing_is_said_part_by_part_where_it_is_not_one():
    whole = {
        "preprocess_cfg": {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic", "resize_mode": "squash"}
    }
    assert preprocessing_origin(whole, [], "it") == FOLDER
    assert preprocessing_origin({}, [AGREED["ViT-B-32"]], "it") == TABLE
    assert preprocessing_origin({}, [], "it") == ASSUMED
    # The tags of ViT-L-14 differ in mean and deviation.
    mixed = {"preprocess_cfg": {"interpolation": "bicubic"}}
    assert preprocessing_origin(mixed, [AGREED["ViT-L-14"]], "it") == (
        "its configuration (interpolation), open_clip's table (resize_mode), assumed (mean, std)"
    )
