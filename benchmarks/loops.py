"""The measured training loop against mlx-lm's own, in turn in one process: what is left is the loop itself.

`fidelity.py` compares whole programs, and two processes of one program differ by percents on a busy machine. Here both
loops train the same adapter on the same batches, and mlx-lm's own clock times the steps of both; the first two steps
of a loop are left out, and so is the first pair, which compiles.

    python benchmarks/loops.py [--pairs 5]
"""

import argparse
import tempfile
from dataclasses import replace
from math import fsum
from pathlib import Path
from statistics import median
from typing import Any

from harness.worker.blas_shim import load_fast_blas

BLAS = load_fast_blas()  # before MLX is imported

import mlx.optimizers  # noqa: E402
from mlx_lm.tuner import trainer  # noqa: E402
from mlx_lm.tuner.callbacks import TrainingCallback  # noqa: E402
from mlx_lm.tuner.datasets import CacheDataset, ChatDataset  # noqa: E402

from harness.inputs.config_files import read_adapter, read_model, read_profile  # noqa: E402
from harness.inputs.datasets import read_dataset  # noqa: E402
from harness.inputs.prompts import PLAIN_FAMILY, read_chat_template  # noqa: E402
from harness.session.worker_requests import fetch  # noqa: E402
from harness.worker import mlxlm  # noqa: E402
from harness.worker.workloads.rows import tokenize_rows  # noqa: E402

ITERS, WARM_UP = 10, 2
STEP_S: list[float] = []
MLX_LM_TRAIN = trainer.train


class Unheard:
    """A watcher that does nothing."""

    def batch_wanted(self) -> None:
        """Pass over it."""

    def batch_starts(self, rows: object, padded_tokens: int) -> None:
        """Pass over it."""

    def step_ended(self, iteration: int, losses: object, learning_rate: float) -> None:
        """Pass over it."""


def timed_train(**arguments: Any) -> None:
    """mlx-lm's trainer, with the time of each step by its own clock."""
    callback = arguments.get("training_callback") or TrainingCallback()
    real = callback.on_train_loss_report

    def report(info: dict[str, Any]) -> None:
        STEP_S.append(1 / info["iterations_per_second"])
        real(info)

    callback.on_train_loss_report = report
    MLX_LM_TRAIN(**{**arguments, "training_callback": callback})


def main() -> None:
    """Run the pairs; print the ratio of each and their median."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=5)
    pairs = parser.parse_args().pairs
    trainer.train = timed_train  # the harness calls it by this name
    plan = replace(read_profile("smoke").training, iters=ITERS, val_every=2 * ITERS)
    loaded = mlxlm.load(Path(fetch(read_model("smollm2"), "embedded").directory), read_chat_template(PLAIN_FAMILY))
    mlxlm.attach_adapter(loaded.model, read_adapter("qv-r8"), loaded.model_type)
    rows = read_dataset(plan.dataset, plan.split_rows).splits["train"]
    tokens = [(row.tokens, row.start) for row in tokenize_rows(loaded.tokenizer, rows, form="chat", mask_prompt=False)]
    ratios = []
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "adapters.safetensors"

        def ours() -> None:
            mlxlm.train(loaded.model, mlxlm.TrainerRows(rows, tokens), plan.batch_size, plan, file, Unheard())

        def theirs() -> None:
            timed_train(
                model=loaded.model,
                optimizer=mlx.optimizers.Adam(learning_rate=plan.learning_rate),
                train_dataset=CacheDataset(ChatDataset(list(rows), loaded.tokenizer)),
                args=trainer.TrainingArgs(
                    batch_size=plan.batch_size,
                    iters=ITERS,
                    steps_per_report=1,
                    steps_per_save=2 * ITERS,
                    max_seq_length=plan.max_seq_length,
                    adapter_file=str(file),
                ),
            )

        for number in range(pairs + 1):
            seconds = {}
            for loop in (ours, theirs) if number % 2 else (theirs, ours):
                mlxlm.seed_everything(plan.seed)
                STEP_S.clear()
                loop()
                seconds[loop] = fsum(STEP_S[WARM_UP:])
            if number:
                ratios.append(seconds[theirs] / seconds[ours])
    listed = ", ".join(f"{ratio:.4f}" for ratio in ratios)
    print(f"speed of the measured loop over mlx-lm's own, {BLAS.library}: {listed}; median {median(ratios):.4f}")


if __name__ == "__main__":
    main()
