"""Code that runs inside a worker process; the only package that may import MLX."""
