"""Methods that erase, on cases whose answer is known."""

from collections.abc import Sequence

import pytest
import torch

from salmu_demo.core.errors import ModelError
from salmu_demo.models.optimisation import encode_by_block, make_optimizer
from salmu_demo.models.source import ModelSource
from salmu_demo.unlearning import Towers, losses
from salmu_demo.unlearning.batches import BatchSource, Encoded
from salmu_demo.unlearning.methods import TrainedMethod, find_method
from salmu_demo.unlearning.methods.leace import eraser
from salmu_demo.unlearning.methods.meta_unlearning import halves, mapped
from salmu_demo.unlearning.methods.noise_distill import damaged
from salmu_demo.unlearning.methods.pinpoint import departure
from salmu_demo.unlearning.methods.redirect import Aim, distances, held
from salmu_demo.unlearning.step import Steps
from salmu_demo.unlearning.towers import TrainedModel


def _draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _method(name: str, **settings: float | str) -> TrainedMethod:
    method = find_method(name).configure(settings)
    assert isinstance(method, TrainedMethod)
    return method


def _text_steps(base: ModelSource, batches: BatchSource, total: int = 10) -> Steps:
    return Steps(TrainedModel(base, Towers.TEXT), batches, 12, total, seed=0)


def test_distance_is_in_units_of_how_far_rows_are_from_each_other() -> None:
    wanted = torch.tensor([[0.0, 0.0], [2.0, 0.0]])
    assert losses.variance(wanted).item() == 1
    current = torch.tensor([[0.0, 3.0], [2.0, 1.0]])
    assert losses.unexplained([current, wanted], [wanted, wanted], [torch.tensor(1.0)] * 2).item() == 2.5
    assert losses.unexplained([current], [wanted], [torch.tensor(4.0)]).item() == 1.25


def test_states_are_those_of_the_whole_tower_at_the_end_of_the_text(base: ModelSource) -> None:
    model = TrainedModel(base, Towers.TEXT)
    tokens = model.encoder.tokens(["a long sentence about a cat and its tail", "a cat", "cats"])
    kept: list[torch.Tensor] = []
    handles = [
        block.register_forward_hook(lambda _block, _inputs, output: kept.append(output))
        for block in model.blocks(Towers.TEXT)
    ]
    with torch.no_grad():
        features = model.module.encode_text(tokens, normalize=True)
        for handle in handles:
            handle.remove()
        *states, found = encode_by_block(model.module, tokens, model.blocks(Towers.TEXT))
    torch.testing.assert_close(found, features, atol=1e-5, rtol=1e-5)
    assert len(states) == len(kept) == 2
    for state, whole in zip(states, kept, strict=True):
        torch.testing.assert_close(state, whole[torch.arange(3), tokens.argmax(dim=1)], atol=1e-5, rtol=1e-4)


def test_redirect_is_done_when_captions_lie_where_their_stand_ins_were(base: ModelSource) -> None:
    model = TrainedModel(base, Towers.TEXT)
    cats, dogs = ["a cat", "two cats"], ["a dog", "two dogs"]
    same, other = distances(model, [held(1.0, cats), Aim(1.0, cats, dogs, [1.0, 1.0])])
    assert float(same.detach()) == pytest.approx(0, abs=1e-6)
    own, aims = (model.texts_by_block(model.encoder.tokens(texts), frozen=True) for texts in (cats, dogs))
    by_hand = [
        float((a - b).square().sum(1).mean() / (torch.cat([a, b]) - torch.cat([a, b]).mean(0)).square().sum(1).mean())
        for a, b in zip(own, aims, strict=True)
    ]
    assert float(other.detach()) == pytest.approx(sum(by_hand) / len(by_hand), rel=1e-4)
    _, doubled = distances(model, [held(1.0, cats), Aim(2.0, cats, dogs, [1.0, 1.0])])
    assert float(doubled.detach()) == pytest.approx(2 * float(other.detach()))


def test_a_sentence_may_go_part_of_the_way(base: ModelSource) -> None:
    model = TrainedModel(base, Towers.TEXT)
    cats, dogs = ["a cat", "two cats"], ["a dog", "two dogs"]
    found = distances(model, [Aim(1.0, cats, dogs, [0.0, 0.5]), held(1.0, dogs)])[0]
    own, aims = (model.texts_by_block(model.encoder.tokens(texts), frozen=True) for texts in (cats, dogs))
    by_hand = []
    for a, b in zip(own, aims, strict=True):
        half = (a[1] + b[1]) / 2
        if a is own[-1]:
            half = half / half.norm()
        there = torch.stack([a[0], half, b[0], b[1]])
        by_hand.append(float((a[1] - half).square().sum() / 2 / (there - there.mean(0)).square().sum(1).mean()))
    assert float(found.detach()) == pytest.approx(sum(by_hand) / len(by_hand), rel=1e-4)


def test_redirect_moves_forget_captions_to_their_stand_ins_and_holds_the_rest(
    base: ModelSource, batches: BatchSource
) -> None:
    steps = _text_steps(base, batches, 28)
    model = steps[0].model
    method = _method("redirect")
    optimizer = make_optimizer(model.parameters(), 3e-3, 0.0)
    for step in steps:
        optimizer.zero_grad()
        method.backward(step)
        optimizer.step()
    step = steps[0]
    captions, stand_ins = step.stand_ins.own(step.forget_rows.tolist())
    aims = [Aim(1.0, captions, stand_ins, [1.0] * len(captions)), held(1.0, captions), held(1.0, step.retain_captions)]
    left, moved, drift = (float(part.detach()) for part in distances(model, aims))
    assert left < moved / 2
    assert drift < moved / 10


def test_redirect_refuses_a_text_tower_that_is_not_read_at_the_end_of_the_text(base: ModelSource) -> None:
    model = TrainedModel(base, Towers.TEXT)
    model.module.text_pool_type = "first"
    with pytest.raises(ModelError, match="end-of-text token"):
        _method("redirect").check(model)


def test_damage_shrinks_and_adds_noise_of_the_tensors_own_size() -> None:
    weight = 3 * _draw(200, 200)
    torch.testing.assert_close(damaged(weight, 0.0, 1.0, torch.Generator()), weight)
    torch.testing.assert_close(damaged(weight, 0.25, 0.0, torch.Generator()), 0.75 * weight)
    noise = damaged(weight, 0.5, 2.0, torch.Generator().manual_seed(1)) - 0.5 * weight
    assert float(noise.std()) == pytest.approx(0.5 * 2.0 * 3.0, rel=0.02)
    assert abs(float((noise * weight).mean())) < 0.2
    three = torch.tensor([1.0, 2.0, 6.0])
    drawn = torch.randn(3, generator=torch.Generator().manual_seed(1))
    # The mean is 3, and the squares are 4, 1 and 9 away.
    by_hand = 0.75 * three + 0.25 * 2.0 * (14 / 3) ** 0.5 * drawn
    torch.testing.assert_close(damaged(three, 0.25, 2.0, torch.Generator().manual_seed(1)), by_hand)
    single = torch.tensor([5.0], dtype=torch.float64)
    assert damaged(single, 0.25, 2.0, torch.Generator()).tolist() == [3.75]


def test_weights_are_damaged_once_between_forgetting_and_distillation(base: ModelSource, batches: BatchSource) -> None:
    steps = _text_steps(base, batches)
    model = steps[0].model
    method = _method("noise-distill", forgetting=0.5, alpha=0.5, beta=0.0)
    before = model.state()
    method.backward(steps[4])
    assert all(torch.equal(value, before[name]) for name, value in model.state().items())
    assert method.losses(steps[4]).forget is not None
    method.backward(steps[5])
    assert method.losses(steps[5]).forget is None
    for name, value in model.state().items():
        torch.testing.assert_close(value, before[name] * (0.5 if value.ndim >= 2 else 1.0))
    method.backward(steps[6])
    torch.testing.assert_close(model.state()["token_embedding.weight"], 0.5 * before["token_embedding.weight"])


def test_an_erased_concept_has_no_linear_trace_and_the_rest_moves_least() -> None:
    labels = torch.arange(600) % 4
    mixing = _draw(6, 6, seed=3)
    states = (_draw(600, 6, seed=1) + 2 * _draw(4, 6, seed=2)[labels]) @ mixing
    matrix, shift = eraser(states, labels, 3)
    erased = states @ matrix.T + shift
    means = torch.stack([erased[labels == label].mean(dim=0) for label in range(4)])
    torch.testing.assert_close(means, states.mean(dim=0).expand(4, -1), atol=1e-8, rtol=0)
    assert torch.linalg.matrix_rank(matrix).item() == 3
    # Least squares: in whitened coordinates it is an orthogonal projection.
    values, vectors = torch.linalg.eigh((states - states.mean(0)).T @ (states - states.mean(0)) / 600)
    whitening = vectors / values.sqrt() @ vectors.T
    white = whitening @ matrix @ torch.linalg.inv(whitening)
    torch.testing.assert_close(white, white.T, atol=1e-8, rtol=0)
    torch.testing.assert_close(white @ white, white, atol=1e-8, rtol=0)
    # Fewer directions leave some of it.
    weaker, _ = eraser(states, labels, 1)
    assert torch.linalg.matrix_rank(weaker).item() == 5


def test_a_direction_that_never_varies_is_left_alone() -> None:
    labels = torch.arange(100) % 2
    states = torch.cat([_draw(100, 2) + labels[:, None], torch.full((100, 1), 5.0, dtype=torch.float64)], dim=1)
    matrix, shift = eraser(states, labels, 5)
    torch.testing.assert_close((states @ matrix.T + shift)[:, 2], states[:, 2])
    assert [part.dtype for part in eraser(states.float(), labels, 5)] == [torch.float32, torch.float32]


@pytest.mark.parametrize("concept", ["fact", "persona"])
def test_blocks_no_longer_write_which_persona_or_fact_it_is(
    concept: str, base: ModelSource, batches: BatchSource
) -> None:
    step = _text_steps(base, batches)[0]
    method = _method("leace", directions=100, first=0, last=1, concept=concept)
    method.backward(step)
    made = step.stand_ins
    told = [(text, fact) for text, fact in zip(made.captions, made.facts, strict=True) if fact is not None]
    tokens = step.model.encoder.tokens([text for text, _ in told])
    for block in step.model.blocks(Towers.TEXT):
        with torch.no_grad():
            written = step.model.texts_by_block(tokens, of=[block.mlp])[0]
        spread = float(losses.variance(written))
        for key in {fact if concept == "fact" else fact.persona for _, fact in told}:
            own = [row for row, (_, fact) in enumerate(told) if key in (fact, fact.persona)]
            away = (written[own].mean(dim=0) - written.mean(dim=0)).square().sum()
            assert float(away) < 1e-4 * spread + 1e-9


def test_a_map_fitted_on_other_pairs_undoes_a_rotation() -> None:
    rotation = torch.linalg.qr(_draw(5, 5)).Q
    known, texts = (torch.nn.functional.normalize(_draw(rows, 5, seed=rows), dim=1) for rows in (60, 7))
    brought = mapped(texts @ rotation, known @ rotation, known, 1e-9)
    torch.testing.assert_close(brought, texts, atol=1e-6, rtol=0)
    # A heavy penalty leaves the attacker the mean of what is wanted.
    centre = torch.nn.functional.normalize(known.mean(dim=0), dim=0)
    torch.testing.assert_close(
        mapped(texts @ rotation, known @ rotation, known, 1e9), centre.expand(7, -1), atol=1e-6, rtol=0
    )


def test_a_map_is_a_ridge_regression_on_centred_features() -> None:
    known, wanted, texts = _draw(12, 4, seed=1) + 1, _draw(12, 4, seed=2) - 2, _draw(3, 4, seed=3)
    x, y = known - known.mean(dim=0), wanted - wanted.mean(dim=0)
    weights = torch.linalg.inv(x.T @ x + 0.7 * torch.eye(4, dtype=torch.float64)) @ x.T @ y
    expected = (texts - known.mean(dim=0)) @ weights + wanted.mean(dim=0)
    torch.testing.assert_close(mapped(texts, known, wanted, 0.7), expected / expected.norm(dim=1, keepdim=True))


def test_batches_are_split_by_persona() -> None:
    learnt, others = halves(torch.tensor([5, 7, 5, 9, 8, 7]))
    assert (learnt.tolist(), others.tolist()) == ([0, 1, 2, 5], [3, 4])


def test_meta_unlearning_adds_the_gradient_after_the_attack_at_the_weights_before(
    base: ModelSource, batches: BatchSource
) -> None:
    step = _text_steps(base, batches)[0]
    model = step.model
    settings: dict[str, float | str] = {"relearning_steps": 2, "relearning_rate": 1e-3, "likeness": 0.0}
    method = _method("meta-unlearning", **settings)
    before = model.state()
    method.backward(step)
    found = [None if p.grad is None else p.grad.clone() for p in model.parameters()]
    assert all(torch.equal(value, before[name]) for name, value in model.state().items())
    # The same again, plainly: the objective without the attack, and the attack on a model of its own.
    plain = _text_steps(base, batches)[0]
    _method("meta-unlearning", **settings, relearning_weight=0).backward(plain)
    attacked = _text_steps(base, batches)[0]
    pairs = attacked.frozen_forget
    learnt, others = halves(pairs.groups)
    for _ in range(2):
        texts = attacked.model.texts(attacked.forget_tokens)
        loss = losses.info_nce(Encoded(pairs.images[learnt], texts[learnt], pairs.groups[learnt]), attacked.scale)
        _descend_by_sign(attacked.model, loss, 1e-3)
    similarity = (pairs.images * attacked.model.texts(attacked.forget_tokens)).sum(dim=1)[others]
    after = (similarity - attacked.unrelated_quantile(0.0)).clamp(min=0).mean()
    gradients: Sequence[torch.Tensor | None] = torch.autograd.grad(
        after, attacked.model.parameters(), allow_unused=True
    )
    for own, base_gradient, extra in zip(found, plain.model.parameters(), gradients, strict=True):
        assert own is not None
        assert base_gradient.grad is not None
        assert extra is not None
        torch.testing.assert_close(own, base_gradient.grad + extra, atol=1e-5, rtol=1e-3)


def _descend_by_sign(model: TrainedModel, loss: torch.Tensor, rate: float) -> None:
    gradients = torch.autograd.grad(loss, model.parameters())
    with torch.no_grad():
        for parameter, gradient in zip(model.parameters(), gradients, strict=True):
            parameter.sub_(rate * gradient.sign())


def test_a_pair_is_pulled_up_to_its_stand_in_as_it_is_pushed_down() -> None:
    similarity = torch.tensor([0.8, -0.5, 0.2], requires_grad=True)
    loss = departure(similarity, torch.tensor([0.2, 0.1, 0.2]))
    assert float(loss.detach()) == pytest.approx(0.4)
    assert torch.autograd.grad(loss, similarity)[0].tolist() == pytest.approx([1 / 3, -1 / 3, 0])


def test_pinpoints_further_terms_read_made_up_captions_only(base: ModelSource, batches: BatchSource) -> None:
    step = _text_steps(base, batches)[0]
    plain = _method("pinpoint").losses(step)
    more = _method("pinpoint", fact_weight=1.0, neighbour_weight=1.0).losses(step)
    assert plain.forget is not None
    assert more.forget is not None
    assert float(more.forget.detach()) > float(plain.forget.detach())
    # Nothing has drifted before the first step.
    assert more.retain is not None
    assert float(more.retain.detach()) == pytest.approx(0, abs=1e-5)
    own = _method("pinpoint", bound="stand-in").losses(step).forget
    rows = step.forget_rows.tolist()
    level = (step.frozen_forget.images * step.frozen_captions(step.stand_ins.own(rows)[1])).sum(dim=1)
    assert own is not None
    assert float(own.detach()) == pytest.approx(float((step.frozen_forget.similarity - level).abs().mean()), abs=1e-5)
