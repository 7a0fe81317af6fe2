"""tunebench: benchmarks for language models and their LoRA adapters on MLX."""

__version__ = "0.1.0"
