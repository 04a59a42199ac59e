"""`salmu-demo requests`: are people who asked still forgotten, and who was hurt when whom was erased?"""

from collections.abc import Sequence
from typing import Any

from salmu_demo.cli import options
from salmu_demo.cli.options import Commands
from salmu_demo.cli.output import TerminalProgress, print_json, print_notes, print_table
from salmu_demo.core.notices import MINI_NOTICE, SCORES_NOTICE
from salmu_demo.core.text import plain
from salmu_demo.data.dataset import BenchmarkData
from salmu_demo.data.forget_requests import Round, request_words
from salmu_demo.data.source import MINI
from salmu_demo.models.names import distinct_names
from salmu_demo.models.roles import assign_roles
from salmu_demo.probes.persistence import Effect, FactStanding, Persistence
from salmu_demo.workbench.bench import Workbench
from salmu_demo.workbench.requests import follow_requests

OTHERS = "everybody else"

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
    runs = [f"run {number}" for number in range(1, len(found.rounds) + 1)]
    for run, asked, name in zip(runs, found.rounds, names[1:], strict=True):
        print(plain(f"Asked for, {run} ({name}): {_words(data, asked)}."))
    print("\nWhat the audit still finds of what was asked for: attributes that leak, and mean bits beyond a guess")
    lines = zip(runs, found.standings, strict=True)
    print_table(["asked in", *names], [[run, *map(_standing, line)] for run, line in lines])
    print("\nWhat each run did, to whom: mean change in bits, and attributes no longer (-) or again (+) found")
    effects = zip(runs, found.effects, strict=True)
    print_table(["erased in", *runs, OTHERS], [[run, *map(_effect, line)] for run, line in effects])
    print()
    for run, people in zip(runs, found.hurt, strict=True):
        if people:
            named = [f"{each.persona.name} ({each.persona.identity_id}) {_effect(each.effect)}" for each in people]
            print(plain(f"Hurt most in {run}, of those who had not asked: {'; '.join(named)}."))


def _words(data: BenchmarkData, asked: Round) -> str:
    return "; ".join(request_words(data, request) for request in asked) or "the whole split forget"


def _standing(standing: FactStanding | None) -> str:
    return "-" if standing is None else f"{standing.found} of {standing.facts} ({standing.bits:+.2f})"


def _effect(effect: Effect | None) -> str:
    if effect is None:
        return "-"
    counts = ", ".join(f"{sign}{count}" for sign, count in (("-", effect.lost), ("+", effect.back)) if count)
    return f"{effect.change:+.2f}" + (f" ({counts} of {effect.facts})" if counts else "")


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
