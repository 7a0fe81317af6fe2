"""Only access to mlx-lm: loading, adapters, its trainer and its generator.

This package holds all knowledge of mlx-lm's names and conventions, and none of what a measured number means. It
works with mlx-lm from 0.28.0 on by checking what a release provides; see docs/decisions/0013. Import it only after
the fast BLAS is loaded, because it imports MLX.
"""

from harness.worker.mlxlm.adapter_check import check_tensors, doubt_about_fresh, doubt_about_trained, logits
from harness.worker.mlxlm.adapters import AttachedAdapter, attach_adapter, load_adapter, save_adapter
from harness.worker.mlxlm.device import allocator, has_memory_of_its_own, wait_for_device
from harness.worker.mlxlm.fuse import fuse_agreements, fuse_variants
from harness.worker.mlxlm.generation import CannotBatch, ReadContext, generate, generate_batch, logits_are_finite
from harness.worker.mlxlm.likelihood import padded_nll, token_nll
from harness.worker.mlxlm.model_shape import positions, shape_of
from harness.worker.mlxlm.models import Loaded, build, load, load_lazily, parameter_shapes
from harness.worker.mlxlm.optimizers import moments, optimizer
from harness.worker.mlxlm.parameter_counts import bits_per_weight, total_parameters
from harness.worker.mlxlm.quantize import write_quantized
from harness.worker.mlxlm.random_weights import draw_weights
from harness.worker.mlxlm.tokens import TemplateRefused, closing_tokens, conversation_tokens, prompt_tokens, text_tokens
from harness.worker.mlxlm.trainer import (
    StepLosses,
    TrainerRows,
    TrainingWatcher,
    check_trainer,
    padded_length,
    seed_everything,
    train,
)

__all__ = [
    "AttachedAdapter",
    "CannotBatch",
    "Loaded",
    "ReadContext",
    "StepLosses",
    "TemplateRefused",
    "TrainerRows",
    "TrainingWatcher",
    "allocator",
    "attach_adapter",
    "bits_per_weight",
    "build",
    "check_tensors",
    "check_trainer",
    "closing_tokens",
    "conversation_tokens",
    "doubt_about_fresh",
    "doubt_about_trained",
    "draw_weights",
    "fuse_agreements",
    "fuse_variants",
    "generate",
    "generate_batch",
    "has_memory_of_its_own",
    "load",
    "load_adapter",
    "load_lazily",
    "logits",
    "logits_are_finite",
    "moments",
    "optimizer",
    "padded_length",
    "padded_nll",
    "parameter_shapes",
    "positions",
    "prompt_tokens",
    "save_adapter",
    "seed_everything",
    "shape_of",
    "text_tokens",
    "token_nll",
    "total_parameters",
    "train",
    "wait_for_device",
    "write_quantized",
]
