"""`salmu-demo unlearn`: make an unlearned model, or list the methods."""

from pathlib import Path
from typing import Annotated, Any

from salmu_demo.cli import options
from salmu_demo.cli.options import Commands, argument, flag, option
from salmu_demo.cli.output import TerminalProgress, print_json, print_table
from salmu_demo.core.errors import QueryError
from salmu_demo.core.text import plain
from salmu_demo.data.forget_requests import find_requests, request_words
from salmu_demo.data.source import MINI
from salmu_demo.unlearning import UNRELATED, find_modality
from salmu_demo.unlearning.methods import Form, MethodSpec, all_methods, find_method
from salmu_demo.unlearning.plan import StopRules, make_plan
from salmu_demo.unlearning.training_metrics import BEST
from salmu_demo.workbench.bench import Workbench

commands = Commands()


def _method_names() -> list[str]:
    return ["list", *(spec.name for spec in all_methods())]


@commands.add("""\
  salmu-demo unlearn list
  salmu-demo unlearn finetune --model mini-compromised --output my-model
  salmu-demo unlearn npo --model mini-compromised --set beta=0.1 --budget 3200 --output my-model
  salmu-demo unlearn npo --model mini-compromised --set lora_rank=8 --set learning_rate=1e-3 --output my-adapter
  salmu-demo unlearn npo --model mini-compromised --forget 00000024,00000027:email --output my-model
  salmu-demo unlearn npo --model mini-compromised --output my-model --push ORG/NAME
  salmu-demo unlearn negative-gradient --model mini-compromised --stop-at-unrelated --output my-model
  salmu-demo unlearn negative-gradient --model mini-compromised --keep-best --output my-model
  salmu-demo unlearn dpo --model mini-clear-base --data clear-mini --modality both --output my-model""")
def _run(
    method: Annotated[str, argument("METHOD", "name of a method, or `list` for all of them", completion=_method_names)],
    model: Annotated[
        str | None,
        option("--model", "the model to start from, such as mini-compromised", completion=options.model_names),
    ] = None,
    arch: options.Arch = None,
    trust_pickle: options.TrustPickle = False,
    data: options.Data = MINI,
    forget: Annotated[
        list[str] | None,
        option(
            "--forget",
            "whom to forget instead of the whole split forget: everything of a persona, or one attribute; separated by "
            "commas, or given several times",
            "PERSONA[:KIND],…",
        ),
    ] = None,
    modality: Annotated[
        str | None,
        option(
            "--modality",
            "rows of CLEAR that a model that writes is to forget and retain: both, text (questions and answers) or "
            "visual (captioned images)",
        ),
    ] = None,
    towers: Annotated[str | None, option("--towers", "both, image or text (default: what suits the method)")] = None,
    budget: Annotated[
        int | None,
        option("--budget", "forget pairs, or texts, that go through the model (default: the method's)", "PAIRS", int),
    ] = None,
    seed: Annotated[int, option("--seed", "seed of everything random", kind=int)] = 0,
    settings: options.Settings = None,
    stop_at_unrelated: Annotated[
        bool,
        flag("--stop-at-unrelated", "stop once forget pairs are as similar as unrelated pairs were in the original"),
    ] = False,
    oracle_stop: Annotated[
        float | None,
        option(
            "--oracle-stop",
            "stop at this forget similarity, known from a Clean model: reported as an oracle",
            "COSINE",
            float,
        ),
    ] = None,
    stop_retain_drop: Annotated[
        float | None,
        option(
            "--stop-retain-drop",
            "stop once retain pairs have lost this share of their similarity at the start (of 0.1 if that is lower)",
            "SHARE",
            float,
        ),
    ] = None,
    keep_checkpoints: Annotated[bool, flag("--keep-checkpoints", "keep the models on the way too")] = False,
    keep_best: Annotated[
        bool,
        flag("--keep-best", "keep not the last but the best checkpoint, by the readings of the run alone"),
    ] = False,
    output: Annotated[Path | None, option("--output", "folder of the new model", "DIR", Path)] = None,
    push: Annotated[
        str | None,
        option("--push", "then put it on the Hub with this machine's token; private unless --public", "ORG/NAME"),
    ] = None,
    public: Annotated[bool, flag("--public", "let everybody see what is pushed")] = False,
    json: options.Json = False,
) -> None:
    if stop_at_unrelated and oracle_stop is not None:
        raise QueryError("--stop-at-unrelated and --oracle-stop exclude each other; leave one of them out.")
    if method == "list":
        _list([spec for form in Form for spec in all_methods(form)], json)
        return
    spec = find_method(method, find_modality(modality))
    if model is None or output is None:
        missing = "model" if model is None else "output"
        raise QueryError(f"Unlearning needs --{missing}; see `salmu-demo unlearn --help`.")
    if public and push is None:
        raise QueryError("--public is for --push ORG/NAME, which is missing.")
    stop = StopRules(UNRELATED if stop_at_unrelated else oracle_stop, stop_retain_drop)
    plan = make_plan(
        spec.name, {**options.settings_of(settings)}, towers, budget, seed, stop, keep_checkpoints, keep_best, modality
    )
    if push is not None and plan.lora is not None:
        raise QueryError(
            "--push takes whole models, and LoRA makes an adapter: leave it out, and push what "
            "`salmu-demo models export` writes."
        )
    bench = Workbench(data)
    requests = find_requests(bench.data, [each for given in forget or [] for each in given.split(",")])
    (source,) = options.chosen_models(bench, [model], arch, trust_pickle)
    if push is not None:
        # The Hub's client takes a quarter of a second to import, which other runs should not pay for.
        from salmu_demo.hub.push import check_push  # noqa: PLC0415

        check_push(push)
    # torch takes seconds to import, which a list of methods and a wrong line do not need.
    from salmu_demo.unlearning.trainer import unlearn  # noqa: PLC0415

    with TerminalProgress() as progress:
        record = unlearn(bench.view(source, progress), plan, output, requests=requests)
    first, last, made = record.curve[0], record.curve[-1], record.reading
    if not json:
        print(f"{spec.title}: {last.step} steps, {record.ended}.\n")
        if record.kept_step is not None:
            print(f"Kept: the model of step {record.kept_step}: {BEST}.\n")
        rows = [[name.replace("_", " "), *(f"{getattr(at, name):.3f}" for at in (first, made))] for name in made.curves]
        print_table(["reading", "before", "after"], rows)
        if requests:
            asked = "; ".join(request_words(bench.data, request) for request in requests)
            print(plain(f"\nAsked for: {asked}.\nRead: {record.rows}."))
        on = "" if data == MINI else f" --data {data}"
        print(f"\nWritten: {output}. Measure it: salmu-demo evaluate local-dir:{output}{on} --output DIR")
    pushed = None
    if push is not None:
        from salmu_demo.models.hub import push_model  # noqa: PLC0415 - as above

        pushed = push_model(str(output), push, public)
    if json:
        document: dict[str, Any] = {
            "model": str(output),
            "ended": record.ended,
            "last": vars(last),
            "rows": record.rows,
        }
        document |= {"requests": record.requests} if record.requests else {}
        document |= {"kept": vars(made)} if record.kept_step is not None else {}
        print_json({**document, **({"pushed": pushed.address} if pushed else {})})
    elif pushed and push:
        print(pushed.sentence(push))


def _list(methods: list[MethodSpec], as_json: bool) -> None:
    if as_json:
        print_json([_document(spec) for spec in methods])
        return
    for spec in methods:
        print(f"{spec.name}: {spec.title}\n  {spec.idea}\n  {spec.citation}")
        modalities = f"; modality {', '.join(spec.modalities)}" if spec.modalities else ""
        needs = ", ".join(sorted(spec.needs))
        print(f"  needs {needs}; towers {', '.join(spec.towers)}; budget {spec.budget}{modalities}")
        for key, (default, allowed) in spec.hyperparameters.items():
            print(f"    {key} = {default} ({allowed}): {allowed.words}")


def _document(spec: MethodSpec) -> dict[str, Any]:
    return {
        "name": spec.name,
        "title": spec.title,
        "citation": spec.citation,
        "idea": spec.idea,
        "needs": sorted(spec.needs),
        "form": str(spec.form),
        "modalities": list(spec.modalities),
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
