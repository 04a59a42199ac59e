"""`salmu-demo evaluate`: the official metrics of one or more models."""

from pathlib import Path
from typing import Annotated

from salmu_demo.attacks.document import read_attacks
from salmu_demo.cli import options
from salmu_demo.cli.analysis import comparison_document, print_analysis
from salmu_demo.cli.options import Commands, option
from salmu_demo.cli.output import TerminalProgress, print_json, print_notes
from salmu_demo.core.errors import EvaluationError
from salmu_demo.core.files import check_writable
from salmu_demo.data.source import MINI
from salmu_demo.models.roles import GOLD, find_reference
from salmu_demo.models.source import ModelSource
from salmu_demo.results.analysis import analyse
from salmu_demo.results.attacked import with_attacks
from salmu_demo.results.document import write_results
from salmu_demo.results.evaluation import each_model, measured_data
from salmu_demo.results.official import official_names, write_official
from salmu_demo.results.records import Evaluation
from salmu_demo.workbench.bench import Workbench

commands = Commands()


@commands.add("""\
  salmu-demo evaluate mini-clean mini-compromised mini-unlearned-finetune --output results
  salmu-demo evaluate local-dir:my-model --metrics RetFail,GenKnow --output results
  salmu-demo evaluate local-dir:my-model --sample 400 --output results
  salmu-demo evaluate local-dir:clean local-dir:leaky local-dir:mine --clean clean --compromised leaky --output results
  salmu-demo evaluate weights.safetensors --arch ViT-B-16 --data folder --imagenet imagenet/val --output results
  salmu-demo evaluate local-dir:my-model --data folder --ray --workers 8 --output results""")
def _run(
    models: options.Models,
    output: Annotated[Path, option("--output", "folder of the result files", "DIR", Path)],
    arch: options.Arch = None,
    trust_pickle: options.TrustPickle = False,
    clean: options.Clean = None,
    compromised: options.Compromised = None,
    gold: options.Gold = None,
    data: options.Data = MINI,
    metrics: options.Metrics = None,
    imagenet: options.ImageNet = None,
    sample: options.SampleRows = None,
    seed: options.SampleSeed = options.SAMPLE_SEED,
    attacks: Annotated[
        Path | None, option("--attacks", "attacks.json of these models, or its folder, for the diagnosis", "FILE", Path)
    ] = None,
    ray: options.Ray = False,
    workers: options.Workers = 2,
    json: options.Json = False,
) -> None:
    cluster = options.ray_cluster(ray, workers)
    # A misspelt name fails before anything is loaded.
    names = [spec.name for spec in options.chosen_metrics(metrics, data)]
    found = None if attacks is None else read_attacks(attacks)
    bench = Workbench(data)
    sources = options.chosen_models(bench, models, arch, trust_pickle)
    told = options.told_references(clean, compromised, gold, sources)
    check_writable(output, "The result file")  # Now rather than after minutes of work.
    reference = find_reference(sources, GOLD, told)
    rows, early = options.chosen_sample(sample, seed), list[Path]()
    files = official_names(sources, measured_data(bench.data, rows))
    with TerminalProgress() as progress:
        if cluster is not None:
            chosen = options.chosen_metrics(metrics, data)
            bench.spread(sources, chosen, cluster, imagenet, rows, progress, trust_pickle)

        def measure(model: ModelSource) -> Evaluation:
            evaluation = bench.evaluate(model, names, imagenet, progress, rows, gold=reference)
            # Each file is written as soon as its model is done: nothing that happens later loses it.
            early.append(write_official(evaluation, output, files[sources.index(model)]))
            return evaluation

        evaluations, failures = each_model(sources, measure)
    if not evaluations:
        raise failures[0].error
    print_notes(remark for model in sources for remark in bench.twin_remarks(model))
    analysis = analyse(evaluations if found is None else with_attacks(evaluations, found), told)
    written = write_results(analysis, output)
    for path in set(early) - set(written):
        path.unlink()  # Beside a namesake that failed, it had a longer name.
    if json:
        print_json({"files": [str(path) for path in written], **comparison_document(analysis)})
    else:
        print_analysis(analysis)
        reasons = {name: result.reason for name, result in evaluations[0].results.items() if result.reason}
        for reason in dict.fromkeys(reasons.values()):
            names_of = ", ".join(name for name, found in reasons.items() if found == reason)
            print(f"{names_of} cannot be measured: {reason}.")
        print("\nWritten: " + ", ".join(str(path) for path in written))
    if failures:
        raise EvaluationError(" ".join(failure.sentence for failure in failures))
