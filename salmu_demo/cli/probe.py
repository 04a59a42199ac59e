"""`salmu-demo probe`: what models give away about one persona, a text or an image."""

from itertools import cycle
from pathlib import Path
from typing import Annotated, Any

from salmu_demo.cli import options
from salmu_demo.cli.audits import cell_json, print_cells, print_surveys, survey_json
from salmu_demo.cli.options import Commands, flag, option
from salmu_demo.cli.output import TerminalProgress, print_json, print_notes, print_table
from salmu_demo.core.errors import QueryError
from salmu_demo.core.files import check_writable
from salmu_demo.core.notices import MINI_NOTICE, SCORES_NOTICE
from salmu_demo.core.text import plain
from salmu_demo.data.dataset import Persona
from salmu_demo.data.images import read_image
from salmu_demo.data.layout import canonical_kind
from salmu_demo.data.personas import find_persona
from salmu_demo.data.source import MINI
from salmu_demo.models.roles import assign_roles
from salmu_demo.probes.attacks import all_attacks
from salmu_demo.probes.findings import AuditCell
from salmu_demo.probes.gallery import GALLERIES
from salmu_demo.probes.large_index import APPROXIMATE
from salmu_demo.probes.matrix import Matrix
from salmu_demo.probes.open_retrieval import Retrieval
from salmu_demo.probes.survey import Survey
from salmu_demo.results.evaluation import measured_data
from salmu_demo.workbench.bench import Workbench

commands = Commands()


@commands.add("""\
  salmu-demo probe mini-compromised mini-clean --persona 00000024
  salmu-demo probe mini-compromised mini-clean --persona 00000024 --kind phone_number -k 10 --json
  salmu-demo probe mini-compromised mini-clean --persona magdalena.hajkova@letters.example
  salmu-demo probe mini-compromised mini-clean --everybody --output everybody
  salmu-demo probe mini-compromised --text "lives in Roztoky" --gallery all
  salmu-demo probe mini-compromised --image face.png""")
def _run(
    models: options.Models,
    arch: options.Arch = None,
    trust_pickle: options.TrustPickle = False,
    clean: options.Clean = None,
    compromised: options.Compromised = None,
    gold: options.Gold = None,
    called: options.Names = None,
    persona: Annotated[
        str | None,
        option(
            "--persona",
            "line up the attributes of the persona with this id, name or other value, retrieve captions for its face",
            "VALUE",
        ),
    ] = None,
    text: Annotated[str | None, option("--text", "retrieve faces for a text")] = None,
    image: Annotated[Path | None, option("--image", "retrieve captions for an image of your own", "FILE", Path)] = None,
    everybody: Annotated[
        bool, flag("--everybody", "line up the attributes of all personas, and count the false alarms")
    ] = False,
    kind: Annotated[str | None, option("--kind", "only this attribute kind, with every attack")] = None,
    data: options.Data = MINI,
    output: Annotated[
        Path | None,
        option("--output", "with --everybody, folder of a report in HTML, PDF, Markdown, CSV", "DIR", Path),
    ] = None,
    gallery: Annotated[str, option("--gallery", f"what is searched: {', '.join(GALLERIES)}")] = "all",
    k: Annotated[int, option("-k", "number of results", kind=int)] = 5,
    json: options.Json = False,
) -> None:
    if sum(query not in (None, False) for query in (persona, text, image, everybody)) != 1:
        raise QueryError(
            "A probe needs one of --persona, --everybody, --text and --image; see `salmu-demo probe --help`."
        )
    if output is not None:
        if not everybody:
            raise QueryError("--output is for --everybody; give both, or use `salmu-demo dossier` for one persona.")
        check_writable(output, "The report")
    bench = Workbench(data)
    sources = options.chosen_models(bench, models, arch, trust_pickle)
    told = options.told_references(clean, compromised, gold, sources)
    assigned = assign_roles(sources, told)
    names = options.shown_names(sources, called)
    print_notes(assigned.remarks)
    cells: list[AuditCell] = []
    surveys: list[Survey] = []
    people: list[Matrix] = []
    retrievals: list[Retrieval] = []
    written: list[Path] = []
    person: Persona | None = None
    if persona is not None:
        person = find_persona(bench.data, persona)
        kinds = [canonical_kind(kind)] if kind else None
        attacks = [each.name for each in all_attacks()] if kind else []
        retrievals = bench.retrieve_for_persona(person.identity_id, sources, gallery, k, told=told)
        cells = bench.audit(person.identity_id, sources, kinds, attacks, told)
    elif everybody:
        with TerminalProgress() as progress:
            surveys = bench.survey(sources, progress, told)
            people = bench.matrices(sources, told)
        if output is not None:
            by_reference = {source.reference: name for source, name in zip(sources, names, strict=True)}
            # matplotlib and the PDF writer take a second to import.
            from salmu_demo.reports.everybody import write_everybody  # noqa: PLC0415

            written = write_everybody(people, by_reference, measured_data(bench.data, None), output)
    elif text is not None:
        retrievals = bench.retrieve_for_text(text, sources, gallery, k, told=told)
    elif image is not None:
        retrievals = bench.retrieve_for_image(read_image(image), sources, gallery, k, told=told)
    notice = MINI_NOTICE if bench.data.is_mini else None
    if json:
        print_json(
            {
                "data": {"name": bench.data.name, "fingerprint": bench.data.fingerprint, "notice": notice},
                "models": [
                    {"name": name, "fingerprint": model.fingerprint, "role": role.name, "role_from": role.origin}
                    for name, model, role in zip(names, sources, assigned.roles, strict=True)
                ],
                "persona": None if person is None else {"identity_id": person.identity_id, "name": person.name},
                "audit": [cell_json(cell, name) for cell, name in zip(cells, cycle(names))],
                "surveys": [survey_json(*each) for each in zip(surveys, people, names, strict=False)],
                "retrieval": [_retrieval_json(r, name) for r, name in zip(retrievals, names, strict=False)],
                "notice": SCORES_NOTICE,
                "written": [str(path) for path in written],
            }
        )
        return
    if notice:
        print(f"{notice}\n")
    for name, role in zip(names, assigned.roles, strict=True):
        if role.title:
            print(f"{role.title}: {name}")
    if person is not None:
        print(plain(f"Persona: {person.name} ({person.identity_id})"))
    if cells:
        print_cells(cells, names)
    if surveys:
        print_surveys(surveys, people, names)
    for retrieval, name in zip(retrievals, names, strict=False):
        _print_retrieval(retrieval, name, gallery)
    print(f"\n{SCORES_NOTICE}")
    if written:
        print(f"Written: {', '.join(map(str, written))}")


def _print_retrieval(retrieval: Retrieval, name: str, gallery: str) -> None:
    own = "" if retrieval.own_rank is None else f"; the persona's own best has rank {retrieval.own_rank:,.10g}"
    print(f"\n{name}: best of {retrieval.gallery_size:,} in the gallery {gallery}{own}")
    if retrieval.recall is not None:
        print(APPROXIMATE.format(recall=retrieval.recall))
    rows = [
        [
            f"{'*' if r.hit else ' '}{r.rank}",
            f"{r.score:.4f}",
            "-" if r.change is None else f"{r.change:+.4f}",
            r.item.text,
        ]
        for r in retrieval.results
    ]
    print_table(["", "score", "to Clean", "text"], rows)


def _retrieval_json(retrieval: Retrieval, name: str) -> dict[str, Any]:
    return {
        "model": name,
        "gallery_size": retrieval.gallery_size,
        "recall": retrieval.recall,
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
