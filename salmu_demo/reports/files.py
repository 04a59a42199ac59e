"""All reports of an analysis as files in one folder, and a ZIP of them that is also the list of its files."""

import io
import zipfile
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Final

from matplotlib.figure import Figure

from salmu_demo.attacks.document import write_attacks
from salmu_demo.attacks.schema import FILE as ATTACKS_FILE
from salmu_demo.attacks.schema import AttacksDocument
from salmu_demo.core.errors import ResultError, quoted
from salmu_demo.core.files import atomic_path
from salmu_demo.data.source import is_clear
from salmu_demo.probes.matrix import Matrix
from salmu_demo.reports.attacks import attack_section, attacks_csv, under_names
from salmu_demo.reports.content import build_report
from salmu_demo.reports.everybody import EVERYBODY, everybody_csv, everybody_section
from salmu_demo.reports.figures.canvas import figure_pdf, figure_png, figure_svg
from salmu_demo.reports.html import report_html
from salmu_demo.reports.latex import bibtex, latex_tables
from salmu_demo.reports.markdown import FIGURES_FOLDER, report_markdown
from salmu_demo.reports.pdf import report_pdf
from salmu_demo.reports.tables import csv_tables
from salmu_demo.reports.text import with_printable_names
from salmu_demo.results.analysis import Analysis
from salmu_demo.results.document import RESULTS_FILE, write_results

_REPORT: Final = "report"
_LANDSCAPE: Final = "-landscape.pdf"
_ZIP_DATE: Final = (1980, 1, 1, 0, 0, 0)
_WHAT: Final = "The report"

FORMATS: Final[dict[str, tuple[str, ...]]] = {
    "html": (".html",),
    "pdf": tuple(f"{_REPORT}{mark}.pdf" for mark in ("", "-sampled")),
    "markdown": (".md", ".png"),
    "latex": (".tex", ".bib"),
    "csv": (".csv",),
    "figures": (".png", ".svg", _LANDSCAPE),
}
"""Name of a format to the endings of its files."""

_ALL: Final = tuple(ending for endings in FORMATS.values() for ending in endings)


@dataclass(frozen=True)
class ReportFiles:
    """The files of one report.

    Attributes:
        results: everything in one JSON, see `docs/results-schema.md`.
        official: the official result file of every model.
        tables: CSV.
        markdown: the report as Markdown, which shows `figures`.
        html: the report as one HTML file.
        pdf: the report as PDF.
        paper: tables in LaTeX, and what they cite in BibTeX; none of an earlier version's report.
        archive: ZIP of all files, with the figures as PNG and SVG.
        figures: PNG.
        landscape: the figures as a paper shows them, in PDF; none of an earlier version's report.
        attacks: what attacks found, see `docs/attacks-schema.md`; None without any.
    """

    results: Path
    official: tuple[Path, ...]
    tables: tuple[Path, ...]
    markdown: Path
    html: Path
    pdf: Path
    paper: tuple[Path, ...]
    archive: Path
    figures: tuple[Path, ...]
    landscape: tuple[Path, ...]
    attacks: Path | None


def write_reports(
    analysis: Analysis,
    folder: Path,
    attacks: AttacksDocument | None = None,
    people: Mapping[str, str] | None = None,
    everybody: Sequence[Matrix] = (),
) -> ReportFiles:
    """Write every format, each file whole or not at all; the same analysis gives the same bytes.

    Files of a sampled run have it in their names, apart from `results.json`, which is found by its name. The files of
    an earlier report in the folder that are not written again are removed.

    Args:
        analysis: what is reported.
        folder: where to.
        attacks: what attacks found in its models, which has a section and files of its own.
        people: see `build_report`.
        everybody: the verdicts about everybody with those of its models of which they are known; they have a section
            and a file of their own, and the section says of which models they are not known.

    Raises:
        StorageError: if a file cannot be written.
    """
    mark = analysis.comparison.data.file_mark
    earlier = find_reports(folder)
    contents = _contents(analysis, people, mark, attacks=attacks, everybody=everybody)
    written = write_results(analysis, folder)
    if attacks is not None:
        written.append(write_attacks(attacks, folder))
    archive = folder / f"{_REPORT}{mark}.zip"
    if earlier is not None:
        # Without its archive a half-replaced report is not taken for a whole one.
        for path in all_paths(earlier):
            if path not in written:
                path.unlink(missing_ok=True)
    for name, content in contents.items():
        if not name.endswith(".svg"):
            _write(folder / name, content)
    _write(archive, _archive({path.name: path.read_bytes() for path in written} | contents))
    return _report_files(folder, archive, [*(path.name for path in written), *contents])


def write_formats(
    analysis: Analysis,
    folder: Path,
    formats: Collection[str],
    attacks: AttacksDocument | None = None,
    people: Mapping[str, str] | None = None,
    everybody: Sequence[Matrix] = (),
) -> list[Path]:
    """Write the report in some formats only, and return the files; what else is in the folder stays.

    Args:
        analysis: what is reported.
        folder: where to.
        formats: of `FORMATS`; Markdown comes with the figures that it shows.
        attacks: see `write_reports`.
        people: see `build_report`.
        everybody: see `write_reports`.

    Raises:
        ResultError: if there is no such format, or none is named.
        StorageError: if a file cannot be written.
    """
    unknown = next((name for name in formats if name not in FORMATS), None)
    if unknown is not None or not formats:
        given = "No format is named" if unknown is None else f"There is no format {quoted(unknown)}"
        raise ResultError(f"{given}; choose from {', '.join(FORMATS)}.")
    endings = tuple(ending for name in formats for ending in FORMATS[name])
    contents = _contents(analysis, people, analysis.comparison.data.file_mark, endings, attacks, everybody)
    for name, content in contents.items():
        _write(folder / name, content)
    return [folder / name for name in contents]


def find_reports(folder: Path) -> ReportFiles | None:
    """The report that was written to a folder, or None if there is none or it is not complete."""
    for archive in sorted(folder.glob(f"{_REPORT}*.zip")):
        try:
            with zipfile.ZipFile(archive) as content:
                names = content.namelist()
        except (OSError, zipfile.BadZipFile):
            continue
        found = _report_files(folder, archive, names)
        # An archive from elsewhere must not lead out of the folder.
        inside = all(path.resolve().is_relative_to(folder.resolve()) for path in all_paths(found))
        if inside and all(path.is_file() for path in all_paths(found)):
            return found
    return None


def _contents(
    analysis: Analysis,
    people: Mapping[str, str] | None,
    mark: str,
    endings: tuple[str, ...] = _ALL,
    attacks: AttacksDocument | None = None,
    everybody: Sequence[Matrix] = (),
) -> dict[str, bytes]:
    """Content of every file but the results, by its path in the folder; of some endings only, if that is wanted."""
    shown = with_printable_names(analysis).comparison.models
    if attacks is not None:
        attacks = under_names(attacks, {model.fingerprint: model.name for model in shown if model.fingerprint})
    further = [] if attacks is None else [attack_section(attacks)]
    known = {(matrix.model.reference, matrix.model.fingerprint) for matrix in everybody}
    names = {model.reference: model.name for model in shown if (model.reference, model.fingerprint) in known}
    if not is_clear(analysis.comparison.data.name):
        others = [model.name for model in shown if (model.reference, model.fingerprint) not in known]
        further.append(everybody_section(everybody, names, others))
    report = build_report(analysis, further, people)
    by_name = {figure.name: figure for figure in report.figures}

    # Only what a format that is wanted shows is drawn.
    @cache
    def upright(name: str) -> Figure:
        return by_name[name].draw()

    @cache
    def wide(name: str) -> Figure:
        return by_name[name].draw(landscape=True)

    @cache
    def image(name: str) -> bytes:
        return figure_png(upright(name))

    tables = {f"{name}{mark}": table for name, table in csv_tables(analysis).items()}
    if attacks is not None:
        tables["attacks"] = attacks_csv(attacks)
    if everybody:
        tables[EVERYBODY] = everybody_csv(everybody, names, replace(analysis.comparison.data, sample=""))
    # A byte order mark tells spreadsheets that the text is UTF-8.
    made: dict[str, Callable[[], bytes]] = {f"{name}.csv": f"\ufeff{table}".encode for name, table in tables.items()}
    made[f"{_REPORT}{mark}.md"] = lambda: report_markdown(report).encode()
    made[f"{_REPORT}{mark}.html"] = lambda: report_html(report, {name: image(name) for name in by_name}).encode()
    made[f"{_REPORT}{mark}.pdf"] = lambda: report_pdf(
        report, {name: figure_png(wide(name), kept=False) for name in by_name}
    )
    made[f"tables{mark}.tex"] = lambda: latex_tables(analysis).encode()
    made[f"references{mark}.bib"] = lambda: bibtex(analysis).encode()
    for name in by_name:
        made[f"{FIGURES_FOLDER}/{name}.png"] = partial(image, name)
        made[f"{FIGURES_FOLDER}/{name}.svg"] = partial(lambda name: figure_svg(upright(name)), name)
        made[f"{FIGURES_FOLDER}/{name}{_LANDSCAPE}"] = partial(lambda name: figure_pdf(wide(name)), name)
    return {name: make() for name, make in made.items() if name.endswith(endings)}


def _report_files(folder: Path, archive: Path, names: list[str]) -> ReportFiles:
    def of_kind(ending: str) -> tuple[Path, ...]:
        return tuple(folder / name for name in names if name.endswith(ending))

    (markdown, html, pdf) = (archive.with_suffix(ending) for ending in (".md", ".html", ".pdf"))
    return ReportFiles(
        results=folder / RESULTS_FILE,
        official=tuple(path for path in of_kind(".json") if path.name not in (RESULTS_FILE, ATTACKS_FILE)),
        tables=of_kind(".csv"),
        markdown=markdown,
        html=html,
        pdf=pdf,
        paper=(*of_kind(".tex"), *of_kind(".bib")),
        archive=archive,
        figures=of_kind(".png"),
        landscape=of_kind(_LANDSCAPE),
        attacks=folder / ATTACKS_FILE if ATTACKS_FILE in names else None,
    )


def all_paths(files: ReportFiles) -> list[Path]:
    """Every file of a report."""
    single = (files.archive, files.results, files.markdown, files.html, files.pdf)
    attacks = [] if files.attacks is None else [files.attacks]
    return [
        *single, *files.paper, *attacks, *files.official, *files.tables, *files.figures, *files.landscape
    ]  # fmt: skip


def _archive(contents: Mapping[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            entry = zipfile.ZipInfo(name, _ZIP_DATE)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content, zipfile.ZIP_DEFLATED)
    return stream.getvalue()


def _write(path: Path, content: bytes) -> None:
    with atomic_path(path, _WHAT) as temporary:
        temporary.write_bytes(content)
