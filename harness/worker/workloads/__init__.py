"""What each suite measures inside a worker process: a job in, a sample out."""
