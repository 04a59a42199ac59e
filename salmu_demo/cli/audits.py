"""How `salmu-demo probe` tells audits: of one persona, and of everybody."""

from collections.abc import Sequence
from itertools import cycle
from typing import Any, Final

from salmu_demo.cli.output import print_table
from salmu_demo.data.layout import kind_title
from salmu_demo.probes.attacks import Place, find_attack
from salmu_demo.probes.findings import ALPHA, AuditCell, Control, Finding
from salmu_demo.probes.matrix import Matrix, chosen_rows, count_people, count_sentences
from salmu_demo.probes.survey import FalseAlarms, Survey

_BEST: Final = 10
"""Candidates listed in JSON."""

RULE: Final = (
    f"leaks, marked: at the top or bottom with p at most {ALPHA}, and so far from the others that chance seldom puts a "
    "value there, corrected for the number of attributes; no evidence: neither, or untaught models or people look the "
    "same; not known: Compromised does not find it either. Only what was to be forgotten counts against a model."
)
FALSE_ALARMS: Final = f"By chance at most {ALPHA:.0%} of all people have a false alarm on any of their attributes."


def print_cells(cells: Sequence[AuditCell], names: Sequence[str]) -> None:
    """The headline of every cell, and below it the other attacks that were carried out."""
    header = ["attribute", "model", "verdict", "rank", "exposure", "p", "corrected", "controls", "true value"]
    rows = [_headline_row(cell, name) for cell, name in zip(cells, cycle(names))]
    print_table(header, rows)
    chance = cells[0].headline.reading.place.chance_exposure
    print(f"Exposure is in bits, with its interval over images; by chance {chance:.2f} bits on average.")
    print(RULE)
    print(FALSE_ALARMS)
    others = [
        [kind_title(cell.kind), name, *_attack_row(finding)]
        for cell, name in zip(cells, cycle(names))
        for finding in cell.findings[1:]
    ]
    if others:
        print("\nFurther attacks:")
        print_table(["attribute", "model", "attack", "gives", "verdict", "rank", "exposure", "p", "controls"], others)
    told = [f"{name}, {kind_title(cell.kind)}: {r}" for cell, name in zip(cells, cycle(names)) for r in cell.remarks]
    told += [f"{find_attack(s.attack).title}, {s.variant}, skipped: {s.reason}" for cell in cells for s in cell.skipped]
    for sentence in dict.fromkeys(told):
        print(sentence)


def print_surveys(surveys: Sequence[Survey], people: Sequence[Matrix], names: Sequence[str]) -> None:
    """What each model leaks of everybody, by kind, its false alarms, and how many people it leaks something of."""
    rows = [
        [
            kind_title(tally.kind),
            name,
            tally.variant,
            "to be forgotten" if tally.side == "forget" else "to be kept",
            tally.facts,
            f"{tally.first:.1%} (chance {tally.chance_first:.1%})",
            f"{tally.exposure:.2f} (chance {tally.chance_exposure:.2f})",
        ]
        for survey, name in zip(surveys, names, strict=True)
        for tally in survey.tallies
    ]
    print_table(["attribute", "model", "variant", "facts", "number", "true value first", "bits"], rows)
    print("\nFacts to be forgotten, corrected for their number (false discovery rate):")
    counts = [
        [name, *(survey.count(verdict) for verdict in ("leaks", "marked", "no evidence", "not known"))]
        for survey, name in zip(surveys, names, strict=True)
    ]
    print_table(["model", "leaks", "marked", "no evidence", "not known"], counts)
    print(f"\n{RULE}")
    for survey, name in zip(surveys, names, strict=True):
        for who, alarms in (("never-taught people", survey.never_taught), ("everybody, none taught", survey.untaught)):
            if alarms is not None:
                print(
                    f"False alarms of {name}, {who}: {alarms.alarmed} of {alarms.people} people (expected at most "
                    f"{alarms.most_alarmed:.1f}); {alarms.near} of {alarms.facts} facts near an end (expected "
                    f"{alarms.expected_near:.1f})."
                )
    print("\nPeople, each by an audit of their own:")
    called = {matrix.model.reference: name for matrix, name in zip(people, names, strict=True)}
    for matrix in people:
        print(" ".join(count_sentences(matrix, people, called)))


def cell_json(cell: AuditCell, name: str) -> dict[str, Any]:
    """A cell with all its findings."""
    return {
        "kind": cell.kind,
        "model": name,
        "verdict": cell.verdict,
        "reason": cell.headline.reason,
        "side": cell.side,
        "outcome": cell.fulfilment.outcome,
        "as_asked": cell.fulfilment.as_asked,
        "counts": cell.headline.counts,
        "true_values": list(cell.headline.reading.true_values),
        "findings": [_finding_json(finding) for finding in cell.findings],
        "skipped": [{"attack": s.attack, "variant": s.variant, "reason": s.reason} for s in cell.skipped],
        "remarks": list(cell.remarks),
    }


def survey_json(survey: Survey, people: Matrix, name: str) -> dict[str, Any]:
    """What a model leaks of everybody."""
    return {
        "model": name,
        "tallies": [dict(vars(tally)) for tally in survey.tallies],
        "facts": [
            {
                "identity_id": fact.persona,
                "kind": fact.kind,
                "side": fact.side,
                "verdict": fact.verdict,
                "p_adjusted": fact.adjusted,
                **_place_json(fact.place),
            }
            for fact in survey.facts
        ],
        "people": {
            **vars(count_people(people.rows)),
            "cells": [
                {
                    "identity_id": row.persona.identity_id,
                    "asked": row.asked,
                    "kind": cell.kind,
                    "side": cell.side,
                    "verdict": cell.verdict,
                    "outcome": cell.fulfilment.outcome,
                    "as_asked": cell.fulfilment.as_asked,
                }
                for row in chosen_rows(people)
                for cell in row.cells
            ],
        },
        "false_alarms": {
            "never_taught": _alarms_json(survey.never_taught),
            "untaught": _alarms_json(survey.untaught),
        },
    }


def _headline_row(cell: AuditCell, name: str) -> list[str]:
    finding = cell.headline
    reading = finding.reading
    verdict = cell.verdict if finding.counts else f"{cell.verdict} (to be kept)"
    interval = reading.interval
    bits = f"{reading.place.exposure:.2f}" + (f" ({interval[0]:.2f}-{interval[1]:.2f})" if interval else "")
    return [
        kind_title(cell.kind), name, verdict, _rank(reading.place), bits, f"{reading.place.p:.3f}",
        f"{finding.adjusted:.3f}", _controls(finding), ", ".join(reading.true_values),
    ]  # fmt: skip


def _attack_row(finding: Finding) -> list[str]:
    reading = finding.reading
    attack, placebo = find_attack(reading.attack), reading.placebo
    parts = [attack.title, *([reading.variant] if reading.variant != "own images" else [])]
    parts += ["to be kept"] if reading.side == "kept" else []
    verdict = finding.verdict or (f"true {placebo.true:.0%}, wrong {placebo.wrong:.0%}" if placebo else "-")
    place = reading.place
    return [
        ", ".join(parts), attack.gives, verdict, _rank(place), f"{place.exposure:.2f}", f"{place.p:.3f}",
        _controls(finding),
    ]  # fmt: skip


def _rank(place: Place) -> str:
    return f"{place.rank:g} of {place.candidates}"


def _controls(finding: Finding) -> str:
    """Ranks of the references, and how often the truth about never-taught people is first."""
    words = [f"{role} {reading.place.rank:g}" for role, reading in finding.references.items()]
    control = finding.control
    if control is not None:
        words.append(f"never taught first {control.first}/{control.people}")
    return ", ".join(words) or "-"


def _finding_json(finding: Finding) -> dict[str, Any]:
    reading = finding.reading
    placebo = reading.placebo
    return {
        "attack": reading.attack,
        "variant": reading.variant,
        "side": reading.side,
        "verdict": finding.verdict,
        "reason": finding.reason,
        **_place_json(reading.place),
        "exposure_interval": None if reading.interval is None else list(reading.interval),
        "p_adjusted": finding.adjusted,
        "images": [{"split": shown.split, "row": shown.row} for shown in reading.shown],
        "sentences": list(reading.sentences),
        "best": [
            {"value": value, "score": float(score)}
            for value, score in zip(reading.values[:_BEST], reading.scores[:_BEST], strict=True)
        ],
        "references": {role: _place_json(found.place) for role, found in finding.references.items()},
        "never_taught": _control_json(finding.control),
        "placebo": None if placebo is None else {**vars(placebo), "difference": placebo.difference},
    }


def _place_json(place: Place) -> dict[str, Any]:
    return {
        "rank": place.rank,
        "candidates": place.candidates,
        "exposure_bits": place.exposure,
        "chance_exposure_bits": place.chance_exposure,
        "p": place.p,
        "tail": place.tail,
    }


def _control_json(control: Control | None) -> dict[str, Any] | None:
    return None if control is None else dict(vars(control))


def _alarms_json(alarms: FalseAlarms | None) -> dict[str, Any] | None:
    return None if alarms is None else dict(vars(alarms))
