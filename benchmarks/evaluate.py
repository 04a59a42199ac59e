"""Time of `salmu-demo evaluate MODEL` on SALMU-Mini as a whole process, with all features on disk.

python -m benchmarks.evaluate [--rounds 5] [--model mini-compromised] [--measure]

What is shipped of a built-in model is not measured again; with `--measure` a copy is whose weights differ in a bit.
"""

import argparse
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from salmu_demo.core.settings import assets_dir
from salmu_demo.models.made import WEIGHTS_FILE


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--model", default="mini-compromised")
    parser.add_argument("--measure", action="store_true")
    options = parser.parse_args()

    def seconds(*arguments: str) -> float:
        start = time.perf_counter()
        subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return time.perf_counter() - start

    def cpu() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    with tempfile.TemporaryDirectory() as folder:
        model = f"local-dir:{_copy(options.model, Path(folder) / 'copy')}" if options.measure else options.model
        command = ("-m", "salmu_demo", "evaluate", model, "--output", f"{folder}/results")
        seconds(*command)  # Fills the cache.
        before = cpu()
        times = [seconds(*command) for _ in range(options.rounds)]
        used = (cpu() - before) / options.rounds
    needed = "salmu_demo.cli.evaluate" + (", sklearn.linear_model" if options.measure else "")
    imports = [seconds("-c", f"import {needed}") for _ in range(options.rounds)]
    print(f"evaluate {options.model}: median {statistics.median(times):.1f} s, worst {max(times):.1f} s (aim 2 s)")
    print(f"CPU of all threads: {used:.1f} s")
    print(f"of this, starting Python and importing: median {statistics.median(imports):.1f} s")


def _copy(name: str, folder: Path) -> Path:
    """A built-in model that is another one by its fingerprint."""
    shutil.copytree(assets_dir() / "models" / name, folder)
    weights = load_file(folder / WEIGHTS_FILE)
    first = weights[min(weights)]
    first.flat[0] = np.nextafter(first.flat[0], first.dtype.type(np.inf))
    save_file(weights, folder / WEIGHTS_FILE)
    return folder


if __name__ == "__main__":
    main()
