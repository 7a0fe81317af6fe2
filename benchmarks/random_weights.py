"""How long it takes until a model of full size with random weights is ready: prepared, drawn and in memory.

    python benchmarks/random_weights.py [NAME ...]

Prints a line a model: seconds, parameters a second, and the memory its arrays take.
"""

import argparse
import time
from pathlib import Path

import mlx.core as mx

from harness.inputs.config_files import read_model
from harness.worker import mlxlm, weights


def main() -> None:
    """Prepare and load each model once."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=["tinyllama"], metavar="NAME")
    for name in parser.parse_args().names:
        start_s = time.perf_counter()
        ready = weights.prepare(read_model(name), "random")
        loaded = mlxlm.load(Path(ready.directory), None)
        elapsed_s = time.perf_counter() - start_s
        total = mlxlm.total_parameters(loaded.model)
        print(f"{name}: {elapsed_s:.1f} s, {total / elapsed_s / 1e6:,.0f} M a second, {mx.get_active_memory():,} bytes")
        del loaded


if __name__ == "__main__":
    main()
