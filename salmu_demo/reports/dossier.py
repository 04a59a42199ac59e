"""A dossier as HTML and PDF: what `dossier.json` says, in its order, and nothing besides."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from salmu_demo.core.files import atomic_path, write_text
from salmu_demo.data.layout import kind_title
from salmu_demo.dossiers.contents import Attached
from salmu_demo.dossiers.document import write_dossier as write_json
from salmu_demo.dossiers.schema import (
    DossierCell,
    DossierDocument,
    DossierRecovery,
    NeverTaught,
    NotCompared,
    ReferenceStanding,
    Risk,
    UsedImage,
)
from salmu_demo.metrics.intervals import LEVEL
from salmu_demo.models.roles import TITLES
from salmu_demo.reports.attacks import CANNOT_TELL
from salmu_demo.reports.content import data_line, printable_report
from salmu_demo.reports.html import report_html
from salmu_demo.reports.pdf import report_pdf
from salmu_demo.reports.report import Block, ImageRow, Report, Section, Table
from salmu_demo.reports.text import NOTHING, capital, counted, percent, signed, unsigned
from salmu_demo.results.records import MeasuredData

_NAME: Final = "dossier"
_WHAT: Final = "The dossier"
_INTERVAL: Final = f"{LEVEL * 100:.0f} % interval"
_SIDES: Final = {"forget": "to be forgotten", "kept": "to be kept"}

_RULE: Final = (
    "Each test ranks the truth among the same thing about others. leaks, marked: so near the top or the bottom, and so "
    "far from the others, that a guess is seldom there; not known: Compromised does not find it either; no evidence: "
    "anything else. p is how often a guess is as near to either end; corrected also counts how far from the others, "
    "for all attributes together. Exposure is in bits, with its interval over images."
)
_RISK: Final = (
    "(attack − control) / (1 − control): of what the attack could win beyond its success with people whom no model was "
    "taught, the share that it does win. The attack is the nameless line-up with one image; it wins where the truth "
    "is first. The interval joins those of both shares."
)
_CHANGE: Final = (
    "The same images before and after unlearning. The interval of the change is over images, drawn in pairs."
)
_REQUESTS: Final = (
    "What this person asked to be forgotten, as the records of the models tell it: the test that decides before the "
    "run that was asked, and with the model, which may be the product of later runs too."
)
_RECOVERABILITY: Final = (
    "Whether what was to be forgotten is gone or only hidden, for all people together. Of several forms of an attack "
    "the one that recovers most is shown."
)
_COLLATERAL: Final = (
    "Other people of whom something was to be kept: what the nameless line-up finds of it before and after, in bits."
)
_THREATS: Final = "In the terms of NIST AI 100-2: objective, capabilities and knowledge of the attacker."
_NOT_SAID: Final = "not said"


def dossier_report(document: DossierDocument) -> Report:
    """The report of a dossier; the same dossier gives the same report."""
    data = document.data
    line = data_line(MeasuredData(data.name, data.fingerprint, data.revision, data.notice))
    sections: tuple[tuple[str, Iterable[Block]], ...] = (
        ("Images used", _images(document)),
        ("Attribute by attribute", _attributes(document)),
        ("Residual risk", _risks(document)),
        ("Before and after unlearning", _changes(document)),
        ("Requests", _requests(document)),
        ("Recoverability", _recoverability(document)),
        ("Other people", _collateral(document)),
        ("What was tried, and what was not", _coverage(document)),
        ("Whom each test stands for", _threats(document)),
        ("Declared by the auditor", _declared(document)),
        ("Limits", document.limits),
        ("Models, data and code", _origin(document)),
    )
    return printable_report(
        Report(
            f"Dossier: {document.person.name}",
            (line, *document.remarks),
            (document.question, *(answer.sentence for answer in document.answers)),
            tuple(Section(title, tuple(blocks)) for title, blocks in sections),
        )
    )


def write_dossier(
    document: DossierDocument, thumbnails: Sequence[bytes], attached: Sequence[Attached], folder: Path
) -> list[Path]:
    """Write `dossier.json`, what it says as HTML and PDF, and the attached files of attacks; each whole or not at all.

    Args:
        document: the dossier.
        thumbnails: PNG of the images that it shows, in their order.
        attached: the files of attacks that it names.
        folder: where to.

    Raises:
        StorageError: if a file cannot be written.
    """
    report = dossier_report(document)
    images = {_image_name(number): image for number, image in enumerate(thumbnails)}
    contents = {
        **{each.file_name: each.content for each in attached},
        f"{_NAME}.pdf": report_pdf(report, images),
    }
    paths = [folder / f"{_NAME}.html"]
    write_text(paths[0], report_html(report, images), _WHAT)
    for name, content in contents.items():
        paths.append(folder / name)
        with atomic_path(paths[-1], _WHAT) as temporary:
            temporary.write_bytes(content)
    # Last: where it lies, everything lies that it names.
    return [write_json(document, folder), *paths]


def _image_name(number: int) -> str:
    return f"image-{number}"


def _where(image: UsedImage) -> str:
    return f"{image.split}, row {image.row}"


def _images(document: DossierDocument) -> Iterator[Block]:
    found = document.pictures
    if found.shown:
        yield ImageRow(
            f"The {counted(len(found.used), 'image')} that a test used.",
            tuple(map(_image_name, range(len(found.used)))),
            tuple(map(_where, found.used)),
        )
    else:
        yield f"Images are not shown. {found.reason}"
    rows = tuple((_where(image), image.file_name, image.sha256) for image in found.used)
    yield Table("Where the images are, and what they hold.", ("Image", "File", "SHA-256"), rows, 3)


def _attributes(document: DossierDocument) -> Iterator[Block]:
    yield _RULE
    asked = {request.kind: request.words for request in document.person.asked}
    for kind in dict.fromkeys(cell.kind for cell in document.cells):
        cells = [cell for cell in document.cells if cell.kind == kind]
        deciding = [cell for cell in cells if cell.decides]
        truth = ", ".join(deciding[0].truth)
        yield Table(
            f"{kind_title(kind)}: {asked.get(kind, 'nothing asked')}. True: {truth}. The test that decides, by chance "
            f"{deciding[0].chance_exposure:.2f} bits.",
            (
                "Model", "Verdict", "Why", "Rank", "p", "Corrected", "Exposure", _INTERVAL, "Clean", "Compromised",
                "Never taught, first",
            ),
            tuple(map(_deciding_row, deciding)),
            3,
        )  # fmt: skip
        if further := [cell for cell in cells if not cell.decides]:
            yield Table(
                f"{kind_title(kind)}: further tests.",
                ("Model", "Test", "Verdict", "Rank", "p", "Corrected", "Exposure", "Clean", "Never taught, first"),
                tuple(map(_further_row, further)),
                3,
            )
    yield from dict.fromkeys(
        f"{kind_title(each.kind)}, {each.test}, {each.variant}: not carried out. {each.reason}"
        for each in document.not_carried_out
    )


def _deciding_row(cell: DossierCell) -> tuple[str, ...]:
    return (
        cell.model, cell.verdict or NOTHING, capital(cell.reason), _rank(cell), f"{cell.p:.3f}",
        f"{cell.corrected:.3f}", f"{cell.exposure:.2f}", _ends(cell.low, cell.high, 2), _rank(cell.clean),
        _rank(cell.compromised), _first(cell.never_taught),
    )  # fmt: skip


def _further_row(cell: DossierCell) -> tuple[str, ...]:
    kept = "" if cell.side == "forget" else f", {_SIDES[cell.side]}"
    return (
        cell.model, f"{cell.test}, {cell.variant}{kept}", cell.verdict or NOTHING, _rank(cell), f"{cell.p:.3f}",
        f"{cell.corrected:.3f}", f"{cell.exposure:.2f}", _rank(cell.clean), _first(cell.never_taught),
    )  # fmt: skip


def _rank(found: DossierCell | ReferenceStanding | None) -> str:
    return NOTHING if found is None else f"{found.rank:g} of {found.of}"


def _first(found: NeverTaught | None) -> str:
    return NOTHING if found is None else f"{found.first} of {found.people}"


def _ends(low: float | None, high: float | None, digits: int) -> str:
    if low is None or high is None:
        return NOTHING
    return f"{low:.{digits}f} to {high:.{digits}f}".replace("-", "−")


def _percents(low: float | None, high: float | None) -> str:
    return NOTHING if low is None or high is None else f"{percent(low)} to {percent(high)}"


def _risks(document: DossierDocument) -> Iterator[Block]:
    yield _RISK
    yield Table(
        "By attribute and model.",
        ("Attribute", "Model", "Attack", "Control", "Residual risk", _INTERVAL),
        tuple(map(_risk_row, document.risks)),
        2,
    )
    for refused in dict.fromkeys(risk.refused for risk in document.risks if risk.refused):
        yield f"Refused where no number stands: {refused}"


def _risk_row(risk: Risk) -> tuple[str, ...]:
    return (
        kind_title(risk.kind),
        risk.model,
        f"{percent(risk.attack)} of {counted(risk.pictures, 'image')}",
        NOTHING if risk.control is None else f"{percent(risk.control)}, {risk.controls} people",
        "refused" if risk.value is None else percent(risk.value),
        _percents(risk.low, risk.high),
    )


def _changes(document: DossierDocument) -> Iterator[Block]:
    found = document.before_after
    if found.changes:
        yield _CHANGE
    for model, before in dict.fromkeys((change.model, change.before) for change in found.changes):
        yield Table(
            f"{before} before, {model} after.",
            ("Attribute", "Asked", "Before", "After", "Rank before", "Rank after", "Change in bits", _INTERVAL),
            tuple(
                (
                    kind_title(c.kind), _SIDES[c.side], c.verdict_before, c.verdict_after, f"{c.rank_before:g}",
                    f"{c.rank_after:g} of {c.of}", signed(c.exposure_change, 2), _ends(c.low, c.high, 2),
                )
                for c in found.changes
                if c.model == model
            ),
            4,
        )  # fmt: skip
    yield from _missing(found.missing)
    if not found.changes and not found.missing:
        yield "No model here was unlearned."


def _requests(document: DossierDocument) -> Iterator[Block]:
    found = document.requests
    if found.followed:
        yield Table(
            _REQUESTS,
            ("Model", "Asked in run", "Attribute", "Before, with", "Before", "After", "Rank before", "Rank after"),
            tuple(
                (
                    f.model, f"{f.run} of {f.runs}", kind_title(f.kind), f.before or NOTHING,
                    f.verdict_before or NOTHING, f.verdict_after,
                    NOTHING if f.rank_before is None else f"{f.rank_before:g}", f"{f.rank_after:g} of {f.of}",
                )
                for f in found.followed
            ),
            6,
        )  # fmt: skip
    yield from _missing(found.missing)
    if not found.followed and not found.missing:
        yield "No model here was asked to forget single people."


def _missing(found: Sequence[NotCompared]) -> Iterator[str]:
    return (f"{each.model}: {each.reason}" for each in found)


def _recoverability(document: DossierDocument) -> Iterator[Block]:
    found = document.recoverability
    if found.found:
        yield _RECOVERABILITY
    for model in dict.fromkeys(record.model for record in found.found):
        records = [record for record in found.found if record.model == model]
        yield Table(
            f"{model}: what each attack brings back.",
            ("Attack", "Read in", "As is", "Attacked", "Clean", "Compromised", "Recovered", _INTERVAL),
            tuple(map(_recovery_row, records)),
            2,
        )
    yield from _missing(found.missing)


def _recovery_row(record: DossierRecovery) -> tuple[str, ...]:
    name = " · ".join(filter(None, (record.attack, record.variant)))
    values = (record.as_is, record.value, record.clean, record.compromised)
    return (
        name if record.counts else f"{name} (not counted)",
        f"{record.gallery}, {record.measure}",
        *(NOTHING if value is None else unsigned(value) for value in values),
        *_recovered(record),
    )


def _recovered(found: DossierRecovery) -> tuple[str, str]:
    if found.recovered is None:
        return (NOTHING if None in (found.clean, found.compromised) else CANNOT_TELL), NOTHING
    return percent(found.recovered), _percents(found.low, found.high)


def _collateral(document: DossierDocument) -> Iterator[Block]:
    found = document.collateral
    if found.losses:
        yield _COLLATERAL
    for loss in found.losses:
        yield Table(
            f"{loss.before} before, {loss.model} after: {loss.people} other people, on average "
            f"{signed(loss.mean_change, 2)} bits; those who lost most.",
            ("Person", "Attributes to be kept", "Before", "After", "Change in bits"),
            tuple(
                (f"{p.name} ({p.identity_id})", str(p.facts), f"{p.before:.2f}", f"{p.after:.2f}", signed(p.change, 2))
                for p in loss.worst
            ),
        )
    yield from _missing(found.missing)
    if not found.losses and not found.missing:
        yield "No model here was unlearned."


def _coverage(document: DossierDocument) -> Iterator[Block]:
    rows = tuple(
        (c.attack_class, "yes" if c.in_scope else "no", c.state, ", ".join(c.tests) or NOTHING, c.why)
        for c in document.coverage
    )
    yield Table("Classes of attacks.", ("Class", "In scope", "State", "Tests", "What it is here"), rows, 5)


def _threats(document: DossierDocument) -> Iterator[Block]:
    yield _THREATS
    rows = tuple((t.title, t.objective, t.access, t.knowledge, t.method) for t in document.threats)
    yield Table("Threat models.", ("Test", "Objective", "Access", "Knowledge", "Method"), rows, 5)


def _declared(document: DossierDocument) -> Iterator[Block]:
    said = document.declared
    for title, text in (("Auditor", said.auditor), ("Release context", said.release), ("Notes", said.notes)):
        yield f"{title}: {text or _NOT_SAID}"


def _origin(document: DossierDocument) -> Iterator[Block]:
    yield Table(
        "The models.",
        ("Model", "Role", "Given as", "Fingerprint (SHA-256)", "Unlearned from"),
        tuple(
            (
                model.name, TITLES.get(model.role, model.role), model.reference, model.fingerprint,
                NOTHING if model.base is None else f"{model.base.name} ({model.base.fingerprint})",
            )
            for model in document.models
        ),
        5,
    )  # fmt: skip
    if document.recoverability.files:
        yield Table(
            "The attached files of attacks.",
            ("File", "Date (UTC)", "Seed", "Code (SHA-256)", "SHA-256"),
            tuple((f.file, f.date, str(f.seed), f.attacked_by, f.sha256) for f in document.recoverability.files),
            5,
        )
    made, data = document.made, document.data
    facts = (
        ("Person", f"{document.person.name} ({document.person.identity_id})"),
        ("Data", data.name if data.revision is None else f"{data.name}, revision {data.revision}"),
        ("Data fingerprint (SHA-256)", data.fingerprint),
        ("Code and libraries (SHA-256)", made.code),
        ("Seed", str(made.seed)),
        ("Versions", ", ".join(f"{name} {version}" for name, version in made.versions.items())),
        ("Date (UTC)", made.date),
        ("Digest of dossier.json (SHA-256)", document.digest),
    )
    yield Table("Everything else.", ("Fact", "Value"), facts, 2)
