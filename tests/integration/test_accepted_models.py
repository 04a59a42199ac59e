"""Every checkpoint, adapter and configuration of `docs/accepted.md` is accepted, assumed or refused as it says."""

import json
import re
import shutil
from pathlib import Path

import pytest

from salmu_demo.cli.main import run
from salmu_demo.core.errors import ArchitectureError, ModelError
from salmu_demo.jobs.job import Estimate, JobSpec
from salmu_demo.jobs.manager import JobManager
from salmu_demo.models.encoder import Encoder
from salmu_demo.models.references import find_model, find_models
from salmu_demo.results.document import read_results
from salmu_demo.workbench.bench import Workbench
from tests.accepted import Case
from tests.accepted.models import BASE, CASES, Named, bare, folder_of


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_model_is_accepted_assumed_or_refused_as_the_table_says(tiny_assets: Path, tmp_path: Path, case: Case):
    named: Named = case.make(tmp_path)
    if case.outcome == "refused":
        with pytest.raises(ModelError, match=case.expected) as refused:
            Encoder(find_model(named.reference, named.architecture, named.trust_pickle))
        assert "\n" not in str(refused.value)
        return
    source = find_model(named.reference, named.architecture, named.trust_pickle)
    if named.loads:
        Encoder(source)
    if case.outcome == "accepted":
        assert source.remarks == ()
        assert not case.expected or source.config["preprocess_cfg"] == case.expected
    else:
        assert re.search(case.expected, " ".join(source.remarks))


def bare_weights(folder: Path) -> str:
    """A weight file of the built-in architecture."""
    return bare()(folder).reference


def test_of_several_models_the_architecture_is_that_of_those_without_a_configuration(tiny_assets: Path, tmp_path: Path):
    reference = bare_weights(tmp_path)
    shutil.copytree(tiny_assets / "models" / BASE, tmp_path / "other")
    config = json.loads((tmp_path / "other" / "open_clip_config.json").read_text())
    config["model_cfg"]["vision_cfg"]["head_width"] = 8
    (tmp_path / "other" / "open_clip_config.json").write_text(json.dumps(config))
    other = f"local-dir:{tmp_path / 'other'}"
    for find in (find_models, Workbench().models):
        first, second = find([other, reference], BASE)
        assert (first.architecture, first.config["model_cfg"]) == (None, config["model_cfg"])
        assert second.architecture == BASE
        with pytest.raises(ArchitectureError, match=f"{other} has a configuration of its own"):
            find([other], BASE)
        with pytest.raises(ModelError, match="has no architecture 'nonsense'"):
            find([reference, other], "nonsense")


def test_an_architecture_that_was_refused_is_not_remembered(tiny_assets: Path, tmp_path: Path):
    reference = bare_weights(tmp_path)
    bench = Workbench()
    for wrong in ("nonsense", "roberta-ViT-B-32"):
        with pytest.raises(ModelError):
            bench.models(["mini-clean", reference], wrong)
    assert [model.remarks for model in bench.models(["mini-clean", reference])] == [(), ()]


def test_a_job_names_the_architecture_of_bare_weights_only(
    tiny_assets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    specs: list[JobSpec] = []

    def estimate(_: JobManager, spec: JobSpec) -> Estimate:
        specs.append(spec)
        return Estimate(1, 0, 0)

    monkeypatch.setattr(JobManager, "estimate", estimate)
    reference = bare_weights(tmp_path)
    assert run(["jobs", "run", "mini-clean", reference, "--arch", BASE, "--estimate"]) == 0
    assert specs[0].architectures == {reference: BASE}
    assert run(["jobs", "run", "mini-clean", "--arch", "ViT-B-32", "--estimate"]) == 2
    assert "mini-clean has a configuration of its own" in capsys.readouterr().err


def test_what_was_assumed_stands_in_everything_that_an_evaluation_prints_and_writes(
    tiny_assets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    reference = folder_of("model.safetensors")(tmp_path).reference
    [remark] = find_model(reference).remarks
    output = tmp_path / "results"
    command = ["evaluate", reference, "--metrics", "AssocStr", "--output", str(output)]
    assert run(command) == 0
    assert remark in capsys.readouterr().out
    for path in output.glob("*.json"):
        assert [remark in made.model.remarks for made in read_results(path)] == [True]
    assert run([*command, "--json"]) == 0
    assert remark in json.loads(capsys.readouterr().out)["remarks"]


def test_a_folder_that_cannot_be_listed_is_refused(tiny_assets: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(ModelError, match=f"{BASE} cannot be read: Permission denied"):
        find_model(f"local-dir:{tiny_assets / 'models' / BASE}")
