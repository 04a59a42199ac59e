"""Attacks inside networks: what is read, patched and changed is what it says."""

import shutil
from collections.abc import Iterable

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from salmu_demo.attacks import AttackReading, find_attack
from salmu_demo.attacks.depth import left_over
from salmu_demo.attacks.networks.network import IMAGE, TEXT, TOWERS, Network
from salmu_demo.attacks.pairs import ForgetPairs
from salmu_demo.attacks.target import Target
from salmu_demo.core.settings import assets_dir
from salmu_demo.data.dataset import BenchmarkData, Split
from salmu_demo.features.view import FeatureView
from salmu_demo.models.made import WEIGHTS_FILE
from salmu_demo.models.references import find_model


@pytest.fixture(scope="module")
def views(data: BenchmarkData) -> dict[str, FeatureView]:
    return {name: FeatureView(find_model(f"mini-{name}"), data) for name in ("clean", "compromised")}


@pytest.fixture
def some(data: BenchmarkData) -> Split:
    return data.split("forget").take("forget", [0, 5, 9, 30])


def target_of(views: dict[str, FeatureView], name: str) -> Target:
    pairs = ForgetPairs.of(views[name].data)
    return Target(views[name], pairs, original=views["compromised"], clean=views["clean"])


def keyed(readings: Iterable[AttackReading]) -> dict[tuple[str, str, str], AttackReading]:
    return {reading.key: reading for reading in readings}


def test_a_network_gives_the_features_that_are_kept(views: dict[str, FeatureView], some: Split):
    network = Network(views["clean"])
    np.testing.assert_allclose(network.features(IMAGE, some), views["clean"].images(some), atol=1e-6)
    np.testing.assert_allclose(network.features(TEXT, some), views["clean"].captions(some), atol=1e-6)


@pytest.mark.parametrize("tower", TOWERS)
def test_a_patched_block_replaces_all_before_it_and_nothing_behind(
    views: dict[str, FeatureView], some: Split, tower: str
):
    full, source = Network(views["compromised"]), Network(views["clean"])
    (batch,) = full.inputs(tower, some)
    own = full.hidden(tower, batch)
    assert len(own) == 2
    for block, hidden in enumerate(own):
        np.testing.assert_allclose(full.patched(tower, batch, block, hidden), full.encode(tower, batch), atol=1e-6)
    patched = full.patched(tower, batch, 1, source.hidden(tower, batch)[1])
    # The same by hand: the source's network with everything behind its blocks from the full model.
    weights = dict(full.module.named_parameters())
    behind = ("visual.ln_post", "visual.proj") if tower == IMAGE else ("ln_final", "text_projection")
    for name, parameter in source.module.named_parameters():
        if name.startswith(behind):
            parameter.data.copy_(weights[name])
    np.testing.assert_allclose(patched, source.encode(tower, batch), atol=1e-6)
    # Nothing stays hooked.
    np.testing.assert_allclose(full.hidden(tower, batch)[0], own[0], atol=1e-6)


def test_states_are_the_read_token_beside_the_mean(views: dict[str, FeatureView], some: Split):
    network = Network(views["clean"])
    (tokens,) = network.inputs(TEXT, some)
    hidden = network.hidden(TEXT, tokens)[0]
    states = network.states(TEXT, some)[0]
    for row, own in enumerate(tokens):
        length = int((own != 0).sum())
        assert own[length - 1] == own.max()  # the end of the text, which has the highest number
        for half, part in zip(
            (states[row, :32], states[row, 32:]), (hidden[row, length - 1], hidden[row, :length].mean(0)), strict=True
        ):
            np.testing.assert_allclose(half, (part / part.norm() / 2**0.5).numpy(), atol=1e-6)
    images = network.states(IMAGE, some)
    (batch,) = network.inputs(IMAGE, some)
    first = network.hidden(IMAGE, batch)[0][:, 0]
    np.testing.assert_allclose(
        images[0][:, :32], torch.nn.functional.normalize(first, dim=1).numpy() / 2**0.5, atol=1e-6
    )


def test_weights_are_rounded_to_so_many_steps_of_each_channel(views: dict[str, FeatureView]):
    network, before = Network(views["clean"]), Network(views["clean"])
    network.quantise(4)
    for (name, rounded), original in zip(network.module.named_parameters(), before.module.parameters(), strict=True):
        if original.ndim < 2:
            assert torch.equal(rounded, original), name
            continue
        rows, own = rounded.reshape(len(rounded), -1), original.reshape(len(original), -1)
        step = own.abs().amax(dim=1, keepdim=True) / 7
        assert (rows - own).abs().max() <= step.max() / 2 + 1e-6, name
        steps = rows / step
        assert torch.allclose(steps, steps.round(), atol=1e-4), name
    # The model that others compute with is as it was.
    assert torch.equal(before.module.visual.proj, Network(views["clean"]).module.visual.proj)


def test_weights_are_pulled_a_share_of_the_way(views: dict[str, FeatureView]):
    network, start, end = (Network(views[name]) for name in ("clean", "clean", "compromised"))
    network.pull(end, 0.25)
    wanted = 0.75 * start.module.visual.proj + 0.25 * end.module.visual.proj
    assert torch.allclose(network.module.visual.proj, wanted, atol=1e-6)


def test_what_is_left_is_weighted_by_what_the_retain_model_lacks():
    without = np.array([[1.0, 0.0, 0.02], [3.0, 2.0, 0.04]])
    with_it = np.array([[2.0, 9.0, 1.0], [1.5, -1.0, 1.0]])
    # First pair: (1 clipped to 1 + 1.5) / 4 is gone. Second: no block but the second counts, and nothing is gone there.
    # Third: no block costs the retain model anything.
    np.testing.assert_allclose(left_over(without, with_it), [1 - 2.5 / 4, 1.0, np.nan])


@pytest.fixture(scope="module")
def depths(views: dict[str, FeatureView]) -> dict[str, AttackReading]:
    return {name: next(iter(find_attack("depth").run(target_of(views, name)))) for name in views}


def test_all_is_there_in_compromised_and_nothing_in_the_retain_model(depths: dict[str, AttackReading]):
    np.testing.assert_allclose(depths["compromised"].scores, 1, atol=1e-4)
    np.testing.assert_allclose(depths["clean"].scores, 0, atol=1e-12)
    for name, wanted in (("compromised", 1), ("clean", 0)):
        assert depths[name].as_is is not None
        np.testing.assert_allclose(depths[name].as_is, wanted, atol=1e-4)
    assert depths["clean"].identities == depths["compromised"].identities


@pytest.fixture(scope="module")
def blinded(views: dict[str, FeatureView], tmp_path_factory: pytest.TempPathFactory) -> FeatureView:
    """A copy of Compromised whose last text layer lets next to nothing through: all texts have one of two features."""
    folder = tmp_path_factory.mktemp("blinded") / "blinded"
    shutil.copytree(assets_dir() / "models" / "mini-compromised", folder)
    weights = load_file(folder / WEIGHTS_FILE)
    weights["text_projection"][:, 1:] = 0
    save_file(weights, folder / WEIGHTS_FILE)
    return FeatureView(find_model(f"local-dir:{folder}"), views["compromised"].data)


def test_what_the_last_layer_hides_is_found_in_the_blocks(views: dict[str, FeatureView], blinded: FeatureView):
    assert len(np.unique(np.asarray(blinded.captions("forget")), axis=0)) <= 2
    views = {**views, "blinded": blinded}
    hidden, known = (
        keyed(find_attack("early-readout").run(target_of(views, name))) for name in ("blinded", "compromised")
    )
    read = {key for key in hidden if "text tower" in key[0]}
    assert len(read) == 8
    for key in read:
        np.testing.assert_allclose(hidden[key].scores, known[key].scores, err_msg=str(key))
    (depth,) = find_attack("depth").run(target_of(views, "blinded"))
    np.testing.assert_allclose(depth.scores, 1, atol=1e-4)


@pytest.mark.parametrize("attack", ["early-readout", "quantisation"])
def test_the_same_seed_gives_the_same_bits(attack: str, views: dict[str, FeatureView]):
    first, second = (keyed(find_attack(attack).run(target_of(views, "clean"))) for _ in range(2))
    assert first.keys() == second.keys()
    for key, reading in first.items():
        np.testing.assert_array_equal(reading.scores, second[key].scores)


def test_every_block_of_both_towers_is_read(views: dict[str, FeatureView]):
    variants = dict.fromkeys(key[0] for key in keyed(find_attack("early-readout").run(target_of(views, "compromised"))))
    assert list(variants) == [f"block {block} of the {tower} tower" for tower in TOWERS for block in (1, 2)]


def test_the_forms_of_changed_weights(views: dict[str, FeatureView], monkeypatch: pytest.MonkeyPatch):
    forms = {key[0] for key in keyed(find_attack("quantisation").run(target_of(views, "clean")))}
    assert forms == {"INT8", "INT4", "25% of the way back", "50% of the way back"}
    alone = Target(views["clean"], ForgetPairs.of(views["clean"].data))
    assert {key[0] for key in keyed(find_attack("quantisation").run(alone))} == {"INT8", "INT4"}
    assert find_attack("quantisation").omissions(target_of(views, "clean")) == []
    assert find_attack("quantisation").omissions(alone) == [
        "no weights are on the way back to the original model, because none is given"
    ]
    monkeypatch.setattr("salmu_demo.attacks.quantisation.same_architecture", lambda *_: False)
    assert find_attack("quantisation").omissions(target_of(views, "clean")) == [
        "mini-clean has another architecture than the original mini-compromised"
    ]
