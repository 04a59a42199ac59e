"""`salmu-demo unlearn`: make an unlearned model, or list the methods."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from salmu_demo.cli.output import TerminalProgress, print_json, print_pushed, print_table
from salmu_demo.cli.parsing import add_command, add_data, add_json, add_reading, chosen_models
from salmu_demo.core.errors import QueryError
from salmu_demo.unlearning import UNRELATED
from salmu_demo.workbench.bench import Workbench

if TYPE_CHECKING:
    from salmu_demo.hub.push import Pushed
    from salmu_demo.unlearning.methods import MethodSpec

_EXAMPLES = """\
  salmu-demo unlearn list
  salmu-demo unlearn finetune --model mini-compromised --output my-model
  salmu-demo unlearn npo --model mini-compromised --set beta=0.1 --budget 3200 --output my-model
  salmu-demo unlearn npo --model mini-compromised --output my-model --push ORG/NAME
  salmu-demo unlearn negative-gradient --model mini-compromised --stop-at-unrelated --output my-model"""


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = add_command(commands, "unlearn", "Make a model forget the forget split by one of many methods.", _EXAMPLES)
    parser.add_argument("method", metavar="METHOD", help="name of a method, or `list` for all of them")
    parser.add_argument("--model", metavar="MODEL", help="the model to start from, such as mini-compromised")
    add_reading(parser)
    add_data(parser)
    parser.add_argument("--towers", metavar="TOWERS", help="both, image or text (default: what suits the method)")
    parser.add_argument(
        "--budget", metavar="PAIRS", type=int, help="forget pairs that go through the model (default: the method's)"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--set", metavar="KEY=VALUE", action="append", default=[], help="a hyperparameter; may be given several times"
    )
    level = parser.add_mutually_exclusive_group()
    level.add_argument(
        "--stop-at-unrelated",
        action="store_true",
        help="stop once forget pairs are as similar as unrelated pairs were in the original",
    )
    level.add_argument(
        "--oracle-stop",
        metavar="COSINE",
        type=float,
        help="stop at this forget similarity, known from a Clean model: reported as an oracle",
    )
    parser.add_argument(
        "--stop-retain-drop",
        metavar="SHARE",
        type=float,
        help="stop once retain pairs have lost this share of their similarity at the start (of 0.1 if that is lower)",
    )
    parser.add_argument("--keep-checkpoints", action="store_true", help="keep the models on the way too")
    parser.add_argument("--output", metavar="DIR", type=Path, help="folder of the new model")
    parser.add_argument(
        "--push", metavar="ORG/NAME", help="then put it on the Hub with this machine's token; private unless --public"
    )
    parser.add_argument("--public", action="store_true", help="let everybody see what is pushed")
    add_json(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    # torch takes seconds to import, which other commands do not need.
    from salmu_demo.unlearning.methods import all_methods, find_method  # noqa: PLC0415
    from salmu_demo.unlearning.plan import StopRules, make_plan  # noqa: PLC0415
    from salmu_demo.unlearning.trainer import unlearn  # noqa: PLC0415

    if options.method == "list":
        _list(all_methods(), options.json)
        return
    spec = find_method(options.method)
    for name in ("model", "output"):
        if getattr(options, name) is None:
            raise QueryError(f"Unlearning needs --{name}; see `salmu-demo unlearn --help`.")
    if options.public and options.push is None:
        raise QueryError("--public is for --push ORG/NAME, which is missing.")
    level = UNRELATED if options.stop_at_unrelated else options.oracle_stop
    plan = make_plan(
        spec.name,
        _settings(options.set),
        options.towers,
        options.budget,
        options.seed,
        StopRules(level, options.stop_retain_drop),
        options.keep_checkpoints,
    )
    progress = TerminalProgress()
    bench = Workbench(options.data)
    (model,) = chosen_models(bench, options, [options.model])
    if options.push is not None:
        # The Hub's client takes a quarter of a second to import, which other runs should not pay for.
        from salmu_demo.hub.push import check_push  # noqa: PLC0415

        check_push(options.push)
    record = unlearn(model, bench.data, plan, options.output, bench.embedder, progress)
    progress.close()
    first, last = record.curve[0], record.curve[-1]
    if options.json:
        pushed = {} if options.push is None else {"pushed": _push(options).address}
        print_json({"model": str(options.output), "ended": record.ended, "last": vars(last), **pushed})
        return
    print(f"{spec.title}: {last.step} steps, {record.ended}.\n")
    readings = ("forget_similarity", "unrelated_similarity", "retain_similarity", "forget_mrr")
    print_table(
        ["reading", "before", "after"],
        [[name.replace("_", " "), f"{getattr(first, name):.3f}", f"{getattr(last, name):.3f}"] for name in readings],
    )
    print(f"\nWritten: {options.output}. Measure it: salmu-demo evaluate local-dir:{options.output} --output DIR")
    if options.push is not None:
        print_pushed(_push(options), options.push)


def _push(options: argparse.Namespace) -> "Pushed":
    from salmu_demo.models.push import push_model  # noqa: PLC0415 - as above

    return push_model(str(options.output), options.push, options.public)


def _settings(given: list[str]) -> dict[str, str | float]:
    settings: dict[str, str | float] = {}
    for entry in given:
        key, equals, value = entry.partition("=")
        if not equals:
            raise QueryError(f"--set {entry} is no setting; write it as KEY=VALUE.")
        settings[key] = value
    return settings


def _list(methods: "list[MethodSpec]", as_json: bool) -> None:
    if as_json:
        print_json([_document(spec) for spec in methods])
        return
    for spec in methods:
        print(f"{spec.name}: {spec.title}\n  {spec.idea}\n  {spec.citation}")
        print(f"  needs {', '.join(sorted(spec.needs))}; towers {', '.join(spec.towers)}; budget {spec.budget}")
        for key, (default, allowed) in spec.hyperparameters.items():
            print(f"    {key} = {default} ({allowed}): {allowed.words}")


def _document(spec: "MethodSpec") -> dict[str, Any]:
    return {
        "name": spec.name,
        "title": spec.title,
        "citation": spec.citation,
        "idea": spec.idea,
        "needs": sorted(spec.needs),
        "towers": list(spec.towers),
        "budget": spec.budget,
        "hyperparameters": {
            key: {
                "default": default,
                "words": allowed.words,
                **({"choices": allowed.choices} if allowed.choices else {"low": allowed.low, "high": allowed.high}),
            }
            for key, (default, allowed) in spec.hyperparameters.items()
        },
    }
