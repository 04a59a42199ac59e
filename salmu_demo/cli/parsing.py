"""Pieces that several commands share: options, and help with examples."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from salmu_demo.cli.output import print_notes
from salmu_demo.core.errors import QueryError
from salmu_demo.data.sample import Sample
from salmu_demo.data.source import MINI
from salmu_demo.metrics import MEASURES, MetricSpec
from salmu_demo.metrics.protocol import SEED
from salmu_demo.models.roles import CLEAN, COMPROMISED, REFERENCES, TITLES, Candidate, Told, check_told
from salmu_demo.models.source import ModelSource, find_model, find_models
from salmu_demo.results.evaluation import choose_metrics
from salmu_demo.workbench.bench import Workbench


def add_command(commands: Any, name: str, summary: str, examples: str) -> argparse.ArgumentParser:
    """Add a command whose `--help` ends with examples."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=summary,
        description=summary,
        epilog=f"examples:\n{examples}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    return parser


def add_models(parser: argparse.ArgumentParser, count: str = "+") -> None:
    """Add the positional models and `--arch`."""
    parser.add_argument(
        "models",
        metavar="MODEL",
        nargs=count,
        help="built-in name, official-clean, official-compromised, local-dir:FOLDER, hf-hub:ORG/NAME[@REVISION], a "
        ".safetensors file, or delta:BASE+PATH to merge a LoRA adapter or partial weights onto one of these",
    )
    add_reading(parser)


def add_reading(parser: argparse.ArgumentParser) -> None:
    """Add how models are read: `--arch` and `--trust-pickle`."""
    parser.add_argument(
        "--arch",
        metavar="NAME",
        help="open_clip architecture, or built-in model, of weights without a configuration (default: told from them); "
        "models with a configuration keep their own",
    )
    parser.add_argument(
        "--trust-pickle",
        action="store_true",
        help="also read .pt, .pth and .bin files of this machine; a pickle can hold a program, and although only "
        "tensors are read (weights_only), a fault of torch could let it run: use it for files you made yourself",
    )


def chosen_models(bench: Workbench, options: argparse.Namespace, references: Sequence[str]) -> list[ModelSource]:
    """Find models the way `--arch` and `--trust-pickle` say, and print what there is to remark on them."""
    models = bench.models(references, options.arch, options.trust_pickle)
    print_notes(remark for model in models for remark in model.remarks)
    return models


def models_without_data(options: argparse.Namespace, references: Sequence[str]) -> list[ModelSource]:
    """Find models as :func:`chosen_models` does, where no data set is needed, and print nothing."""
    return find_models(
        references, options.arch, lambda reference, arch: find_model(reference, arch, options.trust_pickle)
    )


def add_references(
    parser: argparse.ArgumentParser,
    what: str = "model",
    default: str = "the one whose card says so, or the built-in or official one",
) -> None:
    """Add who is Clean and who is Compromised: `--clean` and `--compromised`."""
    for role in REFERENCES:
        parser.add_argument(
            f"--{role}", metavar="MODEL", action="append", help=f"which {what} is {TITLES[role]} (default: {default})"
        )


def told_once(options: argparse.Namespace) -> Told:
    """What `--clean` and `--compromised` say; raises :class:`QueryError` if one of them names two."""
    told = {}
    for role in REFERENCES:
        named = list(dict.fromkeys(getattr(options, role) or []))
        if len(named) > 1:
            raise QueryError(f"--{role} names {named[0]} and {named[1]}; there is one {TITLES[role]} at most.")
        told[role] = named[0] if named else None
    return Told(told[CLEAN], told[COMPROMISED])


def told_references(options: argparse.Namespace, models: Sequence[Candidate]) -> Told:
    """What `--clean` and `--compromised` say about models; raises :class:`QueryError` if it makes no sense."""
    told = told_once(options)
    check_told(models, told)
    return told


def add_data(parser: argparse.ArgumentParser) -> None:
    """Add `--data`."""
    parser.add_argument(
        "--data", metavar="DATA", default=MINI,
        help="mini (default), official, a folder, a Hub data set id, or clear:FOLDER_OR_ID#CONFIGURATION",
    )  # fmt: skip


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add `--json`."""
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")


def add_measuring(parser: argparse.ArgumentParser) -> None:
    """Add what is measured and on which rows: `--metrics`, `--imagenet`, `--sample` and `--seed`."""
    names = ",".join(spec.name for spec in MEASURES)
    parser.add_argument("--metrics", metavar="NAMES", help=f"comma-separated; default all: {names}")
    parser.add_argument("--imagenet", metavar="DIR", type=Path, help="ImageNet-1k validation folder for GenKnow")
    parser.add_argument(
        "--sample", metavar="ROWS", type=int, help="measure a sample with this many forget rows (default: all rows)"
    )
    parser.add_argument("--seed", type=int, default=SEED, help=f"seed of the sample (default {SEED})")


def chosen_metrics(options: argparse.Namespace) -> list[MetricSpec]:
    """The metrics `--metrics` names; raises :class:`MetricError` for a misspelt one."""
    return choose_metrics(options.metrics.split(",") if options.metrics is not None else None)


def chosen_sample(options: argparse.Namespace) -> Sample | None:
    """The sample `--sample` and `--seed` describe, or None for all rows."""
    return None if options.sample is None else Sample(options.sample, options.seed)
