"""An analysis as a paper needs it: tables in LaTeX, with the rules of booktabs, and what to cite in BibTeX."""

from collections.abc import Iterator, Sequence
from typing import Final

from salmu_demo.metrics.intervals import LEVEL, Interval
from salmu_demo.models.roles import REFERENCES, TITLES
from salmu_demo.models.source import name_of
from salmu_demo.reports.content import data_line
from salmu_demo.reports.text import printable, unsigned, with_printable_names
from salmu_demo.results.analysis import Analysis
from salmu_demo.results.comparison import ComparisonRow
from salmu_demo.results.records import MeasuredModel

_DIGITS: Final = 3
_ACROSS: Final = 8
"""Metrics beside the official ten in one table; models beside each other with their intervals are half as many."""

_LEVEL: Final = rf"{LEVEL * 100:.0f}\,\%"
_NOTHING: Final = "--"
_SPECIAL: Final = str.maketrans(
    {
        **{character: f"\\{character}" for character in "&%$#_{}"},
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        '"': r"\textquotedbl{}",
        "\N{MINUS SIGN}": "$-$",
        "\N{EN DASH}": "--",
        "\N{HORIZONTAL ELLIPSIS}": r"\ldots{}",
    }
)
_HEAD: Final = r"""% Tables by salmu-demo. Preamble: \usepackage{booktabs}, for pdfLaTeX also \usepackage[T1]{fontenc}.
% Names with other than Latin letters need LuaLaTeX or XeLaTeX. What \cite names is in the .bib file beside it."""
_PILLARS: Final = {"efficacy": "Forgetting (target: Clean)", "utility": "Kept (target: Compromised)"}
_CITED: Final = {
    "SALMUBench": """\
@inproceedings{salmubench,
  title = {{SALMUBench}},
  author = {Selvas-Sala, Cai and Kang, Lei and Gomez, Lluis},
  booktitle = {Conference on Computer Vision and Pattern Recognition (CVPR)},
  year = {2026},
  eprint = {2603.26316},
  archiveprefix = {arXiv},
}""",
    "CLEAR": """\
@misc{clear,
  title = {{CLEAR}: Character Unlearning in Textual and Visual Modalities},
  author = {Dontsov, Alexey and Korzh, Dmitrii and Zhavoronkin, Alexey and Mikheev, Boris and Bobkov, Denis and
    Alanov, Aibek and Rogov, Oleg Y. and Oseledets, Ivan and Tutubalina, Elena},
  year = {2024},
  eprint = {2410.18057},
  archiveprefix = {arXiv},
}""",
}
"""What each benchmark's metrics are cited by."""

_TOOL: Final = """\
@misc{salmu-demo,
  title = {salmu-demo: audits and benchmarks of unlearning in {CLIP} models},
  author = {{The salmu-demo authors}},
  year = {2026},
@@  url = {https://github.com/salmu-demo/salmu-demo},
}"""


def latex_tables(analysis: Analysis) -> str:
    """The metrics, their intervals and the diagnoses as tables to `\\input`; the same analysis gives the same text."""
    return "\n\n".join([_HEAD, *_tables(with_printable_names(analysis))]) + "\n"


def bibtex(analysis: Analysis) -> str:
    """The entries of everything that the tables rest on."""
    benchmarks = dict.fromkeys(["SALMUBench", *(row.spec.benchmark for row in analysis.comparison.rows)])
    made = (model.evaluation.made.versions.get("salmu-demo", "") for model in analysis.models)
    version = latex_text(", ".join(sorted(set(made) - {""})))
    entries = [_CITED[name] for name in benchmarks if name in _CITED]
    entries.append(_TOOL.replace("@@", f"  note = {{Version {version}}},\n" if version else ""))
    return "\n\n".join(entries) + "\n"


def latex_text(text: str) -> str:
    r"""Text that LaTeX shows as it is.

    >>> latex_text("50 % of a_b \\x"), latex_text("−0.1")
    ('50 \\% of a\\_b \\textbackslash{}x', '$-$0.1')
    """
    return printable(text).translate(_SPECIAL)


def paper_name(model: MeasuredModel) -> str:
    """What a model is called in a paper: a reference that nobody gave another name has that of its role."""
    role = model.own_role.name
    return TITLES[role] if role in REFERENCES and model.name == name_of(model.reference) else model.name


def _tables(analysis: Analysis) -> Iterator[str]:
    rows = analysis.comparison.rows
    official = [row for row in rows if row.spec.official]
    further = [row for row in rows if not row.spec.official]
    about = latex_text(data_line(analysis.comparison.data))
    bold = " Bold: nearest to the target." if len(_compared(analysis)) > 1 else ""
    if official:
        caption = rf"Metrics of SALMUBench~\cite{{salmubench}}.{bold} {about}"
        yield _metrics(analysis, official, caption, "metrics")
    for number, start in enumerate(range(0, len(further), _ACROSS), start=1):
        caption = rf"Further metrics of salmu-demo~\cite{{salmu-demo}}.{bold} {about}"
        yield _metrics(analysis, further[start : start + _ACROSS], caption, f"further-{number}")
    if any(model.diagnosis for model in analysis.models):
        yield _diagnoses(analysis, about)
    across = _ACROSS // 2
    for number, start in enumerate(range(0, len(analysis.models), across), start=1):
        yield _intervals(analysis, range(start, min(start + across, len(analysis.models))), about, number)


def _compared(analysis: Analysis) -> list[int]:
    """Numbers of the models that are not references."""
    return [number for number, role in enumerate(analysis.roles) if role.name not in REFERENCES]


def _metrics(analysis: Analysis, rows: Sequence[ComparisonRow], caption: str, label: str) -> str:
    """Models down, the references first; metrics across, the heads of each pillar's columns under its name."""
    ordered = [row for pillar in _PILLARS for row in rows if row.spec.pillar == pillar]
    heads, rules, first = [""], "", 2
    for pillar, words in _PILLARS.items():
        count = sum(row.spec.pillar == pillar for row in rows)
        if count:
            heads.append(rf"\multicolumn{{{count}}}{{c}}{{{words}}}")
            rules += rf"\cmidrule(lr){{{first}-{first + count - 1}}}"
            first += count
    compared = _compared(analysis)
    bold = [_nearest(row, compared) for row in ordered]
    lines = [_line(heads), rules, _line(["Model", *(latex_text(row.spec.name) for row in ordered)])]
    for group in ([n for n in range(len(analysis.models)) if n not in compared], compared):
        lines += [r"\midrule"] * bool(group)
        for number in group:
            values = [_number(row.cells[number].value) for row in ordered]
            marked = [
                rf"\textbf{{{value}}}" if number in best else value for value, best in zip(values, bold, strict=True)
            ]
            lines.append(_line([_name(analysis, number), *marked]))
    return _table(caption, label, "l" + "r" * len(ordered), lines)


def _nearest(row: ComparisonRow, compared: Sequence[int]) -> set[int]:
    """The models nearest to the target, as far as the printed digits tell; none if there is nothing to choose from."""
    off = {n: round(abs(distance), _DIGITS) for n in compared if (distance := row.distance(n)) is not None}
    return {n for n, distance in off.items() if distance == min(off.values())} if len(off) > 1 else set()


def _diagnoses(analysis: Analysis, about: str) -> str:
    """The labels, and the quantities that answer the first questions."""
    shares = ("Leak gone", "Knowledge lost", "Holdouts kept")
    lines = [_line(["Model", "Diagnosis", *(rf"{share} (\%)" for share in shares)]), r"\midrule"]
    for number, model in enumerate(analysis.models):
        if model.diagnosis is not None:
            found = model.diagnosis.criteria[: len(shares)]
            cells = [_ranged(c.value, c.interval, 100, 1) for c in found]
            lines.append(_line([_name(analysis, number), latex_text(model.diagnosis.label), *cells]))
    caption = (
        rf"What became of the models by the rule of salmu-demo~\cite{{salmu-demo}}, with {_LEVEL} intervals over "
        f"personas. {about}"
    )
    return _table(caption, "diagnosis", "ll" + "r" * len(shares), lines)


def _intervals(analysis: Analysis, models: range, about: str, number: int) -> str:
    """Metrics down, some models across, each value with its interval."""
    lines = [_line(["Metric", *(_name(analysis, n) for n in models)]), r"\midrule"]
    for row in analysis.comparison.rows:
        name = row.spec.name
        cells = [_ranged(row.cells[n].value, analysis.models[n].intervals[name], 1, _DIGITS) for n in models]
        lines.append(_line([latex_text(name), *cells]))
    caption = f"Values with {_LEVEL} intervals over personas, of GenKnow over classes. {about}"
    return _table(caption, f"intervals-{number}", "l" + "r" * len(models), lines)


def _name(analysis: Analysis, number: int) -> str:
    return latex_text(paper_name(analysis.comparison.models[number]))


def _number(value: float | None) -> str:
    return _NOTHING if value is None else latex_text(unsigned(value, _DIGITS))


def _ranged(value: float | None, found: Interval | None, times: int, digits: int) -> str:
    """A value with its interval, both multiplied."""
    if value is None:
        return _NOTHING
    low, high = ("", "") if found is None else (unsigned(end * times, digits) for end in (found.low, found.high))
    return latex_text(f"{unsigned(value * times, digits)}{f' [{low}, {high}]' if found else ''}")


def _line(cells: Sequence[str]) -> str:
    return f"{' & '.join(cells)} \\\\"


def _table(caption: str, label: str, columns: str, lines: Sequence[str]) -> str:
    body = "\n".join(f"    {line}" for line in (r"\toprule", *lines, r"\bottomrule"))
    return rf"""\begin{{table*}}
  \centering
  \small
  \caption{{{caption}}}
  \label{{tab:salmu-{label}}}
  \begin{{tabular}}{{{columns}}}
{body}
  \end{{tabular}}
\end{{table*}}"""
