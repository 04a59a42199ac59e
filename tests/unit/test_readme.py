"""The README says what the program does: its tables come from the constants, its commands and those of docs/ parse."""

import json
import re
import shlex
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from salmu_demo import __version__
from salmu_demo.core.settings import assets_dir
from salmu_demo.metrics import DECISIONS, official_metrics
from salmu_demo.models.checkpoint import builtin_models
from tests.fixtures.command_line import read

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
PAGES = [README, *(path.read_text("utf-8") for path in sorted((ROOT / "docs").rglob("*.md")))]
BLOCKS = [block for page in PAGES for block in re.findall(r"^```\n(.*?)^```", page, re.DOTALL | re.MULTILINE)]
COMMANDS = sorted({line for block in BLOCKS for line in block.splitlines() if line.startswith("salmu-demo ")})


@pytest.mark.parametrize("decision", DECISIONS, ids=lambda d: d.constant.split(" = ")[0])
def test_every_protocol_decision_is_in_the_table(decision) -> None:
    row = f"| {decision.topic} | {decision.question} | {decision.decision} | `{decision.constant}` |"
    assert row in README


@pytest.mark.parametrize("metric", official_metrics(), ids=lambda m: m.name)
def test_every_metric_is_in_the_table(metric) -> None:
    row = f"| {metric.number} {metric.name} | {metric.explanation} | {metric.reference.capitalize()} |"
    assert row in README


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_parses(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    named: list[Path] = []
    # What a plug-in registers would be there for all tests.
    monkeypatch.setattr("salmu_demo.cli.root.load_plugins", named.extend)
    assert vars(read(shlex.split(command)[1:]))
    assert all((ROOT / file).is_file() for file in named)
    assert len(named) == command.count("--plugin")


@pytest.mark.usefixtures("shipped_assets")
def test_every_builtin_model_is_named() -> None:
    assert COMMANDS
    assert builtin_models()
    assert all(f"`{name}`" in README for name in builtin_models())


@pytest.mark.usefixtures("shipped_assets")
def test_what_the_models_of_salmu_mini_reached_is_in_the_table() -> None:
    folders = (assets_dir() / "models" / name for name in ("mini-compromised", "mini-clean"))
    logs = [json.loads((folder / "training_log.json").read_text("utf-8")) for folder in folders]
    compromised, clean = ({entry["epoch"]: entry for entry in log["curve"]} for log in logs)
    first, last = logs[0]["recipe"]["cycles"][0][0], sum(epochs for epochs, _ in logs[0]["recipe"]["cycles"])

    def cells(read: Callable[[int], float], form: str) -> str:
        return " | ".join(f"{read(epoch):{form}}".replace("%", " %") for epoch in (first, last))

    def of_kinds(epoch: int) -> float:
        return min(value for name, value in compromised[epoch].items() if re.fullmatch("value_own_.*", name))

    lines = {
        "Compromised, images of the kind": cells(lambda epoch: compromised[epoch]["value_own"], ".1%"),
        "Compromised, the kind found least": cells(of_kinds, ".1%"),
        "Compromised, images never trained": cells(lambda epoch: compromised[epoch]["value_unseen_image"], ".1%"),
        "Compromised, wordings never trained": cells(lambda epoch: compromised[epoch]["value_unseen_wording"], ".1%"),
        "Clean, images of the kind": cells(lambda epoch: clean[epoch]["value_own"], ".1%"),
        "AssocStr of Compromised": cells(lambda epoch: compromised[epoch]["forget_similarity"], ".3f"),
        "GenKnow of Compromised": cells(lambda epoch: compromised[epoch]["object_accuracy"], ".3f"),
        "GenKnow, Clean beyond Compromised": cells(
            lambda epoch: clean[epoch]["object_accuracy"] - compromised[epoch]["object_accuracy"], ".3f"
        ),
    }
    page = (ROOT / "docs" / "guide" / "data.md").read_text("utf-8")
    assert [aim for aim, found in lines.items() if not re.search(rf"\| {aim} \| [^|]* \| {found} \|", page)] == []
    assert f"| after {first} epochs | after {last} epochs |" in page


def test_citation_and_changelog_are_of_this_version_and_every_address_of_one_repository() -> None:
    citation = (ROOT / "CITATION.cff").read_text("utf-8")
    addresses = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["urls"]
    repository = addresses["Repository"]
    assert all(address.startswith(repository) for address in addresses.values())
    assert f'\nrepository-code: "{repository}"\n' in citation
    assert f'"{repository}/blob/main/"' in (ROOT / "scripts" / "docs_links.py").read_text("utf-8")
    assert f"\nversion: {__version__}\n" in citation
    [date] = re.findall(r'^date-released: "([\d-]+)"$', citation, re.MULTILINE)
    changes = (ROOT / "CHANGELOG.md").read_text("utf-8")
    released = [line for line in re.findall(r"^## .*$", changes, re.MULTILINE) if line != "## Unreleased"]
    assert released[0] == f"## {__version__} ({date})"
