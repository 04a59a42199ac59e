"""Break formulas one by one and print the breaks that no test notices: see docs/mutants.md.

Usage: scripts/mutants.py [ROOM or PATTERN ...]

A room is one of those below, a pattern one of mutant names. DIGITS=05 takes only mutants whose number ends in 0 or 5,
PROCESSES says how many are tested at once.
"""

import os
import sys
from fnmatch import fnmatch
from typing import Final

import libcst
from mutmut.__main__ import cli, collect_source_file_mutation_data
from mutmut.mutation import mutators
from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.stats import status_by_exit_code

ROOMS: Final = {
    # The functions, and not the classes of methods that are made of them.
    "losses": "salmu_demo.unlearning.*.x_[!_]*",
    "metrics": "salmu_demo.metrics.*",
    "probes": "salmu_demo.probes.*",
    "results": "salmu_demo.results.*",
}
NOTICED: Final = ("killed", "timeout", "segfault")


def main(rooms: list[str]) -> None:
    """Test the mutants of some rooms, of all without any; what was tested before is in the folder `mutants`."""
    # A text is no formula.
    mutators.mutation_operators.remove((libcst.BaseString, mutators.operator_string))  # type: ignore[attr-defined]
    digits = os.environ.get("DIGITS")
    patterns = {room: ROOMS.get(room, room) + (f"[{digits}]" if digits else "") for room in rooms or ROOMS}
    processes = os.environ.get("PROCESSES") or str(os.cpu_count())
    cli(["run", "--max-children", processes, *patterns.values()], standalone_mode=False)
    found, _ = collect_source_file_mutation_data(mutant_names=list(patterns.values()))
    for source, name, code in found:
        if status_by_exit_code[code] not in NOTICED:
            print(f"{status_by_exit_code[code]}: {get_diff_for_mutant(name, path=source.path)}")
    for room, pattern in patterns.items():
        codes = [status_by_exit_code[code] for _, name, code in found if fnmatch(name, pattern)]
        missed = sum(status not in NOTICED for status in codes)
        print(f"{room}: {len(codes)} mutants, {missed} survive ({missed / max(len(codes), 1):.1%})")


if __name__ == "__main__":
    main(sys.argv[1:])
