"""Time of `salmu-demo evaluate MODEL` on SALMU-Mini as a whole process, with all features on disk.

python -m benchmarks.evaluate [--rounds 5] [--model mini-compromised]
"""

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--model", default="mini-compromised")
    options = parser.parse_args()

    def seconds(*arguments: str) -> float:
        start = time.perf_counter()
        subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return time.perf_counter() - start

    def cpu() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    with tempfile.TemporaryDirectory() as folder:
        command = ("-m", "salmu_demo", "evaluate", options.model, "--output", folder)
        seconds(*command)  # Fills the cache.
        before = cpu()
        times = [seconds(*command) for _ in range(options.rounds)]
        used = (cpu() - before) / options.rounds
    imports = [seconds("-c", "import salmu_demo.cli.main, sklearn.linear_model") for _ in range(options.rounds)]
    print(f"evaluate {options.model}: median {statistics.median(times):.1f} s, worst {max(times):.1f} s (aim 2 s)")
    print(f"CPU of all threads: {used:.1f} s")
    print(f"of this, starting Python and importing: median {statistics.median(imports):.1f} s")


if __name__ == "__main__":
    main()
