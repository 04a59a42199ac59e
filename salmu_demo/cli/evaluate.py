"""`salmu-demo evaluate`: the official metrics of one or more models."""

from pathlib import Path
from typing import Annotated

from salmu_demo.cli.analysis import comparison_document, print_analysis
from salmu_demo.cli.output import TerminalProgress, print_json, print_notes
from salmu_demo.cli.parsing import (
    SAMPLE_SEED,
    Arch,
    Clean,
    Commands,
    Compromised,
    Data,
    ImageNet,
    Json,
    Metrics,
    Models,
    SampleRows,
    SampleSeed,
    TrustPickle,
    chosen_metrics,
    chosen_models,
    chosen_sample,
    option,
    told_references,
)
from salmu_demo.core.files import check_writable
from salmu_demo.data.source import MINI
from salmu_demo.results.analysis import analyse
from salmu_demo.results.document import write_results
from salmu_demo.results.official import official_names, write_official
from salmu_demo.workbench.bench import Workbench

commands = Commands()


@commands.add("""\
  salmu-demo evaluate mini-clean mini-compromised mini-unlearned-finetune --output results
  salmu-demo evaluate local-dir:my-model --metrics RetFail,GenKnow --output results
  salmu-demo evaluate local-dir:my-model --sample 400 --output results
  salmu-demo evaluate local-dir:clean local-dir:leaky local-dir:mine --clean clean --compromised leaky --output results
  salmu-demo evaluate weights.safetensors --arch ViT-B-16 --data folder --imagenet imagenet/val --output results""")
def _run(
    models: Models,
    output: Annotated[Path, option("--output", "folder of the result files", "DIR", Path)],
    arch: Arch = None,
    trust_pickle: TrustPickle = False,
    clean: Clean = None,
    compromised: Compromised = None,
    data: Data = MINI,
    metrics: Metrics = None,
    imagenet: ImageNet = None,
    sample: SampleRows = None,
    seed: SampleSeed = SAMPLE_SEED,
    json: Json = False,
) -> None:
    names = [spec.name for spec in chosen_metrics(metrics)]  # A misspelt name fails before anything is loaded.
    bench = Workbench(data)
    sources = chosen_models(bench, models, arch, trust_pickle)
    told = told_references(clean, compromised, sources)
    check_writable(output, "The result file")  # Now rather than after minutes of work.
    evaluations = []
    with TerminalProgress() as progress:
        for model in sources:
            evaluations.append(bench.evaluate(model, names, imagenet, progress, chosen_sample(sample, seed)))
            # Each file is written as soon as its model is done: a later failure loses nothing.
            files = official_names(sources, evaluations[-1].data)
            write_official(evaluations[-1], output, files[len(evaluations) - 1])
    print_notes(remark for model in sources for remark in bench.twin_remarks(model))
    analysis = analyse(evaluations, told)
    written = [str(path) for path in write_results(analysis, output)]
    if json:
        print_json({"files": written, **comparison_document(analysis)})
        return
    print_analysis(analysis)
    for metric, reason in bench.data.limits.unmeasurable.items():
        if metric in names:
            print(f"{metric} cannot be measured: {reason}")
    print("\nWritten: " + ", ".join(written))
