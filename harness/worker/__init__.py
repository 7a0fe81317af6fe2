"""The code that runs inside a worker process, and the only package that may import MLX."""
