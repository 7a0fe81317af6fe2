"""Stored results: the records of a run, the files they lie in, the metrics they hold, and the baselines."""
