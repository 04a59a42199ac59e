"""What attacks brought back: a section of a report, a report of its own, and a table to take away."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeVar

from salmu_demo.attacks.document import write_attacks
from salmu_demo.attacks.membership import AUC
from salmu_demo.attacks.schema import (
    MEMBERSHIP_ATTACK,
    TPR,
    TPR_BELOW,
    AttackedModel,
    AttackRecord,
    AttacksDocument,
    SkippedAttack,
)
from salmu_demo.attacks.summary import attackers_choice, most_recovered
from salmu_demo.core.files import atomic_path, write_text
from salmu_demo.core.notices import SCORES_NOTICE
from salmu_demo.metrics.intervals import LEVEL
from salmu_demo.metrics.separation import privacy_leak
from salmu_demo.reports.content import data_line, printable_report
from salmu_demo.reports.html import report_html
from salmu_demo.reports.markdown import report_markdown
from salmu_demo.reports.pdf import report_pdf
from salmu_demo.reports.report import Block, Report, Section, Table
from salmu_demo.reports.tables import Cell, csv_table
from salmu_demo.reports.text import NOTHING, listed, number_cell, percent
from salmu_demo.results.records import MeasuredData

RECOVERABILITY: Final = "Recoverability"
CANNOT_TELL: Final = "cannot tell here"

_ABOUT: Final = (
    "Is what was to be forgotten gone, or only hidden? Each attack was run on the model, on Clean and on Compromised "
    "with the same seeds, and read on people that it did not see. The recovered share is (model − Clean) / "
    "(Compromised − Clean) under the attack, minus the same share without it: near 0 the attack brings nothing back, "
    "at 1 everything. Where the controls do not separate, an attack cannot tell. Of several forms of an attack each "
    "line shows the one that recovers most."
)
Named = TypeVar("Named", AttackRecord, SkippedAttack)

_INTERVAL: Final = f"{LEVEL * 100:.0f} % interval"
_HEADS: Final = ("Attack", "Form", "Read in")
_FILES: Final = "attacks"
_WHAT: Final = "The report of the attacks"


def under_names(document: AttacksDocument, names: Mapping[str, str]) -> AttacksDocument:
    """The same with other names of the models that were attacked, by their fingerprints; for what is shown alone."""
    called = {model.name: names.get(model.fingerprint, model.name) for model in document.models}

    def renamed(found: Sequence[Named]) -> list[Named]:
        return [each.model_copy(update={"model": called.get(each.model, each.model)}) for each in found]

    models = [model.model_copy(update={"name": called[model.name]}) for model in document.models]
    found = {"models": models, "records": renamed(document.records), "skipped": renamed(document.skipped)}
    return document.model_copy(update=found)


def attack_section(document: AttacksDocument) -> Section:
    """What attacks brought back, with the controls beside it."""
    return Section(RECOVERABILITY, tuple(_section(document)), on_all_rows=True)


def _section(document: AttacksDocument) -> Iterator[Block]:
    yield _ABOUT
    yield Table(
        "The most that any attack that counts brings back.",
        ("Model", "Attack", "Read in", "Recovered", _INTERVAL),
        tuple(_most(document, model.name) for model in document.models),
        3,
    )
    for model in document.models:
        records = [record for record in document.records if record.model == model.name]
        if records:
            yield Table(
                f"{model.name}: what each attack brings back.",
                (*_HEADS, "As is", "Attacked", "Clean", "Compromised", "Recovered", _INTERVAL),
                tuple(_line(record) for record in attackers_choice(records)),
                3,
            )
    yield from _membership(document)
    if document.controls:
        yield Table(
            "The attacks where the answer is known: Compromised once more, and copies of it whose leak is hidden by a "
            "rotation or projected out; the share they find, which has to be the expected one.",
            ("Attack", "Form", "Case", "Found", "Expected"),
            tuple(
                (c.attack, c.variant, c.control, number_cell(c.share), f"{c.expected:.0f}") for c in document.controls
            ),
            3,
        )
    yield from dict.fromkeys(f"{skipped.model}: {skipped.reason}" for skipped in document.skipped)
    if document.attacks:
        yield Table(
            "What the attacker has and does.",
            ("Attack", "Attacker", "Needs besides features", "Counts"),
            tuple(
                (a.title, a.attacker, ", ".join(a.needs) or NOTHING, "yes" if a.counts else "no")
                for a in document.attacks
            ),
            4,
        )


def _most(document: AttacksDocument, model: str) -> tuple[str, ...]:
    most = most_recovered(document, model)
    if most is None:
        return model, CANNOT_TELL, NOTHING, NOTHING, NOTHING
    return model, " · ".join(filter(None, (most.attack, most.variant))), _read_in(most), *recovered_cells(most)


def _line(record: AttackRecord) -> tuple[str, ...]:
    name = record.attack if record.counts else f"{record.attack} (not counted)"
    numbers = (number_cell(value) for value in (record.as_is, record.value, record.clean, record.compromised))
    return name, record.variant or NOTHING, _read_in(record), *numbers, *recovered_cells(record)


def _read_in(record: AttackRecord) -> str:
    return f"{record.gallery}, {record.measure}"


def recovered_cells(record: AttackRecord) -> tuple[str, str]:
    """The recovered share and its interval as cells of a table."""
    found = record.recovered
    if found is None:
        controls = (record.clean, record.compromised)
        return (NOTHING if None in controls else CANNOT_TELL), NOTHING
    if found.low is None or found.high is None:
        return percent(found.value), NOTHING
    return percent(found.value), _ends(found.low, found.high)


def _ends(low: float, high: float) -> str:
    return f"{percent(low)} to {percent(high)}"


def _membership(document: AttacksDocument) -> Iterator[Table]:
    """How well pairs to be forgotten are told from others of the same people, if that was tried."""
    told: dict[tuple[str, str], dict[str, AttackRecord]] = {}
    for record in document.records:
        if record.attack == MEMBERSHIP_ATTACK:
            told.setdefault((record.model, record.gallery), {})[record.measure] = record
    if told:
        yield Table(
            "Who was to be forgotten: pairs to be forgotten, told from others of the same people by how well they "
            "match. PrivLeak compares the AUC with Clean's: below 0 they can still be told, above 0 they are "
            "conspicuously far. From below among kept pairs is no mark: a perfect method leaves it too.",
            ("Model", "Told from", "PrivLeak", "At 1 % false positives", _INTERVAL, "From below", _INTERVAL),
            tuple(
                (*of, _leak(found.get(AUC)), *_rate(found.get(TPR)), *_rate(found.get(TPR_BELOW)))
                for of, found in told.items()
            ),
            2,
        )


def _leak(record: AttackRecord | None) -> str:
    if record is None or record.clean is None or record.clean == 1:
        return NOTHING
    return percent(float(privacy_leak(record.value, record.clean)))


def _rate(record: AttackRecord | None) -> tuple[str, str]:
    if record is None:
        return NOTHING, NOTHING
    if record.low is None or record.high is None:
        return percent(record.value), NOTHING
    return percent(record.value), _ends(record.low, record.high)


def attack_report(document: AttacksDocument) -> Report:
    """A report of attacks alone; the same document gives the same report."""
    names = listed([model.name for model in document.models])
    title = f"What attacks bring back of what {names} forgot, measured on {document.data.name}"
    notices = (data_line(_data(document)), SCORES_NOTICE)
    return printable_report(Report(title, notices, tuple(_head(document)), (attack_section(document),)))


def _data(document: AttacksDocument) -> MeasuredData:
    data = document.data
    return MeasuredData(data.name, data.fingerprint, data.revision, data.notice)


def _head(document: AttacksDocument) -> Iterator[Block]:
    had = document.references
    references = (("Clean", had.clean), ("Compromised", had.compromised), ("Gold", had.gold))
    attacked: list[tuple[str, AttackedModel]] = [("attacked", model) for model in document.models]
    attacked += [(role, model) for role, model in references if model is not None]
    yield Table(
        "What was attacked, and compared with what.",
        ("Model", "Role here", "Given as", "Fingerprint (SHA-256)"),
        tuple((model.name, role, model.reference, model.fingerprint) for role, model in attacked),
        4,
    )
    facts = (
        ("Data", document.data.name),
        ("Data fingerprint (SHA-256)", document.data.fingerprint),
        ("Seed", str(document.seed)),
        ("Tried", "more than the defaults (thorough)" if document.thorough else "the defaults"),
        ("Date (UTC)", document.date),
    )
    yield Table("On what, and how.", ("Fact", "Value"), facts, 2)


def attacks_csv(document: AttacksDocument) -> str:
    """One line for each record, with nothing left out."""
    header = (
        "model", "attack", "variant", "gallery", "measure", "value", "value_low", "value_high", "as_is", "clean",
        "compromised", "share", "left",
        "recovered", "interval_low", "interval_high", "reason", "counts", "pairs", "personas", "seed", "seconds",
    )  # fmt: skip

    def line(record: AttackRecord) -> tuple[Cell, ...]:
        found = record.recovered
        ends = (None, None, None) if found is None else (found.value, found.low, found.high)
        return (
            record.model, record.attack, record.variant, record.gallery, record.measure, record.value, record.low,
            record.high, record.as_is,
            record.clean, record.compromised, record.share, record.left, *ends, record.reason,
            "yes" if record.counts else "no", record.pairs, record.personas, record.seed, record.seconds,
        )  # fmt: skip

    return csv_table(_data(document), header, map(line, document.records))


def write_attack_reports(document: AttacksDocument, folder: Path) -> list[Path]:
    """Write `attacks.json`, and what it says as CSV, Markdown, HTML and PDF; each file whole or not at all.

    Raises:
        StorageError: if a file cannot be written.
    """
    report = attack_report(document)
    texts = {
        # A byte order mark tells spreadsheets that the text is UTF-8.
        ".csv": f"\ufeff{attacks_csv(document)}",
        ".md": report_markdown(report),
        ".html": report_html(report, {}),
    }
    paths = [write_attacks(document, folder)]
    for ending, text in texts.items():
        paths.append(folder / f"{_FILES}{ending}")
        write_text(paths[-1], text, _WHAT)
    paths.append(folder / f"{_FILES}.pdf")
    with atomic_path(paths[-1], _WHAT) as temporary:
        temporary.write_bytes(report_pdf(report, {}))
    return paths
