"""`salmu-demo cache`: what has been computed and kept."""

from datetime import datetime
from typing import Annotated

from salmu_demo.cli.options import Arch, Commands, Data, Json, SomeModels, TrustPickle, argument, chosen_models
from salmu_demo.cli.output import TerminalProgress, print_json, print_table
from salmu_demo.core.text import size_text
from salmu_demo.data.source import MINI
from salmu_demo.features.store import ArrayStore
from salmu_demo.models.checkpoint import builtin_models
from salmu_demo.models.references import find_models
from salmu_demo.workbench.bench import Workbench

commands = Commands("""\
  salmu-demo cache list
  salmu-demo cache warm mini-clean mini-compromised
  salmu-demo cache clear 1f0c
The folder is SALMU_CACHE_DIR, or salmu-demo in the user's cache folder.""")


@commands.add("  salmu-demo cache list --json", "list")
def _list(json: Json = False) -> None:
    """What is kept, and how large it is."""
    store = ArrayStore()
    names = {m.fingerprint[:32]: m.name for m in find_models(builtin_models())}
    entries = [{**vars(entry), "of": names.get(entry.key)} for entry in store.entries()]
    if json:
        print_json({"folder": str(store.root), "entries": entries})
        return
    print(f"{store.root}: {size_text(sum(entry['bytes'] for entry in entries))}")
    rows = [
        [e["kind"], e["key"], e["of"] or "", e["files"], size_text(e["bytes"]),
         datetime.fromtimestamp(e["last_used"]).strftime("%Y-%m-%d %H:%M")]
        for e in entries
    ]  # fmt: skip
    print_table(["kind", "key", "of", "files", "size", "last used"], rows)


@commands.add("  salmu-demo cache warm", "warm")
def _warm(models: SomeModels = None, arch: Arch = None, trust_pickle: TrustPickle = False, data: Data = MINI) -> None:
    """Compute all that probes need, so that they answer at once."""
    bench = Workbench(data)
    with TerminalProgress() as progress:
        bench.warm(chosen_models(bench, models or builtin_models(bench.data.benchmark), arch, trust_pickle), progress)


@commands.add("  salmu-demo cache clear", "clear")
def _clear(
    key: Annotated[str | None, argument("[KEY]", "only entries whose key starts so (default: all)")] = None,
) -> None:
    """Remove what is kept; it can be computed again."""
    print(f"Freed {size_text(ArrayStore().clear(key))}.")
