"""How long the things take that should take no time: collecting, --help, a report; and how fast a product is.

python benchmarks/light.py RUN       (RUN: a stored run of three models)
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from harness.worker import blas_shim

ROOT = Path(__file__).parents[1]
REPEATS = 5


def seconds(command: list[str]) -> float:
    """Median wall time of a command that has to succeed, after one run to warm the caches."""
    times = []
    for _ in range(REPEATS + 1):
        start = time.perf_counter()
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
        times.append(time.perf_counter() - start)
    return median(times[1:])


def main() -> None:
    """Measure and print."""
    run = sys.argv[1] if len(sys.argv) > 1 else "latest"
    pytest, tunebench = ([sys.executable, "-m", name] for name in ("pytest", "harness"))
    for title, command in (
        ("pytest suites/ --collect-only -q", [*pytest, "suites/", "--collect-only", "-q"]),
        ("tunebench --help", [*tunebench, "--help"]),
        (f"tunebench report {run}", [*tunebench, "report", run, "-o", tempfile.gettempdir()]),
    ):
        print(f"{title:<34} {seconds(command):.2f} s")
    loaded = blas_shim.load_fast_blas()
    from harness.machine.clock import Stopwatch  # noqa: PLC0415
    from harness.worker import mlxlm, probe  # noqa: PLC0415 - after the BLAS

    for _ in range(3):
        rates = probe.roofline(Stopwatch(wait=mlxlm.wait_for_device))
        ours, numpy = rates["gemm_flops_per_s"], rates["numpy_gemm_flops_per_s"]
        print(f"fp32 2048x2048 with {loaded.library}: {ours / 1e9:.0f} GFLOP/s, {ours / numpy:.0%} of NumPy's")


if __name__ == "__main__":
    main()
