"""CLEAR's metrics of a model that writes, against a slow recomputation from its captions and losses."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon
from scipy.stats import ks_2samp

from salmu_demo.cli.main import run
from salmu_demo.core.errors import QueryError
from salmu_demo.data.dataset import BenchmarkData
from salmu_demo.data.source import load_data
from salmu_demo.features.embedder import Embedder
from salmu_demo.features.store import ArrayStore
from salmu_demo.features.view import FeatureView
from salmu_demo.metrics.rouge import rouge_l_recall
from salmu_demo.models import captioner as captioner_module
from salmu_demo.models.captioner import Captioner
from salmu_demo.models.encoder import Encoder
from salmu_demo.models.references import find_model
from salmu_demo.models.source import ModelSource
from salmu_demo.results.document import read_results
from salmu_demo.results.evaluation import choose_metrics, evaluate
from salmu_demo.results.records import Evaluation
from tests.fixtures import clear as clear_fixture
from tests.fixtures.tiny import COCA_CONFIG, write_model

NAMED = "The name of the person on the image is"
TASKS = {
    "ForgetFace": ("forget_perturbed", "name"),
    "ForgetCap": ("forget_perturbed", "caption"),
    "RetainFace": ("retain_perturbed", "name"),
    "RetainCap": ("retain_perturbed", "caption"),
    "RealFace": ("retain_synth", "answer"),
    "RealWorld": ("real_world", "answer"),
}
WRITING = [spec.name for spec in choose_metrics(None, "CLEAR") if spec.decodes]


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory, tiny_assets: Path) -> Path:
    """The configurations of forget10, three rows each."""
    folder = tmp_path_factory.mktemp("clear")
    for name in ("forget10", "retain90", "real_faces", "forget10_perturbed", "retain_perturbed", "real_world"):
        rows = clear_fixture.rows_of(name)
        clear_fixture.write(folder, name, [rows[0], rows[1], rows[-1]])
    return folder


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Two captioning models, the second one Gold by its card."""
    config = json.loads(json.dumps(COCA_CONFIG))
    for part in ("text_cfg", "multimodal_cfg"):
        config["model_cfg"][part]["context_length"] = 48
    folder = tmp_path_factory.mktemp("models")
    for seed, name in enumerate(("base", "gold")):
        write_model(folder / name, config, seed)
    (folder / "gold" / "README.md").write_text("---\nsalmu_role: gold\n---\n# Gold\n", "utf-8")
    return {name: f"local-dir:{folder / name}" for name in ("base", "gold")}


@pytest.fixture(scope="module")
def data(release: Path) -> BenchmarkData:
    return load_data(f"clear:{release}")


def losses_of(captioner: Captioner, data: BenchmarkData, code: str) -> dict[str, Any]:
    """Of a task, row by row and text by text: losses of all candidates and of the truth, and what is written."""
    split, asked = TASKS[code]
    assert data.choices is not None
    found: dict[str, Any] = {"losses": [], "own": [], "rouge": []}
    for row, candidates in enumerate(data.choices[split][asked]):
        pixels = captioner.encoder.pixels(data.image(split, row))[None]
        seen, text = captioner.look(pixels, fill=False), data.split(split).texts[row]
        given = {"caption": "", "name": NAMED}.get(asked, NAMED if code == "RealFace" else text)
        truth = text if asked == "caption" else candidates[0]

        def loss(answer: str, seen: Any = seen, given: str = given) -> float:
            return -float(captioner.log_likelihoods(seen, [answer], [given], fill=False)[0].mean())

        found["losses"].append([loss(candidate) for candidate in candidates])
        found["own"].append(loss(truth))
        found["rouge"].append(float(rouge_l_recall(captioner.write(seen, [given], fill=False), [truth])[0]))
    return found


def expected(found: dict[str, Any], code: str) -> dict[str, list[float]]:
    """The four readings of a task by the formulas as they are printed."""
    p = [[math.exp(-loss) for loss in row] for row in found["losses"]]
    wrong = [loss for row in found["losses"] for loss in row[1:]]
    t = [math.exp(sum(wrong) / len(wrong) - row[0]) for row in found["losses"]]
    own = [math.exp(-loss) for loss in found["own"]]
    return {
        "ROUGE": found["rouge"],
        "ProbGen": own if code.endswith("Cap") else [row[0] / sum(row) for row in p],
        "TRGen": [max(0, 1 - sum(row[1:]) / len(row[1:]) / row[0]) for row in p],
        "TRAllGen": [min(x, 1 / x) if code.startswith("Forget") else max(0, 1 - 1 / x) for x in t],
    }


def measured(model: ModelSource, data: BenchmarkData, folder: Path, gold: ModelSource | None = None) -> Evaluation:
    view = FeatureView(model, data, Embedder(ArrayStore(folder)))
    return evaluate(view, choose_metrics([*WRITING, "FQ", "FQRows", "FQKS"]), gold=gold)


@pytest.fixture(scope="module")
def evaluation(models: dict[str, str], data: BenchmarkData, tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    return measured(find_model(models["base"]), data, tmp_path_factory.mktemp("cache"), gold=find_model(models["gold"]))


def harmonic(values: list[float]) -> float:
    return len(values) / sum(1 / value for value in values) if min(values) > 0 else 0.0


def test_every_task_is_what_a_slow_recomputation_gives(models: dict[str, str], data: BenchmarkData, evaluation):
    captioner = Captioner(Encoder(find_model(models["base"])))
    means: dict[str, float] = {}
    for code in TASKS:
        for reading, scores in expected(losses_of(captioner, data, code), code).items():
            result = evaluation.results[code + reading]
            assert result.scores == pytest.approx(scores, abs=1e-5), (code, reading)
            means[code + reading] = float(np.mean(scores))
    tasks = {
        "Real": ("RealFace", "RealWorld"),
        "Retain": ("RetainCap", "RetainFace"),
        "Forget": ("ForgetCap", "ForgetFace"),
    }
    for what, of in tasks.items():
        text = [means[task + reading] for task in of for reading in ("ROUGE", "ProbGen", "TRGen")]
        tables = [means[task + reading] for task in of for reading in ("ProbGen", "TRAllGen")]
        assert evaluation.results[f"{what}Text"].value == pytest.approx(harmonic(text), abs=1e-5)
        assert evaluation.results[f"{what}Tables"].value == pytest.approx(harmonic(tables), abs=1e-5)
    twelve = [
        means[task + reading]
        for task in (*tasks["Real"], *tasks["Retain"])
        for reading in ("ROUGE", "ProbGen", "TRAllGen")
    ]
    assert evaluation.results["ModelUtility"].value == pytest.approx(harmonic(twelve), abs=1e-5)


def test_forget_quality_compares_with_gold(models: dict[str, str], data: BenchmarkData, evaluation: Evaluation):
    ratios = []
    for name in ("base", "gold"):
        losses = losses_of(Captioner(Encoder(find_model(models[name]))), data, "ForgetCap")["losses"]
        wrong = [loss for row in losses for loss in row[1:]]
        ratios.append([sum(wrong) / len(wrong) - row[0] for row in losses])
    assert evaluation.results["FQRowsGen"].value == pytest.approx(1 - jensenshannon(*np.exp(ratios)), abs=1e-5)
    assert evaluation.results["FQKSGen"].value == pytest.approx(ks_2samp(*ratios).pvalue)
    for name in ("FQGen", "FQ", "FQRows", "FQKS"):
        value = evaluation.results[name].value
        assert value is not None
        assert 0 <= value <= 1


def test_gold_against_itself_is_as_near_as_can_be_and_nothing_is_computed_twice(
    models: dict[str, str], data: BenchmarkData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    gold = find_model(models["gold"])
    first = measured(gold, data, tmp_path, gold)
    assert [first.results[name].value for name in ("FQ", "FQRows", "FQKS", "FQGen", "FQKSGen")] == [1] * 5
    assert len(list(tmp_path.rglob("*.writing.json"))) == 4

    def never(self: Captioner, *_: Any, **__: Any) -> None:
        raise AssertionError("what is on disk is computed again")

    monkeypatch.setattr(captioner_module.Captioner, "look", never)
    again = measured(gold, data, tmp_path, gold)
    assert {name: result.value for name, result in again.results.items()} == {
        name: result.value for name, result in first.results.items()
    }


def test_what_a_model_or_a_run_lacks_is_said(models: dict[str, str], data: BenchmarkData, tmp_path: Path):
    results = measured(find_model("mini-clean"), data, tmp_path, find_model(models["gold"])).results
    assert {results[name].reason for name in WRITING} == {"mini-clean has no text decoder"}
    assert results["FQ"].value is not None
    alone = measured(find_model("mini-clean"), data, tmp_path).results
    assert alone["FQ"].reason == "no Gold model is given that mini-clean could be compared with"


def test_an_answer_that_is_too_long_gets_a_sentence(models: dict[str, str], release: Path, tmp_path: Path):
    rows = clear_fixture.rows_of("forget10_perturbed")[:2]
    rows[1]["paraphrased_caption"] = "long " * 60
    clear_fixture.write(tmp_path / "long", "forget10_perturbed", rows)
    data = load_data(f"clear:{tmp_path / 'long'}#forget10_perturbed")
    with pytest.raises(QueryError, match=r'"long .*" has \d+ tokens .* reads 48 tokens'):
        measured(find_model(models["base"]), data, tmp_path / "cache")


def test_the_command_line_finds_gold_by_its_card_and_reads_back_what_it_wrote(
    models: dict[str, str], release: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    command = ["evaluate", models["base"], models["gold"], "mini-clean", "--data", f"clear:{release}"]
    names = "ForgetCapROUGE,RetainText,FQGen"
    assert run([*command, "--metrics", names, "--output", str(tmp_path)]) == 0
    base, gold, dual = read_results(tmp_path / "results.json")
    assert gold.results["FQGen"].value == 1
    assert base.results["RetainText"].value is not None
    assert dual.results["ForgetCapROUGE"].reason == "mini-clean has no text decoder"
    assert "FQGen" in capsys.readouterr().out
