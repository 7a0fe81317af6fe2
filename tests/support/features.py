"""What the installed mlx-lm has, for tests of what an older one has not: those are skipped, and nothing else is."""

import inspect

import pytest
from mlx_lm.tuner import trainer

accumulating = pytest.mark.skipif(
    "grad_accumulation_steps" not in inspect.signature(trainer.TrainingArgs).parameters,
    reason="this mlx-lm's trainer accumulates no gradients",
)
