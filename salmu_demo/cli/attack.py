"""`salmu-demo attack`: is what a model was to forget gone, or only hidden?"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from salmu_demo.attacks.base import choose_attacks
from salmu_demo.attacks.document import write_attacks
from salmu_demo.attacks.pairs import BITS, MIXED, MRR, SAME_KIND
from salmu_demo.attacks.schema import AttackRecord, AttacksDocument
from salmu_demo.cli import options
from salmu_demo.cli.options import Commands, flag, option
from salmu_demo.cli.output import TerminalProgress, print_json, print_notes, print_table
from salmu_demo.core.files import check_writable
from salmu_demo.core.text import plain
from salmu_demo.data.source import MINI
from salmu_demo.metrics.protocol import SEED
from salmu_demo.workbench.attacking import attack, attack_references
from salmu_demo.workbench.bench import Workbench

commands = Commands()


@commands.add("""\
  salmu-demo attack mini-unlearned-pinpoint --output attacks
  salmu-demo attack local-dir:my-model --attacks linear-map,own-head --output attacks
  salmu-demo attack local-dir:my-model --attacks downstream --output attacks
  salmu-demo attack local-dir:mine --clean local-dir:clean --compromised local-dir:leaky --data folder --output attacks

A call that was stopped goes on with the attack it was at.""")
def _run(
    models: options.Models,
    output: Annotated[Path, option("--output", "folder of attacks.json", "DIR", Path)],
    attacks: Annotated[str | None, option("--attacks", "comma-separated", "NAMES")] = None,
    arch: options.Arch = None,
    trust_pickle: options.TrustPickle = False,
    data: options.Data = MINI,
    clean: options.Clean = None,
    compromised: options.Compromised = None,
    gold: options.Gold = None,
    thorough: Annotated[
        bool, flag("--thorough", "try more than the defaults do, and all attacks, which takes much longer")
    ] = False,
    seed: Annotated[int, option("--seed", "seed of everything random", kind=int)] = SEED,
    ray: options.Ray = False,
    workers: options.Workers = 2,
    json: options.Json = False,
) -> None:
    cluster = options.ray_cluster(ray, workers)
    names = [spec.name for spec in choose_attacks(attacks.split(",") if attacks is not None else None, thorough)]
    told = options.told_once(clean, compromised, gold)
    bench = Workbench(data)
    sources = options.chosen_models(bench, models, arch, trust_pickle)
    references = attack_references(bench, sources, told)
    check_writable(output, "The file of attacks")  # Now rather than after minutes of work.
    with TerminalProgress() as progress:
        document = attack(bench, sources, references, names, seed, thorough, progress, cluster, trust_pickle)
    path = write_attacks(document, output)
    if json:
        print_json({"file": str(path), **document.model_dump(mode="json", by_alias=True)})
        print_notes(skipped.reason for skipped in document.skipped)
        return
    _print(document)
    print(f"\nWritten: {path}")


def _print(document: AttacksDocument) -> None:
    if document.data.notice:
        print(f"{document.data.notice}\n")
    for model in document.models:
        print(f"{plain(model.name)}: recovered share of the leak, beyond what is left as is")
        lines = _lines([record for record in document.records if record.model == model.name])
        header = ["attack", "variant", "as is", "attacked", "Clean", "Compromised", "recovered", "bits"]
        print_table([*header, "same kind", "bits"], lines)
        print()
    for sentence in _remarks(document):
        print(plain(sentence))
    if document.controls:
        print()
        print_table(
            ["control", "attack", "variant", "share", "expected"],
            [
                [control.control, control.attack, control.variant, _number(control.share), f"{control.expected:.0f}"]
                for control in document.controls
            ],
        )


def _lines(records: Sequence[AttackRecord]) -> list[list[str]]:
    """A line for each form of each attack: its values in MRR, and what it recovers in both galleries and measures.

    What is read in no gallery has a line for each measure.
    """
    lines = []
    for line in dict.fromkeys(record.line for record in records):
        of_line = {(record.gallery, record.measure): record for record in records if record.line == line}
        head = of_line.get((MIXED, MRR))
        if head is None:
            lines += [_line(record, f"{record.gallery}, {record.measure}", [record]) for record in of_line.values()]
            continue
        shares = [of_line.get((gallery, measure)) for gallery in (MIXED, SAME_KIND) for measure in (MRR, BITS)]
        lines.append(_line(head, head.variant, shares))
    return lines


def _line(head: AttackRecord, variant: str, shares: Sequence[AttackRecord | None]) -> list[str]:
    values = [_number(value) for value in (head.as_is, head.value, head.clean, head.compromised)]
    if head.as_is is None:
        values[1] += _ends(head.low, head.high, 3)
    mark = "" if head.counts else " (not counted)"
    return [f"{head.attack}{mark}", variant, *values, *map(_share, shares), *[""] * (4 - len(shares))]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _share(record: AttackRecord | None) -> str:
    if record is None:
        return ""
    if record.recovered is None:
        return "cannot tell" if record.clean is not None and record.compromised is not None else "-"
    return f"{record.recovered.value:.2f}{_ends(record.recovered.low, record.recovered.high, 2)}"


def _ends(low: float | None, high: float | None, digits: int) -> str:
    return "" if low is None or high is None else f" [{low:.{digits}f}, {high:.{digits}f}]"


def _remarks(document: AttacksDocument) -> list[str]:
    """What was skipped, and why attacks cannot tell, in the first gallery and measure of each: the file has all."""
    told = [f"{skipped.model}: {skipped.reason}" for skipped in document.skipped]
    first: dict[tuple[str, str], str] = {}
    for record in document.records:
        if record.reason is not None:
            first.setdefault(record.line, f"{' '.join(filter(None, record.line))}: {record.reason}")
    return [*told, *first.values()]
