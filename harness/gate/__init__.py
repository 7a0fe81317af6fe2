"""The gate: a candidate run against a baseline run, to a verdict per metric and one for the run."""
