"""`salmu-demo models`: the built-in models, what a checkpoint is and changed, that change as a file, pushing."""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from salmu_demo.cli.output import TerminalProgress, print_json, print_notes, print_pushed, print_table, size_text
from salmu_demo.cli.parsing import add_command, add_data, add_json, add_reading, models_without_data
from salmu_demo.data import layout
from salmu_demo.models.delta_export import write_delta
from salmu_demo.models.profile import ModelProfile
from salmu_demo.models.source import DELTA, builtin_models, find_models
from salmu_demo.probes.model_change import ModelChange
from salmu_demo.workbench.bench import Workbench

_EXAMPLES = """\
  salmu-demo models show mini-unlearned-finetune --against mini-compromised
  salmu-demo models show checkpoint.safetensors --json
  salmu-demo models show delta:mini-compromised+my-adapter --against mini-compromised --split holdout_identity"""


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = add_command(commands, "models", "Look at models.", "  salmu-demo models list --json\n" + _EXAMPLES)
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = add_command(actions, "list", "The built-in models.", "  salmu-demo models list")
    add_json(listing)
    listing.set_defaults(run=_list)
    show = add_command(actions, "show", "What a checkpoint is, and what changed against another one.", _EXAMPLES)
    show.add_argument("model", metavar="MODEL", help="a model, as for `salmu-demo evaluate`")
    show.add_argument("--against", metavar="MODEL", help="compare weights and features with this model")
    add_reading(show)
    add_data(show)
    show.add_argument(
        "--split", default=layout.FORGET, help=f"split whose features are compared (default {layout.FORGET})"
    )
    add_json(show)
    show.set_defaults(run=_show)
    delta = add_command(
        actions,
        "delta",
        "Write the tensors in which a model differs from its base, to be loaded as delta:BASE+FILE.",
        "  salmu-demo models delta mini-compromised local-dir:my-model --output my-change.safetensors",
    )
    delta.add_argument("base", metavar="BASE", help="the model the other one was made from")
    delta.add_argument("model", metavar="MODEL", help="a model of the same architecture")
    add_reading(delta)
    delta.add_argument("--output", metavar="FILE", type=Path, required=True, help="the .safetensors file to write")
    delta.set_defaults(run=_delta)
    push = add_command(
        actions,
        "push",
        "Put a model's folder on the Hub with this machine's token (HF_TOKEN, or a login); private unless --public.",
        "  salmu-demo models push my-model ORG/NAME\n  salmu-demo models push my-model ORG/NAME --public",
    )
    push.add_argument("model", metavar="DIR", help="an open_clip folder, or made:NAME for a model of the Unlearn tab")
    push.add_argument("repository", metavar="ORG/NAME", help="the repository; it is made if there is none")
    push.add_argument("--public", action="store_true", help="let everybody see it")
    push.set_defaults(run=_push)


def _list(options: argparse.Namespace) -> None:
    models: list[dict[str, Any]] = [
        {"name": m.name, "fingerprint": m.fingerprint, "file": str(m.files[-1]), "bytes": m.files[-1].stat().st_size}
        for m in find_models(builtin_models())
    ]
    if options.json:
        print_json(models)
        return
    print_table(["name", "size", "fingerprint"], [[m["name"], size_text(m["bytes"]), m["fingerprint"]] for m in models])


def _show(options: argparse.Namespace) -> None:
    bench = Workbench(options.data)
    references = [options.model, *([options.against] if options.against else [])]
    model, *others = bench.models(references, options.arch, options.trust_pickle)
    facts = bench.profile(model)
    change = None
    if options.against:
        progress = TerminalProgress()
        change = bench.model_change(model, others[0] if others else model, options.split, progress)
        progress.close()
    if options.json:
        print_json({**asdict(facts), "change": change and change_document(change)})
        return
    print_notes([*facts.warnings, *bench.twin_remarks(model)])
    print_table(["model", facts.name], _facts(facts))
    if change is not None:
        _print_change(change)


def _delta(options: argparse.Namespace) -> None:
    base, *others = models_without_data(options, [options.base, options.model])
    model = others[0] if others else base
    print_notes([*base.remarks, *model.remarks])
    written = write_delta(base, model, options.output)
    print(
        f"Written: {options.output}: {written.tensors:,} of {written.of:,} tensors, {size_text(written.bytes)}. "
        f"Load it: {DELTA}{options.base}+{options.output}"
    )


def _push(options: argparse.Namespace) -> None:
    # The Hub's client takes a quarter of a second to import, which other actions should not pay for.
    from salmu_demo.models.push import push_model  # noqa: PLC0415

    print_pushed(push_model(options.model, options.repository, options.public), options.repository)


def change_document(change: ModelChange) -> dict[str, Any]:
    """What changed, as JSON; a relative change of weights that were zero is null."""
    groups = {"layers": change.weights.layers, "towers": change.weights.towers}
    return {
        "against": change.against.reference,
        "verdict": change.weights.verdict,
        **{
            name: [
                {**asdict(group), "relative": group.relative if group.base or not group.change else None}
                for group in members
            ]
            for name, members in groups.items()
        },
        "split": change.split,
        "rows": change.rows,
        "cka_images": change.cka_images,
        "cka_captions": change.cka_captions,
    }


def _facts(facts: ModelProfile) -> list[list[str]]:
    return [
        ["architecture", facts.architecture],
        ["parameters", f"{facts.parameters:,}"],
        ["stored as", f"{', '.join(facts.dtypes)}, {size_text(facts.bytes)}"],
        ["from", facts.origin],
        ["revision", facts.revision or "none"],
        ["fingerprint", facts.fingerprint],
    ]


def _print_change(change: ModelChange) -> None:
    print(f"\nAgainst {change.against.name}: {change.weights.verdict}\n")
    rows = [[group.tower, group.layer or "all", f"{group.relative:.4%}"] for group in change.weights.towers]
    rows += [[group.tower, group.layer, f"{group.relative:.4%}"] for group in change.weights.layers]
    print_table(["tower", "layer", "relative change of the weights"], rows)
    print(
        f"\nLinear CKA on {change.rows:,} rows of {change.split}: images {change.cka_images:.4f}, "
        f"captions {change.cka_captions:.4f}."
    )
