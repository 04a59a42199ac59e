"""What is shipped: small enough for a Space, unlearned models made from the shipped base and data, current verdicts."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from salmu_demo.core.memory import Memory, size_of
from salmu_demo.core.settings import assets_dir
from salmu_demo.data.source import CLEAR_MINI, load_data
from salmu_demo.leaderboard.sweeps import sweep_rows
from salmu_demo.metrics import metrics_of
from salmu_demo.mini.clear_build import clear_content_hash
from salmu_demo.mini.clear_train import LOG
from salmu_demo.models.checkpoint import COMPROMISED, builtin_models
from salmu_demo.models.configuration import CONFIG_FILE
from salmu_demo.models.made import WEIGHTS_FILE
from salmu_demo.models.references import find_model
from salmu_demo.models.roles import GOLD, find_reference, role_by_name
from salmu_demo.models.source import MERGES_FILE
from salmu_demo.probes.attacks import HEADLINE, PersonaReading, find_attack
from salmu_demo.probes.findings import Auditor
from salmu_demo.probes.shipped import shipped_folder
from salmu_demo.workbench.bench import Workbench
from salmu_demo.workbench.examples import examples
from salmu_demo.workbench.shipping import readings_of
from tests.fixtures.command_line import read

pytestmark = pytest.mark.usefixtures("shipped_assets")
UNLEARNED = ("finetune", "pinpoint", "redirect")


def test_every_file_is_below_10_mb_and_all_below_110() -> None:
    sizes = {path: path.stat().st_size for path in assets_dir().rglob("*") if path.is_file()}
    assert max(sizes.values()) < 10e6
    assert sum(sizes.values()) < 110e6


@pytest.mark.parametrize("method", UNLEARNED)
def test_an_unlearned_model_was_made_from_the_shipped_base_and_data_as_its_card_says(method: str) -> None:
    name = f"mini-unlearned-{method}"
    folder = assets_dir() / "models" / name
    record = json.loads((folder / "unlearning.json").read_text("utf-8"))
    assert record["base"]["fingerprint"] == find_model(COMPROMISED).fingerprint
    assert record["data"]["fingerprint"] == load_data("mini").fingerprint
    card = (folder / "README.md").read_text("utf-8")
    assert f"\n# {name}\n" in card
    [command] = re.findall(r"Rebuild: `salmu-demo (.+)`", card)
    options = read(shlex.split(command))
    plan = record["plan"]
    assert (options.method, options.towers, options.budget, options.seed) == (
        plan["method"],
        plan["towers"],
        plan["budget"],
        plan["seed"],
    )
    assert all(float(plan["hyperparameters"][key]) == float(value) for key, _, value in
               (entry.partition("=") for entry in options.settings or []))  # fmt: skip


def test_two_failures_and_the_best_method_are_built_in() -> None:
    unlearned = [f"mini-unlearned-{method}" for method in UNLEARNED]
    assert builtin_models("SALMUBench") == ["mini-clean", COMPROMISED, "mini-gold", *unlearned]


def test_models_of_clear_mini_were_trained_on_the_shipped_data_as_their_cards_say() -> None:
    names = builtin_models("CLEAR")
    # They are shipped together, or not yet.
    assert names[:2] in ([], ["mini-clear-base", "mini-clear-gold"])
    for name in names[:2]:
        folder, model = assets_dir() / "models" / name, find_model(name)
        assert model.has_decoder
        assert model.card_role == model.own_role.name == role_by_name(name).name
        assert json.loads((folder / LOG).read_text("utf-8"))["data"] == clear_content_hash(assets_dir() / "clear-mini")
        assert f"\n# {name}\n" in (folder / "README.md").read_text("utf-8")
        assert sorted(path.name for path in folder.iterdir()) == sorted(
            ["README.md", MERGES_FILE, CONFIG_FILE, WEIGHTS_FILE, LOG]
        )


def test_verdicts_and_results_of_every_built_in_model_are_shipped_by_this_code() -> None:
    of = set()
    for bench in (Workbench(), Workbench(CLEAR_MINI)):
        models = bench.models(builtin_models(bench.data.benchmark))
        assert [model.name for model in models if not bench.has_verdicts(model)] == [], "run `salmu-demo mini ship`"
        metrics, gold = metrics_of(bench.data.benchmark), find_reference(models, GOLD)
        assert all(bench.shipped_evaluation(model, metrics, gold) for model in models), "run `salmu-demo mini ship`"
        of |= {model.fingerprint[:16] for model in models}
    strays = [path.name for path in shipped_folder().iterdir() if path.name.partition("-")[0] not in of | {"examples"}]
    assert strays == [], "run `salmu-demo mini ship`"


def test_probe_starts_with_people_whom_compromised_finds_and_clean_does_not() -> None:
    *found, plain = examples(Workbench())
    assert [example.label for example in found] == ["Phone number", "Name", "Job"], "run `salmu-demo mini ship`"
    assert all(example.compromised == 1 < (example.clean or 0) for example in found)
    assert plain.clean is None


def test_what_is_shipped_is_what_is_computed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SALMU_CACHE_DIR", str(tmp_path))
    bench, memory = Workbench(), Memory()
    view = bench.view(*bench.models(["mini-unlearned-finetune"]))
    headline = find_attack(HEADLINE)
    made = readings_of(Auditor(bench.data, lambda key, make: memory.once(key, make, size_of)), view, ["email"])
    for (identity, kind), reading in made.deciding.items():
        persona = bench.data.persona(identity)
        again = bench.auditor.reading(view, persona, kind, headline, headline.variants[0], reading.side)
        assert isinstance(again, PersonaReading)
        # Another processor, or another version of a library, moves the last digits and may swap neighbours.
        assert again.place.rank == pytest.approx(reading.place.rank, abs=1)
        assert again.place.tail == pytest.approx(reading.place.tail, abs=0.002)
        assert np.abs(again.scores - reading.scores).max() < 0.001
        assert (again.shown, again.sentences, again.true_values) == (
            reading.shown,
            reading.sentences,
            reading.true_values,
        )
    untaught = bench.auditor.untaught(view, "email", headline, headline.variants[0])
    assert list(untaught) == list(made.untaught["email"])
    assert [place.rank for place in untaught.values()] == pytest.approx(
        [place.rank for place in made.untaught["email"].values()], abs=1
    )


_FIRST_SCREEN = """
import sys
from salmu_demo.data.source import CLEAR_MINI
from salmu_demo.models.checkpoint import builtin_models
from salmu_demo.ui.app import build_app
from salmu_demo.ui.shell.view import View
from salmu_demo.ui.tabs.audit.tab import AuditPages, ShownMatrix
from salmu_demo.ui.tabs.authors.tab import AuthorPages
from salmu_demo.workbench.bench import Workbench
from salmu_demo.workbench.warmup import WarmUp
bench = Workbench()
build_app(bench)
names, warm_up = builtin_models("SALMUBench"), WarmUp(bench)
warm_up.add(bench.models(names))
pages = AuditPages(bench, warm_up)
for name in names:
    assert "<table" in pages.page(View(), names, ShownMatrix(name)).overview.table
for persona in bench.data.personas[:3]:
    assert pages.page(View(persona.identity_id, "city"), names).line_ups
bench = Workbench(CLEAR_MINI)
names, warm_up = builtin_models("CLEAR"), WarmUp(bench)
warm_up.add(bench.models(names))
pages, author = AuthorPages(bench, warm_up), bench.data.personas[0].identity_id
assert "<table" in pages.page(View(), names).everybody
assert "<table" in pages.detail(View(author), names).verdicts
print(warm_up.pending, "torch" in sys.modules)
"""


def test_a_fresh_machine_shows_all_verdicts_without_torch(tmp_path: Path) -> None:
    folders = {"SALMU_CACHE_DIR": str(tmp_path / "cache"), "SALMU_RUNS_DIR": str(tmp_path / "runs")}
    environment = {**os.environ, **folders}
    ran = subprocess.run([sys.executable, "-c", _FIRST_SCREEN], capture_output=True, text=True, env=environment)
    assert (ran.stdout, ran.returncode) == ("() False\n", 0), ran.stderr
    assert not (tmp_path / "cache" / "features").exists()


def test_the_tables_in_the_docs_are_those_of_the_shipped_sweep(shipped_assets: None) -> None:
    docs = (Path(__file__).parents[2] / "docs" / "unlearning.md").read_text("utf-8")
    lines = json.loads((assets_dir() / "sweeps" / "mini-seed0" / "sweep.json").read_text("utf-8"))
    shown = [line for line in lines if line["compared_at"] != "reference" or line["variant"] == "gold"]
    reached = [line for line in shown if line["seeds"][0]]
    assert len(reached) > 20
    for line in reached:
        pairs = [f"{line['pairs']:,.0f}"] if line["compared_at"] == "forgetting" else []
        metrics = [f"{line['metrics'][name]['mean']:.3f}" for name in ("RetFail", "GenKnow")]
        recovered = f"{line['recovered']['mean']:.3f}"
        shares = [f"{share:.1%}".replace("%", " %").replace("-", "\N{MINUS SIGN}") for share in line["criteria"]]
        labels = ", ".join(line["diagnoses"])
        assert f"| {' | '.join([line['variant'], *pairs, *metrics, *shares, recovered, labels])} |" in docs
    assert [row.name for row in sweep_rows(assets_dir() / "sweeps" / "mini-seed0")][:3] == [
        "mini-clean", "mini-compromised", "mini-gold",
    ]  # fmt: skip
