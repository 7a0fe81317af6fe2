"""The loss curve of one training, and its times and memory, analyzed."""
