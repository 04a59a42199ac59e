"""`salmu-demo data describe`: what a data set holds."""

import argparse
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from salmu_demo.cli.output import plain, print_json, print_table, size_text
from salmu_demo.cli.parsing import add_command, add_json
from salmu_demo.core.errors import DataError, MetricError
from salmu_demo.core.notices import MINI_NOTICE
from salmu_demo.data import layout
from salmu_demo.data.dataset import BenchmarkData
from salmu_demo.data.describe import describe
from salmu_demo.data.source import load_data
from salmu_demo.features.embedder import Embedder
from salmu_demo.metrics import MEASURES
from salmu_demo.models.source import builtin_models, find_model
from salmu_demo.probes.lineup import lineup_texts
from salmu_demo.results.cuts import Cut, count_cuts, measured_texts
from salmu_demo.results.inputs import MetricInputs


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = add_command(commands, "data", "Look at a data set.", "  salmu-demo data describe mini --json")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    action = add_command(
        actions,
        "describe",
        "Splits, derived splits, personas, kinds, sizes and problems.",
        "  salmu-demo data describe mini\n  salmu-demo data describe my-folder --check-images",
    )
    action.add_argument("data", metavar="DATA", help="mini, official, a folder, or a Hub data set id")
    action.add_argument("--check-images", action="store_true", help="decode every image (takes long)")
    action.add_argument(
        "--model",
        action="append",
        default=[],
        metavar="MODEL",
        help="count the texts that this model cuts off; may be given several times (default: the first built-in one)",
    )
    add_json(action)
    action.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    data = load_data(options.data)
    description = describe(data, options.check_images)
    cuts = _cuts(data, options.model or builtin_models()[:1])
    if options.json:
        print_json({**description.as_dict(), "cut": [asdict(cut) for cut in cuts]})
        return
    if data.is_mini:
        print(f"{MINI_NOTICE}\n")
    print(f"{description.name}: {description.personas} personas, {size_text(description.bytes)}")
    print(f"fingerprint {description.fingerprint}, revision {description.revision or 'none'}")
    print(f"GenKnow is measured on: {description.zero_shot or 'nothing (give an ImageNet folder)'}\n")
    rows = [[name, "stored", rows] for name, rows in description.splits.items()]
    rows += [[name, "derived", rows] for name, rows in description.derived.items()]
    print_table(["split", "", "rows"], rows)
    print()
    print_table(["attribute kind", "sensitive rows"], list(description.kinds.items()))
    for cut in cuts:
        print(f"\nCut off: {plain(cut.sentence)}")
    print("\n" + ("\n".join(f"Problem: {plain(p)}" for p in description.problems) or "No problems."))


def _cuts(data: BenchmarkData, references: list[str]) -> list[Cut]:
    """Which texts of a data set the models cut off."""
    inputs, embedder = MetricInputs(data), Embedder()
    stored = [name for name in data.stored_splits if name != layout.GENKNOW_SPLIT]
    texts: dict[str, Sequence[str]] = {f"captions of {name}": data.split(name).texts for name in stored}
    for spec in MEASURES:
        # What the data lack for a metric, or were not fetched with, is a problem of its own.
        with suppress(MetricError, DataError):
            texts = {**measured_texts(inputs, [spec]), **texts}
    texts |= {f"line-up sentences of {kind}": lineup_texts(data, kind) for kind in data.kinds}
    return [cut for reference in references for cut in count_cuts(embedder, find_model(reference), texts)]
