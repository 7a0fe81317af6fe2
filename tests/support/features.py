"""Marks that skip a test if the installed mlx-lm is too old to have the tested feature."""

import inspect

import pytest
from mlx_lm.tuner import trainer

accumulating = pytest.mark.skipif(
    "grad_accumulation_steps" not in inspect.signature(trainer.TrainingArgs).parameters,
    reason="this mlx-lm's trainer accumulates no gradients",
)
