"""Whether a training measured by the harness is the training `mlx_lm.lora` does: same losses, same speed.

Both train smollm2 on the same rows with the same seed, config and BLAS, in turn: ours, mlx-lm's, mlx-lm's, ours, ...
mlx-lm's program runs as its users call it, but for the fast BLAS that is loaded in front of it, and prints a loss a
step; its own clock gives the time of a step (tokens over tokens/s, as it prints them). The first steps are left out
on both sides, as the smoke profile does.

    python benchmarks/fidelity.py [--pairs 5]
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from math import fsum
from pathlib import Path
from statistics import median

from against_stock import lora_arguments

from harness.inputs.config_files import read_model, read_profile
from harness.results.store import read_run
from harness.session.worker_requests import fetch

ROOT = Path(__file__).parents[1]
ANSI = re.compile(r"\x1b\[[0-9;]*m")
MLX_LM = """
from harness.worker.blas_shim import load_fast_blas
assert load_fast_blas().fast
import json, sys
from mlx_lm.tuner import callbacks, trainer
import mlx_lm.lora

class Told(callbacks.TrainingCallback):
    def on_train_loss_report(self, info):
        print("TOLD", json.dumps(info), flush=True)

    def on_val_loss_report(self, info):
        if info["iteration"] == 0:  # later ones are taken before an update, ours after it
            print("VALIDATED", info["val_loss"], flush=True)

real = trainer.train
mlx_lm.lora.train = lambda *a, **k: real(*a, **{**k, "training_callback": Told()})
sys.argv[0] = "mlx_lm.lora"
mlx_lm.lora.main()
"""


@dataclass(frozen=True)
class Training:
    """One training's losses as printed, and the time of its steady steps."""

    losses: list[str]
    first_validation: str
    steady_s: float
    tokens: float


def ours() -> Training:
    """Train in a worker, through a session as users start it."""
    plan = read_profile("smoke").training
    with tempfile.TemporaryDirectory() as scratch:
        command = [sys.executable, "-m", "pytest", "suites/training", "--models", "smollm2", "--lora", "qv-r8"]
        command += ["--weights", "embedded", "--no-report", "-q", "--results-dir", scratch, "--run-id", "ours"]
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        (record,) = read_run(Path(scratch) / "ours").records
    steps = record.series["step_s"].y[plan.warmup_iters :]
    return Training(
        losses=[f"{loss:.3f}" for loss in record.series["trainer_loss"].y],
        first_validation=f"{record.series['trainer_val_loss'].y[0]:.3f}",
        steady_s=fsum(steps),
        tokens=fsum(record.series["real_tokens"].y[plan.warmup_iters :]),
    )


def mlx_lm(model: str) -> Training:
    """Train with mlx-lm's program, in the same number of steps, with its own clock."""
    plan = read_profile("smoke").training
    with tempfile.TemporaryDirectory() as scratch:
        command = [sys.executable, "-c", MLX_LM, *lora_arguments(model, scratch, plan.iters)]
        command += ["--steps-per-eval", str(plan.val_every), "--val-batches", "-1"]
        done = subprocess.run(
            command, capture_output=True, text=True, check=True, env=os.environ | {"PYTHONPATH": str(ROOT)}
        )
    reports = [json.loads(line.partition("TOLD ")[2]) for line in done.stdout.splitlines() if "TOLD " in line]
    printed = re.findall(r"^\s*\d+\s+(\d+\.\d{3})\s", ANSI.sub("", done.stdout), flags=re.MULTILINE)
    tokens_so_far = 0
    times = []
    for info in reports:
        times.append((info["trained_tokens"] - tokens_so_far) / info["tokens_per_second"])
        tokens_so_far = info["trained_tokens"]
    assert len(reports) == plan.iters, done.stdout[-2000:]
    losses = [f"{info['train_loss']:.3f}" for info in reports]
    assert printed[: len(losses)] == losses, (printed, losses)
    validated = re.search(r"VALIDATED (\S+)", done.stdout)
    first_validation = f"{float(validated[1]):.3f}"
    return Training(
        losses=losses, first_validation=first_validation, steady_s=fsum(times[plan.warmup_iters :]), tokens=0.0
    )


def main() -> None:
    """Run the pairs; print the losses' agreement and the ratio of the speeds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=5)
    pairs = parser.parse_args().pairs
    model = fetch(read_model("smollm2"), "embedded").directory
    ratios = []
    for number in range(pairs):
        first, second = (ours, lambda: mlx_lm(model)) if number % 2 == 0 else (lambda: mlx_lm(model), ours)
        a, b = first(), second()
        mine, theirs = (a, b) if number % 2 == 0 else (b, a)
        same = sum(x == y for x, y in zip(mine.losses, theirs.losses, strict=True))
        ratios.append(theirs.steady_s / mine.steady_s)
        print(
            f"pair {number + 1}: losses equal in {same} of {len(mine.losses)} steps "
            f"({mine.losses[0]} first, {mine.losses[-1]} last), first validation {mine.first_validation} and "
            f"{theirs.first_validation}; ours {mine.tokens / mine.steady_s:.1f} token/s, "
            f"mlx-lm {mine.tokens / theirs.steady_s:.1f} token/s, ratio {ratios[-1]:.4f}",
            flush=True,
        )
    print(f"speed of the measured loop over mlx-lm's own: median {median(ratios):.4f} of {pairs} pairs")


if __name__ == "__main__":
    main()
