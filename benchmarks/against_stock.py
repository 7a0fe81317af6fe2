"""How much faster an adapter trains in a worker than with stock `mlx_lm.lora`, on this machine, in one run of both.

Same weights, rows, seed, batches and adapter. mlx-lm's program runs as a user would call it; the arrival of its lines
gives the time of each step (its printed rates are rounded to whole tokens). Ours runs before and after it, so that a
machine that slows down shows. The first step (compilation) and the last (validation) count for neither.

    python benchmarks/against_stock.py [--iters 20]
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from harness.inputs.config_files import read_adapter, read_model, read_profile
from harness.results.store import read_run
from harness.session.worker_requests import fetch

ROOT = Path(__file__).parents[1]
STEP = re.compile(r"^\s*(\d+)\s+\d+\.\d+\s")  # iteration and training loss; a line of validation says "val" there
ANSI = re.compile(r"\x1b\[[0-9;]*m")


def lora_arguments(model: str, scratch: str, iters: int) -> list[str]:
    """What `mlx_lm.lora` is called with to train as the smoke profile does; its config goes into *scratch*."""
    adapter, plan = read_adapter("qv-r8"), read_profile("smoke").training
    config = Path(scratch) / "lora.yaml"
    keys = ", ".join(adapter.keys["default"])
    config.write_text(
        f"lora_parameters: {{rank: {adapter.rank}, scale: {adapter.scale}, dropout: 0.0, keys: [{keys}]}}\n"
    )
    arguments = ["--train", "--model", model, "--config", str(config), "--adapter-path", f"{scratch}/adapter"]
    arguments += ["--data", str(ROOT / "fixtures/data" / plan.dataset), "--batch-size", str(plan.batch_size)]
    arguments += ["--iters", str(iters), "--num-layers", str(adapter.layers), "--seed", str(plan.seed)]
    arguments += ["--learning-rate", str(plan.learning_rate), "--max-seq-length", str(plan.max_seq_length)]
    return [*arguments, "--steps-per-report", "1"]


def stock_steps_s(model: str, iters: int) -> list[float]:
    """Seconds of the steps 2 to iters - 1 of `mlx_lm.lora`."""
    with tempfile.TemporaryDirectory() as scratch:
        command = [sys.executable, "-m", "mlx_lm", "lora", *lora_arguments(model, scratch, iters)]
        command += ["--steps-per-eval", str(10 * iters), "--val-batches", "1"]
        stamps = {}
        worker = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONUNBUFFERED": "1"}
        )
        for line in worker.stdout:
            plain = ANSI.sub("", line)
            if match := STEP.match(plain):
                stamps[int(match[1])] = time.perf_counter()
                print(f"  stock {plain.strip()}", flush=True)
        if worker.wait() != 0 or len(stamps) < iters:
            sys.exit("mlx_lm.lora did not finish")
    return [stamps[step] - stamps[step - 1] for step in range(2, iters)]


def our_steps_s(iters: int) -> list[float]:
    """Seconds of the same steps in a worker of ours."""
    with tempfile.TemporaryDirectory() as scratch:
        command = [sys.executable, "-m", "pytest", "suites/training", "--models", "smollm2", "--lora", "qv-r8"]
        command += ["--weights", "embedded", "--no-report", "-q", "--results-dir", scratch, "--run-id", "ours"]
        subprocess.run(command, cwd=ROOT, check=True)
        (record,) = read_run(Path(scratch) / "ours").records
    steps = record.series["step_s"].y
    return list(steps[1 : iters - 1])


def main() -> None:
    """Run ours, stock, ours; print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--iters", type=int, default=read_profile("smoke").training.iters)
    iters = parser.parse_args().iters
    model = fetch(read_model("smollm2"), "embedded").directory
    ours_s = our_steps_s(iters)
    stock = stock_steps_s(model, iters)
    after = our_steps_s(iters)
    for name, steps in (("ours, before", ours_s), ("stock mlx_lm.lora", stock), ("ours, after", after)):
        print(f"{name}: median {median(steps):.2f} s a step over {len(steps)} steps")
    low, high = sorted(sum(stock) / sum(ours) for ours in (ours_s, after))
    print(f"stock takes {low:.1f} to {high:.1f} times as long for the same steps")


if __name__ == "__main__":
    main()
