"""What is shipped: small enough for a Space, and unlearned models made from the shipped base and data."""

import json
import re
import shlex

import pytest

from salmu_demo.core.settings import assets_dir
from salmu_demo.data.source import load_data
from salmu_demo.models.checkpoint import COMPROMISED, builtin_models
from salmu_demo.models.references import find_model
from tests.fixtures.command_line import read

pytestmark = pytest.mark.usefixtures("shipped_assets")
UNLEARNED = ("finetune", "negative-gradient", "pinpoint", "redirect")


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


def test_the_three_failures_and_the_best_method_are_built_in() -> None:
    unlearned = [f"mini-unlearned-{method}" for method in UNLEARNED]
    assert builtin_models() == ["mini-clean", COMPROMISED, "mini-gold", *unlearned]
