"""Record how long the same work takes on this machine, again and again: what `gate_power.py` draws real noise from.

    python benchmarks/record_trace.py benchmarks/traces/NAME.json --blocks 10 --pause 300

A block is 20 fresh processes, one after the other, each of 25 products of matrices in one thread. Seconds are
written with four digits, in the order they were taken, a list a process.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

PROCESSES, READINGS = 20, 25
_WORK = f"""
import time
import numpy as np
a = np.random.default_rng(0).standard_normal(({{size}}, {{size}}), dtype=np.float32)
a @ a
a @ a
for _ in range({READINGS}):
    start = time.perf_counter()
    a @ a
    print(f"{{{{time.perf_counter() - start:.4g}}}}")
"""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("output", type=Path)
    arguments.add_argument("--blocks", type=int, default=10)
    arguments.add_argument("--pause", type=float, default=300.0, metavar="SECONDS", help="between blocks [%(default)s]")
    arguments.add_argument("--size", type=int, default=1280, help="rows of the matrices [%(default)s]")
    options = arguments.parse_args()
    one_thread = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    command = [sys.executable, "-c", _WORK.format(size=options.size)]
    blocks: list[list[list[float]]] = []
    for number in range(options.blocks):
        if number:
            time.sleep(options.pause)
        runs = [
            subprocess.run(command, env=os.environ | one_thread, capture_output=True, text=True, check=True)
            for _ in range(PROCESSES)
        ]
        blocks.append([[float(line) for line in run.stdout.split()] for run in runs])
        text = json.dumps({"unit": "s", "size": options.size, "blocks": blocks}, separators=(",", ":"))
        options.output.write_text(text + "\n")
        print(f"block {number + 1} of {options.blocks}", flush=True)


if __name__ == "__main__":
    main()
