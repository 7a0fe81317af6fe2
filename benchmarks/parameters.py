"""How long counting takes: total and trainable parameters of every model of the registry, without allocating one.

    python benchmarks/parameters.py

Prints the table, the seconds, and how much memory the arrays took.
"""

import time

import mlx.core as mx

from harness.inputs.config_files import known, read_adapter, read_model
from harness.worker.workloads.count_parameters import count

ADAPTERS = ("qv-r8", "all-r8")


def main() -> None:
    """Count; print a line a model."""
    start_s = time.perf_counter()
    for name in known("models"):
        facts = [count(read_model(name), read_adapter(adapter)) for adapter in ADAPTERS]
        trainable = ", ".join(f"{fact['trainable_parameters']:,}" for fact in facts)
        print(f"{name:14} {facts[0]['total_parameters']:>13,}  {', '.join(ADAPTERS)}: {trainable}")
    print(f"{time.perf_counter() - start_s:.1f} s, {mx.get_peak_memory():,} bytes at the peak")


if __name__ == "__main__":
    main()
