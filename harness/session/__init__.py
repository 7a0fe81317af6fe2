"""A benchmark session: cases run in worker processes, and their records are stored."""
