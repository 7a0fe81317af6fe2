"""The inputs of a run: models, adapters, cases, datasets and prompts, read from files or the hub."""
