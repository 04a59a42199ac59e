"""`salmu-demo dossier`: everything about one person with any models, as a document to hand in."""

from pathlib import Path
from typing import Annotated

from salmu_demo.cli import options
from salmu_demo.cli.options import Commands, argument, flag, option
from salmu_demo.cli.output import TerminalProgress, print_json, print_notes, print_table
from salmu_demo.core.files import check_writable
from salmu_demo.core.text import plain
from salmu_demo.data.layout import kind_title
from salmu_demo.data.personas import find_persona
from salmu_demo.data.source import MINI
from salmu_demo.dossiers.document import content_of
from salmu_demo.dossiers.schema import DossierDocument
from salmu_demo.workbench.bench import Workbench
from salmu_demo.workbench.dossiers import attach, declare, dossier, thumbnails

commands = Commands()


@commands.add("""\
  salmu-demo dossier 00000024 mini-unlearned-finetune mini-clean mini-compromised --output dossier
  salmu-demo dossier 00000024 mini-unlearned-finetune mini-clean mini-compromised --attacks attacks --output dossier
  salmu-demo dossier ID local-dir:mine local-dir:clean --clean clean --data folder --no-images --output dossier

Name Clean, Compromised and the model that another one was unlearned from among the models.""")
def _run(
    persona: Annotated[str, argument("PERSONA", "id, name or any other value of the person")],
    models: options.Models,
    output: Annotated[Path, option("--output", "folder of the dossier's files", "DIR", Path)],
    arch: options.Arch = None,
    trust_pickle: options.TrustPickle = False,
    clean: options.Clean = None,
    compromised: options.Compromised = None,
    gold: options.Gold = None,
    called: options.Names = None,
    data: options.Data = MINI,
    found_by: Annotated[
        list[Path] | None,
        option("--attacks", "attacks.json of these models, or its folder, to attach", "FILE", Path),
    ] = None,
    no_images: Annotated[bool, flag("--no-images", "show no images, only their digests", "--no-pictures")] = False,
    auditor: Annotated[str, option("--auditor", "who makes the dossier", "NAME")] = "",
    release: Annotated[str, option("--release", "how the models are released or used", "TEXT")] = "",
    notes: Annotated[str, option("--notes", "anything else to say", "TEXT")] = "",
    json: options.Json = False,
) -> None:
    # Takes a second to import, which the help does not need.
    from salmu_demo.reports.dossier import write_dossier  # noqa: PLC0415

    declared = declare(auditor, release, notes)
    attached = [attach(path) for path in found_by or ()]
    bench = Workbench(data)
    identity = find_persona(bench.data, persona).identity_id  # An unknown one fails before any model is looked at.
    sources = options.chosen_models(bench, models, arch, trust_pickle)
    told = options.told_references(clean, compromised, gold, sources)
    names = options.shown_names(sources, called)
    check_writable(output, "The dossier")
    with TerminalProgress() as progress:
        document = dossier(bench, identity, sources, names, told, declared, attached, not no_images, progress)
        written = write_dossier(document, thumbnails(bench.data, document), attached, output)
    if json:
        print_json({"files": [str(path) for path in written], **content_of(document)})
    else:
        _print(document)
        print("\nWritten: " + ", ".join(str(path) for path in written))
    print_notes(document.remarks)


def _print(document: DossierDocument) -> None:
    if document.data.notice:
        print(f"{document.data.notice}\n")
    print(plain(document.question))
    for answer in document.answers:
        print(plain(answer.sentence))
    print()
    print_table(
        ["attribute", "model", "verdict", "rank", "p", "corrected", "exposure", "residual risk"],
        [
            [
                kind_title(cell.kind), cell.model, cell.verdict, f"{cell.rank:g} of {cell.of}", f"{cell.p:.3f}",
                f"{cell.corrected:.3f}", f"{cell.exposure:.2f}", _risk(document, cell.kind, cell.model),
            ]
            for cell in document.cells
            if cell.decides
        ],
    )  # fmt: skip


def _risk(document: DossierDocument, kind: str, model: str) -> str:
    found = next(risk for risk in document.risks if (risk.kind, risk.model) == (kind, model))
    if found.value is None:
        return "refused"
    return f"{found.value:.2f} ({found.low:.2f} to {found.high:.2f})"
