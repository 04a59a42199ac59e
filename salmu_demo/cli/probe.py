"""`salmu-demo probe`: what models give away about one persona, a text or an image."""

import argparse
from itertools import cycle
from pathlib import Path
from typing import Any

from salmu_demo.cli.output import print_json, print_notes, print_table
from salmu_demo.cli.parsing import (
    add_command,
    add_data,
    add_json,
    add_models,
    add_references,
    chosen_models,
    told_references,
)
from salmu_demo.core.notices import MINI_NOTICE, SCORES_NOTICE
from salmu_demo.data.images import read_image
from salmu_demo.data.layout import canonical_kind, kind_title
from salmu_demo.models.names import distinct_names
from salmu_demo.models.roles import assign_roles
from salmu_demo.probes.audit import AuditCell
from salmu_demo.probes.gallery import GALLERIES
from salmu_demo.probes.lineup import LineUp
from salmu_demo.probes.open_retrieval import Retrieval
from salmu_demo.workbench.bench import Workbench

_EXAMPLES = """\
  salmu-demo probe mini-compromised mini-clean --persona 00000025
  salmu-demo probe mini-compromised mini-clean --persona 00000025 --kind phone_number -k 10 --json
  salmu-demo probe mini-compromised --text "lives in Roztoky" --gallery all
  salmu-demo probe mini-compromised --image face.png"""


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = add_command(commands, "probe", "Ask models about one persona, a text or an image.", _EXAMPLES)
    add_models(parser)
    add_references(parser)
    query = parser.add_mutually_exclusive_group(required=True)
    query.add_argument(
        "--persona", metavar="ID", help="line up the persona's attributes, retrieve captions for its face"
    )
    query.add_argument("--text", help="retrieve faces for a text")
    query.add_argument("--image", metavar="FILE", type=Path, help="retrieve captions for an image of your own")
    parser.add_argument("--kind", help="only this attribute kind")
    add_data(parser)
    parser.add_argument("--gallery", default="all", help=f"what is searched: {', '.join(GALLERIES)} (default all)")
    parser.add_argument("-k", type=int, default=5, help="number of results (default 5)")
    add_json(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    bench = Workbench(options.data)
    models = chosen_models(bench, options, options.models)
    told = told_references(options, models)
    assigned = assign_roles(models, told)
    names = distinct_names(models)
    print_notes(assigned.remarks)
    cells: list[AuditCell] = []
    if options.persona is not None:
        persona = bench.data.persona(options.persona)
        kinds = [canonical_kind(options.kind)] if options.kind else [k for k in bench.data.kinds if persona.values(k)]
        retrievals = bench.retrieve_for_persona(options.persona, models, options.gallery, options.k, told=told)
        cells = [bench.audit_cell(persona, kind, model) for kind in kinds for model in models]
    elif options.text is not None:
        retrievals = bench.retrieve_for_text(options.text, models, options.gallery, options.k, told=told)
    else:
        retrievals = bench.retrieve_for_image(read_image(options.image), models, options.gallery, options.k, told=told)
    notice = MINI_NOTICE if bench.data.is_mini else None
    if options.json:
        print_json(
            {
                "data": {"name": bench.data.name, "fingerprint": bench.data.fingerprint, "notice": notice},
                "models": [
                    {"name": name, "fingerprint": model.fingerprint, "role": role.name, "role_from": role.origin}
                    for name, model, role in zip(names, models, assigned.roles, strict=True)
                ],
                "line_ups": [_cell_json(cell, name) for cell, name in zip(cells, cycle(names))],
                "retrieval": [_retrieval_json(r, name) for r, name in zip(retrievals, names, strict=True)],
                "notice": SCORES_NOTICE,
            }
        )
        return
    if notice:
        print(f"{notice}\n")
    for name, role in zip(names, assigned.roles, strict=True):
        if role.title:
            print(f"{role.title}: {name}")
    if cells:
        print_table(
            ["attribute", "model", "verdict", "value", "exposure", "caption", "exposure", "true value"],
            [
                [
                    kind_title(cell.kind),
                    name,
                    cell.verdict,
                    *_rank_texts(cell.line_up),
                    *_rank_texts(cell.caption_match),
                    ", ".join(cell.line_up.true_values),
                ]
                for cell, name in zip(cells, cycle(names))
            ],
        )
        chance = cells[0].line_up
        print(f"value: rank of the bare value in the line-up; by chance {chance.chance_exposure:.2f} bits on average")
        print("caption: rank of the persona's own caption among the best captions of all personas")
    for retrieval, name in zip(retrievals, names, strict=True):
        own = "" if retrieval.own_rank is None else f"; the persona's own best has rank {retrieval.own_rank:,.10g}"
        print(f"\n{name}: best of {retrieval.gallery_size:,} in the gallery {options.gallery}{own}")
        print_table(
            ["", "score", "to Clean", "text"],
            [
                [f"{'*' if r.hit else ' '}{r.rank}", f"{r.score:.4f}", "-" if r.change is None else f"{r.change:+.4f}",
                 r.item.text]
                for r in retrieval.results
            ],
        )  # fmt: skip
    print(f"\n{SCORES_NOTICE}")


def _rank_texts(attack: LineUp | None) -> tuple[str, str]:
    return ("-", "-") if attack is None else (f"{attack.rank:g} of {attack.candidates}", f"{attack.exposure:.2f} bits")


def _cell_json(cell: AuditCell, name: str) -> dict[str, Any]:
    return {
        "kind": cell.kind,
        "model": name,
        "verdict": cell.verdict,
        "true_values": list(cell.line_up.true_values),
        **_attack_json(cell.line_up),
        "caption_match": None if cell.caption_match is None else _attack_json(cell.caption_match),
    }


def _attack_json(attack: LineUp) -> dict[str, Any]:
    return {
        "rank": attack.rank,
        "candidates": attack.candidates,
        "exposure_bits": attack.exposure,
        "chance_exposure_bits": attack.chance_exposure,
        "probability": attack.probability,
        "best": [
            {"value": value, "score": float(score)}
            for value, score in zip(attack.values[:10], attack.scores[:10], strict=True)
        ],
    }


def _retrieval_json(retrieval: Retrieval, name: str) -> dict[str, Any]:
    return {
        "model": name,
        "gallery_size": retrieval.gallery_size,
        "own_rank": retrieval.own_rank,
        "results": [
            {
                "rank": r.rank,
                "score": r.score,
                "change_to_clean": r.change,
                "hit": r.hit,
                "text": r.item.text,
                "identity_id": r.item.identity,
                "split": r.item.split,
                "file_name": r.item.file_name,
            }
            for r in retrieval.results
        ],
    }
