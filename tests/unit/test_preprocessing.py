"""How images are prepared for models that do not say so: open_clip's own table, and what is assumed without it."""

from open_clip.pretrained import get_pretrained_cfg, list_pretrained_tags_by_model

from salmu_demo.models.configuration import open_clip_architectures
from salmu_demo.models.preprocessing import AGREED, DEFAULTS, completed


def test_the_table_holds_what_all_tags_of_open_clip_agree_in():
    expected = {}
    for name in open_clip_architectures():
        tags = [get_pretrained_cfg(name, tag) for tag in list_pretrained_tags_by_model(name)]
        if tags:
            values = {part: {tag[part] for tag in tags} for part in DEFAULTS}
            expected[name] = {part: found.pop() for part, found in values.items() if len(found) == 1}
    assert expected == AGREED


def test_only_the_parts_that_are_missing_are_taken_and_the_rest_stays():
    given = {"model_cfg": {}, "preprocess_cfg": {"mean": [0.1, 0.2, 0.3], "size": 64, "std": None}}
    config, remarks = completed(given, [AGREED["ViT-B-16-SigLIP"]], "it")
    assert config["preprocess_cfg"] == {
        "mean": [0.1, 0.2, 0.3], "size": 64, "std": [0.5, 0.5, 0.5], "resize_mode": "squash",
    }  # fmt: skip
    assert remarks == ()
    assert given["preprocess_cfg"]["std"] is None


def test_a_configuration_that_needs_nothing_else_stays_the_same_object():
    given = {"model_cfg": {}, "preprocess_cfg": {}}
    config, remarks = completed(given, [AGREED["ViT-B-32"], AGREED["ViT-B-32-quickgelu"]], "it")
    assert config is given
    assert remarks == ()


def test_what_checkpoints_differ_in_is_assumed_and_said():
    config, [remark] = completed({"model_cfg": {}, "preprocess_cfg": None}, [AGREED["ViT-L-14"]], "it")
    assert config["preprocess_cfg"] is None
    assert remark.startswith("it does not say how its images were prepared (mean, std), and open_clip's checkpoints")
    assert "mean 0.481/0.458/0.408, std 0.269/0.261/0.276" in remark
    _, [remark] = completed({"model_cfg": {}}, [], "it")
    assert "(mean, std, interpolation, resize_mode), and nothing published says it" in remark
