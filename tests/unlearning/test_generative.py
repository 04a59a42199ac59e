"""Generative objectives by hand on tiny tensors, what a run on CLEAR may read, and runs of small models that write."""

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from salmu_demo.cli.main import run
from salmu_demo.core.errors import DataError, ModelError, QueryError
from salmu_demo.core.progress import Progress, Unit
from salmu_demo.data import layout
from salmu_demo.data.dataset import BenchmarkData, Question
from salmu_demo.data.forget_requests import ForgetRequest
from salmu_demo.data.source import load_data
from salmu_demo.features.view import FeatureView
from salmu_demo.models.encoder import Encoder
from salmu_demo.models.optimisation import make_optimizer
from salmu_demo.models.references import find_model
from salmu_demo.models.source import ModelSource
from salmu_demo.unlearning import UNRELATED, Modality, Towers
from salmu_demo.unlearning.batches import BatchSource
from salmu_demo.unlearning.methods import Form, GenerativeMethod, TrainedMethod, all_methods, find_method
from salmu_demo.unlearning.methods.rmu import steering_target
from salmu_demo.unlearning.methods.scrub_bio import turned_away
from salmu_demo.unlearning.plan import StopRules, UnlearningPlan, make_plan
from salmu_demo.unlearning.refusals import REFUSALS, Sort
from salmu_demo.unlearning.rows import UnlearningRows, clear_rows, rows_of_run
from salmu_demo.unlearning.step import Steps
from salmu_demo.unlearning.text_losses import DecoderOutput, probability, text_loss, token_entropy, token_kl
from salmu_demo.unlearning.text_step import TextSide, TextSteps
from salmu_demo.unlearning.texts import (
    NAME_BEGINNING,
    NO_IMAGE,
    TextSet,
    TextSource,
    TrainingText,
    blank_image,
    examples_of,
)
from salmu_demo.unlearning.towers import TrainedModel
from salmu_demo.unlearning.trainer import unlearn
from tests.fixtures.clear import FORGOTTEN, KEPT, rows_of, write, write_release
from tests.fixtures.tiny import COCA_CONFIG, write_model

pytestmark = pytest.mark.usefixtures("plain_curves")
CONTEXT = 72
GENERATIVE = [spec.name for spec in all_methods(Form.GENERATIVE)]
VISUAL = [spec.name for spec in all_methods(Form.VISUAL)]

# Two texts of three and of two tokens, the first of which is given, over a vocabulary of four.
LABELS = torch.tensor([[1, 2, 3, 1], [2, 3, 1, 0]])
COUNTED = torch.tensor([[False, True, True, True], [False, True, True, False]])


def written(seed: int) -> DecoderOutput:
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(2, 4, 4, generator=generator, dtype=torch.float64)
    return DecoderOutput(logits, LABELS, COUNTED)


def log_softmax(logits: np.ndarray) -> np.ndarray:
    return np.log(np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True))


def tokens_of(one: DecoderOutput) -> list[list[float]]:
    """Log probabilities of the counted tokens, one list for each text, read one by one."""
    predicted = log_softmax(one.logits.numpy())
    return [
        [float(predicted[row, place, LABELS[row, place]]) for place in range(4) if COUNTED[row, place]]
        for row in range(2)
    ]


def loss_of(one: DecoderOutput) -> float:
    return float(np.mean([-np.mean(text) for text in tokens_of(one)]))


def sums_of(one: DecoderOutput) -> list[float]:
    return [sum(text) for text in tokens_of(one)]


def kl_of(frozen: DecoderOutput, current: DecoderOutput) -> float:
    p, q = (log_softmax(one.logits.numpy()) for one in (frozen, current))
    each = (np.exp(p) * (p - q)).sum(axis=2)
    return float(np.mean([np.mean(each[row][COUNTED[row].numpy()]) for row in range(2)]))


SIDES = {
    side: {name: written(seed + number) for number, name in enumerate(("own", "frozen", "refusal", "frozen_refusal",
                                                                      "other"))}
    for seed, side in ((10, "forget"), (20, "retain"))
}  # fmt: skip
F, R = SIDES["forget"], SIDES["retain"]
DPO_MARGIN = [
    (refused - own) - (refused_before - own_before)
    for refused, own, refused_before, own_before in zip(
        sums_of(F["refusal"]), sums_of(F["own"]), sums_of(F["frozen_refusal"]), sums_of(F["frozen"]), strict=True
    )
]
RATIO = [now - before for now, before in zip(sums_of(F["own"]), sums_of(F["frozen"]), strict=True)]
BY_HAND: dict[str, tuple[dict[str, Any], float | None, float | None]] = {
    "finetune": ({}, None, loss_of(R["own"])),
    "ga": ({}, -loss_of(F["own"]), None),
    "gd": ({"forget_weight": 0.5, "retain_weight": 2.0}, -0.5 * loss_of(F["own"]), 2 * loss_of(R["own"])),
    "kl": ({"retain_weight": 3.0}, -loss_of(F["own"]), 3 * kl_of(R["frozen"], R["own"])),
    "idk": ({"retain_weight": 2.0}, loss_of(F["refusal"]), 2 * loss_of(R["own"])),
    "dpo": (
        {"beta": 0.5, "task_weight": 0.25, "retain_weight": 2.0},
        0.25 * loss_of(F["refusal"]) + float(np.mean([math.log(1 + math.exp(-0.5 * m)) for m in DPO_MARGIN])),
        2 * kl_of(R["frozen"], R["own"]),
    ),
    "npo": (
        {"beta": 0.5, "retain_weight": 2.0},
        float(np.mean([2 / 0.5 * math.log(1 + math.exp(ratio) ** 0.5) for ratio in RATIO])),
        2 * loss_of(R["own"]),
    ),
    "llmu": (
        {"ascent_weight": 0.2, "answer_weight": 0.5, "retain_weight": 2.0},
        -0.2 * loss_of(F["own"]) + 0.5 * loss_of(F["refusal"]),
        2 * kl_of(R["frozen"], R["own"]),
    ),
    "sku": (
        {"guided_weight": 2.0, "random_weight": 3.0, "departure_weight": 0.5, "bound": 50.0},
        2 * loss_of(F["own"]) + 3 * loss_of(F["other"]),
        -0.5 * kl_of(R["frozen"], R["own"]),
    ),
}


def step_of(number: int = 0, **more: Any) -> Any:
    sides = {side: SimpleNamespace(**texts) for side, texts in SIDES.items()}
    return SimpleNamespace(number=number, total=10, **sides, **more)


@pytest.mark.parametrize("name", BY_HAND)
def test_an_objective_is_what_a_plain_computation_gives(name: str) -> None:
    settings, forget, retain = BY_HAND[name]
    method = find_method(name, Modality.BOTH).configure(settings)
    assert isinstance(method, GenerativeMethod)
    found = method.losses(step_of())
    for half, expected in ((found.forget, forget), (found.retain, retain)):
        assert (half is None) is (expected is None)
        if half is not None:
            assert float(half) == pytest.approx(expected)


def test_every_generative_method_is_computed_by_hand() -> None:
    assert {*BY_HAND, "scrub", "rmu"} == set(GENERATIVE)


def test_scrub_takes_turns_and_its_departure_is_bounded() -> None:
    scrub = find_method("scrub", Modality.TEXT).configure({"alpha": 2.0, "gamma": 3.0, "bound": 1e2})
    assert isinstance(scrub, GenerativeMethod)
    first, second, late = (scrub.losses(step_of(number)) for number in (0, 1, 9))
    assert (first.forget, second.retain, late.forget) == (None, None, None)
    assert first.retain is not None
    assert second.forget is not None
    assert float(first.retain) == pytest.approx(2 * kl_of(R["frozen"], R["own"]) + 3 * loss_of(R["own"]))
    assert float(second.forget) == pytest.approx(-kl_of(F["frozen"], F["own"]))
    bounded = replace(scrub, bound=0.01).losses(step_of(1)).forget
    assert bounded is not None
    assert float(bounded) == pytest.approx(-0.01)


def test_rmu_steers_one_layer_of_the_decoder_and_holds_it() -> None:
    generator = torch.Generator().manual_seed(3)
    states = {
        (side, frozen): torch.randn(5, 3, generator=generator, dtype=torch.float64)
        for side in ("forget", "retain")
        for frozen in (True, False)
    }
    asked: list[int] = []

    def side(name: str) -> Any:
        def of(layer: int, frozen: bool) -> torch.Tensor:
            asked.append(layer)
            return states[name, frozen]

        return SimpleNamespace(states=of)

    step = SimpleNamespace(
        model=SimpleNamespace(decoder_layers=lambda: range(4)),
        run_generator=lambda purpose: torch.Generator().manual_seed(0),
        forget=side("forget"),
        retain=side("retain"),
    )
    rmu = find_method("rmu", Modality.BOTH).configure({"depth": 1.0, "strength": 2.0, "alpha": 5.0})
    assert isinstance(rmu, GenerativeMethod)
    found = rmu.losses(step)  # type: ignore[arg-type] # what an objective reads of a step
    draw = torch.rand(3, generator=torch.Generator().manual_seed(0))
    target = steering_target(states["forget", True], draw / draw.norm(), 2.0).numpy()
    forget = ((states["forget", False].numpy() - target) ** 2).mean()
    retain = ((states["retain", False].numpy() - states["retain", True].numpy()) ** 2).mean()
    assert set(asked) == {3}
    assert found.forget is not None
    assert found.retain is not None
    assert (float(found.forget), float(found.retain)) == pytest.approx((forget, 5 * retain))


def test_entropy_and_probability_by_hand() -> None:
    one = F["own"]
    predicted = log_softmax(one.logits.numpy())
    entropy = -(np.exp(predicted) * predicted).sum(axis=2)
    expected = np.mean([np.mean(entropy[row][COUNTED[row].numpy()]) for row in range(2)])
    assert float(token_entropy(one)) == pytest.approx(expected)
    climbed = find_method("ga", Modality.TEXT).configure({"objective": "entropy"})
    assert isinstance(climbed, GenerativeMethod)
    loss = climbed.losses(step_of()).forget
    assert loss is not None
    assert float(loss) == pytest.approx(-expected)
    assert probability(one).tolist() == pytest.approx([math.exp(np.mean(text)) for text in tokens_of(one)])
    even = DecoderOutput(torch.zeros(2, 4, 4), LABELS, COUNTED)
    assert float(token_entropy(even)) == pytest.approx(math.log(4))
    assert probability(even).tolist() == pytest.approx([0.25, 0.25])


@pytest.mark.parametrize(
    "objective",
    [text_loss, token_entropy, lambda one: token_kl(F["frozen"], one), lambda one: one.log_likelihood.sum()],
)
def test_gradients_are_those_of_finite_differences(objective: Callable[[DecoderOutput], torch.Tensor]) -> None:
    start = F["own"].logits.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda logits: objective(DecoderOutput(logits, LABELS, COUNTED)), start)


def test_what_is_given_or_padding_has_no_gradient() -> None:
    logits = F["own"].logits.clone().requires_grad_()
    gradient = torch.autograd.grad(text_loss(DecoderOutput(logits, LABELS, COUNTED)), logits)[0]
    assert (gradient.abs().sum(dim=2) > 0).tolist() == COUNTED.tolist()


def test_an_embedding_is_turned_away_until_it_is_at_a_right_angle() -> None:
    former = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    current = torch.tensor([[0.6, 0.8], [-1.0, 0.0], [1.0, 0.0]])
    assert float(turned_away(current, former)) == pytest.approx(0.2)


# What a run on CLEAR reads.


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_release(tmp_path_factory.mktemp("clear"))


@pytest.fixture(autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SALMU_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "generative-cache"))


@pytest.fixture
def clear(folder: Path) -> BenchmarkData:
    return load_data(f"clear:{folder}")


@pytest.fixture(scope="module")
def writer(tmp_path_factory: pytest.TempPathFactory) -> ModelSource:
    config: dict[str, Any] = json.loads(json.dumps(COCA_CONFIG))
    for part in ("text_cfg", "multimodal_cfg"):
        config["model_cfg"][part]["context_length"] = CONTEXT
    return find_model(f"local-dir:{write_model(tmp_path_factory.mktemp('coca') / 'writer', config)}")


@pytest.fixture
def model(writer: ModelSource) -> TrainedModel:
    return TrainedModel(writer, Towers.BOTH)


@pytest.fixture
def source(clear: BenchmarkData, model: TrainedModel, writer: ModelSource) -> Iterator[TextSource]:
    with TextSource(clear_rows(clear, Modality.BOTH), model.captioner, FeatureView(writer, clear)) as made:
        yield made


def people(examples: list[TrainingText]) -> set[str]:
    return {name for name in (*FORGOTTEN, *KEPT) for example in examples if name in example.text}


@pytest.mark.parametrize(
    ("modality", "sorts"),
    [
        (Modality.BOTH, {Sort.CAPTION, Sort.NAME, Sort.ANSWER}),
        (Modality.TEXT, {Sort.ANSWER}),
        (Modality.VISUAL, {Sort.CAPTION, Sort.NAME}),
    ],
)
def test_a_modality_chooses_rows_of_both_sides(clear: BenchmarkData, modality: Modality, sorts: set[Sort]) -> None:
    rows = clear_rows(clear, modality)
    questions = rows.questions or (None, None)
    forget = examples_of(rows.forget, questions[0])
    retain = examples_of(rows.retain, questions[1])
    assert {example.sort for example in forget} == {example.sort for example in retain} == sorts
    for examples, names in ((forget, set(FORGOTTEN)), (retain, set(KEPT))):
        # The questions of the fixture are about some of them.
        assert people(examples) == names or (modality is Modality.TEXT and people(examples) < names)
        assert people(examples)
    assert len(forget) == rows.forget_texts
    for example in forget:
        assert (example.image == NO_IMAGE) is (example.sort is Sort.ANSWER)


def test_what_is_said_of_a_row_is_what_the_configurations_hold(clear: BenchmarkData) -> None:
    rows = clear_rows(clear, Modality.BOTH)
    assert rows.questions is not None
    found = examples_of(rows.forget, rows.questions[0])
    images, asked = rows_of("forget10"), [row for row in rows_of("forget10+tofu") if row["image"] is None]
    assert len(asked) < len(rows_of("forget10+tofu"))  # the others are the images again
    assert [(e.beginning, e.text) for e in found] == [
        *(pair for row in images for pair in (("", row["caption"]), (NAME_BEGINNING, row["name"]))),
        *((row["question"], row["answer"]) for row in asked),
    ]


def test_no_image_of_another_split_is_decoded(
    folder: Path, writer: ModelSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # An empty cache, so that everything a run reads is read now.
    monkeypatch.setenv("SALMU_CACHE_DIR", str(tmp_path / "cache"))
    seen: set[tuple[str, str]] = set()
    image = BenchmarkData.encoded_image

    def spy(self: BenchmarkData, split: str, row: int) -> bytes:
        seen.add((self.name.partition("#")[2], split))
        return image(self, split, row)

    monkeypatch.setattr(BenchmarkData, "encoded_image", spy)
    fresh = load_data(f"clear:{folder}#forget05")
    for number, modality in enumerate((Modality.TEXT, Modality.BOTH)):
        plan = replace(small_plan("finetune" if modality is Modality.BOTH else "idk", modality), budget=16)
        unlearn(FeatureView(writer, fresh), plan, tmp_path / str(number))
        expected = {("forget05", split) for split in (layout.FORGET, layout.HOLDOUT_IDENTITY)}
        assert seen == (set() if modality is Modality.TEXT else expected)


def test_rows_that_no_modality_gives_are_refused(clear: BenchmarkData) -> None:
    rows = clear_rows(clear, Modality.BOTH)
    assert rows.questions is not None
    forget, retain = rows.questions
    faces = replace(rows.retain[0], split=clear.split(layout.RETAIN_SYNTH))
    hard = replace(rows.forget[0], split=clear.split(layout.FORGET_PERTURBED))
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"retain": (faces,)}, "may not read rows of retain_synth"),
        ({"forget": (hard,)}, "may not read rows of forget_perturbed"),
        ({"forget": rows.retain}, "may not read rows of holdout_identity"),
        ({"modality": Modality.TEXT}, "may not read images"),
        ({"modality": Modality.VISUAL}, "was given the questions of another one"),
        ({"questions": None}, "was given the questions of another one"),
        ({"questions": (retain, forget)}, "may not forget the questions of retain90"),
        ({"questions": (forget, replace(retain, configuration="retain95"))}, "retain those of retain95"),
    ]
    for change, words in wrong:
        with pytest.raises(DataError, match=words):
            replace(rows, **change)


def test_runs_on_other_rows_have_other_keys(clear: BenchmarkData) -> None:
    keys = {clear_rows(clear, modality).key for modality in Modality}
    assert len(keys | {clear.fingerprint}) == 4


def test_a_few_rows_of_each_kind_can_be_taken(clear: BenchmarkData) -> None:
    rows = clear_rows(clear, Modality.BOTH, most=2)
    assert rows.questions is not None
    assert [len(part.split) for part in (*rows.forget, *rows.retain)] == [2, 2]
    assert [len(each) for each in rows.questions] == [2, 2]
    assert rows.forget_texts == 6


# What a decoder is given.


def test_texts_are_as_likely_as_the_captioner_finds_them(
    source: TextSource, model: TrainedModel, clear: BenchmarkData
) -> None:
    """The captioner reads each text by itself, its image and what is given; here all are in one padded batch."""
    captioner, encoder = model.captioner, model.encoder
    rows = np.array([0, 1, 4, len(source.forget) - 1])
    examples = [source.forget.examples[row] for row in rows]
    assert {example.sort for example in examples} == set(Sort)
    images = [
        blank_image(encoder).numpy()
        if example.image == NO_IMAGE
        else encoder.pixels(clear.image(layout.FORGET, example.image))
        for example in examples
    ]
    with torch.no_grad():
        seen = captioner.look(np.stack(images), fill=False)
        likely = captioner.log_likelihoods(
            seen, [e.text for e in examples], [e.beginning for e in examples], fill=False
        )
        side = TextSide(model, source.forget, rows, rows[:0], torch.Generator())
        own, frozen = side.own, side.frozen
    assert own.log_likelihood.tolist() == pytest.approx([row.sum() for row in likely], rel=1e-4)
    assert probability(own).tolist() == pytest.approx([math.exp(row.mean()) for row in likely], rel=1e-4)
    torch.testing.assert_close(own.logits, frozen.logits)


def test_refusals_and_texts_about_others_follow_what_is_given(source: TextSource, model: TrainedModel) -> None:
    texts, tokenizer = source.forget, model.encoder.tokenizer

    def read(text: str) -> str:
        return str(tokenizer.decode(tokenizer.encode(text)))

    rows = np.arange(len(texts))
    refused = texts.refusals(rows, torch.Generator().manual_seed(0))
    others = texts.others(rows, torch.Generator().manual_seed(0))
    for row, example in enumerate(texts.examples):
        said, other = (
            tokenizer.decode(batch.tokens[row][batch.tokens[row] != 0].tolist()[int(batch.given[row]) : -1])
            for batch in (refused, others)
        )
        assert said in [read(text) for text in REFUSALS[example.sort]]
        if example.sort is not Sort.ANSWER:  # all questions of this fixture are one
            assert other in {read(rival.text) for rival in texts.examples if rival.sort is example.sort}
            assert other not in {read(own.text) for own in texts.examples if own.about == example.about}


def test_the_blank_image_is_nothing_to_the_model(model: TrainedModel) -> None:
    inputs = model.encoder.inputs(blank_image(model.encoder)[None])
    assert float(inputs.abs().max()) < 0.02
    assert inputs.shape == (1, 3, *model.encoder.image_size)


# Runs.


def small_plan(name: str, modality: Modality, **more: Any) -> UnlearningPlan:
    method = find_method(name, modality).configure({"batch_size": 8, "learning_rate": 1e-3})
    return UnlearningPlan(method, method.spec.towers[0], budget=48, checkpoints=3, modality=modality, **more)


@pytest.mark.parametrize("name", GENERATIVE)
def test_a_method_goes_down_its_own_objective(name: str, model: TrainedModel, source: TextSource) -> None:
    method = find_method(name, Modality.BOTH).configure({"learning_rate": 2e-4})
    assert isinstance(method, GenerativeMethod)
    steps = TextSteps(model, source, 12, 10, seed=0)
    optimizer = make_optimizer(model.parameters(), method.learning_rate, 0.0)
    values = []
    for _ in range(6):
        optimizer.zero_grad()
        values.append(method.backward(steps[0]))
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    assert values[-1] < values[0]


@pytest.mark.parametrize("name", GENERATIVE)
def test_a_run_makes_a_model_that_loads_and_differs(
    name: str, clear: BenchmarkData, writer: ModelSource, tmp_path: Path
) -> None:
    plan = replace(small_plan(name, Modality.BOTH), budget=16, checkpoints=1)
    record = unlearn(FeatureView(writer, clear), plan, tmp_path / "model")
    made = find_model(f"local-dir:{tmp_path / 'model'}")
    assert made.fingerprint != writer.fingerprint
    assert Encoder(made).encode_texts(["a cat"]).shape == (1, 16)
    assert [reading.step for reading in record.curve] == [0, 2]
    assert record.curve[-1].quantity == "probability"
    assert record.plan["modality"] == "both"
    card = (tmp_path / "model" / "README.md").read_text("utf-8")
    assert "--modality both" in card
    assert "12 captioned images of forget and 6 questions of forget10 to forget" in card
    assert "holdout row" not in card


@pytest.mark.parametrize("name", VISUAL)
def test_a_visual_method_changes_the_image_tower_alone(
    name: str, clear: BenchmarkData, writer: ModelSource, tmp_path: Path
) -> None:
    start = Encoder(writer).model.state_dict()
    plan = replace(small_plan(name, Modality.VISUAL), budget=16, checkpoints=1)
    record = unlearn(FeatureView(writer, clear), plan, tmp_path / "model")
    now = Encoder(find_model(f"local-dir:{tmp_path / 'model'}")).model.state_dict()
    changed = {tensor for tensor, value in now.items() if not torch.equal(value, start[tensor])}
    assert changed
    assert all(tensor.startswith("visual.") for tensor in changed)
    assert record.curve[-1].quantity == "similarity"
    assert "questions" not in record.rows


def test_scrub_bio_has_a_gradient_at_the_start(clear: BenchmarkData, writer: ModelSource) -> None:
    trained = TrainedModel(writer, Towers.IMAGE)
    with BatchSource(clear_rows(clear, Modality.VISUAL), trained.encoder, FeatureView(writer, clear)) as batches:
        step = Steps(trained, batches, 8, 2, seed=0)[0]
        method = find_method("scrub-bio", Modality.VISUAL).method()
        assert isinstance(method, TrainedMethod)
        method.backward(step)
    norms = [parameter.grad.norm() for parameter in trained.parameters() if parameter.grad is not None]
    assert float(torch.stack(norms).max()) > 1e-5


def test_a_killed_run_ends_as_if_undisturbed(clear: BenchmarkData, writer: ModelSource, tmp_path: Path) -> None:
    class Killed(Exception):  # noqa: N818 - not an error
        pass

    def kill(progress: Progress) -> None:
        if progress.unit is Unit.STEPS and progress.done == 3:
            raise Killed

    # It draws refusals at random in every step, so a generator that is not resumed would show.
    plan = small_plan("dpo", Modality.BOTH)
    unlearn(FeatureView(writer, clear), plan, tmp_path / "whole" / "model")
    with pytest.raises(Killed):
        unlearn(FeatureView(writer, clear, progress=kill), plan, tmp_path / "killed" / "model")
    unlearn(FeatureView(writer, clear), plan, tmp_path / "killed" / "model")
    for file in (tmp_path / "whole" / "model").iterdir():
        assert file.read_bytes() == (tmp_path / "killed" / "model" / file.name).read_bytes(), file.name


def test_a_run_stops_where_its_texts_are_as_unlikely_as_others(
    clear: BenchmarkData, writer: ModelSource, tmp_path: Path
) -> None:
    view = FeatureView(writer, clear)
    for number, (stop, words) in enumerate(
        [
            (StopRules(0.9), "the forget probability reached 0.900"),
            (StopRules(UNRELATED), "the forget probability reached"),
            (StopRules(retain_drop=1e-6), "the retain probability fell below"),
        ]
    ):
        record = unlearn(view, small_plan("ga", Modality.VISUAL, stop=stop), tmp_path / str(number))
        assert record.ended.startswith(words) or record.ended == "the budget is spent"
        if number == 0:
            assert record.ended == words
            assert record.curve[-1].step == 2


# Bad input.


def refused(data: BenchmarkData, base: ModelSource, tmp_path: Path, modality: str, method: str = "idk") -> str:
    plan = make_plan(method, {"batch_size": 8}, budget=16, modality=modality)
    with pytest.raises((DataError, ModelError, QueryError)) as caught:
        unlearn(FeatureView(base, data), plan, tmp_path / "model")
    assert not (tmp_path / "model").exists() or not any((tmp_path / "model").iterdir())
    sentence = str(caught.value)
    assert sentence.endswith(".")
    assert "\n" not in sentence
    return sentence


def test_a_model_without_a_decoder_is_refused(clear: BenchmarkData, base: ModelSource, tmp_path: Path) -> None:
    for modality in Modality:
        assert "has no text decoder" in refused(clear, base, tmp_path, modality)


def test_data_that_are_not_clears_are_refused(data: BenchmarkData, writer: ModelSource, tmp_path: Path) -> None:
    assert "mini is not data of CLEAR" in refused(data, writer, tmp_path, "text")


def test_data_without_questions_can_forget_images_only(writer: ModelSource, tmp_path: Path) -> None:
    for configuration in ("forget10", "retain90", "forget10_perturbed", "retain_perturbed"):
        write(tmp_path / "clear", configuration, rows_of(configuration))
    few = load_data(f"clear:{tmp_path / 'clear'}")
    for modality in ("text", "both"):
        sentence = refused(few, writer, tmp_path, modality)
        assert "has no question-answer pairs" in sentence
        assert "forget10+tofu" in sentence
        assert "modality visual" in sentence
    assert clear_rows(few, Modality.VISUAL).questions is None
    about_images = [row for row in rows_of("forget10+tofu") if row["image"] is not None]
    for configuration in ("forget10+tofu", "retain90+tofu"):
        write(tmp_path / "clear", configuration, about_images)
    assert "has no question-answer pairs" in refused(few, writer, tmp_path, "text")


def test_a_configuration_without_two_sides_is_refused(folder: Path, writer: ModelSource, tmp_path: Path) -> None:
    whole = load_data(f"clear:{folder}#full")
    assert "name one of #forget01, #forget05, #forget10" in refused(whole, writer, tmp_path, "both")


def test_a_text_that_is_too_long_is_named(clear: BenchmarkData, model: TrainedModel, writer: ModelSource) -> None:
    rows = clear_rows(clear, Modality.TEXT)
    assert rows.questions is not None

    def with_answer(question: str, answer: str) -> UnlearningRows:
        assert rows.questions is not None
        forget, retain = rows.questions
        pairs = (Question(question=question, answer=answer),)
        return replace(rows, questions=(forget, replace(retain, pairs=pairs)))

    for question, answer, words in (
        ("who?", "a very long answer " * 30, rf"\"a very long answer .* tokens .* reads {CONTEXT}; shorten it"),
        # The answer fits, and some refusals do not.
        (" ".join("x" * (CONTEXT - 6)), "x", "leaves .* no room for an answer"),
        ("who?", " ", "A text to train on is empty"),
    ):
        with pytest.raises(DataError, match=words):
            TextSource(with_answer(question, answer), model.captioner, FeatureView(writer, clear))


def test_a_method_takes_only_the_modalities_that_it_has() -> None:
    with pytest.raises(QueryError, match="There is no modality 'sound'; choose one of both, text, visual"):
        make_plan("idk", {}, modality="sound")
    with pytest.raises(QueryError, match="twins has no form that forgets the modality both; choose visual"):
        make_plan("twins", {}, modality="both")
    with pytest.raises(QueryError, match=r"ssd has no form for models that write.*choose one of dpo, finetune"):
        make_plan("ssd", {}, modality="text")
    with pytest.raises(QueryError, match="The contrastive form of idk does not work on the modality text"):
        UnlearningPlan(find_method("idk").method(), modality=Modality.TEXT)
    with pytest.raises(QueryError, match="cannot be told to change the towers text; choose image"):
        make_plan("twins", {}, towers="text", modality="visual")


def test_requests_are_no_part_of_it(clear: BenchmarkData, writer: ModelSource) -> None:
    with pytest.raises(QueryError, match="forgets the whole of CLEAR's forget set; ask for nobody"):
        rows_of_run(writer, clear, (ForgetRequest("00000001"),), modality=Modality.BOTH)


def test_the_command_on_the_card_makes_the_same_model(
    folder: Path, writer: ModelSource, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    arguments = ["--model", writer.reference, "--data", f"clear:{folder}", "--modality", "text", "--budget", "16"]
    arguments += ["--set", "batch_size=8"]
    assert run(["unlearn", "npo", *arguments, "--output", str(tmp_path / "made")]) == 0
    printed = capsys.readouterr().out
    assert "NPO: 2 steps, the budget is spent." in printed
    assert "forget probability" in printed
    card = (tmp_path / "made" / "README.md").read_text("utf-8")
    again = card[card.index("`salmu-demo unlearn") + 1 :].partition("`")[0].split()[1:]
    assert run([*again[:-1], str(tmp_path / "again")]) == 0
    first, second = (find_model(f"local-dir:{tmp_path / name}").fingerprint for name in ("made", "again"))
    assert first == second


def test_a_data_set_that_is_not_clears_gets_one_sentence(
    writer: ModelSource, capsys: pytest.CaptureFixture[str], tmp_path: Path, tiny_assets: Path
) -> None:
    output = str(tmp_path / "x")
    assert run(["unlearn", "npo", "--model", writer.reference, "--modality", "text", "--output", output]) == 2
    said = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("Note: ")]
    assert len(said) == 1
    assert "mini is not data of CLEAR" in said[0]


def test_texts_of_a_set_without_rivals_stay(model: TrainedModel) -> None:
    alone = [TrainingText(NO_IMAGE, "who?", "it is he", Sort.ANSWER, "who?")]
    texts = TextSet(alone, None, model.captioner)  # type: ignore[arg-type] # no image is read
    rows = np.array([0])
    assert texts.others(rows, torch.Generator()).tokens.tolist() == texts.batch(rows).tokens.tolist()
