"""`salmu-demo requests`: are people who asked still forgotten, and who was hurt when whom was erased?"""

from collections.abc import Sequence
from typing import Any

from salmu_demo.cli import options
from salmu_demo.cli.options import Commands
from salmu_demo.cli.output import TerminalProgress, print_json, print_notes, print_table
from salmu_demo.core.notices import MINI_NOTICE, SCORES_NOTICE
from salmu_demo.core.text import plain
from salmu_demo.data.dataset import BenchmarkData
from salmu_demo.data.source import MINI
from salmu_demo.models.names import distinct_names
from salmu_demo.models.roles import assign_roles
from salmu_demo.probes.persistence import Persistence
from salmu_demo.reports.requests import (
    EFFECTS,
    STANDINGS,
    asked_sentences,
    effect_lines,
    hurt_sentences,
    standing_lines,
)
from salmu_demo.workbench.bench import Workbench
from salmu_demo.workbench.requests import follow_requests

commands = Commands()


@commands.add("""\
  salmu-demo requests mini-clean mini-compromised local-dir:first local-dir:second
  salmu-demo requests mini-compromised local-dir:first --json

Name the model that the first request was made to and what came of each; others, such as Clean, are controls.""")
def _run(
    models: options.Models,
    arch: options.Arch = None,
    trust_pickle: options.TrustPickle = False,
    clean: options.Clean = None,
    compromised: options.Compromised = None,
    gold: options.Gold = None,
    data: options.Data = MINI,
    json: options.Json = False,
) -> None:
    bench = Workbench(data)
    sources = options.chosen_models(bench, models, arch, trust_pickle)
    told = options.told_references(clean, compromised, gold, sources)
    with TerminalProgress() as progress:
        found = follow_requests(bench, sources, told, progress)
    names = distinct_names(found.models)
    notice = MINI_NOTICE if bench.data.is_mini else None
    if json:
        print_json({"data": {"name": bench.data.name, "notice": notice}, **_document(found, names)})
    else:
        if notice:
            print(f"{notice}\n")
        _print(bench.data, found, names)
        print(f"\n{SCORES_NOTICE}")
    print_notes(assign_roles(sources, told).remarks)


def _print(data: BenchmarkData, found: Persistence, names: Sequence[str]) -> None:
    for sentence in asked_sentences(data, found, names):
        print(plain(sentence))
    print(f"\n{STANDINGS}")
    print_table(*standing_lines(found, names))
    print(f"\n{EFFECTS}")
    print_table(*effect_lines(found))
    print()
    for sentence in hurt_sentences(found):
        print(plain(sentence))


def _document(found: Persistence, names: Sequence[str]) -> dict[str, Any]:
    return {
        "models": [
            {"name": name, "fingerprint": model.fingerprint} for name, model in zip(names, found.models, strict=True)
        ],
        "runs": [
            {
                "model": name,
                "requests": [str(request) for request in asked],
                "standings": [standing and vars(standing) for standing in standings],
                "effects": [effect and vars(effect) for effect in effects],
                "hurt": [{"persona": each.persona.identity_id, **vars(each.effect)} for each in hurt],
            }
            for name, asked, standings, effects, hurt in zip(
                names[1:], found.rounds, found.standings, found.effects, found.hurt, strict=True
            )
        ],
    }
