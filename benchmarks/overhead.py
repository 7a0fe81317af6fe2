"""What measuring itself costs, in percent of a training step and of a decoded token of smollm2.

Two runs of a few percent of noise cannot show a difference of one. So what is done for measuring is timed by itself:
the watcher's calls between the steps of a real training; the true loss, as the difference of a forward and backward
pass with it and without it, in turn; the stamps around tokens, over an iterator that yields at once.

    python benchmarks/overhead.py [--steps 10]
"""

import argparse
import tempfile
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from harness.worker.blas_shim import load_fast_blas

BLAS = load_fast_blas()  # before MLX is imported

import mlx.core as mx  # noqa: E402
import mlx.optimizers  # noqa: E402
from mlx import nn  # noqa: E402
from mlx_lm.tuner import trainer  # noqa: E402

from harness.inputs.config_files import read_adapter, read_model, read_profile  # noqa: E402
from harness.inputs.plans import Job  # noqa: E402
from harness.machine.clock import Stopwatch  # noqa: E402
from harness.session.worker_requests import fetch  # noqa: E402
from harness.worker import mlxlm  # noqa: E402
from harness.worker.mlxlm.trainer import _store_loss_sums, _trainer_loss  # noqa: E402
from harness.worker.workloads import training  # noqa: E402
from harness.worker.workloads.context import Context  # noqa: E402
from harness.worker.workloads.response import stamped  # noqa: E402
from harness.worker.workloads.trainer_watcher import Watcher  # noqa: E402

STAMPS = 100_000
PAIRS = 20


def watching_share(context: Context) -> float:
    """Time spent in the watcher (validation left out) over the time of the steps."""
    spent = {"s": 0.0}

    def timed(name: str) -> None:
        real = getattr(Watcher, name)

        def call(self: Watcher, *args: object) -> None:
            start, validating = time.perf_counter(), self.validation_s + self.saving_s
            real(self, *args)
            spent["s"] += time.perf_counter() - start - (self.validation_s + self.saving_s - validating)

        setattr(Watcher, name, call)

    for name in ("batch_wanted", "batch_starts", "step_ended"):
        timed(name)
    sample = training.measure(context)
    return spent["s"] / sum(sample.series["step_s"].y)


def true_loss_share(context: Context) -> float:
    """The median difference that the true loss makes to a compiled training step, in turn with mlx-lm's own."""
    loaded = context.load()
    mlxlm.attach_adapter(loaded.model, context.adapter, loaded.model_type)
    loaded.model.train()
    _store_loss_sums(loaded.model, mx.array(0.0), mx.array(0))
    optimizer = mlx.optimizers.Adam(learning_rate=1e-4)
    state = [loaded.model.state, optimizer.state, mx.random.state]

    def step_with(loss: Any) -> Any:
        value_and_grad = nn.value_and_grad(loaded.model, loss)

        @partial(mx.compile, inputs=state, outputs=state)
        def step(tokens: Any, lengths: Any) -> Any:
            (value, targets), gradient = value_and_grad(loaded.model, tokens, lengths)
            optimizer.update(loaded.model, gradient)
            return value, targets

        return step

    steps = {"own": step_with(trainer.default_loss), "true": step_with(_trainer_loss)}
    times: dict[str, list[float]] = {name: [] for name in steps}
    batch = mx.random.randint(0, 1000, (2, 97)), mx.array([[0, 90], [0, 60]])
    for number in range(PAIRS + 1):
        for name in list(steps)[:: 1 if number % 2 else -1]:
            elapsed = context.stopwatch.time_s(lambda name=name: mx.eval(steps[name](*batch), state))
            if number:  # the first round compiles
                times[name].append(elapsed)
    return median(true / own for own, true in zip(times["own"], times["true"], strict=True)) - 1


def stamp_s() -> float:
    """Seconds that stamping adds to a token."""
    stopwatch = Stopwatch(wait=lambda: None)
    start = time.perf_counter()
    for _ in range(STAMPS):
        pass
    bare = time.perf_counter() - start
    start = time.perf_counter()
    stamped(range(STAMPS), stopwatch, stopwatch.now_ns())
    return (time.perf_counter() - start - bare) / STAMPS


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=10)
    steps = parser.parse_args().steps
    profile = read_profile("smoke")
    profile = replace(profile, training=replace(profile.training, iters=steps, val_every=steps))
    ready = fetch(read_model("smollm2"), "embedded")
    with tempfile.TemporaryDirectory() as scratch:
        job = Job(
            work="training",
            ready=ready,
            adapter=read_adapter("qv-r8"),
            adapter_dir=str(Path(scratch) / "adapter"),
            profile=profile,
        )
        context = Context(job=job, device="cpu", progress=lambda *_: None)
        print(f"watching: {watching_share(context):.3%} of a training step (BLAS: {BLAS.library})")
        print(f"true loss: {true_loss_share(context):+.3%} of a compiled step, median of {PAIRS} pairs")
    loaded = context.load()
    prompt = mlxlm.prompt_tokens(loaded.tokenizer, [{"role": "user", "content": "Why?"}])
    start = time.perf_counter()
    tokens = sum(1 for _ in mlxlm.generate(loaded.model, prompt, 32))
    token_s = (time.perf_counter() - start) / tokens
    print(f"stamping: {stamp_s() / token_s:.5%} of a decoded token of {1000 * token_s:.1f} ms")


if __name__ == "__main__":
    main()
