"""Objectives by hand on tiny tensors, their gradients by finite differences, and what is known about them."""

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from salmu_demo.unlearning import LORA_A, Towers, losses
from salmu_demo.unlearning.batches import Encoded
from salmu_demo.unlearning.methods.delete import mask_distillation
from salmu_demo.unlearning.methods.delete_matrix import matrix_losses
from salmu_demo.unlearning.methods.dpo import dpo_loss, preference_margin
from salmu_demo.unlearning.methods.generic_captions import multi_positive_nce
from salmu_demo.unlearning.methods.gradient_ascent import negative_entropy
from salmu_demo.unlearning.methods.gradient_surgery import bargained, projected_conflict
from salmu_demo.unlearning.methods.noise_distill import retain_and_strangers
from salmu_demo.unlearning.methods.npo import npo_loss
from salmu_demo.unlearning.methods.null_space import principal_directions, without_directions
from salmu_demo.unlearning.methods.pinpoint import excess
from salmu_demo.unlearning.methods.rmu import block_output, steering_target
from salmu_demo.unlearning.methods.scrub import bounded_departure
from salmu_demo.unlearning.methods.scrub_bio import departure
from salmu_demo.unlearning.methods.shuffled_captions import shuffled_nce
from salmu_demo.unlearning.methods.sku import other_answers
from salmu_demo.unlearning.methods.slug import Layer, choose_layer, pareto_front, search_step
from salmu_demo.unlearning.methods.ssd import dampened, importances
from salmu_demo.unlearning.methods.task_vector import negated
from salmu_demo.unlearning.methods.twins import altered, twins_loss
from salmu_demo.unlearning.methods.vlunlearn import decoupling, knowledge_retention

SCALE = torch.tensor(7.0, dtype=torch.float64)
PAIRS = 5
# Two pairs of one persona, the others each of their own.
GROUPS = torch.tensor([0, 1, 2, 3, 0])
RAW = 2 * PAIRS * 4


def _features(seed: int) -> torch.Tensor:
    return torch.randn(2, PAIRS, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _pairs(raw: torch.Tensor) -> Encoded:
    images, texts = functional.normalize(raw, dim=2)
    return Encoded(images, texts, GROUPS)


NOW, FROZEN, RETAIN, RETAIN_FROZEN = (_features(seed) for seed in range(4))
GENERIC = functional.normalize(_features(4)[0], dim=1)
PERMUTATION = torch.tensor([1, 2, 3, 4, 0])
SAME_KIND = torch.tensor([[row % 2 == column % 2 for column in range(PAIRS)] for row in range(PAIRS)])

OBJECTIVES: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "info_nce": lambda raw: losses.info_nce(_pairs(raw), SCALE),
    "entropy": lambda raw: negative_entropy(_pairs(raw), SCALE),
    "shuffled": lambda raw: shuffled_nce(_pairs(raw), PERMUTATION, SCALE),
    "multi_positive": lambda raw: multi_positive_nce(
        _pairs(raw).images, _pairs(raw).texts, GROUPS[:, None] == GROUPS[None, :], SCALE
    ),
    "kl": lambda raw: losses.symmetric_kl(_pairs(FROZEN), _pairs(raw), SCALE),
    "matrix_forget": lambda raw: matrix_losses(_pairs(raw), _pairs(RETAIN), _pairs(RETAIN_FROZEN))[0],
    "matrix_retain": lambda raw: matrix_losses(_pairs(NOW), _pairs(raw), _pairs(RETAIN_FROZEN))[1],
    "delete": lambda raw: mask_distillation(_pairs(FROZEN), _pairs(raw), SCALE),
    "decoupling": lambda raw: decoupling(_pairs(raw), _pairs(FROZEN), PERMUTATION),
    "retention": lambda raw: knowledge_retention(_pairs(raw), _pairs(FROZEN)),
    "idk": lambda raw: (
        -losses.log_likelihood(losses.bank_logits(_pairs(raw), GENERIC, _pairs(RETAIN), SCALE), 1).mean()
    ),
    "npo": lambda raw: npo_loss(
        losses.log_likelihood(losses.bank_logits(_pairs(raw), None, _pairs(RETAIN), SCALE), 0), 0.5
    ),
    "dpo": lambda raw: dpo_loss(
        preference_margin(_pairs(raw), GENERIC, SCALE), preference_margin(_pairs(FROZEN), GENERIC, SCALE), 0.1
    ),
    "scrub": lambda raw: bounded_departure(losses.symmetric_kl(_pairs(FROZEN), _pairs(raw), SCALE), 100.0),
    "scrub_bio": lambda raw: departure(_pairs(raw), _pairs(FROZEN), "embedding"),
    "scrub_bio_association": lambda raw: departure(_pairs(raw), _pairs(FROZEN), "association"),
    "drift": lambda raw: losses.drift(_pairs(raw).images, _pairs(FROZEN).images),
    "pinpoint": lambda raw: excess(_pairs(raw).similarity, -0.2),
    "twins": lambda raw: twins_loss(_pairs(raw), _pairs(FROZEN)),
    "sku": lambda raw: other_answers(_pairs(raw), SAME_KIND, SCALE),
}


def _gradient(objective: Callable[[torch.Tensor], torch.Tensor], at: torch.Tensor) -> torch.Tensor:
    leaf = at.clone().requires_grad_()
    return torch.autograd.grad(objective(leaf), leaf)[0]


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def _numbers(raw: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    pairs = _pairs(raw)
    return pairs.images.numpy(), pairs.texts.numpy()


@pytest.mark.parametrize("name", OBJECTIVES)
def test_gradients_are_those_of_finite_differences(name: str) -> None:
    assert torch.autograd.gradcheck(OBJECTIVES[name], NOW.clone().requires_grad_(), atol=1e-6)


def test_infonce_leaves_out_other_pairs_of_the_persona() -> None:
    images, texts = _numbers(NOW)
    logits = 7.0 * images @ texts.T
    logits[0, 4] = logits[4, 0] = -np.inf
    expected = -(np.log(np.diag(_softmax(logits))) + np.log(np.diag(_softmax(logits.T)))).mean() / 2
    assert float(losses.info_nce(_pairs(NOW), SCALE)) == pytest.approx(expected)


def test_entropy_of_equal_predictions_is_log_of_the_batch() -> None:
    same = torch.ones(2, PAIRS, 4, dtype=torch.float64)
    assert float(negative_entropy(_pairs(same), SCALE)) == pytest.approx(-math.log(PAIRS))


def test_entropy_by_hand() -> None:
    images, texts = _numbers(NOW)
    logits = 7.0 * images @ texts.T
    halves = [(_softmax(side) * np.log(_softmax(side))).sum(axis=1).mean() for side in (logits, logits.T)]
    assert float(negative_entropy(_pairs(NOW), SCALE)) == pytest.approx(sum(halves) / 2)


def test_shuffling_compares_images_with_other_pairs_captions() -> None:
    images, texts = _numbers(NOW)
    permutation = PERMUTATION.numpy()
    logits = 7.0 * images @ texts[permutation].T
    groups = GROUPS.numpy()[permutation]
    masked = (groups[:, None] == groups[None]) & ~np.eye(PAIRS, dtype=bool)
    logits[masked] = -np.inf
    expected = -(np.log(np.diag(_softmax(logits))) + np.log(np.diag(_softmax(logits.T)))).mean() / 2
    assert float(shuffled_nce(_pairs(NOW), PERMUTATION, SCALE)) == pytest.approx(expected)


def test_equal_captions_are_all_right_answers() -> None:
    images = functional.normalize(NOW[0], dim=1)
    texts = images[:1].expand(PAIRS, -1)
    loss = multi_positive_nce(images, texts, torch.ones(PAIRS, PAIRS, dtype=torch.bool), SCALE)
    logits = 7.0 * (images @ texts.T).numpy()
    # Image to text is uniform whatever the images are: log B. Text to image asks for the same of the images.
    expected = (math.log(PAIRS) - np.log(_softmax(logits.T)).mean()) / 2
    assert float(loss) == pytest.approx(expected)


def test_right_answers_share_alike_however_many_an_image_has() -> None:
    images, texts = _numbers(NOW)
    positive = GROUPS[:, None] == GROUPS[None, :]
    for row, column in ((1, 2), (2, 3)):
        positive[row, column] = positive[column, row] = True
    right = [0, 4], [1, 2], [1, 2, 3], [2, 3], [0, 4]
    logits = 7.0 * images @ texts.T
    halves = [
        -np.mean([np.log(_softmax(side))[row, columns].mean() for row, columns in enumerate(right)])
        for side in (logits, logits.T)
    ]
    found = multi_positive_nce(_pairs(NOW).images, _pairs(NOW).texts, positive, SCALE)
    assert float(found) == pytest.approx(sum(halves) / 2)


def test_matrix_forms_by_hand() -> None:
    forget, retain = matrix_losses(_pairs(NOW), _pairs(RETAIN), _pairs(RETAIN_FROZEN))
    images, texts = _numbers(NOW)
    assert float(forget) == pytest.approx(2 * ((images @ texts.T) ** 2).mean())
    now, before = ((lambda i, t: i @ t.T)(*_numbers(raw)) for raw in (RETAIN, RETAIN_FROZEN))
    assert float(retain) == pytest.approx(2 * ((now - before) ** 2).mean())


def test_delete_pulls_on_a_pair_by_its_own_probability() -> None:
    """dL/dZ_ii = (p of both directions) / 2B, and nothing once p is 0 (methods' table: the opposite of ascent)."""
    logits = torch.randn(PAIRS, PAIRS, dtype=torch.float64, requires_grad=True)
    right = torch.eye(PAIRS, dtype=torch.bool)
    target = torch.randn(PAIRS, PAIRS, dtype=torch.float64).masked_fill(right, losses.MASKED)
    loss = (losses.kl(target, logits) + losses.kl(target.T, logits.T)) / 2
    gradient = torch.autograd.grad(loss, logits)[0].diagonal()
    p = (logits.softmax(1).diagonal() + logits.T.softmax(1).diagonal()) / (2 * PAIRS)
    torch.testing.assert_close(gradient, p.detach())


def test_delete_by_hand() -> None:
    distinct = Encoded(_pairs(FROZEN).images, _pairs(FROZEN).texts, torch.arange(PAIRS))
    images, texts = distinct.images.numpy(), distinct.texts.numpy()
    logits = 7.0 * images @ texts.T
    q = _softmax(np.where(np.eye(PAIRS, dtype=bool), -1e10, logits))
    p = _softmax(logits)
    row = (np.where(q > 0, q, 1) * (np.log(np.where(q > 0, q, 1)) - np.log(p)) * (q > 0)).sum(axis=1).mean()
    q_t, p_t = _softmax(np.where(np.eye(PAIRS, dtype=bool), -1e10, logits.T)), _softmax(logits.T)
    column = (np.where(q_t > 0, q_t, 1) * (np.log(np.where(q_t > 0, q_t, 1)) - np.log(p_t)) * (q_t > 0)).sum(1).mean()
    assert float(mask_distillation(distinct, distinct, SCALE)) == pytest.approx((row + column) / 2)


def test_ascent_vanishes_on_a_pair_that_wins_and_distillation_does_not() -> None:
    sure = torch.eye(4, dtype=torch.float64)[None].repeat(2, 1, 1)
    groups = torch.arange(4)

    def pairs(raw: torch.Tensor) -> Encoded:
        return Encoded(*functional.normalize(raw, dim=2), groups)

    # A little off the poles, where normalisation has no gradient along a winning pair.
    raw = sure + 0.05 * torch.randn(2, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    scale = torch.tensor(30.0, dtype=torch.float64)
    ascent = _gradient(lambda r: -losses.info_nce(pairs(r), scale), raw).norm()
    masked = _gradient(lambda r: mask_distillation(pairs(raw), pairs(r), scale), raw).norm()
    assert float(masked) > 1000 * float(ascent)


def test_scrub_has_no_forget_gradient_at_the_start() -> None:
    start = _gradient(OBJECTIVES["scrub"], FROZEN)
    assert float(start.abs().max()) < 1e-12
    assert float(_gradient(OBJECTIVES["scrub"], NOW).abs().max()) > 1e-3


def test_scrub_bio_has_none_either_but_its_association_form_has() -> None:
    assert float(_gradient(OBJECTIVES["scrub_bio"], FROZEN).abs().max()) < 1e-12
    assert float(_gradient(OBJECTIVES["scrub_bio_association"], FROZEN).abs().max()) > 1e-3


def test_departure_stops_at_a_right_angle_and_at_the_bound() -> None:
    orthogonal = Encoded(torch.eye(4)[:2], torch.eye(4)[:2], torch.arange(2))
    other = Encoded(torch.eye(4)[2:], torch.eye(4)[2:], torch.arange(2))
    assert float(departure(orthogonal, other, "embedding")) == 0
    assert float(departure(orthogonal, orthogonal, "embedding")) == 2
    divergence = torch.tensor(3.0, requires_grad=True)
    bounded = bounded_departure(divergence, 2.0)
    assert float(bounded.detach()) == -2
    assert float(torch.autograd.grad(bounded, divergence)[0]) == 0


def test_npo_starts_as_ascent_and_fades() -> None:
    likelihood = torch.tensor([0.0, 0.0, 0.0], requires_grad=True)
    start = torch.autograd.grad(npo_loss(likelihood, 0.5), likelihood)[0]
    ascent = torch.autograd.grad(likelihood.mean(), likelihood)[0]
    torch.testing.assert_close(start, ascent)
    forgotten = torch.full((3,), -20.0, requires_grad=True)
    assert float(torch.autograd.grad(npo_loss(forgotten, 0.5), forgotten)[0].max()) < 1e-4
    assert float(npo_loss(torch.tensor([math.log(3.0)]), 1.0)) == pytest.approx(2 * math.log(4))


def test_dpo_is_log_2_at_the_start_and_prefers_the_generic_caption() -> None:
    margin = preference_margin(_pairs(FROZEN), GENERIC, SCALE)
    images, texts = _numbers(FROZEN)
    expected = 7.0 * ((images * GENERIC.numpy()).sum(1) - (images * texts).sum(1))
    np.testing.assert_allclose(margin.numpy(), expected)
    assert float(dpo_loss(margin, margin, 0.1)) == pytest.approx(math.log(2))
    assert float(dpo_loss(margin + 5, margin, 0.1)) == pytest.approx(math.log(1 + math.exp(-0.5)))


def test_candidates_are_sensitive_then_generic_then_strangers() -> None:
    logits = losses.bank_logits(_pairs(NOW), GENERIC, _pairs(RETAIN), SCALE)
    images, texts = _numbers(NOW)
    assert logits.shape == (PAIRS, 2 + 2 * PAIRS)
    np.testing.assert_allclose(logits[:, 0], 7 * (images * texts).sum(1))
    np.testing.assert_allclose(logits[:, 1], 7 * (images * GENERIC.numpy()).sum(1))
    # Row 0's own caption and that of row 4, of the same persona, are not negatives.
    assert (logits[0, [2, 6]] == losses.MASKED).all()
    np.testing.assert_allclose(logits[0, 3:6], 7 * images[0] @ texts[1:4].T)
    np.testing.assert_allclose(logits[:, 7:], 7 * images @ _numbers(RETAIN)[1].T)
    p = _softmax(logits.numpy())[:, 1]
    np.testing.assert_allclose(losses.log_likelihood(logits, 1), np.log(p))


def test_kl_takes_the_frozen_model_as_its_target() -> None:
    frozen, now = ((lambda i, t: 7 * i @ t.T)(*_numbers(raw)) for raw in (FROZEN, NOW))
    halves = [
        (_softmax(a) * (np.log(_softmax(a)) - np.log(_softmax(b)))).sum(1).mean()
        for a, b in ((frozen, now), (frozen.T, now.T))
    ]
    assert float(losses.symmetric_kl(_pairs(FROZEN), _pairs(NOW), SCALE)) == pytest.approx(sum(halves) / 2)


def test_decoupling_aims_at_the_originals_unrelated_pairs() -> None:
    frozen = _pairs(FROZEN)
    shuffled = Encoded(frozen.images, frozen.texts[PERMUTATION], GROUPS)
    assert float(decoupling(shuffled, frozen, PERMUTATION)) == 0
    target = frozen.images.numpy() @ frozen.texts.numpy()[PERMUTATION.numpy()].T
    now = (lambda i, t: i @ t.T)(*_numbers(NOW))
    assert float(decoupling(_pairs(NOW), frozen, PERMUTATION)) == pytest.approx(2 * ((now - target) ** 2).mean())
    assert float(knowledge_retention(frozen, frozen)) == 0


def test_embeddings_are_held_at_those_of_the_original_by_hand() -> None:
    (images, texts), (old_images, old_texts) = _numbers(NOW), _numbers(FROZEN)
    apart = ((images - old_images) ** 2).mean() + ((texts - old_texts) ** 2).mean()
    assert float(twins_loss(_pairs(NOW), _pairs(FROZEN))) == pytest.approx(apart)
    both, old = (
        (i + t) / np.linalg.norm(i + t, axis=1, keepdims=True) for i, t in ((images, texts), (old_images, old_texts))
    )
    assert float(knowledge_retention(_pairs(NOW), _pairs(FROZEN))) == pytest.approx(((both - old) ** 2).mean() + apart)


def test_wrong_answers_are_captions_of_other_personas_of_the_same_kind() -> None:
    images, texts = _numbers(NOW)
    logits = 7 * images @ texts.T
    logits[0, 4] = logits[4, 0] = losses.MASKED
    log_p = np.log(_softmax(logits) + 1e-300)
    # Kinds alternate: rows 0, 2, 4 and rows 1, 3; rows 0 and 4 are one persona.
    wanted = {0: [2], 1: [3], 2: [0, 4], 3: [1], 4: [2]}
    expected = -np.mean([log_p[row, columns].mean() for row, columns in wanted.items()])
    assert float(other_answers(_pairs(NOW), SAME_KIND, SCALE)) == pytest.approx(expected)


def test_a_derangement_never_gives_a_persona_its_own_caption() -> None:
    groups = torch.tensor([0, 0, 1, 2, 2, 3, 4, 5])
    for seed in range(20):
        permutation = losses.derangement(groups, torch.Generator().manual_seed(seed))
        assert sorted(permutation.tolist()) == list(range(8))
        assert not (groups[permutation] == groups).any()


@pytest.mark.parametrize("pairs", [7, 8, 64])
def test_a_derangement_is_a_seeded_order_with_groups_together_shifted_by_half(pairs: int) -> None:
    groups = torch.arange(pairs) // 2
    generator = torch.Generator().manual_seed(5)
    order = sorted(torch.randperm(pairs, generator=generator).tolist(), key=lambda row: int(groups[row]))
    expected = [0] * pairs
    for place, row in enumerate(order):
        expected[row] = order[(place + pairs // 2) % pairs]
    assert losses.derangement(groups, torch.Generator().manual_seed(5)).tolist() == expected


def test_drift_is_the_mean_cosine_distance() -> None:
    frozen = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
    current = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    assert losses.drift(frozen, frozen).tolist() == 0
    assert losses.drift(current, frozen).tolist() == pytest.approx((0 + 2 + 1 + 0.4) / 4)


def test_masks_are_made_where_the_groups_are() -> None:
    groups = torch.zeros(3, device="meta")
    features = torch.zeros(3, 2, device="meta")
    assert losses.false_negatives(groups).device == groups.device
    pairs = Encoded(features, features, groups)
    assert losses.bank_logits(pairs, None, pairs, torch.tensor(2.0)).shape == (3, 7)


def test_task_vectors_are_walked_the_other_way() -> None:
    start, trained = {"w": torch.tensor([1.0, 2.0])}, {"w": torch.tensor([1.5, 2.0])}
    assert negated(start, trained, 0.5)["w"].tolist() == [0.75, 2.0]
    # A low-rank change is turned around once, in its other factor.
    start, trained = {f"w.{LORA_A}": torch.ones(2)}, {f"w.{LORA_A}": torch.tensor([3.0, 4.0])}
    assert negated(start, trained, 0.5)[f"w.{LORA_A}"].tolist() == [3.0, 4.0]


def test_ssd_dampens_only_what_matters_more_to_forget_pairs() -> None:
    weight, forget, retain = torch.tensor([2.0, 2.0, 2.0]), torch.tensor([20.0, 5.0, 0.0]), torch.ones(3)
    torch.testing.assert_close(dampened(weight, forget, retain, 10.0, 1.0), torch.tensor([0.1, 2.0, 2.0]))
    # The factor is never above 1: nothing grows.
    torch.testing.assert_close(dampened(weight, forget, retain, 10.0, 100.0), weight)
    # Twice as important as to retain pairs is not more than that.
    weight, forget, retain = torch.full((3,), 2.0), torch.tensor([20.0, 5.0, 8.0]), torch.full((3,), 4.0)
    torch.testing.assert_close(dampened(weight, forget, retain, 2.0, 0.5), torch.tensor([0.2, 2.0, 2.0]))


def test_ssds_importance_is_the_mean_square_of_a_weights_gradient_over_batches() -> None:
    weight = torch.nn.Parameter(torch.linspace(0.5, 2, 4, dtype=torch.float64))
    unused = torch.nn.Parameter(torch.ones(2))
    model: Any = SimpleNamespace(parameters=lambda: [weight, unused])

    def pairs(step: Any) -> Encoded:
        images, texts = functional.normalize(step.raw * weight, dim=2)
        return Encoded(images, texts, GROUPS)

    steps: list[Any] = [SimpleNamespace(raw=raw, scale=SCALE) for raw in (NOW, RETAIN, FROZEN)]
    found = importances(steps, model, pairs)
    gradients = [torch.autograd.grad(losses.info_nce(pairs(step), SCALE), weight)[0].numpy() for step in steps]
    np.testing.assert_allclose(found[0].numpy(), np.mean([g**2 for g in gradients], axis=0))
    assert found[1].tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    ("enough", "tries", "tried", "best"),
    [
        (5.0, 6, [1, 2, 4, 8, 6, 5], 5.0),
        (3.0, 5, [1, 2, 4, 3, 2.5], 3.0),
        (3.5, 7, [1, 2, 4, 3, 3.5, 3.25, 3.375], 3.5),
        (0.3, 3, [1, 0.5, 0.25], 0.5),
        (99.0, 3, [1, 2, 4], 8.0),
    ],
)
def test_slug_doubles_its_step_until_it_is_enough_and_then_bisects(
    enough: float, tries: int, tried: list[float], best: float
) -> None:
    asked: list[float] = []

    def is_enough(step: float) -> bool:
        asked.append(step)
        return step >= enough

    assert search_step(1.0, tries, is_enough) == best
    assert asked == tried


def test_slug_takes_a_layer_that_no_other_beats() -> None:
    layers = [Layer("a", 1.0, 0.1), Layer("b", 2.0, 0.2), Layer("c", 1.5, 0.3), Layer("d", 0.5, 0.0)]
    assert [layer.name for layer in pareto_front(layers)] == ["a", "b", "d"]
    assert choose_layer(layers).name == "b"
    # As important at a larger angle, or less at the same, is beaten; most importance is not most for its angle.
    beaten = [Layer("e", 1.0, 0.15), Layer("f", 0.9, 0.1)]
    assert pareto_front([layers[0], *beaten]) == layers[:1]
    assert choose_layer([layers[0], Layer("g", 2.0, 0.6)]).name == "a"


def test_projected_features_have_nothing_left_in_the_removed_directions() -> None:
    rows = torch.randn(20, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    rows[:, 0] *= 50
    directions = principal_directions(rows, 2)
    torch.testing.assert_close(directions.T @ directions, torch.eye(2, dtype=torch.float64))
    assert abs(float(directions[0, 0])) > 0.99
    projection = torch.randn(3, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    left = without_directions(projection, directions, 1.0) @ directions
    assert float(left.abs().max()) < 1e-12
    torch.testing.assert_close(without_directions(projection, directions, 0.0), projection)


def test_pcgrad_removes_only_a_conflict() -> None:
    retain = torch.tensor([1.0, 0.0])
    torch.testing.assert_close(projected_conflict(torch.tensor([-3.0, 2.0]), retain), torch.tensor([1.0, 2.0]))
    torch.testing.assert_close(projected_conflict(torch.tensor([3.0, 2.0]), retain), torch.tensor([4.0, 2.0]))
    torch.testing.assert_close(projected_conflict(torch.tensor([0.5, 2.0]), retain), torch.tensor([1.5, 2.0]))
    torch.testing.assert_close(projected_conflict(torch.tensor([-3.0, 2.0]), 2 * retain), torch.tensor([2.0, 2.0]))


def test_the_bargain_solves_its_equation() -> None:
    """MUNBa: with weights a, the step is G a where (G^T G) a = 1 / a."""
    g = torch.randn(2, 9, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    step = bargained(g[0], g[1])
    weights = torch.linalg.lstsq(g.T, step[:, None]).solution[:, 0]
    torch.testing.assert_close(g @ g.T @ weights, 1 / weights)
    assert not bargained(g[0], -g[0]).any()


def test_pinpoint_leaves_a_pair_alone_once_it_looks_unrelated() -> None:
    similarity = torch.tensor([0.8, 0.1, -0.5], requires_grad=True)
    loss = excess(similarity, 0.2)
    assert float(loss.detach()) == pytest.approx(0.2)
    torch.testing.assert_close(torch.autograd.grad(loss, similarity)[0], torch.tensor([1 / 3, 0.0, 0.0]))


def test_rmus_target_is_as_long_as_the_tokens() -> None:
    tokens = torch.tensor([[3.0, 4.0], [0.0, 1.0]])
    torch.testing.assert_close(steering_target(tokens, torch.tensor([0.6, 0.8]), 2.0), torch.tensor([3.6, 4.8]))


def test_a_blocks_output_is_that_of_every_token_it_is_run_on() -> None:
    block = torch.nn.Linear(2, 3)
    batches = [torch.randn(2, 4, 2), torch.randn(1, 4, 2)]
    found = block_output(block, lambda: [block(batch) for batch in batches])
    torch.testing.assert_close(found, block(torch.cat(batches).flatten(0, 1)))


@pytest.mark.parametrize("towers", [Towers.TEXT, Towers.IMAGE])
def test_distillation_holds_retained_pairs_and_captions_about_strangers(towers: Towers) -> None:
    now, before = _pairs(RETAIN), _pairs(RETAIN_FROZEN)
    asked: list[Any] = []

    def strangers(count: int, generator: str) -> list[str]:
        asked.append((count, generator))
        return ["somebody"] * count

    step: Any = SimpleNamespace(
        retain=now,
        frozen_retain=before,
        model=SimpleNamespace(towers=towers),
        forget_rows=range(3),
        generator=lambda purpose: purpose,
        stand_ins=SimpleNamespace(strangers=strangers),
        encode_captions=lambda captions: (torch.eye(len(captions)), torch.full((3, 3), 0.25)),
    )
    drifts = [
        float((1 - (a * b).sum(dim=1)).mean()) for a, b in ((now.images, before.images), (now.texts, before.texts))
    ]
    expected = sum(drifts) + (0.75 if towers is Towers.TEXT else 0)
    assert float(retain_and_strangers(step)) == pytest.approx(expected)
    assert asked == ([(3, "strangers")] if towers is Towers.TEXT else [])


def test_twins_images_are_mirrored_or_unrecognisable() -> None:
    image = torch.arange(24.0 * 24).view(1, 1, 24, 24)
    assert altered(image, "mirror")[0, 0, 0].tolist() == image[0, 0, 0].flip(0).tolist()
    blocks = altered(image, "pixelate")
    assert blocks.shape == image.shape
    assert blocks.unique().numel() == 12 * 12
    assert float(blocks.mean()) == pytest.approx(float(image.mean()))
