"""The one door to mlx-lm: loading, adapters, its trainer and its generator.

Everything that is known of mlx-lm's names and habits stands here; what a number means does not.
Works with mlx-lm from 0.28.0 on, by looking for what a release has; see docs/decisions/0013.
"""

from harness.worker.mlxlm.adapter_check import check_tensors, doubt_about_fresh, doubt_about_trained, logits
from harness.worker.mlxlm.adapters import AttachedAdapter, attach_adapter, load_adapter, save_adapter
from harness.worker.mlxlm.device import allocator, has_memory_of_its_own, wait_for_device
from harness.worker.mlxlm.fuse import fuse_agreements, fuse_variants
from harness.worker.mlxlm.generation import CannotBatch, ReadContext, generate, generate_batch, logits_are_finite
from harness.worker.mlxlm.likelihood import padded_nll, token_nll
from harness.worker.mlxlm.models import Loaded, build, load, load_lazily, parameter_shapes
from harness.worker.mlxlm.optimizers import moments, optimizer
from harness.worker.mlxlm.quantize import quantise
from harness.worker.mlxlm.random_weights import draw
from harness.worker.mlxlm.sizes import bits_per_weight, positions, shape_of, total_parameters
from harness.worker.mlxlm.tokens import TemplateRefused, closing_tokens, conversation_tokens, prompt_tokens, text_tokens
from harness.worker.mlxlm.trainer import (
    Losses,
    Rows,
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
    "Losses",
    "ReadContext",
    "Rows",
    "TemplateRefused",
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
    "draw",
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
    "quantise",
    "save_adapter",
    "seed_everything",
    "shape_of",
    "text_tokens",
    "token_nll",
    "total_parameters",
    "train",
    "wait_for_device",
]
