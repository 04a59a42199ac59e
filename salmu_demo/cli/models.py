"""`salmu-demo models`: the built-in ones, what a checkpoint is and changed, that change as a file, exports, pushing."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from salmu_demo.cli import options
from salmu_demo.cli.options import Commands, argument, flag, option
from salmu_demo.cli.output import TerminalProgress, print_json, print_notes, print_table
from salmu_demo.core.text import size_text
from salmu_demo.data import layout
from salmu_demo.data.source import MINI
from salmu_demo.models.checkpoint import builtin_models
from salmu_demo.models.delta_export import write_delta
from salmu_demo.models.formats import Format, export_model
from salmu_demo.models.profile import ModelProfile
from salmu_demo.models.references import find_models
from salmu_demo.models.source import DELTA, LOCAL_DIR
from salmu_demo.probes.model_change import ModelChange
from salmu_demo.workbench.bench import Workbench

_EXAMPLES = """\
  salmu-demo models show mini-unlearned-finetune --against mini-compromised
  salmu-demo models show checkpoint.safetensors --json
  salmu-demo models show delta:mini-compromised+my-adapter --against mini-compromised --split holdout_identity"""

commands = Commands(f"  salmu-demo models list --json\n{_EXAMPLES}")


@commands.add("  salmu-demo models list", "list")
def _list(json: options.Json = False) -> None:
    """The built-in models."""
    models: list[dict[str, Any]] = [
        {"name": m.name, "fingerprint": m.fingerprint, "file": str(m.files[-1]), "bytes": m.files[-1].stat().st_size}
        for m in find_models(builtin_models())
    ]
    if json:
        print_json(models)
        return
    print_table(["name", "size", "fingerprint"], [[m["name"], size_text(m["bytes"]), m["fingerprint"]] for m in models])


@commands.add(_EXAMPLES, "show")
def _show(
    model: options.Model,
    against: Annotated[
        str | None,
        option("--against", "compare weights and features with this model", "MODEL", completion=options.model_names),
    ] = None,
    arch: options.Arch = None,
    trust_pickle: options.TrustPickle = False,
    data: options.Data = MINI,
    split: Annotated[str, option("--split", "split whose features are compared")] = layout.FORGET,
    json: options.Json = False,
) -> None:
    """What a checkpoint is, and what changed against another one."""
    bench = Workbench(data)
    shown, *others = bench.models([model, *([against] if against else [])], arch, trust_pickle)
    facts = bench.profile(shown)
    change = None
    if against:
        with TerminalProgress() as progress:
            change = bench.model_change(shown, others[0] if others else shown, split, progress)
    if json:
        print_json({**asdict(facts), "change": change and change_document(change)})
        return
    print_notes([*facts.warnings, *bench.twin_remarks(shown)])
    print_table(["model", facts.name], _facts(facts))
    if change is not None:
        _print_change(change)


@commands.add("  salmu-demo models delta mini-compromised local-dir:my-model --output my-change.safetensors", "delta")
def _delta(
    base: Annotated[str, argument("BASE", "the model the other one was made from", completion=options.model_names)],
    model: Annotated[str, argument("MODEL", "a model of the same architecture", completion=options.model_names)],
    output: Annotated[Path, option("--output", "the .safetensors file to write", "FILE", Path)],
    arch: options.Arch = None,
    trust_pickle: options.TrustPickle = False,
) -> None:
    """Write the tensors in which a model differs from its base, to be loaded as delta:BASE+FILE."""
    start, *others = options.models_without_data([base, model], arch, trust_pickle)
    changed = others[0] if others else start
    print_notes([*start.remarks, *changed.remarks])
    written = write_delta(start, changed, output)
    print(
        f"Written: {output}: {written.tensors:,} of {written.of:,} tensors, {size_text(written.bytes)}. "
        f"Load it: {DELTA}{base}+{output}"
    )


@commands.add(
    "  salmu-demo models export mini-unlearned-finetune --format transformers --output my-clip\n"
    "  salmu-demo models export hf-hub:openai/clip-vit-base-patch32 --format open_clip --output clip-b32",
    "export",
)
def _export(
    model: options.Model,
    format: Annotated[Format, typer.Option(help="kind of the folder")],
    output: Annotated[Path, option("--output", "a new or empty folder", "DIR", Path)],
    arch: options.Arch = None,
    trust_pickle: options.TrustPickle = False,
) -> None:
    """Write a model as a folder that open_clip or transformers reads, as this program does."""
    [source] = options.models_without_data([model], arch, trust_pickle)
    print_notes(source.remarks)
    export_model(source, format, output)
    print(f"Written: {output}. Load it: {LOCAL_DIR}{output}")


@commands.add("  salmu-demo models push my-model ORG/NAME\n  salmu-demo models push my-model ORG/NAME --public", "push")
def _push(
    model: Annotated[str, argument("DIR", "an open_clip folder, or made:NAME for a model of the Unlearn tab")],
    repository: Annotated[str, argument("ORG/NAME", "the repository; it is made if there is none")],
    public: Annotated[bool, flag("--public", "let everybody see it")] = False,
) -> None:
    """Put a model's folder on the Hub with this machine's token (HF_TOKEN, or a login); private unless --public."""
    # The Hub's client takes a quarter of a second to import, which other actions should not pay for.
    from salmu_demo.models.hub import push_model  # noqa: PLC0415

    print(push_model(model, repository, public).sentence(repository))


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
        "cka_pictures": change.cka_images,
        "cka_captions": change.cka_captions,
    }


def _facts(facts: ModelProfile) -> list[list[str]]:
    return [
        ["architecture", facts.architecture],
        ["parameters", f"{facts.parameters:,}"],
        ["stored as", f"{', '.join(facts.dtypes)}, {size_text(facts.bytes)}"],
        *([setting.name, f"{setting.value} ({setting.origin})"] for setting in facts.settings),
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
